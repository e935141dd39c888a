package peer

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/wattveil/wattveil/internal/folder"
)

// The files of a party's folder that this package keeps.
const (
	authorityBase = "authority"
)

// The kinds of PEM blocks.
const (
	pemCertificate = "CERTIFICATE"
	pemKey         = "PRIVATE KEY"
)

// Save writes the authority to a folder: certificate readable by all, key by
// the owner.
func (a *Authority) Save(dir string) error { return a.save(dir, authorityBase) }

func (a *Authority) save(dir, base string) error {
	if err := writePEM(filepath.Join(dir, base+".crt"), pemCertificate, a.Certificate.Raw, 0o644); err != nil {
		return err
	}
	return SaveKey(filepath.Join(dir, base+".key"), a.key)
}

// LoadAuthority reads what Save wrote, and which authorities were before.
func LoadAuthority(dir string) (*Authority, error) {
	a, err := loadAuthority(dir, authorityBase)
	if err != nil {
		return nil, err
	}
	a.Former, err = LoadCertificate(filepath.Join(dir, formerCert))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	a.Cross, err = loadCertificates(filepath.Join(dir, crossCerts))
	if err == nil {
		err = checkAuthorities(a.Cross)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cross certificates of the authority: %w", err)
	}
	return a, nil
}

func loadAuthority(dir, base string) (*Authority, error) {
	cert, err := LoadCertificate(filepath.Join(dir, base+".crt"))
	if err != nil {
		return nil, err
	}
	key, err := LoadKey(filepath.Join(dir, base+".key"))
	if err != nil {
		return nil, err
	}
	if !key.PublicKey.Equal(cert.PublicKey) {
		return nil, fmt.Errorf("authority in %s: the certificate is not for the key; restore both from one backup", dir)
	}
	return &Authority{Certificate: cert, key: key}, nil
}

// Save writes the key to dir/base.key, and the certificate, with what is shown
// beside it, to dir/base.crt.
func (id *Identity) Save(dir, base string) error {
	if err := folder.WriteFile(filepath.Join(dir, base+".crt"), EncodeCertificates(id.chain()), 0o644); err != nil {
		return err
	}
	return SaveKey(filepath.Join(dir, base+".key"), id.privateKey())
}

// LoadIdentity reads what Save wrote.
func LoadIdentity(dir, base string) (*Identity, error) {
	chain, err := loadCertificates(filepath.Join(dir, base+".crt"))
	if err != nil {
		return nil, err
	}
	key, err := LoadKey(filepath.Join(dir, base+".key"))
	if err != nil {
		return nil, err
	}
	return newIdentity(key, chain[0], chain[1:]...)
}

// loadCertificates reads one certificate or several in PEM.
func loadCertificates(path string) ([]*x509.Certificate, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	list, err := parseCertificates(raw)
	if err == nil && len(list) == 0 {
		err = errors.New("there is no PEM block in it")
	}
	if err != nil {
		return nil, fmt.Errorf("certificate %s: %w; restore it from a backup", path, err)
	}
	return list, nil
}

// LoadCertificate reads one certificate in PEM.
func LoadCertificate(path string) (*x509.Certificate, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	cert, err := ParseCertificate(raw)
	if err != nil {
		return nil, fmt.Errorf("certificate %s: %w; restore it from a backup", path, err)
	}
	return cert, nil
}

// ParseCertificate reads one certificate in PEM.
func ParseCertificate(raw []byte) (*x509.Certificate, error) {
	der, err := parsePEM(raw, pemCertificate)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// SaveKey writes an ECDSA key in PEM (PKCS #8), mode 0600.
func SaveKey(path string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("key %s: %w", path, err)
	}
	return writePEM(path, pemKey, der, 0o600)
}

// LoadKey reads what SaveKey wrote and refuses a file that others may read.
func LoadKey(path string) (*ecdsa.PrivateKey, error) {
	info, err := os.Stat(path)
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		err = fmt.Errorf("others may read it (mode %o); run: chmod 600 %s", info.Mode().Perm(), path)
	}
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", path, err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	key, err := parseKey(raw)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w; restore it from a backup", path, err)
	}
	return key, nil
}

func parseKey(raw []byte) (*ecdsa.PrivateKey, error) {
	der, err := parsePEM(raw, pemKey)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, errors.New("want a P-256 key")
	}
	return key, nil
}

// LoadOrMakeKey reads a P-256 key, or draws and saves one if the file is missing.
func LoadOrMakeKey(path string) (*ecdsa.PrivateKey, error) {
	key, err := LoadKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, fmt.Errorf("key %s: %w", path, err)
	}
	return key, SaveKey(path, key)
}

// writePEM replaces a file in one step, so that a stop while a certificate is
// renewed leaves the old or the new one.
func writePEM(path, kind string, der []byte, mode os.FileMode) error {
	return folder.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode)
}

func parsePEM(raw []byte, kind string) ([]byte, error) {
	block, rest := pem.Decode(raw)
	if block == nil || block.Type != kind || len(bytes.TrimSpace(rest)) != 0 {
		return nil, fmt.Errorf("want one PEM block %q", kind)
	}
	return block.Bytes, nil
}
