// Package rating prices intervals of energy by a tariff. It is pure: the same
// tariff, intervals and period always give the same lines.
//
// [Rate] demands that the intervals cover the period without a gap, because a
// bill with missing energy is wrong in a way that nobody sees. Estimating what
// is missing is the work of package vee, before rating.
//
// A [Line] has the fields of bill.Line, so that the one converts to the other;
// neither package imports the other. The rules are in spec/tariff.md section 4.
package rating

import (
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/tariff"
)

// The kinds of lines.
const (
	KindImport   = "import"   // energy taken from the grid in one band
	KindExport   = "export"   // energy given to the grid in one band, a credit
	KindStanding = "standing" // charge per local day
	KindTax      = "tax"      // on the sum of all other lines
)

// Units of lines; a tax line has the currency.
const (
	unitEnergy = "kWh"
	unitDay    = "day"
)

// Line is one priced quantity. All numbers are exact decimals, written as a
// bill carries them. The fields and their order are those of bill.Line.
type Line struct {
	Amount   string // rounded to the currency's minor unit; negative is a credit
	Band     string // of import and export lines, else empty
	Kind     string
	Price    string // per unit; for tax the fraction
	Quantity string // kWh with 3 decimals; days; for tax the amount taxed
	Unit     string // "kWh", "day"; for tax the currency
}

// Energy is what passed in one band.
type Energy struct {
	Band   string
	Import wattveil.Wh
	Export wattveil.Wh
}

// Rated is the outcome of rating one meter over one period.
type Rated struct {
	Lines    []Line
	Total    string   // sum of the lines' amounts
	Energy   []Energy // every band of the tariff, sorted by name
	ImportWh wattveil.Wh
	ExportWh wattveil.Wh
	Days     int // local days in which an interval starts
}

// ImportKWh is the imported energy in kWh with 3 decimals, as on a bill.
func (r Rated) ImportKWh() string { return kWh(int64(r.ImportWh)).String() }

// ExportKWh is the exported energy in kWh with 3 decimals, as on a bill.
func (r Rated) ExportKWh() string { return kWh(int64(r.ExportWh)).String() }

// Rate prices the intervals of the period [from, to). They must be in rising
// order and cover the period exactly, and none may be longer than the shortest
// of them. A refusal is an [*Error].
func Rate(t *tariff.Tariff, intervals []wattveil.Interval, from, to time.Time) (Rated, error) {
	return RateAt(t, shortest(intervals), intervals, from, to)
}

// RateAt is [Rate] for a caller who knows the meter's resolution: intervals
// may be shorter than that, as where a meter changed its resolution, but not
// longer.
func RateAt(t *tariff.Tariff, nominal wattveil.Resolution, intervals []wattveil.Interval, from, to time.Time) (Rated, error) {
	s := sum{t: t, cursor: t.Cursor(), nominal: int64(nominal), energy: make([]energy, t.Bands())}
	if err := s.period(from, to); err != nil {
		return Rated{}, err
	}
	if err := s.run(intervals); err != nil {
		return Rated{}, err
	}
	return s.price(), nil
}

// shortest is the length of the shortest interval, at most an hour. Lengths
// that make no sense are left to the run to refuse.
func shortest(intervals []wattveil.Interval) wattveil.Resolution {
	length := int64(time.Hour / time.Second)
	for i := range intervals {
		if n := intervals[i].End - intervals[i].Start; n > 0 {
			length = min(length, n)
		}
	}
	return wattveil.Resolution(length)
}

// energy is a band's sum in Wh.
type energy struct{ imported, exported int64 }

// A sum adds up intervals by band.
type sum struct {
	t        *tariff.Tariff
	cursor   tariff.Cursor
	nominal  int64 // seconds
	from, to int64 // Unix seconds
	energy   []energy
	days     days
}

// maxIntervalWh bounds the energy of one interval: what a register holds.
const maxIntervalWh = wattveil.RegisterModulus - 1

// maxSumWh bounds a band's energy, far above any connection and far below
// where sums overflow: 10^12 kWh.
const maxSumWh = 1e15

// run checks the intervals and sums them. It allocates nothing unless it
// fails.
func (s *sum) run(intervals []wattveil.Interval) error {
	expected := s.from
	for i := 0; i < len(intervals); {
		if err := s.order(intervals[i], expected); err != nil {
			return err
		}
		span := s.cursor.Span(intervals[i].Start)
		n, err := s.span(intervals[i:], span)
		if err != nil {
			return err
		}
		i += n
		expected = intervals[i-1].End
	}
	if expected < s.to {
		return s.fault(ErrGap, expected, s.to)
	}
	return nil
}

