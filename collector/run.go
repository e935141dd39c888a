package collector

import (
	"context"
	"errors"
	"time"
)

// Run posts at once and then at the start of every interval, until the context
// ends; then it returns nil. A post under way ends soon after the context
// (Config.Grace), and what it did not settle stays in the queue. Run returns an
// error only if the queue fails, without which a collector is of no use.
//
// The moments come from the clock and not from the end of the post before, so
// that they do not drift, and no interval is posted twice if a timer is early.
func (c *Collector) Run(ctx context.Context) error {
	posting, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(c.cfg.Grace, end) })()
	timer := time.NewTimer(0)
	defer timer.Stop()
	last := int64(-1)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		if n := c.interval(c.cfg.Now()); n != last {
			last = n
			if err := c.forwardLogged(posting); err != nil {
				return err
			}
		}
		timer.Reset(c.untilNext(c.cfg.Now()))
	}
}

// forwardLogged is Forward for a loop that outlives a utility that is away.
func (c *Collector) forwardLogged(ctx context.Context) error {
	f, err := c.Forward(ctx)
	var broken *queueError
	switch {
	case errors.As(err, &broken):
		return err
	case err != nil && ctx.Err() == nil:
		c.cfg.Log.Error("nothing forwarded, all frames are kept", "queued", c.cfg.Queue.Len(), "error", err)
	case err == nil:
		c.cfg.Log.Info("forwarded", "frames", f.Frames, "durable", f.Durable, "later", f.Later,
			"rekey", f.Rekey, "never", f.Never, "downlinks", f.Downlinks)
	}
	return nil
}

// untilNext is the time from now to the start of the next interval.
func (c *Collector) untilNext(now time.Time) time.Duration {
	return c.cfg.Interval - time.Duration(now.UnixNano()%int64(c.cfg.Interval))
}
