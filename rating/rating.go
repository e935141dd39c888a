// Package rating prices intervals of energy by a tariff. It is pure: the same
// tariff, intervals and period always give the same lines.
//
// [Rate] demands that the intervals cover the period without a gap, because a
// bill with missing energy is wrong in a way that nobody sees. Estimating what
// is missing is the work of package vee, before rating.
//
// A tariff with price series or with ratchets needs more than intervals: a
// [Request] carries that.
//
// A [Line] has the fields of bill.Line, so that the one converts to the other;
// neither package imports the other. The rules are in spec/tariff.md section 5.
package rating

import (
	"cmp"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/tariff"
)

// The kinds of lines, in the order of a bill.
const (
	KindImport   = "import"   // energy taken from the grid in one band and tier
	KindExport   = "export"   // energy given to the grid in one band, a credit
	KindStanding = "standing" // charge per local day or month
	KindGrid     = "grid"     // fee for the grid
	KindLevy     = "levy"     // what is collected for others
	KindDemand   = "demand"   // highest mean power of a month
	KindMinimum  = "minimum"  // what is missing to the least that is due
	KindCredit   = "credit"   // lowers the bill
	KindTax      = "tax"      // on the sum of other lines
)

// Units of lines; a tax line has the currency.
const (
	unitEnergy = "kWh"
	unitDay    = "day"
	unitMonth  = "month"
	unitPower  = "kW"
)

// What a line notes about a demand.
const (
	noteLonger  = "longer-interval" // the mean is over more than the tariff says
	noteRatchet = "ratchet"         // the figure is due to earlier months
)

// Line is one priced quantity. All numbers are exact decimals, written as a
// bill carries them. The fields and their order are those of bill.Line.
type Line struct {
	Amount   string // rounded to the currency's minor unit; negative is a credit
	Band     string // of import and export lines, else empty
	Kind     string
	Minutes  int    // of demand lines: length of the means
	Month    string // of demand lines, like 2018-03
	Name     string // of grid, levy, demand, credit, and where there are several taxes
	Note     string // of demand lines: what is unusual, else empty
	On       string // of tax lines: kinds of lines, joined by commas; empty is all others
	Price    string // per unit; for tax the fraction; empty where a series has the prices
	Quantity string // kWh and kW with 3 decimals; days; months; for tax the amount taxed
	Series   string // digest of the price series for the period, else empty
	Share    string // of demand lines: part of a month; empty is all of it
	Tier     int    // from 1, where there are several, else 0
	Unit     string // "kWh", "day", "month", "kW"; for tax the currency
	Withheld string // empty: whoever may not tell a quantity says so and leaves it out
}

// Energy is what passed in one band.
type Energy struct {
	Band   string
	Import wattveil.Wh
	Export wattveil.Wh
}

// Peak is a calendar month's own figure of one demand charge: the highest mean
// power that was measured, rounded up as on a bill.
type Peak struct {
	Demand string // its name
	Month  tariff.Month
	Watts  int64
}

// Rated is the outcome of rating one meter over one period.
type Rated struct {
	Lines    []Line
	Total    string   // sum of the lines' amounts
	Energy   []Energy // every band of the tariff, sorted by name
	ImportWh wattveil.Wh
	ExportWh wattveil.Wh
	Days     int    // local days in which an interval starts
	Peaks    []Peak // by demand charge and month, before ratchets
}

// ImportKWh is the imported energy in kWh with 3 decimals, as on a bill.
func (r Rated) ImportKWh() string { return kWh(int64(r.ImportWh)).String() }

// ExportKWh is the exported energy in kWh with 3 decimals, as on a bill.
func (r Rated) ExportKWh() string { return kWh(int64(r.ExportWh)).String() }

// ParseKWh reads the quantity of an energy line as Wh.
func ParseKWh(quantity string) (wattveil.Wh, error) {
	wh, ok := thousandths(quantity)
	if !ok {
		return 0, fmt.Errorf("rating: %.40q is no energy in kWh with 3 decimals", quantity)
	}
	return wattveil.Wh(wh), nil
}

