package pebble

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/readings"
)

// openIn opens a store in a file system and closes it with the test.
func openIn(t *testing.T, fs vfs.FS) *Store {
	t.Helper()
	s, err := Open("store", Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// crashMeters is how many meters a batch of crashBatch has.
const crashMeters = 5

// crashBatch is batch n: the n-th reading of each meter, with value n.
func crashBatch(n int) []readings.Block {
	batch := make([]readings.Block, crashMeters)
	for i := range batch {
		batch[i] = readings.Block{
			Meter:    wattveil.Meter{UC: 1, Pseudonym: wattveil.Pseudonym(i)},
			Epoch:    1,
			Counter:  wattveil.Counter(n),
			Digest:   readings.Digest{byte(n), byte(n >> 8)},
			Series:   1,
			Readings: []wattveil.Reading{{Time: int64(n) * 900, Import: wattveil.Register(n)}},
		}
	}
	return batch
}

// stored counts the batches of crashBatch that a store holds. It requires them
// to be the first ones, whole and without a conflict.
func stored(t *testing.T, s *Store) int {
	t.Helper()
	batches := -1
	for i := range crashMeters {
		m := wattveil.Meter{UC: 1, Pseudonym: wattveil.Pseudonym(i)}
		got, err := s.Read(context.Background(), m, 0, readings.MaxTime)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		if len(got.Runs) == 1 {
			n = len(got.Runs[0].Readings)
			for j, r := range got.Runs[0].Readings {
				if r.Time != int64(j)*900 || r.Import != wattveil.Register(j) {
					t.Fatalf("meter %d: reading %d has time %d and value %d", i, j, r.Time, uint64(r.Import))
				}
			}
		}
		if len(got.Runs) > 1 || len(got.Conflicts) > 0 || batches >= 0 && n != batches {
			t.Fatalf("meter %d: %d runs, %d readings after %d, %d conflicts", i, len(got.Runs), n, batches, len(got.Conflicts))
		}
		batches = n
		c, ok, err := s.LastCounter(context.Background(), m, 1)
		if err != nil || ok != (n > 0) || ok && int(c) != n-1 {
			t.Fatalf("meter %d: last counter %d, %t, %v with %d batches", i, c, ok, err, n)
		}
	}
	return batches
}

// TestCrash cuts the power at random moments while batches are appended. All
// that was acknowledged is there, whole and once, and sending everything again
// changes nothing.
func TestCrash(t *testing.T) {
	const crashes, batchesEach = 12, 60
	disk := vfs.NewCrashableMem()
	rng := rand.New(rand.NewPCG(1, 2))
	sent := 0
	for crash := range crashes {
		s, err := Open("store", Options{FS: disk})
		if err != nil {
			t.Fatal(err)
		}
		have := stored(t, s)
		if have < sent {
			t.Fatalf("crash %d: %d batches are left of %d that were acknowledged", crash, have, sent)
		}
		sent = have
		for n := range sent { // what was not acknowledged, and all else, comes again
			if err := s.Append(context.Background(), crashBatch(n)); err != nil {
				t.Fatal(err)
			}
		}
		if got := stored(t, s); got != have {
			t.Fatalf("crash %d: %d batches became %d", crash, have, got)
		}
		var acknowledged atomic.Int64
		acknowledged.Store(int64(sent))
		half, done := make(chan struct{}), make(chan struct{})
		go func(first, stop int) {
			defer close(done)
			for n := first; n < first+batchesEach; n++ {
				if n == stop {
					close(half)
				}
				if err := s.Append(context.Background(), crashBatch(n)); err != nil {
					t.Errorf("append: %v", err)
					return
				}
				acknowledged.Store(int64(n) + 1)
			}
		}(sent, sent+rng.IntN(batchesEach))
		<-half
		if crash%3 == 0 {
			if err := s.db.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		sent = int(acknowledged.Load())
		after := disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50 * (crash % 3), RNG: rand.New(rand.NewPCG(3, uint64(crash)))})
		<-done
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		disk = after
	}
}

// TestFirstCountsAfterCrash loses nothing of who was first: the stamps go on
// where they were.
func TestFirstCountsAfterCrash(t *testing.T) {
	disk := vfs.NewCrashableMem()
	m := wattveil.Meter{UC: 1, Pseudonym: 1}
	const values = 10
	for i := range values {
		s := openIn(t, disk)
		b := readings.Block{Meter: m, Series: 1, Readings: []wattveil.Reading{{Time: 900, Import: wattveil.Register(values - i)}}}
		if err := s.Append(context.Background(), []readings.Block{b}); err != nil {
			t.Fatal(err)
		}
		disk = disk.CrashClone(vfs.CrashCloneCfg{})
	}
	got, err := openIn(t, disk).Read(context.Background(), m, 0, readings.MaxTime)
	if err != nil {
		t.Fatal(err)
	}
	if kept := got.Runs[0].Readings[0].Import; kept != values {
		t.Errorf("kept %d, want %d", uint64(kept), values)
	}
	for i, c := range got.Conflicts {
		if want := wattveil.Register(values - 1 - i); c.Refused.Import != want {
			t.Errorf("conflict %d: refused %d, want %d", i, uint64(c.Refused.Import), uint64(want))
		}
	}
}
