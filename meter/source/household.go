package source

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/wattveil/wattveil"
)

// Household is a simulated home. Its readings follow from the seed, its number
// and the time alone, whatever was asked before: every local day is drawn from
// a generator of its own, minute by minute, and intervals are cut from the
// minutes. So households of one seed and number agree at every resolution.
//
// A minute with more generation than use is export, any other import, as a
// meter nets its phases at every moment; an interval can hold both. Watt-hours
// are the steps of the day's running sum, rounded down: the fraction that one
// interval lacks is in the next, and at local midnight less than 1 Wh of each
// direction is dropped. The sums over any span that whole intervals fill are
// therefore equal at all resolutions, not only near each other.
//
// The model is of Central Europe: latitude, weather and seasons are those of
// the Swiss Plateau, and the zone moves only its clocks. It knows no public
// holidays. Numbers are equal on machines of one architecture; floating point
// may differ in the last bit on another, which at worst moves 1 Wh.
//
// It is used by one goroutine at a time and keeps the day asked for last.
type Household struct {
	seed   uint64
	number int
	loc    *time.Location
	res    int64
	traits traits
	cache  dayCache
}

var _ Load = (*Household)(nil)

// NewHousehold makes household n of the community that seed draws. Households
// of one seed share the weather and nothing else. res is the length of its
// intervals, a divisor of an hour; loc, whose clocks it lives by, may be nil
// for UTC. It panics if res is zero.
func NewHousehold(seed uint64, n int, loc *time.Location, res wattveil.Resolution) *Household {
	if res == 0 {
		panic("source: household with intervals of no length")
	}
	if loc == nil {
		loc = time.UTC
	}
	h := &Household{seed: seed, number: n, loc: loc, res: int64(res)}
	h.traits = drawTraits(h.random(drawOfTraits, 0))
	return h
}

// Describe says who lives there and what draws most, such as "3 persons,
// electric water heating, 5.2 kWp PV".
func (h *Household) Describe() string { return h.traits.describe() }

// Format names the household, so that its energy is not printed.
func (h Household) Format(f fmt.State, _ rune) {
	writeState(f, fmt.Sprintf("[simulated household %d]", h.number))
}

// Energy is the energy of the interval that starts at the Unix second start. It
// is ok from 1970 to 2106, and for a start off the grid too.
func (h *Household) Energy(start int64) (imp, exp wattveil.Wh, ok bool) {
	if start < 0 || start > maxTime-h.res {
		return 0, 0, false
	}
	for from, end := start, start+h.res; from < end; {
		h.load(from, start)
		to := min(end, h.cache.end)
		imp0, exp0 := h.cache.until(from)
		imp1, exp1 := h.cache.until(to)
		imp += imp1 - imp0
		exp += exp1 - exp0
		from = to
	}
	return imp, exp, true
}

// load brings the local day that holds the Unix second t into the cache, with
// knots on the grid of the intervals to which start belongs.
func (h *Household) load(t, start int64) {
	c := &h.cache
	if t >= c.start && t < c.end && c.cuts(start) {
		return
	}
	date, from, to := dayOf(h.loc, t)
	// The buffer is on the stack: only what is read again later is kept.
	var buffer [26 * 60]float64
	watts := buffer[:]
	if n := int((to - from + minute - 1) / minute); n <= len(buffer) {
		watts = watts[:n]
	} else {
		watts = make([]float64, n)
	}
	h.simulate(watts, date, from, to)
	c.cut(watts, from, to, start, h.res)
}

// What a generator is for, so that no two draw the same numbers.
const (
	drawOfTraits = iota + 1
	drawOfDay
	drawOfFortnight
	drawOfSky
	drawOfWeather
)

// random is the generator of this household for one purpose and one period.
func (h *Household) random(purpose, period int64) *rand.Rand {
	return random(h.seed, int64(h.number), purpose, period)
}

// random is a generator that these numbers alone determine. Each goes through
// the finalizer of SplitMix64 (Steele, Lea, Flood 2014), so that neighbouring
// households and days have nothing in common.
func random(seed uint64, keys ...int64) *rand.Rand {
	a, b := mix(seed), mix(seed^0x9E3779B97F4A7C15)
	for _, k := range keys {
		a = mix(a ^ uint64(k))
		b = mix(b + uint64(k))
	}
	return rand.New(rand.NewPCG(a, b))
}

func mix(x uint64) uint64 {
	x += 0x9E3779B97F4A7C15
	x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
	x = (x ^ x>>27) * 0x94D049BB133111EB
	return x ^ x>>31
}
