package sealed

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func load(t *testing.T, path string) *Key {
	t.Helper()
	k, err := LoadKey(path)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestSeal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	k := load(t, path)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 || info.Size() != KeySize {
		t.Errorf("the key file: %v, %v", info, err)
	}
	for _, plain := range []string{"", "secret", strings.Repeat("x", 10_000)} {
		sealed := k.Seal("meter/1/s", []byte(plain))
		if plain != "" && bytes.Contains(sealed, []byte(plain)) {
			t.Error("the sealed value shows the plain one")
		}
		if bytes.Equal(sealed, k.Seal("meter/1/s", []byte(plain))) {
			t.Error("sealing twice gives the same bytes")
		}
		got, err := load(t, path).Open("meter/1/s", sealed) // after a restart
		if err != nil || string(got) != plain {
			t.Errorf("opened %q, %v", got, err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	k, other := load(t, filepath.Join(dir, "key")), load(t, filepath.Join(dir, "other"))
	sealed := k.Seal("meter/1/s", []byte("secret"))
	refused := func(what string, k *Key, context string, b []byte) {
		t.Helper()
		if got, err := k.Open(context, b); !errors.Is(err, ErrOpen) || got != nil {
			t.Errorf("%s: %q, %v", what, got, err)
		}
	}
	refused("another context", k, "meter/2/s", sealed)
	refused("no context", k, "", sealed)
	refused("another key", other, "meter/1/s", sealed)
	refused("a byte more", k, "meter/1/s", append(bytes.Clone(sealed), 0))
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		refused("a changed byte", k, "meter/1/s", changed)
		refused("cut", k, "meter/1/s", sealed[:i])
	}
}

func TestLoadKeyRefuses(t *testing.T) {
	for _, test := range []struct {
		name string
		make func(path string) error
		want string
	}{
		{"short", func(p string) error { return os.WriteFile(p, make([]byte, KeySize-1), 0o600) }, "has 31 bytes"},
		{"long", func(p string) error { return os.WriteFile(p, make([]byte, KeySize+1), 0o600) }, "has 33 bytes"},
		{"readable by others", func(p string) error { return os.WriteFile(p, make([]byte, KeySize), 0o644) }, "chmod 600"},
		{"a folder", func(p string) error { return os.Mkdir(p, 0o700) }, "is a directory"},
	} {
		path := filepath.Join(t.TempDir(), "key")
		if err := test.make(path); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadKey(path); err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}
