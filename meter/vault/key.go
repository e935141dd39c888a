package vault

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/wattveil/wattveil/internal/folder"
	"github.com/wattveil/wattveil/internal/sealed"
)

// Key is the device secret that seals a vault: 32 bytes that belong to the
// device and not to the file, so that the file alone is of no use to who copies
// it. It redacts itself.
type Key struct {
	redacted
	_ [0]func()
	k *sealed.Key
}

// ParseKey takes the bytes of a device secret.
func ParseKey(raw []byte) (*Key, error) {
	k, err := sealed.NewKey(raw)
	if err != nil {
		return nil, fmt.Errorf("device key has %d bytes, want %d; make one with: head -c %d /dev/urandom", len(raw), sealed.KeySize, sealed.KeySize)
	}
	return &Key{k: k}, nil
}

// LoadKey reads a device secret from a file, or from a pipe such as /dev/fd/3.
// It fails if others than the owner have any permission on it.
func LoadKey(path string) (*Key, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("device key %s does not exist; make it with: (umask 077; head -c %d /dev/urandom > %s)", path, sealed.KeySize, path)
	}
	if err != nil {
		return nil, fmt.Errorf("device key: %w", err)
	}
	defer func() { _ = f.Close() }() // read only
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("device key: %w", err)
	}
	if info.Mode().Perm()&others != 0 {
		return nil, fmt.Errorf("device key %s has mode %04o, so others could read it: run chmod 600 %s", path, info.Mode().Perm(), path)
	}
	raw, err := io.ReadAll(io.LimitReader(f, sealed.KeySize+1))
	if err != nil {
		return nil, fmt.Errorf("read device key %s: %w", path, err)
	}
	k, err := ParseKey(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return k, nil
}

// LoadOrMakeKey is LoadKey for a device that has no better place for its secret
// than a file: it makes the file if it is missing.
func LoadOrMakeKey(path string) (*Key, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if err := folder.WriteFile(path, sealed.NewRawKey(), fileMode); err != nil {
			return nil, fmt.Errorf("make device key: %w", err)
		}
	}
	return LoadKey(path)
}
