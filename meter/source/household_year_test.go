package source

import (
	"strings"
	"testing"
	"time"
)

// year is what one household takes from the grid in 2025, by the hour.
type year struct {
	*Household
	plain    bool // no heating, no roof, no car
	imp, exp float64
	hours    [24]float64 // import by hour of the day
	weekday  [2]float64  // import from 9 to 16 on a mean working day and weekend
	away     int         // days
	awayWh   float64     // import of a mean day away
}

func simulateYear(seed uint64, n int, loc *time.Location) year {
	y := year{Household: NewHousehold(seed, n, loc, 3600)}
	y.plain = !strings.Contains(y.Describe(), ",")
	var days [2]float64
	for at := time.Date(2025, 1, 1, 0, 0, 0, 0, loc); at.Year() == 2025; at = at.AddDate(0, 0, 1) {
		kind := 0
		if at.Weekday() == time.Saturday || at.Weekday() == time.Sunday {
			kind = 1
		}
		days[kind]++
		var total float64
		for t := at.Unix(); t < at.AddDate(0, 0, 1).Unix(); t += 3600 {
			imp, exp, _ := y.Energy(t)
			hour := time.Unix(t, 0).In(loc).Hour()
			total += float64(imp)
			y.exp += float64(exp)
			y.hours[hour] += float64(imp)
			if hour >= 9 && hour < 16 {
				y.weekday[kind] += float64(imp)
			}
		}
		y.imp += total
		if date, _, _ := dayOf(loc, at.Unix()); y.Household.away(date) {
			y.away++
			y.awayWh += total
		}
	}
	y.weekday[0] /= days[0]
	y.weekday[1] /= days[1]
	y.awayWh /= max(1, float64(y.away))
	return y
}

func within(t *testing.T, what string, got, low, high float64) {
	t.Helper()
	if got < low || got > high {
		t.Errorf("%s is %.2f, want %v to %v", what, got, low, high)
	}
}

func TestHouseholdYear(t *testing.T) {
	loc := zone(t, "Europe/Zurich")
	var hours [24]float64
	var weekday [2]float64
	var away, plain, allHours float64
	const homes = 80
	for n := range homes {
		y := simulateYear(7, n, loc)
		away += float64(y.away) / homes
		if !strings.Contains(y.Describe(), "PV") && y.exp != 0 {
			t.Errorf("household %d (%s) feeds in without a roof", n, y.Describe())
		}
		within(t, "import, kWh, of "+y.Describe(), y.imp/1000, 600, 16_000)
		if !y.plain {
			continue
		}
		// BDEW 2021: 1,900 kWh for one person to about 5,000 for five; single
		// households scatter by a factor of two.
		mean := [...]float64{1900, 2890, 3720, 4085, 5000}[y.traits.persons-1]
		within(t, "import, kWh, of plain "+y.Describe(), y.imp/1000, mean*0.45, mean*2)
		night := y.hours[2] + y.hours[3] + y.hours[4]
		within(t, "base load, W, of "+y.Describe(), night/3/365, 35, 420)
		if evening := y.hours[18] + y.hours[19] + y.hours[20]; evening < 1.5*night {
			t.Errorf("household %d has %.0f Wh by night and %.0f in the evening", n, night, evening)
		}
		if y.away > 0 {
			within(t, "share of a mean day that a day away takes", y.awayWh/(y.imp/365), 0.1, 0.75)
		}
		plain++
		weekday[0] += y.weekday[0]
		weekday[1] += y.weekday[1]
		for h, wh := range y.hours {
			hours[h] += wh
			allHours += wh
		}
	}
	within(t, "share of plain households", plain/homes, 0.3, 0.7)
	within(t, "days away", away, 14, 45)
	within(t, "weekend by working day, 9 to 16 h", weekday[1]/weekday[0], 1.05, 2)
	// The standard profile H0 of BDEW has about 0.4 of its mean by night and
	// close to 2 at its peak after 18 h; a hump at noon.
	within(t, "3 h by the mean", hours[3]*24/allHours, 0.25, 0.55)
	within(t, "19 h by the mean", hours[19]*24/allHours, 1.6, 2.6)
	within(t, "noon by 15 h", hours[11]/hours[15], 1.1, 2)
}

