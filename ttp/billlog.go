package ttp

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/internal/registry"
	"github.com/wattveil/wattveil/transparency"
	"github.com/wattveil/wattveil/wire"
)

// answer brings bills to the log, where they are not there yet, and says what
// came of each meter.
func (r *billRun) answer(ctx context.Context, logSize uint64) (*wire.BillsAnswer, error) {
	var kept []*keptBill
	for _, d := range r.drafts {
		for _, k := range [...]*keptBill{d.kept, d.given} {
			if k != nil {
				kept = append(kept, k)
			}
		}
	}
	out := &wire.BillsAnswer{Bills: make([]wire.BillAnswer, len(r.order))}
	logged := make(map[*keptBill]wire.LoggedBill, len(kept))
	if len(kept) > 0 {
		if err := r.publish(ctx, kept); err != nil {
			return nil, err
		}
		checkpoint, err := r.log.Checkpoint(ctx, logSize)
		if err != nil {
			return nil, err
		}
		out.Checkpoint, out.Consistency = checkpoint.Text, checkpoint.Consistency
		if err := r.prove(ctx, checkpoint.Size, kept, logged); err != nil {
			return nil, err
		}
	}
	for i, d := range r.order {
		out.Bills[i] = r.answerOf(d, logged)
	}
	return out, nil
}

func (r *billRun) answerOf(d *draft, logged map[*keptBill]wire.LoggedBill) wire.BillAnswer {
	a := wire.BillAnswer{Meter: d.name}
	if d.kept == nil {
		r.stats.noBills.Add(1)
		a.Class = peerClass(d.err)
		if refusal := refusalOf(d.err); refusal != nil {
			a.Rule = string(refusal.Rule)
		}
		r.counts.Add(a.Class)
		r.cfg.Log.Warn("no bill", "meter", d.meter, "class", string(a.Class), "rule", a.Rule, "error", d.err)
		return a
	}
	r.stats.bills.Add(1)
	a.LoggedBill = logged[d.kept]
	if c := d.given; c != nil {
		a.Correction = &wire.CorrectionAnswer{Tariff: c.tariff, From: unixTime(c.from).UTC(), To: unixTime(c.to).UTC(), LoggedBill: logged[c]}
	}
	return a
}

// publish adds the bills that have no place in the log and keeps their places.
// Places tell which of a meter's bills was made first (spec/bill.md section 9),
// so those come before that were made before, and that a stop or another request
// has left without a place so far.
func (t *TTP) publish(ctx context.Context, kept []*keptBill) error {
	earlier, err := t.leftOut(ctx, kept)
	if err != nil {
		return fmt.Errorf("bills without a place in the log: %w", err)
	}
	for _, list := range [...][]*keptBill{earlier, kept} {
		if err := t.addToLog(ctx, list); err != nil {
			return err
		}
	}
	return nil
}

// leftOut are bills without a place that were made before some of these, of
// their meters, in the order in which they were made.
func (t *TTP) leftOut(ctx context.Context, kept []*keptBill) (list []*keptBill, err error) {
	err = each(ctx, t.db, func(rows *sql.Rows) error {
		k := &keptBill{}
		list = append(list, k)
		return scanKept(rows, k)
	}, `WITH asked AS (SELECT value AS id FROM json_each(?))
		SELECT b.id, b.salt, b.jws, NULL FROM bills b WHERE b.id IN (
			SELECT e.id FROM asked JOIN bills a ON a.id = asked.id JOIN bills e ON e.uc = a.uc AND e.an_id = a.an_id AND e.id < a.id
			WHERE NOT EXISTS (SELECT 1 FROM log_places p WHERE p.bill = e.id))
		AND b.id NOT IN (SELECT id FROM asked) ORDER BY b.id`, billIDs(kept))
	return list, err
}

