package ttp

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/gate"
	"github.com/wattveil/wattveil/internal/registry"
	"github.com/wattveil/wattveil/tariff"
	"github.com/wattveil/wattveil/wire"
)

// handleSeries registers a part of a price series. What is registered already
// may be in it again, with the same prices. Prices that are new must apply
// later than now: one that is chosen when readings are there already could be
// chosen to single some of them out (spec/gate.md section 3).
func (t *TTP) handleSeries(ctx context.Context, uc wattveil.UCNumber, body []byte) ([]byte, error) {
	part, err := tariff.ParseSeries(body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", wire.Malformed, err)
	}
	desk, err := t.desk(ctx, uc)
	if err != nil {
		return nil, err
	}
	name := ucName{uc, part.Name()}
	err = registry.Tx(ctx, t.db, func(tx *sql.Tx) error {
		return t.keepSeries(ctx, tx, name, part, desk.gate.Settings().Retroactive)
	})
	if err != nil {
		return nil, fmt.Errorf("register price series %s of utility %v: %w", part.Name(), uc, err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.series, name)
	t.seriesPut++
	return nil, nil
}

func (t *TTP) keepSeries(ctx context.Context, tx *sql.Tx, name ucName, part *tariff.Series, retroactive bool) error {
	others, err := tariffsIn(ctx, tx, name, part.Currency())
	if err != nil {
		return err
	}
	if len(others) > 0 {
		return fmt.Errorf("%w: it is in %v, and tariff %s, which names it, is not", wire.Malformed, part.Currency(), others[0])
	}
	kept, err := readSeries(ctx, tx, name)
	if err != nil {
		return err
	}
	fresh, err := newPrices(kept, part)
	if err != nil {
		return err
	}
	now := t.cfg.Now()
	for _, piece := range fresh {
		if piece.From().Before(now) && !retroactive {
			return fmt.Errorf("%w: rule %s: prices from %v on are given at %v", wire.Gated, string(gate.Registered), piece.From(), now)
		}
		document, err := piece.MarshalJSON()
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO series (uc, name, from_second, document, registered) VALUES (?, ?, ?, ?, ?)`,
			name.uc, name.id, piece.From().Unix(), document, now.Unix())
		if err != nil {
			return err
		}
	}
	return nil
}

// newPrices is what of a part is not kept yet: before, behind, or both.
func newPrices(kept, part *tariff.Series) ([]*tariff.Series, error) {
	if kept == nil {
		return []*tariff.Series{part}, nil
	}
	if part.Currency() != kept.Currency() || part.Step() != kept.Step() {
		return nil, fmt.Errorf("%w: the parts before are in %v by %v", wire.Rebound, kept.Currency(), kept.Step())
	}
	if part.From().Sub(kept.From())%kept.Step() != 0 {
		return nil, fmt.Errorf("%w: its steps begin at other times than those before", wire.Malformed)
	}
	if part.From().After(kept.To()) || part.To().Before(kept.From()) {
		return nil, fmt.Errorf("%w: the prices between it and those of %v to %v are missing", wire.Malformed, kept.From(), kept.To())
	}
	for at := max(kept.From().Unix(), part.From().Unix()); at < min(kept.To().Unix(), part.To().Unix()); {
		before, _, _ := kept.At(at)
		again, until, _ := part.At(at)
		if before != again {
			return nil, fmt.Errorf("%w: the price at %v was given as another before", wire.Rebound, time.Unix(at, 0).UTC())
		}
		at = until
	}
	var fresh []*tariff.Series
	for _, side := range [...][2]time.Time{{part.From(), kept.From()}, {kept.To(), part.To()}} {
		if !side[0].Before(side[1]) {
			continue
		}
		piece, err := part.Cut(side[0], side[1])
		if err != nil {
			return nil, fmt.Errorf("%w: its steps do not join those before: %w", wire.Malformed, err)
		}
		fresh = append(fresh, piece)
	}
	for _, piece := range fresh {
		if _, err := tariff.JoinSeries(kept, piece); err != nil {
			return nil, fmt.Errorf("%w: %w", wire.Malformed, err)
		}
	}
	return fresh, nil
}

// queryer is a database or a transaction of it.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// readSeries joins the parts of a series; nil if there are none.
func readSeries(ctx context.Context, db queryer, name ucName) (_ *tariff.Series, err error) {
	rows, err := db.QueryContext(ctx, `SELECT document FROM series WHERE uc = ? AND name = ?`, name.uc, name.id)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var parts []*tariff.Series
	for rows.Next() {
		var document []byte
		if err := rows.Scan(&document); err != nil {
			return nil, err
		}
		part, err := tariff.ParseSeries(document)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
	}
	if err := rows.Err(); err != nil || len(parts) == 0 {
		return nil, err
	}
	return tariff.JoinSeries(parts...)
}

// seriesOf are the price series that a tariff names, as far as they are
// registered.
func (t *TTP) seriesOf(ctx context.Context, uc wattveil.UCNumber, terms *registered) ([]*tariff.Series, error) {
	var list []*tariff.Series
	for _, id := range terms.Series() {
		name := ucName{uc, id}
		t.mu.Lock()
		s, put := t.series[name], t.seriesPut
		t.mu.Unlock()
		if s == nil {
			var err error
			if s, err = readSeries(ctx, t.db, name); err != nil {
				return nil, fmt.Errorf("price series %s of utility %v: %w", id, uc, err)
			}
		}
		if s == nil {
			continue
		}
		t.mu.Lock()
		if t.seriesPut == put { // else it may have more prices by now
			t.series[name] = s
		}
		t.mu.Unlock()
		list = append(list, s)
	}
	return list, nil
}
