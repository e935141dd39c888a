package readingstest

import (
	"cmp"
	"math/rand/v2"
	"slices"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/readings"
)

func testConflictInBlock(f *fixture) {
	f.append(block(1, at(900, 5), at(1800, 8), at(900, 4), at(900, 5), at(900, 6)))
	f.want(meter(), folded([]wattveil.Reading{at(900, 5), at(1800, 8)},
		refused(at(900, 5), at(900, 4)), refused(at(900, 5), at(900, 6))))
}

func testConflictInBatch(f *fixture) {
	other := wattveil.Meter{UC: 7, Pseudonym: 1}
	f.append( // by rising meter
		of(other, block(1, at(900, 1))),
		of(other, block(2, at(900, 0))),
		block(1, at(900, 5), at(1800, 8)),
		block(2, at(1800, 7), at(2700, 9)),
		block(3, at(900, 4)),
	)
	f.append( // not by rising meter
		block(4, at(3600, 3)),
		of(other, block(3, at(1800, 2))),
		block(5, at(3600, 2)),
		of(other, block(4, at(1800, 1))),
		block(6, at(3600, 1), at(1800, 6)),
	)
	f.want(meter(), folded([]wattveil.Reading{at(900, 5), at(1800, 8), at(2700, 9), at(3600, 3)},
		refused(at(900, 5), at(900, 4)),
		refused(at(1800, 8), at(1800, 7)), refused(at(1800, 8), at(1800, 6)),
		refused(at(3600, 3), at(3600, 2)), refused(at(3600, 3), at(3600, 1))))
	f.want(other, folded([]wattveil.Reading{at(900, 1), at(1800, 2)},
		refused(at(900, 1), at(900, 0)), refused(at(1800, 2), at(1800, 1))))
}

func testConflictAcrossBatches(f *fixture) {
	first := wattveil.Reading{Time: midnight, Import: 9, Export: 9, Status: 9}
	rivals := []wattveil.Reading{
		{Time: midnight, Import: 9, Export: 9, Status: 0},
		{Time: midnight, Import: 9, Export: 0, Status: 9},
		{Time: midnight, Import: 0, Export: 9, Status: 9},
	}
	var want []readings.Conflict
	f.append(block(0, first))
	for i, r := range rivals {
		f.append(block(wattveil.Counter(i+1), r))
		f.append(block(0, first), block(1, rivals[0]))
		f.reopen()
		want = append(want, refused(first, r))
		f.want(meter(), folded([]wattveil.Reading{first}, want...))
	}
}

func testBackToBack(f *fixture) {
	const slots, rounds = 20, 30
	rng := rand.New(rand.NewPCG(5, 6))
	first := map[int64]wattveil.Reading{}
	for range rounds {
		for range slots {
			r := at(int64(rng.IntN(slots))*900, uint64(rng.IntN(4)))
			if _, ok := first[r.Time]; !ok {
				first[r.Time] = r
			}
			f.append(block(1, r))
		}
		for _, r := range f.all(meter()).Runs[0].Readings {
			if r != first[r.Time] {
				f.Fatalf("second %d: kept %s, want %s", r.Time-midnight, line(r), line(first[r.Time]))
			}
		}
	}
}

func testRivals(f *fixture) {
	const values = 3 * readings.MaxRivals
	var want []readings.Conflict
	for i := range values {
		f.append(block(1, at(900, uint64(values-i))), block(1, at(1800, 5)))
		if i > 0 && i < readings.MaxRivals {
			want = append(want, refused(at(900, values), at(900, uint64(values-i))))
		}
	}
	f.want(meter(), folded([]wattveil.Reading{at(900, values), at(1800, 5)}, want...))
}

// testModel appends at random and compares with a plain map.
func testModel(f *fixture) {
	rng := rand.New(rand.NewPCG(7, 8))
	model := model{}
	ms := []wattveil.Meter{{UC: 1, Pseudonym: 1}, {UC: 1, Pseudonym: 2}, {UC: 2, Pseudonym: 1}}
	for round := range 60 {
		var batch []readings.Block
		for range 1 + rng.IntN(8) {
			b := readings.Block{Meter: ms[rng.IntN(len(ms))], Epoch: 1, Series: wattveil.Series(rng.IntN(3))}
			for range 1 + rng.IntN(12) {
				b.Readings = append(b.Readings, at(int64(rng.IntN(2*day/900))*900, uint64(rng.IntN(2))))
			}
			batch = append(batch, b)
		}
		f.append(batch...)
		for i := range batch {
			model.append(&batch[i])
		}
		if round%7 == 6 {
			m, second := ms[rng.IntN(len(ms))], int64(rng.IntN(2*day))
			f.erase(m, midnight+second)
			model.erase(m, midnight+second)
		}
		if round%20 == 19 {
			f.reopen()
		}
	}
	for _, m := range ms {
		compare(f.T, f.all(m), model.read(m))
	}
}

// model keeps the distinct values of each reading in the order in which they
// came.
type model map[modelKey][]wattveil.Reading

type modelKey struct {
	meter  wattveil.Meter
	series wattveil.Series
	time   int64
}

func (m model) append(b *readings.Block) {
	for _, r := range b.Readings {
		k := modelKey{b.Meter, b.Series, r.Time}
		if !slices.Contains(m[k], r) {
			m[k] = append(m[k], r)
		}
	}
}

func (m model) erase(meter wattveil.Meter, before int64) {
	for k := range m {
		if k.meter == meter && k.time < before-before%day {
			delete(m, k)
		}
	}
}

func (m model) read(meter wattveil.Meter) readings.Folded {
	var keys []modelKey
	for k := range m {
		if k.meter == meter {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b modelKey) int {
		return cmp.Or(cmp.Compare(a.series, b.series), cmp.Compare(a.time, b.time))
	})
	var out readings.Folded
	for _, k := range keys {
		last := len(out.Runs) - 1
		if last < 0 || out.Runs[last].Series != k.series {
			out.Runs = append(out.Runs, readings.Run{Series: k.series})
			last++
		}
		out.Runs[last].Readings = append(out.Runs[last].Readings, m[k][0])
		for _, r := range m[k][1:] {
			out.Conflicts = append(out.Conflicts, readings.Conflict{Series: k.series, Kept: m[k][0], Refused: r})
		}
	}
	return out
}
