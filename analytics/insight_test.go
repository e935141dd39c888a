package analytics_test

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/analytics"
	"github.com/wattveil/wattveil/internal/realinput"
)

func zurich(t testing.TB) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Zurich")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// planted is a home with a base load of 120 W, an evening of 1,000 W from 18 to
// 21 on weekdays and 1,400 W on weekends, and a little noise, by the quarter.
func planted(zone *time.Location, from time.Time, days int) []wattveil.Interval {
	rng := rand.New(rand.NewPCG(1, 2))
	var list []wattveil.Interval
	to := time.Date(from.Year(), from.Month(), from.Day()+days, 0, 0, 0, 0, zone).Unix()
	for at := from.Unix(); at < to; at += 900 {
		local := time.Unix(at, 0).In(zone)
		watts := int64(120)
		switch weekend := local.Weekday()%6 == 0; {
		case local.Hour() < 18 || local.Hour() >= 21:
		case weekend:
			watts = 1400
		default:
			watts = 1000
		}
		list = append(list, wattveil.Interval{Start: at, End: at + 900, Import: wattveil.Wh(watts/4 + rng.Int64N(3))})
	}
	return list
}

func onDay(zone *time.Location, list []wattveil.Interval, date string, change func(*wattveil.Interval)) {
	for i := range list {
		if time.Unix(list[i].Start, 0).In(zone).Format(time.DateOnly) == date {
			change(&list[i])
		}
	}
}

func TestPlanted(t *testing.T) {
	zone := zurich(t)
	from := time.Date(2026, 2, 2, 0, 0, 0, 0, zone) // a Monday; clocks change on 29 March
	list := planted(zone, from, 91)
	onDay(zone, list, "2026-03-04", func(i *wattveil.Interval) { i.Import *= 3 })
	onDay(zone, list, "2026-03-29", func(i *wattveil.Interval) { i.Import = 30 }) // away, on the day of 23 hours
	peak := time.Date(2026, 4, 1, 19, 15, 0, 0, zone).Unix()
	for i := range list {
		if list[i].Start == peak {
			list[i].Import = 900
		}
	}
	to := from.AddDate(0, 0, 91)
	got := analytics.Of(list, zone, from, to)
	if got.Feeds || got.Measured != got.Of || got.Of != to.Sub(from) || got.Of != 91*24*time.Hour-time.Hour {
		t.Errorf("measured %v of %v, feeds %v", got.Measured, got.Of, got.Feeds)
	}
	if !got.Base.Known || got.Base.Days != 91 || got.Base.Power < 120 || got.Base.Power > 124 {
		t.Errorf("base load %d W of %d days, planted are 120 W", int64(got.Base.Power), got.Base.Days)
	}
	if !got.Peak.Known || got.Peak.Start != peak || got.Peak.Power != 3600 || got.Peak.Length != 15*time.Minute {
		t.Errorf("peak %d W at %d", int64(got.Peak.Power), got.Peak.Start)
	}
	// 8 of 24 hours at 120 W, of 21·120 + 3·1000 (5 days) or 1400 (2 days) Wh.
	if want := 100 * 8 * 120 * 7 / (7*21*120 + 3*(5*1000+2*1400)); math.Abs(float64(got.Night.Percent()-want)) > 1 {
		t.Errorf("night use %d %%, planted are %d %%", got.Night.Percent(), want)
	}
	if want := 100 * 24 * 120 * 7 / (7*21*120 + 3*(5*1000+2*1400)); math.Abs(float64(got.Standby.Percent()-want)) > 2 {
		t.Errorf("standby share %d %%, planted are %d %%", got.Standby.Percent(), want)
	}
	var unusual []string
	for _, d := range got.Unusual {
		unusual = append(unusual, fmt.Sprintf("%s %t", time.Unix(d.Start, 0).In(zone).Format(time.DateOnly), d.Score > 0))
	}
	if want := []string{"2026-03-04 true", "2026-03-29 false"}; !slices.Equal(unusual, want) {
		t.Errorf("unusual days %v", unusual)
	}
	if got.Compared != 91 {
		t.Errorf("%d days were compared", got.Compared)
	}
	for d := range got.Week {
		for n, c := range got.Week[d] {
			want := int64(120)
			if n >= 18 && n < 21 {
				want = map[bool]int64{false: 1000, true: 1400}[d >= 5]
			}
			if c.Hours < 12 || math.Abs(float64(int64(c.Power)-want)) > float64(want)/4 { // planted days are in the mean
				t.Errorf("weekday %d, %d o'clock: %d W of %d hours, planted are %d W", d, n, int64(c.Power), c.Hours, want)
			}
		}
	}
}

