package ttp

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/internal/registry"
	"github.com/wattveil/wattveil/readings"
	"github.com/wattveil/wattveil/wire"
)

// Times of spec/protocol.md section 6.4.
const (
	receiptEvery  = 24 * time.Hour
	receiptMargin = time.Hour           // readings younger than that may be on their way
	receiptBack   = 45 * 24 * time.Hour // the oldest that a receipt speaks of
	readAtOnce    = 24 * 60 * 60        // seconds of a meter's readings

	// maxReceipts is how many receipts one batch may make, so that a day that
	// begins for many meters at once does not hold the batch up. The others
	// come with the next.
	maxReceipts = 256
)

// due is a receipt that is being made.
type due struct {
	session  *session
	meter    wattveil.Meter
	step     int64 // resolution of the message that it rides on, seconds
	known    bool  // there was one before
	coverage coverage
	takeover int // hours until it takes effect, 0 if none waits
	keys     *wire.SessionKeys
	epoch    wattveil.Epoch
	counter  wattveil.Counter
}

// receipts makes the receipts that are due for the meters of a batch, which is
// ordered by an-ID. A failure costs the receipts alone. The caller has the
// utility's turn.
func (t *TTP) receipts(ctx context.Context, batch []opened) []wire.PassedReceipt {
	now := t.cfg.Now()
	var list []*due
	for i := range batch {
		o := &batch[i]
		if o.verdict != wire.Durable || o.session == nil || now.Unix() < o.session.receiptDue {
			continue
		}
		if n := len(list); n == maxReceipts || n > 0 && list[n-1].meter == o.meter {
			continue
		}
		d, err := t.prepareReceipt(ctx, o, now)
		if err != nil {
			t.cfg.Log.Error("receipt not made", "meter", o.meter, "error", err)
			continue
		}
		if d != nil {
			list = append(list, d)
		}
	}
	if len(list) == 0 {
		return nil
	}
	if err := t.keepReceipts(ctx, list, now); err != nil {
		t.cfg.Log.Error("receipts not kept", "count", len(list), "error", err)
		return nil
	}
	return sealReceipts(list, now)
}

// prepareReceipt finds out what is to be said to a meter, nil if nothing is
// yet.
func (t *TTP) prepareReceipt(ctx context.Context, o *opened, now time.Time) (*due, error) {
	d := &due{session: o.session, meter: o.meter, step: int64(o.resolution)}
	made, err := t.lastReceipt(ctx, d)
	if err != nil {
		return nil, err
	}
	if next := made.Add(receiptEvery); d.known && now.Before(next) {
		o.session.receiptDue = next.Unix()
		return nil, nil
	}
	oldest, until := max(now.Add(-receiptBack).Unix(), o.session.erased), now.Add(-receiptMargin).Unix()
	before := d.coverage.through
	if err := t.cover(ctx, d, oldest, until); err != nil {
		return nil, err
	}
	d.coverage.name(oldest)
	if d.coverage.through == before || d.coverage.since > d.coverage.through {
		o.session.receiptDue = now.Add(receiptMargin).Unix()
		return nil, nil
	}
	d.takeover, err = t.takeoverHours(ctx, d.meter, now)
	return d, err
}

// lastReceipt loads what the meter was told last, and when.
func (t *TTP) lastReceipt(ctx context.Context, d *due) (made time.Time, err error) {
	var at int64
	var gaps []byte
	c := &d.coverage
	d.known, err = registry.Find(t.queries.receipt.QueryRowContext(ctx, d.meter.UC, int64(d.meter.Pseudonym)),
		&at, &c.since, &c.through, &gaps)
	if err == nil {
		c.gaps, err = parseGaps(gaps)
	}
	if err != nil {
		return made, fmt.Errorf("last receipt of %v: %w", d.meter, err)
	}
	return time.Unix(at, 0), nil
}

// cover reads what has become durable since: in the gaps, and behind what was
// covered.
func (t *TTP) cover(ctx context.Context, d *due, oldest, until int64) error {
	c := &d.coverage
	before := c.gaps
	c.gaps = nil
	for _, g := range before {
		left := coverage{through: g.First - 1}
		if err := t.extend(ctx, d, &left, g.First, g.Last); err != nil {
			return err
		}
		left.extend([]int64{g.Last + 1}, d.step)
		for _, part := range left.gaps {
			part.named = g.named
			c.gaps = append(c.gaps, part)
		}
	}
	from := c.through + 1
	if !d.known {
		from = oldest
	}
	if err := t.extend(ctx, d, c, from, until); err != nil {
		return err
	}
	c.join()
	return nil
}

