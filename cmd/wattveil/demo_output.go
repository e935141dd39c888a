package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/wattveil/wattveil/internal/folder"
	"github.com/wattveil/wattveil/internal/grid"
)

// folder is where the parties' folders go, and what to do with it at the end.
func (d *demo) folder() (string, func(), error) {
	if d.dir == "" {
		dir, err := os.MkdirTemp("", "wattveil-demo-")
		if err != nil {
			return "", nil, fmt.Errorf("temporary folder: %w; name one with --data", err)
		}
		return dir, func() { _ = os.RemoveAll(dir) }, nil
	}
	if err := checkEmpty(d.dir); err != nil {
		return "", nil, fmt.Errorf("--data: %w", err)
	}
	lock, err := folder.Open(d.dir)
	if err != nil {
		return "", nil, fmt.Errorf("--data: %w", err)
	}
	return d.dir, func() { _ = lock.Close() }, nil
}

// checkEmpty refuses a folder with anything in it but the lock that a demo
// leaves which ended before it began.
func checkEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil // not there, or for folder.Open to explain
	}
	for _, e := range entries {
		if e.Name() != "lock" {
			return fmt.Errorf("folder %s is not empty; the demo begins anew each time, so name an empty one", dir)
		}
	}
	return nil
}

// checkReport finds out whether the report can be written before there is one.
func (d *demo) checkReport(dir string) error {
	if d.report == "" {
		return nil
	}
	if err := checkReportFile(d.report, dir); err != nil {
		return fmt.Errorf("--report %s: %w", d.report, err)
	}
	return nil
}

func checkReportFile(file, dir string) error {
	inside, err := below(dir, filepath.Dir(file))
	if err != nil {
		return err
	}
	if inside {
		return errors.New("this is a party's folder, and no party may see the report; choose another")
	}
	if info, err := os.Lstat(file); err == nil && !info.Mode().IsRegular() {
		return errors.New("is there and is no regular file; choose another name")
	}
	parent := filepath.Dir(file)
	if _, err := os.Stat(parent); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no folder %s; make it or choose another", parent)
	}
	probe, err := os.CreateTemp(parent, ".wattveil-report-")
	if err != nil {
		return fmt.Errorf("folder %s cannot be written: %w; choose another or change its owner", parent, err)
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// below tells whether a path leads into a folder of dir; dir itself is none.
func below(dir, path string) (bool, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return false, err
	}
	if path, err = filepath.Abs(path); err != nil {
		return false, err
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	return strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/"), nil
}

func (d *demo) writeReport(r *grid.Report) error {
	if d.report == "" {
		return nil
	}
	content, err := r.JSON()
	if err != nil {
		return fmt.Errorf("--report: %w", err)
	}
	if err := folder.WriteFile(d.report, append(content, '\n'), 0o600); err != nil {
		return fmt.Errorf("--report: %w", err)
	}
	return nil
}