// billIDs are those of bills without a place, as a JSON list.
func billIDs(kept []*keptBill) string {
	list := []byte{'['}
	for _, k := range kept {
		if k.place.Valid {
			continue
		}
		if len(list) > 1 {
			list = append(list, ',')
		}
		list = strconv.AppendInt(list, k.id, 10)
	}
	return string(append(list, ']'))
}

// addToLog adds the bills that have no place. One that was added by two requests
// at once is in the log twice, which is harmless; the first place that is kept
// counts.
func (t *TTP) addToLog(ctx context.Context, kept []*keptBill) error {
	var waiting []*keptBill
	var entries []transparency.Entry
	for _, k := range kept {
		if !k.place.Valid {
			waiting = append(waiting, k)
			entries = append(entries, transparency.Entry(bill.EntryOf(k.jws, k.salt)))
		}
	}
	if len(waiting) == 0 {
		return nil
	}
	places, err := t.log.Add(ctx, entries)
	if err != nil {
		return fmt.Errorf("%w: %w", wire.Unavailable, err)
	}
	err = registry.Tx(ctx, t.db, func(tx *sql.Tx) error {
		insert := tx.StmtContext(ctx, t.queries.keepPlace)
		for i, k := range waiting {
			if err := insert.QueryRowContext(ctx, k.id, int64(places[i])).Scan(&k.place); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("keep places in the log: %w", err)
	}
	return nil
}

// prove gives each bill its audit path in a log of a size.
func (t *TTP) prove(ctx context.Context, size uint64, kept []*keptBill, out map[*keptBill]wire.LoggedBill) error {
	places := make([]uint64, len(kept))
	for i, k := range kept {
		places[i] = uint64(k.place.Int64)
	}
	paths, err := t.log.Inclusion(ctx, size, places)
	if err != nil {
		return err
	}
	for i, k := range kept {
		out[k] = wire.LoggedBill{JWS: k.jws, Salt: k.salt.String(), Index: places[i], Hashes: paths[i]}
	}
	return nil
}

// handleProofs proves what is in the log under its newest checkpoint, for a
// utility that has cosigned another one since its bills were answered.
func (t *TTP) handleProofs(ctx context.Context, _ wattveil.UCNumber, body []byte) ([]byte, error) {
	var in wire.ProofsRequest
	if err := decode("proofs", body, &in); err != nil {
		return nil, err
	}
	if len(in.Places) > maxPlacesPerRequest {
		return nil, fmt.Errorf("%w: %d places in one request, at most %d", wire.Malformed, len(in.Places), maxPlacesPerRequest)
	}
	checkpoint, err := t.log.Checkpoint(ctx, in.LogSize)
	if err != nil {
		return nil, err
	}
	for _, place := range in.Places {
		if place >= checkpoint.Size {
			return nil, fmt.Errorf("%w: place %d is not in the log, which has %d entries", wire.Malformed, place, checkpoint.Size)
		}
	}
	out := wire.ProofsAnswer{Checkpoint: checkpoint.Text, Consistency: checkpoint.Consistency}
	if out.Overtaken, err = t.log.Consistency(ctx, in.Overtaken, checkpoint.Size); err != nil {
		return nil, err
	}
	if out.Hashes, err = t.log.Inclusion(ctx, checkpoint.Size, in.Places); err != nil {
		return nil, err
	}
	return json.Marshal(out)
}

// handleCheckpoint takes a checkpoint back that the utility has cosigned, for
// the consumers of its meters. The first witness that cosigns is the utility's
// from then on.
func (t *TTP) handleCheckpoint(ctx context.Context, uc wattveil.UCNumber, body []byte) ([]byte, error) {
	var in wire.CosignedCheckpoint
	if err := decode("checkpoint", body, &in); err != nil {
		return nil, err
	}
	keys, err := t.logKeys(in.Witness)
	if err != nil {
		return nil, err
	}
	checkpoint, err := keys.Open(in.Checkpoint)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", wire.Forged, err)
	}
	err = registry.Tx(ctx, t.db, func(tx *sql.Tx) error {
		var witness sql.NullString
		if err := tx.QueryRowContext(ctx, `SELECT witness FROM utilities WHERE number = ?`, uc).Scan(&witness); err != nil {
			return err
		}
		if witness.Valid && witness.String != in.Witness {
			return fmt.Errorf("%w: another witness cosigned before", wire.Rebound)
		}
		_, err := tx.ExecContext(ctx, `UPDATE utilities SET witness = ?1, checkpoint = ?2, log_size = ?3 WHERE number = ?4 AND log_size <= ?3`,
			in.Witness, in.Checkpoint, int64(checkpoint.Size), uc)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("checkpoint of utility %v: %w", uc, err)
	}
	return nil, nil
}

func (t *TTP) logKeys(witness string) (transparency.Keys, error) {
	public, err := t.log.PublicKey()
	return transparency.Keys{Origin: t.log.Origin(), Log: public, Witness: witness}, err
}

// LogKeys are what a consumer of a utility's meters checks proofs with; false
// while the utility has cosigned nothing.
func (t *TTP) LogKeys(ctx context.Context, uc wattveil.UCNumber) (transparency.Keys, bool, error) {
	var witness sql.NullString
	err := t.db.QueryRowContext(ctx, `SELECT witness FROM utilities WHERE number = ?`, uc).Scan(&witness)
	if err != nil {
		return transparency.Keys{}, false, fmt.Errorf("witness of utility %v: %w", uc, err)
	}
	keys, err := t.logKeys(witness.String)
	return keys, witness.Valid, err
}

// ConsumerBill is a bill as its consumer gets it.
type ConsumerBill struct {
	Document bill.Document
	Secret   bill.Secret // of its readings_root
}

// ConsumerBills are a meter's bills and corrections by their periods, for its
// consumer alone. Those that the utility has not cosigned the log of yet have no
// proof.
func (t *TTP) ConsumerBills(ctx context.Context, m wattveil.Meter) ([]ConsumerBill, error) {
	var size int64
	var checkpoint sql.NullString
	err := t.db.QueryRowContext(ctx, `SELECT checkpoint, log_size FROM utilities WHERE number = ?`, m.UC).Scan(&checkpoint, &size)
	if err != nil {
		return nil, fmt.Errorf("bills of %v: %w", m, err)
	}
	var list []ConsumerBill
	var proven []*keptBill
	place := make(map[*keptBill]int)
	err = each(ctx, t.db, func(rows *sql.Rows) error {
		var k keptBill
		var box []byte
		if err := scanKept(rows, &k, &box); err != nil {
			return err
		}
		secret, err := t.seal.Open(secretContext, box)
		if err != nil || len(secret) != len(bill.Secret{}) {
			return errors.Join(err, errors.New("secret of a bill is damaged"))
		}
		if k.place.Valid && k.place.Int64 < size {
			place[&k] = len(list)
			proven = append(proven, &k)
		}
		list = append(list, ConsumerBill{bill.Document{JWS: k.jws, Salt: k.salt.String(), Meter: m.String()}, bill.Secret(secret)})
		return nil
	}, `SELECT b.id, b.salt, b.jws, p.place, b.secret FROM bills b LEFT JOIN log_places p ON p.bill = b.id
		WHERE b.uc = ? AND b.an_id = ? ORDER BY b.from_second, b.correction, b.id`, m.UC, int64(m.Pseudonym))
	if err != nil || len(proven) == 0 {
		return list, err
	}
	logged := make(map[*keptBill]wire.LoggedBill)
	if err := t.prove(ctx, uint64(size), proven, logged); err != nil {
		return nil, err
	}
	for _, k := range proven {
		l := logged[k]
		list[place[k]].Document.Proof = &bill.Proof{Index: l.Index, Hashes: l.Hashes, Checkpoint: checkpoint.String}
	}
	return list, nil
}
