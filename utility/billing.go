package utility

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/tariff"
	"github.com/wattveil/wattveil/wire"
)

// PutTariff registers a tariff at the TTP and keeps it.
func (u *Utility) PutTariff(ctx context.Context, document []byte) (*tariff.Tariff, error) {
	t, err := tariff.Parse(document)
	if err != nil {
		return nil, err
	}
	if _, err := u.call(ctx, "PUT", "/v1/tariffs", document); err != nil {
		return nil, fmt.Errorf("register tariff %s: %w", t.ID(), err)
	}
	_, err = u.db.ExecContext(ctx, `INSERT OR REPLACE INTO tariffs (id, document) VALUES (?, ?)`, t.ID(), document)
	if err != nil {
		return nil, fmt.Errorf("keep tariff %s: %w", t.ID(), err)
	}
	return t, nil
}

// The bodies of the billing requests (spec/protocol.md section 7.5).
type (
	billsRequest struct {
		Tariff string    `json:"tariff"`
		From   time.Time `json:"from"`
		To     time.Time `json:"to"`
		Meters []string  `json:"an_ids"`
	}
	billsAnswer struct {
		Bills []struct {
			Meter string     `json:"an_id"`
			JWS   string     `json:"jws"`
			Salt  string     `json:"salt"`
			Class wire.Class `json:"class"`
		} `json:"bills"`
	}
)

// Billed is the outcome of a billing run for one meter: a verified bill, or
// the reason why there is none.
type Billed struct {
	Pseudonym wattveil.Pseudonym
	JWS       string
	Salt      bill.Salt
	Bill      bill.Bill
	Err       error
}

const billsPerRequest = 500

// RunBills asks the TTP for the bills of a period and keeps those that verify
// under the TTP's bill keys and name the right meter. A meter without a bill
// does not stop the others. Bills come in the order of meters; after an error,
// those that there are.
func (u *Utility) RunBills(ctx context.Context, meters []wattveil.Pseudonym, tariffID string, from, to time.Time) ([]Billed, error) {
	own, err := u.ttp(ctx)
	if err != nil {
		return nil, err
	}
	keys, err := u.billKeys(ctx)
	if err != nil {
		return nil, err
	}
	// The TTP is asked in the order of an-IDs: a caller's list may follow
	// streets or names, and who lives next to whom is not the TTP's to know.
	asked := slices.Compact(slices.Sorted(slices.Values(meters)))
	billed := make(map[wattveil.Pseudonym]Billed, len(asked))
	for chunk := range slices.Chunk(asked, billsPerRequest) {
		request := billsRequest{Tariff: tariffID, From: from, To: to}
		if err = u.askBills(ctx, chunk, request, own.number, keys, billed); err != nil {
			err = fmt.Errorf("bills from %v to %v: %w", from, to, err)
			break
		}
	}
	out := make([]Billed, 0, len(meters))
	for _, p := range meters {
		if b, ok := billed[p]; ok {
			out = append(out, b)
		}
	}
	return out, err
}

// askBills asks for the bills of some meters and adds them to billed.
func (u *Utility) askBills(ctx context.Context, meters []wattveil.Pseudonym, request billsRequest, uc wattveil.UCNumber, keys bill.KeySet, billed map[wattveil.Pseudonym]Billed) error {
	for _, p := range meters {
		request.Meters = append(request.Meters, p.String())
	}
	var answer billsAnswer
	if err := u.ask(ctx, "POST", "/v1/bills", request, &answer); err != nil {
		return err
	}
	if len(answer.Bills) != len(meters) {
		return fmt.Errorf("%d answers for %d meters", len(answer.Bills), len(meters))
	}
	for i, p := range meters {
		a := answer.Bills[i]
		b := Billed{Pseudonym: p, JWS: a.JWS}
		if a.Class != "" {
			b.Err = fmt.Errorf("bill of %v: %w", p, a.Class)
		} else {
			b.Err = u.keepBill(ctx, &b, a.Salt, keys, wattveil.Meter{UC: uc, Pseudonym: p}, request)
		}
		billed[p] = b
	}
	return nil
}

// keepBill verifies a bill as anyone would, that it is of the meter and period
// asked for, and keeps it.
func (u *Utility) keepBill(ctx context.Context, b *Billed, salt string, keys bill.KeySet, m wattveil.Meter, r billsRequest) error {
	verified, err := bill.Verify(b.JWS, keys)
	if err != nil {
		return fmt.Errorf("bill of %v: %w", m.Pseudonym, err)
	}
	if b.Salt, err = bill.ParseSalt(salt); err != nil {
		return fmt.Errorf("bill of %v: salt: %w", m.Pseudonym, err)
	}
	b.Bill = verified.Bill
	if err := b.Bill.IsOf(b.Salt, m); err != nil {
		return fmt.Errorf("bill of %v: %w", m.Pseudonym, err)
	}
	if err := isFor(b.Bill, r); err != nil {
		return fmt.Errorf("bill of %v: %w", m.Pseudonym, err)
	}
	_, err = u.db.ExecContext(ctx, `
		INSERT OR IGNORE INTO bills (an_id, tariff, from_second, to_second, salt, jws) VALUES (?, ?, ?, ?, ?, ?)`,
		int64(m.Pseudonym), r.Tariff, r.From.Unix(), r.To.Unix(), b.Salt[:], b.JWS)
	if err != nil {
		return fmt.Errorf("keep bill of %v: %w", m.Pseudonym, err)
	}
	return nil
}

func isFor(b bill.Bill, r billsRequest) error {
	from, err := time.Parse(time.RFC3339, b.From)
	if err != nil {
		return err
	}
	to, err := time.Parse(time.RFC3339, b.To)
	if err != nil {
		return err
	}
	if b.Tariff != r.Tariff || !from.Equal(r.From) || !to.Equal(r.To) {
		return fmt.Errorf("it is by tariff %s from %s to %s, not what was asked for", b.Tariff, b.From, b.To)
	}
	return nil
}

func (u *Utility) billKeys(ctx context.Context) (bill.KeySet, error) {
	var keys bill.KeySet
	var raw []byte
	if err := u.db.QueryRowContext(ctx, `SELECT bill_keys FROM ttp WHERE id = 1`).Scan(&raw); err != nil {
		return keys, fmt.Errorf("bill keys of the TTP: %w", err)
	}
	return bill.ParseKeySet(raw)
}