// span sums the intervals that start in one span and returns how many they
// are, at least one.
func (s *sum) span(intervals []wattveil.Interval, span tariff.Span) (int, error) {
	var imported, exported int64
	expected, end := intervals[0].Start, min(span.End, s.to)
	n := 0
	for ; n < len(intervals) && intervals[n].Start < end; n++ {
		iv := &intervals[n]
		length := iv.End - iv.Start
		in, out := int64(iv.Import), int64(iv.Export)
		// One comparison each: a negative energy is a huge unsigned one.
		if iv.Start != expected || length <= 0 || length > s.nominal ||
			uint64(in) > maxIntervalWh || uint64(out) > maxIntervalWh {
			return 0, s.refuse(*iv, expected)
		}
		expected = iv.End
		imported += in
		exported += out
	}
	if expected > s.to {
		return 0, s.fault(ErrOutside, intervals[n-1].Start, expected)
	}
	s.days.add(span.Day)
	e := &s.energy[span.Band]
	e.imported += imported
	e.exported += exported
	if e.imported > maxSumWh || e.exported > maxSumWh {
		return 0, s.fault(ErrEnergy, intervals[0].Start, expected)
	}
	return n, nil
}

// days counts the local days that spans in rising order touch. A zone may set
// its clock back across midnight, so a day may come again.
type days struct {
	first, last int64
	count       int
}

func (d *days) add(day int64) {
	switch {
	case d.count == 0:
		d.first, d.last = day, day
	case day > d.last:
		d.last = day
	case day < d.first:
		d.first = day
	default:
		return
	}
	d.count++
}

// period checks the period against the calendar and the tariff.
func (s *sum) period(from, to time.Time) error {
	s.from, s.to = from.Unix(), to.Unix()
	switch {
	case from.Nanosecond() != 0 || to.Nanosecond() != 0 ||
		from.Year() < 1970 || to.Year() > 9998 || s.from < 0 || s.to <= s.from:
		return s.fault(ErrPeriod, s.from, s.to)
	case s.from < s.t.ValidFrom().Unix():
		return s.fault(ErrNotValid, s.from, s.t.ValidFrom().Unix())
	}
	return nil
}

// kWh is an energy as a quantity of a line.
func kWh(wh int64) tariff.Decimal { return tariff.NewDecimal(wh, 3) }

// An invoice collects lines and their sum.
type invoice struct {
	currency tariff.Currency
	lines    []Line
	total    tariff.Decimal
}

// charge adds a line that costs quantity times price, rounded once.
func (v *invoice) charge(l Line, quantity, price tariff.Decimal) {
	v.add(l, quantity, price, v.currency.Amount(quantity, price))
}

// credit adds a line that earns quantity times price, rounded once.
func (v *invoice) credit(l Line, quantity, price tariff.Decimal) {
	v.add(l, quantity, price, v.currency.Amount(quantity, price).Neg())
}

func (v *invoice) add(l Line, quantity, price, amount tariff.Decimal) {
	l.Quantity, l.Price, l.Amount = quantity.String(), price.String(), amount.String()
	v.lines = append(v.lines, l)
	v.total = v.total.Add(amount)
}

// price turns the sums into lines. It cannot overflow: maxSumWh times the
// number of bands that a tariff may have is below 2^63.
func (s *sum) price() Rated {
	currency := s.t.Currency()
	v := invoice{currency: currency, total: currency.Zero(), lines: make([]Line, 0, 2*len(s.energy)+2)}
	r := Rated{Energy: make([]Energy, len(s.energy)), Days: s.days.count}
	for i, e := range s.energy {
		rate := s.t.Rate(i)
		r.Energy[i] = Energy{Band: rate.Band, Import: wattveil.Wh(e.imported), Export: wattveil.Wh(e.exported)}
		r.ImportWh += wattveil.Wh(e.imported)
		r.ExportWh += wattveil.Wh(e.exported)
		v.charge(Line{Kind: KindImport, Band: rate.Band, Unit: unitEnergy}, kWh(e.imported), rate.Import)
	}
	for i, e := range s.energy {
		if e.exported > 0 {
			rate := s.t.Rate(i)
			v.credit(Line{Kind: KindExport, Band: rate.Band, Unit: unitEnergy}, kWh(e.exported), rate.Export)
		}
	}
	if perDay, ok := s.t.Standing(); ok {
		v.charge(Line{Kind: KindStanding, Unit: unitDay}, tariff.NewDecimal(int64(s.days.count), 0), perDay)
	}
	if fraction, ok := s.t.Tax(); ok {
		v.charge(Line{Kind: KindTax, Unit: currency.String()}, v.total, fraction)
	}
	r.Lines, r.Total = v.lines, v.total.String()
	return r
}
