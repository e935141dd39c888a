package utility

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/gate"
	"github.com/wattveil/wattveil/internal/registry"
	"github.com/wattveil/wattveil/transparency"
	"github.com/wattveil/wattveil/wire"
)

// logged is a checkpoint of a TTP's log that this utility has cosigned.
type logged struct {
	transparency.Checkpoint
	note string
}

// cosign holds a checkpoint against the one before and cosigns it. Two that are
// not shown to be of one log are kept.
func (u *Utility) cosign(ctx context.Context, run *billRun, a *billsAnswer) (logged, error) {
	before := run.witness.Last()
	cosigned, err := run.witness.Cosign([]byte(a.Checkpoint), a.since, a.Consistency)
	if err != nil {
		return logged{}, u.keepPair(ctx, run.ttp.org, before, a.Checkpoint, err)
	}
	checkpoint, err := run.logKeys.Open(string(cosigned))
	return logged{checkpoint, string(cosigned)}, err
}

// offered is a bill that verifies, before it is kept.
type offered struct {
	pseudonym  wattveil.Pseudonym
	tariff     string
	from, to   time.Time
	correction bool
	wire.LoggedBill
	salt bill.Salt
	bill bill.Bill
}

// keepBills verifies the bills of an answer, on all processors, and keeps the good
// ones in one transaction.
func (u *Utility) keepBills(ctx context.Context, run *billRun, meters []wattveil.Pseudonym, answers []wire.BillAnswer, checkpoint logged) ([]Billed, error) {
	out := make([]Billed, len(meters))
	bills, corrections := make([]*offered, len(meters)), make([]*offered, len(meters))
	workers := min(runtime.GOMAXPROCS(0), len(meters))
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for i := w; i < len(meters); i += workers {
				out[i] = Billed{Pseudonym: meters[i], JWS: answers[i].JWS, Rule: answers[i].Rule}
				bills[i], corrections[i], out[i].Err = run.verify(meters[i], &answers[i], checkpoint)
			}
		})
	}
	all.Wait()
	err := registry.Tx(ctx, u.db, func(tx *sql.Tx) error {
		k := billKeeper{ctx: ctx, tx: tx, run: run, checkpoint: checkpoint}
		for i := range out {
			if err := k.both(&out[i], bills[i], corrections[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("keep bills: %w", err)
	}
	for i := range out {
		if out[i].Rule == string(gate.Overlap) {
			if out[i].Err, err = u.nameOverlap(ctx, run, meters[i], out[i].Err); err != nil {
				return nil, err
			}
		}
		if out[i].Err != nil {
			out[i].Err = fmt.Errorf("bill of %v: %w", out[i].Pseudonym, out[i].Err)
		}
	}
	return out, nil
}

// nameOverlap adds to a refusal which kept bill tells of part of the period.
func (u *Utility) nameOverlap(ctx context.Context, run *billRun, p wattveil.Pseudonym, refused error) (error, error) {
	var tariffID string
	var from, to int64
	found, err := registry.Find(u.db.QueryRowContext(ctx, `
		SELECT tariff, from_second, to_second FROM bills WHERE an_id = ? AND from_second < ? AND to_second > ?
		ORDER BY from_second LIMIT 1`, int64(p), run.request.To.Unix(), run.request.From.Unix()), &tariffID, &from, &to)
	if err != nil {
		return nil, fmt.Errorf("find the bill of %v that overlaps: %w", p, err)
	}
	if !found {
		return refused, nil
	}
	return fmt.Errorf("%w: the kept bill by tariff %s from %s to %s", refused, tariffID, run.local(time.Unix(from, 0)), run.local(time.Unix(to, 0))), nil
}

// local is a time by the clock of the tariff.
func (r *billRun) local(t time.Time) string {
	return t.In(r.terms.Zone()).Format(time.RFC3339)
}

// verify checks a bill as anyone would, and that it is the one asked for.
func (r *billRun) verify(p wattveil.Pseudonym, a *wire.BillAnswer, checkpoint logged) (made, correction *offered, err error) {
	if a.Class != "" {
		return nil, nil, r.refusal(a)
	}
	made = &offered{pseudonym: p, tariff: r.request.Tariff, from: r.request.From, to: r.request.To, LoggedBill: a.LoggedBill}
	if err := r.check(made, checkpoint); err != nil {
		return nil, nil, err
	}
	if made.bill.TariffDigest != r.terms.Digest().String() {
		return nil, nil, fmt.Errorf("it is by other terms than those of tariff %s", made.bill.Tariff)
	}
	if made.bill.Corrects != "" {
		return nil, nil, errors.New("it is a correction, not what was asked for")
	}
	c := a.Correction
	if c == nil {
		return made, nil, nil
	}
	correction = &offered{pseudonym: p, tariff: c.Tariff, from: c.From, to: c.To, correction: true, LoggedBill: c.LoggedBill}
	if err := r.check(correction, checkpoint); err != nil {
		return made, nil, fmt.Errorf("correction: %w", err)
	}
	return made, correction, nil
}

// check checks signature, meter, period and place in the log.
func (r *billRun) check(o *offered, checkpoint logged) error {
	verified, err := bill.Verify(o.JWS, r.keys)
	if err != nil {
		return err
	}
	o.bill = verified.Bill
	if o.salt, err = bill.ParseSalt(o.Salt); err != nil {
		return fmt.Errorf("salt: %w", err)
	}
	if err := o.bill.IsOf(o.salt, wattveil.Meter{UC: r.uc, Pseudonym: o.pseudonym}); err != nil {
		return err
	}
	from, err := time.Parse(time.RFC3339, o.bill.From)
	if err != nil {
		return err
	}
	to, err := time.Parse(time.RFC3339, o.bill.To)
	if err != nil {
		return err
	}
	if o.bill.Issuer != r.ttp.org {
		return fmt.Errorf("it is from %q, want %q", o.bill.Issuer, r.ttp.org)
	}
	if o.bill.Tariff != o.tariff || !from.Equal(o.from) || !to.Equal(o.to) {
		return fmt.Errorf("it is by tariff %s from %s to %s, not what was asked for", o.bill.Tariff, o.bill.From, o.bill.To)
	}
	if checkpoint.note == "" {
		return fmt.Errorf("%w: the answer has no checkpoint", transparency.ErrNotIncluded)
	}
	return checkpoint.Includes(transparency.Entry(bill.EntryOf(o.JWS, o.salt)), o.Index, o.Hashes)
}

// billKeeper keeps bills that verify, in one transaction.
type billKeeper struct {
	ctx        context.Context
	tx         *sql.Tx
	run        *billRun
	checkpoint logged
	id         int64 // of the checkpoint; 0 before it is kept
}

// both keeps a bill and the correction that came with it.
func (k *billKeeper) both(b *Billed, made, correction *offered) error {
	if made == nil {
		return nil
	}
	kept, err := k.keep(made)
	if errors.Is(err, wire.Rebound) {
		b.Err = errors.Join(b.Err, err)
		return nil
	}
	if err != nil {
		return err
	}
	b.Salt, b.Bill, b.Document = made.salt, made.bill, kept.Document
	if correction == nil {
		return nil
	}
	kept, err = k.correction(correction)
	if errors.Is(err, wire.Rebound) {
		b.Err = errors.Join(b.Err, fmt.Errorf("correction: %w", err))
		return nil
	}
	if err != nil {
		return err
	}
	b.Correction = &kept
	return nil
}

// correction keeps a correction of a bill that is kept.
func (k *billKeeper) correction(o *offered) (KeptBill, error) {
	corrected, found, err := k.find(o, false)
	if err != nil {
		return KeptBill{}, err
	}
	if !found || bill.HashOf(corrected.JWS).String() != o.bill.Corrects {
		return KeptBill{}, fmt.Errorf("%w: it corrects no bill that is kept", wire.Rebound)
	}
	return k.keep(o)
}

// keep keeps a bill, unless the same request gave another one before.
func (k *billKeeper) keep(o *offered) (KeptBill, error) {
	kept, found, err := k.find(o, o.correction)
	if err != nil {
		return KeptBill{}, err
	}
	if found {
		if kept.JWS != o.JWS {
			return KeptBill{}, fmt.Errorf("%w: the TTP made another bill for the same request before", wire.Rebound)
		}
		return kept, nil
	}
	if k.id == 0 {
		done, err := k.tx.ExecContext(k.ctx, `INSERT INTO checkpoints (ttp, note) VALUES (?, ?)`, k.run.ttp.org, k.checkpoint.note)
		if err != nil {
			return KeptBill{}, err
		}
		if k.id, err = done.LastInsertId(); err != nil {
			return KeptBill{}, err
		}
	}
	hashes := make([]byte, 0, len(o.Hashes)*len(bill.Hash{}))
	for _, h := range o.Hashes {
		hashes = append(hashes, h...)
	}
	_, err = k.tx.ExecContext(k.ctx, `
		INSERT INTO bills (an_id, tariff, from_second, to_second, correction, salt, jws, place, hashes, checkpoint) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		int64(o.pseudonym), o.tariff, o.from.Unix(), o.to.Unix(), o.correction, o.salt[:], o.JWS, int64(o.Index), hashes, k.id)
	if err != nil {
		return KeptBill{}, err
	}
	kept, _, err = k.find(o, o.correction)
	return kept, err
}

func (k *billKeeper) find(o *offered, correction bool) (KeptBill, bool, error) {
	kept, err := scanBill(k.tx.QueryRowContext(k.ctx,
		billColumns+`WHERE b.an_id = ? AND b.tariff = ? AND b.from_second = ? AND b.to_second = ? AND b.correction = ?`,
		int64(o.pseudonym), o.tariff, o.from.Unix(), o.to.Unix(), correction))
	if errors.Is(err, sql.ErrNoRows) {
		return KeptBill{}, false, nil
	}
	return kept, err == nil, err
}
