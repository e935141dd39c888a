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

// Identity is a party's key and its present certificate. The certificate can
// be replaced while connections are served. It is safe for concurrent use.
type Identity struct {
	Name Name

	key *ecdsa.PrivateKey
	mu  sync.RWMutex
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
	if name != id.Name || !id.key.PublicKey.Equal(cert.PublicKey) {
		return fmt.Errorf("certificate of %v is not for the key of %v", name, id.Name)
	}
	id.mu.Lock()
	defer id.mu.Unlock()
	id.crt = &tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: id.key, Leaf: cert}
	return nil
}

// Due tells whether less than a third of the certificate's life is left.
func (id *Identity) Due(now time.Time) bool {
	leaf := id.certificate().Leaf
	third := leaf.NotAfter.Sub(leaf.NotBefore) / 3
	return now.After(leaf.NotAfter.Add(-third))
}

// Renew has the party's own authority certify the key again if that is due.
func (id *Identity) Renew(a *Authority, now time.Time) error {
	if !id.Due(now) {
		return nil
	}
	leaf := id.certificate().Leaf
	hosts := append([]string(nil), leaf.DNSNames...)
	for _, ip := range leaf.IPAddresses {
		hosts = append(hosts, ip.String())
	}
	cert, err := a.Issue(id.Name, id.key.Public(), hosts, now)
	if err != nil {
		return err
	}
	return id.Replace(cert)
}

// Request is a PKCS #10 request for a new certificate of the same key.
func (id *Identity) Request() ([]byte, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, id.key)
	if err != nil {
		return nil, fmt.Errorf("certificate request of %v: %w", id.Name, err)
	}
	return der, nil
}

func (id *Identity) certificate() *tls.Certificate {
	id.mu.RLock()
	defer id.mu.RUnlock()
	return id.crt
}
