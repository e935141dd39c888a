package source

import "time"

// A wall time is what clocks on the wall show, as seconds from 1970-01-01T00:00
// on that same wall. A zone's offset turns it into Unix seconds.

const (
	minute = int64(60)
	hour   = int64(3600)
	day    = 24 * hour
)

// offset is how far clocks in loc are ahead of UTC at the Unix second t.
func offset(loc *time.Location, t int64) int64 {
	_, o := time.Unix(t, 0).In(loc).Zone()
	return int64(o)
}

// wallAt is what clocks in loc show at the Unix second t.
func wallAt(loc *time.Location, t int64) int64 { return t + offset(loc, t) }

// instants lists the Unix seconds at which clocks in loc show wall, earliest
// first: none in an hour that a clock change skips, two in one that it repeats.
func instants(loc *time.Location, wall int64) []int64 {
	// Offsets reach from -12 h to +14 h, so that the moment itself lies within
	// [wall-14h, wall+12h]; one clock change at most lies between the probes.
	before, after := offset(loc, wall-15*hour), offset(loc, wall+13*hour)
	found := make([]int64, 0, 2)
	if t := wall - before; offset(loc, t) == before {
		found = append(found, t)
	}
	if t := wall - after; after != before && offset(loc, t) == after {
		found = append(found, t)
	}
	return found
}

// midnight is the Unix second at which the local day begins whose number,
// counted from 1970-01-01, is date. Where a clock change skips midnight it is
// the moment of the change.
func midnight(loc *time.Location, date int64) int64 {
	wall := date * day
	if found := instants(loc, wall); len(found) > 0 {
		return found[0]
	}
	return wall - offset(loc, wall-15*hour)
}

// dayOf is the number of the local day that holds the Unix second t, with its
// beginning and end.
func dayOf(loc *time.Location, t int64) (date, start, end int64) {
	date = floorDiv(wallAt(loc, t), day)
	for start = midnight(loc, date); start > t; start = midnight(loc, date) {
		date--
	}
	for end = midnight(loc, date+1); end <= t; end = midnight(loc, date+1) {
		date++
		start = end
	}
	return date, start, end
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
