package peer

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrUntrusted is why a connection is refused whose certificate verifies but
// not for the name in it.
var ErrUntrusted = errors.New("certificate is not from the authority pinned for its name")

// Trust says which authority vouches for which organisation and role. It is
// safe for concurrent use and may grow while connections are served.
type Trust struct {
	mu     sync.RWMutex
	pinned map[Name]*x509.Certificate // Instance is empty
}

// NewTrust trusts nobody.
func NewTrust() *Trust { return &Trust{pinned: make(map[Name]*x509.Certificate)} }

// Pin lets an authority vouch for an organisation in a role.
func (t *Trust) Pin(org, role string, authority *x509.Certificate) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pinned[Name{Org: org, Role: role}] = authority
}

func (t *Trust) pool() *x509.CertPool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	pool := x509.NewCertPool()
	for _, ca := range t.pinned {
		pool.AddCert(ca)
	}
	return pool
}

// check is the part of verification that crypto/tls does not do: the name in
// the verified certificate is one that this chain's authority vouches for.
func (t *Trust) check(state tls.ConnectionState) (Name, error) {
	if len(state.VerifiedChains) == 0 {
		return Name{}, ErrUntrusted
	}
	name, err := NameOf(state.PeerCertificates[0])
	if err != nil {
		return Name{}, fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	t.mu.RLock()
	pinned := t.pinned[Name{Org: name.Org, Role: name.Role}]
	t.mu.RUnlock()
	for _, chain := range state.VerifiedChains {
		if root := chain[len(chain)-1]; pinned != nil && bytes.Equal(root.Raw, pinned.Raw) {
			return name, nil
		}
	}
	return Name{}, fmt.Errorf("%w: %v", ErrUntrusted, name)
}

// VerifyIssued checks a certificate that came as data, such as a KGC's: it is
// valid now and from the authority pinned for its name.
func (t *Trust) VerifyIssued(cert *x509.Certificate, now time.Time) (Name, error) {
	chains, err := cert.Verify(x509.VerifyOptions{
		Roots:       t.pool(),
		CurrentTime: now,
		KeyUsages:   []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return Name{}, fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	return t.check(tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}, VerifiedChains: chains})
}

// serverConfig asks every client for a certificate and checks its name.
func (t *Trust) serverConfig(id *Identity, now func() time.Time) *tls.Config {
	base := func() *tls.Config {
		return &tls.Config{
			MinVersion:     tls.VersionTLS13,
			Time:           now,
			ClientAuth:     tls.RequireAndVerifyClientCert,
			ClientCAs:      t.pool(),
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return id.certificate(), nil },
			VerifyConnection: func(state tls.ConnectionState) error {
				_, err := t.check(state)
				return err
			},
			// Without tickets every connection verifies its certificate at the present time.
			SessionTicketsDisabled: true,
		}
	}
	cfg := base()
	cfg.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return base(), nil }
	return cfg
}

// clientConfig presents the identity and accepts one server name only.
func (t *Trust) clientConfig(id *Identity, server Name, now func() time.Time) *tls.Config {
	return &tls.Config{
		MinVersion:           tls.VersionTLS13,
		Time:                 now,
		RootCAs:              t.pool(),
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return id.certificate(), nil },
		VerifyConnection: func(state tls.ConnectionState) error {
			name, err := t.check(state)
			if err == nil && name != server {
				err = fmt.Errorf("%w: server is %v, want %v", ErrUntrusted, name, server)
			}
			return err
		},
	}
}
