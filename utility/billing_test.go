package utility

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	_ "time/tzdata"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/gate"
	"github.com/wattveil/wattveil/tariff"
	"github.com/wattveil/wattveil/wire"
)

const flat = `{"id":"flat","currency":"CHF","timezone":"Europe/Zurich","valid_from":"2018-01-01","energy":{"bands":{"all":{"import":"0.25"}},"default":"all"}}`

var billFrom, billTo = start.Add(-time.Hour), start.Add(23 * time.Hour) // a local day

// document is a good bill of the day.
func document(t testing.TB, salt bill.Salt, p wattveil.Pseudonym) bill.Bill {
	terms, err := tariff.Parse([]byte(flat))
	must(t, err)
	return bill.Bill{
		V: bill.Version, Issuer: ttpOrg, Subject: bill.SubjectOf(salt, wattveil.Meter{UC: ucNumber, Pseudonym: p}),
		Tariff: "flat", TariffDigest: terms.Digest().String(), Timezone: "Europe/Zurich", Currency: "CHF",
		From: bill.Time(billFrom, terms.Zone()), To: bill.Time(billTo, terms.Zone()),
		ImportKWh: "1.000", ExportKWh: "0.000", Total: "0.25",
		Intervals: 24, ReadingsRoot: bill.Hash{1}.String(),
		Lines: []bill.Line{{Kind: "import", Band: "all", Quantity: "1.000", Unit: "kWh", Price: "0.25", Amount: "0.25"}},
	}
}

// biller answers requests for bills with good ones, but for what spoil does.
func biller(r *rig, spoil func(i int, b *bill.Bill, a *wire.BillAnswer, key **bill.SigningKey)) {
	made := make(map[string]wire.BillAnswer)
	r.ttp.set(func(f *fakeTTP) {
		f.bills = func(in wire.BillsRequest) wire.BillsAnswer {
			var out wire.BillsAnswer
			for i, name := range in.Meters {
				a, ok := made[name]
				if !ok {
					p, err := wattveil.ParsePseudonym(name)
					must(r.t, err)
					salt, key := bill.NewSalt(), f.billKey
					b := document(r.t, salt, p)
					a = wire.BillAnswer{Meter: name, LoggedBill: wire.LoggedBill{Salt: salt.String()}}
					if spoil != nil {
						spoil(i, &b, &a, &key)
					}
					if a.Class == "" && a.JWS == "" {
						a.JWS, err = key.Sign(b)
						must(r.t, err)
					}
					made[name] = a
				}
				out.Bills = append(out.Bills, a)
			}
			return out
		}
	})
}

// pseudonyms are those of meters, in the order of their names.
func pseudonyms(meters []*smart) (list []wattveil.Pseudonym) {
	for _, m := range meters {
		list = append(list, m.answer.Meter.Pseudonym)
	}
	slices.Sort(list)
	return list
}

func TestRunBills(t *testing.T) {
	r := enrolled(t, "a")
	meters := pseudonyms(r.meters(3))
	if _, err := r.PutTariff(t.Context(), []byte(flat)); err != nil {
		t.Fatal(err)
	}
	biller(r, nil)
	asked := []wattveil.Pseudonym{meters[2], meters[0], meters[1]}
	first, err := r.RunBills(t.Context(), asked, "flat", billFrom, billTo)
	must(t, err)
	for i, b := range first {
		if b.Err != nil || b.Pseudonym != asked[i] || b.Bill.Total != "0.25" {
			t.Errorf("bill %d of %v: %v", i, b.Pseudonym, b.Err)
		}
		if err := b.Bill.IsOf(b.Salt, wattveil.Meter{UC: ucNumber, Pseudonym: b.Pseudonym}); err != nil {
			t.Error(err)
		}
	}
	var request wire.BillsRequest
	must(t, json.Unmarshal(r.ttp.to("/v1/bills")[0], &request))
	if !slices.IsSorted(request.Meters) {
		t.Errorf("the TTP is asked in the order %v", request.Meters)
	}
	again, err := r.RunBills(t.Context(), asked, "flat", billFrom, billTo)
	if err != nil || !reflect.DeepEqual(again, first) {
		t.Errorf("the same run again: %v", err)
	}
	if n := r.count("bills"); n != 3 {
		t.Errorf("%d bills are kept, want 3", n)
	}
}

