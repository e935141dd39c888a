package link

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"
	"time"
)

// errCertificate is why a collector's certificate is refused.
var errCertificate = errors.New("certificate refused")

// tlsConfig checks collectors as spec/protocol.md section 3 says.
func (cfg *Config) tlsConfig() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		// crypto/tls would compare the host's name, which does not matter, and
		// refuse what has not begun. VerifyConnection checks all that does.
		InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			return cfg.verify(state.PeerCertificates)
		},
	}
}

// verify checks a collector's certificate, behind which cross certificates may
// follow. Its error says what to do.
func (cfg *Config) verify(shown []*x509.Certificate) error {
	cert, now := shown[0], cfg.Now()
	_, err := cert.Verify(x509.VerifyOptions{
		Roots: cfg.authorities(shown[1:], within(now, cert)), CurrentTime: within(now, cert),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	switch {
	case err != nil:
		return fmt.Errorf("%w: it is not from the authority in the meter's provisioning record; is the address that of a collector of %s? If so, have the meter provisioned anew",
			errCertificate, cfg.Domain)
	case !cfg.collector(cert):
		return fmt.Errorf("%w: it names no collector of %s; is the address that of another server?", errCertificate, cfg.Domain)
	case now.After(cert.NotAfter):
		return fmt.Errorf("%w: it ended on %s, and the clock here shows %s; set the clock, or see why the collector gets no new certificate from its utility",
			errCertificate, stamp(cert.NotAfter), stamp(now))
	}
	return nil
}

// maxCross bounds what a collector shows beside its certificate.
const maxCross = 3

// authorities are the one of the provisioning record, and those that it vouches
// for by cross certificates: the ones that came after it. They are shown with
// the last one first. Each step is verified by itself, since crypto/x509 counts
// an authority that follows as one below, which authorities may not have; RFC
// 5280 (section 4.2.1.9) does not count it, as it has the same name.
func (cfg *Config) authorities(cross []*x509.Certificate, now time.Time) *x509.CertPool {
	known := x509.NewCertPool()
	known.AddCert(cfg.Authority)
	for _, c := range slices.Backward(cross[:min(len(cross), maxCross)]) {
		_, err := c.Verify(x509.VerifyOptions{
			Roots: known, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
		})
		if err == nil && c.BasicConstraintsValid && c.IsCA && bytes.Equal(c.RawSubject, cfg.Authority.RawSubject) {
			known.AddCert(c)
		}
	}
	return known
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// collector tells whether a certificate names a collector of the domain.
func (cfg *Config) collector(cert *x509.Certificate) bool {
	if len(cert.URIs) != 1 {
		return false
	}
	name, ok := strings.CutPrefix(cert.URIs[0].String(), "wattveil://"+cfg.Domain+"/collector/")
	return ok && name != "" && !strings.Contains(name, "/")
}

// within is the moment of a certificate's life that is nearest to now.
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

// explain says in our words why a connection did not come about, if it is one
// of the reasons that an operator can mend.
func explain(err error) error {
	var notTLS tls.RecordHeaderError
	switch {
	case errors.As(err, &notTLS):
		return errors.New("no TLS is spoken at the collector's address; it is mqtt:// if the collector serves none")
	case errors.Is(err, errCertificate):
		_, text, _ := strings.Cut(err.Error(), errCertificate.Error())
		return fmt.Errorf("the collector's %w%s", errCertificate, text)
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return errors.New("the collector ended the connection at once; its address is mqtts:// if it serves TLS, and mqtt:// if it does not")
	default:
		return err
	}
}
