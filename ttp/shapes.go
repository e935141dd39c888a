package ttp

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/gate"
	"github.com/wattveil/wattveil/internal/registry"
)

// A shape with gaps is as private as readings, and few meters share one: what
// the gate looks up no more must go (spec/gate.md section 6). A sweep takes
// shapes that are old, strikes off those that a history names, or a bill that
// may still be corrected, and deletes the rest. It goes on by a step with each
// upkeep and reads outside of transactions, so that bills hardly wait for it. A
// restart begins it anew.

// shapeSweep is how far a sweep has come.
type shapeSweep struct {
	mu     sync.Mutex
	step   int // histories in one upkeep, and deletions in one transaction
	most   int // shapes in one sweep
	end    []byte
	digest gate.Digest          // with end: the place of the last shape that a sweep took
	unused map[gate.Digest]bool // taken, and not named by anything so far; nil between sweeps
	bill   int64                // bills up to it were looked at
	meter  wattveil.Meter       // histories up to its were looked at
	walked bool                 // all histories were
}

const (
	sweepStep = 256
	sweepMost = 1 << 16 // they are held in memory

	// shapesKept is how long a shape is kept after the end of its period even if
	// nothing names it.
	shapesKept = 400 * 24 * time.Hour

	// peaksKept is how many months before its latest a meter's peak is kept: a
	// ratchet looks back 24, and a bill may be 400 days behind the latest.
	peaksKept = 24 + 14
)

// forgetShapes goes on with a sweep, or begins the next.
func (t *TTP) forgetShapes(ctx context.Context, now time.Time) error {
	s := &t.sweep
	s.mu.Lock()
	defer s.mu.Unlock()
	gone, err := s.goOn(ctx, t, now)
	if err == nil && gone {
		err = registry.Erase(ctx, t.db)
	}
	if err != nil {
		return fmt.Errorf("forget what the gate needs no more: %w", err)
	}
	return nil
}

// goOn makes the next step, and tells whether anything is gone.
func (s *shapeSweep) goOn(ctx context.Context, t *TTP, now time.Time) (gone bool, err error) {
	if s.unused == nil {
		if err := s.begin(ctx, t, now); err != nil {
			s.unused = nil
			return false, err
		}
	}
	if !s.walked {
		return s.walk(ctx, t.db)
	}
	if gone, err = s.delete(ctx, t.db); err == nil && len(s.unused) == 0 {
		s.unused = nil
	}
	return gone, err
}

// oldShapes are those before a time that come after one of them. The first term
// has no use but that the index finds the place by it.
const oldShapes = `SELECT substr(shape, 12, 5), digest FROM shapes
	WHERE substr(shape, 12, 5) >= ?1 AND (substr(shape, 12, 5), digest) > (?1, ?2) AND substr(shape, 12, 5) < ?3
	ORDER BY substr(shape, 12, 5), digest LIMIT ?4`

// begin takes the next old shapes.
func (s *shapeSweep) begin(ctx context.Context, t *TTP, now time.Time) error {
	s.unused, s.meter, s.walked = make(map[gate.Digest]bool), wattveil.Meter{}, false
	if err := t.db.QueryRowContext(ctx, `SELECT coalesce(max(id), 0) FROM bills`).Scan(&s.bill); err != nil {
		return err
	}
	until := binary.BigEndian.AppendUint64(nil, uint64(now.Add(-shapesKept).Unix()))[3:] // five bytes, as in a shape
	end, digest := append([]byte{}, s.end...), s.digest
	err := each(ctx, t.db, func(rows *sql.Rows) error {
		var raw []byte
		if err := rows.Scan(&end, &raw); err != nil {
			return err
		}
		digest = gate.Digest(raw)
		s.unused[digest] = true
		return nil
	}, oldShapes, end, digest[:], until, s.most)
	if err != nil {
		return err
	}
	if len(s.unused) < s.most {
		end, digest = nil, gate.Digest{} // these were the last
	}
	if err := s.strikeOpen(ctx, t, now); err != nil {
		return err
	}
	s.end, s.digest = end, digest
	return nil
}

