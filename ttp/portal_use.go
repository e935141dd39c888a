package ttp

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/consumer"
	"github.com/wattveil/wattveil/readings"
	"github.com/wattveil/wattveil/tariff"
	"github.com/wattveil/wattveil/vee"
)

// editedAtOnce is how many intervals are edited at once, so that ten years of a
// meter that reads every second take no more memory than a day of them.
const editedAtOnce = 50_000

// Use is a meter's energy over a time, validated, estimated where readings are
// missing, and priced by the meter's tariff (spec/portal.md section 6).
func (c *Consumers) Use(ctx context.Context, m wattveil.Meter, q consumer.Query) (consumer.Use, error) {
	u, err := c.newUse(ctx, m, q)
	if err != nil {
		return consumer.Use{}, fmt.Errorf("use of %v: %w", m, err)
	}
	if err := u.cut(q); err != nil {
		return consumer.Use{}, err
	}
	if u.out.Resolution == 0 {
		u.finish()
		return u.out, nil
	}
	if err := u.walk(ctx, q.From.Unix(), min(q.To.Unix(), u.now)); err != nil {
		return consumer.Use{}, fmt.Errorf("use of %v: %w", m, err)
	}
	u.finish()
	return u.out, nil
}

// walk shows every interval of a time that is known to u.see, in rising order.
func (u *using) walk(ctx context.Context, from, until int64) error {
	for from < until {
		to := u.chunk(from, until)
		if err := u.fill(ctx, from, to); err != nil {
			return err
		}
		from = to
	}
	return nil
}

// using is one call of Use.
type using struct {
	c      *Consumers
	meter  wattveil.Meter
	terms  *tariff.Tariff // nil if none is known
	cursor tariff.Cursor
	now    int64 // what is later is still to come, or may be on its way
	at     int   // bucket of the last interval
	see    func(vee.Interval)
	seen   int64 // end of the last interval that was shown to see
	out    consumer.Use
}

func (c *Consumers) newUse(ctx context.Context, m wattveil.Meter, q consumer.Query) (*using, error) {
	u := &using{c: c, meter: m, now: c.t.cfg.Now().Unix()}
	u.see = u.add
	var err error
	if u.terms, err = c.tariffOf(ctx, m, q.From, q.To); err != nil {
		return nil, err
	}
	u.out.Zone = time.UTC
	if u.terms != nil {
		u.cursor = u.terms.Cursor()
		describeTariff(&u.out, u.terms)
	}
	if u.out.Erased, err = c.t.erased(ctx, m); err != nil {
		return nil, err
	}
	recent, err := c.recent(ctx, m, q.To)
	if err != nil {
		return nil, err
	}
	u.out.Resolution = resolutionOf(recent)
	if times := times(recent); len(times) > 0 {
		last := times[len(times)-1]
		u.now = max(min(last, u.now), u.now-int64((receiptMargin+u.out.Resolution.Duration())/time.Second))
	}
	return u, nil
}

func describeTariff(out *consumer.Use, t *tariff.Tariff) {
	out.Zone, out.Tariff = t.Zone(), t.ID()
	out.Currency, out.Decimals = t.Currency().String(), t.Currency().Decimals()
	for i := range t.Bands() {
		r := t.Rate(i)
		out.Bands = append(out.Bands, consumer.Band{
			Name: r.Band, Import: r.Import, Export: r.Export,
			Priced: r.ImportSeries == "" && r.ExportSeries == "" && len(r.Tiers) <= 1,
		})
	}
}

// Zone is where a meter's days begin and end: that of its tariff, or UTC.
func (c *Consumers) Zone(ctx context.Context, m wattveil.Meter) (*time.Location, error) {
	now := c.t.cfg.Now()
	terms, err := c.tariffOf(ctx, m, now, now.Add(time.Second))
	if err != nil || terms == nil {
		return time.UTC, err
	}
	return terms.Zone(), nil
}

