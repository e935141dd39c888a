package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/provision"
)

const (
	maxRecord  = 64 << 10
	maxRecords = 100_000
)

// readRecords reads the first count provisioning records of a file, or all of
// them if count is 0.
func readRecords(path string, count int) ([]provision.Record, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("--provision: there is no file %s", path)
	}
	if err != nil {
		return nil, fmt.Errorf("--provision: %w", err)
	}
	defer func() { _ = f.Close() }() // read only
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, fmt.Errorf("--provision: %w", err)
	case info.IsDir():
		return nil, fmt.Errorf("--provision: %s is a folder", path)
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("--provision: %s has mode %04o, so others could read the meters' secrets: run chmod 600 %s, and have the meters provisioned anew if somebody may have",
			path, info.Mode().Perm(), path)
	}
	records, err := scanRecords(bufio.NewScanner(f), path, count)
	switch {
	case err != nil:
		return nil, err
	case len(records) == 0:
		return nil, fmt.Errorf("--provision: %s holds no record", path)
	case len(records) < count:
		return nil, fmt.Errorf("--provision: %s holds %d records, --count asks for %d", path, len(records), count)
	}
	return records, nil
}

func scanRecords(lines *bufio.Scanner, path string, count int) (records []provision.Record, err error) {
	lines.Buffer(nil, maxRecord)
	seen := make(map[wattveil.MeterID]int)
	for n := 1; lines.Scan() && (count == 0 || len(records) < count); n++ {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		r, err := provision.Parse(line)
		if err != nil {
			return nil, fmt.Errorf("--provision: %s, line %d: %w", path, n, err)
		}
		if first, twice := seen[r.Meter]; twice {
			return nil, fmt.Errorf("--provision: %s, line %d: meter %v stands in line %d already", path, n, r.Meter, first)
		}
		if len(records) == maxRecords {
			return nil, fmt.Errorf("--provision: %s holds more than %d records", path, maxRecords)
		}
		seen[r.Meter] = n
		records = append(records, r)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("--provision: %s: %w", path, err)
	}
	return records, nil
}
