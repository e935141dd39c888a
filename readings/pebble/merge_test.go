package pebble

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/readings"
)

// foldAll folds operands with the engine's operator, older ones first or last.
func foldAll(t testing.TB, key []byte, older bool, operands ...[]byte) []byte {
	t.Helper()
	m, err := newMerger().Merge(key, operands[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range operands[1:] {
		if older {
			err = m.MergeOlder(o)
		} else {
			err = m.MergeNewer(o)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	out, closer, err := m.Finish(false)
	if err != nil {
		t.Fatal(err)
	}
	out = bytes.Clone(out)
	if closer != nil {
		if err := closer.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// regroup folds operands in a random order, some of them twice, in random
// groups of groups.
func regroup(t testing.TB, rng *rand.Rand, key []byte, operands [][]byte) []byte {
	left := slices.Clone(operands)
	for range rng.IntN(4) {
		left = append(left, operands[rng.IntN(len(operands))])
	}
	rng.Shuffle(len(left), func(i, j int) { left[i], left[j] = left[j], left[i] })
	for len(left) > 1 {
		n := 1 + rng.IntN(len(left))
		out := foldAll(t, key, rng.IntN(2) == 0, left[:n]...)
		left = append(left[n:], out)
		if n == 1 && rng.IntN(2) == 0 {
			rng.Shuffle(len(left), func(i, j int) { left[i], left[j] = left[j], left[i] })
		}
	}
	return foldAll(t, key, true, left[0])
}

// randomDay is an operand as Append makes them, with many rivals.
func randomDay(rng *rand.Rand) []byte {
	var d day
	for range 1 + rng.IntN(20) {
		d.values = append(d.values, value{
			series: uint32(rng.IntN(3)),
			second: uint32(rng.IntN(4)),
			imp:    uint64(rng.IntN(6)),
			exp:    uint64(rng.IntN(2)) * (wattveil.RegisterModulus - 1),
			status: uint16(rng.IntN(2)),
			stamp:  rng.Uint64N(40),
		})
	}
	d.fold()
	return d.encode(nil)
}

// randomPage is an operand as Append makes them, with many rivals.
func randomPage(rng *rand.Rand) []byte {
	var p page
	for range 1 + rng.IntN(20) {
		p.marks = append(p.marks, mark{
			counter: uint32(rng.IntN(3)),
			stamp:   rng.Uint64N(40),
			digest:  readings.Digest{byte(rng.IntN(24))},
		})
	}
	p.fold()
	return p.encode(nil)
}

// TestFoldIsOrderless folds random operands, sound and damaged, in any order,
// grouping and repetition: the bytes are always the same.
func TestFoldIsOrderless(t *testing.T) {
	kinds := []struct {
		name   string
		key    []byte
		random func(*rand.Rand) []byte
	}{
		{"day", []byte{kindDay}, randomDay},
		{"page", []byte{kindPage}, randomPage},
	}
	for _, kind := range kinds {
		rng := rand.New(rand.NewPCG(1, 2))
		for round := range 300 {
			var operands [][]byte
			for range 1 + rng.IntN(10) {
				o := kind.random(rng)
				if round%3 == 0 && rng.IntN(3) == 0 {
					o = o[:rng.IntN(len(o))]
				}
				operands = append(operands, o)
			}
			want := foldAll(t, kind.key, true, operands...)
			for range 8 {
				if got := regroup(t, rng, kind.key, operands); !bytes.Equal(got, want) {
					t.Fatalf("%s: %x\nfolds to %x\nand to  %x", kind.name, operands, want, got)
				}
			}
		}
	}
}

// TestFoldKeepsTheFirst compares what is folded with the least stamps of all
// that was put in.
func TestFoldKeepsTheFirst(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		var operands [][]byte
		all := day{}
		for range 1 + rng.IntN(10) {
			o := randomDay(rng)
			operands = append(operands, o)
			if err := all.add(o); err != nil {
				t.Fatal(err)
			}
		}
		var got day
		if err := got.add(foldAll(t, []byte{kindDay}, true, operands...)); err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(all.values, func(a, b value) int { return a.order(&b) })
		firsts := slices.CompactFunc(all.values, func(a, b value) bool { return a.slot(&b) == 0 })
		kept := slices.CompactFunc(got.values, func(a, b value) bool { return a.slot(&b) == 0 })
		if !slices.Equal(kept, firsts) {
			t.Fatalf("kept %v, want %v", kept, firsts)
		}
	}
}

// TestMixedBytes pins the layout of a value that holds what cannot be decoded.
func TestMixedBytes(t *testing.T) {
	sound := unhex(t, dayVectors[0].bytes)
	odd, other := []byte{0xff, 0xee}, []byte{0xff}
	tests := []struct {
		name     string
		operands [][]byte
		want     []byte
	}{
		{"one alone stays as it is", [][]byte{odd}, odd},
		{"one twice stays as it is", [][]byte{odd, odd}, odd},
		{"two", [][]byte{odd, other}, unhex(t, "02 00 01ff 02ffee")},
		{"an empty one", [][]byte{odd, {}}, unhex(t, "02 00 00 02ffee")},
		{"beside a sound one", [][]byte{odd, sound, other}, slices.Concat([]byte{2, byte(len(sound))}, sound, unhex(t, "01ff 02ffee"))},
		{"mixed and one more", [][]byte{unhex(t, "02 00 01ff 02ffee"), sound, odd}, slices.Concat([]byte{2, byte(len(sound))}, sound, unhex(t, "01ff 02ffee"))},
		{"cut mixed", [][]byte{unhex(t, "02 00 01ff 02ff"), other}, unhex(t, "02 00 06 02 00 01ff 02ff 01ff")},
	}
	for _, tt := range tests {
		if got := foldAll(t, []byte{kindDay}, true, tt.operands...); !bytes.Equal(got, tt.want) {
			t.Errorf("%s: got %x, want %x", tt.name, got, tt.want)
		}
	}
}

func FuzzDay(f *testing.F) {
	for _, v := range dayVectors {
		f.Add(unhex(f, v.bytes))
	}
	rng := rand.New(rand.NewPCG(5, 6))
	for range 8 {
		f.Add(randomDay(rng))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var d day
		if d.add(b) != nil {
			return
		}
		if got := d.encode(nil); !bytes.Equal(got, b) {
			t.Errorf("%x encodes again to %x", b, got)
		}
		d.fold()
		if got := d.encode(nil); !bytes.Equal(got, b) {
			t.Errorf("%x folds to %x", b, got)
		}
	})
}

func FuzzPage(f *testing.F) {
	for _, v := range pageVectors {
		f.Add(unhex(f, v.bytes))
	}
	rng := rand.New(rand.NewPCG(7, 8))
	for range 8 {
		f.Add(randomPage(rng))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var p page
		if p.add(b) != nil {
			return
		}
		if got := p.encode(nil); !bytes.Equal(got, b) {
			t.Errorf("%x encodes again to %x", b, got)
		}
		p.fold()
		if got := p.encode(nil); !bytes.Equal(got, b) {
			t.Errorf("%x folds to %x", b, got)
		}
	})
}

// FuzzMerge folds three arbitrary operands in every order and grouping.
func FuzzMerge(f *testing.F) {
	rng := rand.New(rand.NewPCG(9, 10))
	for range 8 {
		a, b := randomDay(rng), randomDay(rng)
		f.Add(a, b, randomDay(rng))
		f.Add(a, randomPage(rng), randomPage(rng))
		f.Add(a, b[:len(b)-1], foldAll(f, []byte{kindDay}, true, a, b[:len(b)-1], b[:len(b)-2]))
	}
	f.Add([]byte{}, []byte{2, 0, 0}, binary.AppendUvarint([]byte{2}, 1<<63))
	f.Fuzz(func(t *testing.T, a, b, c []byte) {
		for _, key := range [][]byte{{kindDay}, {kindPage}} {
			want := foldAll(t, key, true, a, b, c)
			others := [][]byte{
				foldAll(t, key, true, c, a, b),
				foldAll(t, key, false, b, a, c, b, a),
				foldAll(t, key, true, foldAll(t, key, true, a, b), c),
				foldAll(t, key, true, a, foldAll(t, key, true, b, c)),
				foldAll(t, key, true, want, want),
				foldAll(t, key, true, want, b),
			}
			for i, got := range others {
				if !bytes.Equal(got, want) {
					t.Errorf("kind %d, way %d: %x\n%x\n%x\nfold to %x\nand to  %x", key[0], i, a, b, c, want, got)
				}
			}
		}
	})
}
