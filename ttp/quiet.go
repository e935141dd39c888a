package ttp

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/internal/registry"
	"github.com/wattveil/wattveil/wire"
)

// The newest epoch of a meter has no successor, and its keys would stay for
// good where the meter never comes again: a pseudonym that has ended. So they
// go when nothing new has opened under it for long after its lifetime
// (spec/protocol.md section 5.3).

// noteEvery is how often it is noted, at most, that an epoch is still used after
// its lifetime.
const noteEvery = 24 * time.Hour

// noteUse moves the time since which sessions are quiet, for those of a batch
// whose lifetime is over and of which something new is stored. The caller has
// the utility's turn.
func (t *TTP) noteUse(ctx context.Context, batch []opened) {
	now := t.cfg.Now().Unix()
	for i := range batch {
		o := &batch[i]
		if !o.kept || o.verdict != wire.Durable || now < o.session.quiet+int64(noteEvery/time.Second) {
			continue
		}
		_, err := t.db.ExecContext(ctx, `UPDATE sessions SET quiet = ? WHERE uc = ? AND an_id = ? AND epoch = ?`,
			now, o.meter.UC, int64(o.meter.Pseudonym), o.block.Epoch)
		if err != nil { // the next message notes it
			t.cfg.Log.Error("use of an epoch not noted", "meter", o.meter, "error", err)
			continue
		}
		o.session.quiet = now
	}
}

// spendSome destroys the traffic keys of epochs of a utility that are quiet, at
// most so many that its messages do not wait long, and tells whether there were
// any.
func (t *TTP) spendSome(ctx context.Context, uc wattveil.UCNumber, now time.Time) (some bool, err error) {
	release, err := t.turns.take(ctx, uc)
	if err != nil {
		return false, err
	}
	defer release()
	err = registry.Tx(ctx, t.db, func(tx *sql.Tx) error {
		due, err := quietEpochs(ctx, tx, uc, now)
		for _, d := range due {
			if err := t.spend(ctx, tx, d); err != nil {
				return fmt.Errorf("epoch %d of %v: %w", d.epoch, d.meter, err)
			}
		}
		some = len(due) > 0
		return err
	})
	return some, err
}

func quietEpochs(ctx context.Context, tx *sql.Tx, uc wattveil.UCNumber, now time.Time) (due []dueEpoch, err error) {
	rows, err := tx.QueryContext(ctx, `
		SELECT an_id, epoch, state FROM sessions
		WHERE uc = ?1 AND quiet <= ?2 AND successor_at IS NULL AND spent = 0 AND state <> ?3 LIMIT ?4`,
		uc, now.Add(-keptAfter).Unix(), statePending, destroyedAtOnce)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var anID int64
		d := dueEpoch{meter: wattveil.Meter{UC: uc}}
		if err := rows.Scan(&anID, &d.epoch, &d.state); err != nil {
			return nil, err
		}
		d.meter.Pseudonym = wattveil.Pseudonym(anID)
		due = append(due, d)
	}
	return due, rows.Err()
}

// spend destroys the traffic keys of a quiet epoch. Of an active one, which is
// its meter's newest, k_claim and k_chain stay: neither opens what was sent, and
// with them a meter that comes again shows a code that is known, and chains its
// next exchange.
func (t *TTP) spend(ctx context.Context, tx *sql.Tx, d dueEpoch) error {
	var box []byte
	if err := tx.QueryRowContext(ctx, `SELECT keys FROM sessions WHERE uc = ? AND an_id = ? AND epoch = ?`,
		d.meter.UC, int64(d.meter.Pseudonym), d.epoch).Scan(&box); err != nil {
		return err
	}
	keys, err := t.openKeys(d.meter, d.epoch, box)
	if d.state != stateActive || err != nil { // keys that do not open are of no use
		return t.destroy(ctx, tx, d.meter, d.epoch)
	}
	if err := t.cfg.Readings.DropEpoch(ctx, d.meter, d.epoch); err != nil {
		return fmt.Errorf("forget digests: %w", err)
	}
	left := wire.SessionKeys{Claim: keys.Claim, Chain: keys.Chain}
	_, err = tx.ExecContext(ctx, `
		UPDATE sessions SET spent = 1, keys = ?, m1 = x'', m2 = x'', transcript = x''
		WHERE uc = ? AND an_id = ? AND epoch = ?`,
		t.seal.Seal(keysContext(d.meter, d.epoch), left.Bytes()), d.meter.UC, int64(d.meter.Pseudonym), d.epoch)
	if err != nil {
		return err
	}
	t.sessions.Remove(sessionName{d.meter, d.epoch.Low()})
	return nil
}
