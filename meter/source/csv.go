package source

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/wattveil/wattveil"
)

// maxLine is the longest line of a file, in bytes; it fits 100,000 homes.
const maxLine = 4 << 20

// CSVOptions says how to read a file and how much of it. The zero value reads
// all of a file whose times are UTC.
type CSVOptions struct {
	// Location is the zone of the file's local times; nil means UTC.
	Location *time.Location
	// Columns names the homes to keep, in the order in which [CSV] lists them;
	// empty keeps all in the file's order. Values of other columns are not
	// looked at.
	Columns []string
	// Days keeps the first Days × 24 h; 0 keeps all. What follows them is not
	// looked at. A file that holds fewer is an error.
	Days int
	// Fine accepts up to nine decimals. Each column's running sums of import and
	// export are then rounded to Wh, half up, as a register would show them, so
	// that no energy is lost however small the values are.
	Fine bool
}

// CSV is the intervals of many homes, read from a wide file. It does not change
// after [ReadCSV], so any number of goroutines may use it and its loads.
type CSV struct {
	Columns    []string            // the homes kept
	Resolution wattveil.Resolution // found from the file
	Start      int64               // beginning of the first interval, Unix seconds, UTC
	End        int64               // end of the last interval, Unix seconds, UTC
	Intervals  int                 // of each home
	Rounded    int                 // values finer than a Wh, where that was accepted

	name string
	// values holds Wh row by row, so that the meters of one process, which all
	// read the same interval, read neighbouring memory. 4 bytes hold ±1 GWh.
	values []int32
}

// ReadCSV reads a wide CSV file of measured homes; name is what errors call it.
//
// The first line is a header. The first column holds the local time at which an
// interval starts, as 2006-01-02T15:04 or 2006-01-02 15:04, with or without
// seconds; every other column is a home and holds kWh in the interval with at
// most three decimals, unless [CSVOptions.Fine] says otherwise, import positive,
// export negative. Values are read exactly, digit by digit. A field may stand in double quotes. A byte order
// mark, CRLF, spaces around a field and empty lines at the end are accepted.
//
// The length of the interval is found from the first two rows and divides an
// hour. Rows must follow each other without gap on one grid in UTC: local times
// skip the hour that a clock change skips, and where a clock change repeats an
// hour the rows of its second pass follow those of the first. Times lie between
// 1970 and 2106, as they do on the wire.
//
// An error is one line that names the file, the line, the column, what is wrong
// and what to do. Only readers' own errors are wrapped.
func ReadCSV(r io.Reader, name string, o CSVOptions) (*CSV, error) {
	p := newCSVParser(r, name, o)
	if o.Days < 0 {
		return nil, p.fileError("%d days asked for; ask for 1 or more, or 0 for all", o.Days)
	}
	if err := p.readHeader(o.Columns); err != nil {
		return nil, err
	}
	p.left = make([]remainder, len(p.wanted))
	if o.Fine {
		p.decimals = fineDecimals
	}
	for !p.enough(o.Days) {
		more, err := p.readRow()
		if err != nil {
			return nil, err
		}
		if !more {
			break
		}
	}
	return p.finish(o.Days)
}

// Load is the load of a column, nil if c does not hold it. The loads of
// different goroutines may come from one CSV.
func (c *CSV) Load(column string) Load {
	for i, name := range c.Columns {
		if name == column {
			return csvLoad{csv: c, column: i}
		}
	}
	return nil
}

// String sums up what was read, without energy.
func (c *CSV) String() string {
	return fmt.Sprintf("%s: %d homes, %d intervals of %v from %s",
		c.name, len(c.Columns), c.Intervals, c.Resolution, stamp(c.Start))
}

// Format writes [CSV.String] under every verb, so that no energy is printed.
func (c CSV) Format(f fmt.State, _ rune) { writeState(f, c.String()) }

// csvLoad is one column.
type csvLoad struct {
	csv    *CSV
	column int
}

func (l csvLoad) Energy(start int64) (imp, exp wattveil.Wh, ok bool) {
	c := l.csv
	if start < c.Start || start >= c.End || (start-c.Start)%int64(c.Resolution) != 0 {
		return 0, 0, false
	}
	row := int((start - c.Start) / int64(c.Resolution))
	v := wattveil.Wh(c.values[row*len(c.Columns)+l.column])
	if v < 0 {
		return 0, -v, true
	}
	return v, 0, true
}

// Format names the column, so that no energy is printed.
func (l csvLoad) Format(f fmt.State, _ rune) {
	writeState(f, l.csv.name+", column "+l.csv.Columns[l.column])
}

// csvParser reads one file. The line that it is at is in line, its fields in
// fields; both are overwritten by the next line.
type csvParser struct {
	name    string
	scan    *bufio.Scanner
	line    int
	fields  [][]byte
	header  []string
	wanted  []int // the fields to keep, in order
	columns []string
	grid    grid
	values  []int32

	decimals int         // the most that a value may have
	left     []remainder // of each wanted column
	rounded  int
}

