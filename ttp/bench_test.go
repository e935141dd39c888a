package ttp

import (
	"crypto/rand"
	"database/sql"
	"fmt"
	"testing"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/internal/registry"
	"github.com/wattveil/wattveil/wire"
)

// fleet makes enrolled meters with epoch 1 active, without the exchanges, that
// have their receipts of the day.
func (c *company) fleet(n int) []*smart {
	c.r.t.Helper()
	meters := make([]*smart, n)
	err := registry.Tx(c.r.t.Context(), c.r.db, func(tx *sql.Tx) error {
		for i := range meters {
			var raw [wire.SessionKeysSize]byte
			_, _ = rand.Read(raw[:])
			keys, err := wire.ParseSessionKeys(raw[:])
			if err != nil {
				return err
			}
			m := &smart{
				c: c, name: wattveil.Meter{UC: c.number, Pseudonym: wattveil.Pseudonym(i+1) << 40},
				tag: wire.NewSecret().DataTagKey(), epochs: map[wattveil.Epoch]*agreed{1: {keys: keys}},
			}
			meters[i] = m
			anID := int64(m.name.Pseudonym)
			if _, err := tx.ExecContext(c.r.t.Context(), `INSERT INTO meters (uc, an_id, last_epoch) VALUES (?, ?, 1)`, c.number, anID); err != nil {
				return err
			}
			_, err = tx.ExecContext(c.r.t.Context(), `
				INSERT INTO sessions (uc, an_id, epoch, low, state, series, chain, pinned, m1, m2, transcript, keys, created)
				VALUES (?, ?, 1, 1, ?, 1, 0, 0, x'', x'', x'', ?, ?)`,
				c.number, anID, stateActive, c.r.seal.Seal(keysContext(m.name, 1), raw[:]), c.r.clock.Now().Unix())
			if err != nil {
				return err
			}
			now := c.r.clock.Now().Unix()
			_, err = tx.ExecContext(c.r.t.Context(), `INSERT INTO receipts (uc, an_id, made, since, through, missing) VALUES (?, ?, ?, ?, ?, ?)`,
				c.number, anID, now, now-1, now, encodeGaps(nil))
			if err != nil {
				return err
			}
		}
		return nil
	})
	must(c.r.t, err)
	return meters
}

// round is the body of one batch: the i-th message of each meter, of so many
// readings.
func round(meters []*smart, i, n int) []byte {
	messages := make([][]byte, len(meters))
	list := make([]wattveil.Reading, n)
	for k, m := range meters {
		for j := range list {
			at := i*n + j
			list[j] = reading(at, 1_000_000+uint64(at*(50+k%200)))
		}
		messages[k] = m.message(1, wattveil.Counter(i), list...)
	}
	return wire.AppendMessages(nil, messages)
}

// BenchmarkIngest takes full batches from their body to durable: one message
// of each of 4,096 meters.
func BenchmarkIngest(b *testing.B) {
	for _, cold := range []bool{false, true} {
		for _, n := range []int{1, 96} {
			name := fmt.Sprintf("readings=%d", n)
			if cold {
				name += "/cold"
			}
			b.Run(name, func(b *testing.B) {
				r := newRig(b, func(cfg *Config) {
					if cold {
						cfg.SessionCache = 1
					}
				})
				c := r.company("north.example")
				meters := c.fleet(wire.MaxBatchMessages)
				i := 0
				ingest := func(body []byte) {
					if _, err := r.handleMessages(b.Context(), c.number, body); err != nil {
						b.Fatal(err)
					}
					i++
				}
				ingest(round(meters, i, n))
				b.ReportAllocs()
				b.ResetTimer()
				for range b.N {
					b.StopTimer()
					body := round(meters, i, n)
					b.StartTimer()
					ingest(body)
				}
				b.ReportMetric(float64(b.N*n*len(meters))/b.Elapsed().Seconds(), "readings/s")
				b.ReportMetric(float64(b.N*len(meters))/b.Elapsed().Seconds(), "messages/s")
			})
		}
	}
}

// BenchmarkExchange makes a session: M1 and M3 of one meter after the other.
func BenchmarkExchange(b *testing.B) {
	r := newRig(b, func(cfg *Config) { cfg.MaxExchanges = 1 << 30 })
	c := r.company("north.example")
	m := c.meter(1)
	for i := range b.N {
		m.agree(wattveil.Epoch(i + 1))
	}
}

// BenchmarkBills makes a month's bills of quarters of an hour, signed and kept.
func BenchmarkBills(b *testing.B) {
	const days = 30
	r := newRig(b, nil)
	c := r.company("north.example")
	must(b, c.putTariff(flat))
	meters := c.fleet(200)
	names := make([]string, len(meters))
	for i, m := range meters {
		names[i] = m.name.Pseudonym.String()
	}
	for i := range days + 2 {
		if _, err := r.handleMessages(b.Context(), c.number, round(meters, i, 96)); err != nil {
			b.Fatal(err)
		}
	}
	r.clock.add((days + 40) * day)
	b.ResetTimer()
	for i := range b.N {
		b.StopTimer()
		if _, err := r.db.Exec(`DELETE FROM bills`); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		from := start.Add(quarter * 1e9)
		a, _, err := c.bills("flat", from, from.Add(days*day), names...)
		must(b, err)
		if i == 0 && a[0].Class != "" {
			b.Fatal(a[0].Class)
		}
	}
	b.ReportMetric(float64(b.N*len(meters))/b.Elapsed().Seconds(), "bills/s")
}
