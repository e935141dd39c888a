package link

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
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
			return cfg.verify(state.PeerCertificates[0])
		},
	}
}

// verify checks a collector's certificate. Its error says what to do.
func (cfg *Config) verify(cert *x509.Certificate) error {
	roots := x509.NewCertPool()
	roots.AddCert(cfg.Authority)
	now := cfg.Now()
	_, err := cert.Verify(x509.VerifyOptions{
		Roots: roots, CurrentTime: within(now, cert), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
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
