package rating_test

import (
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/rating"
)

// A bill that carries the difference of the one before and that one as it was
// told come to the energy of both as they are now.
func TestCarry(t *testing.T) {
	of := parse(t, tou)
	from, middle, to := local(t, of, "2018-03-05 00:00"), local(t, of, "2018-03-06 00:00"), local(t, of, "2018-03-07 00:00")
	told, now := cover(from, middle, 15*time.Minute, constant(500, 20)), cover(from, middle, 15*time.Minute, random(1))
	next := cover(middle, to, 15*time.Minute, constant(9_000, 4_000))
	rate := func(list []wattveil.Interval, from, to time.Time, carry []rating.Energy) rating.Rated {
		t.Helper()
		rated, err := rating.Request{Tariff: of, Intervals: list, From: from, To: to, Carry: carry}.Rate()
		if err != nil {
			t.Fatal(err)
		}
		return rated
	}
	before, after := rate(told, from, middle, nil), rate(now, from, middle, nil)
	var carry []rating.Energy
	for i, e := range after.Energy {
		carry = append(carry, rating.Energy{Band: e.Band, Import: e.Import - before.Energy[i].Import, Export: e.Export - before.Energy[i].Export})
	}
	plain, carried := rate(next, middle, to, nil), rate(next, middle, to, carry)
	for i, e := range carried.Energy {
		want := rating.Energy{
			Band:   e.Band,
			Import: plain.Energy[i].Import + after.Energy[i].Import - before.Energy[i].Import,
			Export: plain.Energy[i].Export + after.Energy[i].Export - before.Energy[i].Export,
		}
		if !reflect.DeepEqual(e, want) {
			t.Errorf("band %s carries %d and %d, want %d and %d", e.Band, int64(e.Import), int64(e.Export), int64(want.Import), int64(want.Export))
		}
	}
	if !reflect.DeepEqual(rate(next, middle, to, []rating.Energy{{Band: "peak"}}), plain) {
		t.Error("carrying nothing changes the bill")
	}
}

func TestCarryRefuses(t *testing.T) {
	plain := parse(t, tou)
	from, to := local(t, plain, "2018-03-05 00:00"), local(t, plain, "2018-03-06 00:00")
	list := cover(from, to, 15*time.Minute, constant(10, 0))
	const head = `{"id":"x","currency":"CHF","timezone":"Europe/Zurich","valid_from":"2018-01-01","energy":{"bands":{"peak":`
	for name, c := range map[string]struct {
		tariff string
		carry  rating.Energy
	}{
		"no such band":    {tou, rating.Energy{Band: "night"}},
		"negative import": {tou, rating.Energy{Band: "peak", Import: -1_000_000}},
		"negative export": {tou, rating.Energy{Band: "peak", Export: -1}},
		"huge":            {tou, rating.Energy{Band: "peak", Import: 2e15}},
		"lowest":          {tou, rating.Energy{Band: "peak", Import: math.MinInt64}},
		"tiers":           {head + `{"tiers":[{"up_to_kwh":"10","import":"0.1"},{"import":"0.2"}]}},"default":"peak"}}`, rating.Energy{Band: "peak"}},
		"minimum":         {head + `{"import":"0.1"}},"default":"peak"},"minimum":{"per_month":"5"}}`, rating.Energy{Band: "peak"}},
	} {
		t.Run(name, func(t *testing.T) {
			of := parse(t, c.tariff)
			_, err := rating.Request{Tariff: of, Intervals: list, From: from, To: to, Carry: []rating.Energy{c.carry}}.Rate()
			checkFault(t, err, rating.ErrCarry, "2018-03-05 00:00:00 +01:00")
		})
	}
}
