package ttp

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/internal/folder"
	"github.com/wattveil/wattveil/internal/registry"
	"github.com/wattveil/wattveil/internal/sealed"
	"github.com/wattveil/wattveil/rating"
	"github.com/wattveil/wattveil/readings"
	"github.com/wattveil/wattveil/tariff"
	"github.com/wattveil/wattveil/wire"
)

type tariffName struct {
	uc wattveil.UCNumber
	id string
}

// registered is a tariff in force at the TTP.
type registered struct {
	*tariff.Tariff
}

const maxBillsPerRequest = 1000

// loadBillKey reads the key that signs bills, or draws it.
func loadBillKey(dir string, seal *sealed.Key) (*bill.SigningKey, error) {
	const context = "bill.key"
	path := filepath.Join(dir, context)
	box, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		key, err := bill.GenerateSigningKey()
		if err != nil {
			return nil, err
		}
		return key, folder.WriteFile(path, seal.Seal(context, key.Seed()), 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("bill key: %w", err)
	}
	seed, err := seal.Open(context, box)
	if err != nil {
		return nil, err
	}
	return bill.NewSigningKey(seed)
}

// BillKeys is the public key set that the TTP's bills verify under.
func (t *TTP) BillKeys() (bill.KeySet, error) { return bill.NewKeySet(t.billKey.Public()) }

func (t *TTP) handleBillKeys(_ context.Context, _ wattveil.UCNumber, body []byte) ([]byte, error) {
	if err := needEmpty("bill-keys", body); err != nil {
		return nil, err
	}
	keys, err := t.BillKeys()
	if err != nil {
		return nil, err
	}
	return json.Marshal(keys)
}