// thousandths are those of a quantity in kWh or kW, of a size that rating gives.
func thousandths(quantity string) (int64, bool) {
	d, err := tariff.ParseDecimal(quantity)
	if err != nil || d.Decimals() != 3 {
		return 0, false
	}
	n := d.Mul(tariff.NewDecimal(1000, 0)).Rat().Num()
	return n.Int64(), n.CmpAbs(big.NewInt(maxSumWh)) <= 0
}

// Request is one meter and period to rate. It is only read.
type Request struct {
	Tariff *tariff.Tariff

	// Intervals must cover the period [From, To) exactly; their order does not
	// matter. Rising order is fastest.
	Intervals []wattveil.Interval
	From, To  time.Time

	// Resolution is the longest that an interval may be; 0 means as long as the
	// shortest of them.
	Resolution wattveil.Resolution

	// Series are the price series that the tariff names, each in one piece.
	// Others are passed over.
	Series []*tariff.Series

	// Peaks are those of earlier months, for ratchets. Those of other demand
	// charges are passed over.
	Peaks []Peak

	// Carry is what an earlier bill counted wrongly, by band, to be counted with
	// this one: what it would say now less what it said (spec/gate.md section
	// 3). It may be negative; the sums may not. Only a tariff whose lines are in
	// proportion to the energy takes one: no series, tiers or minimum.
	Carry []Energy

	// DemandStep is the least that demand is rounded up to, in kW: the larger
	// of it and the tariff's step counts. 0 leaves it to the tariff.
	DemandStep tariff.Decimal

	// Figures, if they are not nil, stand in the place of what was measured and
	// of ratchets: those of a bill that this one corrects, which stay. A month
	// or charge that they do not have gets no line.
	Figures Figures
}

// Rate prices the intervals of the period [from, to). They must cover the
// period exactly, and none may be longer than the shortest of them. A refusal
// is an [*Error].
func Rate(t *tariff.Tariff, intervals []wattveil.Interval, from, to time.Time) (Rated, error) {
	return Request{Tariff: t, Intervals: intervals, From: from, To: to}.Rate()
}

// RateAt is [Rate] for a caller who knows the meter's resolution: intervals
// may be shorter than that, as where a meter changed its resolution, but not
// longer.
func RateAt(t *tariff.Tariff, nominal wattveil.Resolution, intervals []wattveil.Interval, from, to time.Time) (Rated, error) {
	if nominal == 0 {
		nominal = 1 // the zero of a Request has another meaning
	}
	return Request{Tariff: t, Intervals: intervals, From: from, To: to, Resolution: nominal}.Rate()
}

// Rate prices the request. A refusal is an [*Error].
func (r Request) Rate() (Rated, error) {
	if r.Resolution == 0 {
		r.Resolution = shortest(r.Intervals)
	}
	rated, err := r.rate()
	var refusal *Error
	if errors.As(err, &refusal) && !slices.IsSortedFunc(r.Intervals, byStart) {
		r.Intervals = slices.SortedStableFunc(slices.Values(r.Intervals), byStart)
		return r.rate()
	}
	return rated, err
}

func byStart(a, b wattveil.Interval) int { return cmp.Compare(a.Start, b.Start) }

// rate prices intervals in rising order.
func (r Request) rate() (Rated, error) {
	s := sum{t: r.Tariff, cursor: r.Tariff.Cursor(), nominal: int64(r.Resolution), energy: make([]energy, r.Tariff.Bands())}
	if err := s.period(r.From, r.To); err != nil {
		return Rated{}, err
	}
	if err := s.extra(r); err != nil {
		return Rated{}, err
	}
	if err := s.run(r.Intervals); err != nil {
		return Rated{}, err
	}
	if err := s.carry(r.Carry); err != nil {
		return Rated{}, err
	}
	return s.price(r), nil
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
