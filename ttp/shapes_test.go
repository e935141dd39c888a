package ttp

import (
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/consumer"
	"github.com/wattveil/wattveil/gate"
	"github.com/wattveil/wattveil/tariff"
)

// sweepAll goes on until a whole sweep has been made that began after now.
func (r *rig) sweepAll() {
	r.t.Helper()
	for begun := 0; begun < 2; {
		must(r.t, r.forgetShapes(r.t.Context(), r.clock.Now()))
		if r.sweep.unused == nil && r.sweep.end == nil {
			begun++
		}
	}
}

// shapesOf are the shapes of a meter's bills that are there, and those that are not.
func (r *rig) shapesOf(m *ledger) (there, gone int) {
	r.t.Helper()
	err := each(r.t.Context(), r.db, func(rows *sql.Rows) error {
		var kept bool
		if err := rows.Scan(&kept); err != nil {
			return err
		}
		if kept {
			there++
		} else {
			gone++
		}
		return nil
	}, `SELECT EXISTS (SELECT 1 FROM shapes s WHERE s.digest = b.shape) FROM bills b WHERE b.uc = ? AND b.an_id = ?`, m.name.UC, int64(m.name.Pseudonym))
	must(r.t, err)
	return there, gone
}

// checkNamed demands that each shape that a history names is there.
func (r *rig) checkNamed() {
	r.t.Helper()
	err := each(r.t.Context(), r.db, func(rows *sql.Rows) error {
		var raw []byte
		if err := rows.Scan(&raw); err != nil {
			return err
		}
		h, err := gate.ParseHistory(raw)
		for _, digest := range h.Shapes() {
			if _, err := r.shapeLookup(r.t.Context())(digest); err != nil {
				r.t.Errorf("shape %x: %v", digest, err)
			}
		}
		return err
	}, `SELECT history FROM histories`)
	must(r.t, err)
}

// Shapes go 400 days after their period, those with gaps and those without;
// what histories and open bills name stays, and the checks that look it up pass.
func TestForgetShapes(t *testing.T) {
	r := newRig(t, nil)
	r.sweep.step, r.sweep.most = 2, 3 // many steps, and many sweeps
	c := r.company("north.example")
	must(t, c.putTariffNow(twoBands))
	a := c.asker()
	feb := date(2026, 2, 1)
	month := func(i int) time.Time { return feb.AddDate(0, i, 0) }
	gap := between(date(2026, 2, 10), date(2026, 2, 13))
	over := between(date(2026, 3, 30), date(2026, 4, 3)) // the end of a period
	regular, moved, late := c.ledger(1, 3600, feb.Add(-24*time.Hour).Unix()), c.ledger(2, 3600, feb.Add(-24*time.Hour).Unix()), c.ledger(3, 3600, feb.Add(-24*time.Hour).Unix())
	regular.read(month(20), gap)
	moved.read(month(20), over)
	late.read(month(20), gap)
	for i := range 17 {
		r.at(month(i + 1).Add(48 * time.Hour))
		a.passes(t, regular, "two", month(i), month(i+1), "")
		if i < 2 {
			a.passes(t, moved, "two", month(i), month(i+1), "")
		}
		for first := 0; i >= 10 && first <= i; first++ { // all of the first year at once, then month by month
			a.passes(t, late, "two", month(first), month(first+1), "")
		}
	}
	r.at(month(17).Add(72 * time.Hour)) // February, March and April of 2026 are over for 400 days
	r.sweepAll()
	r.checkNamed()
	for m, want := range map[*ledger][2]int{regular: {14, 3}, moved: {2, 0}, late: {15, 2}} {
		if there, gone := r.shapesOf(m); [2]int{there, gone} != want {
			t.Errorf("meter %v: %d shapes are there and %d gone, want %v", m.name, there, gone, want)
		}
	}
	// The moved meter is billed on into its gap. Of the late one February is
	// open, but too old to be corrected or carried: the consumer is told.
	a.passes(t, moved, "two", month(2), month(3), "")
	late.deliver()
	r.at(month(18).Add(48 * time.Hour))
	a.passes(t, late, "two", month(17), month(18), "")
	if n := r.count("disclosures WHERE kind = 'unsettled' AND an_id = 3"); n != 1 {
		t.Errorf("%d bills are unsettled, want 1", n)
	}
	a.passes(t, regular, "two", month(17), month(18), "")
}

