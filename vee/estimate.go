package vee

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"
	"sort"

	"github.com/wattveil/wattveil"
)

// scratch is what estimation works in, reused from gap to gap.
type scratch struct {
	imports, exports []uint64 // first weights, then Wh
	order            []int32
	rests            []uint64
}

func (s *scratch) size(n int) {
	s.imports = slices.Grow(s.imports[:0], n)[:n]
	s.exports = slices.Grow(s.exports[:0], n)[:n]
}

// estimate spreads the energy between reading i of a segment and the next over
// the intervals between them, into the scratch, and says how.
func (e *editor) estimate(s *segment, i int) Method {
	a, b := &s.readings[i], &s.readings[i+1]
	n := int((b.Time - a.Time) / e.step)
	e.scratch.size(n)
	method := Linear
	if b.Time-a.Time > int64(e.o.LinearUpTo.Seconds()) && e.reference(a.Time, n) {
		method = Reference
	} else {
		e.linear(s, i, n)
	}
	in := e.scratch.share(e.scratch.imports, uint64(b.Import.Since(a.Import)))
	out := e.scratch.share(e.scratch.exports, uint64(b.Export.Since(a.Export)))
	if !in && !out {
		return Flat
	}
	return method
}

// linear weighs intervals along a line from the one before the gap to the one
// after. If only one of them is measured the line is level; if neither, all
// weights are zero.
func (e *editor) linear(s *segment, i, n int) {
	var before, after [2]uint64
	rs := s.readings
	left := i > 0 && rs[i].Time-rs[i-1].Time == e.step
	right := i+2 < len(rs) && rs[i+2].Time-rs[i+1].Time == e.step
	if left {
		before = step(&rs[i-1], &rs[i])
	}
	if right {
		after = step(&rs[i+1], &rs[i+2])
	}
	switch {
	case !left:
		before = after
	case !right:
		after = before
	}
	for k := range n {
		l, r := uint64(n-k), uint64(k+1)
		e.scratch.imports[k] = before[0]*l + after[0]*r
		e.scratch.exports[k] = before[1]*l + after[1]*r
	}
}

// step is the energy between neighbours: import, export.
func step(a, b *wattveil.Reading) [2]uint64 {
	return [2]uint64{uint64(b.Import.Since(a.Import)), uint64(b.Export.Since(a.Export))}
}

// share turns weights into parts of total that sum to it: each gets the whole
// part of its share, and what is left goes Wh by Wh to the largest remainders,
// of equal ones to the earliest. Weights that are all zero count as equal; then
// and where there is nothing to share it returns false.
func (s *scratch) share(parts []uint64, total uint64) bool {
	var sum uint64
	for _, w := range parts {
		sum += w
	}
	weighed := sum > 0
	if !weighed {
		for i := range parts {
			parts[i] = 1
		}
		sum = uint64(len(parts))
	}
	s.rests = slices.Grow(s.rests[:0], len(parts))[:len(parts)]
	left := total
	for i, w := range parts {
		hi, lo := bits.Mul64(total, w)
		parts[i], s.rests[i] = bits.Div64(hi, lo, sum)
		left -= parts[i]
	}
	if left > 0 {
		s.hand(parts, left)
	}
	return weighed && total > 0
}

// hand gives 1 Wh to each of the left largest remainders.
func (s *scratch) hand(parts []uint64, left uint64) {
	s.order = s.order[:0]
	for i := range parts {
		s.order = append(s.order, int32(i))
	}
	slices.SortFunc(s.order, func(i, j int32) int {
		if c := cmp.Compare(s.rests[j], s.rests[i]); c != 0 {
			return c
		}
		return cmp.Compare(i, j)
	})
	for _, i := range s.order[:left] {
		parts[i]++
	}
}

// sum is the register sum check: the intervals between the first and the last
// reading of a stretch sum to the difference of their registers. It fails only
// if this package is wrong.
func (e *editor) sum(s *segment, from, to int64, ivs []Interval) {
	rs := s.readings
	i := sort.Search(len(rs), func(i int) bool { return rs[i].Time >= from })
	j := sort.Search(len(rs), func(i int) bool { return rs[i].Time > to }) - 1
	if j <= i {
		return
	}
	var imports, exports wattveil.Wh
	for k := range ivs {
		if ivs[k].Start >= rs[i].Time && ivs[k].End <= rs[j].Time {
			imports, exports = imports+ivs[k].Import, exports+ivs[k].Export
		}
	}
	if rs[j].Import.Since(rs[i].Import) != imports || rs[j].Export.Since(rs[i].Export) != exports {
		e.err = fmt.Errorf("vee: intervals from %d to %d do not sum to the registers: the program is wrong", rs[i].Time, rs[j].Time)
	}
}
