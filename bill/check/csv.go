package check

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/vee"
)

// The first lines of the files of readings (spec/bill.md section 10). They tell
// what a file holds.
const (
	meterHeader     = "time,import_register_wh,export_register_wh,seconds,import_wh,export_wh,flags"
	ttpHeader       = "series,time,import_register_wh,export_register_wh,flags"
	intervalsHeader = "start,seconds,import_wh,export_wh,quality"
)

// MaxReadings bounds a file of readings: a year and more of one minute.
const MaxReadings = 64 << 20

// firstSeries is that of a meter's own readings, which are all of one.
const firstSeries = 1

// ParseReadings reads a file of readings: what `wattveil-meter export` writes,
// or an export of the portal's. An error names the line and no energy.
func ParseReadings(data []byte) (Readings, error) {
	if len(data) > MaxReadings {
		return Readings{}, fmt.Errorf("readings: %d bytes, at most %d are allowed", len(data), MaxReadings)
	}
	first, rest, _ := bytes.Cut(data, []byte("\n"))
	p := rowParser{}
	var row func(fields []string) error
	switch string(bytes.TrimSuffix(first, []byte("\r"))) {
	case meterHeader:
		p.out.source, row = Meter, p.meterRow
	case ttpHeader:
		p.out.source, row = TTP, p.ttpRow
	case intervalsHeader:
		p.out.source, row = Intervals, p.intervalRow
	default:
		return Readings{}, errors.New("readings: the first line is not that of an export of wattveil-meter or of the portal")
	}
	fields := strings.Count(string(first), ",") + 1
	for number := 2; len(rest) > 0; number++ {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte("\n"))
		cells := strings.Split(string(bytes.TrimSuffix(line, []byte("\r"))), ",")
		if len(cells) != fields {
			return Readings{}, fmt.Errorf("readings: line %d has %d fields, want %d", number, len(cells), fields)
		}
		if err := row(cells); err != nil {
			return Readings{}, fmt.Errorf("readings: line %d: %w", number, err)
		}
	}
	if p.rows == 0 {
		return Readings{}, errors.New("readings: there are none in the file")
	}
	return p.out, nil
}

// rowParser reads the rows of one file.
type rowParser struct {
	out    Readings
	rows   int
	before wattveil.Reading // of a meter's export
	err    error            // of the row's fields
}

// meterRow is a register, and the energy since the row before, which follows
// from the registers unless the export began later.
func (p *rowParser) meterRow(f []string) error {
	p.err = nil
	r := wattveil.Reading{Time: p.time(f[0]), Import: p.register(f[1]), Export: p.register(f[2]), Status: p.flags(f[6])}
	derived := f[3] != "" || f[4] != "" || f[5] != ""
	var since [3]int64
	if derived {
		for i := range since {
			since[i] = p.number(f[3+i], wattveil.RegisterModulus-1)
		}
	}
	if p.err != nil {
		return p.err
	}
	if derived && p.rows > 0 && (since[0] != r.Time-p.before.Time ||
		since[1] != int64(r.Import.Since(p.before.Import)) || since[2] != int64(r.Export.Since(p.before.Export))) {
		return errors.New("the energy since the line before is not the difference of the registers")
	}
	if p.rows > 0 && r.Time <= p.before.Time {
		return errors.New("the time is not after that of the line before")
	}
	p.before = r
	p.reading(firstSeries, r)
	return nil
}

func (p *rowParser) ttpRow(f []string) error {
	p.err = nil
	series := wattveil.Series(p.number(f[0], 1<<32-1))
	r := wattveil.Reading{Time: p.time(f[1]), Import: p.register(f[2]), Export: p.register(f[3]), Status: p.flags(f[4])}
	if p.err == nil {
		p.reading(series, r)
	}
	return p.err
}

func (p *rowParser) reading(series wattveil.Series, r wattveil.Reading) {
	p.rows++
	i, found := slices.BinarySearchFunc(p.out.runs, series, func(run vee.Run, s wattveil.Series) int { return cmp.Compare(run.Series, s) })
	if !found {
		p.out.runs = slices.Insert(p.out.runs, i, vee.Run{Series: series})
	}
	p.out.runs[i].Readings = append(p.out.runs[i].Readings, r)
}

func (p *rowParser) intervalRow(f []string) error {
	p.err = nil
	start, length := p.time(f[0]), p.number(f[1], 3600)
	i := vee.Interval{
		Interval: wattveil.Interval{Start: start, End: start + length, Import: p.energy(f[2]), Export: p.energy(f[3])},
		Quality:  vee.Quality(p.number(f[4], 255)),
	}
	if p.err != nil {
		return p.err
	}
	if length == 0 {
		return errors.New("the interval has no length")
	}
	if n := len(p.out.intervals); n > 0 && start < p.out.intervals[n-1].End {
		return errors.New("the interval begins before the one before it ends")
	}
	p.rows++
	p.out.intervals = append(p.out.intervals, i)
	return nil
}

func (p *rowParser) register(s string) wattveil.Register {
	return wattveil.Register(p.number(s, wattveil.RegisterModulus-1))
}

func (p *rowParser) energy(s string) wattveil.Wh {
	return wattveil.Wh(p.number(s, wattveil.RegisterModulus-1))
}

// number reads a whole number from 0 on, in its one form.
func (p *rowParser) number(s string, most int64) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > most || strconv.FormatInt(n, 10) != s {
		p.fail("a field is not a whole number from 0 to %d", most)
	}
	return n
}

// lastTime is the end of 2^33 Unix seconds, in 2242, where package vee stops.
const lastTime = 1 << 33

func (p *rowParser) time(s string) int64 {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || t.UTC().Format(time.RFC3339) != s || t.Unix() < 0 || t.Unix() > lastTime {
		p.fail("time %.30q is not one like 2026-03-01T00:15:00Z", s)
		return 0
	}
	return t.Unix()
}

// flags reads what a meter reports with a reading.
func (p *rowParser) flags(s string) wattveil.Status {
	status, err := wattveil.ParseStatus(s)
	if err != nil {
		p.fail("%w", err)
	}
	return status
}

func (p *rowParser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
}
