// Package readingstest holds the suite that every driver of package readings
// passes unmodified. A driver's test calls [Run] and adds what only it knows,
// such as crashes of its disk.
package readingstest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/readings"
)

// Open opens the store in a folder. Called again with a folder after the store
// in it was closed, it opens what was stored there.
type Open func(t *testing.T, dir string) readings.Store

// Run runs the suite. Each test gets its own folder.
func Run(t *testing.T, open func(t *testing.T, dir string) readings.Store) {
	tests := []struct {
		name string
		run  func(*fixture)
	}{
		{"empty", testEmpty},
		{"every field comes back", testFields},
		{"duplicates", testDuplicates},
		{"range edges", testRange},
		{"out of order", testOrder},
		{"meters apart", testMeters},
		{"series apart", testSeries},
		{"register rollover", testRollover},
		{"a day of seconds", testSeconds},
		{"invalid blocks", testInvalid},
		{"batch is not kept", testBatchReuse},
		{"big batch", testBigBatch},
		{"first durable counts in a block", testConflictInBlock},
		{"first durable counts in a batch", testConflictInBatch},
		{"first durable counts across batches", testConflictAcrossBatches},
		{"first durable counts back to back", testBackToBack},
		{"rivals are bounded", testRivals},
		{"digests", testDigests},
		{"digests are bounded", testDigestsBounded},
		{"last counter", testLastCounter},
		{"drop epoch", testDropEpoch},
		{"erase", testErase},
		{"erase and append", testEraseAndAppend},
		{"erase nothing", testEraseNothing},
		{"like a model", testModel},
		{"concurrent writers and readers", testConcurrent},
		{"a race has one winner", testRace},
		{"cancelled context", testCancelled},
		{"after close", testClosed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &fixture{T: t, open: open, dir: t.TempDir()}
			f.store = open(t, f.dir)
			t.Cleanup(func() {
				if err := f.store.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			})
			tt.run(f)
		})
	}
}

// fixture is a test with a store.
type fixture struct {
	*testing.T
	open  Open
	dir   string
	store readings.Store
	last  readings.Folded // read into again and again
}

// reopen closes the store and opens its folder again.
func (f *fixture) reopen() {
	f.Helper()
	if err := f.store.Close(); err != nil {
		f.Fatalf("close: %v", err)
	}
	f.store = f.open(f.T, f.dir)
}

func (f *fixture) append(blocks ...readings.Block) {
	f.Helper()
	if err := f.store.Append(context.Background(), blocks); err != nil {
		f.Fatalf("append: %v", err)
	}
}

func (f *fixture) read(m wattveil.Meter, from, to int64) readings.Folded {
	f.Helper()
	got, err := f.store.Read(context.Background(), m, from, to)
	if err != nil {
		f.Fatalf("read: %v", err)
	}
	if err := f.store.ReadInto(context.Background(), m, from, to, &f.last); err != nil {
		f.Fatalf("read into what was read before: %v", err)
	}
	compare(f.T, f.last, got)
	return got
}

// all reads everything of a meter.
func (f *fixture) all(m wattveil.Meter) readings.Folded {
	f.Helper()
	return f.read(m, math.MinInt64, math.MaxInt64)
}

// want compares all of a meter with runs and conflicts, before and after the
// store is opened again.
func (f *fixture) want(m wattveil.Meter, want readings.Folded) {
	f.Helper()
	compare(f.T, f.all(m), want)
	f.reopen()
	compare(f.T, f.all(m), want)
}

// compare reports how two folded forms differ.
func compare(t *testing.T, got, want readings.Folded) {
	t.Helper()
	if g, w := text(got), text(want); g != w {
		t.Errorf("got:\n%swant:\n%s", g, w)
	}
}

// text shows a folded form, which redacts itself otherwise, one reading a line.
func text(f readings.Folded) string {
	var b strings.Builder
	for _, run := range f.Runs {
		if len(run.Readings) == 0 {
			fmt.Fprintf(&b, "series %d is empty\n", run.Series)
		}
		for _, r := range run.Readings {
			fmt.Fprintf(&b, "series %d: %s\n", run.Series, line(r))
		}
	}
	for _, c := range f.Conflicts {
		fmt.Fprintf(&b, "series %d: kept %s, refused %s\n", c.Series, line(c.Kept), line(c.Refused))
	}
	return b.String()
}

func line(r wattveil.Reading) string {
	return fmt.Sprintf("%d import %d export %d status %d", r.Time, uint64(r.Import), uint64(r.Export), r.Status)
}

// meter is the meter that most tests use.
func meter() wattveil.Meter { return wattveil.Meter{UC: 7, Pseudonym: 0x0123456789abcdef} }

// midnight begins the day that most tests use, 2026-03-01.
const midnight = 1_772_323_200

// at is a reading at a second after midnight.
func at(second int64, imp uint64) wattveil.Reading {
	return wattveil.Reading{Time: midnight + second, Import: wattveil.Register(imp)}
}

// block is a message of the test's meter under series 1.
func block(c wattveil.Counter, rs ...wattveil.Reading) readings.Block {
	return readings.Block{
		Meter:    meter(),
		Epoch:    1,
		Counter:  c,
		Digest:   digest(uint64(c)),
		Series:   1,
		Readings: rs,
	}
}

// of is the block under another meter.
func of(m wattveil.Meter, b readings.Block) readings.Block {
	b.Meter = m
	return b
}

// inSeries is the block under another series.
func inSeries(s wattveil.Series, b readings.Block) readings.Block {
	b.Series = s
	return b
}

// digest makes distinct digests of distinct numbers.
func digest(n uint64) readings.Digest {
	var d readings.Digest
	for i := range d {
		d[i] = byte(n >> (8 * i))
	}
	return d
}

// folded is one run of series 1 and conflicts with it.
func folded(run []wattveil.Reading, conflicts ...readings.Conflict) readings.Folded {
	return readings.Folded{Runs: []readings.Run{{Series: 1, Readings: run}}, Conflicts: conflicts}
}

// refused is a conflict in series 1.
func refused(kept, refused wattveil.Reading) readings.Conflict {
	return readings.Conflict{Series: 1, Kept: kept, Refused: refused}
}

// digests compares the digests under a counter of the test's meter and epoch 1.
func (f *fixture) digests(c wattveil.Counter, want ...readings.Digest) {
	f.Helper()
	got, err := f.store.Digests(context.Background(), meter(), 1, c)
	if err != nil {
		f.Fatalf("digests: %v", err)
	}
	if !slices.Equal(got, want) {
		f.Errorf("counter %d: got digests %x, want %x", c, got, want)
	}
}

// lastCounter compares the last counter of an epoch; want < 0 means none.
func (f *fixture) lastCounter(m wattveil.Meter, e wattveil.Epoch, want int64) {
	f.Helper()
	c, ok, err := f.store.LastCounter(context.Background(), m, e)
	if err != nil {
		f.Fatalf("last counter: %v", err)
	}
	if got := int64(c); ok != (want >= 0) || ok && got != want {
		f.Errorf("epoch %d: got counter %d, %t; want %d", e, c, ok, want)
	}
}

// is checks that an error matches target.
func (f *fixture) is(err, target error) {
	f.Helper()
	if !errors.Is(err, target) {
		f.Errorf("got error %v, want one that matches %v", err, target)
	}
}
