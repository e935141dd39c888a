package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/internal/operator"
	"github.com/wattveil/wattveil/tariff"
	"github.com/wattveil/wattveil/utility/api"
)

// shelf answers as a utility does that has some tariffs.
type shelf []string

func (s shelf) client(t *testing.T) *operator.Client {
	t.Helper()
	return operator.Local(s.handler(t))
}

func (s shelf) handler(t *testing.T) http.Handler {
	t.Helper()
	var list []api.Tariff
	for _, text := range s {
		terms, err := tariff.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		d := terms.Document()
		list = append(list, api.Tariff{ID: d.ID, Timezone: d.Timezone, ValidFrom: d.ValidFrom, ValidTo: d.ValidTo, Replaces: d.Replaces, Document: json.RawMessage(text)})
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/tariffs", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(list) })
	mux.HandleFunc("GET /v1/tariffs/{id}", func(w http.ResponseWriter, r *http.Request) {
		for _, one := range list {
			if one.ID == r.PathValue("id") {
				_ = json.NewEncoder(w).Encode(one)
			}
		}
	})
	return mux
}

func termsFor(id, zone, more string) string {
	return fmt.Sprintf(`{"id":%q,"currency":"CHF","timezone":%q,%s,"energy":{"bands":{"all":{"import":"0.25"}},"default":"all"}}`, id, zone, more)
}

func TestChoosePeriod(t *testing.T) {
	old := termsFor("old", "Europe/Zurich", `"valid_from":"2018-01-01"`)
	next := termsFor("next", "Europe/Zurich", `"valid_from":"2018-11-15","replaces":"old"`)
	short := termsFor("short", "Europe/Zurich", `"valid_from":"2018-01-01","valid_to":"2018-03-10"`)
	other := termsFor("other", "UTC", `"valid_from":"2018-06-01"`)
	for _, tt := range []struct {
		name       string
		tariffs    shelf
		id, period string
		want       string // tariff, from and to, or the error
	}{
		{"the only one", shelf{old}, "", "2018-11", "old 2018-11-01T00:00:00+01:00 2018-12-01T00:00:00+01:00"},
		{"clocks change", shelf{old}, "", "2018-10", "old 2018-10-01T00:00:00+02:00 2018-11-01T00:00:00+01:00"},
		{"the earlier version", shelf{old, next}, "", "2018-10", "old 2018-10-01T00:00:00+02:00 2018-11-01T00:00:00+01:00"},
		{"the later version", shelf{old, next}, "", "2018-12", "next 2018-12-01T00:00:00+01:00 2019-01-01T00:00:00+01:00"},
		{"a part", shelf{old, next}, "", "2018-11-01/2018-11-15", "old 2018-11-01T00:00:00+01:00 2018-11-15T00:00:00+01:00"},
		{"both versions", shelf{old, next}, "", "2018-11", "--period 2018-11: no tariff is in force in all of it: next begins at 2018-11-15T00:00:00+01:00; bill the parts one by one"},
		{"the end", shelf{short}, "", "2018-03", "--period 2018-03: no tariff is in force in all of it: short ends at 2018-03-10T00:00:00+01:00; bill the parts one by one"},
		{"before any", shelf{old, other}, "", "2017-11", "--period 2017-11: no tariff is in force then; there are old, other"},
		{"the only one then", shelf{other, short}, "", "2018-02", "short 2018-02-01T00:00:00+01:00 2018-03-01T00:00:00+01:00"},
		{"several", shelf{old, other}, "", "2018-11", "--tariff is missing: choose one of old, other, which are all in force then"},
		{"named", shelf{old, other}, "other", "2018-11", "other 2018-11-01T00:00:00Z 2018-12-01T00:00:00Z"},
		{"named wrongly", shelf{old, other}, "another", "2018-11", "--tariff another: there is no such tariff; there are old, other"},
		{"none", nil, "", "2018-11", "there is no tariff: put one with wattveil utility tariff put FILE"},
		{"no period", shelf{old}, "", "november", `--period "november": want a month such as 2018-11, or FROM/TO with dates such as 2018-11-01 or times such as 2018-11-01T00:00:00+01:00`},
		{"backwards", shelf{old}, "", "2018-11-05/2018-11-05", `--period "2018-11-05/2018-11-05": it ends before it begins`},
	} {
		what, err := choosePeriod(t.Context(), tt.tariffs.client(t), tt.id, tt.period)
		got := what.tariff + " " + what.from.Format(time.RFC3339) + " " + what.to.Format(time.RFC3339)
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// A month of a query is by the clock of each bill.
func TestBillQueryHas(t *testing.T) {
	q := billQuery{period: "2018-11"}
	for _, tt := range []struct {
		from, zone string
		want       bool
	}{
		{"2018-10-31T23:00:00Z", "Europe/Zurich", true},
		{"2018-11-30T23:00:00Z", "Europe/Zurich", false},
		{"2018-10-31T23:00:00Z", "UTC", false},
		{"2018-11-01T04:00:00Z", "America/New_York", true},
		{"2018-11-01T03:00:00Z", "America/New_York", false},
	} {
		from, err := time.Parse(time.RFC3339, tt.from)
		if err != nil {
			t.Fatal(err)
		}
		got, err := q.has(api.MeterBill{From: &from, Document: &bill.Bill{Timezone: tt.zone}})
		if err != nil || got != tt.want {
			t.Errorf("%s in %s: %t, %v, want %t", tt.from, tt.zone, got, err, tt.want)
		}
	}
}

// The summary counts by class and by the gate's rules.
func TestBillSum(t *testing.T) {
	sum := billSum{kept: 1}
	for i, b := range []api.MeterBill{
		{}, {Class: "gate", Rule: "reveal", Reason: "gate: reveal"}, {Class: "gate", Rule: "overlap", Reason: "gate: overlap"},
		{Class: "incomplete", Reason: "bill of a:\nincomplete"}, {Class: "gate", Rule: "reveal", Reason: "gate: reveal"}, {Correction: true},
	} {
		b.Meter = fmt.Sprint("meter", i)
		sum.add(b)
	}
	var out strings.Builder
	err := sum.print(&out)
	want := `1 of 5 bills verified and kept, 1 of them before this run
1 corrections of earlier bills came with them
BILLS  WHY           SUCH AS
2      gate reveal   meter1: gate: reveal
1      gate overlap  meter2: gate: overlap
1      incomplete    meter3: bill of a: incomplete
`
	if out.String() != want || !errors.As(err, new(found)) || err.Error() != "4 of 5 bills are missing" {
		t.Errorf("%v\n%swant\n%s", err, out.String(), want)
	}
}

// A correction that came with a bill has rows of its own after it, and is not a
// bill of the period. What ends is told.
func TestBillRunCorrections(t *testing.T) {
	document := func(from, corrects string) *bill.Bill {
		return &bill.Bill{Tariff: "old", From: from, Corrects: corrects, Total: "1.00"}
	}
	before := bill.HashOf("before").String()
	shelf := shelf{termsFor("old", "Europe/Zurich", `"valid_from":"2018-01-01"`)}
	mux := http.NewServeMux()
	mux.Handle("/", shelf.handler(t))
	mux.HandleFunc("POST /v1/bills/run", func(w http.ResponseWriter, r *http.Request) {
		var in api.RunBills
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Ends != "tenancy" || len(in.Meters) != 2 {
			t.Errorf("request %+v, %v", in, err)
		}
		_ = json.NewEncoder(w).Encode(api.BillList{Bills: []api.MeterBill{
			{Meter: in.Meters[0], JWS: "of.the.period", Document: document("2018-11-01T00:00:00+01:00", "")},
			{Meter: in.Meters[0], JWS: "of.the.other", Correction: true, Document: document("2018-10-01T00:00:00+02:00", before)},
			{Meter: in.Meters[1], Class: "gate", Rule: "short", Reason: "too short"},
		}})
	})
	dir := t.TempDir()
	var out strings.Builder
	r := billRun{
		period: "2018-11-01/2018-11-05", ends: "tenancy", meters: "-", client: operator.Local(mux), out: &out, err: io.Discard,
		jsonFile: filepath.Join(dir, "bills.jsonl"), csvFile: filepath.Join(dir, "lines.csv"), refusedFile: filepath.Join(dir, "refused.txt"),
	}
	err := r.run(t.Context(), strings.NewReader("0f3a5c7e91b2d4f6\n0f3a5c7e91b2d4f7\n"))
	if want := "1 of 2 bills are missing"; !errors.As(err, new(found)) || err.Error() != want {
		t.Errorf("the run ends with %v, want %s", err, want)
	}
	if want := "1 of 2 bills verified and kept, 0 of them before this run\n1 corrections of earlier bills came with them\n"; !strings.HasPrefix(out.String(), want) {
		t.Errorf("the run says\n%s, want\n%s", out.String(), want)
	}
	for path, want := range map[string][]string{
		r.jsonFile: {`"jws":"of.the.period"`, `"jws":"of.the.other","bill":`, `"class":"gate","rule":"short"`},
		r.csvFile: {
			"bill,corrects,meter,", bill.HashOf("of.the.period").String() + ",,0f3a5c7e91b2d4f6,old,2018-11-01",
			bill.HashOf("of.the.other").String() + "," + before + ",0f3a5c7e91b2d4f6,old,2018-10-01",
		},
		r.refusedFile: {"# Meters without a bill.", "# gate short: too short", "0f3a5c7e91b2d4f7"},
	} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
		if len(lines) != len(want) {
			t.Fatalf("%s has %d lines, want %d:\n%s", filepath.Base(path), len(lines), len(want), text)
		}
		for i, w := range want {
			if !strings.Contains(lines[i], w) {
				t.Errorf("%s: line %d is %s, want in it %s", filepath.Base(path), i+1, lines[i], w)
			}
		}
	}
}

// The specification names the columns that are written, and RFC 4180 the ends
// of their lines.
func TestBillCSV(t *testing.T) {
	spec, err := os.ReadFile(filepath.Join("..", "..", "spec", "billing.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range billColumns() {
		if !strings.Contains(string(spec), "`"+name+"`") {
			t.Errorf("spec/billing.md does not name the column %s", name)
		}
	}
	r := billRun{csvFile: filepath.Join(t.TempDir(), "lines.csv")}
	s, err := r.openSinks()
	if err != nil {
		t.Fatal(err)
	}
	document := bill.Bill{
		Tariff: "tou", From: "2018-11-01T00:00:00+01:00", To: "2018-12-01T00:00:00+01:00", Timezone: "Europe/Zurich", Currency: "CHF", Total: "5.00",
		Lines: []bill.Line{
			{Kind: "import", Band: "peak, \"east\"", Series: "abc", Amount: "1.00", Unit: "kWh", Withheld: "reveal"},
			{Kind: "demand", Name: "all", Tier: 2, Month: "2018-11", Minutes: 15, Share: "0.5", Note: "ratchet", Quantity: "1.000", Unit: "kW", Price: "8", Amount: "4.00"},
		},
	}
	if err := errors.Join(s.write(api.MeterBill{Meter: "0f3a5c7e91b2d4f6", JWS: "a.b.c", Document: &document}), s.write(api.MeterBill{Class: "unknown"}), s.keep()); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(r.csvFile)
	if err != nil {
		t.Fatal(err)
	}
	begin := bill.HashOf("a.b.c").String() + ",,0f3a5c7e91b2d4f6,tou,2018-11-01T00:00:00+01:00,2018-12-01T00:00:00+01:00,Europe/Zurich,CHF,"
	want := "bill,corrects,meter,tariff,from,to,timezone,currency,kind,band,name,tier,month,minutes,share,note,on,series,quantity,unit,price,amount,withheld\r\n" +
		begin + `import,"peak, ""east""",,,,,,,,abc,,kWh,,1.00,reveal` + "\r\n" +
		begin + "demand,,all,2,2018-11,15,0.5,ratchet,,,1.000,kW,8,4.00,\r\n" +
		begin + "total,,,,,,,,,,,,,5.00,\r\n"
	if string(got) != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}
