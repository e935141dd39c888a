package ttp

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/rating"
	"github.com/wattveil/wattveil/readings"
	"github.com/wattveil/wattveil/wire"
)

// between tells whether a time is after the first and before the last.
func between(first, last time.Time) func(int64) bool {
	return func(at int64) bool { return at > first.Unix() && at < last.Unix() }
}

// Readings of three days come late: the bill is corrected with the first one
// after 40 days, and the same request gives both again.
func TestCorrection(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	must(t, c.putTariffNow(twoBands))
	a := c.asker()
	feb, mar, apr, may := date(2026, 2, 1), date(2026, 3, 1), date(2026, 4, 1), date(2026, 5, 1)
	m := c.ledger(1, 3600, feb.Add(-24*time.Hour).Unix())
	m.read(date(2026, 5, 2), between(date(2026, 2, 10), date(2026, 2, 13)))
	r.at(date(2026, 3, 2))
	first := a.passes(t, m, "two", feb, mar, "")
	before := c.verified(first, m.name)
	if before.Estimated != 72 || before.Intervals != 28*24 {
		t.Errorf("%d of %d intervals are estimated, want 72 of 672", before.Estimated, before.Intervals)
	}
	m.deliver()
	if again := a.passes(t, m, "two", feb, mar, ""); again.JWS != first.JWS {
		t.Error("late readings change a bill that was made")
	}
	r.at(date(2026, 4, 2))
	if got := a.passes(t, m, "two", mar, apr, ""); got.Correction != nil {
		t.Error("a bill is corrected after a month")
	}
	r.at(date(2026, 5, 2))
	third := a.passes(t, m, "two", apr, may, "")
	k := third.Correction
	if k == nil || k.Tariff != "two" || !k.From.Equal(feb) || !k.To.Equal(mar) || len(k.Hashes) == 0 {
		t.Fatalf("correction %+v", k)
	}
	after := c.content(k.JWS, k.Salt, m.name)
	if after.Corrects != bill.HashOf(first.JWS).String() || after.Estimated != 0 || after.ImportKWh != before.ImportKWh || after.Total == before.Total {
		t.Errorf("corrects %s, %d estimated, %s kWh, total %s; before %s kWh, total %s",
			after.Corrects, after.Estimated, after.ImportKWh, after.Total, before.ImportKWh, before.Total)
	}
	again := a.passes(t, m, "two", apr, may, "")
	if !reflect.DeepEqual(again.Correction.LoggedBill.JWS, k.JWS) || again.Correction.Index != k.Index || again.JWS != third.JWS {
		t.Error("the same request gives another correction")
	}
	if n := r.count("bills WHERE open = 1"); n != 0 {
		t.Errorf("%d bills are open, want none", n)
	}
	checkConsumerBills(t, c, m, 4)
}

// checkConsumerBills holds what the consumer gets to the readings in the store:
// every root is of them.
func checkConsumerBills(t *testing.T, c *company, m *ledger, want int) {
	t.Helper()
	list, err := c.r.ConsumerBills(t.Context(), m.name)
	must(t, err)
	if len(list) != want {
		t.Fatalf("the consumer has %d bills, want %d", len(list), want)
	}
	for _, b := range list {
		content := c.content(b.Document.JWS, b.Document.Salt, m.name)
		from, err := time.Parse(time.RFC3339, content.From)
		must(t, err)
		to, err := time.Parse(time.RFC3339, content.To)
		must(t, err)
		if content.Estimated > 0 {
			continue // its readings have changed
		}
		terms, err := c.r.tariff(t.Context(), c.number, content.Tariff)
		must(t, err)
		p, err := c.r.period(t.Context(), c.number, terms, from, to)
		must(t, err)
		var w workspace
		measured, err := c.r.measure(t.Context(), &w, m.name, 1, p)
		must(t, err)
		if root, err := w.rootOf(&measured, p.days, b.Secret); err != nil || root != content.ReadingsRoot {
			t.Errorf("bill from %v: readings come to another root (%v)", from, err)
		}
		if b.Document.Meter != m.name.String() {
			t.Errorf("the document is of %q", b.Document.Meter)
		}
	}
}

