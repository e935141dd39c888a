package ttp

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/consumer"
	"github.com/wattveil/wattveil/rating"
	"github.com/wattveil/wattveil/tariff"
	"github.com/wattveil/wattveil/vee"
)

// energy is what is known of a meter over a time, so that it can be rated. It
// holds readings and is never logged.
type energy struct {
	resolution wattveil.Resolution
	known      []wattveil.Interval // measured and estimated, rising
	estimated  []bool              // of the known
}

// energy reads a meter's intervals of a time that begins and ends on its grid.
func (c *Consumers) energy(ctx context.Context, m wattveil.Meter, from, to time.Time) (*energy, error) {
	u, err := c.newUse(ctx, m, consumer.Query{From: from, To: to})
	if err != nil {
		return nil, err
	}
	e := &energy{resolution: u.out.Resolution}
	if e.resolution == 0 {
		return e, nil
	}
	u.see = func(i vee.Interval) {
		if i.Start >= from.Unix() && i.End <= min(to.Unix(), u.now) {
			e.known, e.estimated = append(e.known, i.Interval), append(e.estimated, i.Quality.Estimated())
		}
	}
	return e, u.walk(ctx, from.Unix(), min(to.Unix(), u.now))
}

// within is the known part of a time, and how many seconds of it are estimated.
func (e *energy) within(from, to int64) (list []wattveil.Interval, estimated int64) {
	for i, k := range e.known {
		if k.Start < from || k.End > to {
			continue
		}
		list = append(list, k)
		if e.estimated[i] {
			estimated += k.End - k.Start
		}
	}
	return list, estimated
}

// covering fills what lacks of a time with intervals that have no energy, as a
// bill does with holes, and says how many seconds that is.
func covering(list []wattveil.Interval, resolution wattveil.Resolution, from, to int64) (full []wattveil.Interval, missing int64) {
	step := int64(resolution)
	fill := func(at, until int64) {
		for ; at < until; at += step {
			full = append(full, wattveil.Interval{Start: at, End: min(at+step, until)})
			missing += min(at+step, until) - at
		}
	}
	at := from
	for _, i := range list {
		fill(at, i.Start)
		full = append(full, i)
		at = i.End
	}
	fill(at, to)
	return full, missing
}

func sumOf(list []wattveil.Interval) (imports, exports wattveil.Wh) {
	for _, i := range list {
		imports, exports = imports+i.Import, exports+i.Export
	}
	return imports, exports
}

// due is what intervals that cover a time cost by a tariff of a utility.
func (c *Consumers) due(ctx context.Context, uc wattveil.UCNumber, id string, in rating.Request) (consumer.Due, error) {
	terms, err := c.t.tariff(ctx, uc, id)
	if err != nil {
		return consumer.Due{}, err
	}
	if in.Series, err = c.t.seriesOf(ctx, uc, terms); err != nil {
		return consumer.Due{}, err
	}
	in.Tariff, in.DemandStep = terms.Tariff, tariff.NewDecimal(1, 1)
	rated, err := in.Rate()
	if err != nil {
		fault := faultOf(err)
		if fault == "" {
			return consumer.Due{}, err
		}
		return consumer.Due{Fault: fault}, nil
	}
	total, err := tariff.ParseDecimal(rated.Total)
	if err != nil {
		return consumer.Due{}, fmt.Errorf("total of a rating: %w", err)
	}
	due := consumer.Due{Total: total}
	for _, line := range rated.Lines {
		due.Lines = append(due.Lines, bill.Line(line))
	}
	return due, nil
}

// faultOf is what a consumer is told of a refusal to rate; empty if it is none.
func faultOf(err error) consumer.Fault {
	switch {
	case errors.Is(err, rating.ErrNotValid), errors.Is(err, rating.ErrExpired):
		return consumer.NotValid
	case errors.Is(err, rating.ErrNoSeries), errors.Is(err, rating.ErrNoPrice), errors.Is(err, rating.ErrSteps):
		return consumer.NoPrice
	}
	if _, ok := errors.AsType[*rating.Error](err); ok {
		return consumer.NotRating
	}
	return ""
}
