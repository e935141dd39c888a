package ttp

import (
	"crypto/ed25519"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

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
			if _, err := tx.ExecContext(c.r.t.Context(), `INSERT INTO statements (uc, an_id, serial, statement) VALUES (?, ?, 1, x'')`, c.number, anID); err != nil {
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

// threeBands is a tariff of three bands, all of which come on each weekday.
const threeBands = `{"id":"three","currency":"CHF","timezone":"Europe/Zurich","valid_from":"2018-01-01","energy":{
"bands":{"low":{"import":"0.18","export":"0.08"},"mid":{"import":"0.25","export":"0.08"},"high":{"import":"0.31","export":"0.08"}},"default":"low","windows":[
{"band":"mid","days":["mon","tue","wed","thu","fri"],"from":"07:00","to":"17:00"},
{"band":"high","days":["mon","tue","wed","thu","fri"],"from":"17:00","to":"22:00"}]},"standing":{"per_day":"0.30"},"tax_percent":"8.1"}`

// BenchmarkBills makes a month's bills of quarters of an hour with three bands:
// gated, signed, durable and logged, in requests of which some are under way at
// once, as in a billing run. BenchmarkBillSignature is the floor.
func BenchmarkBills(b *testing.B) {
	const days, requests, perRequest, atOnce = 31, 16, 500, 4
	r := newRig(b, nil)
	c := r.company("north.example")
	must(b, c.putTariff(threeBands))
	meters := c.fleet(requests * perRequest)
	for i := range days + 2 {
		for some := range slices.Chunk(meters, wire.MaxBatchMessages) {
			if _, err := r.handleMessages(b.Context(), c.number, round(some, i, 96)); err != nil {
				b.Fatal(err)
			}
		}
	}
	r.clock.add((days + 40) * day)
	from := start.Add(23 * time.Hour)
	bodies := make([][]byte, requests)
	for k := range bodies {
		in := wire.BillsRequest{Tariff: "three", From: from, To: from.Add(days * day)}
		for _, m := range meters[k*perRequest : (k+1)*perRequest] {
			in.Meters = append(in.Meters, m.name.Pseudonym.String())
		}
		var err error
		bodies[k], err = json.Marshal(in)
		must(b, err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		b.StopTimer()
		for _, table := range []string{"log_places", "bills", "histories", "disclosures"} {
			_, err := r.db.Exec(`DELETE FROM ` + table)
			must(b, err)
		}
		b.StartTimer()
		answers := make([][]byte, requests)
		var all errgroup.Group
		all.SetLimit(atOnce)
		for k := range bodies {
			all.Go(func() (err error) {
				answers[k], err = r.handleBills(b.Context(), c.number, bodies[k])
				return err
			})
		}
		must(b, all.Wait())
		b.StopTimer()
		for _, raw := range answers {
			var out wire.BillsAnswer
			must(b, json.Unmarshal(raw, &out))
			if len(out.Bills) != perRequest || out.Bills[0].Class != "" || len(out.Bills[perRequest-1].Hashes) == 0 {
				b.Fatalf("no bill: %.200s", raw)
			}
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(b.N*len(meters))/b.Elapsed().Seconds(), "bills/s")
}

// BenchmarkBillSignature is the signature alone: what of BenchmarkBills nothing
// can take away.
func BenchmarkBillSignature(b *testing.B) {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	payload := make([]byte, 1600)
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			ed25519.Sign(key, payload)
		}
	})
}