// strikeOpen strikes off what bills name that may still be corrected: their
// histories may name it no more. Older ones can be open for years, if a meter
// has no later bill or its consumer has chosen no corrections.
func (s *shapeSweep) strikeOpen(ctx context.Context, t *TTP, now time.Time) error {
	var utilities []wattveil.UCNumber
	err := each(ctx, t.db, func(rows *sql.Rows) error {
		var uc wattveil.UCNumber
		if err := rows.Scan(&uc); err != nil {
			return err
		}
		utilities = append(utilities, uc)
		return nil
	}, `SELECT number FROM utilities`)
	if err != nil {
		return err
	}
	for _, uc := range utilities {
		d, err := t.desk(ctx, uc)
		if err != nil {
			return err
		}
		days := d.gate.Settings().CorrectableFor + 2                                                      // correct counts whole days, and requests are under way
		err = s.strike(ctx, t.db, `SELECT 0, shape FROM bills WHERE open = 1 AND uc = ? AND issued >= ?`, // 0: bills that are not open may lie between
			uc, now.Unix()-int64(days)*secondsPerDay)
		if err != nil {
			return err
		}
	}
	return nil
}

// strike strikes off what bills name.
func (s *shapeSweep) strike(ctx context.Context, db queryer, query string, args ...any) error {
	return each(ctx, db, func(rows *sql.Rows) error {
		var id int64
		var raw []byte
		if err := rows.Scan(&id, &raw); err != nil {
			return err
		}
		s.bill = max(s.bill, id)
		delete(s.unused, gate.Digest(raw))
		return nil
	}, query, args...)
}

// strikeNew strikes off what was told since the sweep began: an old shape may
// be told anew.
func (s *shapeSweep) strikeNew(ctx context.Context, db queryer) error {
	return s.strike(ctx, db, `SELECT id, shape FROM bills WHERE id > ?`, s.bill)
}

// walk strikes off what the next histories name, and deletes peaks of their
// meters that no ratchet takes.
func (s *shapeSweep) walk(ctx context.Context, db *sql.DB) (gone bool, err error) {
	first, n := s.meter, 0
	err = each(ctx, db, func(rows *sql.Rows) error {
		var anID int64
		var raw []byte
		if err := rows.Scan(&s.meter.UC, &anID, &raw); err != nil {
			return err
		}
		n++
		s.meter.Pseudonym = wattveil.Pseudonym(anID)
		history, err := gate.ParseHistory(raw)
		if err != nil {
			return fmt.Errorf("history of %v: %w", s.meter, err)
		}
		for _, digest := range history.Shapes() {
			delete(s.unused, digest)
		}
		return nil
	}, `SELECT uc, an_id, history FROM histories WHERE (uc, an_id) > (?, ?) ORDER BY uc, an_id LIMIT ?`, first.UC, int64(first.Pseudonym), s.step)
	if err != nil {
		return false, err
	}
	s.walked = n < s.step
	if err := s.strikeNew(ctx, db); err != nil || n == 0 {
		return false, err
	}
	done, err := db.ExecContext(ctx, `DELETE FROM peaks WHERE (uc, an_id) > (?1, ?2) AND (uc, an_id) <= (?3, ?4)
		AND month < (SELECT max(p.month) FROM peaks p WHERE p.uc = peaks.uc AND p.an_id = peaks.an_id) - ?5`,
		first.UC, int64(first.Pseudonym), s.meter.UC, int64(s.meter.Pseudonym), peaksKept)
	if err != nil {
		return false, err
	}
	deleted, err := done.RowsAffected()
	return deleted > 0, err
}

// delete deletes some of what nothing names. Bills are made in transactions,
// too: none can name it before it is gone.
func (s *shapeSweep) delete(ctx context.Context, db *sql.DB) (gone bool, err error) {
	if err := s.strikeNew(ctx, db); err != nil || len(s.unused) == 0 {
		return false, err
	}
	var batch []gate.Digest
	err = registry.Tx(ctx, db, func(tx *sql.Tx) error {
		if err := s.strikeNew(ctx, tx); err != nil {
			return err
		}
		for digest := range s.unused {
			if len(batch) == s.step {
				break
			}
			if _, err := tx.ExecContext(ctx, `DELETE FROM shapes WHERE digest = ?`, digest[:]); err != nil {
				return err
			}
			batch = append(batch, digest)
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	for _, digest := range batch {
		delete(s.unused, digest)
	}
	return len(batch) > 0, nil
}
