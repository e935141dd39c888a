package source

import (
	"math"
	"math/rand/v2"
	"time"
)

// aDay is one local day of one household while it is simulated. Appliances add
// to watts; the roof takes from it.
type aDay struct {
	*traits
	home   *Household
	r      *rand.Rand
	watts  []float64 // of each minute
	date   int64     // days since 1970-01-01
	start  int64     // Unix seconds
	even   bool      // no clock change
	free   bool      // Saturday or Sunday
	hour0  int64     // offset from UTC at the start, seconds
	sunset float64   // minutes after midnight, on the clock
	dawn   float64
	sky    sky
	wake   float64
	bed    float64
	out    []span // when nobody is at home, minutes after midnight
}

// span is part of a day, in minutes after midnight.
type span struct{ from, to float64 }

// simulate fills watts with what the meter sees in each minute of a local day.
func (h *Household) simulate(watts []float64, date, start, end int64) {
	d := aDay{
		traits: &h.traits,
		home:   h,
		r:      h.random(drawOfDay, date),
		watts:  watts,
		date:   date,
		start:  start,
		even:   end-start == day,
		hour0:  offset(h.loc, start),
	}
	weekday := time.Weekday(floorMod(date+4, 7)) // 1970-01-01 was a Thursday
	d.free = weekday == time.Saturday || weekday == time.Sunday
	d.sky = d.drawSky()
	d.dawn, d.sunset = d.daylight()

	d.background()
	if away := h.away(date); !away {
		d.plan(weekday)
		d.live()
		d.cook()
		d.wash(weekday)
		d.charge()
		d.heatWater()
		d.heatRooms(20)
	} else {
		d.heatRooms(16) // and the tap stays shut
	}
	d.generate()
}

// away tells whether the household is on holiday for the whole local day. Time
// is cut into fortnights, each with at most one stay away, so that a day can
// be drawn without the days before it. It comes to about four weeks a year,
// which is what Swiss employees take.
func (h *Household) away(date int64) bool {
	fortnight := floorDiv(date, 14)
	r := h.random(drawOfFortnight, fortnight)
	likely := 0.08
	switch month := time.Unix(fortnight*14*day, 0).UTC().Month(); month {
	case time.July, time.August:
		likely = 0.35
	case time.February, time.October, time.December:
		likely = 0.12
	}
	if r.Float64() >= likely {
		return false
	}
	length := 3 + r.Int64N(11)
	first := r.Int64N(14 - length + 1)
	in := floorMod(date, 14)
	return in >= first && in < first+length
}

// plan draws when people get up, leave, come back and go to bed.
func (d *aDay) plan(weekday time.Weekday) {
	late := weekday == time.Friday || weekday == time.Saturday
	d.wake = d.traits.wake + 12*d.r.NormFloat64()
	d.bed = d.traits.bed + 15*d.r.NormFloat64()
	if d.free {
		d.wake += between(d.r, 60, 130)
	}
	if late {
		d.bed += between(d.r, 0, 70)
	}
	d.wake = clamp(d.wake, 240, 660)
	d.bed = clamp(d.bed, 1200, 1435)
	switch {
	case d.free && d.r.Float64() < 0.6: // shopping, a walk
		from := between(d.r, 600, 900)
		d.out = append(d.out, span{from, from + between(d.r, 60, 240)})
	case !d.free && !d.retired && d.r.Float64() < 0.75: // work and school
		d.out = append(d.out, span{d.wake + between(d.r, 45, 80), d.back + 25*d.r.NormFloat64()})
	case !d.free && d.retired && d.r.Float64() < 0.5:
		from := between(d.r, 540, 900)
		d.out = append(d.out, span{from, from + between(d.r, 45, 180)})
	}
}

// occupied tells whether somebody is at home and awake.
func (d *aDay) occupied(at float64) bool {
	if at < d.wake || at >= d.bed {
		return false
	}
	for _, o := range d.out {
		if at >= o.from && at < o.to {
			return false
		}
	}
	return true
}

// add switches something on for a while. It starts when clocks show from, in
// minutes after midnight, and runs for as many minutes, until the day's end at
// most.
func (d *aDay) add(from, minutes, watts float64) {
	start := from + d.shift(from)
	first, last := max(0, int(start)), int(start+minutes+0.5)
	for m := first; m < min(last, len(d.watts)); m++ {
		d.watts[m] += watts
	}
}

// shift is how many minutes further into the day clocks show a time than on a
// day without a clock change: -60 after the change in spring, 60 in autumn.
func (d *aDay) shift(at float64) float64 {
	if d.even {
		return 0
	}
	moment := d.start + int64(at)*minute
	return float64(d.hour0-offset(d.home.loc, moment)) / 60
}

// background is what runs with nobody at home: standby and cold.
func (d *aDay) background() {
	for m := range d.watts {
		d.watts[m] += d.standby
	}
	for _, f := range d.fridges {
		on := f.duty * between(d.r, 0.9, 1.1)
		phase := d.r.Float64()
		step := 1 / f.period
		for m := range d.watts {
			if phase < on {
				d.watts[m] += f.watts
			}
			if phase += step; phase >= 1 {
				phase--
			}
		}
	}
}

// live is lighting, screens and the small appliances of people at home.
func (d *aDay) live() {
	people := float64(d.persons)
	lights := (45 + 28*people) * d.level
	screens := (50 + 72*people) * d.level
	const step = 10.0 // minutes
	for at := math.Floor(d.wake/step) * step; at < d.bed; at += step {
		if !d.occupied(at) {
			continue
		}
		w := screens * between(d.r, 0.3, 1.0)
		if at >= 1080 {
			w = screens * between(d.r, 0.7, 1.4)
		}
		if at < d.dawn+20 || at > d.sunset-20 {
			w += lights * between(d.r, 0.6, 1.3)
		}
		d.add(at, step, w)
	}
	// Kettle, coffee, hair dryer, iron, vacuum cleaner, microwave.
	for n := d.count((2.5 + 3*people) * d.level); n > 0; n-- {
		at := between(d.r, d.wake, d.bed)
		minutes, watts := 2+8*d.r.Float64()*d.r.Float64()+1, between(d.r, 500, 2000)
		if d.occupied(at) {
			d.add(at, minutes, watts)
		}
	}
}

// count is a number of events, Poisson with that mean.
func (d *aDay) count(mean float64) int {
	n, p, limit := 0, d.r.Float64(), math.Exp(-mean)
	for p > limit {
		n++
		p *= d.r.Float64()
	}
	return n
}
