// Package realinput finds the real inputs of tests: homes, tariffs, prices and
// schemas that are not part of the project.
package realinput

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// Path is where a real input is, a file or a folder that is named with slashes.
// They are in the folder that WATTVEIL_DATA names, from the project's root on:
// ../shared/data unless set. A checkout without them skips the test; CI must
// have them.
func Path(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join(folder(t), filepath.FromSlash(name))
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) && os.Getenv("CI") == "" {
		t.Skipf("real input is absent; set WATTVEIL_DATA to its folder: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Read reads a real input.
func Read(t testing.TB, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(Path(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// folder has the real inputs. Tests run in the folder of their package.
func folder(t testing.TB) string {
	t.Helper()
	named := cmp.Or(os.Getenv("WATTVEIL_DATA"), filepath.FromSlash("../shared/data"))
	if filepath.IsAbs(named) {
		return named
	}
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			return filepath.Join(root, named)
		}
		above := filepath.Dir(root)
		if above == root {
			t.Fatal("no folder above the test has a go.mod")
		}
		root = above
	}
}
