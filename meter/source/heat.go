package source

import "math"

// Hot water takes 40 to 50 litres a person and day from 10 to 55 °C, 2.3 kWh
// of heat; a boiler's tank loses another 0.8 kWh a day.
const (
	waterPerPerson = 2.3 // kWh
	tankLoss       = 0.8 // kWh
)

// heatWater runs the electric boiler at night, once the utility releases it,
// until what the day before took is hot again.
func (d *aDay) heatWater() {
	kWh := waterPerPerson*float64(d.persons)*between(d.r, 0.6, 1.4) + tankLoss
	switch {
	case d.boiler.watts > 0:
		d.add(d.boiler.release, kWh*60000/d.boiler.watts, d.boiler.watts)
	case d.heatPump.watts > 0:
		watts := d.heatPump.watts * 0.8
		kWh /= performance(d.temperature(780), 55)
		d.add(between(d.r, 750, 810), kWh*60000/watts, watts)
	}
}

// heatRooms runs the heat pump. The building loses heat in proportion to the
// difference to the outside; sun and people warm it by 4 K, so that heating
// starts below 16 °C outside at 20 °C inside, the usual heating limit.
func (d *aDay) heatRooms(inside float64) {
	p := d.heatPump
	if p.watts == 0 {
		return
	}
	const gains = 4.0 // K
	const step = 10   // minutes; a pump runs no shorter
	owed := p.watts * step * d.r.Float64()
	for m := 0; m < len(d.watts); m += step {
		at := float64(m) - d.shift(float64(m))
		outside := d.temperature(at)
		heat := p.loss * max(0, inside-gains-outside)
		if at < 300 || at >= 1320 {
			heat *= p.night
		} else {
			heat *= 1 + (1-p.night)*7/17 // the 17 hours of day make up for the 7 of night
		}
		owed += heat / performance(outside, 35) * step
		if owed < p.watts*step {
			continue
		}
		// The pump owes full runs; what is left stays for the next.
		owed -= p.watts * step
		for i := m; i < min(m+step, len(d.watts)); i++ {
			d.watts[i] += p.watts
		}
	}
}

// performance is a heat pump's coefficient of performance from outside air to
// water of a temperature, in °C: about 0.42 of the Carnot limit, which gives
// the seasonal 3 to 3.5 that field tests find for floor heating.
func performance(outside, water float64) float64 {
	lift := max(15, water+5-(outside-5))
	return min(5.5, 0.42*(water+5+273)/lift)
}

// temperature is that of the air, °C, when clocks show at minutes after
// midnight. The Swiss Plateau has a yearly mean near 10 °C, 1 °C in January
// and 19 °C in July (norm values 1991 to 2020), warm and cold spells of some
// days and 6 K from night to afternoon. All households of a seed share it.
func (d *aDay) temperature(at float64) float64 {
	days := float64(d.date) + at/1440
	season := 10 - 9.3*math.Cos(2*math.Pi*(days-18)/365.2425)
	return season + d.sky.spell + 3*math.Cos(2*math.Pi*(at-900)/1440)
}
