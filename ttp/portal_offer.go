package ttp

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/consumer"
	"github.com/wattveil/wattveil/internal/registry"
	"github.com/wattveil/wattveil/rating"
	"github.com/wattveil/wattveil/tariff"
)

// Offers are all tariffs of a meter's utility, and what the meter's energy of a
// time would have cost by each (spec/portal.md section 7). Both times begin a
// local day.
func (c *Consumers) Offers(ctx context.Context, m wattveil.Meter, from, to time.Time) (consumer.Offers, error) {
	out := consumer.Offers{Zone: from.Location(), From: from, To: from}
	var err error
	if out.List, err = c.offered(ctx, m); err != nil {
		return consumer.Offers{}, fmt.Errorf("offers for %v: %w", m, err)
	}
	if out.Limits, err = c.limitsOf(ctx, m.UC); err != nil {
		return consumer.Offers{}, fmt.Errorf("offers for %v: %w", m, err)
	}
	e, err := c.energy(ctx, m, from, to)
	if err != nil {
		return consumer.Offers{}, fmt.Errorf("energy of %v: %w", m, err)
	}
	if len(e.known) == 0 {
		for i := range out.List {
			out.List[i].Due.Fault = consumer.NoEnergy
		}
		return out, nil
	}
	out.From = time.Unix(e.known[0].Start, 0).In(out.Zone)
	out.To = time.Unix(e.known[len(e.known)-1].End, 0).In(out.Zone)
	known, estimated := e.within(out.From.Unix(), out.To.Unix())
	full, missing := covering(known, e.resolution, out.From.Unix(), out.To.Unix())
	out.Estimated, out.Missing = estimated, missing
	out.Import, out.Export = sumOf(full)
	for i := range out.List {
		versions := versionsUpTo(out.List, out.List[i].Terms)
		if out.List[i].Due, err = c.dueByVersions(ctx, m.UC, versions, rating.Request{Intervals: full, Resolution: e.resolution, From: out.From, To: out.To}); err != nil {
			return consumer.Offers{}, fmt.Errorf("energy of %v by tariff %s: %w", m, out.List[i].Terms.ID(), err)
		}
	}
	return out, nil
}

// offered are a utility's tariffs by the time of registration.
func (c *Consumers) offered(ctx context.Context, m wattveil.Meter) (list []consumer.Offer, err error) {
	var billed string
	_, err = registry.Find(c.t.queries.billedBy.QueryRowContext(ctx, m.UC, int64(m.Pseudonym)), &billed)
	if err != nil {
		return nil, err
	}
	ids, err := names(ctx, c.t.queries.tariffsOf, m.UC)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		var at int64
		if err := c.t.db.QueryRowContext(ctx, `SELECT registered FROM tariffs WHERE uc = ? AND id = ?`, m.UC, id).Scan(&at); err != nil {
			return nil, err
		}
		r, err := c.t.tariff(ctx, m.UC, id)
		if err != nil {
			return nil, err
		}
		list = append(list, consumer.Offer{Terms: r.Tariff, Registered: time.Unix(at, 0), Yours: id == billed})
	}
	slices.SortStableFunc(list, func(a, b consumer.Offer) int { return a.Registered.Compare(b.Registered) })
	return list, nil
}

// versionsUpTo are the tariffs that one replaces, one after the other, and it.
func versionsUpTo(list []consumer.Offer, last *tariff.Tariff) tariff.Versions {
	versions := tariff.Versions{last}
	for at := last; at.Replaces() != "" && len(versions) <= len(list); at = versions[0] {
		i := slices.IndexFunc(list, func(o consumer.Offer) bool { return o.Terms.ID() == at.Replaces() })
		if i < 0 {
			break
		}
		versions = slices.Insert(versions, 0, list[i].Terms)
	}
	return versions
}

// dueByVersions rates each version's part of a time.
func (c *Consumers) dueByVersions(ctx context.Context, uc wattveil.UCNumber, versions tariff.Versions, whole rating.Request) (consumer.Due, error) {
	if _, err := tariff.Group(versions); err != nil { // one replaces what it may not
		return consumer.Due{Fault: consumer.NotRating}, nil
	}
	var sum consumer.Due
	for _, piece := range versions.Split(whole.From, whole.To) {
		if piece.Tariff == nil {
			return consumer.Due{Fault: consumer.NotValid}, nil
		}
		outside := func(i wattveil.Interval) bool { return i.Start < piece.From.Unix() || i.Start >= piece.To.Unix() }
		in := rating.Request{
			Intervals: slices.DeleteFunc(slices.Clone(whole.Intervals), outside), Resolution: whole.Resolution, From: piece.From, To: piece.To,
		}
		part, err := c.due(ctx, uc, piece.Tariff.ID(), in)
		if err != nil || part.Fault != "" {
			return part, err
		}
		sum.Lines, sum.Total = append(sum.Lines, part.Lines...), sum.Total.Add(part.Total)
	}
	return sum, nil
}