// A shape with gaps goes as soon for a meter whose consumer has chosen no
// corrections, or totals alone, as for its twin without a choice. What was
// deleted stays out of bills if the gate is loosened later.
func TestForgetShapesWhateverIsChosen(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	must(t, c.putTariffNow(twoBands))
	a := c.asker()
	feb := date(2026, 2, 1)
	month := func(i int) time.Time { return feb.AddDate(0, i, 0) }
	var meters []*ledger
	_, err := r.db.Exec(`INSERT INTO accounts (account, created) VALUES (x'01', 0)`)
	must(t, err)
	for i, choice := range []consumer.Choices{
		{Profile: consumer.Full}, {Profile: consumer.Full, NoCorrections: true}, {Profile: consumer.Totals},
	} {
		m := c.ledger(wattveil.Pseudonym(i+1), 3600, feb.Add(-24*time.Hour).Unix())
		m.read(month(18), between(date(2026, 2, 10), date(2026, 2, 13)))
		_, err := r.db.Exec(`INSERT INTO claims (uc, an_id, account, ref, since) VALUES (?, ?, x'01', ?, 0)`, m.name.UC, int64(m.name.Pseudonym), fmt.Sprint(i))
		must(t, err)
		must(t, r.Consumers().Choose(t.Context(), m.name, choice))
		meters = append(meters, m)
	}
	for i := range 17 {
		r.at(month(i + 1).Add(48 * time.Hour))
		for _, m := range meters {
			a.passes(t, m, "two", month(i), month(i+1), "")
		}
	}
	r.at(month(17).Add(72 * time.Hour))
	r.sweepAll()
	r.checkNamed()
	for _, m := range meters {
		if there, gone := r.shapesOf(m); there != 14 || gone != 3 {
			t.Errorf("meter %v: %d shapes are there and %d gone, want 14 and 3", m.name, there, gone)
		}
	}
	if n := r.count("bills WHERE open = 1 AND an_id = 2"); n != 1 {
		t.Errorf("%d bills are open of the meter without corrections, want the first", n)
	}

	must(t, r.Consumers().Choose(t.Context(), meters[1].name, consumer.Choices{Profile: consumer.Full}))
	must(t, r.SetGate(t.Context(), c.org, gate.Settings{CorrectableFor: 1000}))
	r.at(month(18).Add(48 * time.Hour))
	meters[1].deliver()
	a.passes(t, meters[1], "two", month(17), month(18), "")
	if n := r.count("disclosures WHERE kind = 'unsettled' AND an_id = 2"); n != 1 {
		t.Errorf("%d bills are unsettled, want 1", n)
	}
}

// A sweep finds its place by the index, however many shapes there are.
func TestOldShapesAreFoundByIndex(t *testing.T) {
	r := newRig(t, nil)
	plan := ""
	err := each(t.Context(), r.db, func(rows *sql.Rows) error {
		var id, parent, unused int
		var detail string
		err := rows.Scan(&id, &parent, &unused, &detail)
		plan += detail + "\n"
		return err
	}, "EXPLAIN QUERY PLAN "+oldShapes, []byte{}, make([]byte, 32), []byte{1, 0, 0, 0, 0}, 3)
	must(t, err)
	if want := "SEARCH shapes USING COVERING INDEX shapes_by_end (<expr>>? AND <expr><?)\n"; plan != want {
		t.Errorf("the plan is %q, want %q", plan, want)
	}
}

// A sweep that cannot begin passes over nothing: the next takes the same shapes.
func TestSweepThatCannotBegin(t *testing.T) {
	r := newRig(t, nil)
	r.sweep.most = 2
	r.company("north.example")
	for i := range 3 {
		shape := make([]byte, 16) // it ended in 1970
		shape[15] = byte(i)
		digest := make([]byte, 32)
		digest[0] = byte(i)
		_, err := r.db.Exec(`INSERT INTO shapes (digest, shape) VALUES (?, ?)`, digest, shape)
		must(t, err)
	}
	_, err := r.db.Exec(`ALTER TABLE bills RENAME COLUMN open TO ajar`)
	must(t, err)
	if err := r.forgetShapes(t.Context(), r.clock.Now()); err == nil {
		t.Fatal("it begins without knowing which bills are open")
	}
	_, err = r.db.Exec(`ALTER TABLE bills RENAME COLUMN ajar TO open`)
	must(t, err)
	must(t, r.forgetShapes(t.Context(), r.clock.Now()))
	if n := len(r.sweep.unused); n != 2 {
		t.Errorf("it takes %d shapes, want the first 2", n)
	}
	for range 2 {
		must(t, r.forgetShapes(t.Context(), r.clock.Now()))
	}
	if n := r.count("shapes"); n != 1 {
		t.Errorf("%d shapes are left, want that of the next sweep", n)
	}
}

// A peak that no ratchet can take goes; the others stay, each meter's by its own
// latest.
func TestForgetPeaks(t *testing.T) {
	r := newRig(t, nil)
	r.sweep.step = 2
	now := tariff.MonthOf(r.clock.Now().Unix() / secondsPerDay)
	keep := func(p wattveil.Pseudonym, months ...tariff.Month) {
		_, err := r.db.Exec(`INSERT INTO histories (uc, an_id, history) VALUES (7, ?, x'')`, int64(p))
		must(t, err)
		for _, m := range months {
			_, err := r.db.Exec(`INSERT INTO peaks (uc, an_id, demand, month, watts) VALUES (7, ?, 'all', ?, 1000)`, int64(p), int(m))
			must(t, err)
		}
	}
	keep(1, now, now-38, now-39, now-40)
	keep(1<<63+1, now-100, now-138, now-139) // its number is negative in the registry
	for p := range wattveil.Pseudonym(5) {
		keep(10+p, now-39, now)
	}
	r.sweepAll()
	if n := r.count("peaks"); n != 2+2+5 {
		t.Errorf("%d peaks are kept, want 9", n)
	}
	if n := r.count("peaks WHERE an_id = ? AND month >= ?", int64(-1<<63+1), int(now-138)); n != 2 {
		t.Errorf("%d peaks of a meter of long ago, want 2", n)
	}
}
