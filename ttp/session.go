package ttp

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/internal/registry"
	"github.com/wattveil/wattveil/wire"
	"github.com/wattveil/wattveil/wire/open"
)

// The states of a session.
const (
	statePending = "pending" // M2 was made
	stateActive  = "active"  // confirmed by M3 or by a message that opened
	stateClosed  = "closed"  // a counter was used twice
)

// sessionName is what a message's header says of its session.
type sessionName struct {
	meter wattveil.Meter
	low   byte
}

// session is an epoch held ready in memory. Only who has the utility's turn
// changes it.
type session struct {
	key    *open.Key
	series wattveil.Series
	active bool
	closed bool

	used bool             // a counter was stored
	high wattveil.Counter // the highest of them

	quiet      int64 // Unix seconds since which nothing new has opened, from the end of its lifetime on
	receiptDue int64 // Unix seconds before which no receipt is due; 0 is not known
	erased     int64 // Unix seconds before which readings are erased
}

// fresh tells whether a counter is above all that are stored, so that nothing
// need be looked up for it.
func (s *session) fresh(c wattveil.Counter) bool { return !s.used || c > s.high }

// stored notes that a counter was made durable.
func (s *session) stored(c wattveil.Counter) {
	if s.fresh(c) {
		s.used, s.high = true, c
	}
}

// keep drops the readings of erased days, in place.
func (s *session) keep(list []wattveil.Reading) []wattveil.Reading {
	if s.erased == 0 {
		return list
	}
	return slices.DeleteFunc(list, func(r wattveil.Reading) bool { return r.Time < s.erased })
}

// errNoSession: no live epoch has this low byte.
var errNoSession = errors.New("no session")

// session finds the session of a header, in memory or in the registry. The
// caller has the utility's turn.
func (t *TTP) session(ctx context.Context, name sessionName) (*session, error) {
	if s, ok := t.sessions.Get(name); ok {
		return s, nil
	}
	var epoch wattveil.Epoch
	var state string
	var series wattveil.Series
	var box []byte
	var quiet int64
	found, err := registry.Find(t.queries.session.QueryRowContext(ctx,
		name.meter.UC, int64(name.meter.Pseudonym), name.low, stateClosed), &epoch, &state, &series, &box, &quiet)
	if err != nil {
		return nil, fmt.Errorf("find session of %v: %w", name.meter, err)
	}
	if !found {
		return nil, errNoSession
	}
	keys, err := t.openKeys(name.meter, epoch, box)
	if err != nil {
		return nil, err
	}
	s := &session{series: series, active: state == stateActive, quiet: quiet}
	if s.key, err = open.NewKey(name.meter, epoch, &keys.Up); err != nil {
		return nil, err
	}
	if s.high, s.used, err = t.cfg.Readings.LastCounter(ctx, name.meter, epoch); err != nil {
		return nil, fmt.Errorf("last counter of %v: %w", name.meter, err)
	}
	if _, err := registry.Find(t.queries.erased.QueryRowContext(ctx, name.meter.UC, int64(name.meter.Pseudonym)), &s.erased); err != nil {
		return nil, fmt.Errorf("what is erased of %v: %w", name.meter, err)
	}
	t.sessions.Add(name, s)
	return s, nil
}

func (t *TTP) openKeys(m wattveil.Meter, e wattveil.Epoch, box []byte) (*wire.SessionKeys, error) {
	raw, err := t.seal.Open(keysContext(m, e), box)
	if err != nil {
		return nil, err
	}
	return wire.ParseSessionKeys(raw)
}

func keysContext(m wattveil.Meter, e wattveil.Epoch) string {
	return fmt.Sprintf("sessions.keys %v %d", m, e)
}

