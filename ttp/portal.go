package ttp

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/consumer"
	"github.com/wattveil/wattveil/internal/registry"
	"github.com/wattveil/wattveil/wire"
)

// Consumers is the TTP's side of the consumer's portal: claims, accounts and
// what consumers see of their meters (spec/portal.md). Its methods satisfy the
// interfaces that the portal declares, and are safe for concurrent use.
type Consumers struct {
	t      *TTP
	limits *claimLimits
}

// Consumers is the TTP's side of the portal.
func (t *TTP) Consumers() *Consumers { return t.consumers }

func (t *TTP) openConsumers(ctx context.Context) error {
	limits, err := newClaimLimits()
	if err != nil {
		return fmt.Errorf("open TTP: %w", err)
	}
	t.consumers = &Consumers{t: t, limits: limits}
	return errors.Join(t.fillLocators(ctx), t.finishErasures(ctx))
}

// maintain forgets what is over.
func (c *Consumers) maintain(ctx context.Context, now time.Time) error {
	for what, forget := range map[string]struct {
		query string
		until time.Time
	}{
		"sessions":    {`DELETE FROM portal_sessions WHERE ends <= ?`, now},
		"links":       {`DELETE FROM links WHERE ends <= ?`, now},
		"claim flags": {`DELETE FROM claim_flags WHERE raised <= ?`, now.Add(-flagKept)},
	} {
		if _, err := c.t.db.ExecContext(ctx, forget.query, forget.until.Unix()); err != nil {
			return fmt.Errorf("forget %s that are over: %w", what, err)
		}
	}
	err := registry.Tx(ctx, c.t.db, func(tx *sql.Tx) error { return settleTakeovers(ctx, tx, now) })
	return errors.Join(err, c.maintainAlerts(ctx, now), c.t.finishErasures(ctx), c.eraseChosen(ctx, now))
}

// today is the day of a time, as the registry keeps it.
func today(t time.Time) int64 { return t.UTC().Truncate(24 * time.Hour).Unix() }

func newRef() string {
	var raw [8]byte
	_, _ = rand.Read(raw[:]) // never fails
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(raw[:]))
}

// Holder is the account that a meter is in.
func (c *Consumers) Holder(ctx context.Context, m wattveil.Meter) (a consumer.Account, found bool, err error) {
	var raw []byte
	found, err = registry.Find(c.t.db.QueryRowContext(ctx,
		`SELECT account FROM claims WHERE uc = ? AND an_id = ?`, m.UC, int64(m.Pseudonym)), &raw)
	if err != nil {
		return a, false, fmt.Errorf("holder of %v: %w", m, err)
	}
	copy(a[:], raw)
	return a, found, nil
}

// NewAccount makes an account with its first passkey and a meter that was
// proved. If the meter is in another account, later says that a takeover is
// meant, and due is when it takes effect.
func (c *Consumers) NewAccount(ctx context.Context, p consumer.Passkey, m wattveil.Meter, later bool) (due time.Time, err error) {
	now := c.t.cfg.Now()
	err = registry.Tx(ctx, c.t.db, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO accounts (account, created) VALUES (?, ?)`, p.Account[:], today(now))
		if err != nil {
			return err
		}
		if err := addPasskey(ctx, tx, p, now); err != nil {
			return err
		}
		due, err = take(ctx, tx, p.Account, m, later, now)
		return err
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("new account: %w", err)
	}
	return due, nil
}

// Take puts a meter that was proved into an account, or begins a takeover.
func (c *Consumers) Take(ctx context.Context, a consumer.Account, m wattveil.Meter, later bool) (due time.Time, err error) {
	err = registry.Tx(ctx, c.t.db, func(tx *sql.Tx) error {
		due, err = take(ctx, tx, a, m, later, c.t.cfg.Now())
		return err
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("take %v into an account: %w", m, err)
	}
	return due, nil
}

func take(ctx context.Context, tx *sql.Tx, a consumer.Account, m wattveil.Meter, later bool, now time.Time) (due time.Time, err error) {
	if err := settleTakeovers(ctx, tx, now); err != nil {
		return due, err
	}
	var holder []byte
	held, err := registry.Find(tx.QueryRowContext(ctx,
		`SELECT account FROM claims WHERE uc = ? AND an_id = ?`, m.UC, int64(m.Pseudonym)), &holder)
	if err != nil {
		return due, err
	}
	if held && string(holder) == string(a[:]) {
		return due, nil
	}
	if held && !later {
		return due, consumer.Claimed
	}
	if err := roomForMeter(ctx, tx, a); err != nil {
		return due, err
	}
	if !held {
		return due, putMeter(ctx, tx, a, m, now)
	}
	due = now.Add(consumer.TakeoverAfter)
	done, err := tx.ExecContext(ctx, `INSERT INTO takeovers (uc, an_id, account, due) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		m.UC, int64(m.Pseudonym), a[:], due.Unix())
	if err != nil {
		return due, err
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return due, errors.Join(err, consumer.Waiting)
	}
	return due, nil
}

func roomForMeter(ctx context.Context, tx *sql.Tx, a consumer.Account) error {
	var n int
	err := tx.QueryRowContext(ctx, `
		SELECT (SELECT count(*) FROM claims WHERE account = ?1) + (SELECT count(*) FROM takeovers WHERE account = ?1)`, a[:]).Scan(&n)
	if err == nil && n >= consumer.MaxMeters {
		err = consumer.TooMany
	}
	return err
}

