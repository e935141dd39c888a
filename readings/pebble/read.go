package pebble

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/readings"
)

// Read implements [readings.Store].
func (s *Store) Read(ctx context.Context, m wattveil.Meter, from, to int64) (f readings.Folded, err error) {
	err = s.ReadInto(ctx, m, from, to, &f)
	return f, err
}

// ReadInto implements [readings.Store].
func (s *Store) ReadInto(ctx context.Context, m wattveil.Meter, from, to int64, into *readings.Folded) error {
	*into = readings.Folded{Runs: into.Runs[:0], Conflicts: into.Conflicts[:0]}
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	from, to = max(from, 0), min(to, readings.MaxTime)
	if from > to {
		return nil
	}
	r := reader{meter: m, from: from, to: to, day: s.days.Get().(*day), out: into}
	damage, err := s.readDays(ctx, &r)
	if !r.day.large() {
		s.days.Put(r.day)
	}
	if err != nil {
		into.Runs, into.Conflicts = into.Runs[:0], into.Conflicts[:0]
		return fmt.Errorf("read meter %v: %w", m, engineError(err))
	}
	r.sort()
	return damage
}

// readDays reads each day of the span. damage tells which cannot be decoded.
func (s *Store) readDays(ctx context.Context, r *reader) (damage, err error) {
	it, err := s.db.NewIterWithContext(ctx, &pebble.IterOptions{
		LowerBound: appendDayKey(nil, r.meter, uint32(r.from/secondsPerDay)),
		UpperBound: appendDayKey(nil, r.meter, uint32(r.to/secondsPerDay)+1),
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return nil, err
		}
		midnight := int64(dayOfKey(it.Key())) * secondsPerDay
		if !r.add(midnight, value) {
			damage = errors.Join(damage, &readings.CorruptError{Meter: r.meter, Day: time.Unix(midnight, 0).UTC()})
		}
	}
	return damage, it.Error()
}

// reader turns stored days into runs and conflicts.
type reader struct {
	meter    wattveil.Meter
	from, to int64
	day      *day // scratch
	out      *readings.Folded
}

// add takes a stored day, and tells whether all of it can be decoded.
func (r *reader) add(midnight int64, stored []byte) (sound bool) {
	r.day.reset()
	if sound = r.day.add(stored) == nil; !sound {
		g := gather{into: r.day}
		g.take(stored)
		r.day.fold()
	}
	first, last := r.from-midnight, r.to-midnight
	for rest := r.day.values; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].series == rest[0].series {
			n++
		}
		r.section(midnight, within(rest[:n], first, last), n)
		rest = rest[n:]
	}
	return sound
}

// within is the values with first <= second <= last.
func within(values []value, first, last int64) []value {
	for len(values) > 0 && int64(values[0].second) < first {
		values = values[1:]
	}
	for len(values) > 0 && int64(values[len(values)-1].second) > last {
		values = values[:len(values)-1]
	}
	return values
}

// section adds the values of one series and day that are asked for; the day has
// all of them.
func (r *reader) section(midnight int64, values []value, all int) {
	if len(values) == 0 {
		return
	}
	series := wattveil.Series(values[0].series)
	run := r.run(series, midnight, all)
	for i := range values {
		v := values[i].reading(midnight)
		if i == 0 || values[i].second != values[i-1].second {
			run.Readings = append(run.Readings, v)
			continue
		}
		kept := run.Readings[len(run.Readings)-1]
		r.out.Conflicts = append(r.out.Conflicts, readings.Conflict{Series: series, Kept: kept, Refused: v})
	}
}

// run is the run of a series, made with room for as many readings on each day
// that is still to come.
func (r *reader) run(series wattveil.Series, midnight int64, perDay int) *readings.Run {
	for i := range r.out.Runs {
		if r.out.Runs[i].Series == series {
			return &r.out.Runs[i]
		}
	}
	const most = 1 << 14 // a longer run grows as it needs
	days := min((r.to-midnight)/secondsPerDay+1, most)
	room := max(perDay, min(perDay*int(days), most))
	n := len(r.out.Runs)
	r.out.Runs = slices.Grow(r.out.Runs, 1)[:n+1] // which may still have the memory of an earlier run
	run := &r.out.Runs[n]
	run.Series, run.Readings = series, slices.Grow(run.Readings[:0], room)
	return run
}

// sort orders what was collected day by day. Times rise already.
func (r *reader) sort() {
	slices.SortFunc(r.out.Runs, func(a, b readings.Run) int { return cmp.Compare(a.Series, b.Series) })
	slices.SortStableFunc(r.out.Conflicts, func(a, b readings.Conflict) int { return cmp.Compare(a.Series, b.Series) })
}

// engineError marks what the engine calls corruption.
func engineError(err error) error {
	if pebble.IsCorruptionError(err) {
		return fmt.Errorf("%w: %w; restore the folder from a backup", readings.ErrCorrupt, err)
	}
	return err
}
