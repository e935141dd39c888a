package readingstest

import (
	"context"
	"math"
	"math/rand/v2"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/readings"
)

const (
	day    = 86_400
	modulo = wattveil.RegisterModulus
)

func testEmpty(f *fixture) {
	f.append()
	f.want(meter(), readings.Folded{})
	compare(f.T, f.read(meter(), 10, 9), readings.Folded{})
	f.digests(0)
	f.lastCounter(meter(), 1, -1)
	if err := f.store.DropEpoch(context.Background(), meter(), 1); err != nil {
		f.Errorf("drop an epoch that is not there: %v", err)
	}
	f.append(block(1, at(0, 1)))
	compare(f.T, f.read(meter(), midnight+1, midnight), readings.Folded{})
}

func testFields(f *fixture) {
	rs := []wattveil.Reading{
		{},
		{Time: 1, Import: modulo - 1, Export: modulo - 1, Status: 0xffff},
		{Time: midnight, Import: 1 << 39, Export: 3, Status: wattveil.StatusTamper},
		{Time: readings.MaxTime, Import: 0, Export: modulo - 1, Status: 1},
	}
	m := wattveil.Meter{UC: math.MaxUint32, Pseudonym: math.MaxUint64}
	f.append(readings.Block{
		Meter: m, Epoch: math.MaxUint32, Counter: math.MaxUint32,
		Digest: digest(math.MaxUint64), Series: math.MaxUint32, Readings: rs,
	})
	f.want(m, readings.Folded{Runs: []readings.Run{{Series: math.MaxUint32, Readings: rs}}})
	f.lastCounter(m, math.MaxUint32, math.MaxUint32)
}

func testDuplicates(f *fixture) {
	a, b, c := at(900, 10), at(1800, 25), at(2700, 31)
	f.append(block(1, a, b), block(1, a, b))
	f.append(block(1, a, b))
	f.append(block(2, b, c), block(2, b, c, c, b))
	f.reopen()
	f.append(block(1, a, b), block(3, c))
	f.want(meter(), folded([]wattveil.Reading{a, b, c}))
}

func testRange(f *fixture) {
	rs := []wattveil.Reading{at(-day, 1), at(-1, 2), at(0, 3), at(900, 4), at(day-1, 5), at(day, 6), at(3*day, 7)}
	f.append(block(1, rs...))
	tests := []struct {
		from, to    int64 // after midnight
		first, last int   // in rs; last < first means none
	}{
		{-day, 3 * day, 0, 6},
		{-day + 1, 3*day - 1, 1, 5},
		{-1, -1, 1, 1},
		{-1, 0, 1, 2},
		{0, 0, 2, 2},
		{0, day - 1, 2, 4},
		{0, day, 2, 5},
		{1, 899, 1, 0},
		{1, 900, 3, 3},
		{900, day - 2, 3, 3},
		{day - 1, day - 1, 4, 4},
		{day + 1, 3*day - 1, 1, 0},
		{3 * day, 9 * day, 6, 6},
		{3*day + 1, 9 * day, 1, 0},
	}
	for _, tt := range tests {
		var want readings.Folded
		if tt.first <= tt.last {
			want = folded(rs[tt.first : tt.last+1])
		}
		compare(f.T, f.read(meter(), midnight+tt.from, midnight+tt.to), want)
	}
	compare(f.T, f.read(meter(), math.MinInt64, -1), readings.Folded{})
	compare(f.T, f.read(meter(), readings.MaxTime+1, math.MaxInt64), readings.Folded{})
	f.want(meter(), folded(rs))
}

func testOrder(f *fixture) {
	var rs []wattveil.Reading
	for i := range 300 {
		rs = append(rs, at(int64(i)*900, uint64(i)*uint64(i)))
	}
	rng := rand.New(rand.NewPCG(1, 2))
	c := wattveil.Counter(0)
	shuffled := append([]wattveil.Reading(nil), rs...)
	rng.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	for rest := shuffled; len(rest) > 0; c++ {
		n := min(1+rng.IntN(20), len(rest))
		f.append(block(c, rest[:n]...))
		rest = rest[n:]
	}
	f.want(meter(), folded(rs))
}

func testMeters(f *fixture) {
	ms := []wattveil.Meter{
		{UC: 1, Pseudonym: 5}, {UC: 2, Pseudonym: 5}, {UC: 1, Pseudonym: 6}, {UC: 1, Pseudonym: 4},
		{UC: 0, Pseudonym: 0}, {UC: 0, Pseudonym: math.MaxUint64}, {UC: math.MaxUint32, Pseudonym: 5},
		{UC: 5, Pseudonym: 1}, {UC: 256, Pseudonym: 5}, {UC: 1, Pseudonym: 5 << 8},
	}
	var batch []readings.Block
	for i, m := range ms {
		batch = append(batch, of(m, block(wattveil.Counter(i), at(900, uint64(i)), at(day+900, uint64(i)+100))))
	}
	f.append(batch...)
	for i, m := range ms {
		f.want(m, folded([]wattveil.Reading{at(900, uint64(i)), at(day+900, uint64(i)+100)}))
		f.lastCounter(m, 1, int64(i))
	}
	f.want(wattveil.Meter{UC: 3, Pseudonym: 5}, readings.Folded{})
}

