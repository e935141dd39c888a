package ttp

import (
	"context"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/consumer"
	"github.com/wattveil/wattveil/vee"
	"github.com/wattveil/wattveil/wire"
)

// Bills are a meter's bills and corrections by their periods. What a bill says
// is as it is kept: the browser verifies it.
func (c *Consumers) Bills(ctx context.Context, m wattveil.Meter) ([]consumer.Bill, error) {
	kept, err := c.t.ConsumerBills(ctx, m)
	if err != nil {
		return nil, err
	}
	list := make([]consumer.Bill, len(kept))
	for i, k := range kept {
		b := consumer.Bill{Ref: billRef(k.Document.JWS), Document: k.Document}
		if b.Content, err = contentOf(k.Document.JWS); err != nil {
			return nil, fmt.Errorf("bill of %v: %w", m, err)
		}
		if b.From, err = time.Parse(time.RFC3339, b.Content.From); err != nil {
			return nil, fmt.Errorf("bill of %v: %w", m, err)
		}
		if b.To, err = time.Parse(time.RFC3339, b.Content.To); err != nil {
			return nil, fmt.Errorf("bill of %v: %w", m, err)
		}
		if terms, err := c.t.tariff(ctx, m.UC, b.Content.Tariff); err == nil {
			b.From, b.To = b.From.In(terms.Zone()), b.To.In(terms.Zone())
		} else if !errors.Is(err, wire.NoTariff) {
			return nil, err
		}
		list[i] = b
	}
	return list, nil
}

// billRef names a bill in URLs: it is of the bill's text.
func billRef(jws string) string {
	hash := bill.HashOf(jws)
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(hash[:10]))
}

// contentOf is what a bill says, not verified.
func contentOf(jws string) (b bill.Bill, err error) {
	parts := strings.Split(jws, ".")
	if len(parts) != 3 {
		return b, errors.New("it is no JWS")
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return b, fmt.Errorf("payload: %w", err)
	}
	if err := json.Unmarshal(payload, &b); err != nil {
		return b, errors.New("payload is no bill")
	}
	return b, nil
}

// BillKeys is the JWKS that bills are checked with.
func (c *Consumers) BillKeys(context.Context) ([]byte, error) {
	set, err := c.t.BillKeys()
	if err != nil {
		return nil, err
	}
	return json.Marshal(set)
}

// BillKeysFor are what a meter's bills are checked with.
func (c *Consumers) BillKeysFor(ctx context.Context, m wattveil.Meter) (out consumer.BillKeys, err error) {
	if out.JWKS, err = c.BillKeys(ctx); err != nil {
		return out, fmt.Errorf("bill keys: %w", err)
	}
	keys, ok, err := c.t.LogKeys(ctx, m.UC)
	if err != nil || !ok {
		return out, err
	}
	text, err := json.Marshal(keys)
	out.Log = string(text)
	return out, err
}

// BillEnergy is what a bill was made from, as readings give it now. Time
// without readings has no intervals.
func (c *Consumers) BillEnergy(ctx context.Context, m wattveil.Meter, b consumer.Bill) (consumer.BillEnergy, error) {
	out, err := c.billEnergy(ctx, m, b)
	if err != nil {
		return consumer.BillEnergy{}, fmt.Errorf("energy of a bill of %v: %w", m, err)
	}
	return out, nil
}

func (c *Consumers) billEnergy(ctx context.Context, m wattveil.Meter, b consumer.Bill) (out consumer.BillEnergy, err error) {
	if out.Secret, err = c.secretOf(ctx, m, b); err != nil {
		return out, err
	}
	terms, err := c.t.tariff(ctx, m.UC, b.Content.Tariff)
	if err != nil {
		return out, err
	}
	p, err := c.t.period(ctx, m.UC, terms, b.From, b.To)
	if err != nil {
		return out, err
	}
	out.Terms, out.Days = terms.Tariff, p.days
	newest, err := c.newestSeries(ctx, m)
	if err != nil {
		return out, err
	}
	var w workspace
	found, err := c.t.measure(ctx, &w, m, newest, p)
	if err != nil && !errors.Is(err, wire.Incomplete) {
		return out, err
	}
	if out.Change, err = c.changeOf(ctx, m, &b, &found); err != nil {
		return out, err
	}
	var root bill.Intervals
	root.Start(p.days, out.Secret)
	for i := range found.known {
		out.Intervals = append(out.Intervals, consumer.BillInterval{Interval: found.known[i], Quality: uint8(found.quality[i])})
		root.Add(found.known[i], uint8(found.quality[i]))
	}
	if out.Leaves, err = root.Leaves(); err != nil {
		return out, err
	}
	out.Same = bill.RootOf(out.Leaves).String() == b.Content.ReadingsRoot
	return out, nil
}

// changeOf is why the intervals of a bill need not be those of today (spec/portal.md
// section 10).
func (c *Consumers) changeOf(ctx context.Context, m wattveil.Meter, b *consumer.Bill, now *metered) (consumer.BillChange, error) {
	before, err := c.t.erased(ctx, m)
	if err != nil {
		return "", err
	}
	if !before.IsZero() && (b.From.Before(before) || b.Content.Estimated > 0 && b.From.Before(before.Add(vee.Margin))) {
		return consumer.BillErased, nil
	}
	return now.changeSince(b.Content), nil
}

// changeSince is how readings that came late may have changed what a bill was
// made from. They add intervals and leave fewer to be estimated. Where they do
// neither, they change estimates alone, and not the sum over a gap.
func (m *metered) changeSince(b bill.Bill) consumer.BillChange {
	switch {
	case len(m.known) < b.Intervals || m.estimated > b.Estimated:
		return "" // readings are gone that were not erased
	case len(m.known) > b.Intervals || m.estimated < b.Estimated:
		return consumer.BillLate
	case slices.Contains(m.quality, vee.EstimatedReference) || m.gapsTouch():
		return consumer.BillEstimates
	default:
		return ""
	}
}

// gapsTouch tells whether a reading stands alone between two gaps.
func (m *metered) gapsTouch() bool {
	for i := 1; i < len(m.gaps); i++ {
		if m.gaps[i-1].To == m.gaps[i].From {
			return true
		}
	}
	return false
}

// secretOf is the secret of a bill's readings_root.
func (c *Consumers) secretOf(ctx context.Context, m wattveil.Meter, b consumer.Bill) (s bill.Secret, err error) {
	var box []byte
	err = c.t.db.QueryRowContext(ctx, `SELECT secret FROM bills WHERE uc = ? AND an_id = ? AND jws = ?`,
		m.UC, int64(m.Pseudonym), b.Document.JWS).Scan(&box)
	if err != nil {
		return s, fmt.Errorf("secret: %w", err)
	}
	raw, err := c.t.seal.Open(secretContext, box)
	if err == nil && len(raw) != len(s) {
		err = errors.New("secret is damaged")
	}
	copy(s[:], raw)
	return s, err
}

// newestSeries is the meter's newest series of registers.
func (c *Consumers) newestSeries(ctx context.Context, m wattveil.Meter) (wattveil.Series, error) {
	var serial uint32
	err := c.t.db.QueryRowContext(ctx, `SELECT coalesce(max(serial), 0) FROM statements WHERE uc = ? AND an_id = ?`,
		m.UC, int64(m.Pseudonym)).Scan(&serial)
	if err != nil {
		return 0, fmt.Errorf("newest series of %v: %w", m, err)
	}
	return wattveil.Series(serial), nil
}
