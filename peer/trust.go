package peer

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"sync"
	"time"

	"github.com/wattveil/wattveil/wire"
)

// Why a certificate is refused (spec/protocol.md section 7.6).
const (
	// ErrUntrusted: no certificate that the authority pinned for its name has
	// signed.
	ErrUntrusted = wire.Class("untrusted")
	// ErrExpired: the present time is outside the certificate's.
	ErrExpired = wire.Class("expired")
	// ErrRevoked: its holder was removed.
	ErrRevoked = wire.Class("revoked")
)

// Trust says which authorities vouch for which organisation and role. It is
// safe for concurrent use and may change while connections are served: every
// request of a connection is checked against it anew.
type Trust struct {
	mu     sync.RWMutex
	pinned map[Name]*pin // Instance is empty
}

// pin is what is known of an organisation in a role.
type pin struct {
	authorities []*x509.Certificate // none if it was revoked
	known       func(Name, *x509.Certificate) bool
}

// NewTrust trusts nobody.
func NewTrust() *Trust { return &Trust{pinned: make(map[Name]*pin)} }

// Pin lets authorities vouch for an organisation in a role, also after
// [Trust.Revoke], and no others any more. There are several while the
// organisation goes over from one to the next.
func (t *Trust) Pin(org, role string, authorities ...*x509.Certificate) {
	t.PinKnown(org, role, authorities, nil)
}

// PinKnown is Pin for a role of which each certificate must be known besides:
// one that an authority has signed and known says no to is refused as revoked.
// known is called from many goroutines, at each request.
func (t *Trust) PinKnown(org, role string, authorities []*x509.Certificate, known func(Name, *x509.Certificate) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pinned[Name{Org: org, Role: role}] = &pin{authorities: authorities, known: known}
}

// Revoke lets nobody vouch for an organisation in a role any more.
func (t *Trust) Revoke(org, role string) { t.PinKnown(org, role, nil, nil) }

func (t *Trust) pin(n Name) *pin {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.pinned[Name{Org: n.Org, Role: n.Role}]
}

// pool is every authority that is pinned.
func (t *Trust) pool() *x509.CertPool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	pool := x509.NewCertPool()
	for _, p := range t.pinned {
		for _, a := range p.authorities {
			pool.AddCert(a)
		}
	}
	return pool
}

// verify checks a certificate against the authorities pinned for the name in it.
// The name that it returns beside an error is what the certificate claims.
func (t *Trust) verify(cert *x509.Certificate, use x509.ExtKeyUsage, now time.Time) (Name, error) {
	name, err := NameOf(cert)
	if err != nil {
		return Name{}, fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	p := t.pin(name)
	switch {
	case p == nil:
		return name, fmt.Errorf("%w: no authority is pinned for %v", ErrUntrusted, name)
	case len(p.authorities) == 0:
		return name, fmt.Errorf("%w: %v was removed", ErrRevoked, name)
	}
	roots := x509.NewCertPool()
	for _, a := range p.authorities {
		roots.AddCert(a)
	}
	_, err = cert.Verify(x509.VerifyOptions{
		Roots: roots, CurrentTime: within(now, cert), KeyUsages: []x509.ExtKeyUsage{use},
	})
	switch {
	case err != nil:
		return name, fmt.Errorf("%w: %v: %w", ErrUntrusted, name, err)
	case now.Before(cert.NotBefore) || now.After(cert.NotAfter):
		return name, fmt.Errorf("%w: certificate of %v is valid from %s to %s", ErrExpired, name,
			cert.NotBefore.Format(time.RFC3339), cert.NotAfter.Format(time.RFC3339))
	case p.known != nil && !p.known(name, cert):
		return name, fmt.Errorf("%w: %v was removed or has another key now", ErrRevoked, name)
	}
	return name, nil
}

// within is the moment of a certificate's life that is nearest to now: who has
// signed it is asked apart from whether it is in force.
func within(now time.Time, cert *x509.Certificate) time.Time {
	switch {
	case now.Before(cert.NotBefore):
		return cert.NotBefore
	case now.After(cert.NotAfter):
		return cert.NotAfter
	default:
		return now
	}
}

// VerifyIssued checks a certificate that came as data, such as a KGC's: it is
// valid now and from the authority pinned for its name.
func (t *Trust) VerifyIssued(cert *x509.Certificate, now time.Time) (Name, error) {
	return t.verify(cert, x509.ExtKeyUsageAny, now)
}

// serverConfig asks every client for a certificate and checks it, alone:
// crypto/tls would refuse one that is missing, expired or of an unknown
// authority without a word to refused.
func (t *Trust) serverConfig(id *Identity, now func() time.Time, refused func(Name, error)) *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS13,
		Time:           now,
		ClientAuth:     tls.RequestClientCert,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return id.certificate(), nil },
		VerifyConnection: func(state tls.ConnectionState) error {
			name, err := t.client(&state, now())
			if err != nil {
				refused(name, err)
			}
			return err
		},
		// Without tickets every connection verifies its certificate at the present time.
		SessionTicketsDisabled: true,
	}
}

// client is the verified name of a connection's client.
func (t *Trust) client(state *tls.ConnectionState, now time.Time) (Name, error) {
	if len(state.PeerCertificates) == 0 {
		return Name{}, fmt.Errorf("%w: no certificate", ErrUntrusted)
	}
	return t.verify(state.PeerCertificates[0], x509.ExtKeyUsageClientAuth, now)
}

// clientConfig presents the identity and accepts one server name only.
func (t *Trust) clientConfig(id *Identity, server Name, now func() time.Time) *tls.Config {
	return &tls.Config{
		MinVersion:           tls.VersionTLS13,
		Time:                 now,
		RootCAs:              t.pool(),
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return id.certificate(), nil },
		VerifyConnection: func(state tls.ConnectionState) error {
			name, err := t.verify(state.PeerCertificates[0], x509.ExtKeyUsageServerAuth, now())
			if err == nil && name != server {
				err = fmt.Errorf("%w: server is %v, want %v", ErrUntrusted, name, server)
			}
			if err == nil {
				id.met(name, state.PeerCertificates[0])
			}
			return err
		},
	}
}
