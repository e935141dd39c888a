package folder

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func TestOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b")
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder has mode %v, %v; want 0700", info.Mode(), err)
	}
	if got, want := f.File("x.db"), filepath.Join(path, "x.db"); got != want {
		t.Errorf("File = %s, want %s", got, want)
	}
	_, err = Open(path)
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), path) {
		t.Errorf("second Open: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(path)
	if err != nil {
		t.Fatalf("Open after Close: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	locked := filepath.Join(dir, "locked")
	if err := os.MkdirAll(filepath.Join(locked, lockFile), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, path, want string }{
		{"a file", file, "a file is in the way"},
		{"a folder in a file", filepath.Join(file, "x"), "a file is in the way"},
		{"a folder for a lock", locked, "is a directory"},
	} {
		_, err := Open(test.path)
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), test.path) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}

// TestExplain covers what root is never refused.
func TestExplain(t *testing.T) {
	for _, cause := range []error{syscall.EACCES, syscall.EPERM, syscall.EROFS} {
		err := explain("/x", &os.PathError{Op: "open", Path: "/x/lock", Err: cause})
		if !errors.Is(err, cause) || !strings.Contains(err.Error(), "/x cannot be written") {
			t.Errorf("%v: %v", cause, err)
		}
	}
}

func TestUnwritable(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Log("root may write everywhere; TestExplain covers the text")
		return
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); !errors.Is(err, os.ErrPermission) {
		t.Errorf("Open: %v", err)
	}
}

func TestProbe(t *testing.T) {
	dir := t.TempDir()
	f, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for range 2 {
		if err := f.Probe(); err != nil {
			t.Error(err)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("a probe leaves %v, %v", entries, err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := f.Probe(); err == nil {
		t.Error("a folder that is gone: no error")
	}
	full := explain("/x", &os.PathError{Op: "write", Path: "/x/y", Err: syscall.ENOSPC})
	if !strings.Contains(full.Error(), "make room on its disk") {
		t.Error(full)
	}
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state")
	for _, test := range []struct {
		content string
		mode    os.FileMode
	}{{"one", 0o644}, {"two", 0o600}, {"", 0o640}} {
		old, _ := os.Open(path) // who reads the old file goes on to read it
		if err := WriteFile(path, []byte(test.content), test.mode); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != test.content {
			t.Errorf("the file holds %q, %v; want %q", got, err, test.content)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != test.mode {
			t.Errorf("the file has mode %v, %v; want %v", info.Mode(), err, test.mode)
		}
		if old != nil {
			rest, err := old.Stat()
			now, _ := os.Stat(path)
			if err != nil || os.SameFile(rest, now) {
				t.Error("the file was changed in place")
			}
			_ = old.Close()
		}
	}
	if names := list(t, dir); names != "state" {
		t.Errorf("the folder holds %s", names)
	}
}

// TestWriteFileFails: what cannot be written leaves the old content and nothing
// else behind.
func TestWriteFileFails(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state")
	if err := os.MkdirAll(filepath.Join(path, "x"), 0o700); err != nil { // a folder is in the way
		t.Fatal(err)
	}
	if err := WriteFile(path, []byte("new"), 0o600); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("WriteFile: %v", err)
	}
	if names := list(t, dir); names != "state" {
		t.Errorf("the folder holds %s", names)
	}
	if err := WriteFile(filepath.Join(dir, "none", "state"), nil, 0o600); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("WriteFile into a folder that is not there: %v", err)
	}
}

func list(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

// A temporary file of a process that was killed goes with the next write of the
// same file, and nothing else does.
func TestLeftTemporaryFilesGo(t *testing.T) {
	dir := t.TempDir()
	stay := []string{".vault.", ".vault.12x", ".other.12", "vault.12", ".vault.old.12"}
	for _, name := range append([]string{".vault.12", ".vault.3456789"}, stay...) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("key"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// One that another writer has locked is in use.
	busy, err := os.Create(filepath.Join(dir, ".vault.77"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = busy.Close() }()
	if err := syscall.Flock(int(busy.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(filepath.Join(dir, "vault"), []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	want := append(stay, "vault", ".vault.77")
	slices.Sort(want)
	if !slices.Equal(names, want) {
		t.Errorf("the folder holds %q, want %q", names, want)
	}
}