// handleTariff registers a tariff. The same document again is a success,
// another under the same id is refused: a change of prices is a new tariff.
func (t *TTP) handleTariff(ctx context.Context, uc wattveil.UCNumber, body []byte) ([]byte, error) {
	parsed, err := tariff.Parse(body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", wire.Malformed, err)
	}
	err = registry.Tx(ctx, t.db, func(tx *sql.Tx) error {
		var kept []byte
		found, err := registry.Find(tx.QueryRowContext(ctx,
			`SELECT document FROM tariffs WHERE uc = ? AND id = ?`, uc, parsed.ID()), &kept)
		if err != nil {
			return err
		}
		if found {
			same, err := tariff.Parse(kept)
			if err == nil && same.Digest() != parsed.Digest() {
				err = fmt.Errorf("%w: tariff %s is registered with other terms", wire.Rebound, parsed.ID())
			}
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO tariffs (uc, id, document, registered) VALUES (?, ?, ?, ?)`,
			uc, parsed.ID(), body, t.cfg.Now().Unix())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("register tariff %s of utility %v: %w", parsed.ID(), uc, err)
	}
	return nil, nil
}

func (t *TTP) tariff(ctx context.Context, uc wattveil.UCNumber, id string) (*registered, error) {
	name := tariffName{uc, id}
	t.mu.Lock()
	r := t.tariffs[name]
	t.mu.Unlock()
	if r != nil {
		return r, nil
	}
	var document []byte
	found, err := registry.Find(t.db.QueryRowContext(ctx, `SELECT document FROM tariffs WHERE uc = ? AND id = ?`, uc, id), &document)
	if err != nil {
		return nil, fmt.Errorf("tariff %s of utility %v: %w", id, uc, err)
	}
	if !found {
		return nil, fmt.Errorf("%w: tariff %q of utility %v is not registered", wire.NoTariff, id, uc)
	}
	parsed, err := tariff.Parse(document)
	if err != nil {
		return nil, fmt.Errorf("tariff %s of utility %v: %w", id, uc, err)
	}
	r = &registered{parsed}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tariffs[name] = r
	return r, nil
}

// handleBills makes a bill for each meter asked for, or says by its class why
// there is none.
func (t *TTP) handleBills(ctx context.Context, uc wattveil.UCNumber, body []byte) ([]byte, error) {
	var in wire.BillsRequest
	if err := decode("bills", body, &in); err != nil {
		return nil, err
	}
	if len(in.Meters) > maxBillsPerRequest {
		return nil, fmt.Errorf("%w: %d bills in one request, at most %d", wire.Malformed, len(in.Meters), maxBillsPerRequest)
	}
	if !in.From.Before(in.To) || in.From.Nanosecond() != 0 || in.To.Nanosecond() != 0 {
		return nil, fmt.Errorf("%w: period is empty or not in whole seconds", wire.Malformed)
	}
	terms, err := t.tariff(ctx, uc, in.Tariff)
	if err != nil {
		return nil, err
	}
	made := make([]madeBill, len(in.Meters))
	inParallel(len(made), func(from, to int) {
		for i := from; i < to; i++ {
			made[i] = t.bill(ctx, uc, in.Meters[i], terms, in.From, in.To)
		}
	})
	if err := t.keepBills(ctx, made, terms, in.From, in.To); err != nil {
		return nil, err
	}
	answer := wire.BillsAnswer{Bills: make([]wire.BillAnswer, len(made))}
	for i, b := range made {
		a := &answer.Bills[i]
		*a = wire.BillAnswer{Meter: in.Meters[i], JWS: b.jws, Salt: b.salt}
		if b.err == nil {
			t.stats.bills.Add(1)
		} else {
			t.stats.noBills.Add(1)
			*a = wire.BillAnswer{Meter: in.Meters[i], Class: peerClass(b.err)}
			t.counts.Add(a.Class)
			t.cfg.Log.Warn("no bill", "meter", b.meter, "class", string(a.Class), "error", b.err)
		}
	}
	return json.Marshal(answer)
}

func peerClass(err error) wire.Class {
	class := wire.Unavailable
	_ = errors.As(err, &class)
	return class
}

// madeBill is a meter's bill, or why there is none.
type madeBill struct {
	meter     wattveil.Meter
	jws, salt string
	secret    bill.Secret // of one that is fresh
	fresh     bool        // made by this request
	err       error
}

// bill is the bill of a meter and period: the one that was made before, or a
// new one.
func (t *TTP) bill(ctx context.Context, uc wattveil.UCNumber, name string, terms *registered, from, to time.Time) madeBill {
	b := madeBill{meter: wattveil.Meter{UC: uc}}
	if b.meter.Pseudonym, b.err = wattveil.ParsePseudonym(name); b.err != nil {
		b.err = fmt.Errorf("%w: %w", wire.Malformed, b.err)
		return b
	}
	found, err := findBill(ctx, t.queries.bill, &b, terms, from, to)
	if err != nil || found {
		b.err = err
		return b
	}
	if to.After(t.cfg.Now()) {
		b.err = fmt.Errorf("%w: period ends in the future", wire.Incomplete)
		return b
	}
	rated, err := t.rate(ctx, b.meter, terms, from, to)
	if err != nil {
		b.err = err
		return b
	}
	salt := bill.NewSalt()
	b.salt, b.secret, b.fresh = salt.String(), bill.NewSecret(), true
	document := t.document(b.meter, salt, terms, from, to, rated.Rated)
	if document.ReadingsRoot, err = rootOf(rated.intervals, b.secret, terms, from, to); err != nil {
		b.err = fmt.Errorf("bill of %v: %w", b.meter, err)
		return b
	}
	document.Intervals = len(rated.intervals)
	if b.jws, err = t.billKey.Sign(document); err != nil {
		b.err = fmt.Errorf("sign bill of %v: %w", b.meter, err)
	}
	return b
}

func findBill(ctx context.Context, query *sql.Stmt, b *madeBill, terms *registered, from, to time.Time) (bool, error) {
	found, err := registry.Find(query.QueryRowContext(ctx,
		b.meter.UC, int64(b.meter.Pseudonym), terms.ID(), from.Unix(), to.Unix()), &b.jws, &b.salt)
	if err != nil {
		return false, fmt.Errorf("find bill of %v: %w", b.meter, err)
	}
	return found, nil
}

// keepBills makes new bills durable before anybody sees them. The same request
// always gives the same bill: where another was faster, its bill counts.
func (t *TTP) keepBills(ctx context.Context, made []madeBill, terms *registered, from, to time.Time) error {
	if !slices.ContainsFunc(made, func(b madeBill) bool { return b.fresh && b.err == nil }) {
		return nil
	}
	err := registry.Tx(ctx, t.db, func(tx *sql.Tx) error {
		insert, err := tx.PrepareContext(ctx, `
			INSERT INTO bills (uc, an_id, tariff, from_second, to_second, salt, secret, jws, issued) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT DO NOTHING`)
		if err != nil {
			return err
		}
		kept := tx.StmtContext(ctx, t.queries.bill)
		for i := range made {
			b := &made[i]
			if !b.fresh || b.err != nil {
				continue
			}
			_, err := insert.ExecContext(ctx, b.meter.UC, int64(b.meter.Pseudonym), terms.ID(), from.Unix(), to.Unix(), b.salt, b.secret[:], b.jws, t.cfg.Now().Unix())
			if err != nil {
				return err
			}
			if _, err := findBill(ctx, kept, b, terms, from, to); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("keep bills by tariff %s: %w", terms.ID(), err)
	}
	return nil
}

// ratedReadings is what a meter owes, and the intervals that it is made from,
// all of which were measured.
type ratedReadings struct {
	rating.Rated
	intervals []wattveil.Interval
}

func (t *TTP) rate(ctx context.Context, m wattveil.Meter, terms *registered, from, to time.Time) (ratedReadings, error) {
	known, err := t.enrolled(ctx, m)
	if err != nil {
		return ratedReadings{}, err
	}
	if !known {
		return ratedReadings{}, fmt.Errorf("%w: %v", wire.Unknown, m)
	}
	folded, err := t.cfg.Readings.Read(ctx, m, from.Unix(), to.Unix())
	if err != nil {
		return ratedReadings{}, fmt.Errorf("readings of %v: %w", m, err)
	}
	list := intervals(folded.Runs)
	rated, err := rating.Rate(terms.Tariff, list, from, to)
	if err != nil {
		return ratedReadings{}, fmt.Errorf("%w: bill of %v: %w", wire.Incomplete, m, err)
	}
	return ratedReadings{rated, list}, nil
}

// rootOf is the readings_root of a bill.
func rootOf(list []wattveil.Interval, secret bill.Secret, terms *registered, from, to time.Time) (string, error) {
	var root bill.Intervals
	root.Start(bill.NewDays(terms.Zone(), from, to), secret)
	for _, i := range list {
		root.Add(i, 0)
	}
	hash, err := root.Root()
	return hash.String(), err
}

// intervals are the differences of neighbours, never across series.
func intervals(runs []readings.Run) []wattveil.Interval {
	n := 0
	for _, run := range runs {
		n += len(run.Readings) - 1
	}
	out := make([]wattveil.Interval, 0, n)
	for _, run := range runs {
		for i := 1; i < len(run.Readings); i++ {
			a, b := run.Readings[i-1], run.Readings[i]
			out = append(out, wattveil.Interval{
				Start: a.Time, End: b.Time, Status: b.Status,
				Import: b.Import.Since(a.Import), Export: b.Export.Since(a.Export),
			})
		}
	}
	return out
}

func (t *TTP) document(m wattveil.Meter, salt bill.Salt, terms *registered, from, to time.Time, rated rating.Rated) bill.Bill {
	b := bill.Bill{
		V: bill.Version, Issuer: t.cfg.Name, Subject: bill.SubjectOf(salt, m),
		Tariff: terms.ID(), TariffDigest: terms.Digest().String(),
		Timezone: terms.Zone().String(), Currency: terms.Currency().String(),
		From: bill.Time(from, terms.Zone()), To: bill.Time(to, terms.Zone()),
		ImportKWh: rated.ImportKWh(), ExportKWh: rated.ExportKWh(), Total: rated.Total,
	}
	for _, line := range rated.Lines {
		b.Lines = append(b.Lines, bill.Line(line))
	}
	return b
}