// TestMissing: what is missing changes no figure much, and is told.
func TestMissing(t *testing.T) {
	zone := zurich(t)
	from := time.Date(2026, 2, 2, 0, 0, 0, 0, zone)
	list := planted(zone, from, 91)
	rng := rand.New(rand.NewPCG(3, 4))
	var left []wattveil.Interval
	for i := 0; i < len(list); i += 24 { // six hours at a time
		if rng.IntN(20) > 0 {
			left = append(left, list[i:min(i+24, len(list))]...)
		}
	}
	whole, part := analytics.Of(list, zone, from, from.AddDate(0, 0, 91)), analytics.Of(left, zone, from, from.AddDate(0, 0, 91))
	if part.Measured >= part.Of || part.Measured < part.Of*8/10 {
		t.Errorf("measured %v of %v", part.Measured, part.Of)
	}
	if part.Base.Power-whole.Base.Power > 2 || part.Base.Days >= whole.Base.Days || len(part.Unusual) > 0 || part.Compared >= whole.Compared {
		t.Errorf("base %d W of %d days, %d unusual days of %d", int64(part.Base.Power), part.Base.Days, len(part.Unusual), part.Compared)
	}
	if d := part.Standby.Percent() - whole.Standby.Percent(); d < -3 || d > 3 {
		t.Errorf("standby share moves by %d", d)
	}
}

// TestTooLittle: nothing is said of what was hardly measured.
func TestTooLittle(t *testing.T) {
	zone := zurich(t)
	from := time.Date(2026, 2, 2, 0, 0, 0, 0, zone)
	for days, want := range map[int]bool{0: false, 6: false, 8: true} {
		list := planted(zone, from, days)
		got := analytics.Of(list, zone, from, from.AddDate(0, 0, 91))
		if got.Base.Known != want || got.Night.Known != want || got.Standby.Known != want || got.Compared != 0 || len(got.Unusual) != 0 {
			t.Errorf("%d days: %+v %v %v", days, got.Base, got.Night.Known, got.Standby.Known)
		}
		if got.Peak.Known != (days > 0) {
			t.Errorf("%d days: a peak %v", days, got.Peak.Known)
		}
	}
	half := planted(zone, from, 30)
	var quarters []wattveil.Interval
	for i := range half {
		if i%4 != 1 {
			quarters = append(quarters, half[i])
		}
	}
	if hours := analytics.Hours(quarters); len(hours) != 0 {
		t.Errorf("%d hours are whole though each lacks a quarter", len(hours))
	}
}

// TestFeedingHome: panels hide the base load by day, not by night.
func TestFeedingHome(t *testing.T) {
	zone := zurich(t)
	from := time.Date(2026, 2, 2, 0, 0, 0, 0, zone)
	list := planted(zone, from, 60)
	for i := range list {
		if h := time.Unix(list[i].Start, 0).In(zone).Hour(); h >= 9 && h < 16 {
			list[i].Import, list[i].Export = 0, 400
		}
	}
	got := analytics.Of(list, zone, from, from.AddDate(0, 0, 60))
	if !got.Feeds || !got.Base.Known || got.Base.Power < 120 || got.Base.Power > 124 {
		t.Errorf("base load %d W, planted are 120 W", int64(got.Base.Power))
	}
	if p := got.Standby.Percent(); p < 30 || p > 55 {
		t.Errorf("standby share %d %%", p)
	}
}

func TestRedacts(t *testing.T) {
	if s := fmt.Sprintf("%v %d %+v", analytics.Watt(77), analytics.Watt(77), analytics.Base{Power: 77}); strings.Contains(s, "77") {
		t.Errorf("a power shows itself: %s", s)
	}
}

