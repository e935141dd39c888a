// Package sealed keeps secrets in a party's database unreadable to whoever
// gets the database alone: AES-256-GCM under a key in a file of its own.
package sealed

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/wattveil/wattveil/internal/folder"
)

// KeySize is the length of a key in bytes.
const KeySize = 32

// ErrOpen is the one failure to open: another key, another context, or
// changed bytes.
var ErrOpen = errors.New("sealed value does not open with this folder's key")

// Key seals and opens. It is safe for concurrent use.
type Key struct {
	aead cipher.AEAD
}

// LoadKey reads a key file, or makes it (mode 0600) if it is missing. It
// refuses one that others may read.
func LoadKey(path string) (*Key, error) {
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("sealing key %s: others may read it (mode %o); run: chmod 600 %s", path, info.Mode().Perm(), path)
	}
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		raw = NewRawKey()
		err = folder.WriteFile(path, raw, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("sealing key: %w", err)
	}
	if len(raw) != KeySize {
		return nil, fmt.Errorf("sealing key %s has %d bytes, want %d: restore it from a backup", path, len(raw), KeySize)
	}
	return NewKey(raw)
}

// NewRawKey draws the bytes of a key.
func NewRawKey() []byte {
	raw := make([]byte, KeySize)
	_, _ = rand.Read(raw) // never fails
	return raw
}

// NewKey makes a key of [KeySize] bytes.
func NewKey(raw []byte) (*Key, error) {
	if len(raw) != KeySize {
		return nil, fmt.Errorf("sealing key has %d bytes, want %d", len(raw), KeySize)
	}
	block, err := aes.NewCipher(raw)
	if err != nil {
		return nil, fmt.Errorf("sealing key: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("sealing key: %w", err)
	}
	return &Key{aead: aead}, nil
}

// Seal encrypts plain for one context, such as a table, column and row; it
// opens in that context only.
func (k *Key) Seal(context string, plain []byte) []byte {
	return k.aead.Seal(nil, nil, plain, []byte(context))
}

// Open decrypts what Seal made in the same context.
func (k *Key) Open(context string, sealed []byte) ([]byte, error) {
	plain, err := k.aead.Open(nil, nil, sealed, []byte(context))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", context, ErrOpen)
	}
	return plain, nil
}
