// Package check computes a bill again from readings, tariff and price series,
// and says exactly what differs.
//
// It takes the steps that the TTP takes, in the same order (spec/bill.md
// section 10): readings become intervals (package vee), intervals become priced
// lines (package rating), lines are what the bill says (package bill). What a
// bill shows by itself, its signature and its sums, is package bill's to check
// first.
//
// Readings come from the meter itself or from the TTP, see [Readings]. Who has
// the bill's secret also learns whether the TTP has made the bill from the same
// intervals, day by day.
package check

import (
	"errors"
	"fmt"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/rating"
	"github.com/wattveil/wattveil/tariff"
	"github.com/wattveil/wattveil/vee"
)

// Input is a bill, and what it is computed again from.
type Input struct {
	Bill     Shown
	Tariff   *tariff.Tariff
	Series   []*tariff.Series // those that the tariff names
	Readings Readings

	// Others are other bills of the meter, each by the hash of its text: the
	// one that this bill carries, and those that one carries in turn; the one
	// that it corrects; and those of the months that a ratchet takes.
	Others map[bill.Hash]Shown
	// Opening is what the readings_root opens with, if it is known.
	Opening *Opening
}

// Shown is a bill that has passed [bill.Verify], which refuses such as tell
// demand of months outside their period, and its place in the TTP's log.
type Shown struct {
	bill.Bill
	Place *uint64 // nil if it is not known: a document's is where its proof was verified
}

// Report is the outcome.
type Report struct {
	Checked     []string // what was computed and agrees
	Differences []Difference
	Unchecked   []string // what could not be computed, and why
	Lacking     []string // the same, where it takes other bills of the meter
	Days        []Day    // where the TTP's leaves are known
}

// OK tells whether all that could be computed agrees.
func (r Report) OK() bool { return len(r.Differences) == 0 }

// Difference is one value that is another.
type Difference struct {
	Line     int    `json:"line,omitempty"`  // from 1; 0 if it is a member of the bill itself, or a line that the bill lacks
	Label    string `json:"label,omitempty"` // of the line, such as "import peak"
	Member   string `json:"member"`          // as in the bill
	Bill     string `json:"bill"`            // what the bill says; empty if nothing
	Computed string `json:"computed"`        // what it comes to; empty if nothing
	Why      string `json:"why,omitempty"`   // what may be the reason, where there is a likely one
}

// String is one line.
func (d Difference) String() string {
	where := d.Member
	if d.Label != "" {
		where = d.Label + ": " + d.Member
	}
	if d.Line > 0 {
		where = fmt.Sprintf("line %d, %s", d.Line, where)
	}
	s := fmt.Sprintf("%s is %s in the bill, it comes to %s", where, orNothing(d.Bill), orNothing(d.Computed))
	if d.Why != "" {
		s += " (" + d.Why + ")"
	}
	return s
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

// Day is a local day, and whether the TTP has made the bill from the intervals
// that the readings give for it.
type Day struct {
	Date  string `json:"date"`
	Agree bool   `json:"agree"`
}

// ErrCannot says that a bill cannot be computed again with what is given:
// nothing can be said of it. Any other error says that it is wrong.
var ErrCannot = errors.New("cannot be computed")

// DemandStep is what each demand figure is rounded up to at least, in kW
// (spec/gate.md section 3).
func DemandStep() tariff.Decimal { return tariff.NewDecimal(1, 1) }

// Options are how readings are edited for a bill by a tariff.
func Options(t *tariff.Tariff) vee.Options { return vee.Options{Zone: t.Zone()} }

// Recompute computes the bill again and compares. It fails with [ErrCannot]
// where readings, prices or other bills are missing.
func Recompute(in Input) (Report, error) {
	c := recomputation{Input: in}
	if err := c.period(); err != nil {
		return Report{}, err
	}
	edited, err := in.Readings.edit(c.grid, Options(in.Tariff))
	if err != nil {
		return Report{}, err
	}
	carry, err := c.carried(in.Bill.Bill)
	if err != nil {
		return Report{}, err
	}
	rated, err := c.demand(c.request(c.grid, edited.filled, carry))
	if err != nil {
		return Report{}, err
	}
	c.lines(rated)
	c.sums(rated)
	c.counts(edited)
	c.root(edited)
	return c.report, nil
}

// recomputation is one call of Recompute.
type recomputation struct {
	Input
	grid   grid
	basis  basis // of the demand
	report Report
}

// grid is a period and the length of its intervals.
type grid struct {
	from, to   time.Time
	resolution wattveil.Resolution
	unbilled   int64 // seconds
}

func (c *recomputation) period() error {
	if c.Tariff == nil {
		return fmt.Errorf("%w: the tariff is missing", ErrCannot)
	}
	if digest := c.Tariff.Digest().String(); digest != c.Bill.TariffDigest {
		return fmt.Errorf("the tariff %s has another digest than the bill names: %s, not %s", c.Tariff.ID(), digest, c.Bill.TariffDigest)
	}
	var err error
	c.grid, err = gridOf(c.Bill.Bill)
	return err
}

// periodOf is the period of a bill.
func periodOf(b bill.Bill) (g grid, err error) {
	if g.from, err = time.Parse(time.RFC3339, b.From); err != nil {
		return g, fmt.Errorf("from: %w", err)
	}
	if g.to, err = time.Parse(time.RFC3339, b.To); err != nil {
		return g, fmt.Errorf("to: %w", err)
	}
	return g, nil
}

// gridOf is the grid that a bill's intervals were on: all have one length.
func gridOf(b bill.Bill) (grid, error) {
	g, err := periodOf(b)
	if err != nil {
		return g, err
	}
	g.unbilled = b.UnbilledSeconds
	measured := g.to.Unix() - g.from.Unix() - b.UnbilledSeconds
	if b.Intervals == 0 {
		return g, fmt.Errorf("%w: the bill is made from no readings", ErrCannot)
	}
	length := measured / int64(b.Intervals)
	if length*int64(b.Intervals) != measured || length > 3600 || wattveil.Resolution(length).Code() == 0 {
		return g, fmt.Errorf("%d intervals do not make up the period of the bill: no meter has intervals of %d s in %d", b.Intervals, measured, b.Intervals)
	}
	g.resolution = wattveil.Resolution(length)
	return g, nil
}

// request is how the TTP prices intervals.
func (c *recomputation) request(g grid, intervals []wattveil.Interval, carry []rating.Energy) rating.Request {
	return rating.Request{
		Tariff: c.Tariff, Intervals: intervals, From: g.from, To: g.to, Resolution: g.resolution,
		Series: c.Series, Carry: carry, DemandStep: DemandStep(),
	}
}

// priced rates a request.
func priced(r rating.Request) (rating.Rated, error) {
	rated, err := r.Rate()
	for _, missing := range []rating.Fault{rating.ErrGap, rating.ErrLong, rating.ErrNoSeries, rating.ErrNoPrice, rating.ErrSteps} {
		if errors.Is(err, missing) {
			return rated, fmt.Errorf("%w: %w", ErrCannot, err)
		}
	}
	return rated, err
}