// A bill that does not verify, or is another than the one asked for, is
// refused, and the others go on.
func TestBadBills(t *testing.T) {
	other, err := bill.GenerateSigningKey()
	must(t, err)
	for _, tt := range []struct {
		name  string
		spoil func(b *bill.Bill, a *wire.BillAnswer, key **bill.SigningKey)
		want  string
	}{
		{"class", func(_ *bill.Bill, a *wire.BillAnswer, _ **bill.SigningKey) { a.Class = wire.Incomplete }, "incomplete"},
		{"another key", func(_ *bill.Bill, _ *wire.BillAnswer, key **bill.SigningKey) { *key = other }, "key"},
		{"no JWS", func(_ *bill.Bill, a *wire.BillAnswer, _ **bill.SigningKey) { a.JWS = "nonsense" }, "compact"},
		{"another meter", func(b *bill.Bill, a *wire.BillAnswer, _ **bill.SigningKey) {
			salt, err := bill.ParseSalt(a.Salt)
			must(t, err)
			b.Subject = bill.SubjectOf(salt, wattveil.Meter{UC: ucNumber, Pseudonym: 1})
		}, "another meter"},
		{"another utility's meter", func(b *bill.Bill, a *wire.BillAnswer, _ **bill.SigningKey) {
			salt, err := bill.ParseSalt(a.Salt)
			must(t, err)
			p, err := wattveil.ParsePseudonym(a.Meter)
			must(t, err)
			b.Subject = bill.SubjectOf(salt, wattveil.Meter{UC: ucNumber + 1, Pseudonym: p})
		}, "another meter"},
		{"another salt", func(_ *bill.Bill, a *wire.BillAnswer, _ **bill.SigningKey) { a.Salt = bill.NewSalt().String() }, "another meter"},
		{"no salt", func(_ *bill.Bill, a *wire.BillAnswer, _ **bill.SigningKey) { a.Salt = "" }, "salt"},
		{"another start", func(b *bill.Bill, _ *wire.BillAnswer, _ **bill.SigningKey) { b.From = "2026-01-04T00:00:00+01:00" }, "asked for"},
		{"another end", func(b *bill.Bill, _ *wire.BillAnswer, _ **bill.SigningKey) { b.To = "2026-01-07T00:00:00+01:00" }, "asked for"},
		{"another tariff", func(b *bill.Bill, _ *wire.BillAnswer, _ **bill.SigningKey) { b.Tariff = "other" }, "asked for"},
		{"other terms", func(b *bill.Bill, _ *wire.BillAnswer, _ **bill.SigningKey) {
			b.TariffDigest = "HRtgp336Mf0Y7KlmqMlghr4_16G38RnlJspwRMoxqRw"
		}, "other terms"},
		{"another TTP", func(b *bill.Bill, _ *wire.BillAnswer, _ **bill.SigningKey) { b.Issuer = "other.example" }, "other.example"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := enrolled(t, "a")
			meters := pseudonyms(r.meters(3))
			if _, err := r.PutTariff(t.Context(), []byte(flat)); err != nil {
				t.Fatal(err)
			}
			biller(r, func(i int, b *bill.Bill, a *wire.BillAnswer, key **bill.SigningKey) {
				if i == 1 {
					tt.spoil(b, a, key)
				}
			})
			got, err := r.RunBills(t.Context(), meters, "flat", billFrom, billTo)
			must(t, err)
			if err := got[1].Err; err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("the spoilt bill: %v, want %q", err, tt.want)
			}
			if got[1].Bill.Total != "" {
				t.Error("a refused bill is handed out as verified")
			}
			if got[0].Err != nil || got[2].Err != nil {
				t.Errorf("the others: %v, %v", got[0].Err, got[2].Err)
			}
			if n := r.count("bills"); n != 2 {
				t.Errorf("%d bills are kept, want 2", n)
			}
		})
	}
}

// A bill that was not made says why, and what can be done.
func TestRefusal(t *testing.T) {
	terms, err := tariff.Parse([]byte(flat))
	must(t, err)
	run := &billRun{terms: terms}
	run.request.To = billTo
	for _, tt := range []struct {
		class wire.Class
		rule  gate.Rule
		want  string
	}{
		{wire.Unknown, "", "unknown: the TTP has no such meter: "},
		{wire.Incomplete, "", "incomplete: the TTP lacks readings at the start or the end of the period, "},
		{wire.Incomplete, gate.NotOver, "incomplete: rule not-over: the period is not over: ask again from " + run.local(billTo) + " on"},
		{wire.Gated, gate.Short, "gate: rule short: the period is too short, and neither the first nor the last of a tenancy or tariff: bill at least 7 days at once, or the min_days that the TTP has set, or say with --ends "},
		{wire.NoTariff, "", "no-tariff: the tariff is not valid in the whole period"},
		{wire.NoPrice, "", "no-price: a price series of the tariff does not cover the period: "},
		{wire.Gated, gate.Overlap, "gate: rule overlap: "},
		{wire.Retired, "", "retired"},
	} {
		err := run.refusal(&wire.BillAnswer{Class: tt.class, Rule: string(tt.rule)})
		if !strings.HasPrefix(err.Error(), tt.want) || !errors.Is(err, tt.class) {
			t.Errorf("%s %s: %q, want %q", tt.class, tt.rule, err, tt.want)
		}
	}
}

