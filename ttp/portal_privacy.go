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
	"github.com/wattveil/wattveil/internal/registry"
)

// Choices are what was chosen for a meter, or what holds until then.
func (c *Consumers) Choices(ctx context.Context, m wattveil.Meter) (consumer.Choices, error) {
	ch := consumer.Choices{Profile: consumer.Full}
	_, err := registry.Find(c.t.db.QueryRowContext(ctx,
		`SELECT profile, keep_months, no_corrections, groups, research FROM choices WHERE uc = ? AND an_id = ?`, m.UC, int64(m.Pseudonym)),
		&ch.Profile, &ch.KeepMonths, &ch.NoCorrections, &ch.Groups, &ch.Research)
	if err != nil {
		return consumer.Choices{}, fmt.Errorf("choices of %v: %w", m, err)
	}
	return ch, nil
}

// Choose keeps what is chosen for a meter that is in an account.
func (c *Consumers) Choose(ctx context.Context, m wattveil.Meter, ch consumer.Choices) error {
	if ch.Profile != consumer.Full && ch.Profile != consumer.Totals || !slices.Contains(consumer.KeepMonths[:], ch.KeepMonths) {
		return fmt.Errorf("%w: choices of %v", consumer.BadRequest, m)
	}
	_, err := c.t.db.ExecContext(ctx, `
		INSERT INTO choices (uc, an_id, profile, keep_months, no_corrections, groups, research) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
		ON CONFLICT (uc, an_id) DO UPDATE SET profile = ?3, keep_months = ?4, no_corrections = ?5, groups = ?6, research = ?7`,
		m.UC, int64(m.Pseudonym), ch.Profile, ch.KeepMonths, ch.NoCorrections, ch.Groups, ch.Research)
	if err != nil {
		return fmt.Errorf("choose for %v: %w", m, err)
	}
	return nil
}

// Erasable tells what of a meter's readings may be erased, and what was.
func (c *Consumers) Erasable(ctx context.Context, m wattveil.Meter) (e consumer.Erasable, err error) {
	ch, err := c.Choices(ctx, m)
	if err != nil {
		return e, err
	}
	billed, err := c.t.finalUpTo(ctx, m, ch, func(billRow) bool { return true })
	if err != nil {
		return e, err
	}
	if billed > 0 {
		e.Billed = time.Unix(billed, 0)
		if before := erasableBefore(billed); before > 0 {
			e.Until = time.Unix(before, 0)
		}
	}
	if e.Erased, err = c.t.erased(ctx, m); err != nil {
		return e, err
	}
	if e.First, err = c.t.firstReading(ctx, m, e.Erased); err != nil {
		return e, err
	}
	e.Past, err = c.erasures(ctx, m)
	return e, err
}

// firstReading is the time of a meter's first reading from a time on; zero if
// there is none.
func (t *TTP) firstReading(ctx context.Context, m wattveil.Meter, from time.Time) (time.Time, error) {
	const part = 31 * secondsPerDay
	begin := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // no meter is older
	if from.After(begin) {
		begin = from
	}
	for at, now := begin.Unix(), t.cfg.Now().Unix(); at <= now; at += part {
		f, err := t.cfg.Readings.Read(ctx, m, at, at+part-1)
		if err != nil {
			return time.Time{}, fmt.Errorf("first reading of %v: %w", m, err)
		}
		if len(f.Runs) == 0 {
			continue
		}
		first := f.Runs[0].Readings[0].Time
		for _, run := range f.Runs[1:] {
			first = min(first, run.Readings[0].Time)
		}
		return time.Unix(first, 0), nil
	}
	return time.Time{}, nil
}

// erased is the time before which a meter's readings are erased; zero if none
// are.
func (t *TTP) erased(ctx context.Context, m wattveil.Meter) (time.Time, error) {
	var at int64
	_, err := registry.Find(t.queries.erased.QueryRowContext(ctx, m.UC, int64(m.Pseudonym)), &at)
	if err != nil {
		return time.Time{}, fmt.Errorf("what is erased of %v: %w", m, err)
	}
	if at == 0 {
		return time.Time{}, nil
	}
	return time.Unix(at, 0), nil
}

const maxErasures = 50 // shown of a meter, the newest

func (c *Consumers) erasures(ctx context.Context, m wattveil.Meter) (list []consumer.Erasure, err error) {
	err = each(ctx, c.t.db, func(rows *sql.Rows) error {
		var e consumer.Erasure
		var before, at int64
		err := rows.Scan(&before, &e.Readings, &e.Chosen, &at)
		e.Before, e.At = time.Unix(before, 0), time.Unix(at, 0)
		list = append(list, e)
		return err
	}, `SELECT before, coalesce(readings, 0), chosen, at FROM erasures WHERE uc = ? AND an_id = ? ORDER BY id DESC LIMIT ?`,
		m.UC, int64(m.Pseudonym), maxErasures)
	if err != nil {
		return nil, fmt.Errorf("erasures of %v: %w", m, err)
	}
	return list, nil
}

// Erase erases a meter's readings before a time, rounded down to a UTC day, or
// refuses with [consumer.NotBilled].
func (c *Consumers) Erase(ctx context.Context, m wattveil.Meter, before time.Time) error {
	e, err := c.Erasable(ctx, m)
	if err != nil {
		return err
	}
	midnight := today(before)
	if e.Until.IsZero() || midnight > e.Until.Unix() {
		return fmt.Errorf("erase readings of %v: %w", m, consumer.NotBilled)
	}
	return c.t.erase(ctx, m, midnight, false)
}

// eraseChosen erases what meters' choices say is due.
func (c *Consumers) eraseChosen(ctx context.Context, now time.Time) error {
	meters, err := metersOf(c.t.db.QueryContext(ctx, `SELECT uc, an_id FROM choices WHERE profile = ? OR keep_months > 0`, consumer.Totals))
	if err != nil {
		return fmt.Errorf("meters with choices: %w", err)
	}
	for _, m := range meters {
		err = errors.Join(err, c.eraseDue(ctx, m, now))
	}
	return err
}

func (c *Consumers) eraseDue(ctx context.Context, m wattveil.Meter, now time.Time) error {
	ch, err := c.Choices(ctx, m)
	if err != nil {
		return err
	}
	billed, err := c.t.finalUpTo(ctx, m, ch, func(b billRow) bool {
		return ch.Profile == consumer.Totals || !now.Before(time.Unix(b.to, 0).UTC().AddDate(0, ch.KeepMonths, 0))
	})
	if err != nil {
		return err
	}
	if before := erasableBefore(billed); before > 0 {
		return c.t.erase(ctx, m, before, true)
	}
	return nil
}
