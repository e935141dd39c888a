package wire_test

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/wire"
)

// even gives n readings a quarter apart whose registers go by step.
func even(n int, step wattveil.Wh) []wattveil.Reading {
	readings := make([]wattveil.Reading, n)
	for i := range readings {
		readings[i] = wattveil.Reading{Time: literalTime + 900*int64(i)}
		if i > 0 {
			readings[i].Import = readings[i-1].Import.Add(step)
			readings[i].Export = readings[i-1].Export.Add(step)
		}
	}
	return readings
}

// What a household uses must not show in a length: for every n, no load, a
// typical and the greatest one, with and without changes of status, seal to
// messages of one length.
func TestLengthTellsNumberOnly(t *testing.T) {
	sealer, _ := literalSealer(t)
	for n := 1; n <= wire.MaxReadings; n++ {
		want := wire.DataOverhead + wire.BlockSize(n)
		for _, step := range []wattveil.Wh{0, 137, math.MaxUint16} {
			for _, changed := range []bool{false, true} {
				readings := even(n, step)
				if changed {
					readings[n-1].Status = wattveil.StatusTamper
				}
				block, err := wire.AppendBlock(nil, 900, readings)
				if err != nil {
					t.Fatal(err)
				}
				msg := sealer.Append(nil, wattveil.Counter(n), block)
				if len(msg) != want {
					t.Fatalf("%d readings, status changed %v: %d bytes, want %d", n, changed, len(msg), want)
				}
				if _, _, err := wire.ParsePrefix(msg); err != nil {
					t.Fatalf("%d readings: %v", n, err)
				}
			}
		}
		if least, most := wire.ReadingsIn(want); n < least || n > most {
			t.Errorf("a message of %d bytes with %d readings is said to hold %d to %d", want, n, least, most)
		}
	}
}

// ReadingsIn is exact: both of its bounds give the length, and their outer
// neighbours do not.
func TestReadingsIn(t *testing.T) {
	for _, tt := range []struct{ size, least, most int }{
		{70, 1, 1}, {94, 2, 7}, {118, 8, 13}, {454, 92, 97}, {1078, 248, 253}, {1102, 254, 255},
	} {
		if least, most := wire.ReadingsIn(tt.size); least != tt.least || most != tt.most {
			t.Errorf("%d bytes hold %d to %d, want %d to %d", tt.size, least, most, tt.least, tt.most)
		}
		for n, fits := range map[int]bool{tt.least - 1: false, tt.least: true, tt.most: true, tt.most + 1: false} {
			if n >= 1 && n <= wire.MaxReadings && (wire.BlockSize(n)+wire.DataOverhead == tt.size) != fits {
				t.Errorf("%d readings in %d bytes: want %v", n, tt.size, fits)
			}
		}
	}
}

func TestFit(t *testing.T) {
	change := func(readings []wattveil.Reading, at int, f func(*wattveil.Reading)) []wattveil.Reading {
		for i := at; i < len(readings); i++ {
			f(&readings[i])
		}
		return readings
	}
	flicker := func(n int) []wattveil.Reading {
		readings := even(n, 1)
		for i := range readings {
			readings[i].Status = wattveil.Status(i % 2)
		}
		return readings
	}
	late := even(4, 0)
	for i := range late {
		late[i].Time = math.MaxUint32 - 900*int64(2-i)
	}
	for _, tt := range []struct {
		name     string
		res      wattveil.Resolution
		readings []wattveil.Reading
		limit    int
		want     int
	}{
		{"all", 900, even(96, 137), 255, 96},
		{"none", 900, nil, 255, 0},
		{"limit", 900, even(96, 137), 7, 7},
		{"limit 0", 900, even(96, 137), 0, 0},
		{"limit below 0", 900, even(96, 137), -1, 0},
		{"at most 255", 900, even(300, 137), 1000, 255},
		{"no resolution", 7, even(4, 1), 255, 0},
		{"another resolution", 300, even(4, 1), 255, 1},
		{"gap", 900, change(even(10, 1), 4, func(r *wattveil.Reading) { r.Time += 900 }), 255, 4},
		{"time stands", 900, change(even(10, 1), 4, func(r *wattveil.Reading) { r.Time -= 900 }), 255, 4},
		{"greatest delta", 900, even(10, math.MaxUint16), 255, 10},
		{"import delta too great", 900, change(even(10, math.MaxUint16), 3, func(r *wattveil.Reading) { r.Import = r.Import.Add(1) }), 255, 3},
		{"export delta too great", 900, change(even(10, math.MaxUint16), 3, func(r *wattveil.Reading) { r.Export = r.Export.Add(1) }), 255, 3},
		{"register falls", 900, change(even(10, 5), 3, func(r *wattveil.Reading) { r.Import -= 10 }), 255, 3},
		{"last time", 900, late, 255, 3},
		{"time over 32 bits", 900, []wattveil.Reading{{Time: math.MaxUint32 + 1}}, 255, 0},
		{"time below 0", 900, []wattveil.Reading{{Time: -1}}, 255, 0},
		// 9 readings leave room for 7 of their 8 runs, 8 for 8: only 7 are needed.
		{"status of every reading changes", 900, flicker(9), 255, 8},
		// 7 readings leave room for one run, 8 for eight.
		{"room comes back with the next unit", 900, flicker(8), 7, 5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := wire.Fit(tt.res, tt.readings, tt.limit)
			if got != tt.want {
				t.Fatalf("%d fit, want %d", got, tt.want)
			}
			if _, err := wire.AppendBlock(nil, tt.res, tt.readings[:got]); (err == nil) != (got > 0) {
				t.Errorf("AppendBlock of %d: %v", got, err)
			}
			if more := got + 1; more <= len(tt.readings) && more <= tt.limit {
				if dst, err := wire.AppendBlock(nil, tt.res, tt.readings[:more]); !errors.Is(err, wire.Malformed) || dst != nil {
					t.Errorf("AppendBlock of %d: %v", more, err)
				}
			}
		})
	}
}

// Registers are taken modulo 2^40: a register of a source that counts on is
// the one that a receiver reads.
func TestRegisterModulus(t *testing.T) {
	a := []wattveil.Reading{{Time: literalTime, Import: wattveil.RegisterModulus + 5}}
	b := []wattveil.Reading{{Time: literalTime, Import: 5}}
	one, errA := wire.AppendBlock(nil, 900, a)
	two, errB := wire.AppendBlock(nil, 900, b)
	if errA != nil || errB != nil || fmt.Sprintf("%x", one) != fmt.Sprintf("%x", two) {
		t.Errorf("%x (%v) and %x (%v)", one, errA, two, errB)
	}
}
