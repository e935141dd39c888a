package vee_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/vee"
)

// Whatever Complete takes, it gives as Edit does: on meters with every kind of
// fault, in periods chosen at random, and on both days of a change of clocks.
func TestCompleteAgreesWithEdit(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Zurich")
	if err != nil {
		t.Fatal(err)
	}
	o := vee.Options{Zone: zone}
	taken, marked := 0, 0
	for seed := range uint64(400) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		runs := random(rnd)
		if seed%2 == 0 {
			runs = gentle(rnd)
		}
		newest := runs[len(runs)-1].Readings
		for range 20 {
			from := newest[rnd.IntN(len(newest))].Time + hour*int64(rnd.IntN(5)-2)
			to := from + hour*int64(1+rnd.IntN(100))
			ivs, qs, ok := vee.Complete(newest, hour, from, to, o, nil, nil)
			if !ok {
				continue
			}
			taken++
			want := edit(t, runs, hour, from, to, o)
			if len(want.Holes)+len(want.Gaps) > 0 || len(want.Intervals) != len(ivs) {
				t.Fatalf("seed %d: it takes a period with %d holes and %d gaps", seed, len(want.Holes), len(want.Gaps))
			}
			for i, iv := range want.Intervals {
				if iv.Interval != ivs[i] || iv.Quality != qs[i] {
					t.Fatalf("seed %d, interval %d: quality %d, want %d by rule %v; same energy: %v", seed, i, qs[i], iv.Quality, iv.Rule, iv.Interval == ivs[i])
				}
				if iv.Quality != vee.Valid {
					marked++
				}
			}
		}
	}
	if taken < 2000 || marked < 2000 {
		t.Errorf("%d periods taken, %d intervals marked: the test shows little", taken, marked)
	}
}

// gentle makes a meter without gaps, with zero runs, spikes, flags and registers
// that pass their end, and one jump.
func gentle(rnd *rand.Rand) []vee.Run {
	var rs []wattveil.Reading
	in, out := wattveil.Register(wattveil.RegisterModulus-100_000), wattveil.Register(0)
	jump, zeros := rnd.IntN(800), 0
	for i := range 24 * 40 {
		r := wattveil.Reading{Time: monday + int64(i)*hour, Import: in, Export: out}
		if rnd.IntN(100) == 0 {
			r.Status = wattveil.Status(rnd.IntN(8))
		}
		rs = append(rs, r)
		if rnd.IntN(60) == 0 {
			zeros = 10 + rnd.IntN(40)
		}
		if zeros--; zeros > 0 {
			continue
		}
		in, out = in.Add(wattveil.Wh(rnd.IntN(4000))), out.Add(wattveil.Wh(max(0, rnd.IntN(2000)-1500)))
		if rnd.IntN(30) == 0 {
			in, out = in.Add(30_000), out.Add(wattveil.Wh(rnd.IntN(40_000)))
		}
		if i == jump {
			in = in.Add(1_500_000)
		}
	}
	return []vee.Run{{Series: 1, Readings: rs}}
}

// What is taken ends an interval within the readings, and the lists given are
// appended to.
func TestCompleteNeedsWhatIsAround(t *testing.T) {
	rs := gentle(rand.New(rand.NewPCG(1, 1)))[0].Readings[:100]
	for _, tt := range []struct {
		from, to int // places of readings
		want     bool
	}{{1, 98, true}, {0, 98, false}, {1, 99, false}, {50, 51, true}, {50, 50, false}, {51, 50, false}, {-5, 10, false}, {90, 200, false}} {
		at := func(i int) int64 { return monday + int64(i)*hour }
		before := []wattveil.Interval{{Start: 1, End: 2}}
		ivs, qs, ok := vee.Complete(rs, hour, at(tt.from), at(tt.to), vee.Options{}, before, []vee.Quality{9})
		if ok != tt.want || !slices.Equal(ivs[:1], before) || qs[0] != 9 || ok && len(ivs) != 1+tt.to-tt.from || !ok && len(ivs)+len(qs) != 2 {
			t.Errorf("readings %d to %d: %v, %d intervals", tt.from, tt.to, ok, len(ivs))
		}
	}
	for _, res := range []wattveil.Resolution{0, 7, 1800, 7200} {
		if _, _, ok := vee.Complete(rs, res, monday+10*hour, monday+20*hour, vee.Options{}, nil, nil); ok {
			t.Errorf("takes resolution %d", res)
		}
	}
}