func testSeries(f *fixture) {
	f.append(
		inSeries(9, block(1, at(900, 100), at(1800, 110))),
		inSeries(2, block(2, at(900, 7), at(2700, 8))),
		inSeries(9, block(3, at(day, 120), at(1800, 111))),
		inSeries(300, block(4, at(2*day, 1))),
		inSeries(2, block(5, at(900, 6))),
	)
	f.want(meter(), readings.Folded{
		Runs: []readings.Run{
			{Series: 2, Readings: []wattveil.Reading{at(900, 7), at(2700, 8)}},
			{Series: 9, Readings: []wattveil.Reading{at(900, 100), at(1800, 110), at(day, 120)}},
			{Series: 300, Readings: []wattveil.Reading{at(2*day, 1)}},
		},
		Conflicts: []readings.Conflict{
			{Series: 2, Kept: at(900, 7), Refused: at(900, 6)},
			{Series: 9, Kept: at(1800, 110), Refused: at(1800, 111)},
		},
	})
}

func testRollover(f *fixture) {
	rs := []wattveil.Reading{
		at(0, modulo-500), at(900, modulo-1), at(1800, 0), at(2700, 1), at(3600, modulo-1),
		at(4500, 1<<39), at(5400, 1<<39-1), at(6300, 0), at(7200, 0), at(8100, modulo/2),
	}
	for i := range rs {
		rs[i].Export = wattveil.Register((uint64(rs[i].Import) + modulo - 1) % modulo)
		f.append(block(wattveil.Counter(i), rs[i]))
	}
	f.want(meter(), folded(rs))
}

func testSeconds(f *fixture) {
	rng := rand.New(rand.NewPCG(3, 4))
	rs := make([]wattveil.Reading, day)
	register := uint64(rng.IntN(modulo))
	for i := range rs {
		register = (register + uint64(rng.IntN(3))) % modulo
		rs[i] = at(int64(i), register)
		if i > day/2 {
			rs[i].Status = wattveil.StatusClock
		}
	}
	for i := 0; i < len(rs); i += 1000 {
		f.append(block(wattveil.Counter(i), rs[i:min(i+1000, len(rs))]...))
	}
	f.want(meter(), folded(rs))
}

func testInvalid(f *fixture) {
	tests := []struct {
		name string
		rs   []wattveil.Reading
	}{
		{"no readings", nil},
		{"before 1970", []wattveil.Reading{{Time: -1}}},
		{"after 2106", []wattveil.Reading{{Time: readings.MaxTime + 1}}},
		{"import too large", []wattveil.Reading{{Import: modulo}}},
		{"export too large", []wattveil.Reading{{}, {Time: 1, Export: modulo}}},
	}
	for _, tt := range tests {
		err := f.store.Append(context.Background(), []readings.Block{block(1, at(0, 1)), block(2, tt.rs...)})
		if err == nil {
			f.Errorf("%s: accepted", tt.name)
			continue
		}
		f.is(err, readings.ErrInvalid)
	}
	f.want(meter(), readings.Folded{})
	f.lastCounter(meter(), 1, -1)
}

func testBatchReuse(f *fixture) {
	batch := []readings.Block{block(1, at(0, 1), at(900, 2))}
	f.append(batch...)
	batch[0].Readings[0] = at(1800, 99)
	batch[0].Digest = digest(99)
	got := f.all(meter())
	compare(f.T, got, folded([]wattveil.Reading{at(0, 1), at(900, 2)}))
	got.Runs[0].Readings[0] = at(2700, 98)
	compare(f.T, f.all(meter()), folded([]wattveil.Reading{at(0, 1), at(900, 2)}))
	f.digests(1, digest(1))
}

func testBigBatch(f *fixture) {
	const meters, perMeter = 1000, 10
	var batch []readings.Block
	for i := range meters * perMeter {
		m := wattveil.Meter{UC: 7, Pseudonym: wattveil.Pseudonym(i % meters)} // not in the order of meters
		n := i / meters
		batch = append(batch, of(m, block(wattveil.Counter(n), at(int64(n)*900, uint64(i)))))
	}
	f.append(batch...)
	f.reopen()
	for i := range meters {
		var want []wattveil.Reading
		for n := range perMeter {
			want = append(want, at(int64(n)*900, uint64(n*meters+i)))
		}
		compare(f.T, f.all(wattveil.Meter{UC: 7, Pseudonym: wattveil.Pseudonym(i)}), folded(want))
	}
}