func TestHouseholdShares(t *testing.T) {
	const homes = 4000
	share := make(map[string]float64)
	for n := range homes {
		h := NewHousehold(11, n, nil, 900)
		who, what, _ := strings.Cut(h.Describe(), ",")
		share[who] += 1. / homes
		for _, kind := range []string{"heat pump", "electric water heating", "PV", "electric car"} {
			if strings.Contains(what, kind) {
				share[kind] += 1. / homes
			}
		}
	}
	for _, tt := range []struct {
		kind      string
		low, high float64
	}{
		{"1 person", 0.34, 0.40},
		{"2 persons", 0.30, 0.36},
		{"3 persons", 0.11, 0.15},
		{"4 persons", 0.10, 0.14},
		{"5 persons", 0.03, 0.07},
		{"heat pump", 0.12, 0.22},
		{"electric water heating", 0.2, 0.32},
		{"PV", 0.11, 0.20},
		{"electric car", 0.05, 0.12},
	} {
		within(t, "share of "+tt.kind, share[tt.kind], tt.low, tt.high)
	}
}

// Sunrise and sunset of Bern in 2025, from almanacs.
func TestHouseholdFeedsInByDayOnly(t *testing.T) {
	loc := zone(t, "Europe/Zurich")
	tests := []struct {
		month     time.Month
		date      int
		rise, set string
	}{
		{time.March, 20, "06:31", "18:40"},
		{time.June, 21, "05:34", "21:29"},
		{time.September, 22, "07:15", "19:24"},
		{time.December, 21, "08:13", "16:42"},
	}
	const slack = 45 * 60 // the site, the equation of time, the year
	for _, tt := range tests {
		start := time.Date(2025, tt.month, tt.date, 0, 0, 0, 0, loc)
		rise, set := start.Unix()+clockSeconds(t, tt.rise), start.Unix()+clockSeconds(t, tt.set)
		var fed int64
		for n := range 400 {
			h := NewHousehold(5, n, loc, 900)
			if h.traits.roof.kWp == 0 {
				continue
			}
			for at := start.Unix(); at < start.Unix()+day; at += 900 {
				_, exp, _ := h.Energy(at)
				fed += int64(exp)
				if exp > 0 && (at+900 < rise-slack || at > set+slack) {
					t.Errorf("household %d feeds in at %s, in the dark", n, stamp(at))
				}
				if peak := h.traits.roof.kWp * 1000 / 4; float64(exp) > peak {
					t.Errorf("household %d feeds in %d Wh in a quarter of an hour from %.1f kWp", n, int64(exp), h.traits.roof.kWp)
				}
			}
		}
		if fed == 0 {
			t.Errorf("nothing is fed in on %s", start.Format(time.DateOnly))
		}
	}
}

func clockSeconds(t *testing.T, s string) int64 {
	t.Helper()
	c, err := time.Parse("15:04", s)
	if err != nil {
		t.Fatal(err)
	}
	return int64(c.Hour())*hour + int64(c.Minute())*minute
}

// A Swiss roof yields 800 to 1,200 kWh a year and kWp, four to five times as
// much in June as in December.
func TestRoofYield(t *testing.T) {
	loc := zone(t, "Europe/Zurich")
	for n, seen := 0, 0; seen < 6; n++ {
		h := NewHousehold(7, n, loc, 900)
		if h.traits.roof.kWp == 0 {
			continue
		}
		seen++
		var months [13]float64
		first := time.Date(2025, 1, 1, 0, 0, 0, 0, loc)
		for at := first; at.Year() == 2025; at = at.AddDate(0, 0, 1) {
			date, start, end := dayOf(loc, at.Unix())
			d := aDay{traits: &h.traits, home: h, r: h.random(drawOfDay, date), watts: make([]float64, (end-start)/minute),
				date: date, start: start, hour0: offset(loc, start)}
			d.sky = d.drawSky()
			d.generate()
			for _, w := range d.watts {
				months[at.Month()] -= w / 60_000 / h.traits.roof.kWp
			}
		}
		var total float64
		for _, m := range months {
			total += m
		}
		within(t, "yield, kWh a kWp", total, 800, 1250)
		within(t, "June by December", months[6]/months[12], 2.5, 10)
	}
}
