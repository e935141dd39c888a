package analytics

import (
	"time"

	"github.com/wattveil/wattveil"
)

// Base is the power that a home draws when nobody uses anything.
type Base struct {
	Power Watt
	Days  int // that show it
	Known bool
}

// BaseDay is the base load of one local day.
type BaseDay struct {
	Start int64 // Unix seconds of the day's first measured hour
	Power Watt
}

const (
	leastDays    = 7  // that say something of a home
	hoursOfDay   = 20 // of a day that are enough to see its lowest
	hoursOfNight = 6
)

// BaseLoads are the base loads of the days that show one, rising: of each its
// lowest hour (spec/portal.md section 14). Hours, since a refrigerator pauses
// for half of one. Where a home feeds in, its panels hide what it draws by day,
// so only nights count.
func BaseLoads(hours []Hour, zone *time.Location) (list []BaseDay) {
	night, enough := feeds(hours), hoursOfDay
	if night {
		enough = hoursOfNight
	}
	for _, day := range days(hours, zone) {
		low, n := wattveil.Wh(0), 0
		for _, h := range day.hours {
			if night && (h.Export > 0 || !isNight(time.Unix(h.Start, 0).In(zone))) {
				continue
			}
			if n++; n == 1 || h.Import < low {
				low = h.Import
			}
		}
		if n >= enough {
			list = append(list, BaseDay{day.start, Watt(low)}) // an hour of so many watts
		}
	}
	return list
}

// BaseLoad is the base load of several days: the median of theirs, since one
// night away or one party must not change it.
func BaseLoad(list []BaseDay) Base {
	if len(list) < leastDays {
		return Base{Days: len(list)}
	}
	powers := make([]int64, len(list))
	for i, d := range list {
		powers[i] = int64(d.Power)
	}
	return Base{Power: Watt(median(powers)), Days: len(list), Known: true}
}

// Above is how much a day's base load is above another, in per cent rounded
// down, which may be negative. It is false if the other is not known, or 0.
func (d BaseDay) Above(usual Base) (percent int64, ok bool) {
	whole := int64(usual.Power)
	if !usual.Known || whole <= 0 {
		return 0, false
	}
	over := 100 * (int64(d.Power) - whole)
	percent = over / whole
	if over < 0 && over%whole != 0 {
		percent--
	}
	return percent, true
}
