// Package vee validates, estimates and edits a meter's readings, so that a bill
// covers its whole period although some readings never came. It is pure: the
// same readings and options always give the same intervals.
//
// # Registers are the truth
//
// A meter sends registers, so a lost reading loses no energy: the two readings
// around a gap say exactly how much passed, and only when it passed is unknown.
// [Edit] therefore never invents a total. The intervals that it estimates in a
// gap sum to the difference of the registers around it, to the Wh, and each
// names those two readings. Where no two registers of one series enclose a
// stretch of time, nothing is estimated: the stretch is a [Hole].
//
// Validation marks and reports, it changes no energy; only a register that
// contradicts its neighbours is left out. The readings themselves are not
// touched: the store keeps them as they came.
//
// Rules, thresholds with their sources, methods and quality codes are in
// spec/vee.md.
package vee

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/wattveil/wattveil"
)

// Run is the readings of one series of one meter. Its fields are those of
// readings.Run, so that the one converts to the other.
type Run struct {
	Series   wattveil.Series
	Readings []wattveil.Reading
}

// Interval is the energy of one interval of the grid and how it is known. It
// redacts itself, as the interval in it does.
type Interval struct {
	wattveil.Interval
	Quality Quality
	Rule    Rule   // why it was estimated, else the first rule that marked it, else 0
	Method  Method // how its energy is known
	Series  wattveil.Series
	// Lower and Upper are the times of the two readings that the energy comes
	// from. They are Start and End where it is measured. Intervals estimated
	// in one gap share them, and sum to the registers' difference.
	Lower, Upper int64
}

// Hole is a stretch of the period that no two registers of one series
// enclose. Nothing is estimated in it.
type Hole struct {
	From, To int64
	Rule     Rule // Edge, SeriesChange or Reset
	// Unbilled: a bill may go on with no energy in the hole, because no
	// reading can ever fill it and it is short (spec/vee.md section 6).
	Unbilled bool
}

// Gap is two neighbouring readings of a series with intervals missing between
// them. The intervals' energies are estimated, their sum is measured.
type Gap struct {
	From, To int64 // times of the two readings
	// Import and Export are the differences of their registers.
	Import, Export wattveil.Wh
	// First and Count say which of the result's intervals are in the gap.
	// Where the period begins or ends in it, they are not all of it.
	First, Count int
}

// Finding is what a rule found. It holds no energy.
type Finding struct {
	Rule     Rule
	Series   wattveil.Series
	From, To int64 // Unix seconds; equal where one reading is meant
	Count    int   // readings or intervals concerned
}

// Share is how much of a result is estimated. Its energy is an answer about
// the gaps, and goes to the consumer only, unless the disclosure gate passes it
// like any other quantity (spec/vee.md section 7).
type Share struct {
	Intervals int // estimated
	Of        int // all
	Import    wattveil.Wh
	Export    wattveil.Wh
}

// Result is the outcome of editing one meter over one period.
type Result struct {
	Intervals []Interval // rising, without overlap; they and the holes cover the period
	Findings  []Finding  // by rule, then by time
	Gaps      []Gap      // rising
	Holes     []Hole     // rising
	Estimated Share
}

// HoleError says that a period cannot be billed as it stands.
type HoleError struct{ Hole Hole }

// Error says where and what can be done.
func (e *HoleError) Error() string {
	at := func(t int64) string { return time.Unix(t, 0).UTC().Format(time.RFC3339) }
	return fmt.Sprintf("vee: no registers of one series enclose %s to %s (%s): wait for readings, or end the period at the last register",
		at(e.Hole.From), at(e.Hole.To), e.Hole.Rule)
}

