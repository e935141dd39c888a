package pebble

import (
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/readings"
)

// Erase implements [readings.Store]. It deletes the days in one batch, and then
// has the engine rewrite what holds them: a deletion alone would hide them and
// leave their bytes in its files until it comes by.
func (s *Store) Erase(ctx context.Context, m wattveil.Meter, before int64) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	const end = 2 * (readings.MaxTime + 1) // after any reading's day
	days := max(0, min(before, end)) / secondsPerDay
	if days == 0 {
		return nil
	}
	from, to := appendDayKey(nil, m, 0), appendDayKey(nil, m, uint32(days))
	err := s.commit(2*(dayKeyLen+opOverhead), func(b *pebble.Batch, stamp uint64) (uint64, error) {
		return stamp, b.DeleteRange(from, to, nil)
	})
	if err == nil {
		err = s.db.Compact(ctx, from, to, false)
	}
	if err != nil {
		return fmt.Errorf("erase readings of meter %v: %w", m, engineError(err))
	}
	return nil
}
