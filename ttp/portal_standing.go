package ttp

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/clpke"
	"github.com/wattveil/wattveil/consumer"
	"github.com/wattveil/wattveil/internal/registry"
)

// Standing is how a meter stands: its last reading, keys and receipts.
func (c *Consumers) Standing(ctx context.Context, m wattveil.Meter) (consumer.Standing, error) {
	var s consumer.Standing
	root := clpke.RootFingerprint(c.t.RootKey())
	s.Root = hex.EncodeToString(root[:])
	for _, part := range []func(context.Context, wattveil.Meter, *consumer.Standing) error{
		c.standingReadings, c.standingKeys, c.standingReceipt,
	} {
		if err := part(ctx, m, &s); err != nil {
			return consumer.Standing{}, fmt.Errorf("standing of %v: %w", m, err)
		}
	}
	var err error
	s.Zone, err = c.Zone(ctx, m)
	return s, err
}

func (c *Consumers) standingReadings(ctx context.Context, m wattveil.Meter, s *consumer.Standing) error {
	f, err := c.recent(ctx, m, c.t.cfg.Now().Add(time.Hour))
	if err != nil {
		return err
	}
	s.Resolution = resolutionOf(f)
	var last wattveil.Reading
	for _, run := range f.Runs {
		if r := run.Readings[len(run.Readings)-1]; r.Time >= last.Time {
			last = r
		}
	}
	if last.Time != 0 {
		s.LastReading = time.Unix(last.Time, 0)
		s.Clock = last.Status&wattveil.StatusClock != 0
	}
	return nil
}

func (c *Consumers) standingKeys(ctx context.Context, m wattveil.Meter, s *consumer.Standing) error {
	var signed []byte
	_, err := registry.Find(c.t.db.QueryRowContext(ctx, `
		SELECT s.serial, s.statement, m.confirmed FROM statements s JOIN meters m ON m.uc = s.uc AND m.an_id = s.an_id
		WHERE s.uc = ? AND s.an_id = ? ORDER BY s.serial DESC LIMIT 1`,
		m.UC, int64(m.Pseudonym)), &s.Serial, &signed, &s.Confirmed)
	if err != nil {
		return fmt.Errorf("statement: %w", err)
	}
	hash := clpke.SignedStatement(signed).Hash()
	s.Fingerprint = hex.EncodeToString(hash[:])
	var since int64
	found, err := registry.Find(c.t.db.QueryRowContext(ctx, `
		SELECT epoch, created FROM sessions WHERE uc = ? AND an_id = ? AND state = ? ORDER BY epoch DESC LIMIT 1`,
		m.UC, int64(m.Pseudonym), stateActive), &s.Epoch, &since)
	if found {
		s.KeyedSince = time.Unix(since, 0)
	}
	return err
}

func (c *Consumers) standingReceipt(ctx context.Context, m wattveil.Meter, s *consumer.Standing) error {
	var made, from, to int64
	var missing []byte
	found, err := registry.Find(c.t.queries.receipt.QueryRowContext(ctx, m.UC, int64(m.Pseudonym)), &made, &from, &to, &missing)
	if err != nil || !found {
		return err
	}
	s.Receipt, s.DurableFrom, s.DurableTo = time.Unix(made, 0), time.Unix(from, 0), time.Unix(to, 0)
	gaps, err := parseGaps(missing)
	for _, g := range gaps {
		s.Gaps = append(s.Gaps, consumer.Span{From: time.Unix(g.First-1, 0), To: time.Unix(g.Last+1, 0)})
	}
	return err
}
