// Package vault keeps a meter's state in a file.
//
// The state holds the meter's secrets, so the file belongs to its owner alone
// and is sealed (AES-256-GCM) under a [Key] that belongs to the device: a copy
// of the file alone tells nothing and starts no meter. A save replaces the file
// in one durable step.
//
// Who has the file and the key can act as the meter. Who puts an older copy
// back makes the meter ask for epochs that the TTP refuses, and gains nothing
// sealed twice, since the agent never seals under an epoch of the start before;
// of two devices with one vault the TTP agrees on an epoch with one only.
package vault

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/wattveil/wattveil/internal/folder"
)

const (
	fileMode = 0o600
	others   = 0o077     // the permissions that nobody but the owner may have
	maxSize  = 256 << 10 // far above any state
	maxState = maxSize - 64
)

// File is a vault in a file. One agent uses it at a time.
type File struct {
	path string
	key  *Key
}

// context is what a vault is sealed for, so that nothing else under the same
// key opens as one.
const context = "meter vault"

// Open names the file, which need not exist yet; its folder must. It fails if
// others than the owner have any permission on the file.
func Open(path string, key *Key) (*File, error) {
	dir := filepath.Dir(path)
	switch info, err := os.Stat(dir); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("vault %s: its folder does not exist; make it with: mkdir -p -m 700 %s", path, dir)
	case err != nil:
		return nil, fmt.Errorf("vault %s: %w", path, err)
	case !info.IsDir():
		return nil, fmt.Errorf("vault %s: %s is not a folder", path, dir)
	}
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	if f != nil {
		_ = f.Close() // opened for reading alone
	}
	return &File{path: path, key: key}, nil
}

// open gives the file for reading, checked, or nil if there is none.
func open(path string) (*os.File, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open vault: %w", err)
	}
	if err := check(path, f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func check(path string, f *os.File) error {
	info, err := f.Stat()
	switch {
	case err != nil:
		return fmt.Errorf("open vault: %w", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("vault %s is not a file: name another path", path)
	case info.Mode().Perm()&others != 0:
		return fmt.Errorf("vault %s has mode %04o, so others could read the meter's keys: run chmod 600 %s, and provision the meter anew if somebody may have",
			path, info.Mode().Perm(), path)
	case info.Size() > maxSize:
		return fmt.Errorf("vault %s has %d bytes, no vault has more than %d: name the right file", path, info.Size(), maxSize)
	}
	return nil
}

// Load reads what was saved last, nil if nothing was. It fails if the file was
// sealed under another key.
func (v *File) Load() ([]byte, error) {
	f, err := open(v.path)
	if err != nil || f == nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSize))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("read vault: %w", err)
	}
	state, err := v.key.k.Open(context, b)
	if err != nil {
		return nil, fmt.Errorf("vault %s does not open with this device key: name the key that it was sealed under, or restore the file from a backup", v.path)
	}
	if state == nil {
		state = []byte{} // an empty one was saved
	}
	return state, nil
}

// Save replaces the content. When it returns nil the content is durable; when
// it fails the file holds what it held or, if only the last sync failed, the
// new content.
func (v *File) Save(b []byte) error {
	if len(b) > maxState {
		return fmt.Errorf("save vault %s: %d bytes, want at most %d", v.path, len(b), maxState)
	}
	if err := folder.WriteFile(v.path, v.key.k.Seal(context, b), fileMode); err != nil {
		return fmt.Errorf("save vault: %w", err)
	}
	return nil
}