// homes are real homes as intervals; negative values are export.
func homes(t *testing.T, name string, zone *time.Location, step int64) map[string][]wattveil.Interval {
	t.Helper()
	rows, err := csv.NewReader(bytes.NewReader(realinput.Read(t, name))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	start, err := time.ParseInLocation("2006-01-02T15:04", rows[1][0], zone)
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string][]wattveil.Interval)
	for c := 1; c < len(rows[0]); c++ {
		at := start.Unix()
		var list []wattveil.Interval
		for _, row := range rows[1:] {
			kWh, err := strconv.ParseFloat(row[c], 64)
			if err != nil {
				t.Fatal(err)
			}
			wh := int64(math.Round(kWh * 1000))
			list = append(list, wattveil.Interval{Start: at, End: at + step, Import: wattveil.Wh(max(wh, 0)), Export: wattveil.Wh(max(-wh, 0))})
			at += step
		}
		out[rows[0][c]] = list
	}
	return out
}

// TestRealHomes: every home gets figures that hold together, most days are not
// unusual, and a day that is planted in a home is found.
func TestRealHomes(t *testing.T) {
	for _, c := range []struct {
		name, file string
		zone       *time.Location
		step       int64
	}{
		{"Swiss homes", "homes-ch-15min/ch_100homes_49d_15min_kwh.csv", zurich(t), 900},
		{"Californian homes with PV", "homes-citylearn-pv-60min/citylearn_17homes_net_wide.csv", time.FixedZone("", -8*3600), 3600},
	} {
		var unusual, compared, found, planted, silent int
		for name, list := range homes(t, c.file, c.zone, c.step) {
			list = list[:min(len(list), int(91*24*3600/c.step))]
			from, to := time.Unix(list[0].Start, 0), time.Unix(list[len(list)-1].End, 0)
			got := analytics.Of(list, c.zone, from, to)
			if got.Night.Whole == 0 {
				silent++
				continue
			}
			var whole, mean float64
			for _, h := range analytics.Hours(list) {
				whole += float64(int64(h.Import))
			}
			mean = whole / float64(len(list)) * 3600 / float64(c.step)
			if !got.Base.Known || got.Base.Power < 0 || float64(got.Base.Power) > mean*1.2 {
				t.Errorf("%s %s: base load %d W, mean %.0f W", c.name, name, int64(got.Base.Power), mean)
			}
			if p := got.Peak.Power; float64(p) < mean || p > 60_000 {
				t.Errorf("%s %s: peak %d W", c.name, name, int64(p))
			}
			if s, n := got.Standby.Percent(), got.Night.Percent(); s < 0 || s > 100 || n < 0 || n > 100 {
				t.Errorf("%s %s: standby %d %%, night %d %%", c.name, name, s, n)
			}
			unusual, compared = unusual+len(got.Unusual), compared+got.Compared
			date := time.Unix(list[len(list)/2].Start, 0).In(c.zone).Format(time.DateOnly)
			onDay(c.zone, list, date, func(i *wattveil.Interval) { i.Import = i.Import*8 + 2000 })
			planted++
			for _, d := range analytics.Of(list, c.zone, from, to).Unusual {
				if d.Score > 0 && time.Unix(d.Start, 0).In(c.zone).Format(time.DateOnly) == date {
					found++
				}
			}
		}
		if compared == 0 || planted == 0 || found != planted || unusual*100 > compared*12 {
			t.Errorf("%s: %d of %d days are unusual, %d of %d planted ones are found", c.name, unusual, compared, found, planted)
		}
		t.Logf("%s: %d of %d days are unusual, %d planted ones are found, %d homes use nothing", c.name, unusual, compared, found, silent)
	}
}

// TestCollector: what is gathered from minutes is what quarters are, and a
// quarter of which a minute is missing is none.
func TestCollector(t *testing.T) {
	zone := zurich(t)
	want := planted(zone, time.Date(2026, 2, 2, 0, 0, 0, 0, zone), 3)
	var whole, part, longer analytics.Collector
	for _, q := range want {
		longer.Add(q)
		for at, left := q.Start, q.Import; at < q.End; at += 60 {
			minute := wattveil.Interval{Start: at, End: at + 60, Import: left / wattveil.Wh((q.End-at)/60)}
			left -= minute.Import
			whole.Add(minute)
			if at/60%77 != 5 {
				part.Add(minute)
			}
		}
	}
	if !slices.Equal(whole.Intervals(), want) || !slices.Equal(longer.Intervals(), want) {
		t.Error("minutes do not add up to the quarters that they are of")
	}
	left := part.Intervals()
	for _, q := range left {
		if !slices.Contains(want, q) {
			t.Fatal("a quarter was made up")
		}
	}
	if len(left) == 0 || len(left) > len(want)*9/10 {
		t.Errorf("%d quarters of %d are whole", len(left), len(want))
	}
}
