package pebble

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/readings"
)

// benchStart begins the days that benchmarks write, 2026-03-01.
const benchStart = 1_772_323_200

// household makes the increments of a home: a base load, a rhythm over the
// day, and bursts.
type household struct {
	rng      *rand.Rand
	base     float64
	register uint64
}

func newHousehold(seed uint64) *household {
	rng := rand.New(rand.NewPCG(seed, 1))
	return &household{rng: rng, base: 20 + 60*rng.Float64(), register: rng.Uint64N(wattveil.RegisterModulus)}
}

// next is the register after one more quarter of an hour.
func (h *household) next(interval int) wattveil.Register {
	load := h.base * (0.8 + 0.4*h.rng.Float64())
	if hour := interval / 4 % 24; hour >= 6 && hour < 9 || hour >= 17 && hour < 23 {
		load += 120 * h.rng.ExpFloat64()
	}
	if h.rng.IntN(24) == 0 {
		load += 500 * h.rng.Float64()
	}
	h.register = (h.register + uint64(load)) % wattveil.RegisterModulus
	return wattveil.Register(h.register)
}

func benchStore(b *testing.B) *Store {
	b.Helper()
	s, err := Open(b.TempDir(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	return s
}

// fleet is a batch of one block for each meter, in the order of meters.
func fleet(meters, perBlock int) []readings.Block {
	rng := rand.New(rand.NewPCG(1, 1))
	batch := make([]readings.Block, meters)
	for i := range batch {
		batch[i] = readings.Block{
			Meter:    wattveil.Meter{UC: 1, Pseudonym: wattveil.Pseudonym(rng.Uint64())},
			Epoch:    1,
			Series:   1,
			Readings: make([]wattveil.Reading, perBlock),
		}
	}
	slices.SortFunc(batch, func(a, b readings.Block) int {
		if a.Meter.Pseudonym < b.Meter.Pseudonym {
			return -1
		}
		return 1
	})
	return batch
}

// step fills a batch with the next intervals of its meters.
func step(batch []readings.Block, homes []*household, rng *rand.Rand, n int) {
	for i := range batch {
		b := &batch[i]
		b.Counter = wattveil.Counter(n)
		d := rng.Uint64()
		for j := range b.Digest {
			b.Digest[j] = byte(d >> (8 * j))
		}
		for j := range b.Readings {
			interval := n*len(b.Readings) + j
			b.Readings[j] = wattveil.Reading{Time: benchStart + int64(interval)*900, Import: homes[i].next(interval)}
		}
	}
}

func homesFor(batch []readings.Block) []*household {
	homes := make([]*household, len(batch))
	for i := range homes {
		homes[i] = newHousehold(uint64(i))
	}
	return homes
}

func benchAppend(b *testing.B, meters, perBlock int) {
	s := benchStore(b)
	batch := fleet(meters, perBlock)
	homes, rng := homesFor(batch), rand.New(rand.NewPCG(2, 2))
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		b.StopTimer()
		step(batch, homes, rng, n)
		n++
		b.StartTimer()
		if err := s.Append(context.Background(), batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n*meters*perBlock)/b.Elapsed().Seconds(), "readings/s")
}

// BenchmarkAppendLive appends one reading of each of 4,096 meters.
func BenchmarkAppendLive(b *testing.B) { benchAppend(b, 4096, 1) }

// BenchmarkAppendBackfill appends a day of each of 256 meters, such as after an
// outage.
func BenchmarkAppendBackfill(b *testing.B) { benchAppend(b, 256, 96) }

// fill writes days of 15-minute readings of many meters as they would come,
// interval by interval, and compacts them. The fleet comes in eight batches,
// which overtake each other as they do where several utilities send at once.
func fill(b *testing.B, s *Store, meters, days int) []readings.Block {
	batch := fleet(meters, 1)
	homes, rng := homesFor(batch), rand.New(rand.NewPCG(2, 2))
	parts := slices.Collect(slices.Chunk(batch, (meters+7)/8))
	for n := range days * 96 {
		step(batch, homes, rng, n)
		rng.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
		for _, part := range parts {
			if err := s.Append(context.Background(), part); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := s.Compact(context.Background()); err != nil {
		b.Fatal(err)
	}
	return batch
}

// BenchmarkReadMonth reads 31 days of one meter out of 1,000. The cache is too
// small to hold them all.
func BenchmarkReadMonth(b *testing.B) {
	s, err := Open(b.TempDir(), Options{CacheBytes: 1 << 20})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	const days = 31
	batch := fill(b, s, 1000, days)
	rng := rand.New(rand.NewPCG(3, 3))
	var took []time.Duration
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		m := batch[rng.IntN(len(batch))].Meter
		start := time.Now()
		got, err := s.Read(context.Background(), m, benchStart, benchStart+days*secondsPerDay-1)
		took = append(took, time.Since(start))
		if err != nil || len(got.Runs) != 1 || len(got.Runs[0].Readings) != days*96 {
			b.Fatalf("read %d runs: %v", len(got.Runs), err)
		}
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds()), "p50-ns")
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds()), "p99-ns")
}

// BenchmarkStored writes 30 days of 1,000 meters as they would come and reports
// what a reading takes up on disk, and its message's digest beside it.
func BenchmarkStored(b *testing.B) {
	const meters, days = 1000, 30
	for b.Loop() {
		s := benchStore(b)
		fill(b, s, meters, days)
		u, err := s.Usage(context.Background())
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(u.Readings)/(meters*days*96), "B/reading")
		b.ReportMetric(float64(u.Digests)/(meters*days*96), "B/digest")
	}
}
