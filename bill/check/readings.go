package check

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/vee"
)

// Source is where readings come from.
type Source int

// The sources.
const (
	Meter     Source = iota + 1 // registers from the meter's own ring
	TTP                         // registers as the TTP has them
	Intervals                   // intervals as the TTP has edited them
)

// Readings are what a bill is computed from: registers, or intervals with
// their quality. They redact themselves.
type Readings struct {
	source    Source
	runs      []vee.Run      // of registers, by series
	intervals []vee.Interval // rising, without overlap
}

// FromMeter tells whether they are the meter's own. Others show what the TTP
// has, and not that the meter measured it.
func (r Readings) FromMeter() bool { return r.source == Meter }

// Source is where they come from.
func (r Readings) Source() Source { return r.source }

// Join puts the exports of several meters together, which stood in one place one
// after another: each is a series of its own, by its first reading.
func Join(parts ...Readings) (Readings, error) {
	if len(parts) == 1 {
		return parts[0], nil
	}
	joined := Readings{source: Meter}
	for _, r := range parts {
		if r.source != Meter {
			return Readings{}, errors.New("several files of readings: only exports of meters go together")
		}
		joined.runs = append(joined.runs, r.runs...)
	}
	slices.SortStableFunc(joined.runs, func(a, b vee.Run) int { return cmp.Compare(a.Readings[0].Time, b.Readings[0].Time) })
	for i := range joined.runs {
		joined.runs[i].Series = wattveil.Series(i + 1)
	}
	return joined, nil
}

// Format redacts under every verb.
func (r Readings) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[readings]")) }

// edited are the intervals of a period.
type edited struct {
	intervals []vee.Interval      // measured and estimated
	filled    []wattveil.Interval // and without energy in holes
	unbilled  int64               // seconds
}

// Format redacts under every verb.
func (e edited) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[intervals]")) }

func (e edited) estimated() int {
	n := 0
	for i := range e.intervals {
		if e.intervals[i].Quality.Estimated() {
			n++
		}
	}
	return n
}

// edit makes the intervals of a period.
func (r Readings) edit(g grid, o vee.Options) (edited, error) {
	if r.source == Intervals {
		return r.given(g)
	}
	result, err := vee.Edit(r.runs, g.resolution, g.from.Unix(), g.to.Unix(), o)
	if err != nil {
		return edited{}, err
	}
	filled, err := result.ForBill(nil, g.resolution)
	var hole *vee.HoleError
	if errors.As(err, &hole) {
		return edited{}, fmt.Errorf("%w: readings are missing: %w", ErrCannot, err)
	}
	e := edited{intervals: result.Intervals, filled: filled}
	for _, h := range result.Holes {
		e.unbilled += h.To - h.From
	}
	return e, err
}

// given are the intervals of a period as they are. Where none is, there is a
// hole if the bill says so.
func (r Readings) given(g grid) (edited, error) {
	var e edited
	from, to, step := g.from.Unix(), g.to.Unix(), int64(g.resolution)
	at := from
	first, _ := slices.BinarySearchFunc(r.intervals, from, func(i vee.Interval, t int64) int { return int(min(max(i.Start-t, -1), 1)) })
	fill := func(until int64) {
		for ; at < until; at += step {
			e.filled = append(e.filled, wattveil.Interval{Start: at, End: min(at+step, until)})
			e.unbilled += min(step, until-at)
		}
	}
	for _, i := range r.intervals[first:] {
		if i.Start >= to {
			break
		}
		fill(i.Start)
		e.intervals, e.filled, at = append(e.intervals, i), append(e.filled, i.Interval), i.End
	}
	fill(to)
	if e.unbilled > g.unbilled {
		return edited{}, fmt.Errorf("%w: readings are missing: %d s of the period have none, and the bill leaves out %d s", ErrCannot, e.unbilled, g.unbilled)
	}
	return e, nil
}
