package ttp

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/consumer"
	"github.com/wattveil/wattveil/internal/registry"
	"github.com/wattveil/wattveil/vee"
)

// Erasing goes in steps, so that a stop between any two of them is made good
// later: it is noted up to when a meter's readings go, and from then on ingest
// takes none of those days; they are counted; the store erases them; it is
// noted that this is done (spec/portal.md section 15.3).

// billRow is a bill as far as erasing is concerned.
type billRow struct {
	from, to, issued int64
	open             bool // late readings may correct it
}

func (t *TTP) billRows(ctx context.Context, m wattveil.Meter) (list []billRow, err error) {
	err = each(ctx, t.db, func(rows *sql.Rows) error {
		var b billRow
		err := rows.Scan(&b.from, &b.to, &b.issued, &b.open)
		list = append(list, b)
		return err
	}, `SELECT from_second, to_second, issued, open FROM bills WHERE uc = ? AND an_id = ? ORDER BY from_second, to_second`, m.UC, int64(m.Pseudonym))
	if err != nil {
		return nil, fmt.Errorf("bills of %v: %w", m, err)
	}
	return list, nil
}

// finallyBilled is the end of the row of bills that begins with the first and
// of which every one is passed; 0 if there is none. Bills rise by their start.
func finallyBilled(bills []billRow, passed func(billRow) bool) (end int64) {
	for i, b := range bills {
		switch {
		case i > 0 && b.from > end || !passed(b):
			return end
		case b.to > end:
			end = b.to
		}
	}
	return end
}

// finalUpTo is the end of what is finally billed of a meter, of the bills that
// due lets pass; 0 if nothing is (spec/portal.md section 15.2).
func (t *TTP) finalUpTo(ctx context.Context, m wattveil.Meter, ch consumer.Choices, due func(billRow) bool) (int64, error) {
	bills, err := t.billRows(ctx, m)
	if err != nil || len(bills) == 0 {
		return 0, err
	}
	desk, err := t.desk(ctx, m.UC)
	if err != nil {
		return 0, err
	}
	days := int64(desk.gate.Settings().CorrectableFor)
	latest := bills[len(bills)-1].to
	if open, err := t.anyReading(ctx, m, max(0, latest-days*secondsPerDay), bills[0].from-secondsPerDay); err != nil || open {
		return 0, err // of what is before the first bill one may still be made
	}
	now := t.cfg.Now().Unix()
	return finallyBilled(bills, func(b billRow) bool {
		return due(b) && (!b.open || ch.Final() || now > b.issued+days*secondsPerDay)
	}), nil
}

// anyReading tells whether a meter has a reading in a period.
func (t *TTP) anyReading(ctx context.Context, m wattveil.Meter, from, to int64) (bool, error) {
	for ; from < to; from += secondsPerDay {
		f, err := t.cfg.Readings.Read(ctx, m, from, min(from+secondsPerDay, to)-1)
		if err != nil || len(f.Runs) > 0 {
			return err == nil, err
		}
	}
	return false, nil
}

// erasableBefore is the midnight before which readings may go once bills are
// final up to a time; 0 if none may.
func erasableBefore(billed int64) int64 {
	at := billed - referenceBack
	return max(0, at-at%secondsPerDay)
}

// referenceBack is how far back from its start a bill looks for days like its
// own, in seconds.
const referenceBack = int64(vee.Margin / time.Second)

// erase begins an erasure and carries it out. The caller has made sure that
// what is before may go.
func (t *TTP) erase(ctx context.Context, m wattveil.Meter, before int64, chosen bool) error {
	id, begun, err := t.beginErasure(ctx, m, before, chosen)
	if err != nil || !begun {
		return err
	}
	return t.carryOut(ctx, id, m, before)
}

