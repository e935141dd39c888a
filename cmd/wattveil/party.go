package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/wattveil/wattveil/internal/config"
	"github.com/wattveil/wattveil/internal/folder"
	"github.com/wattveil/wattveil/internal/operator"
	"github.com/wattveil/wattveil/peer"
)

// serverIdentity is the name of the files of a party's key and certificate.
const serverIdentity = "server"

// initialise makes a party's folder: what fill writes, then the configuration
// file, which tells a finished folder from one that was left half-way.
func (p *party) initialise(values map[string]string, fill func(dir string) error) (err error) {
	if err := p.needDir(); err != nil {
		return err
	}
	entries, err := os.ReadDir(p.dir)
	if errors.Is(err, syscall.ENOTDIR) {
		return fmt.Errorf("folder %s: a file is in the way; name another folder", p.dir)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("folder %s: %w", p.dir, err)
	}
	if len(entries) > 0 {
		if _, err := os.Stat(p.path(p.file())); err == nil {
			return fmt.Errorf("folder %s is a %s's already", p.dir, p.what)
		}
		return fmt.Errorf("folder %s is not empty: name a new one, or empty it if an earlier init was interrupted", p.dir)
	}
	lock, err := folder.Open(p.dir)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil { // nothing that stops the next init; the lock is ours, so that all is ours
			err = errors.Join(err, empty(p.dir))
		}
		err = errors.Join(err, lock.Close())
	}()
	if err := os.Chmod(p.dir, 0o700); err != nil { // it may have been made by somebody else
		return fmt.Errorf("folder %s: %w", p.dir, err)
	}
	if err := fill(p.dir); err != nil {
		return err
	}
	return config.Write(p.path(p.file()), fmt.Sprintf("Settings of a wattveil %s. A line without # overrides the default.", p.what), p.settings, values)
}

// empty removes what is in a folder, and leaves the folder.
func empty(dir string) error {
	entries, err := os.ReadDir(dir)
	failures := []error{err}
	for _, e := range entries {
		failures = append(failures, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return errors.Join(failures...)
}

// locked is a party's folder that this process alone uses, with its keys.
type locked struct {
	*folder.Folder
	authority *peer.Authority // nil for a collector
	identity  *peer.Identity
}

// lock takes the folder for this process and loads its keys.
func (p *party) lock(org string) (_ *locked, err error) {
	f, err := folder.Open(p.dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	if err := p.complete(); err != nil {
		return nil, err
	}
	l := &locked{Folder: f}
	if p.name != peer.RoleCollector {
		if l.authority, err = peer.LoadAuthority(p.dir); err != nil {
			return nil, err
		}
	}
	if l.identity, err = peer.LoadIdentity(p.dir, serverIdentity); err != nil {
		return nil, err
	}
	if name := l.identity.Name; name.Role != p.name || org != "" && name.Org != org {
		return nil, fmt.Errorf("folder %s: its certificate is of %v, and %s says name = %q; they are fixed by init", p.dir, name, p.file(), org)
	}
	return l, nil
}

// contact gives what the party tells the others of its server, at the time of
// asking: its next authority may have been prepared meanwhile.
func (p *party) contact(l *locked, url string) func() (peer.Contact, error) {
	return func() (peer.Contact, error) {
		authorities, err := peer.AnnouncedAuthorities(l.Path)
		if err != nil {
			return peer.Contact{}, fmt.Errorf("contact of %v: %w", l.identity.Name, err)
		}
		return peer.Contact{Name: l.identity.Name, URL: url, Authorities: authorities}, nil
	}
}

// complete fails if a file of an initialised folder is gone. The roles would
// make a new one, with which nothing of before fits: another key, or a registry
// that knows nobody.
func (p *party) complete() error {
	for _, name := range p.files {
		if _, err := os.Stat(p.path(name)); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("folder %s: %s is missing; restore the folder from a backup", p.dir, name)
		}
	}
	return nil
}

// takeOver opens the folder for a server. A command that has it for a moment is
// waited for; another server is not.
func takeOver[T any](ctx context.Context, p *party, open func() (T, error)) (T, error) {
	for range connectTries {
		opened, err := open()
		if !errors.Is(err, folder.ErrInUse) {
			return opened, err
		}
		c := operator.Dial(p.dir)
		ping := c.Do(ctx, "GET", "/v1/status", nil, nil)
		c.Close()
		if ping == nil {
			return opened, fmt.Errorf("a server runs in folder %s already", p.dir)
		}
		select {
		case <-ctx.Done():
			return opened, ctx.Err()
		case <-time.After(connectPause):
		}
	}
	return open()
}

const (
	// The folder may be taken for a moment by another command.
	connectTries = 40
	connectPause = 250 * time.Millisecond
)

// connect gives a client of the party: of the server that runs in the folder,
// or, if none does, of what open makes of the folder. end closes it.
func (p *party) connect(ctx context.Context, open func() (*operator.Client, func() error, error)) (client *operator.Client, end func() error, err error) {
	for range connectTries {
		client, end, err = open()
		if !errors.Is(err, folder.ErrInUse) {
			return client, end, err
		}
		client = operator.Dial(p.dir)
		ping := client.Do(ctx, "GET", "/v1/status", nil, nil)
		if !errors.Is(ping, operator.ErrNotServing) {
			return client, func() error { client.Close(); return nil }, ping
		}
		client.Close()
		select {
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case <-time.After(connectPause):
		}
	}
	return nil, nil, fmt.Errorf("%w, and does not answer on its socket: wait until it has ended", err)
}

// writeNew writes a file that must not exist yet, since it is somebody's
// secret or the only copy of one.
func writeNew(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("--out: %s exists already: name a new file", path)
	}
	if err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	_, err = f.Write(content)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(fmt.Errorf("--out: %w", err), os.Remove(path))
	}
	return nil
}

// checkNew fails early where writeNew would fail later, when what is to be
// written has been made.
func checkNew(path string) error {
	if path == "" {
		return misuse("--out is missing: name the file to write; it holds secrets and gets mode 0600")
	}
	if err := writeNew(path, nil); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	return nil
}

// readSmall reads a file that an operator names.
func readSmall(flag, path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s: there is no file %s", flag, path)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", flag, err)
	case info.IsDir():
		return nil, fmt.Errorf("%s: %s is a folder", flag, path)
	case info.Size() > maxInput:
		return nil, fmt.Errorf("%s: %s has %d bytes, at most %d are possible", flag, path, info.Size(), maxInput)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	return b, nil
}
