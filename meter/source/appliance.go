package source

import "time"

// cook is breakfast, lunch and dinner. A hob and an oven take 0.5 to 1.2 kWh
// for a warm meal, some 300 kWh a year for a family; Swiss load curves show
// lunch from 11:30 to 12:30 and dinner from 18:00 to 19:30.
func (d *aDay) cook() {
	size := (0.5 + 0.24*float64(d.persons)) * d.level
	if d.occupied(d.wake + 15) {
		d.add(d.wake+between(d.r, 10, 30), between(d.r, 3, 8), 1100)
	}
	if d.occupied(720) {
		if likely := d.cooks * 0.75; d.r.Float64() < likely {
			d.meal(between(d.r, 670, 715), size)
		}
	}
	if at := 1115 + 42*d.r.NormFloat64(); d.occupied(at+10) && d.r.Float64() < d.cooks {
		d.meal(at, size*1.15)
	}
}

// meal is a hob, whose plates the thermostat switches, and at times an oven.
func (d *aDay) meal(at, size float64) {
	minutes := between(d.r, 20, 45)
	for m := 0.0; m < minutes; m += 3 {
		d.add(at+m, 3, size*between(d.r, 300, 1300))
	}
	if d.r.Float64() < 0.25 {
		d.add(at, 12, 2200)
		d.add(at+12, between(d.r, 15, 35), 900)
	}
}

// wash is the washing machine (0.8 kWh a load, most of it to heat the water in
// the first third), the tumble dryer (1.6 kWh) and the dishwasher (1.0 kWh in
// two pushes of heat).
func (d *aDay) wash(weekday time.Weekday) {
	// The preferred weekday has three times the loads of the others.
	mean := d.washes / 9
	if int(weekday) == d.washDay {
		mean *= 3
	}
	at := between(d.r, 480, 1020)
	for n := min(d.count(mean), 4); n > 0; n-- {
		d.add(at, 20, 1900)
		d.add(at+20, 70, 150)
		if d.dryer && d.r.Float64() < 0.7 {
			d.add(at+95, 75, 1280)
		}
		at += between(d.r, 95, 130)
	}
	if d.r.Float64() < d.dishes {
		at := between(d.r, 1150, 1290)
		if d.free && d.r.Float64() < 0.3 {
			at = between(d.r, 780, 840)
		}
		d.add(at, 14, 2000)
		d.add(at+14, 45, 60)
		d.add(at+59, 13, 2000)
	}
}

// charge plugs the car in after the day's last drive. What does not fit before
// midnight is charged on the road.
func (d *aDay) charge() {
	if d.car.watts == 0 || d.r.Float64() >= d.car.often {
		return
	}
	at := clamp(d.back+30*d.r.NormFloat64()+20, 960, 1320)
	if d.free {
		at = between(d.r, 900, 1260)
	}
	kWh := d.car.daily / d.car.often * between(d.r, 0.4, 1.6)
	d.add(at, kWh*60000/d.car.watts, d.car.watts)
}
