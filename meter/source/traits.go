package source

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
)

// traits is what does not change in a household. The shares and sizes follow
// public figures, rounded:
//
//   - Persons: the Swiss Federal Statistical Office counts about 37 % of
//     households with one person, 33 % with two, 13 % with three, 12 % with
//     four, 5 % with more (household statistics, 2022).
//   - Use without electric heating: BDEW gives 1,900, 2,890, 3,720 and 4,085
//     kWh a year for one to four persons (2021). The households of the Swiss
//     regulator ElCom lie about it: H1 1,600 kWh, H2 2,500, H3 and H4 4,500,
//     H5 7,500 with an electric boiler, H7 13,000 with a heat pump.
//   - Standby is about a tenth of a home's use (International Energy Agency).
//   - A refrigerator of the last decades takes 150 to 300 kWh a year, in cycles
//     of under an hour of which the compressor runs a third.
//   - Some 40 % of Swiss homes heat water by electricity at least in part, most
//     boilers at night under ripple control; about 20 % of residential
//     buildings have a heat pump (Federal Statistical Office, 2023).
//   - Solar roofs of homes have 3 to 12 kWp. The share here is above today's
//     average, so that a small demo shows some.
type traits struct {
	persons int
	level   float64 // factor on all that people switch on, median 1
	retired bool    // somebody is at home on working days
	cooks   float64 // share of days with a cooked dinner

	wake float64 // minutes after midnight, on working days
	back float64 // coming home on working days
	bed  float64

	standby   float64 // W
	fridges   []compressor
	washDay   int  // the weekday preferred for laundry, 0 = Sunday
	dryer     bool // tumble dryer
	washes    float64
	dishes    float64 // share of evenings on which the dishwasher runs
	boiler    boiler
	heatPump  heatPump
	car       car
	roof      roof
	latitude  float64 // radians
	westward  float64 // radians that the site lies west of its zone's meridian
	electrics []string
}

// compressor is a refrigerator or freezer.
type compressor struct {
	watts  float64
	period float64 // minutes from start to start
	duty   float64 // share of the period that it runs
}

// boiler is an electric water heater; watts is zero if there is none.
type boiler struct {
	watts   float64
	release float64 // minutes after midnight at which the utility lets it heat
}

// heatPump heats rooms and water; watts is zero if there is none.
type heatPump struct {
	watts float64 // electric, while it runs
	loss  float64 // W of heat that the building loses per kelvin
	night float64 // share of the day's heat that it keeps up at night
}

// car is an electric car; watts is zero if there is none.
type car struct {
	watts float64 // of the charger
	daily float64 // kWh of an average day
	often float64 // share of evenings on which it is plugged in
}

// roof is a photovoltaic system; kWp is zero if there is none.
type roof struct {
	kWp     float64
	tilt    float64 // radians from the horizontal
	azimuth float64 // radians clockwise from north
}

func drawTraits(r *rand.Rand) traits {
	t := traits{
		persons:  pick(r, 0.37, 0.33, 0.13, 0.12, 0.05) + 1,
		level:    math.Exp(0.3 * r.NormFloat64()),
		washDay:  r.IntN(7),
		latitude: radians(between(r, 46.2, 47.6)),
		westward: radians(between(r, 6.0, 8.5)),
	}
	people := float64(t.persons)
	t.retired = r.Float64() < [...]float64{0.4, 0.45, 0.45, 0.4, 0.4}[t.persons-1]
	t.cooks = between(r, 0.55, 0.95)
	t.wake = between(r, 345, 435)
	t.back = between(r, 990, 1100)
	t.bed = between(r, 1315, 1425)
	if t.retired {
		t.wake += 35
	}
	t.standby = (30 + 20*people) * math.Exp(0.4*r.NormFloat64())
	t.fridges = drawFridges(r, people)
	t.dryer = r.Float64() < 0.25+0.1*people
	t.washes = (0.7 + 0.75*people) * between(r, 0.7, 1.3)
	t.dishes = min(0.9, 0.1+0.17*people) * between(r, 0.6, 1.1)
	t.drawElectrics(r, people)
	return t
}

func drawFridges(r *rand.Rand, people float64) []compressor {
	one := func() compressor {
		return compressor{watts: between(r, 60, 105), period: between(r, 38, 62), duty: between(r, 0.27, 0.4)}
	}
	fridges := []compressor{one()}
	if r.Float64() < 0.2+0.12*people {
		fridges = append(fridges, one())
	}
	return fridges
}

// drawElectrics draws what changes a load curve most. Larger households live in
// houses more often, and a house has a roof, a heat pump and a garage.
func (t *traits) drawElectrics(r *rand.Rand, people float64) {
	house := r.Float64() < 0.15+0.15*people
	share := func(inHouse, inFlat float64) bool {
		if house {
			return r.Float64() < inHouse
		}
		return r.Float64() < inFlat
	}
	switch {
	case share(0.38, 0.03):
		loss := between(r, 110, 210)
		// Sized to hold the house at -8 °C with a coefficient of about 2.6.
		t.heatPump = heatPump{watts: loss * 28 / 2.6, loss: loss, night: between(r, 0.6, 1)}
		t.electrics = append(t.electrics, "heat pump")
	case share(0.4, 0.25):
		t.boiler = boiler{watts: 2000 + 1000*float64(min(t.persons, 4)), release: between(r, 20, 210)}
		t.electrics = append(t.electrics, "electric water heating")
	}
	if share(0.35, 0.02) {
		// South with a spread; the sine of a roof's usual tilt is near a half.
		t.roof = roof{
			kWp:     math.Round(between(r, 3, 12)*10) / 10,
			tilt:    radians(between(r, 15, 40)),
			azimuth: radians(180 + 45*clamp(r.NormFloat64(), -2, 2)),
		}
		t.electrics = append(t.electrics, fmt.Sprintf("%.1f kWp PV", t.roof.kWp))
	}
	if share(0.14, 0.05) {
		// 12,000 km a year at 0.19 kWh/km, charged at home for the most part.
		t.car = car{
			watts: [...]float64{3700, 7400, 11000}[pick(r, 0.35, 0.15, 0.5)],
			daily: 0.85 * 12000 / 365 * 0.19 * between(r, 0.5, 1.5),
			often: between(r, 0.3, 0.8),
		}
		t.electrics = append(t.electrics, "electric car")
	}
}

func (t *traits) describe() string {
	who := "1 person"
	if t.persons > 1 {
		who = fmt.Sprintf("%d persons", t.persons)
	}
	return strings.Join(append([]string{who}, t.electrics...), ", ")
}

// pick is an index, drawn by the shares, which add up to about 1.
func pick(r *rand.Rand, shares ...float64) int {
	x := r.Float64()
	for i, s := range shares {
		if x < s {
			return i
		}
		x -= s
	}
	return len(shares) - 1
}

func between(r *rand.Rand, low, high float64) float64 { return low + (high-low)*r.Float64() }

func clamp(x, low, high float64) float64 { return max(low, min(high, x)) }

func radians(degrees float64) float64 { return degrees * math.Pi / 180 }