// A correction tells no new demand figure.
func TestCorrectionKeepsDemand(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	must(t, c.putTariffNow(`{"id":"kw","currency":"CHF","timezone":"Europe/Zurich","valid_from":"2018-01-01",
		"energy":{"bands":{"all":{"import":"0.25"},"day":{"import":"0.3"}},"default":"all","windows":[{"band":"day","days":`+everyDay+`,"from":"06:00","to":"22:00"}]},
		"demand":[{"name":"peak","minutes":60,"per_kw":"2"}],"taxes":[{"name":"vat","percent":"8.1"}]}`))
	a := c.asker()
	feb := date(2026, 2, 1)
	m := c.ledger(1, 3600, feb.Add(-24*time.Hour).Unix())
	m.read(date(2026, 5, 2), between(date(2026, 2, 10), date(2026, 2, 20)))
	r.at(date(2026, 3, 2))
	first := c.verified(a.passes(t, m, "kw", feb, date(2026, 3, 1), ""), m.name)
	m.deliver()
	r.at(date(2026, 5, 2))
	got := a.passes(t, m, "kw", date(2026, 4, 1), date(2026, 5, 1), "")
	if got.Correction == nil {
		t.Fatal("no correction")
	}
	after := c.content(got.Correction.JWS, got.Correction.Salt, m.name)
	demand := func(b bill.Bill) (line bill.Line) {
		for _, l := range b.Lines {
			if l.Kind == rating.KindDemand {
				line = l
			}
		}
		return line
	}
	if demand(first).Quantity == "" || demand(first) != demand(after) {
		t.Errorf("demand %+v, before %+v", demand(after), demand(first))
	}
}

// Figures of earlier months hold later ones up.
func TestRatchet(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	must(t, c.putTariffNow(`{"id":"kw","currency":"CHF","timezone":"Europe/Zurich","valid_from":"2018-01-01",
		"energy":{"bands":{"all":{"import":"0.25"}},"default":"all"},
		"demand":[{"name":"peak","minutes":60,"per_kw":"2","ratchet":{"percent":"80","months":2}}]}`))
	feb := date(2026, 2, 1)
	m := c.ledger(1, 3600, feb.Add(-24*time.Hour).Unix())
	m.read(date(2026, 2, 10), nil)
	m.imp = m.imp.Add(9_940)
	m.read(date(2026, 6, 2), nil)
	r.at(date(2026, 6, 2))
	for i, want := range []string{"", "ratchet", "ratchet", ""} {
		got, _, err := c.bills("kw", feb.AddDate(0, i, 0), feb.AddDate(0, i+1, 0), m.id())
		must(t, err)
		for _, l := range c.verified(got[0], m.name).Lines {
			if l.Kind != rating.KindDemand {
				continue
			}
			held := i > 0 && want != ""
			if l.Note != want || i == 0 && l.Quantity < "10" || held && (l.Quantity < "8" || l.Quantity > "9.5") || i == 3 && l.Quantity > "1.7" {
				t.Errorf("month %d: %s kW, note %q", i, l.Quantity, l.Note)
			}
		}
	}
}

// A bill with a ratchet takes what the bills before it told. Nothing is decided
// between the look at those and the bill.
func TestRatchetIsRatedInTurn(t *testing.T) {
	for id, want := range map[string]bool{"kw": true, "plain": false} {
		watched := &watchedStore{}
		r := newRig(t, func(cfg *Config) { watched.Readings, cfg.Readings = cfg.Readings, watched })
		c := r.company("north.example")
		demand := ""
		if want {
			demand = `,"demand":[{"name":"peak","minutes":60,"per_kw":"2","ratchet":{"percent":"80","months":2}}]`
		}
		must(t, c.putTariffNow(`{"id":"`+id+`","currency":"CHF","timezone":"Europe/Zurich","valid_from":"2018-01-01",
			"energy":{"bands":{"all":{"import":"0.25"}},"default":"all"}`+demand+`}`))
		feb := date(2026, 2, 1)
		m := c.ledger(1, 3600, feb.Add(-24*time.Hour).Unix())
		m.read(date(2026, 3, 2), nil)
		r.at(date(2026, 3, 2))
		reads := 0
		watched.read = func() {
			reads++
			r.billTurns.mu.Lock()
			defer r.billTurns.mu.Unlock()
			if held := len(r.billTurns.of[c.number]) == 1; held != want {
				t.Errorf("tariff %s: readings are read in the utility's turn: %v, want %v", id, held, want)
			}
		}
		got, _, err := c.bills(id, feb, feb.AddDate(0, 1, 0), m.id())
		must(t, err)
		c.verified(got[0], m.name)
		if reads == 0 {
			t.Error("no readings were read")
		}
	}
}

