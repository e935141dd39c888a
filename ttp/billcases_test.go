package ttp

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/gate"
	"github.com/wattveil/wattveil/rating"
	"github.com/wattveil/wattveil/readings"
	"github.com/wattveil/wattveil/transparency"
	"github.com/wattveil/wattveil/wire"
)

// Readings that are missing in all the ways there are: a bill that says so, or
// none.
func TestMissingReadings(t *testing.T) {
	feb, mar := date(2026, 2, 1), date(2026, 3, 1)
	at := func(h int) int64 { return feb.Unix() + int64(h)*3600 }
	for i, tt := range []struct {
		name      string
		hold      func(at int64) bool
		class     wire.Class
		estimated int
		intervals int
	}{
		{"none missing", nil, "", 0, 672},
		{"one", func(t int64) bool { return t == at(100) }, "", 2, 672},
		{"every other of two days", func(t int64) bool { return t > at(0) && t < at(48) && (t-at(0))/3600%2 == 1 }, "", 48, 672},
		{"every other of all", func(t int64) bool { return (t-at(0))/3600%2 == 1 }, "", 672, 672}, // each lies in a gap
		{"half of the month", func(t int64) bool { return t > at(0) && t < at(336) }, "", 336, 672},
		{"all but the first and last", func(t int64) bool { return t > at(0) && t < at(672) }, "", 672, 672},
		{"before the first", func(t int64) bool { return t < at(10) }, wire.Incomplete, 0, 0},
		{"after the last", func(t int64) bool { return t > at(600) }, wire.Incomplete, 0, 0},
		{"all", func(int64) bool { return true }, wire.Incomplete, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, nil)
			c := r.company("north.example")
			must(t, c.putTariffNow(tariffOf("plain", `{"all":{"import":"0.25"}}`, "")))
			m := c.ledger(wattveil.Pseudonym(i+1), 3600, feb.AddDate(0, 0, -2).Unix())
			m.read(mar.AddDate(0, 0, 2), tt.hold)
			r.at(mar.AddDate(0, 0, 3))
			got := r.decide(t, c, wire.BillsRequest{Tariff: "plain", From: feb, To: mar, Meters: []string{m.id()}})
			if tt.class != "" {
				if peerClass(got.err) != tt.class {
					t.Errorf("%v, want %s", got.err, tt.class)
				}
				return
			}
			must(t, got.err)
			b := c.content(got.kept.jws, got.kept.salt.String(), m.name)
			if b.Estimated != tt.estimated || b.Intervals != tt.intervals {
				t.Errorf("%d of %d intervals estimated, want %d of %d", b.Estimated, b.Intervals, tt.estimated, tt.intervals)
			}
		})
	}
}

func TestResolutionOf(t *testing.T) {
	run := func(start int64, steps ...int64) readings.Run {
		out := readings.Run{Readings: []wattveil.Reading{{Time: start}}}
		for _, s := range steps {
			start += s
			out.Readings = append(out.Readings, wattveil.Reading{Time: start})
		}
		return out
	}
	for name, tt := range map[string]struct {
		runs []readings.Run
		want wattveil.Resolution
	}{
		"nothing":                            {nil, 0},
		"one reading":                        {[]readings.Run{run(0)}, 0},
		"quarters":                           {[]readings.Run{run(0, slices.Repeat([]int64{900}, 200)...)}, 900},
		"quarters with losses":               {[]readings.Run{run(0, slices.Repeat([]int64{900, 900, 1800}, 200)...)}, 900},
		"a change to half hours":             {[]readings.Run{run(0, append(slices.Repeat([]int64{900}, 500), slices.Repeat([]int64{1800}, 48)...)...)}, 1800},
		"not yet a day of half hours":        {[]readings.Run{run(0, append(slices.Repeat([]int64{900}, 500), slices.Repeat([]int64{1800}, 47)...)...)}, 900},
		"steps longer than an hour":          {[]readings.Run{run(0, 7200, 7200)}, 0},
		"too few, the longer of equals":      {[]readings.Run{run(0, 900, 1800)}, 1800},
		"two devices, one with a resolution": {[]readings.Run{run(0), run(5000, 900, 900)}, 900},
	} {
		if got := billedResolution(tt.runs, 0, 1<<30); got != tt.want {
			t.Errorf("%s: %d, want %d", name, got, tt.want)
		}
	}
	// The period counts where it has readings, else what is around.
	both := []readings.Run{run(0, append(slices.Repeat([]int64{3600}, 100), slices.Repeat([]int64{900}, 200)...)...)}
	if got := billedResolution(both, 360_000, 540_000); got != 900 {
		t.Errorf("in the period: %d", got)
	}
	if got := billedResolution(both, 600_000, 700_000); got != 3600 {
		t.Errorf("around it: %d", got)
	}
}

