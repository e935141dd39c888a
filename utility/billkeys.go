package utility

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/transparency"
	"github.com/wattveil/wattveil/wire"
)

// fetchBillKeys asks a TTP for the keys of its bills and of their log, and
// checks them against those known: a key that was published stays published,
// and a TTP has one log.
func (u *Utility) fetchBillKeys(ctx context.Context, t *trustee) (wire.BillKeys, bill.KeySet, error) {
	var told wire.BillKeys
	if err := u.ask(ctx, t, "GET", "/v1/bill-keys", nil, &told); err != nil {
		return told, bill.KeySet{}, fmt.Errorf("bill keys: %w", err)
	}
	keys, err := bill.ParseKeySet(told.JWKS)
	if err != nil {
		return told, bill.KeySet{}, fmt.Errorf("bill keys: %w", err)
	}
	var set []byte
	var origin, log sql.NullString
	err = u.db.QueryRowContext(ctx, `SELECT bill_keys, log_origin, log_key FROM ttps WHERE name = ?`, t.org).Scan(&set, &origin, &log)
	if errors.Is(err, sql.ErrNoRows) {
		return told, keys, nil // the first time
	}
	if err != nil {
		return told, bill.KeySet{}, fmt.Errorf("bill keys of TTP %s: %w", t.org, err)
	}
	if log.Valid && (log.String != told.Log || origin.String != told.Origin) {
		return told, bill.KeySet{}, fmt.Errorf("%w: TTP %s shows another bill log than before", wire.Rebound, t.org)
	}
	before, err := bill.ParseKeySet(set)
	if err != nil {
		return told, bill.KeySet{}, fmt.Errorf("bill keys of TTP %s: %w", t.org, err)
	}
	for _, id := range before.IDs() {
		if !slices.Contains(keys.IDs(), id) {
			return told, bill.KeySet{}, fmt.Errorf("%w: TTP %s does not publish its bill key %s any more", wire.Rebound, t.org, id)
		}
	}
	return told, keys, nil
}

// refreshBillKeys fetches the keys of an enrolled TTP and keeps them: it may
// have published new ones, which sign later.
func (u *Utility) refreshBillKeys(ctx context.Context, t *trustee) (wire.BillKeys, bill.KeySet, error) {
	told, keys, err := u.fetchBillKeys(ctx, t)
	if err != nil {
		return told, keys, err
	}
	set, err := json.Marshal(keys)
	if err != nil {
		return told, keys, fmt.Errorf("bill keys: %w", err)
	}
	_, err = u.db.ExecContext(ctx, `UPDATE ttps SET bill_keys = ?, log_origin = ?, log_key = ? WHERE name = ?`, set, told.Origin, told.Log, t.org)
	if err != nil {
		return told, keys, fmt.Errorf("keep bill keys of TTP %s: %w", t.org, err)
	}
	return told, keys, nil
}

// freshWithin is how long a TTP may take to tell its bill keys to somebody who
// can do with those of before.
const freshWithin = 5 * time.Second

// FreshBillKeys asks a TTP for the keys under which its bills verify. If it does
// not give them in a few seconds, they are those that are kept, and stale says
// why. A set that lacks a key of before is an error.
func (u *Utility) FreshBillKeys(ctx context.Context, ttp string) (keys bill.KeySet, stale, err error) {
	t, err := u.trustee(ttp)
	if err != nil {
		return keys, nil, err
	}
	if keys, err = u.billKeys(ctx, t); err != nil {
		return keys, nil, err
	}
	asking, cancel := context.WithTimeout(ctx, freshWithin)
	defer cancel()
	fresh, err := u.takeBillKeys(asking, t)
	switch {
	case err == nil:
		return fresh, nil, nil
	case errors.Is(err, wire.Rebound), ctx.Err() != nil:
		return keys, nil, err
	}
	return keys, err, nil
}

// takeBillKeys refreshes the keys when no run begins meanwhile.
func (u *Utility) takeBillKeys(ctx context.Context, t *trustee) (bill.KeySet, error) {
	release, err := t.take(ctx)
	if err != nil {
		return bill.KeySet{}, err
	}
	defer release()
	_, keys, err := u.refreshBillKeys(ctx, t)
	return keys, err
}

// openWitness opens this utility's eye on a TTP's log.
func (u *Utility) openWitness(t *trustee, told wire.BillKeys) (*transparency.Witness, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.witness != nil {
		return t.witness, nil
	}
	dir := filepath.Join(u.cfg.Dir, "witness", t.org)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("witness of TTP %s: %w", t.org, err)
	}
	w, err := transparency.OpenWitness(dir, u.cfg.Org, told.Origin, told.Log)
	if err != nil {
		return nil, fmt.Errorf("witness of TTP %s: %w", t.org, err)
	}
	t.witness = w
	return w, nil
}

// LogKeys are what anyone checks with that a bill of a TTP is in its log. They
// are there from the first bill on.
func (u *Utility) LogKeys(ctx context.Context, ttp string) (transparency.Keys, error) {
	_, keys, err := u.witnessOf(ctx, ttp)
	return keys, err
}

// witnessOf is what this utility has of a TTP's log. It waits for no run: one
// may be waiting for the TTP.
func (u *Utility) witnessOf(ctx context.Context, ttp string) (*transparency.Witness, transparency.Keys, error) {
	var none transparency.Keys
	t, err := u.trustee(ttp)
	if err != nil {
		return nil, none, err
	}
	var origin, log sql.NullString
	err = u.db.QueryRowContext(ctx, `SELECT log_origin, log_key FROM ttps WHERE name = ?`, t.org).Scan(&origin, &log)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, none, fmt.Errorf("log keys of TTP %s: %w", t.org, err)
	}
	if !log.Valid {
		return nil, none, fmt.Errorf("%w: TTP %s has not told its bill log yet", wire.Unavailable, t.org)
	}
	w, err := u.openWitness(t, wire.BillKeys{Origin: origin.String, Log: log.String})
	if err != nil {
		return nil, none, err
	}
	return w, transparency.Keys{Origin: origin.String, Log: log.String, Witness: w.PublicKey()}, nil
}
