package utility

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"math/big"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/internal/registry"
	"github.com/wattveil/wattveil/provision"
	"github.com/wattveil/wattveil/wire"
)

// Times and steps of spec/protocol.md section 4.6.
const (
	drainFor    = 45 * 24 * time.Hour
	noticeAhead = 72 * time.Hour
	latestMove  = 400 * 24 * time.Hour // ahead
	epochStep   = 16                   // from the last epoch that was seen to a new base
	moveSpread  = 64                   // and as many more at random after a move
)

// standing is what the registry has of a meter's life.
type standing struct {
	ttp         string
	registered  bool  // has a pseudonym
	since       int64 // Unix seconds of the move that began it
	mu          []byte
	lastTime    int64
	lastEpoch   int64
	predecessor sql.NullInt64
	moveAt      sql.NullInt64
	retired     sql.NullInt64
	drained     sql.NullInt64
	rekey       bool
}

// querier is a database or a transaction of it.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// standing fails with wire.Unknown if there is no such meter.
func (u *Utility) standing(ctx context.Context, q querier, id wattveil.MeterID) (s standing, err error) {
	found, err := registry.Find(q.QueryRowContext(ctx, `
		SELECT m.ttp, p.since IS NOT NULL, coalesce(p.since, 0), m.mu, m.last_time, m.last_epoch, m.predecessor,
			m.move_at, m.retired, m.drained, m.rekey
		FROM meters m LEFT JOIN pseudonyms p ON p.id_sm = m.id_sm
		WHERE m.id_sm = ? ORDER BY p.base DESC LIMIT 1`, int64(id)),
		&s.ttp, &s.registered, &s.since, &s.mu, &s.lastTime, &s.lastEpoch, &s.predecessor, &s.moveAt, &s.retired, &s.drained, &s.rekey)
	if err != nil {
		return s, fmt.Errorf("find meter %v: %w", id, err)
	}
	if !found {
		return s, fmt.Errorf("%w: there is no meter %v", wire.Unknown, id)
	}
	if m, ok := u.members.Peek(id); ok {
		s.lastEpoch = max(s.lastEpoch, int64(m.last)) // the registry may have failed to note it
	}
	return s, nil
}

// successor is the newest meter that was made to replace another and is not
// retired.
func successor(ctx context.Context, q querier, id wattveil.MeterID) (next wattveil.MeterID, found bool, err error) {
	var n int64
	found, err = registry.Find(q.QueryRowContext(ctx,
		`SELECT id_sm FROM meters WHERE predecessor = ? AND retired IS NULL ORDER BY added DESC LIMIT 1`, int64(id)), &n)
	return wattveil.MeterID(n), found, err
}

// active refuses what only a meter that takes messages can be told.
func (s *standing) active(ctx context.Context, q querier, id wattveil.MeterID) error {
	if s.retired.Valid {
		return fmt.Errorf("%w: meter %v is retired", wire.Retired, id)
	}
	if s.drained.Valid {
		next, _, err := successor(ctx, q, id)
		return errors.Join(fmt.Errorf("%w: meter %v was replaced, by meter %v", wire.Retired, id, next), err)
	}
	if !s.registered {
		return fmt.Errorf("%w: meter %v has not registered yet", wire.Unenrolled, id)
	}
	return nil
}

// ReplaceMeter makes a meter that takes the place of another at its first
// registration, and gives its provisioning record. The other one goes on until
// then.
func (u *Utility) ReplaceMeter(ctx context.Context, id wattveil.MeterID, collectors []string, root *[32]byte) (record provision.Record, err error) {
	err = registry.Tx(ctx, u.db, func(tx *sql.Tx) error {
		s, err := u.standing(ctx, tx, id)
		if err == nil {
			err = s.active(ctx, tx, id)
		}
		if err != nil {
			return err
		}
		waiting, found, err := successor(ctx, tx, id)
		if err != nil {
			return err
		}
		if found {
			return fmt.Errorf("%w: meter %v is made to replace it already; provision that one, or retire it first", wire.Rebound, waiting)
		}
		serial, err := nextRoster(ctx, tx)
		if err != nil {
			return err
		}
		if record, err = u.newRecord(collectors, root); err != nil {
			return err
		}
		return u.insertMeter(ctx, tx, record, serial, s.ttp, sql.NullInt64{Int64: int64(id), Valid: true})
	})
	if err != nil {
		return provision.Record{}, fmt.Errorf("replace meter %v: %w", id, err)
	}
	return record, nil
}