func TestSeries(t *testing.T) {
	r := newRig(t, nil)
	c, other := r.company("north.example"), r.company("south.example")
	put := func(c *company, document string) wire.Class {
		_, err := r.handleSeries(t.Context(), c.number, []byte(document))
		if err == nil {
			return ""
		}
		return classOf(err)
	}
	rising := func(i int) string { return []string{"0.1", "0.2", "-0.3"}[i%3] }
	flat := func(int) string { return "0.1" }
	feb := date(2026, 2, 1)
	must(t, c.putTariffNow(tariffOf("spot", `{"all":{"import_series":"spot"}}`, "")))
	for _, tt := range []struct {
		name     string
		document string
		want     wire.Class
	}{
		{"no series", "{}", wire.Malformed},
		{"from the past", prices("spot", start.Add(-time.Hour), 10, rising), wire.Gated},
		{"another currency than its tariff", strings.Replace(prices("spot", feb, 30, rising), "CHF", "EUR", 1), wire.Malformed},
		{"the first part", prices("spot", feb, 30, rising), ""},
		{"again", prices("spot", feb, 30, rising), ""},
		{"a piece of it again", prices("spot", feb.Add(3*time.Hour), 3, rising), ""},
		{"with other prices", prices("spot", feb, 30, flat), wire.Rebound},
		{"with a gap", prices("spot", feb.Add(60*time.Hour), 30, rising), wire.Malformed},
		{"by other steps", strings.Replace(prices("spot", feb.Add(30*time.Hour), 30, rising), `"minutes":60`, `"minutes":30`, 1), wire.Rebound},
		{"with steps at other times", prices("spot", feb.Add(30*time.Hour+30*time.Minute), 30, rising), wire.Malformed},
		{"the second part, with some of the first", prices("spot", feb.Add(27*time.Hour), 24*35, rising), ""},
		{"what comes before", prices("spot", feb.Add(-6*time.Hour), 12, rising), ""},
	} {
		if got := put(c, tt.document); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	if got := put(other, prices("spot", feb, 30, flat)); got != "" {
		t.Errorf("another utility's series of that name: %q", got)
	}
	if err := other.putTariffNow(strings.Replace(tariffOf("spot", `{"all":{"import_series":"spot"}}`, ""), "CHF", "EUR", 1)); classOf(err) != wire.Malformed {
		t.Errorf("a tariff in another currency than its series: %v", err)
	}
	must(t, r.SetGate(t.Context(), "south.example", gate.Settings{Retroactive: true}))
	if got := put(other, prices("past", start.Add(-100*time.Hour), 10, rising)); got != "" {
		t.Errorf("from the past, where that is allowed: %q", got)
	}
}

// Where one hour's price stands out the amount is told alone, and the bill says
// why; where a price lacks there is no bill.
func TestBillBySeries(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	must(t, c.putTariffNow(tariffOf("spot", `{"all":{"import_series":"spot"}}`, "")))
	feb, mar, apr := date(2026, 2, 1), date(2026, 3, 1), date(2026, 4, 1)
	hours := int(apr.Sub(feb) / time.Hour)
	_, err := r.handleSeries(t.Context(), c.number, []byte(prices("spot", feb, hours, func(i int) string {
		if i == 24*28+100 {
			return "1"
		}
		return "0.12"
	})))
	must(t, err)
	m := c.ledger(1, 3600, feb.AddDate(0, 0, -1).Unix())
	m.read(date(2026, 5, 2), nil)
	r.at(date(2026, 5, 2))
	for _, tt := range []struct {
		from, to time.Time
		withheld string
		class    wire.Class
	}{{feb, mar, "", ""}, {mar, apr, "", ""}, {apr, date(2026, 5, 1), "", wire.NoPrice}} {
		got := r.decide(t, c, wire.BillsRequest{Tariff: "spot", From: tt.from, To: tt.to, Meters: []string{m.id()}})
		if tt.class != "" {
			if peerClass(got.err) != tt.class {
				t.Errorf("from %v: %v, want %s", tt.from, got.err, tt.class)
			}
			continue
		}
		must(t, got.err)
		b := c.content(got.kept.jws, got.kept.salt.String(), m.name)
		line := b.Lines[0]
		want := ""
		if tt.from.Equal(mar) {
			want = string(gate.Reveal)
		}
		if line.Withheld != want || (line.Quantity == "") != (want != "") || (b.ImportKWh == "") != (want != "") || line.Amount == "" {
			t.Errorf("from %v: line %+v, import %q", tt.from, line, b.ImportKWh)
		}
	}
	list, err := r.Disclosures(t.Context(), m.name)
	must(t, err)
	if len(list) != 2 || !slices.Equal(list[0].Told, []string{"import all amount", "import all", "export all"}) || list[0].Withheld != nil ||
		!slices.Equal(list[1].Told, []string{"import all amount", "export all"}) || !slices.Equal(list[1].Withheld, []string{"import all:reveal"}) {
		t.Errorf("disclosures %+v", list)
	}
}

// A stop at any point of a request: the same bills after, all of them logged.
func TestStopWithinARequest(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	must(t, c.putTariffNow(tariffOf("plain", `{"all":{"import":"0.25"}}`, "")))
	feb, mar := date(2026, 2, 1), date(2026, 3, 1)
	in := wire.BillsRequest{Tariff: "plain", From: feb, To: mar}
	var meters []*ledger
	for p := range wattveil.Pseudonym(5) {
		m := c.ledger(p+1, 3600, feb.AddDate(0, 0, -1).Unix())
		m.read(mar.AddDate(0, 0, 1), nil)
		meters, in.Meters = append(meters, m), append(in.Meters, m.id())
	}
	r.at(mar.AddDate(0, 0, 2))
	durable := r.decide(t, c, in).kept.jws // and then a stop, before the log
	r.reopen()
	if n := r.count("log_places"); n != 0 {
		t.Fatalf("%d bills are logged", n)
	}
	out, err := c.ask(in)
	must(t, err)
	if out.Bills[0].JWS != durable {
		t.Error("another bill after the stop")
	}
	// A stop after the log, before its places are kept: added again, harmless.
	_, err = r.db.Exec(`DELETE FROM log_places`)
	must(t, err)
	r.reopen()
	again, err := c.ask(in)
	must(t, err)
	keys := checkpointKeys(t, r)
	for i, a := range again.Bills {
		if a.JWS != out.Bills[i].JWS || a.Index != out.Bills[i].Index+5 {
			t.Errorf("bill %d is at %d, was at %d", i, a.Index, out.Bills[i].Index)
		}
		salt, err := bill.ParseSalt(a.Salt)
		must(t, err)
		proof := transparency.Proof{Index: a.Index, Hashes: a.Hashes, Checkpoint: keys.cosign(t, again)}
		must(t, proof.Verify(transparency.Entry(bill.EntryOf(a.JWS, salt)), keys.Keys))
	}
	if n := r.count("bills"); n != 5 {
		t.Errorf("%d bills, want 5", n)
	}
	for _, m := range meters {
		checkConsumerBills(t, c, m, 1)
	}
}

// witness cosigns what a TTP shows.
type witness struct {
	transparency.Keys
	*transparency.Witness
	cosigned string
}

func checkpointKeys(t *testing.T, r *rig) *witness {
	t.Helper()
	keys, err := r.logKeys("")
	must(t, err)
	w, err := transparency.OpenWitness(t.TempDir(), "north.example", keys.Origin, keys.Log)
	must(t, err)
	keys.Witness = w.PublicKey()
	return &witness{Keys: keys, Witness: w}
}

func (w *witness) cosign(t *testing.T, a wire.BillsAnswer) string {
	t.Helper()
	if w.cosigned == "" {
		size, err := w.Size() // which the request told
		must(t, err)
		text, err := w.Cosign([]byte(a.Checkpoint), size, a.Consistency)
		must(t, err)
		w.cosigned = string(text)
	}
	return w.cosigned
}

// A utility whose witness went on meanwhile asks for newer proofs.
func TestNewerProofs(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	must(t, c.putTariffNow(tariffOf("plain", `{"all":{"import":"0.25"}}`, "")))
	feb, mar, apr := date(2026, 2, 1), date(2026, 3, 1), date(2026, 4, 1)
	m := c.ledger(1, 3600, feb.AddDate(0, 0, -1).Unix())
	m.read(date(2026, 4, 2), nil)
	r.at(date(2026, 4, 2))
	first, err := c.ask(wire.BillsRequest{Tariff: "plain", From: feb, To: mar, Meters: []string{m.id()}})
	must(t, err)
	w := checkpointKeys(t, r)
	w.cosign(t, first)
	_, err = c.ask(wire.BillsRequest{Tariff: "plain", From: mar, To: apr, Meters: []string{m.id()}})
	must(t, err)
	ask := func(places ...uint64) (out wire.ProofsAnswer, err error) {
		body, err := json.Marshal(wire.ProofsRequest{LogSize: 1, Overtaken: 1, Places: places})
		must(t, err)
		answer, err := r.handleProofs(t.Context(), c.number, body)
		if err == nil {
			must(t, json.Unmarshal(answer, &out))
		}
		return out, err
	}
	newer, err := ask(first.Bills[0].Index)
	must(t, err)
	cosigned, err := w.Cosign([]byte(newer.Checkpoint), 1, newer.Consistency)
	must(t, err)
	if err := w.Follows([]byte(first.Checkpoint), newer.Overtaken); err != nil || len(newer.Overtaken) == 0 {
		t.Errorf("the checkpoint that was overtaken: %v, by %d hashes", err, len(newer.Overtaken))
	}
	salt, err := bill.ParseSalt(first.Bills[0].Salt)
	must(t, err)
	proof := transparency.Proof{Index: first.Bills[0].Index, Hashes: newer.Hashes[0], Checkpoint: string(cosigned)}
	must(t, proof.Verify(transparency.Entry(bill.EntryOf(first.Bills[0].JWS, salt)), w.Keys))
	if size, err := w.Size(); err != nil || size != 2 {
		t.Errorf("the newest checkpoint has %d entries, %v", size, err)
	}
	if _, err := ask(0, 2); classOf(err) != wire.Malformed || !strings.Contains(err.Error(), "place 2 is not in the log, which has 2 entries") {
		t.Errorf("a place beyond the log: %v", err)
	}
	if _, err := ask(make([]uint64, maxPlacesPerRequest+1)...); classOf(err) != wire.Malformed {
		t.Errorf("too many places: %v", err)
	}
}

// The cosigned checkpoint comes back for consumers: from the utility's witness
// alone, and only forwards.
func TestCheckpoints(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	must(t, c.putTariffNow(tariffOf("plain", `{"all":{"import":"0.25"}}`, "")))
	feb, mar, apr := date(2026, 2, 1), date(2026, 3, 1), date(2026, 4, 1)
	m := c.ledger(1, 3600, feb.AddDate(0, 0, -1).Unix())
	m.read(date(2026, 4, 2), nil)
	r.at(date(2026, 4, 2))
	first, err := c.ask(wire.BillsRequest{Tariff: "plain", From: feb, To: mar, Meters: []string{m.id()}})
	must(t, err)
	if _, known, err := r.LogKeys(t.Context(), c.number); known || err != nil {
		t.Errorf("a witness is known: %v", err)
	}
	w := checkpointKeys(t, r)
	one := w.cosign(t, first)
	back := func(witness, checkpoint string) error {
		body, err := json.Marshal(wire.CosignedCheckpoint{Witness: witness, Checkpoint: checkpoint})
		must(t, err)
		_, err = r.handleCheckpoint(t.Context(), c.number, body)
		return err
	}
	if err := back(w.Keys.Witness, first.Checkpoint); classOf(err) != wire.Forged {
		t.Errorf("without the cosignature: %v", err)
	}
	must(t, back(w.Keys.Witness, one))
	second, err := c.ask(wire.BillsRequest{Tariff: "plain", From: mar, To: apr, Meters: []string{m.id()}, LogSize: 1})
	must(t, err)
	if len(second.Consistency) == 0 {
		t.Error("no proof that the log continues")
	}
	w.cosigned = ""
	two := w.cosign(t, second)
	must(t, back(w.Keys.Witness, two))
	must(t, back(w.Keys.Witness, one)) // late: harmless
	strange := checkpointKeys(t, r)
	if err := back(strange.Keys.Witness, strange.cosign(t, first)); classOf(err) != wire.Rebound {
		t.Errorf("by another witness: %v", err)
	}
	keys, known, err := r.LogKeys(t.Context(), c.number)
	if err != nil || !known {
		t.Fatal(known, err)
	}
	list, err := r.ConsumerBills(t.Context(), m.name)
	must(t, err)
	for _, b := range list {
		entry, err := b.Document.Entry()
		must(t, err)
		if b.Document.Proof == nil || b.Document.Proof.Checkpoint != two {
			t.Fatal("a bill is not proven by the newest checkpoint")
		}
		must(t, transparency.Proof(*b.Document.Proof).Verify(transparency.Entry(entry), keys))
	}
}

func TestBillKeysRotate(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	must(t, c.putTariffNow(tariffOf("plain", `{"all":{"import":"0.25"}}`, "")))
	feb, mar, apr := date(2026, 2, 1), date(2026, 3, 1), date(2026, 4, 1)
	m := c.ledger(1, 3600, feb.AddDate(0, 0, -1).Unix())
	m.read(date(2026, 4, 2), nil)
	r.at(date(2026, 3, 2))
	next, err := r.RotateBillKey(t.Context())
	must(t, err)
	if _, err := r.RotateBillKey(t.Context()); err == nil {
		t.Error("a second key waits")
	}
	keyOf := func(from, to time.Time) string {
		got := r.decide(t, c, wire.BillsRequest{Tariff: "plain", From: from, To: to, Meters: []string{m.id()}})
		must(t, got.err)
		keys, err := r.BillKeys()
		must(t, err)
		v, err := bill.Verify(got.kept.jws, keys)
		must(t, err)
		return v.KeyID
	}
	before := keyOf(feb, mar)
	if before == next.ID || !next.SignsFrom.Equal(date(2026, 3, 9)) {
		t.Errorf("the new key signs at once, or from %v on", next.SignsFrom)
	}
	r.reopen()
	r.at(date(2026, 4, 2))
	if got := keyOf(mar, apr); got != next.ID {
		t.Errorf("key %s signs after the overlap", got)
	}
	if got := keyOf(feb, mar); got != before {
		t.Error("a bill that was made is signed anew")
	}
	list := r.BillKeyList()
	if len(list) != 2 || list[0].ID != before || list[0].Signs || !list[1].Signs {
		t.Errorf("keys %+v", list)
	}
	again, err := r.RotateBillKey(t.Context())
	must(t, err)
	if got := r.BillKeyList(); len(got) != 3 || got[2].ID != again.ID || !got[1].Signs {
		t.Errorf("keys %+v", got)
	}
}

func TestGateSettings(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	if err := r.SetGate(t.Context(), "nobody.example", gate.Settings{}); !errors.Is(err, wire.Unknown) {
		t.Errorf("of nobody: %v", err)
	}
	if _, err := r.Gate(t.Context(), "nobody.example"); !errors.Is(err, wire.Unknown) {
		t.Errorf("of nobody: %v", err)
	}
	if err := r.SetGate(t.Context(), c.org, gate.Settings{MinDays: 999}); err == nil {
		t.Error("settings out of range are taken")
	}
	must(t, c.putTariffNow(tariffOf("plain", `{"all":{"import":"0.25"}}`, "")))
	feb := date(2026, 2, 1)
	m := c.ledger(1, 3600, feb.AddDate(0, 0, -1).Unix())
	m.read(date(2026, 4, 2), nil)
	r.at(date(2026, 4, 2))
	day := func(i int) *draft {
		return r.decide(t, c, wire.BillsRequest{Tariff: "plain", From: feb.AddDate(0, 0, i), To: feb.AddDate(0, 0, i+1), Meters: []string{m.id()}})
	}
	must(t, day(0).err)
	if err := day(1).err; !errors.Is(err, gate.Short) {
		t.Errorf("a second day: %v", err)
	}
	must(t, r.SetGate(t.Context(), c.org, gate.Settings{MinDays: 1, BillsPerYear: 366}))
	for i := range 20 {
		must(t, day(1+i).err)
	}
	r.reopen()
	if s, err := r.Gate(t.Context(), c.org); err != nil || s.MinDays != 1 || s.BillsPerYear != 366 || s.Quantities != 8 {
		t.Errorf("%+v, %v", s, err)
	}
	must(t, day(21).err)
}

// Energy by band of an earlier bill is carried by its own tariff alone.
func TestDifference(t *testing.T) {
	a := again{rated: rating.Rated{Energy: []rating.Energy{{Band: "a", Import: 100}, {Band: "b", Import: 50, Export: 7}}}}
	a.before.Lines = []bill.Line{
		{Kind: "import", Band: "a", Quantity: "0.120"}, {Kind: "import", Band: "b", Quantity: "0.030"}, {Kind: "export", Band: "b", Quantity: "0.007"},
		{Kind: "standing", Quantity: "3"},
	}
	got, err := a.difference()
	if want := []rating.Energy{{Band: "a", Import: -20}, {Band: "b", Import: 20}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	a.before.Lines = append(a.before.Lines, bill.Line{Kind: "import", Band: "c", Quantity: "0.001"})
	if _, err := a.difference(); err == nil {
		t.Error("an unknown band")
	}
}
