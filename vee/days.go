package vee

import (
	"slices"
	"sort"
	"time"

	"github.com/wattveil/wattveil"
)

const secondsPerDay = 24 * 60 * 60

// calendar holds the local days around the period, rising.
type calendar []day

// day is one local day. Two days are of one type if both are weekend or
// neither is.
type day struct {
	start   int64 // Unix seconds
	first   int64 // first time of the grid in it
	weekend bool
	asked   bool // whether readings was looked up
	// readings are those of the day from first on, one more than it has
	// intervals; nil unless the day is complete.
	readings []wattveil.Reading
}

func (e *editor) newCalendar() {
	reach := int64(Margin.Seconds())
	y, m, d := time.Unix(e.from-reach, 0).In(e.o.Zone).Date()
	n := int((e.to-e.from+2*reach)/secondsPerDay + 3)
	days := slices.Grow(e.days, n)[:n]
	for i := range days {
		days[i] = day{}
		date := time.Date(y, m, d+i, 0, 0, 0, 0, e.o.Zone)
		w := date.Weekday()
		days[i].start = date.Unix()
		days[i].weekend = w == time.Saturday || w == time.Sunday
		if e.o.Holiday != nil && e.o.Holiday(date.Date()) {
			days[i].weekend = true
		}
		late := (days[i].start - e.from) % e.step
		if late < 0 {
			late += e.step
		}
		days[i].first = days[i].start
		if late > 0 {
			days[i].first += e.step - late
		}
	}
	e.days = days
}

// at is the place of the day that a time is in.
func (c calendar) at(t int64) int {
	return sort.Search(len(c), func(i int) bool { return c[i].start > t }) - 1
}

// length is a day's length in seconds, which differs where the clock is set.
func (c calendar) length(i int) int64 {
	if i+1 >= len(c) {
		return 0
	}
	return c[i+1].start - c[i].start
}

// complete is the readings of a day of 24 hours of which every interval is
// measured by a clock that nothing questions, else nil.
func (e *editor) complete(i int) []wattveil.Reading {
	d := &e.days[i]
	if d.asked {
		return d.readings
	}
	d.asked = true
	if e.days.length(i) != secondsPerDay {
		return nil
	}
	n := int(secondsPerDay / e.step)
	for k := range e.segments {
		s := &e.segments[k]
		if d.first < s.first() || d.first >= s.until {
			continue
		}
		at := sort.Search(len(s.readings), func(i int) bool { return s.readings[i].Time >= d.first })
		if at+n >= len(s.readings) || s.readings[at+n].Time != d.first+secondsPerDay {
			return nil
		}
		rs := s.readings[at : at+n+1]
		for j := range rs {
			if rs[j].Status&wattveil.StatusClock != 0 {
				return nil
			}
		}
		d.readings = rs
		return rs
	}
	return nil
}

// nearest appends the nearest complete days of the type of day i, the earlier
// of two at one distance first, at most as many as an estimate takes.
func (e *editor) nearest(days [][]wattveil.Reading, i int) [][]wattveil.Reading {
	for distance := 1; distance <= e.o.ReferenceSpan; distance++ {
		for _, j := range [...]int{i - distance, i + distance} {
			if j < 0 || j >= len(e.days) || e.days[j].weekend != e.days[i].weekend {
				continue
			}
			if rs := e.complete(j); rs != nil {
				days = append(days, rs)
			}
			if len(days) == e.o.ReferenceDays {
				return days
			}
		}
	}
	return days
}

// evenly divides by every number of reference days there can be.
const evenly = 840

// reference weighs n intervals from a time on by the mean of the intervals at
// the same local time of reference days. It returns false if a day that the
// gap touches has none.
func (e *editor) reference(from int64, n int) bool {
	var room [maxReferenceDays][]wattveil.Reading
	refs := room[:0]
	i := -1
	for k := range n {
		t := from + int64(k)*e.step
		if i < 0 || t >= e.days[i+1].start {
			i = e.days.at(t)
			if i < 0 || i+1 >= len(e.days) {
				return false
			}
			if refs = e.nearest(room[:0], i); len(refs) == 0 {
				return false
			}
		}
		slot := e.slot(i, t)
		var in, out uint64
		for _, rs := range refs {
			s := step(&rs[slot], &rs[slot+1])
			in, out = in+s[0], out+s[1]
		}
		scale := uint64(evenly / len(refs))
		e.scratch.imports[k], e.scratch.exports[k] = in*scale, out*scale
	}
	return true
}

// slot is the place, in a day of 24 hours, of the interval that has the local
// time of the one that begins at t in day i.
func (e *editor) slot(i int, t int64) int64 {
	d := &e.days[i]
	wall := t - d.start
	if e.days.length(i) != secondsPerDay {
		h, m, s := time.Unix(t, 0).In(e.o.Zone).Clock()
		wall = int64(h*3600 + m*60 + s)
	}
	slot := (wall - (d.first - d.start)) / e.step
	return min(max(slot, 0), secondsPerDay/e.step-1)
}
