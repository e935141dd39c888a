package peer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"time"
)

// Lifetimes of certificates. One is renewed when a third of its life is left.
const (
	AuthorityLifetime   = 20 * 365 * 24 * time.Hour
	CertificateLifetime = 90 * 24 * time.Hour
	backdate            = 10 * time.Minute // for clocks that disagree a little
)

// Authority is an organisation's own certificate authority.
type Authority struct {
	Certificate *x509.Certificate
	// Former is the one before, whose certificates are good until they end;
	// nil if there was none.
	Former *x509.Certificate
	// Cross are certificates of this authority by the one before, of that one by
	// the one before it, and so on: who knows only an older one verifies by them
	// what this one issues.
	Cross []*x509.Certificate
	key   *ecdsa.PrivateKey
}

// Certificates are those of all authorities that have issued what the
// organisation's own parties may show.
func (a *Authority) Certificates() []*x509.Certificate {
	if a.Former == nil {
		return []*x509.Certificate{a.Certificate}
	}
	return []*x509.Certificate{a.Certificate, a.Former}
}

// NewAuthority makes an authority for an organisation.
func NewAuthority(org string, now time.Time) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make authority of %s: %w", org, err)
	}
	template := &x509.Certificate{
		SerialNumber:          newSerial(),
		Subject:               pkix.Name{CommonName: org + " wattveil authority"},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(AuthorityLifetime),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make authority of %s: %w", org, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("make authority of %s: %w", org, err)
	}
	return &Authority{Certificate: cert, key: key}, nil
}

// Issue signs a certificate that names its holder. hosts are the DNS names and
// IP addresses that it may serve on.
func (a *Authority) Issue(name Name, public crypto.PublicKey, hosts []string, now time.Time) (*x509.Certificate, error) {
	if err := name.Validate(); err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: newSerial(),
		Subject:      pkix.Name{CommonName: name.Org + " " + name.Role},
		NotBefore:    now.Add(-backdate),
		NotAfter:     now.Add(CertificateLifetime),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		URIs:         []*url.URL{name.uri()},
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.Certificate, public, a.key)
	if err != nil {
		return nil, fmt.Errorf("issue certificate for %v: %w", name, err)
	}
	return x509.ParseCertificate(der)
}

// IssueRequest signs a certificate for the key of a PKCS #10 request. Only the
// key is taken from the request: the caller knows the name.
func (a *Authority) IssueRequest(name Name, request []byte, now time.Time) (*x509.Certificate, error) {
	csr, err := x509.ParseCertificateRequest(request)
	if err != nil {
		return nil, fmt.Errorf("certificate request of %v: %w", name, err)
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, fmt.Errorf("certificate request of %v: %w", name, err)
	}
	if key, ok := csr.PublicKey.(*ecdsa.PublicKey); !ok || key.Curve != elliptic.P256() {
		return nil, fmt.Errorf("certificate request of %v: %w", name, errors.New("want a P-256 key"))
	}
	return a.Issue(name, csr.PublicKey, nil, now)
}

func newSerial() *big.Int {
	var b [16]byte
	_, _ = rand.Read(b[:])
	b[0] &= 0x7f
	return new(big.Int).SetBytes(b[:])
}
