package analytics

import (
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/wattveil/wattveil"
)

// Watt is a mean power. It redacts itself; convert to int64 to compute with it.
type Watt int64

// Format redacts under every verb.
func (w Watt) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[power]")) }

// LogValue redacts.
func (w Watt) LogValue() slog.Value { return slog.StringValue("[power]") }

// Insights is what a period shows. What too little was measured for is absent:
// its Known is false.
type Insights struct {
	Measured time.Duration // of the period, in whole hours
	Of       time.Duration // the period
	Feeds    bool          // the home fed in
	Base     Base
	Peak     Peak
	Night    Share
	Standby  Share
	Unusual  []Day // rising
	Compared int   // days that had enough days like them to be compared with
	Week     Week
}

// Of looks at a period. The intervals are those that were measured, rising,
// without overlap.
func Of(list []wattveil.Interval, zone *time.Location, from, to time.Time) Insights {
	hours := Hours(list)
	out := Insights{
		Measured: time.Duration(len(hours)) * time.Hour, Of: to.Sub(from), Feeds: feeds(hours),
		Base: BaseLoad(BaseLoads(hours, zone)), Peak: PeakOf(list), Night: NightUse(hours, zone), Week: WeekOf(hours, zone),
	}
	out.Standby = StandbyShare(hours, out.Base)
	out.Unusual, out.Compared = UnusualDays(hours, zone)
	return out
}

// Hour is an hour of UTC that was measured from its start to its end.
type Hour struct {
	Start          int64 // Unix seconds
	Import, Export wattveil.Wh
}

// Hours adds intervals up to whole hours. An hour of which a part is missing is
// left out.
func Hours(list []wattveil.Interval) []Hour {
	slots := sum(list, hour)
	hours := make([]Hour, len(slots))
	for i, s := range slots {
		hours[i] = Hour{s.start, s.imported, s.exported}
	}
	return hours
}

const (
	hour    = 3600
	quarter = 900
)

// slot is a stretch of time that begins at a multiple of its length.
type slot struct {
	start              int64
	imported, exported wattveil.Wh
}

// sum gives the slots of a length that intervals cover whole.
func sum(list []wattveil.Interval, length int64) (slots []slot) {
	var s slot
	var covered int64
	for i := range list {
		v := &list[i]
		if start := v.Start - v.Start%length; start != s.start {
			s, covered = slot{start: start}, 0
		}
		if v.End > s.start+length {
			continue // reaches into the next
		}
		s.imported, s.exported = s.imported+v.Import, s.exported+v.Export
		if covered += v.End - v.Start; covered == length {
			slots = append(slots, s)
		}
	}
	return slots
}

func feeds(hours []Hour) bool {
	return slices.ContainsFunc(hours, func(h Hour) bool { return h.Export > 0 })
}

// isNight tells when people mostly sleep, in local hours: from 22 to 6.
func isNight(local time.Time) bool { return local.Hour() >= 22 || local.Hour() < 6 }

// Peak is the highest mean power, and when.
type Peak struct {
	Power  Watt
	Start  int64         // Unix seconds
	Length time.Duration // over which it is a mean
	Known  bool
}

// PeakOf is the highest quarter of an hour, or the highest interval where
// intervals are longer. Shorter peaks say little: a kettle looks like a stove.
func PeakOf(list []wattveil.Interval) (p Peak) {
	length := int64(quarter)
	for i := range list {
		length = max(length, list[i].End-list[i].Start)
	}
	for _, s := range sum(list, length) {
		if power := Watt(int64(s.imported) * hour / length); !p.Known || power > p.Power {
			p = Peak{Power: power, Start: s.start, Length: time.Duration(length) * time.Second, Known: true}
		}
	}
	return p
}

// Share is a part of the imported energy.
type Share struct {
	Part, Whole wattveil.Wh
	Known       bool
}

// Percent is the share in whole percent.
func (s Share) Percent() int {
	if s.Whole == 0 {
		return 0
	}
	return int((int64(s.Part)*200 + int64(s.Whole)) / (int64(s.Whole) * 2))
}

// NightUse is what is imported from 22 to 6, of what is imported at all.
func NightUse(hours []Hour, zone *time.Location) (s Share) {
	nights := 0
	for _, h := range hours {
		s.Whole += h.Import
		if isNight(time.Unix(h.Start, 0).In(zone)) {
			s.Part += h.Import
			nights++
		}
	}
	s.Known = nights >= leastDays*8 && len(hours) >= leastDays*24 && s.Whole > 0
	return s
}

// StandbyShare is what the base load alone came to over all hours, of what was
// imported. Hours in which a home fed in are left out: its panels carried the
// base load then.
func StandbyShare(hours []Hour, base Base) (s Share) {
	for _, h := range hours {
		s.Whole += h.Import
		if h.Export == 0 {
			s.Part += min(wattveil.Wh(base.Power), h.Import) // an hour of so many watts
		}
	}
	s.Known = base.Known && s.Whole > 0
	return s
}

// Week is the mean power by weekday, from Monday, and local hour.
type Week [7][24]Cell

// Cell is one hour of the week.
type Cell struct {
	Power Watt // mean
	Hours int  // that it is the mean of
}

// WeekOf takes the mean of all hours that began in the same local hour of the
// same weekday.
func WeekOf(hours []Hour, zone *time.Location) (w Week) {
	var sums [7][24]int64
	for _, h := range hours {
		local := time.Unix(h.Start, 0).In(zone)
		d, n := weekday(local), local.Hour()
		sums[d][n] += int64(h.Import)
		w[d][n].Hours++
	}
	for d := range w {
		for n := range w[d] {
			if c := &w[d][n]; c.Hours > 0 {
				c.Power = Watt((sums[d][n] + int64(c.Hours)/2) / int64(c.Hours))
			}
		}
	}
	return w
}

// weekday counts from Monday.
func weekday(local time.Time) int { return (int(local.Weekday()) + 6) % 7 }

// localDay is a day's hours.
type localDay struct {
	noon  time.Time // of the date, without a zone
	start int64     // of the first hour
	hours []Hour
}

// days cuts hours into local days.
func days(hours []Hour, zone *time.Location) (list []localDay) {
	for i := 0; i < len(hours); {
		y, m, d := time.Unix(hours[i].Start, 0).In(zone).Date()
		n := i + 1
		for n < len(hours) {
			if y2, m2, d2 := time.Unix(hours[n].Start, 0).In(zone).Date(); y2 != y || m2 != m || d2 != d {
				break
			}
			n++
		}
		list = append(list, localDay{time.Date(y, m, d, 12, 0, 0, 0, time.UTC), hours[i].Start, hours[i:n]})
		i = n
	}
	return list
}

// median is that of at least one number, the lower of the two in the middle. It
// sorts.
func median(list []int64) int64 {
	slices.Sort(list)
	return list[(len(list)-1)/2]
}
