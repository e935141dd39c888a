package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/reconcile"
	"github.com/wattveil/wattveil/tariff"
	"github.com/wattveil/wattveil/utility/api"
)

// tariffs puts the tariff again and looks at it.
func (r *billingRig) tariffs() {
	r.Helper()
	terms, err := tariff.Parse([]byte(rigTariff))
	rigMust(r, err)
	var put api.Tariff
	rigMust(r, json.Unmarshal([]byte(r.do("utility", "tariff", "put", "tou.json", "--json", "--dir", "utility")), &put))
	if put.ID != "tou" || put.Digest != terms.Digest().String() {
		r.Errorf("put says %+v", put)
	}
	if list, want := r.do("utility", "tariff", "list", "--dir", "utility"), "tou  2018-01-01  -         -         Europe/Zurich  CHF       "+put.Digest+"\n"; !strings.HasSuffix(list, want) {
		r.Errorf("list says %s, want at its end %s", list, want)
	}
	if text := r.do("utility", "tariff", "show", "tou", "--dir", "utility"); !strings.HasPrefix(text, "Tariff    tou\nDigest    "+put.Digest+"\n") {
		r.Errorf("show says %s", text)
	}
	shown, err := tariff.Parse([]byte(r.do("utility", "tariff", "show", "tou", "--json", "--dir", "utility")))
	if err != nil || shown.Digest() != terms.Digest() {
		r.Errorf("show --json gives another tariff: %v", err)
	}
}

// shows looks at the bill of one meter, by the month and by the clock of its
// tariff.
func (r *billingRig) shows() {
	r.Helper()
	id := rigMeter(3).String()
	text := r.do("utility", "bill", "show", id, "--period", "2018-11", "--dir", "utility")
	if !strings.HasPrefix(text, "Meter     "+id+"\nBill      ") || !strings.Contains(text, "\nPeriod    2018-11-01T00:00:00+01:00 to ") {
		r.Errorf("show says %s", text)
	}
	if text, code := r.try("utility", "bill", "show", id, "--period", "2018-10", "--dir", "utility"); code != 1 || text != "wattveil: no bill of meter "+id+" is kept for that\n" {
		r.Errorf("show of a month without a bill: exit code %d, %s", code, text)
	}
	table := r.do("utility", "bill", "list", "--period", "2018-11", "--dir", "utility")
	var meters []string
	for _, line := range strings.Split(strings.TrimSpace(table), "\n")[1:] {
		meters = append(meters, strings.Fields(line)[0])
		if !strings.Contains(line, "2018-11-01T00:00:00+01:00  2018-11-08T00:00:00+01:00") {
			r.Errorf("the list has other times than the bill: %s", line)
		}
	}
	if len(meters) < 2 || !slices.IsSorted(meters) {
		r.Errorf("the list is not by meter:\n%s", table)
	}
	var shown api.MeterBill
	rigMust(r, json.Unmarshal([]byte(r.do("utility", "bill", "show", id, "--json", "--dir", "utility")), &shown))
	if d, err := bill.ParseDocument(shown.Proven); err != nil || d.JWS != shown.JWS || d.Proof == nil {
		r.Errorf("show --json has no bill with its proof: %v", err)
	}
	if list := r.do("utility", "bill", "list", "--meter", id, "--json", "--dir", "utility"); strings.Count(list, "\n") != 1 || !strings.HasPrefix(list, `{"meter":"`+id+`"`) {
		r.Errorf("list says %s", list)
	}
}

