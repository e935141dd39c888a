// Package reconcile compares what a utility's own meters at its feeders have
// counted with the bills of the meters behind them. What is left is losses,
// and what nobody has paid for.
//
// It has the totals of bills alone: import_kwh and export_kwh, which the
// utility knows anyway.
package reconcile

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/internal/columns"
	"github.com/wattveil/wattveil/tariff"
)

// Feeder is what a feeder has counted in a period.
type Feeder struct {
	Name   string
	Energy tariff.Decimal // kWh that came from the grid, less what went back
	until  time.Time      // end of the rows that were read
	line   int            // of the last one
}

// ReadFeeders reads the feeders' CSV file: columns feeder, from, to and
// import_kwh, and if there is any export_kwh. Rows of other periods are passed
// over; those of a feeder within the period must follow one another from its
// start to its end. A date is the midnight at which it begins, in the zone of
// the period.
func ReadFeeders(in io.Reader, from, to time.Time) ([]Feeder, error) {
	f := feederFile{from: from, to: to, place: make(map[string]int)}
	if err := columns.Read(in, []string{"feeder", "from", "to", "import_kwh"}, []string{"export_kwh"}, f.row); err != nil {
		return nil, err
	}
	for _, l := range f.list {
		if !l.until.Equal(to) {
			return nil, fmt.Errorf("line %d: the rows of feeder %s end at %s, the period at %s", l.line, l.Name, f.text(l.until), f.text(to))
		}
	}
	if len(f.list) == 0 {
		return nil, fmt.Errorf("no row is of the period from %s to %s", f.text(from), f.text(to))
	}
	slices.SortFunc(f.list, func(a, b Feeder) int { return cmp.Compare(a.Name, b.Name) })
	return f.list, nil
}

// feederFile is what was read of one.
type feederFile struct {
	from, to time.Time
	list     []Feeder
	place    map[string]int // in list, by name
}

// text writes a time by the clock of the period.
func (f *feederFile) text(t time.Time) string { return t.In(f.from.Location()).Format(time.RFC3339) }

func (f *feederFile) row(r columns.Row) error {
	from, err := instant(r.Get("from"), f.from.Location())
	if err != nil {
		return r.Errorf("from: %w", err)
	}
	to, err := instant(r.Get("to"), f.from.Location())
	if err != nil {
		return r.Errorf("to: %w", err)
	}
	if !from.Before(to) {
		return r.Errorf("it ends at %s, before it begins", r.Get("to"))
	}
	if !to.After(f.from) || !from.Before(f.to) {
		return nil
	}
	l, whence, err := f.feeder(r)
	if err != nil {
		return err
	}
	energy, err := net(r)
	if err != nil {
		return err
	}
	if !from.Equal(l.until) {
		return r.Errorf("feeder %s begins at %s, want %s, %s", l.Name, f.text(from), f.text(l.until), whence)
	}
	if to.After(f.to) {
		return r.Errorf("feeder %s ends at %s, after the period, which ends at %s", l.Name, f.text(to), f.text(f.to))
	}
	l.Energy, l.until, l.line = l.Energy.Add(energy), to, r.Line
	return nil
}

// feeder is that of a row, and says where its time so far ends.
func (f *feederFile) feeder(r columns.Row) (l *Feeder, whence string, err error) {
	name := r.Get("feeder")
	if err := checkName(name); err != nil {
		return nil, "", r.Errorf("feeder: %w", err)
	}
	if i, ok := f.place[name]; ok {
		return &f.list[i], fmt.Sprintf("where line %d ends", f.list[i].line), nil
	}
	f.place[name] = len(f.list)
	f.list = append(f.list, Feeder{Name: name, until: f.from, line: r.Line})
	return &f.list[len(f.list)-1], "where the period begins", nil
}

// instant reads a date or an RFC 3339 time.
func instant(text string, zone *time.Location) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%.40q: want a date such as 2018-11-01 or a time such as 2018-11-01T00:00:00+01:00", text)
}

const maxName = 64

func checkName(name string) error {
	if name == "" || len(name) > maxName {
		return fmt.Errorf("%.70q: want a name of 1 to %d bytes", name, maxName)
	}
	for _, r := range name {
		if r < ' ' || r == 0x7f || r == '\uFFFD' {
			return fmt.Errorf("%q has characters that cannot be printed", name)
		}
	}
	return nil
}

// net is what a row says that came from the grid, less what went back.
func net(r columns.Row) (sum tariff.Decimal, err error) {
	for _, name := range []string{"import_kwh", "export_kwh"} {
		text := r.Get(name)
		if text == "" && name == "export_kwh" {
			continue
		}
		d, err := tariff.ParseDecimal(text)
		if err != nil {
			return sum, r.Errorf("%s: %w", name, err)
		}
		if d.Sign() < 0 {
			return sum, r.Errorf("%s: %s is below zero: what went back to the grid is export_kwh", name, text)
		}
		if name == "export_kwh" {
			d = d.Neg()
		}
		sum = sum.Add(d)
	}
	return sum, nil
}

// Places tells behind which feeder each meter is.
type Places map[wattveil.MeterID]string

// ReadPlaces reads the CSV file with columns meter and feeder.
func ReadPlaces(in io.Reader, feeders []Feeder) (Places, error) {
	known := make(map[string]bool)
	for _, f := range feeders {
		known[f.Name] = true
	}
	places := make(Places)
	err := columns.Read(in, []string{"meter", "feeder"}, nil, func(r columns.Row) error {
		id, err := wattveil.ParseMeterID(r.Get("meter"))
		if err != nil {
			return r.Errorf("meter: %w", err)
		}
		name := r.Get("feeder")
		if !known[name] {
			return r.Errorf("feeder %.70q has no row of the period in the feeders' file", name)
		}
		if _, twice := places[id]; twice {
			return r.Errorf("meter %v is there twice", id)
		}
		places[id] = name
		return nil
	})
	if err == nil && len(places) == 0 {
		err = fmt.Errorf("there are no meters in it")
	}
	return places, err
}

// Bill is a kept bill of a meter.
type Bill struct {
	Meter wattveil.MeterID
	JWS   string
	bill.Bill
}
