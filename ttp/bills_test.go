package ttp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	_ "time/tzdata"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/tariff"
	"github.com/wattveil/wattveil/wire"
)

const (
	flat      = `{"id":"flat","currency":"CHF","timezone":"Europe/Zurich","valid_from":"2018-01-01","energy":{"bands":{"all":{"import":"0.25"}},"default":"all"}}`
	flatOther = `{"id":"flat","currency":"CHF","timezone":"Europe/Zurich","valid_from":"2018-01-01","energy":{"bands":{"all":{"import":"0.26"}},"default":"all"}}`
	flatLater = `{"id":"later","currency":"CHF","timezone":"Europe/Zurich","valid_from":"2027-01-01","energy":{"bands":{"all":{"import":"0.25"}},"default":"all"}}`
)

// billDay is the local day in Zurich that begins an hour before start.
var billFrom, billTo = start.Add(-time.Hour), start.Add(23 * time.Hour)

// putTariff registers a tariff two days ago, before the period of the bills
// began.
func (c *company) putTariff(document string) error {
	c.r.clock.add(-2 * day)
	defer c.r.clock.add(2 * day)
	return c.putTariffNow(document)
}

func (c *company) putTariffNow(document string) error {
	_, err := c.r.handleTariff(c.r.t.Context(), c.number, []byte(document))
	return err
}

// bills asks for bills and returns the answer, and a text that tells bills from
// others.
func (c *company) bills(id string, from, to time.Time, names ...string) ([]wire.BillAnswer, string, error) {
	c.r.t.Helper()
	out, err := c.ask(wire.BillsRequest{Tariff: id, From: from, To: to, Meters: names})
	var text strings.Builder
	for _, a := range out.Bills {
		fmt.Fprintln(&text, a.Meter, a.Class, a.Rule, a.Salt, a.JWS, a.Index)
	}
	return out.Bills, text.String(), err
}

// ask asks for bills.
func (c *company) ask(in wire.BillsRequest) (out wire.BillsAnswer, err error) {
	c.r.t.Helper()
	body, err := json.Marshal(in)
	must(c.r.t, err)
	raw, err := c.r.handleBills(c.r.t.Context(), c.number, body)
	if err != nil {
		return out, err
	}
	must(c.r.t, json.Unmarshal(raw, &out))
	if len(out.Bills) != len(in.Meters) {
		c.r.t.Fatalf("%d bills for %d meters", len(out.Bills), len(in.Meters))
	}
	return out, nil
}

// verified is a bill's content, checked as anyone would.
func (c *company) verified(a wire.BillAnswer, m wattveil.Meter) bill.Bill {
	c.r.t.Helper()
	keys, err := c.r.BillKeys()
	must(c.r.t, err)
	v, err := bill.Verify(a.JWS, keys)
	must(c.r.t, err)
	salt, err := bill.ParseSalt(a.Salt)
	must(c.r.t, err)
	must(c.r.t, v.Bill.IsOf(salt, m))
	return v.Bill
}

// fill sends a meter's readings from the first to the last quarter that a bill
// of the day needs, but for a gap. Quarter i ends i quarters after start.
func (m *smart) fill(from, to int, wh func(i int) uint64) {
	m.c.r.t.Helper()
	for i := from; i <= to; i += 50 {
		var list []wattveil.Reading
		for k := i; k < min(i+50, to+1); k++ {
			list = append(list, reading(k, wh(k)))
		}
		if got := m.c.send(m.message(1, wattveil.Counter(i+1000), list...)); got[0] != wire.Durable {
			m.c.r.t.Fatal(got)
		}
	}
}

func perQuarter(wh uint64) func(int) uint64 {
	return func(i int) uint64 { return 1_000_000 + uint64(i+4)*wh }
}

