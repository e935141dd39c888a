// Package columns reads CSV files (RFC 4180) by the names of their columns. It
// says of everything that is wrong in which line it is.
package columns

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Limits of a file. They are far above what a utility of a million meters has.
const (
	maxRows  = 4 << 20
	maxBytes = 1 << 30
	maxField = 4096
)

// Row is a line of the file. Its cells are trimmed of spaces.
type Row struct {
	Line  int
	names []string // of the columns that the reader knows
	cells []string // in the order of names; empty where the file has no such column
}

// Get is the cell of a column that Read was told of.
func (r Row) Get(name string) string { return r.cells[slices.Index(r.names, name)] }

// Errorf is an error that says in which line it is.
func (r Row) Errorf(format string, args ...any) error {
	return fmt.Errorf("line %d: %w", r.Line, fmt.Errorf(format, args...))
}

// Read reads the rows of a file and gives them to do. The first line names the
// columns, in any order; further columns are passed over. A byte order mark
// before it is, too.
func Read(in io.Reader, required, optional []string, do func(Row) error) error {
	limited := &io.LimitedReader{R: in, N: maxBytes}
	buffered := bufio.NewReader(limited)
	if mark, err := buffered.Peek(3); err == nil && string(mark) == "\uFEFF" {
		_, _ = buffered.Discard(3) // it was just seen
	}
	lines := csv.NewReader(buffered)
	lines.ReuseRecord = true
	header, err := lines.Read()
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("it is empty: want a first line with the columns %s", strings.Join(required, ","))
	}
	if err != nil {
		return explain(err)
	}
	row := Row{names: slices.Concat(required, optional)}
	places, err := row.places(header, len(required))
	if err != nil {
		return fmt.Errorf("line 1: %w", err)
	}
	for n := 0; ; n++ {
		record, err := lines.Read()
		if errors.Is(err, io.EOF) && limited.N > 0 {
			return nil
		}
		if n == maxRows || limited.N <= 0 {
			return fmt.Errorf("it is too long: at most %d rows and %d bytes are read", maxRows, maxBytes)
		}
		if err != nil {
			return explain(err)
		}
		row.Line, _ = lines.FieldPos(0)
		if err := row.fill(record, places); err != nil {
			return err
		}
		if err := do(row); err != nil {
			return err
		}
	}
}

// places tells where in the file each column is, -1 for nowhere.
func (r *Row) places(header []string, required int) ([]int, error) {
	for i := range header {
		header[i] = strings.TrimSpace(header[i])
	}
	places := make([]int, len(r.names))
	for i, name := range r.names {
		places[i] = slices.Index(header, name)
		switch {
		case places[i] < 0 && i < required:
			return nil, fmt.Errorf("there is no column %q: want the columns %s, separated by commas", name, strings.Join(r.names[:required], ","))
		case places[i] >= 0 && slices.Contains(header[places[i]+1:], name):
			return nil, fmt.Errorf("column %q is there twice", name)
		}
	}
	return places, nil
}

func (r *Row) fill(record []string, places []int) error {
	r.cells = make([]string, len(places))
	for i, at := range places {
		if at < 0 {
			continue
		}
		if len(record[at]) > maxField {
			return r.Errorf("column %q has %d bytes, at most %d are possible", r.names[i], len(record[at]), maxField)
		}
		r.cells[i] = strings.TrimSpace(record[at])
	}
	return nil
}

// explain says what is wrong in the words of this package.
func explain(err error) error {
	var wrong *csv.ParseError
	if !errors.As(err, &wrong) {
		return err
	}
	if errors.Is(err, csv.ErrFieldCount) {
		return fmt.Errorf("line %d: it has another number of columns than the first line", wrong.Line)
	}
	return fmt.Errorf("line %d, column %d: %w", wrong.Line, wrong.Column, wrong.Err)
}
