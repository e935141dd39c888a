package peer

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// An organisation goes over to a new authority in three steps, so that no
// connection breaks: it prepares the next one, the others pin it beside the
// present one, and it switches. Certificates of the one before stay good among
// its own parties until they are renewed.

// The files of a folder that a change of authority needs besides.
const (
	nextBase   = "authority-next"
	formerCert = "authority-former.crt"

	maxAuthorities = 4 // that vouch for one name
)

// PrepareAuthority makes an organisation's next authority, which issues nothing
// before [SwitchAuthority].
func PrepareAuthority(dir, org string, now time.Time) error {
	if _, err := os.Stat(filepath.Join(dir, nextBase+".key")); err == nil {
		return fmt.Errorf("next authority in %s: there is one already", dir)
	}
	next, err := NewAuthority(org, now)
	if err != nil {
		return err
	}
	return next.save(dir, nextBase)
}

// SwitchAuthority puts the next authority in the place of the present one. If
// it was interrupted, it finishes when it is called again.
func SwitchAuthority(dir string) error {
	next, err := loadAuthority(dir, nextBase)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("next authority in %s: there is none; prepare one first", dir)
	}
	if err != nil {
		return err
	}
	present, err := LoadCertificate(filepath.Join(dir, authorityBase+".crt"))
	if err != nil {
		return err
	}
	if !present.Equal(next.Certificate) {
		if err := writePEM(filepath.Join(dir, formerCert), pemCertificate, present.Raw, 0o644); err != nil {
			return err
		}
	}
	if err := next.save(dir, authorityBase); err != nil {
		return err
	}
	return errors.Join(os.Remove(filepath.Join(dir, nextBase+".crt")), os.Remove(filepath.Join(dir, nextBase+".key")))
}

// AnnouncedAuthorities are the certificates that others pin: of the present
// authority, and of the next one if it is prepared.
func AnnouncedAuthorities(dir string) ([]*x509.Certificate, error) {
	present, err := LoadCertificate(filepath.Join(dir, authorityBase+".crt"))
	if err != nil {
		return nil, err
	}
	next, err := LoadCertificate(filepath.Join(dir, nextBase+".crt"))
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && next.Equal(present):
		return []*x509.Certificate{present}, nil
	case err != nil:
		return nil, err
	}
	return []*x509.Certificate{present, next}, nil
}

// EncodeCertificates writes certificates as PEM blocks.
func EncodeCertificates(list []*x509.Certificate) []byte {
	var b bytes.Buffer
	for _, c := range list {
		_ = pem.Encode(&b, &pem.Block{Type: pemCertificate, Bytes: c.Raw}) // a buffer takes all
	}
	return b.Bytes()
}

// ParseAuthorities reads the certificates of one authority or several, as PEM
// blocks.
func ParseAuthorities(raw []byte) (list []*x509.Certificate, err error) {
	for rest := bytes.TrimSpace(raw); len(rest) > 0; rest = bytes.TrimSpace(rest) {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil || block.Type != pemCertificate || len(list) == maxAuthorities {
			return nil, fmt.Errorf("want one to %d PEM blocks %q, and nothing else", maxAuthorities, pemCertificate)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, checkAuthorities(list)
}

func checkAuthorities(list []*x509.Certificate) error {
	if len(list) == 0 || len(list) > maxAuthorities {
		return fmt.Errorf("%d certificates of authorities, want 1 to %d", len(list), maxAuthorities)
	}
	for _, c := range list {
		if c == nil || !c.IsCA {
			return errors.New("its certificate is not an authority's; take authority.crt from its folder")
		}
	}
	return nil
}