func TestTariffs(t *testing.T) {
	r := newRig(t, nil)
	c, other := r.company("north.example"), r.company("south.example")
	must(t, c.putTariff(flat))
	must(t, c.putTariff(flat))
	must(t, c.putTariff(strings.ReplaceAll(flat, ",", ", "))) // the same terms, written otherwise
	if err := c.putTariff(flatOther); classOf(err) != wire.Rebound {
		t.Errorf("other terms under one id: %v", err)
	}
	must(t, other.putTariff(flatOther)) // another utility's id
	for _, bad := range []string{"", "{}", flat + "x", `{"id":"x"}`} {
		if err := c.putTariff(bad); classOf(err) != wire.Malformed {
			t.Errorf("tariff %q: %v", bad, err)
		}
	}
	r.reopen()
	if err := c.putTariff(flatOther); classOf(err) != wire.Rebound {
		t.Errorf("other terms after a restart: %v", err)
	}
	if n := r.count("tariffs"); n != 2 {
		t.Errorf("%d tariffs, want 2", n)
	}
}

func TestBill(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	must(t, c.putTariff(flat))
	m := c.keyed(1)
	m.fill(-4, 92, perQuarter(100))
	r.clock.add(day)
	got, raw, err := c.bills("flat", billFrom, billTo, m.name.Pseudonym.String())
	must(t, err)
	b := c.verified(got[0], m.name)
	if b.ImportKWh != "9.600" || b.Total != "2.40" || b.Issuer != ttpOrg || b.Tariff != "flat" ||
		b.From != "2026-01-05T00:00:00+01:00" || b.To != "2026-01-06T00:00:00+01:00" {
		t.Errorf("bill %+v", b)
	}
	terms, err := tariff.Parse([]byte(flat))
	must(t, err)
	if b.TariffDigest != terms.Digest().String() {
		t.Errorf("digest %s", b.TariffDigest)
	}

	// The same request gives the same bytes, whatever has become of the
	// readings, in another zone, and after a restart.
	m.agree(2)
	c.send(m.message(2, 0, reading(3, 7)))
	if _, again, err := c.bills("flat", billFrom, billTo, m.name.Pseudonym.String()); err != nil || again != raw {
		t.Errorf("the same request: %v\n%s\n%s", err, again, raw)
	}
	zone, err := time.LoadLocation("Europe/Zurich")
	must(t, err)
	r.reopen()
	if _, again, err := c.bills("flat", billFrom.In(zone), billTo.In(zone), m.name.Pseudonym.String()); err != nil || again != raw {
		t.Errorf("the same request after a restart: %v\n%s\n%s", err, again, raw)
	}
	if n := r.count("bills"); n != 1 {
		t.Errorf("%d bills are kept, want 1", n)
	}
}

func TestNoBill(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	must(t, c.putTariff(flat))
	must(t, c.putTariff(flatLater))
	good, gap, empty, endless := c.keyed(1), c.keyed(2), c.meter(3), c.keyed(4)
	for _, m := range []*smart{good, gap, endless} {
		to := 92
		if m == endless {
			to = 91
		}
		if m == gap {
			m.fill(-4, 40, perQuarter(1))
			m.fill(42, to, perQuarter(1))
			continue
		}
		m.fill(-4, to, perQuarter(1))
	}
	r.clock.add(23*time.Hour - time.Second)
	if a, _, err := c.bills("flat", billFrom, billTo, good.name.Pseudonym.String()); err != nil || a[0].Class != wire.Incomplete {
		t.Errorf("a period that is not over: %v, %v", a, err)
	}
	r.clock.add(time.Second)
	a, _, err := c.bills("flat", billFrom, billTo,
		good.name.Pseudonym.String(), gap.name.Pseudonym.String(), empty.name.Pseudonym.String(), endless.name.Pseudonym.String(),
		"0000000000000063", "nonsense", "", good.name.Pseudonym.String())
	must(t, err)
	for i, want := range []wire.Class{"", "", wire.Incomplete, wire.Incomplete, wire.Unknown, wire.Malformed, wire.Malformed, ""} {
		if a[i].Class != want || (a[i].JWS == "") != (want != "") || (a[i].Salt == "") != (want != "") {
			t.Errorf("position %d: class %q, want %q", i, a[i].Class, want)
		}
	}
	if a[0].JWS != a[7].JWS || a[0].Index != a[7].Index {
		t.Error("a meter that is named twice has two bills")
	}
	if b := c.verified(a[1], gap.name); b.Estimated != 2 || b.Intervals != 96 || b.ImportKWh != "0.096" {
		t.Errorf("with a reading missing: %d of %d intervals estimated, %s kWh", b.Estimated, b.Intervals, b.ImportKWh)
	}
	if n := r.count("bills"); n != 2 {
		t.Errorf("%d bills are kept, want 2", n)
	}
	if a, _, err := c.bills("later", billFrom, billTo, gap.name.Pseudonym.String()); err != nil || a[0].Class != wire.NoTariff {
		t.Errorf("before the tariff is valid: %v, %v", a, err)
	}
}

