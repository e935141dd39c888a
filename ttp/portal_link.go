package ttp

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/consumer"
	"github.com/wattveil/wattveil/internal/registry"
)

// AddLink keeps a link to a time range of a meter that is in an account, by the
// hash of its token.
func (c *Consumers) AddLink(ctx context.Context, m wattveil.Meter, token consumer.TokenHash, l consumer.Link) error {
	now := c.t.cfg.Now().Unix()
	err := registry.Tx(ctx, c.t.db, func(tx *sql.Tx) error {
		var n int
		err := tx.QueryRowContext(ctx, `SELECT count(*) FROM links WHERE uc = ? AND an_id = ? AND ends > ?`, m.UC, int64(m.Pseudonym), now).Scan(&n)
		if err != nil {
			return err
		}
		if n >= consumer.MaxLinks {
			return consumer.TooMany
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO links (token, ref, uc, an_id, from_second, to_second, began, ends) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			token[:], newRef(), m.UC, int64(m.Pseudonym), l.From.Unix(), l.To.Unix(), now, l.Ends.Unix())
		return err
	})
	if err != nil {
		return fmt.Errorf("share a range of %v: %w", m, err)
	}
	return nil
}

// Links are those of a meter that hold, the one that ends first before the
// others.
func (c *Consumers) Links(ctx context.Context, m wattveil.Meter) (list []consumer.Link, err error) {
	err = each(ctx, c.t.db, func(rows *sql.Rows) error {
		var l consumer.Link
		var from, to, began, ends int64
		err := rows.Scan(&l.Ref, &from, &to, &began, &ends)
		l.From, l.To, l.Began, l.Ends = time.Unix(from, 0), time.Unix(to, 0), time.Unix(began, 0), time.Unix(ends, 0)
		list = append(list, l)
		return err
	}, `SELECT ref, from_second, to_second, began, ends FROM links WHERE uc = ? AND an_id = ? AND ends > ? ORDER BY ends, ref`,
		m.UC, int64(m.Pseudonym), c.t.cfg.Now().Unix())
	if err != nil {
		return nil, fmt.Errorf("links of %v: %w", m, err)
	}
	return list, nil
}

// Revoke ends a link of a meter.
func (c *Consumers) Revoke(ctx context.Context, m wattveil.Meter, ref string) error {
	_, err := c.t.db.ExecContext(ctx, `DELETE FROM links WHERE uc = ? AND an_id = ? AND ref = ?`, m.UC, int64(m.Pseudonym), ref)
	if err != nil {
		return fmt.Errorf("revoke a link of %v: %w", m, err)
	}
	return nil
}

// Linked is what a token lets its bearer look at, or [consumer.LinkOver].
func (c *Consumers) Linked(ctx context.Context, token consumer.TokenHash) (m wattveil.Meter, l consumer.Link, err error) {
	if err := c.settle(ctx); err != nil { // a takeover ends links
		return m, l, err
	}
	var anID, from, to, began, ends int64
	found, err := registry.Find(c.t.db.QueryRowContext(ctx,
		`SELECT uc, an_id, ref, from_second, to_second, began, ends FROM links WHERE token = ? AND ends > ?`, token[:], c.t.cfg.Now().Unix()),
		&m.UC, &anID, &l.Ref, &from, &to, &began, &ends)
	if err != nil {
		return m, l, fmt.Errorf("find a link: %w", err)
	}
	if !found {
		return m, l, consumer.LinkOver
	}
	m.Pseudonym = wattveil.Pseudonym(anID)
	l.From, l.To, l.Began, l.Ends = time.Unix(from, 0), time.Unix(to, 0), time.Unix(began, 0), time.Unix(ends, 0)
	return m, l, nil
}
