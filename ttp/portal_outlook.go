package ttp

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/analytics"
	"github.com/wattveil/wattveil/consumer"
	"github.com/wattveil/wattveil/internal/registry"
	"github.com/wattveil/wattveil/rating"
	"github.com/wattveil/wattveil/tariff"
)

// Outlook is what the running period of a meter costs so far, and may come to
// (spec/portal.md section 8).
func (c *Consumers) Outlook(ctx context.Context, m wattveil.Meter) (consumer.Outlook, error) {
	out, err := c.outlook(ctx, m)
	if err != nil {
		return consumer.Outlook{}, fmt.Errorf("outlook of %v: %w", m, err)
	}
	return out, nil
}

func (c *Consumers) outlook(ctx context.Context, m wattveil.Meter) (consumer.Outlook, error) {
	now := c.t.cfg.Now()
	terms, err := c.tariffOf(ctx, m, now, now.Add(time.Second))
	if err != nil {
		return consumer.Outlook{}, err
	}
	out := consumer.Outlook{Zone: time.UTC}
	if terms != nil {
		out.Zone, out.Tariff = terms.Zone(), terms.ID()
		out.Currency, out.Decimals = terms.Currency().String(), terms.Currency().Decimals()
	}
	if err := c.running(ctx, m, now.In(out.Zone), &out); err != nil {
		return out, err
	}
	out.Until = out.From
	e, err := c.energy(ctx, m, out.From.AddDate(0, 0, -analytics.LikeDays-1), out.To)
	if err != nil {
		return out, err
	}
	if n := len(e.known); n == 0 || e.known[n-1].End <= out.From.Unix() {
		out.SoFar.Fault = consumer.NoEnergy
		return out, nil
	}
	r := runningEnergy{c: c, meter: m, terms: terms, energy: e, out: &out}
	return out, r.price(ctx)
}

// running finds when the running period began and when it should end.
func (c *Consumers) running(ctx context.Context, m wattveil.Meter, now time.Time, out *consumer.Outlook) error {
	var from, to int64
	found, err := registry.Find(c.t.db.QueryRowContext(ctx,
		`SELECT from_second, to_second FROM bills WHERE uc = ? AND an_id = ? ORDER BY to_second DESC, from_second LIMIT 1`,
		m.UC, int64(m.Pseudonym)), &from, &to)
	if err != nil {
		return err
	}
	zone := now.Location()
	if !found {
		y, month, _ := now.Date()
		out.From, out.To = consumer.DayStart(y, month, 1, zone), consumer.DayStart(y, month+1, 1, zone)
		return nil
	}
	out.Billed = true
	out.From = time.Unix(to, 0).In(zone)
	out.To = nextEnd(time.Unix(from, 0).In(zone), out.From, now)
	return nil
}

// nextEnd is when a period ends that follows a bill of [from, to), the first
// such end after now.
func nextEnd(from, to, now time.Time) time.Time {
	months := (to.Year()-from.Year())*12 + int(to.Month()) - int(from.Month())
	days := int(to.Sub(from).Round(24*time.Hour) / (24 * time.Hour))
	whole := months > 0 && isMonthStart(from) && isMonthStart(to)
	y, m, d := to.Date()
	for n := 1; ; n++ {
		end := consumer.DayStart(y, m, d+n*max(days, 1), to.Location())
		if whole {
			end = consumer.DayStart(y, m+time.Month(n*months), 1, to.Location())
		}
		if end.After(now) {
			return end
		}
	}
}

func isMonthStart(at time.Time) bool {
	return at.Equal(consumer.DayStart(at.Year(), at.Month(), 1, at.Location()))
}

// runningEnergy is the energy of a running period and before it, on its way
// into an outlook.
type runningEnergy struct {
	*energy
	c     *Consumers
	meter wattveil.Meter
	terms *tariff.Tariff // nil if none is known
	out   *consumer.Outlook
}

// price tells the cost so far and the forecast.
func (r *runningEnergy) price(ctx context.Context) error {
	out := r.out
	if first := r.known[0].Start; !out.Billed && first > out.From.Unix() {
		out.From = time.Unix(first, 0).In(out.Zone)
	}
	out.Until = time.Unix(r.known[len(r.known)-1].End, 0).In(out.Zone)
	known, estimated := r.within(out.From.Unix(), out.Until.Unix())
	full, missing := covering(known, r.resolution, out.From.Unix(), out.Until.Unix())
	out.Import, out.Export = sumOf(full)
	out.Estimated, out.Missing = estimated, missing
	f, ok := analytics.Continue(r.known, r.resolution, out.Until, out.To)
	out.Forecast, out.Like = ok && out.Until.Before(out.To), f.Fewest
	r.measuredDays(known)
	if out.Forecast {
		r.forecastDays(f)
	}
	if r.terms == nil {
		out.SoFar.Fault = consumer.NoTariff
		return nil
	}
	var err error
	if out.SoFar, err = r.due(ctx, full, out.Until); err != nil || !out.Forecast {
		return err
	}
	for due, rest := range map[*consumer.Due][]wattveil.Interval{&out.Low: f.Low, &out.Mean: f.Expected, &out.Top: f.High} {
		if *due, err = r.due(ctx, slices.Concat(full, rest), out.To); err != nil {
			return err
		}
	}
	return nil
}

// due is what energy from the period's start to a time costs.
func (r *runningEnergy) due(ctx context.Context, list []wattveil.Interval, to time.Time) (consumer.Due, error) {
	return r.c.due(ctx, r.meter.UC, r.terms.ID(), rating.Request{Intervals: list, Resolution: r.resolution, From: r.out.From, To: to})
}

// measuredDays are the days of the period with what is known of them.
func (r *runningEnergy) measuredDays(known []wattveil.Interval) {
	out := r.out
	y, m, d := out.From.Date()
	for i, at := 0, out.From; at.Before(out.To); i++ {
		end := consumer.DayStart(y, m, d+i+1, out.Zone)
		day := consumer.OutlookDay{Start: at}
		past := min(end.Unix(), out.Until.Unix(), out.To.Unix()) - at.Unix()
		for len(known) > 0 && known[0].Start < end.Unix() {
			day.Measured += known[0].Import
			day.Known = true
			past -= known[0].End - known[0].Start
			known = known[1:]
		}
		day.Missing = past > 0
		out.Days = append(out.Days, day)
		at = end
	}
}

// forecastDays adds what is still to come.
func (r *runningEnergy) forecastDays(f analytics.Forecast) {
	days := r.out.Days
	at := 0
	r.out.ImportMean = r.out.Import
	for i := range f.Expected {
		for at+1 < len(days) && days[at+1].Start.Unix() <= f.Expected[i].Start {
			at++
		}
		days[at].Low += f.Low[i].Import
		days[at].Mean += f.Expected[i].Import
		days[at].Top += f.High[i].Import
		r.out.ImportMean += f.Expected[i].Import
	}
}