// watchedStore tells when readings of a bill are read.
type watchedStore struct {
	Readings
	read func()
}

func (s *watchedStore) ReadInto(ctx context.Context, m wattveil.Meter, from, to int64, into *readings.Folded) error {
	s.read()
	return s.Readings.ReadInto(ctx, m, from, to, into)
}

// Ten years of a few households: monthly bills by tariffs that change, moves,
// readings that come late or never. All are made; what was billed is what the
// registers say.
func TestTenYears(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	const homes, years = 3, 10
	begin := date(2026, 2, 1)
	meters := make([]*ledger, homes)
	names := wattveil.Pseudonym(0)
	move := func(i int, at time.Time) {
		names++
		meters[i] = c.ledger(names, 3600, at.Add(-2*time.Hour).Unix())
	}
	for i := range meters {
		move(i, begin)
	}
	tariff := ""
	corrections, carried, estimated := 0, 0, 0
	for month := range 12 * years {
		from := begin.AddDate(0, month, 0)
		to := begin.AddDate(0, month+1, 0)
		if month%12 == 0 {
			r.at(from.Add(-time.Hour))
			tariff = fmt.Sprintf("terms-%d", month)
			must(t, c.putTariffNow(tariffOf(tariff, fmt.Sprintf(`{"all":{"import":"0.2%d","export":"0.08"},"day":{"import":"0.3%d","export":"0.1"}}`, month/12, month/12),
				`,"windows":[{"band":"day","days":`+everyDay+`,"from":"06:00","to":"22:00"}]`)))
		}
		r.at(to.AddDate(0, 0, 2))
		for i, m := range meters {
			m.deliver()
			gap := from.AddDate(0, 0, 3+i)
			length := time.Duration(1+month%90) * time.Hour
			m.read(to.Add(24*time.Hour), func(at int64) bool { return (month+i)%4 == 0 && between(gap, gap.Add(length))(at) })
			if (month+3*i)%8 == 5 {
				m.held = nil // lost for good
			}
			ends, end := "", to
			if moved := month%30 == 10*i+9; moved { // moves out in the middle of a month
				ends, end = wire.EndsTenancy, from.AddDate(0, 0, 3)
			}
			got := r.decide(t, c, wire.BillsRequest{Tariff: tariff, From: from, To: end, Ends: ends, Meters: []string{m.id()}})
			if got.err != nil {
				t.Fatalf("month %d, home %d: %v", month, i, got.err)
			}
			b := c.content(got.kept.jws, got.kept.salt.String(), m.name)
			if b.Carries != "" {
				carried++
			}
			if got.given != nil {
				corrections++
			}
			if b.Estimated > 0 {
				estimated++
			}
			if ends != "" {
				checkLife(t, c, m)
				move(i, end)
				meters[i].read(to.Add(24*time.Hour), nil)
				if got := r.decide(t, c, wire.BillsRequest{Tariff: tariff, From: end, To: to, Meters: []string{meters[i].id()}}); got.err != nil {
					t.Fatalf("month %d, home %d, new tenant: %v", month, i, got.err)
				}
			}
		}
	}
	for _, m := range meters {
		checkLife(t, c, m)
	}
	if corrections < 10 || estimated < 30 {
		t.Errorf("%d corrections, %d bills carry, %d with estimates: the test shows little", corrections, carried, estimated)
	}
	t.Logf("%d corrections, %d bills carry a difference, %d bills with estimates", corrections, carried, estimated)
}

// decide makes one bill, durable and not logged.
func (r *rig) decide(t *testing.T, c *company, in wire.BillsRequest) *draft {
	t.Helper()
	body, err := json.Marshal(in)
	must(t, err)
	must(t, json.Unmarshal(body, &in))
	run, err := r.newBillRun(t.Context(), c.number, &in)
	must(t, err)
	must(t, run.make(t.Context()))
	return run.drafts[0]
}