// ForBill appends to out the energy that a bill of the period is made from: all
// intervals, and no energy in holes that may stay unbilled. Any other hole is
// a [*HoleError].
func (r *Result) ForBill(out []wattveil.Interval, resolution wattveil.Resolution) ([]wattveil.Interval, error) {
	n := len(r.Intervals)
	for _, h := range r.Holes {
		if !h.Unbilled {
			return nil, &HoleError{h}
		}
		n += int((h.To - h.From) / int64(resolution))
	}
	out = slices.Grow(out, n)
	holes := r.Holes
	for i := range r.Intervals {
		for len(holes) > 0 && holes[0].From < r.Intervals[i].Start {
			out = appendEmpty(out, holes[0], int64(resolution))
			holes = holes[1:]
		}
		out = append(out, r.Intervals[i].Interval)
	}
	for _, h := range holes {
		out = appendEmpty(out, h, int64(resolution))
	}
	return out, nil
}

func appendEmpty(out []wattveil.Interval, h Hole, step int64) []wattveil.Interval {
	for t := h.From; t < h.To; t += step {
		out = append(out, wattveil.Interval{Start: t, End: t + step})
	}
	return out
}

// Edit validates the readings of one meter and gives every interval of
// [from, to) that registers can account for. Times are Unix seconds; intervals
// begin at from and follow each other at the resolution.
//
// Readings from outside of the period are wanted, up to [Margin] on both
// sides: those next to it enclose gaps at its edges, those of other days serve
// as reference. What is further away is not looked at. The order of runs and
// of readings does not matter, except that of two readings of one series and
// time the first counts. Edit keeps no reference to the runs and does not
// change them; it may be called concurrently.
//
// An error means that the question is wrong, never that the readings are.
// Memory is proportional to the readings and the intervals of the period.
func Edit(runs []Run, resolution wattveil.Resolution, from, to int64, o Options) (Result, error) {
	return new(Editor).Edit(runs, resolution, from, to, o)
}

// Editor edits one meter after another in the same memory. Its zero value is
// ready. It must not be used concurrently.
type Editor struct{ e editor }

// Edit is the function [Edit], but its result shares the editor's memory: it is
// valid until the editor is used again.
func (ed *Editor) Edit(runs []Run, resolution wattveil.Resolution, from, to int64, o Options) (Result, error) {
	e := &ed.e
	if err := e.start(resolution, from, to, o); err != nil {
		return Result{}, err
	}
	e.gather(runs)
	e.newCalendar()
	e.emit()
	if e.err != nil {
		return Result{}, e.err
	}
	e.flag()
	slices.SortStableFunc(e.out.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.From, b.From))
	})
	return e.out, nil
}

// editor is one call of Edit.
type editor struct {
	o        Options
	step     int64 // seconds
	from, to int64
	segments []segment // rising in time
	days     calendar
	out      Result
	scratch  scratch
	err      error // of the sum check
}

// start checks the question and forgets the one before.
func (e *editor) start(resolution wattveil.Resolution, from, to int64, o Options) error {
	step := int64(resolution)
	switch {
	case resolution.Code() == 0:
		return fmt.Errorf("vee: resolution of %d s does not divide an hour", step)
	case from < 0 || to <= from || to > maxTime:
		return fmt.Errorf("vee: period from %d to %d is empty or not between 0 and 2^33 Unix seconds", from, to)
	case (to-from)%step != 0:
		return fmt.Errorf("vee: period of %d s is not a whole number of intervals of %d s", to-from, step)
	}
	o, err := o.filled()
	if err != nil {
		return err
	}
	r := &e.out
	*e = editor{
		o: o, step: step, from: from, to: to,
		segments: e.segments[:0], days: e.days[:0], scratch: e.scratch,
		out: Result{Intervals: r.Intervals[:0], Findings: r.Findings[:0], Gaps: r.Gaps[:0], Holes: r.Holes[:0]},
	}
	return nil
}

// maxTime keeps every sum of times far from overflow; a reading's time has 32
// bits on the wire.
const maxTime = 1 << 33

func (e *editor) find(f Finding) { e.out.Findings = append(e.out.Findings, f) }
