package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/internal/folder"
	"github.com/wattveil/wattveil/meter/ring"
	"github.com/wattveil/wattveil/meter/source"
)

// homes are what the meters of a process measure.
type homes struct {
	resolution wattveil.Resolution
	csv        *source.CSV // nil for simulated homes
}

const (
	simulated = "sim"
	csvPrefix = "csv:"
	simSeed   = 1

	beganFile   = "began"
	secondsADay = 24 * 60 * 60
)

// openHomes makes the source that is asked for, for a number of meters.
func openHomes(c runConfig, meters int) (*homes, error) {
	resolution, err := wattveil.NewResolution(c.Resolution)
	if err != nil {
		return nil, fmt.Errorf("--resolution: %w", err)
	}
	if c.Source == simulated {
		return &homes{resolution: resolution}, nil
	}
	path, ok := strings.CutPrefix(c.Source, csvPrefix)
	if !ok || path == "" {
		return nil, fmt.Errorf("--source %q: want sim or csv:FILE", c.Source)
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("--source: there is no file %s", path)
	}
	if err != nil {
		return nil, fmt.Errorf("--source: %w", err)
	}
	defer func() { _ = f.Close() }() // read only
	csv, err := source.ReadCSV(f, path, source.CSVOptions{})
	if err != nil {
		return nil, fmt.Errorf("--source: %w", err)
	}
	if len(csv.Columns) < meters {
		return nil, fmt.Errorf("--source: %s holds %d homes, there are %d meters", path, len(csv.Columns), meters)
	}
	return &homes{resolution: csv.Resolution, csv: csv}, nil
}

// load is what the i-th meter, which began at a Unix second, measures. A
// simulated home is the same whatever file the meter's record stands in. A
// measured one is moved by whole days, so that its first day is the one on
// which the meter began.
func (h *homes) load(i int, id wattveil.MeterID, began int64) source.Load {
	if h.csv == nil {
		return source.NewHousehold(simSeed, int(id>>33), time.UTC, h.resolution)
	}
	days := (began - h.csv.Start) / secondsADay
	return moved{inner: h.csv.Load(h.csv.Columns[i]), by: days * secondsADay}
}

// moved is a load that is shown later than it was measured.
type moved struct {
	inner source.Load
	by    int64 // seconds
}

// Energy implements source.Load.
func (m moved) Energy(start int64) (imp, exp wattveil.Wh, ok bool) {
	return m.inner.Energy(start - m.by)
}

// registers goes on where the ring ends, or begins at zero.
func (h *homes) registers(load source.Load, began int64, r *ring.Disk) (*source.Registers, error) {
	newest, ok, err := r.Newest()
	if err != nil {
		return nil, err
	}
	if !ok {
		return source.NewRegisters(load, h.resolution, began, 0, 0), nil
	}
	at := newest.Time - newest.Time%int64(h.resolution) // another resolution may be set since
	return source.NewRegisters(load, h.resolution, at, newest.Import, newest.Export), nil
}

// began is the Unix second at which a meter's registers began, which its
// folder keeps: at the first start the history ago, at a full interval.
func (h *homes) began(dir string, history time.Duration, now time.Time) (int64, error) {
	path := filepath.Join(dir, beganFile)
	b, err := os.ReadFile(path)
	if err == nil {
		at, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
		if err != nil || at < 0 {
			return 0, fmt.Errorf("%s holds no Unix second: remove it, and the registers begin anew", path)
		}
		return at, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	at := now.Add(-history).Truncate(h.resolution.Duration()).Unix()
	if at < 0 {
		return 0, fmt.Errorf("the clock shows %s: set it", now.UTC().Format(time.RFC3339))
	}
	return at, folder.WriteFile(path, strconv.AppendInt(nil, at, 10), 0o600)
}