// Whatever comes late, and in whatever order, in the end the bills of a meter,
// corrections in the place of what they correct and carried differences
// included, come in each band to what passed.
func TestCorrectionsAddUp(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	must(t, c.putTariffNow(twoBands))
	begin := date(2026, 2, 1)
	meters := make([]*ledger, 6)
	for i := range meters {
		meters[i] = c.ledger(wattveil.Pseudonym(i+1), 3600, begin.Add(-24*time.Hour).Unix())
	}
	rng := rand.New(rand.NewPCG(8, 8))
	corrections, carried := 0, 0
	for month := range 7 {
		from, to := begin.AddDate(0, month, 0), begin.AddDate(0, month+1, 0)
		r.at(to.AddDate(0, 0, 2))
		for _, m := range meters {
			if month >= 3 { // there are three bills to correct
				m.deliverShuffled(rng)
			}
			gap := from.Add(time.Duration(24+rng.IntN(15*24)) * time.Hour)
			length := time.Duration(24+rng.IntN(5*24)) * time.Hour
			m.read(to.Add(24*time.Hour), func(at int64) bool { return month < 3 && between(gap, gap.Add(length))(at) })
			got := r.decide(t, c, wire.BillsRequest{Tariff: "two", From: from, To: to, Meters: []string{m.id()}})
			must(t, got.err)
			if got.given != nil {
				corrections++
			}
			if c.content(got.kept.jws, got.kept.salt.String(), m.name).Carries != "" {
				carried++
			}
		}
	}
	for _, m := range meters {
		checkBands(t, c, m, begin, begin.AddDate(0, 7, 0))
	}
	t.Logf("%d corrections, %d bills carry a difference", corrections, carried)
	if corrections == 0 || carried == 0 {
		t.Error("the test shows little")
	}
}

// deliverShuffled stores what was held in several messages, whose readings are
// drawn from all of it.
func (m *ledger) deliverShuffled(rng *rand.Rand) {
	rng.Shuffle(len(m.held), func(i, j int) { m.held[i], m.held[j] = m.held[j], m.held[i] })
	for len(m.held) > 0 {
		n := 1 + rng.IntN(len(m.held))
		message := m.held[:n]
		slices.SortFunc(message, func(a, b wattveil.Reading) int { return cmp.Compare(a.Time, b.Time) })
		m.store(message)
		m.held = m.held[n:]
	}
}

// checkBands holds the bands of a meter's bills to the readings, hour by hour.
func checkBands(t *testing.T, c *company, m *ledger, from, to time.Time) {
	t.Helper()
	list, err := c.r.ConsumerBills(t.Context(), m.name)
	must(t, err)
	final := map[string]bill.Bill{}
	for _, b := range list {
		content := c.content(b.Document.JWS, b.Document.Salt, m.name)
		final[content.From] = content // corrections come behind
	}
	billed, passed := map[string]int64{}, map[string]int64{} // Wh
	for _, b := range final {
		for _, l := range b.Lines {
			if l.Kind == rating.KindImport {
				wh, err := rating.ParseKWh(l.Quantity)
				must(t, err)
				billed[l.Band] += int64(wh)
			}
		}
	}
	stored, err := c.r.store.Read(t.Context(), m.name, from.Unix(), to.Unix())
	must(t, err)
	rs := stored.Runs[0].Readings
	for i, r := range rs[:len(rs)-1] {
		band := "all"
		if hour := unixTime(r.Time).In(from.Location()).Hour(); hour >= 6 && hour < 22 {
			band = "day"
		}
		passed[band] += int64(rs[i+1].Import.Since(r.Import))
	}
	if !reflect.DeepEqual(billed, passed) {
		t.Errorf("%v: %v Wh are billed over %d bills, %v passed", m.name, billed, len(list), passed)
	}
}

// checkLife holds the energy of all bills of a meter, corrections in the place
// of what they correct, to its registers.
func checkLife(t *testing.T, c *company, m *ledger) {
	t.Helper()
	list, err := c.r.ConsumerBills(t.Context(), m.name)
	must(t, err)
	final := map[string]bill.Bill{}
	var first, last string
	for _, b := range list {
		content := c.content(b.Document.JWS, b.Document.Salt, m.name)
		if first == "" {
			first = content.From
		}
		last = content.To
		final[content.From] = content // corrections come behind
	}
	var billed wattveil.Wh
	for _, b := range final {
		wh, err := rating.ParseKWh(b.ImportKWh)
		must(t, err)
		billed += wh
	}
	from, err := time.Parse(time.RFC3339, first)
	must(t, err)
	to, err := time.Parse(time.RFC3339, last)
	must(t, err)
	stored, err := c.r.store.Read(t.Context(), m.name, from.Unix(), to.Unix())
	must(t, err)
	rs := stored.Runs[0].Readings
	if want := rs[len(rs)-1].Import.Since(rs[0].Import); billed != want {
		t.Errorf("%v: %d Wh are billed over %d bills, the registers say %d", m.name, billed, len(list), want)
	}
}