// tariffOf is the tariff of a meter's newest bill, else the only one of its
// utility that is valid in a period, else nil.
func (c *Consumers) tariffOf(ctx context.Context, m wattveil.Meter, from, to time.Time) (*tariff.Tariff, error) {
	ids, err := names(ctx, c.t.queries.billedBy, m.UC, int64(m.Pseudonym))
	if err != nil {
		return nil, fmt.Errorf("tariff of %v: %w", m, err)
	}
	if len(ids) == 0 {
		if ids, err = names(ctx, c.t.queries.tariffsOf, m.UC); err != nil {
			return nil, fmt.Errorf("tariffs of utility %v: %w", m.UC, err)
		}
	}
	var found *tariff.Tariff
	for _, id := range ids {
		r, err := c.t.tariff(ctx, m.UC, id)
		if err != nil {
			return nil, err
		}
		end, ends := r.PricesTo()
		if len(ids) > 1 && (!r.ValidFrom().Before(to) || ends && !end.After(from)) {
			continue
		}
		if found != nil {
			return nil, nil // which of them is not known
		}
		found = r.Tariff
	}
	return found, nil
}

func names(ctx context.Context, query *sql.Stmt, args ...any) (list []string, err error) {
	rows, err := query.QueryContext(ctx, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		list = append(list, name)
	}
	return list, rows.Err()
}

// lookBack are the times in which the last readings before a time are looked
// for, one after the other.
var lookBack = [...]time.Duration{48 * time.Hour, 32 * 24 * time.Hour, 400 * 24 * time.Hour, 20 * 365 * 24 * time.Hour}

// recent are some of the last readings of a meter before a time, and if there
// are none some of the first after it.
func (c *Consumers) recent(ctx context.Context, m wattveil.Meter, before time.Time) (readings.Folded, error) {
	until := min(before.Unix(), c.t.cfg.Now().Add(time.Hour).Unix())
	for _, back := range lookBack {
		f, err := c.t.cfg.Readings.Read(ctx, m, max(0, until-int64(back/time.Second)), until)
		if err != nil || len(f.Runs) > 0 {
			return f, err
		}
	}
	return c.t.cfg.Readings.Read(ctx, m, until, until+int64(lookBack[0]/time.Second))
}

// resolutionOf is the distance that most neighbours of the last day's readings
// have; of one reading alone an hour, and 0 of none.
func resolutionOf(f readings.Folded) wattveil.Resolution {
	times := times(f)
	if len(times) == 0 {
		return 0
	}
	counts := make(map[int64]int)
	best := int64(3600)
	for i := len(times) - 1; i > 0 && times[i] > times[len(times)-1]-24*3600; i-- {
		step := times[i] - times[i-1]
		if step > 3600 || wattveil.Resolution(step).Code() == 0 {
			continue
		}
		counts[step]++
		if counts[step] > counts[best] || counts[step] == counts[best] && step < best {
			best = step
		}
	}
	return wattveil.Resolution(best)
}

// cut makes the empty buckets.
func (u *using) cut(q consumer.Query) error {
	from, to := q.From.Unix(), q.To.Unix()
	if from < 0 || to <= from || to > readings.MaxTime {
		return fmt.Errorf("%w: period of a use", consumer.BadRequest)
	}
	next := u.stepper(q.Step)
	for at := from; at < to; {
		end := min(next(at), to)
		if len(u.out.Buckets) == consumer.MaxBuckets {
			return fmt.Errorf("%w: a use has more than %d parts", consumer.BadRequest, consumer.MaxBuckets)
		}
		u.out.Buckets = append(u.out.Buckets, consumer.Bucket{Start: at, End: end, Costed: u.terms != nil})
		at = end
	}
	return nil
}

