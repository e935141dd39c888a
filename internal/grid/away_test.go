package grid

import (
	"context"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// While the TTP is away for a week, collectors hold what they have room for and
// refuse the rest, which stays in the meters, whose keys run out meanwhile. When
// it is back, everything arrives, once.
func TestAwayForAWeek(t *testing.T) {
	const (
		bound = 50 // frames in a collector's queue
		day   = 24 * 60 * 60
	)
	cfg := testConfig(t, 6, 9)
	cfg.QueueFrames = bound
	cfg.FS = func(string) vfs.FS { return newCrashFS() }
	g := open(t, cfg)
	play := func(ctx context.Context, from, to int64) error {
		for at := from; at < to; at += int64(cfg.Resolution) {
			if err := g.Tick(ctx, time.Unix(at, 0)); err != nil {
				return err
			}
		}
		return nil
	}
	r := run(t, g, func(ctx context.Context) error {
		gone, back := cfg.Start+day, cfg.Start+8*day
		if err := play(ctx, cfg.Start, gone); err != nil {
			return err
		}
		if err := g.Leave(TTPOrg); err != nil {
			return err
		}
		if err := play(ctx, gone, back); err != nil {
			return err
		}
		for _, c := range g.collectors {
			if n, s := c.queue.Len(), c.role.Stats(); n != bound || s.Full == 0 {
				t.Errorf("%s holds %d frames and has refused %d, want %d and some", c.name, n, s.Full, bound)
			}
		}
		for _, m := range g.meters {
			if s := m.agent.Status(); s.Pending == 0 || s.ReadingsDropped > 0 {
				t.Errorf("%s keeps %d readings and has dropped %d, want some and none", m.column, s.Pending, s.ReadingsDropped)
			}
		}
		if err := g.Return(ctx, TTPOrg); err != nil {
			return err
		}
		return play(ctx, back, cfg.End+1)
	})
	checkReport(t, cfg, r)
	for _, m := range g.meters {
		if s := m.agent.Status(); s.Exchanges < 2 {
			t.Errorf("%s: %d exchanges in 9 days, want at least 2", m.column, s.Exchanges)
		}
	}
}
