package vee

import (
	"cmp"
	"slices"
	"sort"

	"github.com/wattveil/wattveil"
)

// segment is readings whose registers connect: one series, without a reset, on
// the grid, strictly rising in time, each step plausible. Intervals are taken
// from it from its first reading up to until, where the next segment begins;
// readings after that still enclose gaps that begin before.
type segment struct {
	series   wattveil.Series
	readings []wattveil.Reading
	until    int64
}

func (s *segment) first() int64 { return s.readings[0].Time }
func (s *segment) last() int64  { return s.readings[len(s.readings)-1].Time }

// gather turns runs into segments (spec/vee.md sections 2 and 3).
func (e *editor) gather(runs []Run) {
	bySeries := func(a, b Run) int { return cmp.Compare(a.Series, b.Series) }
	if !slices.IsSortedFunc(runs, bySeries) {
		runs = slices.Clone(runs)
		slices.SortStableFunc(runs, bySeries)
	}
	for i := 0; i < len(runs); {
		j := i + 1
		for j < len(runs) && runs[j].Series == runs[i].Series {
			j++
		}
		e.run(runs[i:j])
		i = j
	}
	e.order()
}

// run adds the segments of the runs of one series.
func (e *editor) run(runs []Run) {
	series, readings := runs[0].Series, runs[0].Readings
	if len(runs) > 1 {
		readings = nil
		for _, r := range runs {
			readings = append(readings, r.Readings...)
		}
	}
	if !rising(readings) {
		readings = slices.Clone(readings)
		slices.SortStableFunc(readings, func(a, b wattveil.Reading) int { return cmp.Compare(a.Time, b.Time) })
	}
	margin := int64(Margin.Seconds())
	lo := sort.Search(len(readings), func(i int) bool { return readings[i].Time >= e.from-margin })
	hi := sort.Search(len(readings), func(i int) bool { return readings[i].Time > e.to+margin })
	e.connect(series, e.clean(series, readings[lo:hi]))
}

// rising tells whether no reading is earlier than the one before it.
func rising(rs []wattveil.Reading) bool {
	for i := 1; i < len(rs); i++ {
		if rs[i].Time < rs[i-1].Time {
			return false
		}
	}
	return true
}

// clean leaves out readings off the grid and repeated times. It copies only
// if there are such.
func (e *editor) clean(series wattveil.Series, rs []wattveil.Reading) []wattveil.Reading {
	good := 0
	for good < len(rs) && e.onGrid(rs[good].Time) && (good == 0 || rs[good].Time > rs[good-1].Time) {
		good++
	}
	if good == len(rs) {
		return rs
	}
	out := slices.Clone(rs[:good])
	var off Finding
	for _, r := range rs[good:] {
		switch {
		case !e.onGrid(r.Time):
			if off.Count == 0 {
				off = Finding{Rule: OffGrid, Series: series, From: r.Time}
			}
			off.To = r.Time
			off.Count++
		case len(out) > 0 && out[len(out)-1].Time == r.Time:
			rule := Duplicate
			if out[len(out)-1] != r {
				rule = Conflict
			}
			e.find(Finding{Rule: rule, Series: series, From: r.Time, To: r.Time, Count: 1})
		default:
			out = append(out, r)
		}
	}
	if off.Count > 0 {
		e.find(off)
	}
	return out
}

func (e *editor) onGrid(t int64) bool { return (t-e.from)%e.step == 0 }

// plausible tells whether energy no greater than MaxPower allows passed
// between two readings, on each register.
func (e *editor) plausible(a, b *wattveil.Reading) bool {
	most := wattveil.Wh(e.o.MaxPower*(b.Time-a.Time)/3600 + 1)
	return b.Import.Since(a.Import) <= most && b.Export.Since(a.Export) <= most
}

// fault is the rule that a step breaks: the nearer way round tells whether a
// register ran backwards or leapt.
func (e *editor) fault(a, b *wattveil.Reading) Rule {
	most := wattveil.Wh(e.o.MaxPower*(b.Time-a.Time)/3600 + 1)
	for _, back := range [...][2]wattveil.Register{{a.Import, b.Import}, {a.Export, b.Export}} {
		if back[1].Since(back[0]) > most && back[0].Since(back[1]) < wattveil.RegisterModulus/2 {
			return Negative
		}
	}
	return Power
}

// connect adds the segments that cleaned readings of a series form.
func (e *editor) connect(series wattveil.Series, rs []wattveil.Reading) {
	if len(rs) == 0 {
		return
	}
	good := 1
	for good < len(rs) && e.plausible(&rs[good-1], &rs[good]) {
		e.rollover(series, &rs[good-1], &rs[good])
		good++
	}
	if good == len(rs) {
		e.segments = append(e.segments, segment{series: series, readings: rs})
		return
	}
	out := slices.Clone(rs[:good])
	for i := good; i < len(rs); i++ {
		r, last := &rs[i], &out[len(out)-1]
		if e.plausible(last, r) {
			e.rollover(series, last, r)
			out = append(out, *r)
			continue
		}
		more := i+1 < len(rs)
		switch {
		case !more || e.plausible(last, &rs[i+1]) || !e.plausible(r, &rs[i+1]): // r was wrong
			e.find(Finding{Rule: e.fault(last, r), Series: series, From: r.Time, To: r.Time, Count: 1})
		case len(out) > 1 && e.plausible(&out[len(out)-2], r): // the one before was wrong
			e.find(Finding{Rule: e.fault(last, r), Series: series, From: last.Time, To: last.Time, Count: 1})
			*last = *r
		default:
			e.find(Finding{Rule: Reset, Series: series, From: last.Time, To: r.Time, Count: 1})
			e.segments = append(e.segments, segment{series: series, readings: out})
			out = []wattveil.Reading{*r}
		}
	}
	e.segments = append(e.segments, segment{series: series, readings: out})
}

func (e *editor) rollover(series wattveil.Series, a, b *wattveil.Reading) {
	if b.Import < a.Import || b.Export < a.Export {
		e.find(Finding{Rule: Rollover, Series: series, From: a.Time, To: b.Time, Count: 1})
	}
}

// order settles which segment counts when: a newer one from its first reading
// on. What is superseded from its first reading on is dropped, and so is a
// single reading, which encloses nothing.
func (e *editor) order() {
	e.segments = slices.DeleteFunc(e.segments, func(s segment) bool { return len(s.readings) < 2 })
	until := int64(maxTime)
	kept := len(e.segments)
	for i := len(e.segments) - 1; i >= 0; i-- {
		s := e.segments[i]
		if s.first() >= until {
			continue
		}
		s.until = until
		until = s.first()
		kept--
		e.segments[kept] = s
	}
	e.segments = e.segments[kept:]
}
