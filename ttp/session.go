package ttp

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
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

// session is an epoch held ready in memory.
type session struct {
	key    *open.Key
	series wattveil.Series
	active atomic.Bool

	mu   sync.Mutex
	used bool             // a counter was stored
	high wattveil.Counter // the highest of them
}

// fresh tells whether a counter is above all that are stored, so that nothing
// need be looked up for it.
func (s *session) fresh(c wattveil.Counter) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.used || c > s.high
}

// stored notes that a counter was made durable.
func (s *session) stored(c wattveil.Counter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.used || c > s.high {
		s.used, s.high = true, c
	}
}

// errNoSession: no live epoch has this low byte.
var errNoSession = errors.New("no session")

// session finds the session of a header, in memory or in the registry.
func (t *TTP) session(ctx context.Context, name sessionName) (*session, error) {
	if s, ok := t.sessions.Get(name); ok {
		return s, nil
	}
	var epoch wattveil.Epoch
	var state string
	var series wattveil.Series
	var box []byte
	found, err := registry.Find(t.db.QueryRowContext(ctx,
		`SELECT epoch, state, series, keys FROM sessions WHERE uc = ? AND an_id = ? AND low = ? AND state <> ?`,
		name.meter.UC, int64(name.meter.Pseudonym), name.low, stateClosed), &epoch, &state, &series, &box)
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
	s := &session{series: series}
	s.active.Store(state == stateActive)
	if s.key, err = open.NewKey(name.meter, epoch, &keys.Up); err != nil {
		return nil, err
	}
	if s.high, s.used, err = t.cfg.Readings.LastCounter(ctx, name.meter, epoch); err != nil {
		return nil, fmt.Errorf("last counter of %v: %w", name.meter, err)
	}
	if kept, loaded, _ := t.sessions.PeekOrAdd(name, s); loaded {
		return kept, nil // another request was faster: share its counter
	}
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
// ones as succeeded.
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
		s.active.Store(true)
	}
	return nil
}

// closeEpoch ends an epoch in which a counter was used twice.
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
	t.sessions.Remove(sessionName{m, epoch.Low()})
	if err != nil {
		return fmt.Errorf("close epoch %d of %v: %w", epoch, m, err)
	}
	return nil
}

// eventCounterReuse is the kind of event that closes an epoch.
const eventCounterReuse = "counter-reuse"

// destroyOldEpochs forgets exchanges that nobody confirmed in time, and keys
// and digests of epochs that have long had a successor.
func (t *TTP) destroyOldEpochs(ctx context.Context, now time.Time) error {
	rows, err := t.db.QueryContext(ctx, `
		SELECT uc, an_id, epoch FROM sessions WHERE successor_at <= ?
		UNION ALL
		SELECT uc, an_id, epoch FROM sessions WHERE state = 'pending' AND created <= ?`,
		now.Add(-keptAfter).Unix(), now.Add(-pendingFor).Unix())
	if err != nil {
		return fmt.Errorf("find old epochs: %w", err)
	}
	type old struct {
		meter wattveil.Meter
		epoch wattveil.Epoch
	}
	var list []old
	for rows.Next() {
		var o old
		var anID int64
		if err := rows.Scan(&o.meter.UC, &anID, &o.epoch); err != nil {
			return errors.Join(fmt.Errorf("find old epochs: %w", err), rows.Close())
		}
		o.meter.Pseudonym = wattveil.Pseudonym(anID)
		list = append(list, o)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return fmt.Errorf("find old epochs: %w", err)
	}
	for _, o := range list {
		if err := t.destroy(ctx, t.db, o.meter, o.epoch); err != nil {
			return err
		}
	}
	return nil
}

// destroy forgets an epoch: digests first, so that a stop in between leaves
// keys that the next round finds again.
func (t *TTP) destroy(ctx context.Context, db execer, m wattveil.Meter, epoch wattveil.Epoch) error {
	if err := t.cfg.Readings.DropEpoch(ctx, m, epoch); err != nil {
		return fmt.Errorf("forget digests of epoch %d of %v: %w", epoch, m, err)
	}
	_, err := db.ExecContext(ctx, `DELETE FROM sessions WHERE uc = ? AND an_id = ? AND epoch = ?`,
		m.UC, int64(m.Pseudonym), epoch)
	if err != nil {
		return fmt.Errorf("destroy epoch %d of %v: %w", epoch, m, err)
	}
	t.sessions.Remove(sessionName{m, epoch.Low()})
	return nil
}
