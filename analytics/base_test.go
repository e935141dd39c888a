package analytics

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
)

// baseHours are days of 24 hours from 2026-06-01 on in Zurich, by local hour.
func baseHours(t *testing.T, count int, of func(day, hour int) (Hour, bool)) (list []Hour, zone *time.Location) {
	t.Helper()
	zone = zurich(t)
	for day := range count {
		for hour := range 24 {
			if h, ok := of(day, hour); ok {
				h.Start = time.Date(2026, 6, 1+day, hour, 0, 0, 0, zone).Unix()
				list = append(list, h)
			}
		}
	}
	return list, zone
}

func TestBaseLoadsOfDays(t *testing.T) {
	const sunny, dark = 5, 120
	for name, test := range map[string]struct {
		of   func(day, hour int) (Hour, bool)
		want []int64 // of days
	}{
		"the lowest hour":     {func(day, hour int) (Hour, bool) { return Hour{Import: wattveil.Wh(100 + 10*day + (hour+7)%24)}, true }, []int64{100, 110, 120}},
		"20 hours are enough": {func(day, hour int) (Hour, bool) { return Hour{Import: 70}, hour >= 4+day }, []int64{70}},
		"an hour of nothing":  {func(_, hour int) (Hour, bool) { return Hour{Import: wattveil.Wh(hour)}, true }, []int64{0, 0, 0}},
		"nights of who feeds in": {func(_, hour int) (Hour, bool) {
			if hour >= 6 && hour < 22 {
				return Hour{Import: sunny, Export: 900}, true
			}
			return Hour{Import: dark}, true
		}, []int64{dark, dark, dark}},
		"6 hours of a night are enough, without those of feeding in": {func(day, hour int) (Hour, bool) {
			h := Hour{Import: dark}
			if hour < 2+day {
				h = Hour{Import: sunny, Export: 1}
			}
			return h, true
		}, []int64{dark}},
	} {
		hours, zone := baseHours(t, 3, test.of)
		var got []int64
		for _, d := range BaseLoads(hours, zone) {
			got = append(got, int64(d.Power))
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: base loads %v, want %v", name, got, test.want)
		}
	}
}

// TestBaseLoadAbove finds the median by counting how many are on either side.
func TestBaseLoadAbove(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 500 {
		before := make([]BaseDay, 7+rng.IntN(30))
		for i := range before {
			before[i].Power = Watt(1 + rng.IntN(200))
		}
		median := place(before, (len(before)-1)/2)
		usual := BaseLoad(before)
		if !usual.Known || usual.Days != len(before) || int64(usual.Power) != median {
			t.Fatalf("base load %d of %d days, want %d of %d", int64(usual.Power), usual.Days, median, len(before))
		}
		day := BaseDay{Power: Watt(rng.IntN(500))}
		want := int64(math.Floor((float64(day.Power)/float64(median)-1)*100 + 1e-9))
		if got, ok := day.Above(usual); !ok || got != want {
			t.Fatalf("%d%%, %v, want %d%%", got, ok, want)
		}
	}
	day := BaseDay{Power: 50}
	if _, ok := day.Above(BaseLoad(make([]BaseDay, 6))); ok {
		t.Error("six days are enough")
	}
	if _, ok := day.Above(BaseLoad(make([]BaseDay, 10))); ok {
		t.Error("something is above nothing by a part of it")
	}
}

// place is the power that so many others are before in order.
func place(list []BaseDay, n int) int64 {
	for _, v := range list {
		less, equal := 0, 0
		for _, w := range list {
			if w.Power < v.Power {
				less++
			} else if w.Power == v.Power {
				equal++
			}
		}
		if less <= n && n < less+equal {
			return int64(v.Power)
		}
	}
	panic("no such place")
}
