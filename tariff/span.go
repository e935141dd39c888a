package tariff

import (
	"math"
	"time"
)

// Span is a stretch of time, within one local day, to which one band and one
// set of demand charges apply.
type Span struct {
	Start, End int64  // Unix seconds; Start counts, End does not
	Band       int    // number of the band, for [Tariff.Rate]
	Demands    uint16 // bit n is set if the n-th of [Tariff.Demands] applies
	Day        int64  // local day, counted from 1970-01-01
	Offset     int64  // seconds that the local clock is east of UTC
}

// Band names the band that applies at t: an interval belongs to the band in
// which it starts. To price many intervals use a [Cursor].
func (t *Tariff) Band(at time.Time) string {
	c := t.Cursor()
	return t.bands[c.Span(at.Unix()).Band].Band
}

// A Cursor finds the spans of one tariff. It remembers the zone's offset, so a
// run in rising order costs one look into the zone per change of the clocks.
// It allocates nothing. Each goroutine needs its own.
type Cursor struct {
	t          *Tariff
	start, end int64 // Unix seconds between which offset holds
	offset     int64 // seconds east of UTC
	day        int64 // whose plan is in plan
	plan       dayPlan
}

// Cursor starts a search.
func (t *Tariff) Cursor() Cursor { return Cursor{t: t} }

// Span finds the span around an instant in Unix seconds. The local clock
// decides: where it jumps, the span ends, and an hour that comes twice has its
// band both times.
func (c *Cursor) Span(at int64) Span {
	if at < c.start || at >= c.end {
		c.seek(at)
	}
	day := floorDiv(at+c.offset, secondsPerDay)
	midnight := day*secondsPerDay - c.offset
	clock := int32(at - midnight)
	if day != c.day || c.plan == nil {
		c.day, c.plan = day, c.t.plan(day)
	}
	i := 0
	for c.plan[i].end <= clock {
		i++
	}
	found := &c.plan[i]
	return Span{
		Start:   max(c.start, midnight+int64(found.start)),
		End:     min(c.end, midnight+int64(found.end)),
		Band:    int(found.band),
		Demands: found.demands,
		Day:     day,
		Offset:  c.offset,
	}
}

// seek loads the offset at an instant and how long it holds.
func (c *Cursor) seek(at int64) {
	local := time.Unix(at, 0).In(c.t.zone)
	_, offset := local.Zone()
	c.offset, c.start, c.end = int64(offset), math.MinInt64, math.MaxInt64
	start, end := local.ZoneBounds()
	if !start.IsZero() {
		c.start = start.Unix()
	}
	if !end.IsZero() {
		c.end = end.Unix()
	}
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func floorMod(a, b int64) int64 { return a - floorDiv(a, b)*b }
