package readingstest

import (
	"context"
	"math"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/readings"
)

func (f *fixture) erase(m wattveil.Meter, before int64) {
	f.Helper()
	if err := f.store.Erase(context.Background(), m, before); err != nil {
		f.Fatalf("erase: %v", err)
	}
}

// testErase erases up to a second: the days that are over then go, with their
// conflicts and in all series, and nothing else does.
func testErase(f *fixture) {
	other := wattveil.Meter{UC: 7, Pseudonym: meter().Pseudonym + 1}
	before := wattveil.Meter{UC: 7, Pseudonym: meter().Pseudonym - 1}
	rs := []wattveil.Reading{at(-40*day, 1), at(-day, 2), at(-1, 3), at(0, 4), at(900, 5), at(day, 6)}
	for _, m := range []wattveil.Meter{meter(), other, before} {
		f.append(of(m, block(1, rs...)), of(m, inSeries(2, block(2, at(-5, 9), at(5, 10)))), of(m, block(3, at(-1, 7), at(900, 8))))
	}
	conflicts := []readings.Conflict{refused(at(-1, 3), at(-1, 7)), refused(at(900, 5), at(900, 8))}
	whole := readings.Folded{Runs: []readings.Run{
		{Series: 1, Readings: rs}, {Series: 2, Readings: []wattveil.Reading{at(-5, 9), at(5, 10)}},
	}, Conflicts: conflicts}
	left := readings.Folded{Runs: []readings.Run{
		{Series: 1, Readings: rs[3:]}, {Series: 2, Readings: []wattveil.Reading{at(5, 10)}},
	}, Conflicts: conflicts[1:]}
	f.want(meter(), whole)
	for _, second := range []int64{0, day / 2, day - 1} { // again and again is harmless
		f.erase(meter(), midnight+second)
		f.want(meter(), left)
	}
	f.want(other, whole)
	f.want(before, whole)
	f.digests(1, digest(1))
	f.digests(3, digest(3))
	f.lastCounter(meter(), 1, 3)
	f.erase(meter(), math.MaxInt64)
	f.want(meter(), readings.Folded{})
	f.want(other, whole)
}

// testEraseAndAppend: what comes for a day that was erased is the first to come.
func testEraseAndAppend(f *fixture) {
	f.append(block(1, at(0, 1), at(day, 2)))
	f.erase(meter(), midnight+day)
	f.append(block(2, at(0, 5)))
	f.want(meter(), folded([]wattveil.Reading{at(0, 5), at(day, 2)}))
	f.erase(meter(), midnight+day)
	f.want(meter(), folded([]wattveil.Reading{at(day, 2)}))
}

func testEraseNothing(f *fixture) {
	f.erase(meter(), midnight)
	f.append(block(1, at(0, 1)))
	for _, before := range []int64{math.MinInt64, -1, 0, midnight} {
		f.erase(meter(), before)
	}
	f.want(meter(), folded([]wattveil.Reading{at(0, 1)}))
}