// The same request gives the same bill: another one is refused, and the first
// stays.
func TestAnotherBillForTheSameRequest(t *testing.T) {
	r := enrolled(t, "a")
	meters := pseudonyms(r.meters(1))
	if _, err := r.PutTariff(t.Context(), []byte(flat)); err != nil {
		t.Fatal(err)
	}
	biller(r, nil)
	first, err := r.RunBills(t.Context(), meters, "flat", billFrom, billTo)
	must(t, err)
	biller(r, nil) // with a salt of its own
	second, err := r.RunBills(t.Context(), meters, "flat", billFrom, billTo)
	must(t, err)
	if !errors.Is(second[0].Err, wire.Rebound) {
		t.Errorf("another bill: %v", second[0].Err)
	}
	if n := r.count("bills WHERE jws = ?", first[0].JWS); n != 1 {
		t.Error("the first bill is gone")
	}
}

func TestRunBillsFails(t *testing.T) {
	r := newRig(t, nil)
	run := func(meters ...wattveil.Pseudonym) error {
		_, err := r.RunBills(t.Context(), meters, "flat", billFrom, billTo)
		return err
	}
	if err := run(1); !errors.Is(err, wire.NoTariff) {
		t.Errorf("without a tariff: %v", err)
	}
	must(t, r.EnrolTTP(t.Context()))
	r.addCollectors("a")
	meters := pseudonyms(r.meters(2))
	if _, err := r.PutTariff(t.Context(), []byte("{}")); err == nil {
		t.Error("a tariff that does not parse was put")
	}
	r.ttp.set(func(f *fakeTTP) { f.fail = errAway })
	if _, err := r.PutTariff(t.Context(), []byte(flat)); !errors.Is(err, errAway) || r.count("tariffs") != 0 {
		t.Errorf("a tariff that the TTP does not have: %v", err)
	}
	r.ttp.set(func(f *fakeTTP) { f.fail = nil })
	if _, err := r.PutTariff(t.Context(), []byte(flat)); err != nil {
		t.Fatal(err)
	}
	if err := run(meters[0], meters[0]); err == nil {
		t.Error("a meter that is named twice was billed")
	}
	for name, answer := range map[string]string{"too few": `{"bills":[]}`, "too many": `{"bills":[{},{},{}]}`, "no JSON": `bills`} {
		r.ttp.set(func(f *fakeTTP) {
			f.bills = func(wire.BillsRequest) wire.BillsAnswer { return wire.BillsAnswer{} }
			f.mangle = func(string, []byte) []byte { return []byte(answer) }
		})
		if err := run(meters...); err == nil {
			t.Errorf("%s answers: no error", name)
		}
	}
	if n := r.count("bills"); n != 0 {
		t.Errorf("%d bills are kept", n)
	}
}

// A run of more meters than one request may name is several requests.
func TestLongRun(t *testing.T) {
	r := enrolled(t, "a")
	const meters = 2*billsPerRequest + 1
	_, err := r.db.ExecContext(t.Context(), `
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
		INSERT INTO meters (id_sm, secret, password_hash, roster, ttp) SELECT i, x'', zeroblob(32), i, ? FROM n`, meters, ttpOrg)
	must(t, err)
	_, err = r.db.ExecContext(t.Context(), `INSERT INTO pseudonyms (id_sm, base, an_id) SELECT id_sm, 0, id_sm FROM meters`)
	must(t, err)
	if _, err := r.PutTariff(t.Context(), []byte(flat)); err != nil {
		t.Fatal(err)
	}
	r.ttp.set(func(f *fakeTTP) {
		f.bills = func(in wire.BillsRequest) (out wire.BillsAnswer) {
			for _, name := range in.Meters {
				out.Bills = append(out.Bills, wire.BillAnswer{Meter: name, Class: wire.Incomplete})
			}
			return out
		}
	})
	var list []wattveil.Pseudonym
	for p := range wattveil.Pseudonym(meters + 1) { // 0 is nobody's
		list = append(list, p)
	}
	got, err := r.RunBills(t.Context(), list, "flat", billFrom, billTo)
	must(t, err)
	if n := len(r.ttp.to("/v1/bills")); n != 3 || len(got) != len(list) {
		t.Errorf("%d requests, %d outcomes for %d meters", n, len(got), len(list))
	}
	if !errors.Is(got[0].Err, wire.Unknown) || !errors.Is(got[1].Err, wire.Incomplete) {
		t.Errorf("of nobody: %v; of a meter: %v", got[0].Err, got[1].Err)
	}
}
