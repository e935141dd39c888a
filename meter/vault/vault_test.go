package vault_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wattveil/wattveil/meter"
	"github.com/wattveil/wattveil/meter/vault"
)

var _ meter.Vault = (*vault.File)(nil)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "vault")
	v, err := vault.Open(path)
	must(t, err)
	if b, err := v.Load(); b != nil || err != nil {
		t.Fatalf("new vault holds %d bytes, error %v; want nil and none", len(b), err)
	}
	for _, content := range [][]byte{[]byte("first"), {}, bytes.Repeat([]byte("second "), 200)} {
		must(t, v.Save(content))
		again, err := vault.Open(path)
		must(t, err)
		got, err := again.Load()
		must(t, err)
		if got == nil || !bytes.Equal(got, content) {
			t.Errorf("loaded %d bytes, want %d", len(got), len(content))
		}
	}
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %04o, want 0600", info.Mode().Perm())
	}
	entries, err := os.ReadDir(dir)
	must(t, err)
	if len(entries) != 1 {
		t.Errorf("%d files in the folder, want the vault alone", len(entries))
	}
}

func TestOpenRefuses(t *testing.T) {
	tests := []struct {
		name string
		make func(t *testing.T, dir string) (path string)
		want string
	}{
		{"no folder", func(_ *testing.T, dir string) string { return filepath.Join(dir, "a", "vault") },
			"its folder does not exist; make it with: mkdir -p -m 700"},
		{"file for a folder", func(t *testing.T, dir string) string {
			must(t, os.WriteFile(filepath.Join(dir, "a"), nil, 0o600))
			return filepath.Join(dir, "a", "vault")
		}, "is not a folder"},
		{"group may read", func(t *testing.T, dir string) string { return write(t, dir, 1, 0o640) },
			"has mode 0640, so others could read the meter's keys: run chmod 600"},
		{"others may read", func(t *testing.T, dir string) string { return write(t, dir, 1, 0o604) }, "has mode 0604"},
		{"a folder", func(_ *testing.T, dir string) string { return dir }, "is not a file"},
		{"huge", func(t *testing.T, dir string) string { return write(t, dir, 256<<10+1, 0o600) }, "no vault has more than"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v, err := vault.Open(tt.make(t, t.TempDir()))
			if err == nil || v != nil {
				t.Fatal("vault was opened")
			}
			if !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q, want one line with %q", err, tt.want)
			}
		})
	}
}

// write makes a file of a size and, whatever the umask, a mode.
func write(t *testing.T, dir string, size int, mode os.FileMode) string {
	path := filepath.Join(dir, "vault")
	must(t, os.WriteFile(path, make([]byte, size), 0o600))
	must(t, os.Chmod(path, mode))
	return path
}

// A file that others got to read after Open is not loaded.
func TestLoadChecksAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vault")
	v, err := vault.Open(path)
	must(t, err)
	must(t, v.Save([]byte("state")))
	must(t, os.Chmod(path, 0o644))
	if _, err := v.Load(); err == nil {
		t.Error("loaded a file that others can read")
	}
}

func TestSaveFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	must(t, os.Mkdir(dir, 0o700))
	v, err := vault.Open(filepath.Join(dir, "vault"))
	must(t, err)
	must(t, os.Remove(dir))
	if err := v.Save([]byte("state")); err == nil || !strings.HasPrefix(err.Error(), "save vault: write ") {
		t.Errorf("saved into a folder that is gone: %v", err)
	}
	if err := v.Save(make([]byte, 256<<10+1)); err == nil {
		t.Error("saved more than Load reads")
	}
}

func ExampleOpen() {
	dir, err := os.MkdirTemp("", "meter")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	v, err := vault.Open(filepath.Join(dir, "vault"))
	if err != nil {
		panic(err)
	}
	if err := v.Save([]byte("state")); err != nil {
		panic(err)
	}
	b, err := v.Load()
	fmt.Println(string(b), err)
	// Output: state <nil>
}