// stepper gives the end of the bucket around a time.
func (u *using) stepper(step consumer.Step) func(at int64) int64 {
	zone := u.out.Zone
	if step == consumer.Day || step == consumer.Month {
		return func(at int64) int64 {
			y, m, d := time.Unix(at, 0).In(zone).Date()
			if step == consumer.Day {
				return consumer.DayStart(y, m, d+1, zone).Unix()
			}
			return consumer.DayStart(y, m+1, 1, zone).Unix()
		}
	}
	own := int64(max(u.out.Resolution, 1))
	if u.out.Resolution == 0 {
		own = 3600
	}
	seconds := max(own, (int64(step)+own-1)/own*own)
	return func(at int64) int64 {
		_, offset := time.Unix(at, 0).In(zone).Zone()
		local := at + int64(offset)
		return at + seconds - local%seconds
	}
}

// show shows an interval once: where days begin off the meter's grid, an
// interval is in the parts on both sides.
func (u *using) show(i vee.Interval) {
	if i.Start >= u.seen {
		u.seen = i.End
		u.see(i)
	}
}

// chunk is the end of what is read and edited next: whole days of the zone.
func (u *using) chunk(from, until int64) int64 {
	days := max(1, min(31, editedAtOnce*int64(u.out.Resolution)/(24*3600)))
	y, m, d := time.Unix(from, 0).In(u.out.Zone).Date()
	return min(until, consumer.DayStart(y, m, d+int(days), u.out.Zone).Unix())
}

// fill adds the energy of a part of the period to the buckets.
func (u *using) fill(ctx context.Context, from, to int64) error {
	step := int64(u.out.Resolution)
	from, to = from/step*step, (to+step-1)/step*step
	f, err := u.c.t.cfg.Readings.Read(ctx, u.meter, from, to)
	if err != nil {
		return err
	}
	if r, ok := complete(f, from, to, step); ok {
		u.addRegisters(r)
		return nil
	}
	return u.fillEdited(ctx, from, to)
}

// complete is the readings of a period that has them all in one series, from
// its start to its end.
func complete(f readings.Folded, from, to, step int64) ([]wattveil.Reading, bool) {
	if len(f.Runs) != 1 {
		return nil, false
	}
	r := f.Runs[0].Readings
	if int64(len(r)) != (to-from)/step+1 || r[0].Time != from || r[len(r)-1].Time != to {
		return nil, false
	}
	for i := 1; i < len(r); i++ {
		if r[i].Time-r[i-1].Time != step || r[i].Import.Since(r[i-1].Import) > soundest || r[i].Export.Since(r[i-1].Export) > soundest {
			return nil, false
		}
	}
	return r, true
}

// soundest is an energy of an interval, in Wh, above which its registers are
// looked at closely: package vee asks whether they can be.
const soundest = 100_000

func (u *using) addRegisters(r []wattveil.Reading) {
	const doubtful = wattveil.StatusClock | wattveil.StatusTamper
	for i := 1; i < len(r); i++ {
		u.show(vee.Interval{
			Interval: wattveil.Interval{
				Start: r[i-1].Time, End: r[i].Time,
				Import: r[i].Import.Since(r[i-1].Import), Export: r[i].Export.Since(r[i-1].Export),
			},
			Quality: qualityOf((r[i-1].Status | r[i].Status) & doubtful),
		})
	}
}

func qualityOf(doubts wattveil.Status) vee.Quality {
	if doubts != 0 {
		return vee.Questionable
	}
	return vee.Valid
}

// fillEdited estimates what is missing of a period.
func (u *using) fillEdited(ctx context.Context, from, to int64) error {
	margin := int64(vee.Margin / time.Second)
	f, err := u.c.t.cfg.Readings.Read(ctx, u.meter, max(0, from-margin), min(to+margin, readings.MaxTime))
	if err != nil || len(f.Runs) == 0 {
		return err
	}
	runs := make([]vee.Run, len(f.Runs))
	for i, r := range f.Runs {
		runs[i] = vee.Run(r)
	}
	edited, err := vee.Edit(runs, u.out.Resolution, from, to, vee.Options{Zone: u.out.Zone})
	if err != nil {
		return err
	}
	for _, i := range edited.Intervals {
		u.show(i)
	}
	return nil
}

