package ttp

import (
	"context"
	"fmt"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/consumer"
	"github.com/wattveil/wattveil/readings"
	"github.com/wattveil/wattveil/vee"
)

// Intervals gives each interval of a period that is known, rising: measured or
// estimated, with its cost (spec/export.md section 1). It holds a part of the
// period at a time. each may not keep what it is given.
func (c *Consumers) Intervals(ctx context.Context, m wattveil.Meter, from, to time.Time, each func(*consumer.Interval) error) error {
	ctx, cancel := context.WithCancel(ctx) // nothing more is read once each refuses
	defer cancel()
	u, err := c.newUse(ctx, m, consumer.Query{From: from, To: to})
	if err != nil {
		return fmt.Errorf("intervals of %v: %w", m, err)
	}
	var refused error
	var given consumer.Interval
	at := from.Unix()
	u.see = func(i vee.Interval) {
		if refused != nil || i.Start < at || i.End > min(to.Unix(), u.now) {
			return
		}
		at = i.End
		u.describe(&given, &i)
		if refused = each(&given); refused != nil {
			cancel()
		}
	}
	if u.out.Resolution == 0 {
		return nil
	}
	if err := u.walk(ctx, from.Unix(), min(to.Unix(), u.now)); err != nil && refused == nil {
		return fmt.Errorf("intervals of %v: %w", m, err)
	}
	return refused
}

func (u *using) describe(out *consumer.Interval, i *vee.Interval) {
	*out = consumer.Interval{Interval: i.Interval, Quality: uint16(i.Quality)}
	if u.terms == nil {
		return
	}
	if band := u.out.Bands[u.cursor.Span(i.Start).Band]; band.Priced {
		out.Costed = true
		out.ImportCost, out.ExportCost = costOf(band, i.Import, i.Export)
	}
}

// Readings gives the registers of a period as they came, both ends included:
// day by day, in each by series and time.
func (c *Consumers) Readings(ctx context.Context, m wattveil.Meter, from, to time.Time, each func(wattveil.Series, wattveil.Reading) error) error {
	end := min(to.Unix(), readings.MaxTime) + 1 // the last interval ends with a register
	for at := max(0, from.Unix()); at < end; at += readAtOnce {
		f, err := c.t.cfg.Readings.Read(ctx, m, at, min(at+readAtOnce, end)-1)
		if err != nil {
			return fmt.Errorf("readings of %v: %w", m, err)
		}
		for _, run := range f.Runs {
			for _, r := range run.Readings {
				if err := each(run.Series, r); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
