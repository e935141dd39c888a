package grid

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/record"
)

// isEngineLog tells whether a file is a log of the storage engine: a number and
// ".log".
func isEngineLog(name string) bool {
	_, err := strconv.ParseUint(strings.TrimSuffix(filepath.Base(name), ".log"), 10, 64)
	return err == nil && strings.HasSuffix(name, ".log")
}

// engineLogs adds the length of each write that an engine's logs hold, in their
// order. In which file a write is says nothing: the engine turns to a new one
// when its table in memory is full, and how much fits is left to chance, as the
// heights of a skip list are.
func (v view) engineLogs(t *testing.T, section, root string, paths []string) {
	t.Helper()
	for _, path := range paths { // by name, so by number
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		number, err := strconv.ParseUint(strings.TrimSuffix(filepath.Base(path), ".log"), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		folder, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			t.Fatal(err)
		}
		for r := newLogReader(record.NewReader, f, number); ; {
			n, err := nextLength(r)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			v.add(section, "write of %d bytes in %s", n, folder)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// newLogReader gives the engine's function a number of the engine's own type.
func newLogReader[N ~uint64](open func(io.Reader, N) *record.Reader, r io.Reader, number uint64) *record.Reader {
	return open(r, N(number))
}

func nextLength(r *record.Reader) (int64, error) {
	next, err := r.Next()
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(io.Discard, next)
	if err != nil {
		return n, fmt.Errorf("read a write: %w", err)
	}
	return n, nil
}