// beginErasure notes that a meter's readings go, and lets no more of them in.
func (t *TTP) beginErasure(ctx context.Context, m wattveil.Meter, before int64, chosen bool) (id int64, begun bool, err error) {
	release, err := t.turns.take(ctx, m.UC)
	if err != nil {
		return 0, false, err
	}
	defer release()
	var lows []byte
	err = registry.Tx(ctx, t.db, func(tx *sql.Tx) error {
		done, err := tx.ExecContext(ctx, `UPDATE meters SET erased = ?3 WHERE uc = ?1 AND an_id = ?2 AND erased < ?3`, m.UC, int64(m.Pseudonym), before)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return err
		}
		begun = true
		_, err = tx.ExecContext(ctx, `UPDATE bills SET open = 0 WHERE uc = ? AND an_id = ? AND open = 1 AND from_second < ?`,
			m.UC, int64(m.Pseudonym), before+referenceBack) // they cannot be computed again
		if err != nil {
			return err
		}
		if err := forgetRaised(ctx, tx, m, before); err != nil {
			return err
		}
		if lows, err = lowsOf(ctx, tx, m); err != nil {
			return err
		}
		return tx.QueryRowContext(ctx, `INSERT INTO erasures (uc, an_id, before, chosen, at, done) VALUES (?, ?, ?, ?, ?, 0) RETURNING id`,
			m.UC, int64(m.Pseudonym), before, chosen, t.cfg.Now().Unix()).Scan(&id)
	})
	if err != nil {
		return 0, false, fmt.Errorf("begin to erase readings of %v: %w", m, err)
	}
	for _, low := range lows { // they learn of it when they are loaded again
		t.sessions.Remove(sessionName{m, low})
	}
	return id, begun, nil
}

// lowsOf are the names of a meter's epochs within it.
func lowsOf(ctx context.Context, db queryer, m wattveil.Meter) (list []byte, err error) {
	err = each(ctx, db, func(rows *sql.Rows) error {
		var low byte
		err := rows.Scan(&low)
		list = append(list, low)
		return err
	}, `SELECT low FROM sessions WHERE uc = ? AND an_id = ?`, m.UC, int64(m.Pseudonym))
	return list, err
}

// carryOut counts what goes, lets the store erase it and notes that this is
// done. It may be called again.
func (t *TTP) carryOut(ctx context.Context, id int64, m wattveil.Meter, before int64) error {
	var counted sql.NullInt64
	err := t.db.QueryRowContext(ctx, `SELECT readings FROM erasures WHERE id = ?`, id).Scan(&counted)
	if err == nil && !counted.Valid {
		var n int64
		if n, err = t.countBefore(ctx, m, before); err == nil {
			_, err = t.db.ExecContext(ctx, `UPDATE erasures SET readings = ? WHERE id = ? AND readings IS NULL`, n, id)
		}
	}
	if err == nil {
		err = t.cfg.Readings.Erase(ctx, m, before)
	}
	if err == nil {
		err = registry.Erase(ctx, t.db) // what alerts told
	}
	if err == nil {
		_, err = t.db.ExecContext(ctx, `UPDATE erasures SET done = 1 WHERE id = ?`, id)
	}
	if err != nil {
		return fmt.Errorf("erase readings of %v: %w", m, err)
	}
	return nil
}

// countBefore counts the readings before a second, in parts that fit into
// memory.
func (t *TTP) countBefore(ctx context.Context, m wattveil.Meter, before int64) (n int64, err error) {
	const part = 31 * secondsPerDay
	for at := int64(0); at < before; at += part {
		f, err := t.cfg.Readings.Read(ctx, m, at, min(at+part, before)-1)
		if err != nil {
			return 0, err
		}
		for _, run := range f.Runs {
			n += int64(len(run.Readings))
		}
	}
	return n, nil
}

// begunErasure is one that was not seen to its end.
type begunErasure struct {
	id     int64
	meter  wattveil.Meter
	before int64
}

// finishErasures carries out what a stop left undone.
func (t *TTP) finishErasures(ctx context.Context) error {
	list, err := t.begunErasures(ctx)
	for _, b := range list {
		err = errors.Join(err, t.carryOut(ctx, b.id, b.meter, b.before))
	}
	return err
}

func (t *TTP) begunErasures(ctx context.Context) (list []begunErasure, err error) {
	err = each(ctx, t.db, func(rows *sql.Rows) error {
		var b begunErasure
		var anID int64
		err := rows.Scan(&b.id, &b.meter.UC, &anID, &b.before)
		b.meter.Pseudonym = wattveil.Pseudonym(anID)
		list = append(list, b)
		return err
	}, `SELECT id, uc, an_id, before FROM erasures WHERE done = 0 ORDER BY id`)
	if err != nil {
		return nil, fmt.Errorf("erasures that are not done: %w", err)
	}
	return list, nil
}
