package peer

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Identity is a party's key and its present certificate. Both can be replaced
// while connections are served. It is safe for concurrent use.
type Identity struct {
	Name Name

	mu    sync.RWMutex
	key   *ecdsa.PrivateKey
	crt   *tls.Certificate
	cross []*x509.Certificate // shown beside crt
	// superseded: another authority of the organisation's has taken over since.
	superseded bool
}

// NewIdentity draws a key and has an authority certify it.
func NewIdentity(a *Authority, name Name, hosts []string, now time.Time) (*Identity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make identity of %v: %w", name, err)
	}
	cert, err := a.Issue(name, key.Public(), hosts, now)
	if err != nil {
		return nil, err
	}
	return newIdentity(key, cert, a.Cross...)
}

func newIdentity(key *ecdsa.PrivateKey, cert *x509.Certificate, cross ...*x509.Certificate) (*Identity, error) {
	name, err := NameOf(cert)
	if err != nil {
		return nil, err
	}
	id := &Identity{Name: name, key: key}
	return id, id.Replace(cert, cross...)
}

// Replace puts a new certificate for the same key and name in force, and has
// the cross certificates of its authority shown beside it.
func (id *Identity) Replace(cert *x509.Certificate, cross ...*x509.Certificate) error {
	name, err := NameOf(cert)
	if err != nil {
		return err
	}
	key := id.privateKey()
	if name != id.Name || !key.PublicKey.Equal(cert.PublicKey) {
		return fmt.Errorf("certificate of %v is not for the key of %v", name, id.Name)
	}
	if err := checkCross(cert, cross); err != nil {
		return fmt.Errorf("certificate of %v: %w", name, err)
	}
	id.put(key, cert, cross)
	return nil
}

// checkCross checks that each cross certificate is of the authority that has
// signed the one before it.
func checkCross(cert *x509.Certificate, cross []*x509.Certificate) error {
	if len(cross) > maxCross {
		return fmt.Errorf("%d cross certificates, want at most %d", len(cross), maxCross)
	}
	for _, c := range cross {
		if !c.IsCA || cert.CheckSignatureFrom(c) != nil {
			return errors.New("the cross certificate beside it is not of its authority")
		}
		cert = c
	}
	return nil
}

func (id *Identity) put(key *ecdsa.PrivateKey, cert *x509.Certificate, cross []*x509.Certificate) {
	crt := &tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
	for _, c := range cross {
		crt.Certificate = append(crt.Certificate, c.Raw)
	}
	id.mu.Lock()
	defer id.mu.Unlock()
	id.key, id.crt, id.cross, id.superseded = key, crt, cross, false
}

// Reload puts key and certificate in force that [Identity.Save] or an operator
// has written since, and tells whether they are others than before. What does
// not fit leaves the present ones in force.
func (id *Identity) Reload(dir, base string) (bool, error) {
	next, err := LoadIdentity(dir, base)
	if err != nil {
		return false, fmt.Errorf("reload identity of %v: %w", id.Name, err)
	}
	if next.Name != id.Name {
		return false, fmt.Errorf("reload identity of %v: the files in %s are of %v", id.Name, dir, next.Name)
	}
	if slices.EqualFunc(next.chain(), id.chain(), (*x509.Certificate).Equal) {
		return false, nil
	}
	id.put(next.key, next.Certificate(), next.cross)
	return true, nil
}

// Certificate is the certificate in force.
func (id *Identity) Certificate() *x509.Certificate { return id.certificate().Leaf }

// Due tells whether less than a third of the certificate's life is left, or
// another authority of the organisation's has taken over since.
func (id *Identity) Due(now time.Time) bool {
	id.mu.RLock()
	defer id.mu.RUnlock()
	leaf := id.crt.Leaf
	third := leaf.NotAfter.Sub(leaf.NotBefore) / 3
	return id.superseded || now.After(leaf.NotAfter.Add(-third))
}

// met notes which authority has certified another party. If that is one of the
// own organisation with a later certificate by another authority, that one has
// taken over.
func (id *Identity) met(name Name, cert *x509.Certificate) {
	id.mu.Lock()
	defer id.mu.Unlock()
	leaf := id.crt.Leaf
	if name.Org == id.Name.Org && !cert.NotBefore.Before(leaf.NotBefore) && !bytes.Equal(cert.AuthorityKeyId, leaf.AuthorityKeyId) {
		id.superseded = true
	}
}

// Renew has the party's own authority certify the key again if that is due.
func (id *Identity) Renew(a *Authority, now time.Time) error {
	if !id.Due(now) {
		return nil
	}
	return id.Recertify(a, now)
}

// Recertify has an authority of the party's own certify the key again, for the
// same hosts.
func (id *Identity) Recertify(a *Authority, now time.Time) error {
	leaf := id.Certificate()
	hosts := append([]string(nil), leaf.DNSNames...)
	for _, ip := range leaf.IPAddresses {
		hosts = append(hosts, ip.String())
	}
	cert, err := a.Issue(id.Name, id.privateKey().Public(), hosts, now)
	if err != nil {
		return err
	}
	return id.Replace(cert, a.Cross...)
}

// Request is a PKCS #10 request for a new certificate of the same key.
func (id *Identity) Request() ([]byte, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, id.privateKey())
	if err != nil {
		return nil, fmt.Errorf("certificate request of %v: %w", id.Name, err)
	}
	return der, nil
}

// ServerTLS is the TLS of a server that asks its clients for no certificate, as
// a collector's towards its meters. Each connection gets the certificate that
// is in force when it begins, and the cross certificates of its authority.
func (id *Identity) ServerTLS() *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		GetCertificate:         func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return id.certificate(), nil },
		SessionTicketsDisabled: true, // who comes again checks the certificate again
	}
}

func (id *Identity) privateKey() *ecdsa.PrivateKey {
	id.mu.RLock()
	defer id.mu.RUnlock()
	return id.key
}

// chain is the certificate in force and what is shown beside it.
func (id *Identity) chain() []*x509.Certificate {
	id.mu.RLock()
	defer id.mu.RUnlock()
	return append([]*x509.Certificate{id.crt.Leaf}, id.cross...)
}

func (id *Identity) certificate() *tls.Certificate {
	id.mu.RLock()
	defer id.mu.RUnlock()
	return id.crt
}
