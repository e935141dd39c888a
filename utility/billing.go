package utility

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/internal/registry"
	"github.com/wattveil/wattveil/tariff"
	"github.com/wattveil/wattveil/wire"
)

// PutTariff registers a tariff at all TTPs and keeps it.
func (u *Utility) PutTariff(ctx context.Context, document []byte) (*tariff.Tariff, error) {
	t, err := tariff.Parse(document)
	if err != nil {
		return nil, err
	}
	if len(u.TTPs()) == 0 {
		_, err := u.trustee("")
		return nil, fmt.Errorf("register tariff %s: %w", t.ID(), err)
	}
	err = u.eachTTP(func(at *trustee) error {
		_, err := u.call(ctx, at, "PUT", "/v1/tariffs", document)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("register tariff %s: %w", t.ID(), err)
	}
	_, err = u.db.ExecContext(ctx, `INSERT OR REPLACE INTO tariffs (id, document) VALUES (?, ?)`, t.ID(), document)
	if err != nil {
		return nil, fmt.Errorf("keep tariff %s: %w", t.ID(), err)
	}
	return t, nil
}

// Billed is the outcome of a billing run for one meter: a verified bill, or
// the reason why there is none.
type Billed struct {
	Pseudonym wattveil.Pseudonym
	JWS       string
	Salt      bill.Salt
	Bill      bill.Bill
	Err       error
}

const billsPerRequest = 500 // their answers stay below wire.MaxBody

// billRun is what all bills of a run are checked against.
type billRun struct {
	ttp     *trustee
	request wire.BillsRequest
	uc      wattveil.UCNumber
	terms   *tariff.Tariff
	keys    bill.KeySet
}

// RunBills asks the TTPs for the bills of a period by a tariff that PutTariff
// registered, and keeps those that verify under the TTP's bill keys and are of
// the right meter, tariff and period. A meter without a bill does not stop the
// others. The outcomes are in the order of meters, each of which is named once.
// A TTP is asked in the order of an-IDs, so that the caller's order tells it
// nothing.
func (u *Utility) RunBills(ctx context.Context, meters []wattveil.Pseudonym, tariffID string, from, to time.Time) ([]Billed, error) {
	place := make(map[wattveil.Pseudonym]int, len(meters))
	for i, p := range meters {
		place[p] = i
	}
	if len(place) != len(meters) {
		return nil, fmt.Errorf("bills from %v to %v: %d meters are named, %d of them are different", from, to, len(meters), len(place))
	}
	terms, err := u.tariff(ctx, tariffID)
	if err != nil {
		return nil, err
	}
	byTTP, out, err := u.splitByTTP(ctx, meters)
	if err != nil {
		return nil, err
	}
	for _, org := range slices.Sorted(maps.Keys(byTTP)) {
		run := billRun{request: wire.BillsRequest{Tariff: tariffID, From: from, To: to}, terms: terms}
		if out, err = u.runAt(ctx, org, &run, byTTP[org], out); err != nil {
			err = fmt.Errorf("bills from %v to %v: %w", from, to, err)
			break
		}
	}
	slices.SortFunc(out, func(a, b Billed) int { return cmp.Compare(place[a.Pseudonym], place[b.Pseudonym]) })
	return out, err
}

// splitByTTP tells which TTP has which meters, and gives the outcome for those
// that nobody has.
func (u *Utility) splitByTTP(ctx context.Context, meters []wattveil.Pseudonym) (map[string][]wattveil.Pseudonym, []Billed, error) {
	by := make(map[string][]wattveil.Pseudonym)
	var strangers []Billed
	for _, p := range meters {
		var org string
		found, err := registry.Find(u.db.QueryRowContext(ctx,
			`SELECT m.ttp FROM pseudonyms p JOIN meters m ON m.id_sm = p.id_sm WHERE p.an_id = ?`, int64(p)), &org)
		if err != nil {
			return nil, nil, fmt.Errorf("TTP of %v: %w", p, err)
		}
		if !found {
			strangers = append(strangers, Billed{Pseudonym: p, Err: fmt.Errorf("bill of %v: %w", p, wire.Unknown)})
			continue
		}
		by[org] = append(by[org], p)
	}
	return by, strangers, nil
}

// runAt asks one TTP for the bills of its meters.
func (u *Utility) runAt(ctx context.Context, org string, run *billRun, meters []wattveil.Pseudonym, out []Billed) (_ []Billed, err error) {
	if run.ttp, err = u.trustee(org); err != nil {
		return out, err
	}
	own, err := u.keysOf(ctx, run.ttp)
	if err != nil {
		return out, err
	}
	run.uc = own.number
	if run.keys, err = u.billKeys(ctx, run.ttp); err != nil {
		return out, err
	}
	for chunk := range slices.Chunk(slices.Sorted(slices.Values(meters)), billsPerRequest) {
		if out, err = u.runChunk(ctx, run, chunk, out); err != nil {
			return out, err
		}
	}
	return out, nil
}

func (u *Utility) runChunk(ctx context.Context, run *billRun, meters []wattveil.Pseudonym, out []Billed) ([]Billed, error) {
	request := run.request
	for _, p := range meters {
		request.Meters = append(request.Meters, p.String())
	}
	var answer wire.BillsAnswer
	if err := u.ask(ctx, run.ttp, "POST", "/v1/bills", request, &answer); err != nil {
		return out, err
	}
	if len(answer.Bills) != len(meters) {
		return out, fmt.Errorf("%d answers of the TTP for %d meters", len(answer.Bills), len(meters))
	}
	for i, p := range meters {
		a := answer.Bills[i]
		b := Billed{Pseudonym: p, JWS: a.JWS}
		if a.Class != "" {
			b.Err = a.Class
		} else {
			b.Err = u.keepBill(ctx, run, &b, a.Salt)
		}
		if b.Err != nil {
			b.Err = fmt.Errorf("bill of %v: %w", p, b.Err)
		}
		out = append(out, b)
	}
	return out, nil
}

// keepBill verifies a bill as anyone would, that it is the one asked for and
// no other than before, and keeps it.
func (u *Utility) keepBill(ctx context.Context, run *billRun, b *Billed, salt string) error {
	verified, err := bill.Verify(b.JWS, run.keys)
	if err != nil {
		return err
	}
	if b.Salt, err = bill.ParseSalt(salt); err != nil {
		return fmt.Errorf("salt: %w", err)
	}
	if err := verified.Bill.IsOf(b.Salt, wattveil.Meter{UC: run.uc, Pseudonym: b.Pseudonym}); err != nil {
		return err
	}
	if err := run.asked(verified.Bill); err != nil {
		return err
	}
	r := run.request
	_, err = u.db.ExecContext(ctx, `
		INSERT INTO bills (an_id, tariff, from_second, to_second, salt, jws) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		int64(b.Pseudonym), r.Tariff, r.From.Unix(), r.To.Unix(), b.Salt[:], b.JWS)
	if err != nil {
		return fmt.Errorf("keep: %w", err)
	}
	var kept string
	err = u.db.QueryRowContext(ctx, `SELECT jws FROM bills WHERE an_id = ? AND tariff = ? AND from_second = ? AND to_second = ?`,
		int64(b.Pseudonym), r.Tariff, r.From.Unix(), r.To.Unix()).Scan(&kept)
	if err != nil {
		return fmt.Errorf("keep: %w", err)
	}
	if kept != b.JWS {
		return fmt.Errorf("%w: the TTP made another bill for the same request before", wire.Rebound)
	}
	b.Bill = verified.Bill
	return nil
}

// asked checks that a bill is by the tariff and for the period asked for.
func (r *billRun) asked(b bill.Bill) error {
	from, err := time.Parse(time.RFC3339, b.From)
	if err != nil {
		return err
	}
	to, err := time.Parse(time.RFC3339, b.To)
	if err != nil {
		return err
	}
	switch {
	case b.Issuer != r.ttp.org:
		return fmt.Errorf("it is from %q, want %q", b.Issuer, r.ttp.org)
	case b.Tariff != r.request.Tariff || !from.Equal(r.request.From) || !to.Equal(r.request.To):
		return fmt.Errorf("it is by tariff %s from %s to %s, not what was asked for", b.Tariff, b.From, b.To)
	case b.TariffDigest != r.terms.Digest().String():
		return fmt.Errorf("it is by other terms than those of tariff %s", b.Tariff)
	}
	return nil
}

// tariff is a tariff that PutTariff registered.
func (u *Utility) tariff(ctx context.Context, id string) (*tariff.Tariff, error) {
	var document []byte
	found, err := registry.Find(u.db.QueryRowContext(ctx, `SELECT document FROM tariffs WHERE id = ?`, id), &document)
	if err != nil {
		return nil, fmt.Errorf("tariff %s: %w", id, err)
	}
	if !found {
		return nil, fmt.Errorf("%w: tariff %q is not registered; put it first", wire.NoTariff, id)
	}
	t, err := tariff.Parse(document)
	if err != nil {
		return nil, fmt.Errorf("tariff %s: %w", id, err)
	}
	return t, nil
}

func (u *Utility) billKeys(ctx context.Context, t *trustee) (bill.KeySet, error) {
	var keys bill.KeySet
	var raw []byte
	if err := u.db.QueryRowContext(ctx, `SELECT bill_keys FROM ttps WHERE name = ?`, t.org).Scan(&raw); err != nil {
		return keys, fmt.Errorf("bill keys of TTP %s: %w", t.org, err)
	}
	return bill.ParseKeySet(raw)
}
