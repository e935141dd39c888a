package grid

import (
	"io"
	"os"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// crashFS is the local disk with a plug that can be pulled: Crash cuts files
// back to what was synced, and from then on nothing that is written arrives.
// Whoever still writes is told that all is well, as a process that is about to
// vanish would believe.
type crashFS struct {
	vfs.FS

	mu    sync.Mutex
	dead  bool
	files map[*crashFile]struct{}
	locks []io.Closer
}

func newCrashFS() *crashFS {
	return &crashFS{FS: vfs.Default, files: make(map[*crashFile]struct{})}
}

// crashFile is an open file that knows how much of it is synced.
type crashFile struct {
	vfs.File
	fs      *crashFS
	path    string
	written int64
	synced  int64
}

// Crash implements crasher.
func (c *crashFS) Crash() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dead = true
	for f := range c.files {
		if f.synced < f.written {
			if err := os.Truncate(f.path, f.synced); err != nil && !os.IsNotExist(err) {
				return err
			}
		}
	}
	for _, l := range c.locks {
		if err := l.Close(); err != nil {
			return err
		}
	}
	c.locks = nil
	return nil
}

// alive runs fn unless the plug is pulled.
func (c *crashFS) alive(fn func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return nil
	}
	return fn()
}

func (c *crashFS) track(path string, f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	cf := &crashFile{File: f, fs: c, path: path}
	c.files[cf] = struct{}{}
	return cf, nil
}

// grave is where files go that are made after the plug is pulled.
func (c *crashFS) grave(path string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return os.DevNull
	}
	return path
}

func (c *crashFS) Create(name string, cat vfs.DiskWriteCategory) (vfs.File, error) {
	path := c.grave(name)
	f, err := c.FS.Create(path, cat)
	return c.track(path, f, err)
}

func (c *crashFS) ReuseForWrite(oldname, newname string, cat vfs.DiskWriteCategory) (vfs.File, error) {
	if path := c.grave(newname); path != newname {
		f, err := c.FS.Create(path, cat)
		return c.track(path, f, err)
	}
	f, err := c.FS.ReuseForWrite(oldname, newname, cat)
	return c.track(newname, f, err)
}

func (c *crashFS) Link(oldname, newname string) error {
	return c.alive(func() error { return c.FS.Link(oldname, newname) })
}

func (c *crashFS) Remove(name string) error {
	return c.alive(func() error { return c.FS.Remove(name) })
}

func (c *crashFS) RemoveAll(name string) error {
	return c.alive(func() error { return c.FS.RemoveAll(name) })
}

func (c *crashFS) MkdirAll(dir string, perm os.FileMode) error {
	return c.alive(func() error { return c.FS.MkdirAll(dir, perm) })
}

func (c *crashFS) Rename(oldname, newname string) error {
	return c.alive(func() error {
		for f := range c.files {
			if f.path == oldname {
				f.path = newname
			}
		}
		return c.FS.Rename(oldname, newname)
	})
}

func (c *crashFS) Lock(name string) (io.Closer, error) {
	l, err := c.FS.Lock(name)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.locks = append(c.locks, l)
	return l, nil
}

func (f *crashFile) Write(p []byte) (int, error) {
	n := len(p)
	err := f.fs.alive(func() (err error) {
		n, err = f.File.Write(p)
		f.written += int64(n)
		return err
	})
	return n, err
}

func (f *crashFile) Sync() error { return f.sync(f.File.Sync) }

func (f *crashFile) SyncData() error { return f.sync(f.File.SyncData) }

// SyncTo syncs all, so that what is promised is what is kept.
func (f *crashFile) SyncTo(int64) (bool, error) { return true, f.sync(f.File.SyncData) }

func (f *crashFile) sync(do func() error) error {
	return f.fs.alive(func() error {
		if err := do(); err != nil {
			return err
		}
		f.synced = f.written
		return nil
	})
}

func (f *crashFile) Close() error {
	f.fs.mu.Lock()
	if f.synced == f.written { // nothing to cut back any more
		delete(f.fs.files, f)
	}
	f.fs.mu.Unlock()
	return f.File.Close()
}
