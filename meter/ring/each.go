package ring

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/wattveil/wattveil"
)

// Each calls f with every reading in a ring's folder, oldest first, and tells
// how many in between do not read. It changes nothing and may be called while
// another process uses the ring: what that one is writing just then is not
// seen.
func Each(dir string, f func(wattveil.Reading) error) (damaged int, err error) {
	segments, err := list(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("read ring: folder %s does not exist; has the meter run in this data folder?", dir)
	}
	if err != nil {
		return 0, fmt.Errorf("read ring %s: %w", dir, err)
	}
	skipped := 0 // that count only if another reading follows
	for _, s := range segments {
		records, err := readAll(segmentPath(dir, s.first), s.count)
		if err != nil {
			return damaged, fmt.Errorf("read ring %s: %w", dir, err)
		}
		for n := s.first; len(records) > 0; n, records = n+1, records[recordSize:] {
			r, ok := decode(n, records)
			if !ok {
				skipped++
				continue
			}
			damaged, skipped = damaged+skipped, 0
			if err := f(r); err != nil {
				return damaged, err
			}
		}
	}
	return damaged, nil
}

// readAll reads as many records as there are, at most count.
func readAll(path string, count uint64) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // dropped meanwhile
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	b := make([]byte, count*recordSize)
	n, err := f.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return b[:n-n%recordSize], nil
}
