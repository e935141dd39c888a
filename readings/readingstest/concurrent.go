package readingstest

import (
	"context"
	"fmt"
	"sync"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/readings"
)

// together calls each function n times at once and reports their errors.
func (f *fixture) together(n int, call func(i int) error) {
	f.Helper()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if err := call(i); err != nil {
				f.Errorf("call %d: %v", i, err)
			}
		})
	}
	wg.Wait()
}

func testConcurrent(f *fixture) {
	const writers, batches, meters = 4, 25, 8
	ctx := context.Background()
	write := func(w int) error {
		for i := range batches {
			var batch []readings.Block
			for m := range meters {
				n := i*writers + w
				b := block(wattveil.Counter(n), at(int64(n)*900, uint64(n+m)))
				batch = append(batch, of(wattveil.Meter{UC: 1, Pseudonym: wattveil.Pseudonym(m)}, b))
			}
			if err := f.store.Append(ctx, batch); err != nil {
				return err
			}
			for m := range meters { // what is acknowledged can be read
				t := batch[m].Readings[0].Time
				got, err := f.store.Read(ctx, batch[m].Meter, t, t)
				if err != nil {
					return err
				}
				if len(got.Runs) != 1 || got.Runs[0].Readings[0] != batch[m].Readings[0] {
					return fmt.Errorf("meter %d: got\n%s", m, text(got))
				}
			}
		}
		return nil
	}
	read := func(m int) error {
		last := 0
		for last < writers*batches {
			got, err := f.store.Read(ctx, wattveil.Meter{UC: 1, Pseudonym: wattveil.Pseudonym(m)}, 0, readings.MaxTime)
			if err != nil {
				return err
			}
			n := 0
			for _, run := range got.Runs {
				n += len(run.Readings)
			}
			if n < last || len(got.Conflicts) > 0 {
				return fmt.Errorf("%d readings after %d, %d conflicts", n, last, len(got.Conflicts))
			}
			last = n
			if f.Failed() {
				break
			}
		}
		return nil
	}
	f.together(writers+2, func(i int) error {
		if i < writers {
			return write(i)
		}
		return read(i - writers)
	})
}

// testRace lets writers contradict each other at once. Whoever wins a reading
// has won it for good: no later read shows another value.
func testRace(f *fixture) {
	const writers, slots = 6, 30
	ctx := context.Background()
	f.together(writers, func(w int) error {
		for s := range slots {
			if err := f.store.Append(ctx, []readings.Block{block(wattveil.Counter(w), at(int64(s), uint64(w)))}); err != nil {
				return err
			}
			t := int64(midnight + s)
			before, err := f.store.Read(ctx, meter(), t, t)
			if err != nil {
				return err
			}
			after, err := f.store.Read(ctx, meter(), t, t)
			if err != nil {
				return err
			}
			if b, a := before.Runs[0].Readings[0], after.Runs[0].Readings[0]; a != b {
				return fmt.Errorf("second %d: %s became %s", s, line(b), line(a))
			}
		}
		return nil
	})
	got := f.all(meter())
	if n := len(got.Runs[0].Readings); n != slots {
		f.Errorf("%d readings, want %d", n, slots)
	}
	if n := len(got.Conflicts); n != slots*(writers-1) {
		f.Errorf("%d conflicts, want %d", n, slots*(writers-1))
	}
	f.want(meter(), got)
}

func testCancelled(f *fixture) {
	f.append(block(1, at(0, 1)))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for name, err := range f.calls(ctx) {
		if err == nil {
			f.Errorf("%s: no error", name)
			continue
		}
		f.is(err, context.Canceled)
	}
	f.want(meter(), folded([]wattveil.Reading{at(0, 1)}))
	f.digests(1, digest(1))
}

func testClosed(f *fixture) {
	f.append(block(1, at(0, 1)))
	for range 2 {
		if err := f.store.Close(); err != nil {
			f.Fatalf("close: %v", err)
		}
		for name, err := range f.calls(context.Background()) {
			if err == nil {
				f.Errorf("%s: no error", name)
				continue
			}
			f.is(err, readings.ErrClosed)
		}
	}
}

// calls calls every method but Close and returns their errors by name.
func (f *fixture) calls(ctx context.Context) map[string]error {
	_, read := f.store.Read(ctx, meter(), 0, readings.MaxTime)
	_, digests := f.store.Digests(ctx, meter(), 1, 1)
	_, _, last := f.store.LastCounter(ctx, meter(), 1)
	return map[string]error{
		"Append":      f.store.Append(ctx, []readings.Block{block(2, at(900, 2))}),
		"Read":        read,
		"Digests":     digests,
		"LastCounter": last,
		"DropEpoch":   f.store.DropEpoch(ctx, meter(), 1),
		"Erase":       f.store.Erase(ctx, meter(), readings.MaxTime),
	}
}
