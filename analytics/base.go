package analytics

import (
	"slices"

	"github.com/wattveil/wattveil"
)

// fewestHours is how many hours of a day must be measured for it to have a base
// load, and fewestDays how many days before for it to be unusual.
const (
	fewestHours = 20
	fewestDays  = 7
)

// LeastHour is the base load of a day: the least energy of one of its hours. It is
// false if fewer than 20 hours are given.
func LeastHour(hours []wattveil.Wh) (wattveil.Wh, bool) {
	if len(hours) < fewestHours {
		return 0, false
	}
	return slices.Min(hours), true
}

// AboveUsual is how much a base load is above the median of those of earlier days,
// in per cent rounded down, which may be negative. It is false if fewer than 7
// are given, or the median is 0.
func AboveUsual(base wattveil.Wh, before []wattveil.Wh) (percent int64, ok bool) {
	if len(before) < fewestDays {
		return 0, false
	}
	sorted := slices.Sorted(slices.Values(before))
	n := len(sorted)
	double := int64(sorted[(n-1)/2]) + int64(sorted[n/2]) // twice the median
	if double <= 0 {
		return 0, false
	}
	over := 100 * (2*int64(base) - double)
	percent = over / double
	if over < 0 && over%double != 0 {
		percent--
	}
	return percent, true
}
