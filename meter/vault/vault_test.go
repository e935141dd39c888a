package vault_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
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
	v, err := vault.Open(path, key(t))
	must(t, err)
	if b, err := v.Load(); b != nil || err != nil {
		t.Fatalf("new vault holds %d bytes, error %v; want nil and none", len(b), err)
	}
	for _, content := range [][]byte{[]byte("first"), {}, bytes.Repeat([]byte("second "), 200)} {
		must(t, v.Save(content))
		again, err := vault.Open(path, key(t))
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
			v, err := vault.Open(tt.make(t, t.TempDir()), key(t))
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
	v, err := vault.Open(path, key(t))
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
	v, err := vault.Open(filepath.Join(dir, "vault"), key(t))
	must(t, err)
	must(t, os.Remove(dir))
	if err := v.Save([]byte("state")); err == nil || !strings.HasPrefix(err.Error(), "save vault: write ") {
		t.Errorf("saved into a folder that is gone: %v", err)
	}
	if err := v.Save(make([]byte, 256<<10+1)); err == nil {
		t.Error("saved more than Load reads")
	}
}

// A copy of the file tells nothing, and opens under its own key only.
func TestSealed(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "vault")
	v, err := vault.Open(path, key(t))
	must(t, err)
	secret := []byte("a key that nobody may see")
	must(t, v.Save(secret))
	content, err := os.ReadFile(path)
	must(t, err)
	if bytes.Contains(content, secret[:8]) {
		t.Error("the file shows the state")
	}
	other, err := vault.ParseKey(bytes.Repeat([]byte{2}, 32))
	must(t, err)
	stranger, err := vault.Open(path, other)
	must(t, err)
	if _, err := stranger.Load(); err == nil || !strings.Contains(err.Error(), "does not open with this device key") {
		t.Errorf("under another key: %v", err)
	}
	for at := range content {
		damaged := bytes.Clone(content)
		damaged[at] ^= 1
		must(t, os.WriteFile(path, damaged, 0o600))
		if _, err := v.Load(); err == nil {
			t.Fatalf("a change of byte %d is not noticed", at)
		}
		must(t, os.WriteFile(path, content[:at], 0o600))
		if _, err := v.Load(); err == nil {
			t.Fatalf("%d bytes of it open", at)
		}
	}
}

func key(t testing.TB) *vault.Key {
	t.Helper()
	k, err := vault.ParseKey(bytes.Repeat([]byte{1}, 32))
	must(t, err)
	return k
}

func TestKeyFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "device.key")
	if _, err := vault.LoadKey(path); err == nil || !strings.Contains(err.Error(), "make it with") {
		t.Errorf("no file: %v", err)
	}
	made, err := vault.LoadOrMakeKey(path)
	must(t, err)
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode().Perm() != 0o600 || info.Size() != 32 {
		t.Errorf("made a file of mode %04o and %d bytes", info.Mode().Perm(), info.Size())
	}
	v, err := vault.Open(filepath.Join(dir, "vault"), made)
	must(t, err)
	must(t, v.Save([]byte("state")))
	for name, load := range map[string]func(string) (*vault.Key, error){"load": vault.LoadKey, "load or make": vault.LoadOrMakeKey} {
		again, err := load(path)
		must(t, err)
		v, err := vault.Open(filepath.Join(dir, "vault"), again)
		must(t, err)
		if b, err := v.Load(); err != nil || string(b) != "state" {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	must(t, os.Chmod(path, 0o640))
	if _, err := vault.LoadKey(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a file that the group may read: %v", err)
	}
	must(t, os.Chmod(path, 0o600))
	for _, n := range []int{0, 31, 33} {
		must(t, os.WriteFile(path, make([]byte, n), 0o600))
		if _, err := vault.LoadKey(path); err == nil || !strings.Contains(err.Error(), "want 32") {
			t.Errorf("a file of %d bytes: %v", n, err)
		}
	}
}

// A maker may hand the key over through a pipe, so that it lies in no file.
func TestKeyFromAPipe(t *testing.T) {
	r, w, err := os.Pipe()
	must(t, err)
	defer r.Close()
	_, err = w.Write(bytes.Repeat([]byte{1}, 32))
	must(t, err)
	must(t, w.Close())
	if _, err := vault.LoadKey(fmt.Sprintf("/dev/fd/%d", r.Fd())); err != nil {
		t.Error(err)
	}
}

func TestKeyRedacts(t *testing.T) {
	k := key(t)
	asJSON, err := json.Marshal(k)
	must(t, err)
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("key", "key", k)
	for _, out := range []string{fmt.Sprintf("%v %+v %#v %x %d", k, k, k, k, k), string(asJSON), log.String()} {
		if !strings.Contains(out, "[secret]") || strings.Contains(out, "0101") || strings.Contains(out, "1 1") {
			t.Errorf("shown as %s", out)
		}
	}
}

func ExampleOpen() {
	dir, err := os.MkdirTemp("", "meter")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	key, err := vault.LoadOrMakeKey(filepath.Join(dir, "device.key"))
	if err != nil {
		panic(err)
	}
	v, err := vault.Open(filepath.Join(dir, "vault"), key)
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
