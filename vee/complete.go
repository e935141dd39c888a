package vee

import (
	"slices"
	"sort"
	"time"

	"github.com/wattveil/wattveil"
)

// Complete gives the intervals of a period that needs no editing, and false if
// it may need some: then [Edit] says what it is. It appends to two lists, which
// hold the energy of each interval and how far it is to be trusted. They are
// what Edit would give.
//
// The readings must be all of the meter's newest series, rising, from an
// interval before the period to an interval after it, or further: a reading at
// the edge is believed because of those on both sides of it.
func Complete(rs []wattveil.Reading, resolution wattveil.Resolution, from, to int64, o Options,
	ivs []wattveil.Interval, qs []Quality) ([]wattveil.Interval, []Quality, bool) {
	step := int64(resolution)
	o, err := o.filled()
	if err != nil || resolution.Code() == 0 || from < step || to <= from || (to-from)%step != 0 {
		return ivs, qs, false
	}
	n := int((to - from) / step)
	at := sort.Search(len(rs), func(i int) bool { return rs[i].Time >= from-step })
	if at+n+2 >= len(rs) {
		return ivs, qs, false
	}
	ivs, qs = slices.Grow(ivs, n), slices.Grow(qs, n)
	c := completion{o: o, step: step, most: wattveil.Wh(o.MaxPower*step/3600 + 1), ivs: ivs[len(ivs):], qs: qs[len(qs):]}
	if !c.take(rs[at:at+n+3], from-step) {
		return ivs, qs, false
	}
	c.zeroRuns()
	if c.highest > wattveil.Wh(o.SpikeFloor*step/3600) {
		c.spikes()
	}
	return append(ivs, c.ivs...), append(qs, c.qs...), true
}

// completion is one call of Complete.
type completion struct {
	o       Options
	step    int64
	most    wattveil.Wh // that can pass in a step
	highest wattveil.Wh // that did
	ivs     []wattveil.Interval
	qs      []Quality
}

// take takes the intervals of readings that follow each other from a time on,
// without the first and the last. It stops at one that is not measured.
func (c *completion) take(rs []wattveil.Reading, from int64) bool {
	if rs[0].Time != from {
		return false
	}
	for i := 1; i < len(rs); i++ {
		a, b := &rs[i-1], &rs[i]
		iv := wattveil.Interval{
			Start: a.Time, End: b.Time, Status: b.Status,
			Import: b.Import.Since(a.Import), Export: b.Export.Since(a.Export),
		}
		if b.Time-a.Time != c.step || iv.Import > c.most || iv.Export > c.most {
			return false
		}
		if i == 1 || i == len(rs)-1 {
			continue
		}
		q := Valid
		if (a.Status|b.Status)&(wattveil.StatusClock|wattveil.StatusTamper) != 0 {
			q = Questionable
		}
		c.highest = max(c.highest, iv.Import, iv.Export)
		c.ivs, c.qs = append(c.ivs, iv), append(c.qs, q)
	}
	return true
}

// zeroRuns marks as rule 13 does.
func (c *completion) zeroRuns() {
	least := int(int64(c.o.ZeroRun.Seconds()) / c.step)
	for i, run := 0, 0; i <= len(c.ivs); i++ {
		if i < len(c.ivs) && c.ivs[i].Import|c.ivs[i].Export == 0 {
			run++
			continue
		}
		if run >= least && int64(run)*c.step >= int64(c.o.ZeroRun.Seconds()) {
			for k := i - run; k < i; k++ {
				c.qs[k] = Questionable
			}
		}
		run = 0
	}
}

// spikes marks as rule 14 does, local day by local day.
func (c *completion) spikes() {
	for first := 0; first < len(c.ivs); {
		y, m, d := time.Unix(c.ivs[first].Start, 0).In(c.o.Zone).Date()
		midnight := time.Date(y, m, d+1, 0, 0, 0, 0, c.o.Zone).Unix()
		end := first
		for end < len(c.ivs) && c.ivs[end].Start < midnight {
			end++
		}
		c.spike(first, end)
		first = max(end, first+1)
	}
}

func (c *completion) spike(first, end int) {
	var in, out [3]wattveil.Wh
	inAt, outAt := -1, -1
	for i := first; i < end; i++ {
		if iv := &c.ivs[i]; iv.Import > in[2] && rank(&in, iv.Import) {
			inAt = i
		}
		if iv := &c.ivs[i]; iv.Export > out[2] && rank(&out, iv.Export) {
			outAt = i
		}
	}
	if end-first < 3 {
		return
	}
	if inAt >= 0 && c.o.spikes(&in, c.step) {
		c.qs[inAt] = Questionable
	}
	if outAt >= 0 && c.o.spikes(&out, c.step) {
		c.qs[outAt] = Questionable
	}
}
