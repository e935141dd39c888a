package vee_test

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/vee"
)

// runsOf reads runs from bytes: 8 a reading, of series 1, time 3 (in quarters
// of the resolution), import 3, status 1.
func runsOf(b []byte, step int64) []vee.Run {
	var runs []vee.Run
	for ; len(b) >= 8; b = b[8:] {
		series := wattveil.Series(b[0] % 4)
		i := slices.IndexFunc(runs, func(r vee.Run) bool { return r.Series == series })
		if i < 0 {
			i = len(runs)
			runs = append(runs, vee.Run{Series: series})
		}
		n := uint64(b[4])<<16 | uint64(b[5])<<8 | uint64(b[6])
		runs[i].Readings = append(runs[i].Readings, wattveil.Reading{
			Time:   monday + int64(int16(binary.BigEndian.Uint16(b[1:])))*step/4 + int64(b[3]%4)*step,
			Import: wattveil.Register(n << (b[3] >> 4) % wattveil.RegisterModulus),
			Export: wattveil.Register(n / 3),
			Status: wattveil.Status(b[7]),
		})
	}
	return runs
}

func FuzzEdit(f *testing.F) {
	var steady, gaps, wild []byte
	for i := range 40 {
		r := []byte{0, byte(i * 4 >> 8), byte(i * 4), 0, 0, byte(i >> 4), byte(i << 4), 0}
		steady = append(steady, r...)
		if i%17 > 5 {
			gaps = append(gaps, r...)
		}
		wild = append(wild, byte(i/10), byte(i*29), byte(i*4), byte(i*31), byte(i*97), byte(i*13), byte(i), byte(i/90))
	}
	for _, b := range [][]byte{nil, steady, gaps, wild, steady[:8], slices.Concat(gaps, steady)} {
		f.Add(b, byte(0), uint16(48))
		f.Add(b, byte(20), uint16(300))
	}
	f.Fuzz(func(t *testing.T, b []byte, code byte, n uint16) {
		step := wattveil.Resolution(hour)
		if r, ok := wattveil.ResolutionOfCode(code); ok && r >= 900 {
			step = r
		}
		runs := runsOf(b, int64(step))
		from, to := int64(monday), monday+int64(n%2000+1)*int64(step)
		r := edit(t, runs, step, from, to, vee.Options{})
		checkCover(t, r, int64(step), from, to)
		checkRegisters(t, runs, r)
		if ivs, err := r.ForBill(nil, step); err == nil && len(ivs) != int(to-from)/int(step) {
			t.Errorf("%d intervals to bill, want %d", len(ivs), (to-from)/int64(step))
		}
	})
}

func FuzzOrder(f *testing.F) {
	f.Add([]byte("any bytes serve as readings, in any order"), uint8(3))
	f.Fuzz(func(t *testing.T, b []byte, turn uint8) {
		runs := runsOf(b, hour)
		for _, run := range runs { // distinct times only: of equal ones the first counts
			seen := make(map[int64]bool)
			for _, r := range run.Readings {
				if seen[r.Time] {
					return
				}
				seen[r.Time] = true
			}
		}
		a := edit(t, runs, hour, monday, monday+10*day, vee.Options{})
		for _, run := range runs {
			slices.Reverse(run.Readings)
			k := int(turn) % len(run.Readings)
			slices.Reverse(run.Readings[:k])
		}
		c := edit(t, runs, hour, monday, monday+10*day, vee.Options{})
		if !slices.Equal(a.Intervals, c.Intervals) || !slices.Equal(a.Findings, c.Findings) {
			t.Error("order of readings matters")
		}
	})
}

func BenchmarkEdit(b *testing.B) {
	var energies []int64
	for i := range 60 * 96 {
		energies = append(energies, int64(100+i*7919%500))
	}
	rs := meter(monday, quarter, 0, energies...)
	var lost []int
	for i := 1500; i < 1540; i++ {
		lost = append(lost, i)
	}
	for _, bb := range []struct {
		name string
		rs   []wattveil.Reading
	}{{"month", rs[14*96 : 46*96]}, {"margins", rs}, {"gap", without(rs, lost...)}} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			runs := one(bb.rs)
			var e vee.Editor
			for b.Loop() {
				if _, err := e.Edit(runs, quarter, monday+15*day, monday+45*day, vee.Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
