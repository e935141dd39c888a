package ttp

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/gate"
	"github.com/wattveil/wattveil/internal/registry"
	"github.com/wattveil/wattveil/tariff"
	"github.com/wattveil/wattveil/wire"
)

// ucName is what a utility names a tariff or a price series by.
type ucName struct {
	uc wattveil.UCNumber
	id string
}

// registered is a tariff in force at the TTP.
type registered struct {
	*tariff.Tariff
	at     int64 // when it was registered, Unix seconds
	digest tariff.Digest
	tag    gate.TariffTag
}

// handleTariff registers a tariff. The same document again is a success,
// another under the same id is refused: a change of prices is a new tariff.
func (t *TTP) handleTariff(ctx context.Context, uc wattveil.UCNumber, body []byte) ([]byte, error) {
	parsed, err := tariff.Parse(body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", wire.Malformed, err)
	}
	if err := t.keepTariff(ctx, uc, parsed, body); err != nil {
		return nil, fmt.Errorf("register tariff %s of utility %v: %w", parsed.ID(), uc, err)
	}
	return nil, nil
}

func (t *TTP) keepTariff(ctx context.Context, uc wattveil.UCNumber, parsed *tariff.Tariff, body []byte) error {
	return registry.Tx(ctx, t.db, func(tx *sql.Tx) error {
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
		for _, name := range parsed.Series() {
			parts, err := readSeries(ctx, tx, ucName{uc, name})
			if err != nil {
				return err
			}
			if parts != nil && parts.Currency() != parsed.Currency() {
				return fmt.Errorf("%w: price series %s is in %v, the tariff in %v", wire.Malformed, name, parts.Currency(), parsed.Currency())
			}
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO tariffs (uc, id, document, registered) VALUES (?, ?, ?, ?)`,
			uc, parsed.ID(), body, t.cfg.Now().Unix())
		return err
	})
}

func (t *TTP) tariff(ctx context.Context, uc wattveil.UCNumber, id string) (*registered, error) {
	name := ucName{uc, id}
	t.mu.Lock()
	r := t.tariffs[name]
	t.mu.Unlock()
	if r != nil {
		return r, nil
	}
	var document []byte
	r = new(registered)
	found, err := registry.Find(t.db.QueryRowContext(ctx,
		`SELECT document, registered FROM tariffs WHERE uc = ? AND id = ?`, uc, id), &document, &r.at)
	if err != nil {
		return nil, fmt.Errorf("tariff %s of utility %v: %w", id, uc, err)
	}
	if !found {
		return nil, fmt.Errorf("%w: tariff %q of utility %v is not registered", wire.NoTariff, id, uc)
	}
	if r.Tariff, err = tariff.Parse(document); err != nil {
		return nil, fmt.Errorf("tariff %s of utility %v: %w", id, uc, err)
	}
	r.digest = r.Digest()
	r.tag = gate.TariffTag(r.digest[:])
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tariffs[name] = r
	return r, nil
}

// tariffsIn are those of a utility that are in a currency other than one and
// name a price series.
func tariffsIn(ctx context.Context, tx *sql.Tx, s ucName, other tariff.Currency) (names []string, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT document FROM tariffs WHERE uc = ?`, s.uc)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var document []byte
		if err := rows.Scan(&document); err != nil {
			return nil, err
		}
		parsed, err := tariff.Parse(document)
		if err != nil {
			return nil, err
		}
		for _, name := range parsed.Series() {
			if name == s.id && parsed.Currency() != other {
				names = append(names, parsed.ID())
			}
		}
	}
	return names, rows.Err()
}
