package vee

import (
	"slices"
	"sort"

	"github.com/wattveil/wattveil"
)

// emit gives the intervals of the period, segment by segment, and the holes
// between segments and at the edges.
func (e *editor) emit() {
	e.out.Intervals = slices.Grow(e.out.Intervals, int((e.to-e.from)/e.step))
	at := e.from
	for i := range e.segments {
		s := &e.segments[i]
		if i > 0 && s.series != e.segments[i-1].series && s.first() > e.from && s.first() < e.to {
			e.find(Finding{Rule: SeriesChange, Series: s.series, From: s.first(), To: s.first(), Count: 1})
		}
		end := min(s.until, s.last(), e.to)
		start := max(s.first(), at)
		if end <= start {
			continue
		}
		if start > at {
			e.hole(at, start, i)
			at = start
		}
		e.cover(s, at, end)
		at = end
	}
	if at < e.to {
		next := sort.Search(len(e.segments), func(i int) bool { return e.segments[i].first() > at })
		e.hole(at, e.to, next)
	}
	e.out.Estimated.Of = len(e.out.Intervals)
}

// hole reports a stretch before segment next that nothing encloses.
func (e *editor) hole(from, to int64, next int) {
	h := Hole{From: from, To: to, Rule: Edge}
	if next > 0 && next < len(e.segments) {
		h.Rule = SeriesChange
		if e.segments[next].series == e.segments[next-1].series {
			h.Rule = Reset
		}
		// The whole hole counts, also the part outside of the period.
		gap := e.segments[next].first() - e.segments[next-1].last()
		h.Unbilled = gap <= int64(e.o.MaxUnbilled.Seconds())
	}
	e.out.Holes = append(e.out.Holes, h)
	e.find(Finding{Rule: h.Rule, From: from, To: to, Count: int((to - from) / e.step)})
}

// cover gives the intervals of [from, to), which a segment encloses.
func (e *editor) cover(s *segment, from, to int64) {
	rs, begin := s.readings, len(e.out.Intervals)
	i := sort.Search(len(rs), func(i int) bool { return rs[i].Time > from }) - 1
	for at := from; at < to; i++ {
		a, b := &rs[i], &rs[i+1]
		if b.Time-a.Time > e.step {
			at = e.gap(s, i, at, to)
			continue
		}
		iv := Interval{Series: s.series, Lower: a.Time, Upper: b.Time}
		iv.Start, iv.End = a.Time, b.Time
		iv.Import, iv.Export = b.Import.Since(a.Import), b.Export.Since(a.Export)
		iv.Status = b.Status
		if flags := a.Status | b.Status; flags&(wattveil.StatusClock|wattveil.StatusTamper) != 0 {
			e.status(&iv, flags)
		}
		e.out.Intervals = append(e.out.Intervals, iv)
		at = b.Time
	}
	e.sum(s, from, to, e.out.Intervals[begin:])
}

// status marks a measured interval for what its readings report.
func (e *editor) status(iv *Interval, flags wattveil.Status) {
	if flags&wattveil.StatusClock != 0 {
		iv.mark(Clock)
		e.extend(Clock, iv)
	}
	if flags&wattveil.StatusTamper != 0 {
		iv.mark(Tamper)
		e.extend(Tamper, iv)
	}
}

// mark notes that a check questions a measured interval. The first counts.
func (iv *Interval) mark(r Rule) {
	if iv.Rule == 0 {
		iv.Rule, iv.Quality = r, Questionable
	}
}

// extend makes one finding of intervals that follow each other.
func (e *editor) extend(r Rule, iv *Interval) {
	fs := e.out.Findings
	for i := len(fs) - 1; i >= 0 && i >= len(fs)-2; i-- {
		if f := &fs[i]; f.Rule == r && f.Series == iv.Series && f.To == iv.Start {
			f.To = iv.End
			f.Count++
			return
		}
	}
	e.find(Finding{Rule: r, Series: iv.Series, From: iv.Start, To: iv.End, Count: 1})
}

// gap gives the part within [from, to) of the intervals between reading i of a
// segment and the next, and returns where it stopped.
func (e *editor) gap(s *segment, i int, from, to int64) int64 {
	a, b := &s.readings[i], &s.readings[i+1]
	method := e.estimate(s, i)
	end := min(b.Time, to)
	e.find(Finding{Rule: Missing, Series: s.series, From: a.Time, To: b.Time, Count: int((b.Time-a.Time)/e.step) - 1})
	first := len(e.out.Intervals)
	for at := from; at < end; at += e.step {
		k := (at - a.Time) / e.step
		iv := Interval{
			Quality: method.quality(), Rule: Missing, Method: method,
			Series: s.series, Lower: a.Time, Upper: b.Time,
		}
		iv.Start, iv.End = at, at+e.step
		iv.Import, iv.Export = wattveil.Wh(e.scratch.imports[k]), wattveil.Wh(e.scratch.exports[k])
		if iv.End == b.Time {
			iv.Status = b.Status
		}
		e.out.Intervals = append(e.out.Intervals, iv)
		e.out.Estimated.Intervals++
		e.out.Estimated.Import += iv.Import
		e.out.Estimated.Export += iv.Export
	}
	e.out.Gaps = append(e.out.Gaps, Gap{
		From: a.Time, To: b.Time, Import: b.Import.Since(a.Import), Export: b.Export.Since(a.Export),
		First: first, Count: len(e.out.Intervals) - first,
	})
	return end
}
