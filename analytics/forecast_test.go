package analytics

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
)

const fifteen = 900 // minutes, in seconds

func zurich(t *testing.T) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Zurich")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// randomPast are quarters of an hour from one time to another, some days of
// which lack one.
func randomPast(rng *rand.Rand, from, to time.Time, step int64) (list []wattveil.Interval) {
	skip := int64(-1)
	for at := from.Unix(); at < to.Unix(); at += step {
		if at%(24*3600) == 0 {
			skip = -1
			if rng.IntN(6) == 0 {
				skip = at + step*rng.Int64N(24*3600/step)
			}
		}
		if at == skip {
			continue
		}
		list = append(list, wattveil.Interval{Start: at, End: at + step, Import: wattveil.Wh(rng.IntN(900)), Export: wattveil.Wh(rng.IntN(300))})
	}
	return list
}

// plainDay is a complete day, found by looking for each of its intervals.
type plainDay struct {
	date    time.Time
	imports []int64
	exports []int64
	net     int64
}

// plainDays are the complete days of 24 hours in the 56 days before a time,
// looked for date by date and interval by interval.
func plainDays(past []wattveil.Interval, step int64, from time.Time) (days []plainDay) {
	at := make(map[int64]wattveil.Interval)
	for _, i := range past {
		at[i.Start] = i
	}
	for back := LikeDays; back >= 1; back-- {
		y, m, d := from.Date()
		date := time.Date(y, m, d-back, 0, 0, 0, 0, from.Location())
		end := time.Date(y, m, d-back+1, 0, 0, 0, 0, from.Location())
		if end.Sub(date) != 24*time.Hour || date.Before(from.AddDate(0, 0, -LikeDays)) {
			continue
		}
		day := plainDay{date: date}
		for s := date.Unix(); s < end.Unix(); s += step {
			if i, ok := at[s]; ok {
				day.imports, day.exports = append(day.imports, int64(i.Import)), append(day.exports, int64(i.Export))
				day.net += int64(i.Import) - int64(i.Export)
			}
		}
		if int64(len(day.imports)) == 24*3600/step {
			days = append(days, day)
		}
	}
	return days
}

// sameKind keeps the days that are alike to a date.
func sameKind(days []plainDay, date time.Time) (like []plainDay) {
	weekend := func(t time.Time) string {
		if w := t.Weekday(); w == time.Saturday || w == time.Sunday {
			return w.String()
		}
		return "working"
	}
	for _, d := range days {
		if weekend(d.date) == weekend(date) {
			like = append(like, d)
		}
	}
	if len(like) < 2 {
		return days
	}
	return like
}

// wantMean is what a list of days gives for the first n places of a day: the
// mean of their sums, rounded down.
func wantMean(days []plainDay, n int) (sum int64) {
	for _, d := range days {
		for _, wh := range d.imports[:n] {
			sum += wh
		}
	}
	return sum / int64(len(days))
}

func TestContinueIsTheMeanOfLikeDays(t *testing.T) {
	zone := zurich(t)
	rng := rand.New(rand.NewPCG(3, 4))
	for _, test := range []struct {
		name       string
		begin      time.Time // of the past
		from, to   time.Time
		resolution int64
	}{
		{"a month", time.Date(2026, 4, 1, 0, 0, 0, 0, zone), time.Date(2026, 6, 17, 13, 15, 0, 0, zone), time.Date(2026, 7, 1, 0, 0, 0, 0, zone), fifteen},
		{"clocks go forward", time.Date(2026, 2, 20, 0, 0, 0, 0, zone), time.Date(2026, 3, 27, 5, 0, 0, 0, zone), time.Date(2026, 4, 6, 0, 0, 0, 0, zone), 3600},
		{"clocks went back", time.Date(2025, 10, 20, 0, 0, 0, 0, zone), time.Date(2025, 10, 30, 0, 0, 0, 0, zone), time.Date(2025, 11, 9, 0, 0, 0, 0, zone), fifteen},
		{"few days, no weekend", time.Date(2026, 6, 8, 0, 0, 0, 0, zone), time.Date(2026, 6, 12, 0, 0, 0, 0, zone), time.Date(2026, 6, 20, 0, 0, 0, 0, zone), fifteen},
	} {
		t.Run(test.name, func(t *testing.T) {
			past := randomPast(rng, test.begin, test.from, test.resolution)
			f, ok := Continue(past, wattveil.Resolution(test.resolution), test.from, test.to)
			days := plainDays(past, test.resolution, test.from)
			if !ok || len(days) < 2 {
				t.Fatalf("forecast %v from %d days", ok, len(days))
			}
			for i, list := range [][]wattveil.Interval{f.Low, f.Expected, f.High} {
				holdTo(t, list, test.from, test.to, test.resolution, func(date time.Time, n int) int64 {
					like := sameKind(days, date)
					slices.SortStableFunc(like, func(a, b plainDay) int { return int(a.net - b.net) })
					half := (len(like) + 1) / 2
					return wantMean([][]plainDay{like[:half], like, like[len(like)-half:]}[i], n)
				})
			}
		})
	}
}

// holdTo compares the import of a forecast with what is wanted of each day up
// to each of its intervals.
func holdTo(t *testing.T, list []wattveil.Interval, from, to time.Time, step int64, want func(date time.Time, n int) int64) {
	t.Helper()
	if n := int((to.Unix() - from.Unix()) / step); len(list) != n {
		t.Fatalf("%d intervals, want %d", len(list), n)
	}
	for i, interval := range list {
		if interval.Start != from.Unix()+int64(i)*step || interval.End != interval.Start+step {
			t.Fatalf("interval %d is from %d to %d", i, interval.Start, interval.End)
		}
		at := time.Unix(interval.Start, 0).In(from.Location())
		h, m, _ := at.Clock()
		place := (h*3600 + m*60) / int(step)
		if got, w := int64(interval.Import), want(at, place+1)-want(at, place); got != w {
			t.Fatalf("%v: %d Wh, want %d", at, got, w)
		}
	}
}

func TestContinueNeedsTwoDays(t *testing.T) {
	zone := zurich(t)
	from := time.Date(2026, 6, 12, 0, 0, 0, 0, zone)
	past := randomPast(rand.New(rand.NewPCG(1, 2)), from.AddDate(0, 0, -1), from, 3600)
	if _, ok := Continue(past, 3600, from, from.AddDate(0, 0, 3)); ok {
		t.Error("one day is enough for a forecast")
	}
	if _, ok := Continue(nil, 3600, from, from.AddDate(0, 0, 3)); ok {
		t.Error("nothing is enough for a forecast")
	}
	// Days that are long past say nothing.
	old := randomPast(rand.New(rand.NewPCG(1, 2)), from.AddDate(0, 0, -90), from.AddDate(0, 0, -LikeDays-1), 3600)
	if _, ok := Continue(old, 3600, from, from.AddDate(0, 0, 3)); ok {
		t.Error("days of a season ago are enough for a forecast")
	}
}