// activate makes a pending epoch the meter's active one and marks the older
// ones as succeeded. The caller has the utility's turn.
func (t *TTP) activate(ctx context.Context, m wattveil.Meter, epoch wattveil.Epoch) error {
	err := registry.Tx(ctx, t.db, func(tx *sql.Tx) error {
		var chain wattveil.Epoch
		var pinned bool
		found, err := registry.Find(tx.QueryRowContext(ctx,
			`UPDATE sessions SET state = ? WHERE uc = ? AND an_id = ? AND epoch = ? AND state = ? RETURNING chain, pinned`,
			stateActive, m.UC, int64(m.Pseudonym), epoch, statePending), &chain, &pinned)
		if err != nil || !found {
			return err // not found: it is active already
		}
		_, err = tx.ExecContext(ctx,
			`UPDATE sessions SET successor_at = ? WHERE uc = ? AND an_id = ? AND epoch < ? AND successor_at IS NULL`,
			t.cfg.Now().Unix(), m.UC, int64(m.Pseudonym), epoch)
		if err != nil || chain != 0 {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE meters SET confirmed = ? WHERE uc = ? AND an_id = ?`,
			pinned, m.UC, int64(m.Pseudonym))
		return err
	})
	if err != nil {
		return fmt.Errorf("activate epoch %d of %v: %w", epoch, m, err)
	}
	if s, ok := t.sessions.Peek(sessionName{m, epoch.Low()}); ok && s.key.Epoch() == epoch {
		s.active = true
	}
	return nil
}

// closeEpoch ends an epoch in which a counter was used twice. The caller has
// the utility's turn.
func (t *TTP) closeEpoch(ctx context.Context, m wattveil.Meter, epoch wattveil.Epoch) error {
	t.cfg.Log.Error("counter used twice, epoch closed", "meter", m, "epoch", uint32(epoch), "class", eventCounterReuse)
	err := registry.Tx(ctx, t.db, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE sessions SET state = ? WHERE uc = ? AND an_id = ? AND epoch = ?`,
			stateClosed, m.UC, int64(m.Pseudonym), epoch)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO events (uc, an_id, kind, epoch, at) VALUES (?, ?, ?, ?, ?)`,
			m.UC, int64(m.Pseudonym), eventCounterReuse, epoch, t.cfg.Now().Unix())
		return err
	})
	if err != nil {
		return fmt.Errorf("close epoch %d of %v: %w", epoch, m, err)
	}
	t.sessions.Remove(sessionName{m, epoch.Low()})
	return nil
}

// eventCounterReuse is the kind of event that closes an epoch.
const eventCounterReuse = "counter-reuse"

// destroyOldEpochs forgets exchanges that nobody confirmed in time, and keys
// and digests of epochs that have long had a successor, or been quiet.
func (t *TTP) destroyOldEpochs(ctx context.Context, now time.Time) error {
	t.mu.Lock()
	utilities := slices.Collect(maps.Values(t.numberOf))
	t.mu.Unlock()
	destroyed := false
	for _, uc := range utilities {
		for _, destroy := range []func(context.Context, wattveil.UCNumber, time.Time) (bool, error){t.destroySome, t.spendSome} {
			for some := true; some; {
				var err error
				if some, err = destroy(ctx, uc, now); err != nil {
					return fmt.Errorf("destroy old epochs of utility %v: %w", uc, err)
				}
				destroyed = destroyed || some
			}
		}
	}
	_, err := t.db.ExecContext(ctx, `DELETE FROM exchanges WHERE at <= ?`, now.Add(-limitedOver).Unix())
	if err != nil {
		return fmt.Errorf("forget exchanges that limit no more: %w", err)
	}
	if !destroyed {
		return nil
	}
	return registry.Erase(ctx, t.db)
}

// destroySome forgets what is due of a utility's epochs, at most so many that
// its messages do not wait long, and tells whether there were any.
func (t *TTP) destroySome(ctx context.Context, uc wattveil.UCNumber, now time.Time) (some bool, err error) {
	release, err := t.turns.take(ctx, uc)
	if err != nil {
		return false, err
	}
	defer release()
	err = registry.Tx(ctx, t.db, func(tx *sql.Tx) error {
		due, err := dueEpochs(ctx, tx, uc, now)
		for _, d := range due {
			if err := t.destroy(ctx, tx, d.meter, d.epoch); err != nil {
				return err
			}
		}
		some = len(due) > 0
		return err
	})
	return some, err
}

type dueEpoch struct {
	meter wattveil.Meter
	epoch wattveil.Epoch
	state string // of a quiet one
}

const destroyedAtOnce = 64

func dueEpochs(ctx context.Context, tx *sql.Tx, uc wattveil.UCNumber, now time.Time) (due []dueEpoch, err error) {
	rows, err := tx.QueryContext(ctx, `
		SELECT an_id, epoch FROM sessions WHERE uc = ?1 AND successor_at <= ?2
		UNION
		SELECT an_id, epoch FROM sessions WHERE uc = ?1 AND state = 'pending' AND created <= ?3
		LIMIT ?4`,
		uc, now.Add(-keptAfter).Unix(), now.Add(-pendingFor).Unix(), destroyedAtOnce)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var anID int64
		d := dueEpoch{meter: wattveil.Meter{UC: uc}}
		if err := rows.Scan(&anID, &d.epoch); err != nil {
			return nil, err
		}
		d.meter.Pseudonym = wattveil.Pseudonym(anID)
		due = append(due, d)
	}
	return due, rows.Err()
}

// destroy forgets an epoch but for what tells its claim code: digests first, so that a stop in between leaves
// keys that the next round finds again. The caller has the utility's turn.
func (t *TTP) destroy(ctx context.Context, tx *sql.Tx, m wattveil.Meter, epoch wattveil.Epoch) error {
	if err := t.cfg.Readings.DropEpoch(ctx, m, epoch); err != nil {
		return fmt.Errorf("forget digests of epoch %d of %v: %w", epoch, m, err)
	}
	if err := t.retireCode(ctx, tx, m, epoch); err != nil {
		return fmt.Errorf("retire the claim code of epoch %d of %v: %w", epoch, m, err)
	}
	_, err := tx.ExecContext(ctx, `DELETE FROM sessions WHERE uc = ? AND an_id = ? AND epoch = ?`,
		m.UC, int64(m.Pseudonym), epoch)
	if err != nil {
		return fmt.Errorf("destroy epoch %d of %v: %w", epoch, m, err)
	}
	t.sessions.Remove(sessionName{m, epoch.Low()})
	return nil
}
