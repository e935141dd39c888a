package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// The committed files are those that the generator writes: nobody edits them
// by hand, and the generator draws nothing at random.
func TestFilesAreGenerated(t *testing.T) {
	files, err := all().Files()
	if err != nil {
		t.Fatal(err)
	}
	present, err := filepath.Glob("../*.json")
	if err != nil || len(present) != len(files) {
		t.Errorf("%d files present, %d generated (%v)", len(present), len(files), err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Error(err)
		} else if !bytes.Equal(got, want) {
			t.Errorf("%s differs from what go generate ./vectors/wire writes", name)
		}
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	if err := write(dir); err != nil {
		t.Fatal(err)
	}
	if written, err := filepath.Glob(filepath.Join(dir, "*.json")); err != nil || len(written) == 0 {
		t.Errorf("wrote %d files (%v)", len(written), err)
	}
	if err := write(filepath.Join(dir, "absent")); err == nil {
		t.Error("a folder that does not exist is no error")
	}
}