// add puts an interval into its bucket. Intervals come in rising order.
func (u *using) add(i vee.Interval) {
	for u.at < len(u.out.Buckets) && u.out.Buckets[u.at].End <= i.Start {
		u.at++
	}
	if u.at == len(u.out.Buckets) || i.Start < u.out.Buckets[u.at].Start || i.End > u.now {
		return // outside of the period, at an edge that is off the meter's grid
	}
	b := &u.out.Buckets[u.at]
	b.Import += i.Import
	b.Export += i.Export
	if i.Quality.Estimated() {
		b.Estimated += i.End - i.Start
		b.EstimatedImport += i.Import
		b.EstimatedExport += i.Export
	} else {
		b.Measured += i.End - i.Start
	}
	b.Doubtful = b.Doubtful || i.Quality == vee.Questionable
	band := consumer.NoBand
	if u.terms != nil {
		band = u.cursor.Span(i.Start).Band
	}
	s := shareOf(b, band)
	s.Import += i.Import
	s.Export += i.Export
}

// shareOf finds the share of a band in a bucket, or adds it.
func shareOf(b *consumer.Bucket, band int) *consumer.Share {
	for i := range b.Shares {
		if b.Shares[i].Band == band {
			return &b.Shares[i]
		}
	}
	b.Shares = append(b.Shares, consumer.Share{Band: band})
	return &b.Shares[len(b.Shares)-1]
}

// finish tells what is missing, and prices the buckets.
func (u *using) finish() {
	t := &u.out.Total
	*t = consumer.Bucket{Costed: u.terms != nil}
	for i := range u.out.Buckets {
		b := &u.out.Buckets[i]
		b.Later = max(0, b.End-max(b.Start, u.now))
		b.Missing = max(0, b.End-b.Start-b.Later-b.Measured-b.Estimated)
		slices.SortFunc(b.Shares, func(x, y consumer.Share) int { return x.Band - y.Band })
		u.price(b)
		t.Import, t.Export = t.Import+b.Import, t.Export+b.Export
		t.EstimatedImport, t.EstimatedExport = t.EstimatedImport+b.EstimatedImport, t.EstimatedExport+b.EstimatedExport
		t.Measured, t.Estimated, t.Missing, t.Later = t.Measured+b.Measured, t.Estimated+b.Estimated, t.Missing+b.Missing, t.Later+b.Later
		t.Doubtful = t.Doubtful || b.Doubtful
		for _, s := range b.Shares {
			sum := shareOf(t, s.Band)
			sum.Import, sum.Export = sum.Import+s.Import, sum.Export+s.Export
		}
	}
	if n := len(u.out.Buckets); n > 0 {
		t.Start, t.End = u.out.Buckets[0].Start, u.out.Buckets[n-1].End
	}
	slices.SortFunc(t.Shares, func(x, y consumer.Share) int { return x.Band - y.Band })
	u.price(t)
}

// price prices a bucket, if each of its bands has one price.
func (u *using) price(b *consumer.Bucket) {
	if !b.Known() {
		b.Costed = false
	}
	for _, s := range b.Shares {
		if !b.Costed || s.Band == consumer.NoBand || !u.out.Bands[s.Band].Priced {
			b.Costed, b.Cost = false, tariff.Decimal{}
			return
		}
		bought, sold := costOf(u.out.Bands[s.Band], s.Import, s.Export)
		b.Cost = b.Cost.Add(bought).Add(sold)
	}
}

// costOf is what energies cost in a band that has one price. A credit is
// negative.
func costOf(b consumer.Band, imported, exported wattveil.Wh) (bought, sold tariff.Decimal) {
	return tariff.NewDecimal(int64(imported), 3).Mul(b.Import), tariff.NewDecimal(int64(exported), 3).Mul(b.Export).Neg()
}
