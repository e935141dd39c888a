package ttp

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/wattveil/wattveil/consumer"
	"github.com/wattveil/wattveil/internal/registry"
)

// Passkey is the one with a credential id.
func (c *Consumers) Passkey(ctx context.Context, id []byte) (consumer.Passkey, bool, error) {
	list, err := c.passkeys(ctx, `id = ?`, id)
	if err != nil || len(list) == 0 {
		return consumer.Passkey{}, false, err
	}
	return list[0], true, nil
}

// Passkeys are those of an account by number.
func (c *Consumers) Passkeys(ctx context.Context, a consumer.Account) ([]consumer.Passkey, error) {
	return c.passkeys(ctx, `account = ? ORDER BY number`, a[:])
}

func (c *Consumers) passkeys(ctx context.Context, which string, arg any) (list []consumer.Passkey, err error) {
	rows, err := c.t.db.QueryContext(ctx, `SELECT account, id, public_key, count, flags, number, created, used FROM passkeys WHERE `+which, arg)
	if err != nil {
		return nil, fmt.Errorf("passkeys: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var p consumer.Passkey
		var account []byte
		var created, used int64
		if err := rows.Scan(&account, &p.ID, &p.PublicKey, &p.Count, &p.Flags, &p.Number, &created, &used); err != nil {
			return nil, fmt.Errorf("passkeys: %w", err)
		}
		copy(p.Account[:], account)
		p.Created, p.Used = time.Unix(created, 0).UTC(), time.Unix(used, 0).UTC()
		list = append(list, p)
	}
	return list, rows.Err()
}

// AddPasskey adds one to its account.
func (c *Consumers) AddPasskey(ctx context.Context, p consumer.Passkey) error {
	err := registry.Tx(ctx, c.t.db, func(tx *sql.Tx) error { return addPasskey(ctx, tx, p, c.t.cfg.Now()) })
	if err != nil {
		return fmt.Errorf("add a passkey: %w", err)
	}
	return nil
}

// addPasskey adds one under the next number.
func addPasskey(ctx context.Context, tx *sql.Tx, p consumer.Passkey, now time.Time) error {
	var have, last int
	err := tx.QueryRowContext(ctx, `SELECT count(*), coalesce(max(number), 0) FROM passkeys WHERE account = ?`, p.Account[:]).Scan(&have, &last)
	if err != nil {
		return err
	}
	if have >= consumer.MaxPasskeys {
		return consumer.TooMany
	}
	_, err = tx.ExecContext(ctx, `
		INSERT INTO passkeys (id, account, public_key, count, flags, number, created, used) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		p.ID, p.Account[:], p.PublicKey, p.Count, p.Flags, last+1, today(now), today(now))
	return err
}

// UsePasskey notes an assertion. Its counter must be above the kept one, unless
// the authenticator has none: then both are 0.
func (c *Consumers) UsePasskey(ctx context.Context, id []byte, count uint32, flags byte) error {
	done, err := c.t.db.ExecContext(ctx, `
		UPDATE passkeys SET count = ?2, flags = ?3, used = ?4 WHERE id = ?1 AND (count < ?2 OR count = 0 AND ?2 = 0)`,
		id, count, flags, today(c.t.cfg.Now()))
	if err != nil {
		return fmt.Errorf("use a passkey: %w", err)
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, consumer.Counter)
	}
	return nil
}

// RemovePasskey removes one of an account by number, with the sessions that it
// began. The last one stays.
func (c *Consumers) RemovePasskey(ctx context.Context, a consumer.Account, number int) error {
	err := registry.Tx(ctx, c.t.db, func(tx *sql.Tx) error {
		var have int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM passkeys WHERE account = ?`, a[:]).Scan(&have); err != nil {
			return err
		}
		if have <= 1 {
			return consumer.LastPasskey
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM passkeys WHERE account = ? AND number = ?`, a[:], number)
		return err
	})
	if err != nil {
		return fmt.Errorf("remove a passkey: %w", err)
	}
	return nil
}

// BeginSession keeps a new session.
func (c *Consumers) BeginSession(ctx context.Context, token consumer.TokenHash, s consumer.Session) error {
	_, err := c.t.db.ExecContext(ctx, `
		INSERT INTO portal_sessions (token, account, passkey, began, ends, confirmed) VALUES (?, ?, ?, ?, ?, ?)`,
		token[:], s.Account[:], s.Passkey, s.Began.Unix(), s.Ends.Unix(), s.Confirmed.Unix())
	if err != nil {
		return fmt.Errorf("begin a session: %w", err)
	}
	return nil
}

// Session is the one of a token. It may be over.
func (c *Consumers) Session(ctx context.Context, token consumer.TokenHash) (s consumer.Session, found bool, err error) {
	var account []byte
	var began, ends, confirmed int64
	found, err = registry.Find(c.t.queries.portalSession.QueryRowContext(ctx, token[:]), &account, &s.Passkey, &began, &ends, &confirmed)
	if err != nil {
		return s, false, fmt.Errorf("find a session: %w", err)
	}
	copy(s.Account[:], account)
	s.Began, s.Ends, s.Confirmed = time.Unix(began, 0), time.Unix(ends, 0), time.Unix(confirmed, 0)
	return s, found, nil
}

// ConfirmSession notes a fresh assertion in a session.
func (c *Consumers) ConfirmSession(ctx context.Context, token consumer.TokenHash, at time.Time) error {
	_, err := c.t.db.ExecContext(ctx, `UPDATE portal_sessions SET confirmed = ? WHERE token = ?`, at.Unix(), token[:])
	if err != nil {
		return fmt.Errorf("confirm a session: %w", err)
	}
	return nil
}

// EndSession forgets a session.
func (c *Consumers) EndSession(ctx context.Context, token consumer.TokenHash) error {
	if _, err := c.t.db.ExecContext(ctx, `DELETE FROM portal_sessions WHERE token = ?`, token[:]); err != nil {
		return fmt.Errorf("end a session: %w", err)
	}
	return nil
}

// EndSessions forgets all sessions of an account.
func (c *Consumers) EndSessions(ctx context.Context, a consumer.Account) error {
	if _, err := c.t.db.ExecContext(ctx, `DELETE FROM portal_sessions WHERE account = ?`, a[:]); err != nil {
		return fmt.Errorf("end the sessions of an account: %w", err)
	}
	return nil
}
