package main

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/wattveil/wattveil/tariff"
	"github.com/wattveil/wattveil/utility/api"
)

const rfc3339 = time.RFC3339

// parsePeriod reads a month in a zone, or FROM/TO in dates there or in times.
func parsePeriod(text, zone string) (from, to time.Time, err error) {
	loc, err := tariff.LoadZone(zone)
	if err != nil {
		return from, to, fmt.Errorf("zone %q of the tariff: %w", zone, err)
	}
	bad := misusef("--period %q: want a month such as 2018-11, or FROM/TO with dates such as 2018-11-01 or times such as 2018-11-01T00:00:00+01:00", text)
	first, second, two := strings.Cut(text, "/")
	if !two {
		month, err := time.ParseInLocation("2006-01", text, loc)
		if err != nil {
			return from, to, bad
		}
		return month, month.AddDate(0, 1, 0), nil
	}
	for _, layout := range []string{time.DateOnly, rfc3339} {
		from, err = time.ParseInLocation(layout, first, loc)
		if err != nil {
			continue
		}
		if to, err = time.ParseInLocation(layout, second, loc); err != nil {
			return from, to, bad
		}
		if !from.Before(to) {
			return from, to, misusef("--period %q: it ends before it begins", text)
		}
		return from, to, nil
	}
	return from, to, bad
}

// sinks are the files that a billing run writes. They appear when all is in
// them.
type sinks struct {
	files []*sink
	json  *json.Encoder
	csv   *csv.Writer
}

type sink struct {
	path string
	file *os.File // under another name until kept
	*bufio.Writer
}

func (r *billRun) openSinks() (*sinks, error) {
	s := new(sinks)
	if r.jsonFile != "" {
		f, err := s.open("--json", r.jsonFile)
		if err != nil {
			return nil, err
		}
		s.json = json.NewEncoder(f)
	}
	if r.csvFile != "" {
		f, err := s.open("--csv", r.csvFile)
		if err != nil {
			return nil, errors.Join(err, s.discard())
		}
		s.csv = csv.NewWriter(f)
		return s, s.csv.Write([]string{
			"meter", "tariff", "from", "to", "currency", "kind", "band", "name", "quantity", "unit", "price", "amount",
		})
	}
	return s, nil
}

func (s *sinks) open(flag, path string) (*sink, error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	made := &sink{path: path, file: f, Writer: bufio.NewWriter(f)}
	s.files = append(s.files, made)
	return made, nil
}

// write writes a meter's outcome.
func (s *sinks) write(b api.MeterBill) error {
	if s.json != nil {
		if err := s.json.Encode(b); err != nil {
			return fmt.Errorf("--json: %w", err)
		}
	}
	if s.csv == nil || b.Document == nil {
		return nil
	}
	d := b.Document
	row := func(kind, band, name, quantity, unit, price, amount string) error {
		return s.csv.Write([]string{b.Meter, d.Tariff, d.From, d.To, d.Currency, kind, band, name, quantity, unit, price, amount})
	}
	for _, l := range d.Lines {
		if err := row(l.Kind, l.Band, l.Name, l.Quantity, l.Unit, l.Price, l.Amount); err != nil {
			return fmt.Errorf("--csv: %w", err)
		}
	}
	if err := row("total", "", "", "", "", "", d.Total); err != nil {
		return fmt.Errorf("--csv: %w", err)
	}
	return nil
}

// keep gives the files their names.
func (s *sinks) keep() error {
	if s.csv != nil {
		s.csv.Flush()
		if err := s.csv.Error(); err != nil {
			return fmt.Errorf("--csv: %w", err)
		}
	}
	for len(s.files) > 0 {
		f := s.files[0]
		if err := errors.Join(f.Flush(), f.file.Sync(), f.file.Close(), os.Rename(f.file.Name(), f.path)); err != nil {
			return fmt.Errorf("write %s: %w", f.path, err)
		}
		s.files = s.files[1:]
	}
	return nil
}

// discard removes what was not kept.
func (s *sinks) discard() error {
	var failures []error
	for _, f := range s.files {
		_ = f.file.Close() // it may be closed
		failures = append(failures, os.Remove(f.file.Name()))
	}
	s.files = nil
	return errors.Join(failures...)
}

// printLine prints a value as one line of JSON.
func printLine(out io.Writer, v any) error { return json.NewEncoder(out).Encode(v) }

// printBill prints a bill for a person.
func printBill(out io.Writer, b api.MeterBill) error {
	if b.Document == nil {
		_, err := fmt.Fprintf(out, "bill of meter %s is not valid: %s\n\n", b.Meter, b.Reason)
		return err
	}
	d := b.Document
	rows := [][]string{
		{"meter", b.Meter}, {"from", d.From}, {"to", d.To}, {"tariff", d.Tariff},
		{"imported", d.ImportKWh + " kWh"}, {"exported", d.ExportKWh + " kWh"},
	}
	for _, l := range d.Lines {
		what := strings.TrimSpace(strings.Join([]string{l.Kind, l.Band, l.Name}, " "))
		rows = append(rows, []string{what, fmt.Sprintf("%s %s at %s = %s %s", l.Quantity, l.Unit, orDash(l.Price), l.Amount, d.Currency)})
	}
	if err := printTable(out, append(rows, []string{"total", d.Total + " " + d.Currency})...); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out)
	return err
}