// invoices prints those of a few meters, twice.
func (r *billingRig) invoices() {
	r.Helper()
	r.write("three.txt", fmt.Sprintf("%v\n%v\n%v\n", rigMeter(0), rigMeter(1), rigMeter(2)))
	r.write("customers.csv", "name,meter,address1\nJosé Łuczak,"+rigMeter(0).String()+",\"Weg 1, Haus 2\"\n陳,"+rigMeter(1).String()+",Weg 2\n")
	print := []string{"utility", "bill", "invoice", "--meters", "three.txt", "--customers", "customers.csv", "--format", "pdf,html", "--lang", "de-CH", "--dir", "utility", "--out"}
	out := r.do(append(print, "invoices")...)
	for _, want := range []string{
		"3 bills printed to invoices as pdf and html\n", "1 bills printed without a name: their meters are not in customers.csv\n",
		`note: meter 1000000000000001: the font of PDFs lacks "陳" of the address; the HTML page has it`,
	} {
		if !strings.Contains(out, want) {
			r.Errorf("invoice does not say %q:\n%s", want, out)
		}
	}
	r.do(append(print, "again")...)
	files, err := filepath.Glob(r.path("invoices/*"))
	rigMust(r, err)
	if len(files) != 6 {
		r.Errorf("%d files of invoices, want 6", len(files))
	}
	for _, f := range files {
		info, err := os.Stat(f)
		rigMust(r, err)
		if info.Mode().Perm() != 0o600 {
			r.Errorf("%s has mode %o, want 600", f, info.Mode().Perm())
		}
		name := filepath.Base(f)
		if r.read("invoices/"+name) != r.read("again/"+name) {
			r.Errorf("%s is another file the second time", name)
		}
		if strings.HasSuffix(f, ".html") {
			r.checkProof(name)
		}
		if strings.HasSuffix(f, ".html") && strings.HasPrefix(name, rigMeter(0).String()) && !strings.Contains(r.read("invoices/"+name), "José Łuczak\nWeg 1, Haus 2") {
			r.Errorf("%s does not have the customer's name", name)
		}
	}
}

// checkProof reads the bill.json of an invoice.
func (r *billingRig) checkProof(name string) {
	r.Helper()
	_, file, _ := strings.Cut(r.read("invoices/"+name), `href="data:application/json;base64,`)
	file, _, _ = strings.Cut(file, `"`)
	text, err := base64.StdEncoding.DecodeString(html.UnescapeString(file))
	rigMust(r, err)
	if d, err := bill.ParseDocument(text); err != nil || d.Proof == nil {
		r.Errorf("bill.json of %s has no proof: %v", name, err)
	}
}

// reconciles compares two feeders: one lost 2 percent, the other one a meter.
func (r *billingRig) reconciles() {
	r.Helper()
	places := "meter,feeder\n"
	var sums [2]int64 // Wh
	for i := range 20 {
		list := r.registers(i)
		sums[i%2] += int64(list[len(list)-1].Import - list[0].Import)
		places += fmt.Sprintf("%v,F%d\n", rigMeter(i), i%2)
	}
	places += "abcdef0123456789,F1\n"
	middle := r.from.AddDate(0, 0, 3).Format(time.DateOnly)
	last := r.from.AddDate(0, 0, r.days).Format(time.DateOnly)
	feeders := fmt.Sprintf("feeder,from,to,import_kwh,export_kwh\nF0,2018-11-01,%s,10,10\nF0,%s,%s,%s,\nF1,2018-11-01,%s,%s,0\nF0,%s,2019-02-01,1,0\n",
		middle, middle, last, kilowattHours(sums[0]*100/98), last, kilowattHours(sums[1]), last)
	r.write("places.csv", places)
	r.write("feeders.csv", feeders)
	out, code := r.try("utility", "bill", "reconcile", "--feeder", "feeders.csv", "--meters", "places.csv", "--period", r.period(), "--json", "--dir", "utility")
	lines := strings.SplitAfter(out, "\n")
	if code != exitFound || len(lines) != 4 || lines[2] != "wattveil: 1 of 2 feeders are notable, such as F1\n" {
		r.Fatalf("exit code %d: %s", code, out)
	}
	var got [2]reconcile.Result
	for i := range got {
		rigMust(r, json.Unmarshal([]byte(lines[i]), &got[i]))
	}
	if g := got[0]; g.Feeder != "F0" || g.Meters != 10 || g.Unbilled != 0 || g.BillsKWh != kilowattHours(sums[0]) || g.Percent != "2.00" || g.Notable {
		r.Errorf("feeder F0: %+v, want bills of %s", g, kilowattHours(sums[0]))
	}
	if g := got[1]; g.Meters != 11 || g.Unbilled != 1 || g.Difference != "0.000" || g.Percent != "0.00" || !g.Notable {
		r.Errorf("feeder F1: %+v", g)
	}
}

func kilowattHours(wh int64) string { return fmt.Sprintf("%d.%03d", wh/1000, wh%1000) }
