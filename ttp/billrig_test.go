package ttp

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/gate"
	"github.com/wattveil/wattveil/internal/registry"
	"github.com/wattveil/wattveil/peer"
	"github.com/wattveil/wattveil/readings"
	"github.com/wattveil/wattveil/wire"
)

// ledger is an enrolled meter whose readings are put into the store as ingest
// would, for tests of years.
type ledger struct {
	c       *company
	name    wattveil.Meter
	step    int64
	rng     *rand.Rand
	next    int64 // time of the next reading
	imp     wattveil.Register
	exp     wattveil.Register
	held    []wattveil.Reading // not delivered yet
	counter wattveil.Counter
}

// ledger enrols a meter that reads every step seconds from a time on.
func (c *company) ledger(p wattveil.Pseudonym, step, from int64) *ledger {
	c.r.t.Helper()
	m := &ledger{c: c, name: wattveil.Meter{UC: c.number, Pseudonym: p}, step: step, next: from, rng: rand.New(rand.NewPCG(uint64(p), 5))}
	err := registry.Tx(c.r.t.Context(), c.r.db, func(tx *sql.Tx) error {
		if _, err := tx.Exec(`INSERT INTO meters (uc, an_id) VALUES (?, ?)`, c.number, int64(p)); err != nil {
			return err
		}
		_, err := tx.Exec(`INSERT INTO statements (uc, an_id, serial, statement) VALUES (?, ?, 1, x'')`, c.number, int64(p))
		return err
	})
	must(c.r.t, err)
	m.imp = wattveil.Register(m.rng.Uint64N(wattveil.RegisterModulus))
	return m
}

func (m *ledger) id() string { return m.name.Pseudonym.String() }

// read makes the readings up to and at a time. Those for which hold says so are
// not delivered.
func (m *ledger) read(to time.Time, hold func(at int64) bool) {
	m.c.r.t.Helper()
	var list []wattveil.Reading
	for ; m.next <= to.Unix(); m.next += m.step {
		r := wattveil.Reading{Time: m.next, Import: m.imp, Export: m.exp}
		if hold != nil && hold(m.next) {
			m.held = append(m.held, r)
		} else {
			list = append(list, r)
		}
		m.imp = m.imp.Add(wattveil.Wh(50 + m.rng.IntN(1500)))
		m.exp = m.exp.Add(wattveil.Wh(max(0, m.rng.IntN(900)-600)))
	}
	m.store(list)
}

// deliver stores what was held.
func (m *ledger) deliver() {
	m.c.r.t.Helper()
	m.store(m.held)
	m.held = nil
}

func (m *ledger) store(list []wattveil.Reading) {
	m.c.r.t.Helper()
	if len(list) == 0 {
		return
	}
	m.counter++
	block := readings.Block{Meter: m.name, Epoch: 1, Counter: m.counter, Series: 1, Readings: list}
	must(m.c.r.t, m.c.r.store.Append(m.c.r.t.Context(), []readings.Block{block}))
}

// at sets the clock.
func (r *rig) at(t time.Time) { r.clock.add(t.Sub(r.clock.Now())) }

// date is the beginning of a local day in Zurich.
func date(year, month, day int) time.Time {
	zone, err := time.LoadLocation("Europe/Zurich")
	if err != nil {
		panic(err)
	}
	return time.Date(year, time.Month(month), day, 0, 0, 0, 0, zone)
}

// asker asks for bills over the real route, as a utility does.
type asker struct {
	c      *company
	url    string
	since  time.Time // of the client's certificate
	client *peer.Client
}

func (c *company) asker() *asker {
	c.r.t.Helper()
	a := &asker{c: c, url: c.r.listen()}
	a.renew()
	return a
}

// renew makes certificates for the time that the clock shows.
func (a *asker) renew() {
	a.c.r.t.Helper()
	if now := a.c.r.clock.Now(); !now.Equal(a.since) {
		must(a.c.r.t, a.c.r.Maintain(a.c.r.t.Context()))
		a.since, a.client = now, a.c.client(a.url, peer.Name{Org: a.c.org, Role: peer.RoleUtility}, a.c.authority)
	}
}

func (a *asker) bill(t *testing.T, m *ledger, tariff string, from, to time.Time, ends string) wire.BillAnswer {
	t.Helper()
	a.renew()
	var out wire.BillsAnswer
	in := wire.BillsRequest{Tariff: tariff, From: from, To: to, Ends: ends, Meters: []string{m.id()}}
	if class := askJSON(t, a.client, "POST", "/v1/bills", in, &out); class != "" {
		t.Fatalf("bill from %v to %v: %s", from, to, class)
	}
	return out.Bills[0]
}

// passes demands a bill.
func (a *asker) passes(t *testing.T, m *ledger, tariff string, from, to time.Time, ends string) wire.BillAnswer {
	t.Helper()
	got := a.bill(t, m, tariff, from, to, ends)
	if got.Class != "" {
		t.Fatalf("bill from %v to %v by %s: %s, rule %s", from, to, tariff, got.Class, got.Rule)
	}
	return got
}

// refused demands a refusal by a rule.
func (a *asker) refused(t *testing.T, m *ledger, tariff string, from, to time.Time, rule gate.Rule) {
	t.Helper()
	got := a.bill(t, m, tariff, from, to, "")
	if got.Class != wire.Gated || got.Rule != string(rule) || got.JWS != "" || got.Salt != "" {
		t.Errorf("bill from %v to %v by %s: class %q, rule %q, want %q", from, to, tariff, got.Class, got.Rule, string(rule))
	}
}

// content is a bill's content, verified.
func (c *company) content(jws, salt string, m wattveil.Meter) bill.Bill {
	c.r.t.Helper()
	return c.verified(wire.BillAnswer{LoggedBill: wire.LoggedBill{JWS: jws, Salt: salt}}, m)
}

// tariffOf is a tariff of bands with windows, valid from 2018.
func tariffOf(id, bands, more string) string {
	return fmt.Sprintf(`{"id":%q,"currency":"CHF","timezone":"Europe/Zurich","valid_from":"2018-01-01","energy":{"bands":%s,"default":"all"%s}}`, id, bands, more)
}

const everyDay = `["mon","tue","wed","thu","fri","sat","sun"]`
