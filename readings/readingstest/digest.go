package readingstest

import (
	"context"
	"math"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/readings"
)

// message is a block with one reading, under an epoch, a counter and a digest.
func message(e wattveil.Epoch, c wattveil.Counter, d uint64) readings.Block {
	b := block(c, at(0, 1))
	b.Epoch, b.Digest = e, digest(d)
	return b
}

func testDigests(f *fixture) {
	f.append(message(1, 5, 9), message(1, 6, 1), message(1, 5, 9))
	f.append(message(1, 5, 9), message(1, 1023, 7), message(1, 1024, 8), message(2, 5, 3))
	f.digests(5, digest(9))
	f.append(message(1, 5, 4))
	f.append(message(1, 5, 5), message(1, 5, 3), message(1, 5, 9))
	f.append(message(1, math.MaxUint32, 6), message(1, 0, 0))
	for range 2 {
		f.digests(5, digest(9), digest(4), digest(5), digest(3))
		f.digests(6, digest(1))
		f.digests(7)
		f.digests(1023, digest(7))
		f.digests(1024, digest(8))
		f.digests(0, digest(0))
		f.digests(math.MaxUint32, digest(6))
		f.reopen()
	}
	f.append(message(1, 5, 4), message(1, 6, 2))
	f.digests(5, digest(9), digest(4), digest(5), digest(3))
	f.digests(6, digest(1), digest(2))
}

func testDigestsBounded(f *fixture) {
	var want []readings.Digest
	for i := range uint64(3 * readings.MaxRivals) {
		f.append(message(1, 1, 100-i), message(1, 2, 1))
		if i < readings.MaxRivals {
			want = append(want, digest(100-i))
		}
	}
	f.digests(1, want...)
	f.digests(2, digest(1))
}

func testLastCounter(f *fixture) {
	f.lastCounter(meter(), 1, -1)
	f.append(message(1, 0, 1))
	f.lastCounter(meter(), 1, 0)
	for _, c := range []wattveil.Counter{1023, 3, 1024, 5000, 4999, 1 << 31} {
		f.append(message(1, c, 1))
	}
	f.append(message(2, 17, 1), message(math.MaxUint32, 18, 1))
	f.append(of(wattveil.Meter{UC: 8, Pseudonym: meter().Pseudonym}, message(1, math.MaxUint32, 1)))
	for range 2 {
		f.lastCounter(meter(), 0, -1)
		f.lastCounter(meter(), 1, 1<<31)
		f.lastCounter(meter(), 2, 17)
		f.lastCounter(meter(), 3, -1)
		f.lastCounter(meter(), math.MaxUint32, 18)
		f.lastCounter(wattveil.Meter{UC: 9, Pseudonym: meter().Pseudonym}, 1, -1)
		f.reopen()
	}
}

func testDropEpoch(f *fixture) {
	other := wattveil.Meter{UC: 7, Pseudonym: meter().Pseudonym + 1}
	f.append(message(1, 5, 1), message(1, 9000, 1), message(2, 6, 1), message(0, 4, 1), of(other, message(1, 7, 1)))
	for range 2 { // dropping twice is harmless
		if err := f.store.DropEpoch(context.Background(), meter(), 1); err != nil {
			f.Fatalf("drop epoch: %v", err)
		}
		f.lastCounter(meter(), 1, -1)
		f.digests(5)
		f.digests(9000)
		f.reopen()
	}
	f.lastCounter(meter(), 0, 4)
	f.lastCounter(meter(), 2, 6)
	f.lastCounter(other, 1, 7)
	f.want(meter(), folded([]wattveil.Reading{at(0, 1)}))

	f.append(message(1, 3, 2)) // nothing of the dropped digests comes back
	f.lastCounter(meter(), 1, 3)
	f.digests(5)
}
