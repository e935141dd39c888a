package ttp

import (
	"context"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/analytics"
	"github.com/wattveil/wattveil/consumer"
)

// Insights is what a meter's measured energy shows over a period.
func (c *Consumers) Insights(ctx context.Context, m wattveil.Meter, from, to time.Time) (analytics.Insights, error) {
	zone, err := c.Zone(ctx, m)
	if err != nil {
		return analytics.Insights{}, err
	}
	measured, err := c.measured(ctx, m, from, to)
	if err != nil {
		return analytics.Insights{}, err
	}
	return analytics.Of(measured, zone, from, to), nil
}

// measured is the energy of a period as package analytics looks at it: without
// what is estimated.
func (c *Consumers) measured(ctx context.Context, m wattveil.Meter, from, to time.Time) ([]wattveil.Interval, error) {
	var measured analytics.Collector
	err := c.Intervals(ctx, m, from, to, func(i *consumer.Interval) error {
		if !i.Estimated() {
			measured.Add(i.Interval)
		}
		return nil
	})
	return measured.Intervals(), err
}
