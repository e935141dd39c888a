// Package folder opens a party's own folder: made if missing, private to its
// owner, and used by one process at a time.
package folder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const lockFile = "lock"

// ErrInUse is why a folder cannot be opened that another process has open.
var ErrInUse = errors.New("another process is using it")

// Folder is a locked folder.
type Folder struct {
	Path string
	lock *os.File
}

// Open makes the folder if it is missing (mode 0700), checks that it can be
// written, and locks it.
func Open(path string) (*Folder, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, explain(path, err)
	}
	f, err := os.OpenFile(filepath.Join(path, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, explain(path, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = fmt.Errorf("%w; end it or choose another folder", ErrInUse)
		}
		return nil, explain(path, err)
	}
	return &Folder{Path: path, lock: f}, nil
}

func explain(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("folder %s cannot be written: %w; choose another or change its owner", path, err)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("folder %s: %w; make room on its disk", path, err)
	case errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("folder %s: a file is in the way: %w", path, err)
	default:
		return fmt.Errorf("folder %s: %w", path, err)
	}
}

// probeSize is as much as a probe writes, bytes: more than what is left of a
// disk that is full for everything else.
const probeSize = 64 << 10

// Probe writes a file and removes it: whether a disk is full, over its quota or
// read-only by now, nothing else tells.
func (f *Folder) Probe() (err error) {
	tmp, err := os.CreateTemp(f.Path, ".probe-*")
	if err != nil {
		return explain(f.Path, err)
	}
	defer func() { err = errors.Join(err, os.Remove(tmp.Name())) }()
	_, err = tmp.Write(make([]byte, probeSize))
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return explain(f.Path, err)
	}
	return nil
}

// File is the path of a file in the folder.
func (f *Folder) File(name string) string { return filepath.Join(f.Path, name) }

// Close unlocks the folder.
func (f *Folder) Close() error { return f.lock.Close() }

// WriteFile replaces a file in one step and durably: temporary file, sync,
// rename, sync of the folder. A stop at any moment leaves the old or the new
// content. A temporary file that an earlier stop has left is removed, since it
// may hold keys that are to be gone.
func WriteFile(path string, content []byte, mode os.FileMode) error {
	if err := replace(path, content, mode); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func replace(path string, content []byte, mode os.FileMode) error {
	dir := filepath.Dir(path)
	if err := removeLeft(path); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, temporaryPrefix(path)+"*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // fails, as it should, after the rename
	defer func() { _ = tmp.Close() }()           // after the rename, until which it is locked
	err = syscall.Flock(int(tmp.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		_, err = tmp.Write(content)
	}
	if err := errors.Join(err, tmp.Chmod(mode), tmp.Sync()); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// temporaryPrefix begins the names of a file's temporary files, which end in
// digits.
func temporaryPrefix(path string) string { return "." + filepath.Base(path) + "." }

// removeLeft removes the temporary files of a file that nobody is writing.
func removeLeft(path string) error {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return err
	}
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), temporaryPrefix(path))
		if !ok || rest == "" || strings.Trim(rest, "0123456789") != "" {
			continue
		}
		if err := removeUnused(filepath.Join(filepath.Dir(path), e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// removeUnused removes a file unless somebody has it locked or has removed it.
func removeUnused(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		return nil
	}
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