func newCSVParser(r io.Reader, name string, o CSVOptions) *csvParser {
	p := &csvParser{name: name, scan: bufio.NewScanner(r), grid: grid{loc: o.Location}, decimals: whDecimals}
	if p.grid.loc == nil {
		p.grid.loc = time.UTC
	}
	p.scan.Buffer(make([]byte, 0, 64<<10), maxLine)
	return p
}

// readLine steps to the next line; more is false at the end of the file.
func (p *csvParser) readLine() (line []byte, more bool, err error) {
	if p.scan.Scan() {
		p.line++
		return p.scan.Bytes(), true, nil
	}
	if err := p.scan.Err(); err == bufio.ErrTooLong {
		p.line++
		return nil, false, p.lineError("is longer than %d MiB; put one interval on a line, and split the homes over several files", maxLine>>20)
	} else if err != nil {
		return nil, false, fmt.Errorf("read %s after line %d: %w", p.name, p.line, err)
	}
	return nil, false, nil
}

// readRow reads one interval; more is false where the file has ended.
func (p *csvParser) readRow() (more bool, err error) {
	line, more, err := p.readLine()
	if !more || err != nil {
		return false, err
	}
	if len(bytes.TrimSpace(line)) == 0 {
		return false, p.expectEnd()
	}
	if p.fields, err = splitLine(p.fields, line); err != nil {
		return false, p.lineError("has misplaced quotes (%v); quote whole fields only", err)
	}
	if len(p.fields) != len(p.header) {
		return false, p.lineError("has %d fields where the header has %d; give each home one value, with a decimal point",
			len(p.fields), len(p.header))
	}
	wall, ok := parseWall(p.fields[0])
	if !ok {
		return false, p.fieldError(0, "%s is no local time; write it as 2006-01-02T15:04, without a zone", quote(p.fields[0]))
	}
	if err := p.grid.add(wall); err != nil {
		return false, p.fieldError(0, "%v", err)
	}
	for column, i := range p.wanted {
		fine, err := parseKWh(p.fields[i], p.decimals)
		if err != nil {
			return false, p.fieldError(i, "%v", err)
		}
		if fine%fineWh != 0 {
			p.rounded++
		}
		p.values = append(p.values, p.left[column].round(fine))
	}
	return true, nil
}

// expectEnd accepts empty lines if nothing else follows them.
func (p *csvParser) expectEnd() error {
	empty := p.line
	for {
		line, more, err := p.readLine()
		if !more || err != nil {
			return err
		}
		if len(bytes.TrimSpace(line)) > 0 {
			p.line = empty
			return p.lineError("is empty but rows follow; delete it")
		}
	}
}

// enough tells that the rows read fill the days asked for.
func (p *csvParser) enough(days int) bool {
	if days == 0 || p.grid.rows < 2 {
		return false
	}
	perDay := int(day) / int(p.grid.fits[0].res)
	return p.grid.rows/perDay >= days
}

func (p *csvParser) finish(days int) (*CSV, error) {
	switch {
	case p.grid.rows == 0:
		return nil, p.fileError("has a header and no rows; add one row for each interval")
	case p.grid.rows == 1:
		return nil, p.fileError("has one row; two are needed to find the length of the interval")
	}
	if fit := p.grid.fits[0]; days > 0 && !p.enough(days) {
		have := p.grid.rows / (int(day) / int(fit.res))
		return nil, p.fileError("holds %d whole days (%d intervals of %v), %d asked for; ask for no more, or for 0 to keep all",
			have, p.grid.rows, fit.res, days)
	}
	fit := p.grid.fits[0]
	return &CSV{
		Columns:    p.columns,
		Resolution: fit.res,
		Start:      fit.start,
		End:        fit.at(p.grid.rows),
		Intervals:  p.grid.rows,
		Rounded:    p.rounded,
		name:       p.name,
		values:     p.values,
	}, nil
}

func (p *csvParser) fileError(format string, args ...any) error {
	return fmt.Errorf("read %s: %s", p.name, fmt.Sprintf(format, args...))
}

func (p *csvParser) lineError(format string, args ...any) error {
	return fmt.Errorf("read %s: line %d %s", p.name, p.line, fmt.Sprintf(format, args...))
}

// fieldError is about the field with index i of the line that p is at.
func (p *csvParser) fieldError(i int, format string, args ...any) error {
	return fmt.Errorf("read %s: line %d, column %d (%s): %s",
		p.name, p.line, i+1, p.header[i], fmt.Sprintf(format, args...))
}

// maxTime is the last Unix second that a reading's four bytes of time hold.
const maxTime = math.MaxUint32
