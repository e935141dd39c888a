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
	"strconv"
	"strings"
	"time"

	"github.com/wattveil/wattveil/bill"
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
	files   []*sink
	json    *json.Encoder
	csv     *csv.Writer
	refused *sink
	last    string // meter in refused
}

type sink struct {
	path string
	file *os.File // under another name until kept
	*bufio.Writer
}

func (r *billRun) openSinks() (s *sinks, err error) {
	s = new(sinks)
	defer func() {
		if err != nil {
			err = errors.Join(err, s.discard())
		}
	}()
	if r.jsonFile != "" {
		f, err := s.open("--json", r.jsonFile)
		if err != nil {
			return nil, err
		}
		s.json = json.NewEncoder(f)
		s.json.SetEscapeHTML(false)
	}
	if r.csvFile != "" {
		f, err := s.open("--csv", r.csvFile)
		if err != nil {
			return nil, err
		}
		s.csv = csv.NewWriter(f)
		s.csv.UseCRLF = true // RFC 4180
		if err := s.csv.Write(billColumns()); err != nil {
			return nil, fmt.Errorf("--csv: %w", err)
		}
	}
	if r.refusedFile != "" {
		if s.refused, err = s.open("--refused", r.refusedFile); err != nil {
			return nil, err
		}
		fmt.Fprintln(s.refused, "# Meters without a bill. A line that begins with # says why the meter after it has none.")
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
	if s.refused != nil && b.Class != "" && b.Meter != s.last { // one that has moved may lack several bills
		s.last = b.Meter
		reason := oneLine(errors.New(strings.TrimSpace(b.Class + " " + b.Rule + ": " + b.Reason)))
		if _, err := fmt.Fprintf(s.refused, "# %s\n%s\n", reason, b.Meter); err != nil {
			return fmt.Errorf("--refused: %w", err)
		}
	}
	if s.csv == nil || b.Document == nil {
		return nil
	}
	if err := s.csv.WriteAll(billRows(b)); err != nil {
		return fmt.Errorf("--csv: %w", err)
	}
	return nil
}

// billColumns are the columns of the lines of bills (spec/billing.md).
func billColumns() []string {
	return []string{
		"bill", "corrects", "meter", "tariff", "from", "to", "timezone", "currency",
		"kind", "band", "name", "tier", "month", "minutes", "share", "note", "on", "series",
		"quantity", "unit", "price", "amount", "withheld",
	}
}

// billRows are the lines of a bill and its total.
func billRows(b api.MeterBill) [][]string {
	d := b.Document
	row := func(cells ...string) []string {
		return append([]string{bill.HashOf(b.JWS).String(), d.Corrects, b.Meter, d.Tariff, d.From, d.To, d.Timezone, d.Currency}, cells...)
	}
	var rows [][]string
	for _, l := range d.Lines {
		rows = append(rows, row(l.Kind, l.Band, l.Name, orNothing(l.Tier), l.Month, orNothing(l.Minutes), l.Share, l.Note, l.On, l.Series,
			l.Quantity, l.Unit, l.Price, l.Amount, l.Withheld))
	}
	return append(rows, row("total", "", "", "", "", "", "", "", "", "", "", "", "", d.Total, ""))
}

func orNothing(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
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
	var s strings.Builder
	fmt.Fprintf(&s, "Meter     %s\nBill      %s\n", b.Meter, bill.HashOf(b.JWS))
	if err := b.Document.WriteText(&s); err != nil {
		return fmt.Errorf("print bill: %w", err)
	}
	s.WriteByte('\n')
	_, err := io.WriteString(out, s.String())
	return err
}
