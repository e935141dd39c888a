package pebble

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/readings"
)

// TestEraseCrash cuts the power around erasures: each is there whole or not at
// all, and for good once it was acknowledged.
func TestEraseCrash(t *testing.T) {
	ctx := context.Background()
	m := wattveil.Meter{UC: 1, Pseudonym: 1}
	const days = 20
	for round := range 30 {
		disk := vfs.NewCrashableMem()
		s := openIn(t, disk)
		for d := range days {
			b := readings.Block{Meter: m, Epoch: 1, Counter: wattveil.Counter(d), Series: 1, Readings: []wattveil.Reading{{Time: int64(d) * secondsPerDay, Import: 1}}}
			if err := s.Append(ctx, []readings.Block{b}); err != nil {
				t.Fatal(err)
			}
			if d%7 == round%7 {
				if err := s.db.Flush(); err != nil {
					t.Fatal(err)
				}
			}
		}
		const first, second = 5, 12
		if err := s.Erase(ctx, m, first*secondsPerDay); err != nil {
			t.Fatal(err)
		}
		cloned, done := make(chan *vfs.MemFS, 1), make(chan error, 1)
		go func() { done <- s.Erase(ctx, m, second*secondsPerDay) }()
		go func() {
			cloned <- disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50 * (round % 3), RNG: rand.New(rand.NewPCG(5, uint64(round)))})
		}()
		after := <-cloned
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		got, err := openIn(t, after).Read(ctx, m, 0, readings.MaxTime)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(got.Runs[0].Readings); n != days-first && n != days-second {
			t.Errorf("round %d: %d readings are left, want %d or %d", round, n, days-first, days-second)
		}
		after = disk.CrashClone(vfs.CrashCloneCfg{})
		got, err = openIn(t, after).Read(ctx, m, 0, readings.MaxTime)
		if err != nil || len(got.Runs[0].Readings) != days-second {
			t.Errorf("round %d: an erasure that was acknowledged is undone, %v", round, err)
		}
	}
}

// TestEraseLeavesNoBytes: what is erased takes up no room in any file, while
// other meters keep theirs.
func TestEraseLeavesNoBytes(t *testing.T) {
	ctx := context.Background()
	s := openIn(t, vfs.NewMem())
	rng := rand.New(rand.NewPCG(1, 2))
	meters := []wattveil.Meter{{UC: 1, Pseudonym: 1}, {UC: 1, Pseudonym: 2}, {UC: 1, Pseudonym: 3}}
	for d := range int64(410) {
		var batch []readings.Block
		for _, m := range meters {
			b := readings.Block{Meter: m, Epoch: 1, Counter: wattveil.Counter(d), Series: 1}
			for q := range int64(96) {
				b.Readings = append(b.Readings, wattveil.Reading{Time: d*secondsPerDay + q*900, Import: wattveil.Register(rng.Uint64N(wattveil.RegisterModulus))})
			}
			batch = append(batch, b)
		}
		if err := s.Append(ctx, batch); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.db.Flush(); err != nil {
		t.Fatal(err)
	}
	size := func(m wattveil.Meter) uint64 {
		n, err := s.db.EstimateDiskUsage(appendDayKey(nil, m, 0), appendDayKey(nil, m, 400))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := size(meters[1])
	if before < 200_000 {
		t.Fatalf("400 days take %d bytes: this looks at nothing", before)
	}
	if err := s.Erase(ctx, meters[1], 400*secondsPerDay); err != nil {
		t.Fatal(err)
	}
	if left := size(meters[1]); left > before/5 { // neighbours share the blocks at both ends
		t.Errorf("%d bytes are left of %d", left, before)
	}
	for _, m := range []wattveil.Meter{meters[0], meters[2]} {
		if size(m) < before/2 {
			t.Error("a neighbour's readings are gone")
		}
	}
}
