package utility

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/wattveil/wattveil/tariff"
	"github.com/wattveil/wattveil/wire"
)

// PutSeries registers a part of a price series at all TTPs and keeps it. A price
// that was given is never given again with another value, and by default the
// prices must apply later than now.
func (u *Utility) PutSeries(ctx context.Context, document []byte) (*tariff.Series, error) {
	part, err := tariff.ParseSeries(document)
	if err != nil {
		return nil, err
	}
	list, err := u.Tariffs(ctx)
	if err != nil {
		return nil, err
	}
	for _, t := range list {
		if err := sameCurrency(t, part); err != nil {
			return nil, err
		}
	}
	if len(u.TTPs()) == 0 {
		_, err := u.trustee("")
		return nil, fmt.Errorf("register price series %s: %w", part.Name(), err)
	}
	err = u.eachTTP(func(at *trustee) error {
		_, err := u.call(ctx, at, "PUT", "/v1/series", document)
		return err
	})
	if errors.Is(err, wire.Gated) {
		err = fmt.Errorf("%w; a TTP takes prices before they apply, unless its limits for this utility say retroactive", err)
	}
	if err != nil {
		return nil, fmt.Errorf("register price series %s: %w", part.Name(), err)
	}
	_, err = u.db.ExecContext(ctx, `
		INSERT INTO series (name, from_second, document) VALUES (?1, ?2, ?3)
		ON CONFLICT DO UPDATE SET document = excluded.document WHERE length(excluded.document) > length(document)`,
		part.Name(), part.From().Unix(), document)
	if err != nil {
		return nil, fmt.Errorf("keep price series %s: %w", part.Name(), err)
	}
	return part, nil
}

// sameCurrency refuses a tariff and a price series that it names in another
// currency: no bill could come of them.
func sameCurrency(t *tariff.Tariff, s *tariff.Series) error {
	if !slices.Contains(t.Series(), s.Name()) || t.Currency() == s.Currency() {
		return nil
	}
	return fmt.Errorf("%w: price series %s is in %v, tariff %s, which names it, in %v", wire.Malformed, s.Name(), s.Currency(), t.ID(), t.Currency())
}

// SeriesParts are the parts of price series that were put, by name and time.
// They may overlap, with the same prices.
func (u *Utility) SeriesParts(ctx context.Context) (list []*tariff.Series, err error) {
	rows, err := u.db.QueryContext(ctx, `SELECT document FROM series ORDER BY name, from_second`)
	if err != nil {
		return nil, fmt.Errorf("list price series: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var document []byte
		if err := rows.Scan(&document); err != nil {
			return nil, fmt.Errorf("list price series: %w", err)
		}
		part, err := tariff.ParseSeries(document)
		if err != nil {
			return nil, fmt.Errorf("list price series: %w", err)
		}
		list = append(list, part)
	}
	return list, rows.Err()
}
