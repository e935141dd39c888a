package peer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"sync"
	"time"
)

// Identity is a party's key and its present certificate. Both can be replaced
// while connections are served. It is safe for concurrent use.
type Identity struct {
	Name Name

	mu  sync.RWMutex
	key *ecdsa.PrivateKey
	crt *tls.Certificate
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
	return newIdentity(key, cert)
}

func newIdentity(key *ecdsa.PrivateKey, cert *x509.Certificate) (*Identity, error) {
	name, err := NameOf(cert)
	if err != nil {
		return nil, err
	}
	id := &Identity{Name: name, key: key}
	return id, id.Replace(cert)
}

// Replace puts a new certificate for the same key and name in force.
func (id *Identity) Replace(cert *x509.Certificate) error {
	name, err := NameOf(cert)
	if err != nil {
		return err
	}
	key := id.privateKey()
	if name != id.Name || !key.PublicKey.Equal(cert.PublicKey) {
		return fmt.Errorf("certificate of %v is not for the key of %v", name, id.Name)
	}
	id.put(key, cert)
	return nil
}

func (id *Identity) put(key *ecdsa.PrivateKey, cert *x509.Certificate) {
	id.mu.Lock()
	defer id.mu.Unlock()
	id.key = key
	id.crt = &tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
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
	if next.Certificate().Equal(id.Certificate()) {
		return false, nil
	}
	id.put(next.key, next.Certificate())
	return true, nil
}

// Certificate is the certificate in force.
func (id *Identity) Certificate() *x509.Certificate { return id.certificate().Leaf }

// Due tells whether less than a third of the certificate's life is left.
func (id *Identity) Due(now time.Time) bool {
	leaf := id.Certificate()
	third := leaf.NotAfter.Sub(leaf.NotBefore) / 3
	return now.After(leaf.NotAfter.Add(-third))
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
	return id.Replace(cert)
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
// is in force when it begins.
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

func (id *Identity) certificate() *tls.Certificate {
	id.mu.RLock()
	defer id.mu.RUnlock()
	return id.crt
}