// extend reads a meter's readings, a day at a time, into a coverage.
func (t *TTP) extend(ctx context.Context, d *due, c *coverage, from, to int64) error {
	for ; from <= to; from += readAtOnce {
		times, err := t.timesOf(ctx, d, from, min(to, from+readAtOnce-1))
		if err != nil {
			return err
		}
		if len(times) > 0 && c.through == 0 {
			c.since, c.through = times[0], times[0]
		}
		c.extend(times, d.step)
	}
	return nil
}

// timesOf is the times of a meter's durable readings, rising, from all series.
// The nearest two may show that the resolution was finer than it is now.
func (t *TTP) timesOf(ctx context.Context, d *due, from, to int64) ([]int64, error) {
	folded, err := t.cfg.Readings.Read(ctx, d.meter, from, to)
	if err != nil {
		return nil, fmt.Errorf("read the readings of %v: %w", d.meter, err)
	}
	times := times(folded)
	for i := 1; i < len(times); i++ {
		d.step = min(d.step, times[i]-times[i-1])
	}
	return times, nil
}

func times(f readings.Folded) []int64 {
	n := 0
	for _, run := range f.Runs {
		n += len(run.Readings)
	}
	list := make([]int64, 0, n)
	for _, run := range f.Runs {
		for _, r := range run.Readings {
			list = append(list, r.Time)
		}
	}
	if len(f.Runs) > 1 {
		slices.Sort(list)
		list = slices.Compact(list)
	}
	return list
}

// keepReceipts makes durable, in one step, what is said and the counters under
// which it is said.
func (t *TTP) keepReceipts(ctx context.Context, list []*due, now time.Time) error {
	return registry.Tx(ctx, t.db, func(tx *sql.Tx) error {
		for _, d := range list {
			if err := t.takeDownCounter(ctx, tx, d); err != nil {
				return fmt.Errorf("counter of a receipt for %v: %w", d.meter, err)
			}
			c := &d.coverage
			_, err := tx.ExecContext(ctx, `
				INSERT INTO receipts (uc, an_id, made, since, through, missing) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
				ON CONFLICT (uc, an_id) DO UPDATE SET made = ?3, since = ?4, through = ?5, missing = ?6`,
				d.meter.UC, int64(d.meter.Pseudonym), now.Unix(), c.since, c.through, encodeGaps(c.gaps))
			if err != nil {
				return fmt.Errorf("keep receipt for %v: %w", d.meter, err)
			}
		}
		return nil
	})
}

// takeDownCounter takes the next counter of the meter's newest active epoch.
func (t *TTP) takeDownCounter(ctx context.Context, tx *sql.Tx, d *due) error {
	var box []byte
	err := tx.QueryRowContext(ctx, `
		UPDATE sessions SET down_counter = down_counter + 1
		WHERE uc = ?1 AND an_id = ?2 AND epoch = (
			SELECT max(epoch) FROM sessions WHERE uc = ?1 AND an_id = ?2 AND state = ?3 AND spent = 0)
		RETURNING epoch, keys, down_counter`,
		d.meter.UC, int64(d.meter.Pseudonym), stateActive).Scan(&d.epoch, &box, &d.counter)
	if err != nil {
		return err
	}
	d.keys, err = t.openKeys(d.meter, d.epoch, box)
	return err
}

func sealReceipts(list []*due, now time.Time) []wire.PassedReceipt {
	passed := make([]wire.PassedReceipt, len(list))
	for i, d := range list {
		r := d.coverage.receipt(now.Unix())
		r.TakeoverHours = d.takeover
		body := wire.SealReceipt(nil, d.meter, d.epoch, &d.keys.Down, d.counter, r)
		passed[i] = wire.PassedReceipt{
			Pseudonym: d.meter.Pseudonym, Low: d.epoch.Low(), Body: [wire.ReceiptBodySize]byte(body),
		}
		d.session.receiptDue = now.Add(receiptEvery).Unix()
	}
	return passed
}
