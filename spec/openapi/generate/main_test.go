package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// A run writes the committed files, byte for byte.
func TestRunWritesTheCommittedFiles(t *testing.T) {
	dir := t.TempDir()
	if err := run(dir); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob("../*.json")
	if err != nil || len(names) == 0 {
		t.Fatalf("found %d committed files: %v", len(names), err)
	}
	written, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(written) != len(names) {
		t.Fatalf("wrote %d files, %d are committed: %v", len(written), len(names), err)
	}
	for _, name := range names {
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(dir, filepath.Base(name)))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs from what the generator writes: run go generate ./spec/openapi", name)
		}
	}
}
