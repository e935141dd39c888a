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
	var measured analytics.Collector
	err = c.Intervals(ctx, m, from, to, func(i *consumer.Interval) error {
		if !i.Estimated() {
			measured.Add(i.Interval)
		}
		return nil
	})
	if err != nil {
		return analytics.Insights{}, err
	}
	return analytics.Of(measured.Intervals(), zone, from, to), nil
}
