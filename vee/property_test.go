package vee_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/vee"
)

// random makes a meter with faults: gaps of all lengths, resets,
// another series, wrong registers, repeats.
func random(rnd *rand.Rand) []vee.Run {
	n := 24 * (3 + rnd.IntN(40))
	var runs []vee.Run
	at := int64(monday - rnd.IntN(3*day)/hour*hour)
	for series := range wattveil.Series(1 + rnd.IntN(3)) {
		var rs []wattveil.Reading
		in, out := wattveil.Register(rnd.Uint64N(wattveil.RegisterModulus)), wattveil.Register(rnd.Uint64N(wattveil.RegisterModulus))
		for range n {
			in, out = in.Add(wattveil.Wh(rnd.IntN(3000))), out.Add(wattveil.Wh(max(0, rnd.IntN(2000)-1500)))
			r := wattveil.Reading{Time: at, Import: in, Export: out}
			if rnd.IntN(200) == 0 {
				r.Import = wattveil.Register(rnd.Uint64N(wattveil.RegisterModulus))
			}
			if rnd.IntN(300) == 0 {
				r.Status = wattveil.Status(rnd.IntN(8))
			}
			if rnd.IntN(50) != 0 {
				rs = append(rs, r)
			}
			if rnd.IntN(100) == 0 {
				rs = append(rs, r)
			}
			at += hour
			if rnd.IntN(60) == 0 {
				at += hour * int64(rnd.IntN(80))
			}
		}
		runs = append(runs, vee.Run{Series: series, Readings: rs})
	}
	return runs
}

// TestEditorForgets edits many meters with one editor: each as with a new one.
func TestEditorForgets(t *testing.T) {
	var e vee.Editor
	for seed := range uint64(40) {
		runs := random(rand.New(rand.NewPCG(seed, 3)))
		from, to := int64(monday), int64(monday+day*int64(1+seed%9))
		want := edit(t, runs, hour, from, to, vee.Options{})
		got, err := e.Edit(runs, hour, from, to, vee.Options{})
		if err != nil || !slices.Equal(got.Intervals, want.Intervals) || !slices.Equal(got.Findings, want.Findings) ||
			!slices.Equal(got.Gaps, want.Gaps) || !slices.Equal(got.Holes, want.Holes) || got.Estimated != want.Estimated {
			t.Fatalf("seed %d: the editor remembers (%v)", seed, err)
		}
	}
}

// TestProperties holds, for random meters with faults: every gap sums to its
// registers; cutting the period changes no interval; editing what was edited
// changes nothing; the order of input does not matter; the input stays.
func TestProperties(t *testing.T) {
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		runs := random(rnd)
		before := clone(runs)
		from, to := int64(monday), int64(monday+30*day)
		r := edit(t, runs, hour, from, to, vee.Options{})
		checkCover(t, r, hour, from, to)
		checkRegisters(t, runs, r)

		cut := from + day*int64(1+rnd.IntN(29))
		a, b := edit(t, runs, hour, from, cut, vee.Options{}), edit(t, runs, hour, cut, to, vee.Options{})
		if !slices.EqualFunc(slices.Concat(a.Intervals, b.Intervals), r.Intervals, sameEnergy) {
			t.Fatalf("seed %d: cutting the period changes energy", seed)
		}

		for i := range runs {
			// Of readings of one time the first counts, so those keep their order.
			slices.SortStableFunc(runs[i].Readings, func(a, b wattveil.Reading) int { return int((a.Time*7919%9973 - b.Time*7919%9973)) })
		}
		slices.Reverse(runs)
		again := edit(t, runs, hour, from, to, vee.Options{})
		if !slices.Equal(again.Intervals, r.Intervals) || !slices.Equal(again.Findings, r.Findings) {
			t.Fatalf("seed %d: the order of input matters", seed)
		}
		for i := range before {
			if len(runs[len(runs)-1-i].Readings) != len(before[i].Readings) {
				t.Fatal("input changed")
			}
		}
		checkIdempotent(t, r, from, to)
	}
}

