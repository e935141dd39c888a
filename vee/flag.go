package vee

import "github.com/wattveil/wattveil"

// flag makes the checks that look at many intervals: they mark measured
// intervals, report, and change no energy.
func (e *editor) flag() {
	e.zeroRuns()
	ivs := e.out.Intervals
	for len(ivs) > 0 {
		i := e.days.at(ivs[0].Start)
		end := e.days[i+1].start
		n := 0
		for n < len(ivs) && ivs[n].Start < end {
			n++
		}
		e.spike(ivs[:n])
		e.level(i, ivs[:n])
		ivs = ivs[n:]
	}
}

// zeroRuns reports and marks runs of measured intervals without energy.
func (e *editor) zeroRuns() {
	ivs := e.out.Intervals
	least := int64(e.o.ZeroRun.Seconds())
	for i := 0; i < len(ivs); {
		j := i
		for j < len(ivs) && ivs[j].Import|ivs[j].Export == 0 && ivs[j].Method == Measured &&
			(j == i || ivs[j].Start == ivs[j-1].End) {
			j++
		}
		if j == i {
			i++
			continue
		}
		if ivs[j-1].End-ivs[i].Start >= least {
			e.find(Finding{Rule: ZeroRun, Series: ivs[i].Series, From: ivs[i].Start, To: ivs[j-1].End, Count: j - i})
			for k := i; k < j; k++ {
				ivs[k].mark(ZeroRun)
			}
		}
		i = j
	}
}

// spike compares the highest imported and exported energy of the measured
// intervals of a day with the third highest, as California's rules do.
func (e *editor) spike(ivs []Interval) {
	var in, out [3]wattveil.Wh
	inAt, outAt, measured := -1, -1, 0
	for i := range ivs {
		iv := &ivs[i]
		if iv.Method != Measured {
			continue
		}
		measured++
		if iv.Import > in[2] && rank(&in, iv.Import) {
			inAt = i
		}
		if iv.Export > out[2] && rank(&out, iv.Export) {
			outAt = i
		}
	}
	if measured < 3 {
		return
	}
	for _, c := range [...]struct {
		top *[3]wattveil.Wh
		at  int
	}{{&in, inAt}, {&out, outAt}} {
		if c.at >= 0 && e.o.spikes(c.top, e.step) {
			iv := &ivs[c.at]
			iv.mark(Spike)
			e.find(Finding{Rule: Spike, Series: iv.Series, From: iv.Start, To: iv.End, Count: 1})
		}
	}
}

// spikes tells whether the highest of the three highest of a day is a spike.
func (o *Options) spikes(top *[3]wattveil.Wh, step int64) bool {
	high, third := int64(top[0]), int64(top[2])
	return high > o.SpikeFloor*step/3600 && (high-third)*100 > third*o.SpikePercent
}

// rank puts a value among the three highest, and tells whether it is now the
// highest alone.
func rank(top *[3]wattveil.Wh, v wattveil.Wh) bool {
	switch {
	case v > top[0]:
		top[0], top[1], top[2] = v, top[0], top[1]
		return true
	case v > top[1]:
		top[1], top[2] = v, top[1]
	default:
		top[2] = v
	}
	return false
}

// level compares the imported energy of a whole local day with the mean of its
// reference days.
func (e *editor) level(i int, ivs []Interval) {
	n := int64(len(ivs))
	if n == 0 || n*e.step != e.days.length(i) || n*e.step != secondsPerDay {
		return
	}
	var room [maxReferenceDays][]wattveil.Reading
	refs := e.nearest(room[:0], i)
	if len(refs) < e.o.ReferenceDays {
		return
	}
	var today, others int64
	for k := range ivs {
		today += int64(ivs[k].Import)
	}
	for _, rs := range refs {
		others += int64(rs[len(rs)-1].Import.Since(rs[0].Import))
	}
	f := Finding{Rule: High, Series: ivs[0].Series, From: ivs[0].Start, To: ivs[n-1].End, Count: len(ivs)}
	scaled := today * 100 * int64(len(refs))
	switch {
	case scaled > others*e.o.HighPercent:
	case scaled < others*e.o.LowPercent:
		f.Rule = Low
	default:
		return
	}
	e.find(f)
}