func putMeter(ctx context.Context, tx *sql.Tx, a consumer.Account, m wattveil.Meter, now time.Time) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO claims (uc, an_id, account, ref, since) VALUES (?, ?, ?, ?, ?)`,
		m.UC, int64(m.Pseudonym), a[:], newRef(), today(now))
	return err
}

// settleTakeovers lets those take effect that are due, or whose meter is in
// no account any more.
func settleTakeovers(ctx context.Context, tx *sql.Tx, now time.Time) error {
	const due = `SELECT t.uc, t.an_id FROM takeovers t WHERE t.due <= ?
		UNION SELECT t.uc, t.an_id FROM takeovers t
		WHERE NOT EXISTS (SELECT 1 FROM claims c WHERE c.uc = t.uc AND c.an_id = t.an_id)`
	list, err := metersOf(tx.QueryContext(ctx, due, now.Unix()))
	if err != nil {
		return fmt.Errorf("takeovers that are due: %w", err)
	}
	for _, m := range list {
		var a consumer.Account
		var raw []byte
		err := tx.QueryRowContext(ctx, `DELETE FROM takeovers WHERE uc = ? AND an_id = ? RETURNING account`,
			m.UC, int64(m.Pseudonym)).Scan(&raw)
		if err != nil {
			return err
		}
		copy(a[:], raw)
		_, err = tx.ExecContext(ctx, `DELETE FROM claims WHERE uc = ? AND an_id = ?`, m.UC, int64(m.Pseudonym))
		if err != nil {
			return err
		}
		if err := putMeter(ctx, tx, a, m, now); err != nil {
			return err
		}
	}
	return nil
}

// Meters are those of an account, the one that is longest in it first.
func (c *Consumers) Meters(ctx context.Context, a consumer.Account) (list []consumer.Meter, err error) {
	if err := c.settle(ctx); err != nil {
		return nil, err
	}
	rows, err := c.t.queries.claimed.QueryContext(ctx, a[:])
	if err != nil {
		return nil, fmt.Errorf("meters of an account: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var m consumer.Meter
		var anID, since int64
		var due sql.NullInt64
		if err := rows.Scan(&m.Name.UC, &anID, &m.Ref, &since, &due, &m.Unread); err != nil {
			return nil, fmt.Errorf("meters of an account: %w", err)
		}
		m.Name.Pseudonym, m.Since = wattveil.Pseudonym(anID), time.Unix(since, 0).UTC()
		if due.Valid {
			m.TakenOver = time.Unix(due.Int64, 0).UTC()
		}
		list = append(list, m)
	}
	return list, rows.Err()
}

// settle lets due takeovers take effect, for whoever looks before the next
// round of maintenance.
func (c *Consumers) settle(ctx context.Context) error {
	var due bool
	now := c.t.cfg.Now()
	err := c.t.queries.takeoverDue.QueryRowContext(ctx, now.Unix()).Scan(&due)
	if err == nil && due {
		err = registry.Tx(ctx, c.t.db, func(tx *sql.Tx) error { return settleTakeovers(ctx, tx, now) })
	}
	if err != nil {
		return fmt.Errorf("takeovers that are due: %w", err)
	}
	return nil
}

// takeoverHours is how long the takeover of a meter still waits, rounded up; 0
// if none does.
func (t *TTP) takeoverHours(ctx context.Context, m wattveil.Meter, now time.Time) (int, error) {
	var due int64
	found, err := registry.Find(t.queries.takeover.QueryRowContext(ctx, m.UC, int64(m.Pseudonym)), &due)
	if err != nil {
		return 0, fmt.Errorf("takeover of %v: %w", m, err)
	}
	left := time.Unix(due, 0).Sub(now)
	if !found || left <= 0 {
		return 0, nil
	}
	return min(int((left+time.Hour-1)/time.Hour), wire.MaxTakeoverHours), nil
}

// Takeovers are the times at which those take effect that an account began.
func (c *Consumers) Takeovers(ctx context.Context, a consumer.Account) (list []time.Time, err error) {
	rows, err := c.t.db.QueryContext(ctx, `SELECT due FROM takeovers WHERE account = ? ORDER BY due`, a[:])
	if err != nil {
		return nil, fmt.Errorf("takeovers of an account: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var due int64
		if err := rows.Scan(&due); err != nil {
			return nil, err
		}
		list = append(list, time.Unix(due, 0).UTC())
	}
	return list, rows.Err()
}

// RefuseTakeover ends the takeover that waits for a meter of the account.
func (c *Consumers) RefuseTakeover(ctx context.Context, a consumer.Account, ref string) error {
	_, err := c.t.db.ExecContext(ctx, `
		DELETE FROM takeovers WHERE EXISTS (
			SELECT 1 FROM claims c WHERE c.uc = takeovers.uc AND c.an_id = takeovers.an_id AND c.account = ? AND c.ref = ?)`, a[:], ref)
	if err != nil {
		return fmt.Errorf("refuse a takeover: %w", err)
	}
	return nil
}

// GiveUp takes a meter out of an account.
func (c *Consumers) GiveUp(ctx context.Context, a consumer.Account, ref string) error {
	err := registry.Tx(ctx, c.t.db, func(tx *sql.Tx) error {
		done, err := tx.ExecContext(ctx, `DELETE FROM claims WHERE account = ? AND ref = ?`, a[:], ref)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, consumer.NotYours)
		}
		return settleTakeovers(ctx, tx, c.t.cfg.Now())
	})
	if err != nil {
		return fmt.Errorf("give a meter up: %w", err)
	}
	return nil
}

// DeleteAccount forgets an account with its passkeys, sessions and meters. The
// meters' readings and bills stay.
func (c *Consumers) DeleteAccount(ctx context.Context, a consumer.Account) error {
	err := registry.Tx(ctx, c.t.db, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM accounts WHERE account = ?`, a[:]); err != nil {
			return err
		}
		return settleTakeovers(ctx, tx, c.t.cfg.Now())
	})
	if err != nil {
		return fmt.Errorf("delete an account: %w", err)
	}
	return nil
}
