package peer

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/wattveil/wattveil/internal/folder"
)

// An organisation goes over to a new authority in three steps, so that no
// connection breaks: it prepares the next one, the others pin it beside the
// present one, and it switches. Certificates of the one before stay good among
// its own parties until they are renewed. Who knows only the one before and cannot
// be told, as a meter, verifies by a cross certificate: the key of the next
// authority, certified by the one before.

// The files of a folder that a change of authority needs besides.
const (
	nextBase   = "authority-next"
	formerCert = "authority-former.crt"
	crossCerts = "authority-cross.crt"

	maxAuthorities = 4 // that vouch for one name
	maxCross       = maxAuthorities - 1
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
		if err := succeed(dir, next.Certificate); err != nil {
			return err
		}
	}
	if err := next.save(dir, authorityBase); err != nil {
		return err
	}
	return errors.Join(os.Remove(filepath.Join(dir, nextBase+".crt")), os.Remove(filepath.Join(dir, nextBase+".key")))
}

// succeed keeps what is left of the present authority when another one takes
// its place: its certificate, and its cross certificate of the next one.
func succeed(dir string, next *x509.Certificate) error {
	present, err := LoadAuthority(dir)
	if err != nil {
		return err
	}
	cross := slices.DeleteFunc(present.Cross, func(c *x509.Certificate) bool { // of a switch that was interrupted
		return bytes.Equal(c.RawSubjectPublicKeyInfo, next.RawSubjectPublicKeyInfo)
	})
	if present.Certificate.NotAfter.After(next.NotBefore) {
		c, err := present.crossCertify(next)
		if err != nil {
			return err
		}
		cross = append([]*x509.Certificate{c}, cross...)
	}
	if len(cross) > 0 {
		text := EncodeCertificates(cross[:min(len(cross), maxCross)])
		if err := folder.WriteFile(filepath.Join(dir, crossCerts), text, 0o644); err != nil {
			return err
		}
	}
	return writePEM(filepath.Join(dir, formerCert), pemCertificate, present.Certificate.Raw, 0o644)
}

// crossCertify certifies the authority that follows, for as long as both live.
func (a *Authority) crossCertify(next *x509.Certificate) (*x509.Certificate, error) {
	end := next.NotAfter
	if a.Certificate.NotAfter.Before(end) {
		end = a.Certificate.NotAfter
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber:          newSerial(),
		Subject:               next.Subject,
		NotBefore:             next.NotBefore,
		NotAfter:              end,
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign,
		// Both authorities have one name: only these tell their keys apart.
		SubjectKeyId:   next.SubjectKeyId,
		AuthorityKeyId: a.Certificate.SubjectKeyId,
	}, a.Certificate, next.PublicKey, a.key)
	if err != nil {
		return nil, fmt.Errorf("cross certificate of the next authority: %w", err)
	}
	return x509.ParseCertificate(der)
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
func ParseAuthorities(raw []byte) ([]*x509.Certificate, error) {
	list, err := parseCertificates(raw)
	if err != nil {
		return nil, err
	}
	return list, checkAuthorities(list)
}

// parseCertificates reads one certificate or several, as PEM blocks.
func parseCertificates(raw []byte) (list []*x509.Certificate, err error) {
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
	return list, nil
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