// ReplaceKey has the utility accept, once, another user value of a meter: one
// that has lost its vault.
func (u *Utility) ReplaceKey(ctx context.Context, id wattveil.MeterID) error {
	err := registry.Tx(ctx, u.db, func(tx *sql.Tx) error {
		s, err := u.standing(ctx, tx, id)
		if err == nil {
			err = s.active(ctx, tx, id)
		}
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE meters SET rekey = 1 WHERE id_sm = ?`, int64(id))
		return err
	})
	if err != nil {
		return fmt.Errorf("replace the key of meter %v: %w", id, err)
	}
	return nil
}

// MoveMeter gives a meter another pseudonym from a time on, which is a multiple
// of 15 minutes and not over.
func (u *Utility) MoveMeter(ctx context.Context, id wattveil.MeterID, at time.Time) error {
	now := u.cfg.Now()
	err := registry.Tx(ctx, u.db, func(tx *sql.Tx) error {
		s, err := u.standing(ctx, tx, id)
		if err == nil {
			err = s.active(ctx, tx, id)
		}
		switch {
		case err != nil:
			return err
		case at.Nanosecond() != 0 || at.Unix()%wire.MoveStep != 0:
			return errors.New("the time of a move is a full quarter of an hour")
		case at.Before(now) || at.After(now.Add(latestMove)) || at.Unix() > math.MaxUint32:
			return fmt.Errorf("the time of a move is from now on to %s", now.Add(latestMove).UTC().Format(time.RFC3339))
		case s.moveAt.Valid && !now.Before(time.Unix(s.moveAt.Int64, 0).Add(-noticeAhead)):
			return fmt.Errorf("%w: the meter is told to move at %s already", wire.Rebound, time.Unix(s.moveAt.Int64, 0).UTC().Format(time.RFC3339))
		case at.Unix() <= s.since:
			return errors.New("its present tenancy begins later")
		}
		_, err = tx.ExecContext(ctx, `UPDATE meters SET move_at = ? WHERE id_sm = ?`, at.Unix(), int64(id))
		return err
	})
	if err != nil {
		return fmt.Errorf("move of meter %v: %w", id, err)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.moves[id] = at.Unix()
	return nil
}

// RetireMeter has a meter take nothing new. What is on its way still passes.
func (u *Utility) RetireMeter(ctx context.Context, id wattveil.MeterID) error {
	now := u.cfg.Now()
	err := registry.Tx(ctx, u.db, func(tx *sql.Tx) error {
		s, err := u.standing(ctx, tx, id)
		if err == nil && (s.retired.Valid || s.drained.Valid) {
			err = s.active(ctx, tx, id)
		}
		if err != nil {
			return err
		}
		until := now
		if s.registered {
			until = now.Add(drainFor)
		}
		_, err = tx.ExecContext(ctx, `UPDATE meters SET retired = ?, drained = ?, move_at = NULL, rekey = 0 WHERE id_sm = ?`,
			now.Unix(), until.Unix(), int64(id))
		return err
	})
	if err != nil {
		return fmt.Errorf("retire meter %v: %w", id, err)
	}
	u.settled(id)
	return u.endDrains(ctx, now)
}

// settled forgets what memory holds of a meter whose standing has changed.
func (u *Utility) settled(id wattveil.MeterID) {
	u.forget(id)
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.moves, id)
}

// endDrains makes those meters unknown that have drained: their secrets are
// destroyed and collectors let them in no more.
func (u *Utility) endDrains(ctx context.Context, now time.Time) error {
	var ended []wattveil.MeterID
	err := registry.Tx(ctx, u.db, func(tx *sql.Tx) (err error) {
		if ended, err = drainedMeters(ctx, tx, now); err != nil || len(ended) == 0 {
			return err
		}
		serial, err := nextRoster(ctx, tx)
		if err != nil {
			return err
		}
		for i, id := range ended {
			_, err := tx.ExecContext(ctx,
				`UPDATE meters SET gone = 1, secret = x'', password_hash = zeroblob(32), roster = ? WHERE id_sm = ?`,
				serial+int64(i), int64(id))
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("end what has drained: %w", err)
	}
	for _, id := range ended {
		u.settled(id)
		u.mu.Lock()
		delete(u.rekey, id)
		u.mu.Unlock()
		u.cfg.Log.Info("meter is unknown from now on", "meter", id)
	}
	if len(ended) == 0 {
		return nil
	}
	return registry.Erase(ctx, u.db)
}

const drainsAtOnce = 10_000

func drainedMeters(ctx context.Context, tx *sql.Tx, now time.Time) (list []wattveil.MeterID, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT id_sm FROM meters WHERE drained <= ? AND gone = 0 LIMIT ?`, now.Unix(), drainsAtOnce)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		list = append(list, wattveil.MeterID(id))
	}
	return list, rows.Err()
}

// loadMoves reads which meters are to move.
func (u *Utility) loadMoves(ctx context.Context) (err error) {
	rows, err := u.db.QueryContext(ctx, `SELECT id_sm, move_at FROM meters WHERE move_at IS NOT NULL`)
	if err != nil {
		return fmt.Errorf("load moves: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var id, at int64
		if err := rows.Scan(&id, &at); err != nil {
			return fmt.Errorf("load moves: %w", err)
		}
		u.moves[wattveil.MeterID(id)] = at
	}
	return rows.Err()
}

// noticeMoves puts a notice among a post's downlinks for each meter of it that
// is to move soon.
func (u *Utility) noticeMoves(ctx context.Context, p *post) {
	due := make(map[wattveil.MeterID]int64)
	soon := u.cfg.Now().Add(noticeAhead).Unix()
	u.mu.Lock()
	if len(u.moves) > 0 {
		for _, id := range p.heard {
			if at, ok := u.moves[id]; ok && at <= soon {
				due[id] = at
			}
		}
	}
	u.mu.Unlock()
	for id, at := range due {
		secret, err := u.secret(ctx, id)
		if err != nil {
			u.cfg.Log.Error("move notice not sent", "meter", id, "error", err)
			continue
		}
		p.downlinks = append(p.downlinks, wire.Downlink{ID: id, Frame: secret.MoveNotice(id, at)})
	}
}

// baseAbove is a base above the last epoch that was seen, by up to spread more
// at random.
func baseAbove(last int64, spread int64) (wattveil.Epoch, error) {
	base := last + epochStep
	if spread > 0 {
		n, err := rand.Int(rand.Reader, big.NewInt(spread))
		if err != nil {
			return 0, fmt.Errorf("draw epoch base: %w", err)
		}
		base += n.Int64()
	}
	if base >= math.MaxUint32 {
		return 0, errors.New("epoch numbers are used up; replace the device")
	}
	return wattveil.Epoch(base), nil
}