func TestBillRequests(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	must(t, c.putTariff(flat))
	r.clock.add(day)
	many := make([]string, maxBillsPerRequest+1)
	for i := range many {
		many[i] = fmt.Sprintf("%016x", i)
	}
	for _, tt := range []struct {
		name     string
		tariff   string
		from, to time.Time
		meters   []string
		want     wire.Class
	}{
		{"no tariff", "other", billFrom, billTo, nil, wire.NoTariff},
		{"1,001 meters", "flat", billFrom, billTo, many, wire.Malformed},
		{"period backwards", "flat", billTo, billFrom, nil, wire.Malformed},
		{"empty period", "flat", billFrom, billFrom, nil, wire.Malformed},
		{"half a second", "flat", billFrom.Add(time.Second / 2), billTo, nil, wire.Malformed},
	} {
		if _, _, err := c.bills(tt.tariff, tt.from, tt.to, tt.meters...); classOf(err) != tt.want {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	if a, _, err := c.bills("flat", billFrom, billTo, many[:maxBillsPerRequest]...); err != nil || a[999].Class != wire.Unknown {
		t.Errorf("1,000 meters: %v", err)
	}
	if _, err := r.handleBills(t.Context(), c.number, []byte("nonsense")); classOf(err) != wire.Malformed {
		t.Errorf("no JSON: %v", err)
	}
}

// Readings of two series are two meters' as far as differences go: there is no
// energy in the step between them.
func TestSeriesAreNotDifferenced(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	must(t, c.putTariff(flat))
	m := c.keyed(1)
	m.fill(-4, 43, perQuarter(100))
	m.issue(2)
	c.mustEnrol(m)
	m.epochs = map[wattveil.Epoch]*agreed{}
	m.offer(2, nil)
	m.epochs[1] = m.epochs[2]
	for i := 44; i <= 92; i++ {
		list := []wattveil.Reading{reading(i, perQuarter(100)(i))}
		if got := c.send(m.message(2, wattveil.Counter(i), list...)); got[0] != wire.Durable {
			t.Fatal(got)
		}
	}
	r.clock.add(day)
	a, _, err := c.bills("flat", billFrom, billTo, m.name.Pseudonym.String())
	must(t, err)
	// The quarter between the two devices was measured by neither.
	if b := c.verified(a[0], m.name); b.ImportKWh != "9.500" || b.UnbilledSeconds != quarter || b.Intervals != 95 || b.Estimated != 0 {
		t.Errorf("%s kWh, %d s unbilled, %d of %d intervals estimated", b.ImportKWh, b.UnbilledSeconds, b.Estimated, b.Intervals)
	}
}

// Where a reading came with two values, the first durable one is billed.
func TestBillWithConflict(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	must(t, c.putTariff(flat))
	m := c.keyed(1)
	m.fill(-4, 92, perQuarter(100))
	for i := range 20 {
		if got := c.send(m.message(1, wattveil.Counter(5_000+i), reading(92-i, 77))); got[0] != wire.Durable {
			t.Fatal(got)
		}
	}
	r.clock.add(day)
	a, _, err := c.bills("flat", billFrom, billTo, m.name.Pseudonym.String())
	must(t, err)
	if got := c.verified(a[0], m.name).ImportKWh; got != "9.600" {
		t.Errorf("%s kWh, want 9.600", got)
	}
}

// Requests for the same bills at the same time agree on one bill each.
func TestBillsInParallel(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	must(t, c.putTariff(flat))
	var names []string
	for p := range wattveil.Pseudonym(6) {
		m := c.keyed(p)
		m.fill(-4, 92, perQuarter(uint64(p)))
		names = append(names, p.String())
	}
	r.clock.add(day)
	answers := make(chan string)
	for range 4 {
		go func() {
			_, raw, err := c.bills("flat", billFrom, billTo, names...)
			answers <- fmt.Sprint(raw, err)
		}()
	}
	first := <-answers
	for range 3 {
		if next := <-answers; next != first {
			t.Errorf("two answers to one request:\n%s\n%s", first, next)
		}
	}
	if n := r.count("bills"); n != len(names) {
		t.Errorf("%d bills are kept, want %d", n, len(names))
	}
}

// A bill that was made and never came to the log comes before those of its
// meter that were made later, whatever is asked for first.
func TestPlacesAreInTheOrderOfMaking(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	must(t, c.putTariffNow(twoBands))
	feb := date(2026, 2, 1)
	months := [...]time.Time{feb, feb.AddDate(0, 1, 0), feb.AddDate(0, 2, 0), feb.AddDate(0, 3, 0)}
	var meters [3]*ledger
	var ids []string
	for i := range meters {
		meters[i] = c.ledger(wattveil.Pseudonym(i+1), 3600, feb.Add(-24*time.Hour).Unix())
		meters[i].read(date(2026, 5, 2), nil)
		ids = append(ids, meters[i].id())
	}
	r.at(date(2026, 5, 2))
	for _, month := range []int{2, 0} { // April and February of two meters, and then the requests stop
		must(t, r.decide(t, c, wire.BillsRequest{Tariff: "two", From: months[month], To: months[month+1], Meters: ids[:1]}).err)
		must(t, r.decide(t, c, wire.BillsRequest{Tariff: "two", From: months[month], To: months[month+1], Meters: ids[1:2]}).err)
	}
	places := map[int][]wire.BillAnswer{}
	for _, month := range []int{1, 0, 2} {
		got, _, err := c.bills("two", months[month], months[month+1], ids...)
		must(t, err)
		places[month] = got
	}
	for i, m := range meters {
		for _, month := range places {
			c.verified(month[i], m.name)
		}
		april, february, march := places[2][i].Index, places[0][i].Index, places[1][i].Index
		if i < 2 && !(april < february && february < march) || i == 2 && !(march < february && february < april) {
			t.Errorf("%v: April has place %d, February %d, March %d", m.name, april, february, march)
		}
	}
	checkpoint, err := r.TTP.log.Checkpoint(t.Context(), 0)
	must(t, err)
	if checkpoint.Size != 9 {
		t.Errorf("the log has %d entries for 9 bills", checkpoint.Size)
	}
}

func TestBillWithoutStore(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	must(t, c.putTariff(flat))
	m := c.keyed(1)
	m.fill(-4, 92, perQuarter(1))
	r.clock.add(day)
	r.faults.set(func(s *faultyStore) { s.read = errDisk })
	if a, _, err := c.bills("flat", billFrom, billTo, m.name.Pseudonym.String()); err != nil || a[0].Class != wire.Unavailable {
		t.Errorf("while the store fails: %v, %v", a, err)
	}
	r.faults.set(func(s *faultyStore) { s.read = nil })
	if a, _, err := c.bills("flat", billFrom, billTo, m.name.Pseudonym.String()); err != nil || a[0].Class != "" {
		t.Errorf("when it works again: %v, %v", a, err)
	}
}

func TestBillKeysOutliveARestart(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	before, err := r.handleBillKeys(t.Context(), c.number, nil)
	must(t, err)
	r.reopen()
	after, err := r.handleBillKeys(t.Context(), c.number, nil)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("%v: %s, was %s", err, after, before)
	}
}