func clone(runs []vee.Run) []vee.Run {
	out := slices.Clone(runs)
	for i := range out {
		out[i].Readings = slices.Clone(out[i].Readings)
	}
	return out
}

func sameEnergy(a, b vee.Interval) bool {
	return a.Interval == b.Interval && a.Lower == b.Lower && a.Upper == b.Upper && a.Method == b.Method
}

// checkCover holds that intervals and holes cover the period, without overlap.
func checkCover(t testing.TB, r vee.Result, step, from, to int64) {
	t.Helper()
	at, holes := from, r.Holes
	for i := 0; i < len(r.Intervals) || len(holes) > 0; {
		switch {
		case i < len(r.Intervals) && r.Intervals[i].Start == at && r.Intervals[i].End == at+step:
			at += step
			i++
		case len(holes) > 0 && holes[0].From == at:
			at = holes[0].To
			holes = holes[1:]
		default:
			t.Fatalf("nothing covers %d", at)
		}
	}
	if at != to {
		t.Fatalf("covered to %d, want %d", at, to)
	}
}

// checkRegisters recomputes each measured interval and each whole gap from the
// raw readings.
func checkRegisters(t testing.TB, runs []vee.Run, r vee.Result) {
	t.Helper()
	type name struct {
		series wattveil.Series
		time   int64
	}
	raw := make(map[name]wattveil.Reading)
	for _, run := range runs {
		for _, rd := range run.Readings {
			if _, ok := raw[name{run.Series, rd.Time}]; !ok {
				raw[name{run.Series, rd.Time}] = rd
			}
		}
	}
	type bracket struct {
		series       wattveil.Series
		lower, upper int64
	}
	type sum struct {
		in, out wattveil.Wh
		seconds int64
	}
	sums := make(map[bracket]sum)
	for _, iv := range r.Intervals {
		if iv.Import < 0 || iv.Export < 0 || (iv.Method == vee.Measured) != (iv.Upper-iv.Lower == iv.End-iv.Start) {
			t.Fatalf("interval at %d: negative, or measured over more than itself", iv.Start)
		}
		k := bracket{iv.Series, iv.Lower, iv.Upper}
		s := sums[k]
		sums[k] = sum{s.in + iv.Import, s.out + iv.Export, s.seconds + iv.End - iv.Start}
	}
	for k, s := range sums {
		if s.seconds != k.upper-k.lower {
			continue // cut by the period or a series
		}
		a, aok := raw[name{k.series, k.lower}]
		b, bok := raw[name{k.series, k.upper}]
		if !aok || !bok || b.Import.Since(a.Import) != s.in || b.Export.Since(a.Export) != s.out {
			t.Fatalf("intervals from %d to %d do not sum to the registers", k.lower, k.upper)
		}
	}
}

// checkIdempotent makes readings of the edited intervals and edits them again.
func checkIdempotent(t testing.TB, r vee.Result, from, to int64) {
	t.Helper()
	var runs []vee.Run
	var last int64 = -1
	var in, out wattveil.Register
	for _, iv := range r.Intervals {
		if iv.Start != last {
			runs = append(runs, vee.Run{Series: wattveil.Series(len(runs)), Readings: []wattveil.Reading{{Time: iv.Start, Import: in, Export: out}}})
		}
		in, out, last = in.Add(iv.Import), out.Add(iv.Export), iv.End
		rs := &runs[len(runs)-1].Readings
		*rs = append(*rs, wattveil.Reading{Time: iv.End, Import: in, Export: out})
	}
	again := edit(t, runs, hour, from, to, vee.Options{})
	if again.Estimated.Intervals != 0 || len(again.Intervals) != len(r.Intervals) {
		t.Fatalf("edited again: %d intervals of which %d estimated, want %d and 0", len(again.Intervals), again.Estimated.Intervals, len(r.Intervals))
	}
	for i := range again.Intervals {
		a, b := again.Intervals[i], r.Intervals[i]
		if a.Start != b.Start || a.Import != b.Import || a.Export != b.Export {
			t.Fatalf("edited again: interval at %d changed", b.Start)
		}
	}
}
