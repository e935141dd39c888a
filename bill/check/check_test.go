package check_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	_ "time/tzdata"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/bill/check"
	"github.com/wattveil/wattveil/rating"
	"github.com/wattveil/wattveil/tariff"
)

const tou = `{"id":"tou","currency":"CHF","timezone":"Europe/Zurich","valid_from":"2018-01-01","energy":{"bands":` +
	`{"peak":{"import":"0.2860","export":"0.08"},"offpeak":{"import":"0.1780"}},"default":"offpeak",` +
	`"windows":[{"band":"peak","days":["mon","tue","wed","thu","fri"],"from":"07:00","to":"20:00"}]},` +
	`"standing":{"per_day":"0.30"},"tax_percent":"8.1"}`

const quarter = 900

// home is a meter's readings from February to April 2018, and a tariff.
type home struct {
	*testing.T
	terms    *tariff.Tariff
	zone     *time.Location
	readings []wattveil.Reading
}

func newHome(t *testing.T, terms string) home {
	t.Helper()
	parsed, err := tariff.Parse([]byte(terms))
	if err != nil {
		t.Fatal(err)
	}
	h := home{T: t, terms: parsed, zone: parsed.Zone()}
	r := wattveil.Reading{Import: 1_000_000, Export: 500}
	for at := h.day("2018-02-01").Unix(); at <= h.day("2018-04-15").Unix(); at += quarter {
		r.Time = at
		h.readings = append(h.readings, r)
		r.Import = r.Import.Add(wattveil.Wh(100 + at/quarter*7919%400))
		if at/3600%24 == 11 {
			r.Export = r.Export.Add(wattveil.Wh(at / quarter % 50))
		}
	}
	return h
}

func (h home) day(date string) time.Time {
	h.Helper()
	at, err := time.ParseInLocation(time.DateOnly, date, h.zone)
	if err != nil {
		h.Fatal(err)
	}
	return at
}

// intervals are the differences of readings within a period.
func (h home) intervals(from, to time.Time) []wattveil.Interval {
	var list []wattveil.Interval
	for i := 1; i < len(h.readings); i++ {
		a, b := h.readings[i-1], h.readings[i]
		if a.Time >= from.Unix() && b.Time <= to.Unix() {
			list = append(list, wattveil.Interval{Start: a.Time, End: b.Time, Import: b.Import.Since(a.Import), Export: b.Export.Since(a.Export)})
		}
	}
	return list
}

func secret() bill.Secret { return bill.Secret{7} }

// bill is the bill of a period, made without package vee.
func (h home) bill(fromDate, toDate string, change func(*rating.Request)) bill.Bill {
	h.Helper()
	from, to := h.day(fromDate), h.day(toDate)
	request := rating.Request{Tariff: h.terms, Intervals: h.intervals(from, to), From: from, To: to, DemandStep: tariff.NewDecimal(1, 1)}
	if change != nil {
		change(&request)
	}
	rated, err := request.Rate()
	if err != nil {
		h.Fatal(err)
	}
	var root bill.Intervals
	root.Start(bill.NewDays(h.zone, from, to), secret())
	for _, i := range request.Intervals {
		root.Add(i, 0)
	}
	hash, err := root.Root()
	if err != nil {
		h.Fatal(err)
	}
	b := bill.Bill{
		V: bill.Version, Issuer: "Example TTP", Subject: bill.SubjectOf(bill.Salt{}, wattveil.Meter{}), Intervals: len(request.Intervals),
		Tariff: h.terms.ID(), TariffDigest: h.terms.Digest().String(), Timezone: h.zone.String(), Currency: h.terms.Currency().String(),
		From: bill.Time(from, h.zone), To: bill.Time(to, h.zone), ReadingsRoot: hash.String(),
		ImportKWh: rated.ImportKWh(), ExportKWh: rated.ExportKWh(), Total: rated.Total,
	}
	for _, l := range rated.Lines {
		b.Lines = append(b.Lines, bill.Line(l))
	}
	if err := bill.Check(b); err != nil {
		h.Fatal(err)
	}
	return b
}

// ttpExport is the file of the readings as registers, without those that drop
// says.
func (h home) ttpExport(drop func(at time.Time) bool) check.Readings {
	h.Helper()
	var s strings.Builder
	s.WriteString("series,time,import_register_wh,export_register_wh,flags\n")
	for _, r := range h.readings {
		at := time.Unix(r.Time, 0)
		if drop == nil || !drop(at) {
			fmt.Fprintf(&s, "1,%s,%d,%d,\n", at.UTC().Format(time.RFC3339), uint64(r.Import), uint64(r.Export))
		}
	}
	return h.parse(s.String())
}

// meterExport is the file that the meter writes.
func (h home) meterExport() check.Readings {
	h.Helper()
	var s strings.Builder
	s.WriteString("time,import_register_wh,export_register_wh,seconds,import_wh,export_wh,flags\n")
	for i, r := range h.readings {
		since := ",,"
		if i > 0 {
			before := h.readings[i-1]
			since = fmt.Sprintf("%d,%d,%d", r.Time-before.Time, int64(r.Import.Since(before.Import)), int64(r.Export.Since(before.Export)))
		}
		fmt.Fprintf(&s, "%s,%d,%d,%s,\n", time.Unix(r.Time, 0).UTC().Format(time.RFC3339), uint64(r.Import), uint64(r.Export), since)
	}
	return h.parse(s.String())
}

// intervalExport is the file of edited intervals, with a quality for each.
func (h home) intervalExport(quality func(i int) int) check.Readings {
	h.Helper()
	var s strings.Builder
	s.WriteString("start,seconds,import_wh,export_wh,quality\n")
	for n, i := range h.intervals(h.day("2018-02-01"), h.day("2018-04-15")) {
		fmt.Fprintf(&s, "%s,%d,%d,%d,%d\n", time.Unix(i.Start, 0).UTC().Format(time.RFC3339), i.End-i.Start, int64(i.Import), int64(i.Export), quality(n))
	}
	return h.parse(s.String())
}

func (h home) parse(s string) check.Readings {
	h.Helper()
	r, err := check.ParseReadings([]byte(s))
	if err != nil {
		h.Fatal(err)
	}
	return r
}

func (h home) recompute(in check.Input) check.Report {
	h.Helper()
	in.Tariff = h.terms
	report, err := check.Recompute(in)
	if err != nil {
		h.Fatal(err)
	}
	return report
}

// A bill that was made from these readings agrees, wherever they come from.
func TestGoodBillAgrees(t *testing.T) {
	h := newHome(t, tou)
	b := h.bill("2018-03-01", "2018-04-01", nil)
	opening := &check.Opening{Secret: secret()}
	for name, r := range map[string]check.Readings{
		"the meter's":         h.meterExport(),
		"the TTP's registers": h.ttpExport(nil),
		"the TTP's intervals": h.intervalExport(func(int) int { return 0 }),
	} {
		report := h.recompute(check.Input{Bill: check.Shown{Bill: b}, Readings: r, Opening: opening})
		if !report.OK() {
			t.Errorf("%s: %v", name, report.Differences)
		}
		all := strings.Join(report.Checked, "\n")
		if !strings.Contains(all, "lines: ") || !strings.Contains(all, "totals: ") || !strings.Contains(all, "readings root: ") ||
			r.FromMeter() == strings.Contains(all, "estimates: ") {
			t.Errorf("%s: checked\n%s", name, all)
		}
	}
	report := h.recompute(check.Input{Bill: check.Shown{Bill: b}, Readings: h.ttpExport(nil)})
	if want := []string{"readings root: that the TTP has made the bill from these readings takes the bill's secret"}; !slices.Equal(report.Unchecked, want) {
		t.Errorf("without the secret, not checked: %q", report.Unchecked)
	}
}

// Each change of a bill is told, with both values.
func TestDifferences(t *testing.T) {
	h := newHome(t, tou)
	good := h.bill("2018-03-01", "2018-04-01", nil)
	readings := h.ttpExport(nil)
	for name, c := range map[string]struct {
		change func(*bill.Bill)
		want   string
	}{
		"quantity":  {func(b *bill.Bill) { b.Lines[0].Quantity = "1.000" }, "line 1, import offpeak: quantity is 1.000 in the bill, it comes to " + good.Lines[0].Quantity},
		"price":     {func(b *bill.Bill) { b.Lines[1].Price = "0.3" }, "line 2, import peak: price is 0.3 in the bill, it comes to 0.2860"},
		"amount":    {func(b *bill.Bill) { b.Lines[4].Amount = "9.31" }, "line 5, standing: amount is 9.31 in the bill, it comes to 9.30"},
		"total":     {func(b *bill.Bill) { b.Total = "0.00" }, "total is 0.00 in the bill, it comes to " + good.Total},
		"import":    {func(b *bill.Bill) { b.ImportKWh = "0.000" }, "import_kwh is 0.000 in the bill, it comes to " + good.ImportKWh},
		"export":    {func(b *bill.Bill) { b.ExportKWh = "0.000" }, "export_kwh is 0.000 in the bill, it comes to " + good.ExportKWh},
		"estimated": {func(b *bill.Bill) { b.Estimated = 3 }, "estimated is 3 in the bill, it comes to 0"},
		"root":      {func(b *bill.Bill) { b.ReadingsRoot = b.Subject }, "readings_root is " + good.Subject + " in the bill, it comes to " + good.ReadingsRoot},
		"a line less": {func(b *bill.Bill) { b.Lines = slices.Delete(b.Lines, 3, 4) },
			"export peak: amount is nothing in the bill, it comes to " + good.Lines[3].Amount},
		"a line more": {func(b *bill.Bill) {
			b.Lines = append(b.Lines, bill.Line{Kind: "levy", Name: "sun", Amount: "5.00"})
		}, "line 7, levy sun: amount is 5.00 in the bill, it comes to nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			b := good
			b.Lines = slices.Clone(good.Lines)
			c.change(&b)
			report := h.recompute(check.Input{Bill: check.Shown{Bill: b}, Readings: readings, Opening: &check.Opening{Secret: secret()}})
			if len(report.Differences) != 1 || report.Differences[0].String() != c.want || report.OK() {
				t.Errorf("differences %v, want %q", report.Differences, c.want)
			}
		})
	}
}

// Readings that are lost between registers change no sum; where the meter has
// them and the bill says that it estimates, a difference says that this may be
// why.
func TestEstimatedBill(t *testing.T) {
	h := newHome(t, tou)
	lost := func(at time.Time) bool {
		return at.After(h.day("2018-03-05").Add(5*time.Hour)) && at.Before(h.day("2018-03-05").Add(10*time.Hour))
	}
	b := h.bill("2018-03-01", "2018-04-01", nil)
	readings := h.ttpExport(lost)
	report := h.recompute(check.Input{Bill: check.Shown{Bill: b}, Readings: readings})
	if report.OK() || !strings.Contains(fmt.Sprint(report.Differences), "estimated is 0 in the bill, it comes to 20") {
		t.Fatalf("the readings lack some, the bill none: %v", report.Differences)
	}
	// What the TTP would have said.
	for _, d := range report.Differences {
		switch {
		case d.Member == "estimated":
			b.Estimated = 20
		case d.Line == 0 && d.Member == "total":
			b.Total = d.Computed
		case d.Member == "quantity":
			b.Lines[d.Line-1].Quantity = d.Computed
		case d.Member == "amount":
			b.Lines[d.Line-1].Amount = d.Computed
		}
	}
	if report := h.recompute(check.Input{Bill: check.Shown{Bill: b}, Readings: readings}); !report.OK() {
		t.Errorf("the bill with estimates: %v", report.Differences)
	}
	report = h.recompute(check.Input{Bill: check.Shown{Bill: b}, Readings: h.meterExport()})
	if report.OK() || report.Differences[0].Why != "20 intervals of the bill are estimated" {
		t.Errorf("against the meter: %v", report.Differences)
	}
	for _, d := range report.Differences {
		if d.Member == "import_kwh" {
			t.Errorf("registers around a gap lose no energy: %v", d)
		}
	}
}

// The secret and the leaves say on which day the TTP has other readings.
func TestDays(t *testing.T) {
	h := newHome(t, tou)
	b := h.bill("2018-03-24", "2018-03-27", nil)
	days := bill.NewDays(h.zone, h.day("2018-03-24"), h.day("2018-03-27"))
	var root bill.Intervals
	root.Start(days, secret())
	for _, i := range h.intervals(h.day("2018-03-24"), h.day("2018-03-27")) {
		root.Add(i, 0)
	}
	leaves, err := root.Leaves()
	if err != nil {
		t.Fatal(err)
	}
	opening := &check.Opening{Secret: secret(), Leaves: leaves}
	// A reading of the second day, and with it two intervals of the same sum.
	for i := range h.readings {
		if h.readings[i].Time == h.day("2018-03-25").Unix()+6*3600 {
			h.readings[i].Import++
		}
	}
	report := h.recompute(check.Input{Bill: check.Shown{Bill: b}, Readings: h.ttpExport(nil), Opening: opening})
	if len(report.Differences) != 1 || report.Differences[0].Member != "readings_root" {
		t.Errorf("differences %v", report.Differences)
	}
	if want := []check.Day{{Date: "2018-03-24", Agree: true}, {Date: "2018-03-25"}, {Date: "2018-03-26", Agree: true}}; !reflect.DeepEqual(report.Days, want) {
		t.Errorf("days %v", report.Days)
	}
	opening.Leaves = leaves[:2]
	report = h.recompute(check.Input{Bill: check.Shown{Bill: b}, Readings: h.ttpExport(nil), Opening: opening})
	if len(report.Days) != 0 || !strings.Contains(fmt.Sprint(report.Differences), "the leaves given are not this bill's") {
		t.Errorf("leaves of another bill: %v, days %v", report.Differences, report.Days)
	}
}

// A bill that carries what an earlier one lacked, and the earlier one in turn.
func TestCarried(t *testing.T) {
	h := newHome(t, tou)
	lower := func(n int) func(*rating.Request) {
		return func(r *rating.Request) {
			r.Intervals = slices.Clone(r.Intervals)
			r.Intervals[n].Import -= 90
		}
	}
	february := h.bill("2018-02-05", "2018-03-01", lower(50)) // 90 Wh too few, of a peak hour
	then := func(change func(*rating.Request), carry ...rating.Energy) func(*rating.Request) {
		return func(r *rating.Request) {
			if change != nil {
				change(r)
			}
			r.Carry = carry
		}
	}
	missing := rating.Energy{Band: "peak", Import: 90}
	march := h.bill("2018-03-01", "2018-04-01", then(lower(40), missing)) // and 90 Wh too few of its own
	march.Carries = bill.HashOf("february").String()
	april := h.bill("2018-04-01", "2018-04-10", then(nil, missing))
	april.Carries = bill.HashOf("march").String()
	others := map[bill.Hash]check.Shown{bill.HashOf("february"): {Bill: february}, bill.HashOf("march"): {Bill: march}}
	report := h.recompute(check.Input{Bill: check.Shown{Bill: april}, Readings: h.ttpExport(nil), Others: others})
	if !report.OK() {
		t.Errorf("april: %v", report.Differences)
	}
	_, err := check.Recompute(check.Input{Bill: check.Shown{Bill: april}, Tariff: h.terms, Readings: h.ttpExport(nil)})
	if !errors.Is(err, check.ErrCannot) || !strings.Contains(err.Error(), april.Carries) {
		t.Errorf("without the bill before: %v", err)
	}
	april.Carries = ""
	report = h.recompute(check.Input{Bill: check.Shown{Bill: april}, Readings: h.ttpExport(nil), Others: others})
	if report.OK() {
		t.Error("a bill that counts 90 Wh more than it measured agrees")
	}
}

// What is missing is told apart from what is wrong.
func TestCannot(t *testing.T) {
	h := newHome(t, tou)
	b := h.bill("2018-03-01", "2018-04-01", nil)
	other, err := tariff.Parse([]byte(strings.Replace(tou, "0.2860", "0.2861", 1)))
	if err != nil {
		t.Fatal(err)
	}
	short := h
	short.readings = h.readings[:1000]
	odd := b
	odd.Intervals = 2971
	none := b
	none.Intervals, none.UnbilledSeconds = 0, 1
	for name, c := range map[string]struct {
		in     check.Input
		cannot bool
		text   string
	}{
		"no tariff":      {check.Input{Bill: check.Shown{Bill: b}, Readings: h.ttpExport(nil)}, true, "the tariff is missing"},
		"another tariff": {check.Input{Bill: check.Shown{Bill: b}, Tariff: other, Readings: h.ttpExport(nil)}, false, "another digest"},
		"short":          {check.Input{Bill: check.Shown{Bill: b}, Tariff: h.terms, Readings: short.ttpExport(nil)}, true, "readings are missing"},
		"short intervals": {check.Input{Bill: check.Shown{Bill: b}, Tariff: h.terms, Readings: short.intervalExport(func(int) int { return 0 })}, true,
			"readings are missing"},
		"odd number":   {check.Input{Bill: check.Shown{Bill: odd}, Tariff: h.terms, Readings: h.ttpExport(nil)}, false, "2971 intervals do not make up the period"},
		"no intervals": {check.Input{Bill: check.Shown{Bill: none}, Tariff: h.terms, Readings: h.ttpExport(nil)}, true, "made from no readings"},
	} {
		_, err := check.Recompute(c.in)
		if err == nil || errors.Is(err, check.ErrCannot) != c.cannot || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Lines with a series may withhold their energy.
func TestSeries(t *testing.T) {
	const terms = `{"id":"spot","currency":"CHF","timezone":"Europe/Zurich","valid_from":"2018-01-01",` +
		`"energy":{"bands":{"spot":{"import_series":"day-ahead"}},"default":"spot"}}`
	h := newHome(t, terms)
	series := h.series()
	b := h.bill("2018-03-01", "2018-04-01", func(r *rating.Request) { r.Series = series })
	b.Lines[0].Quantity, b.Lines[0].Withheld, b.ImportKWh = "", "reveal", ""
	if err := bill.Check(b); err != nil {
		t.Fatal(err)
	}
	in := check.Input{Bill: check.Shown{Bill: b}, Readings: h.ttpExport(nil), Series: series}
	if report := h.recompute(in); !report.OK() {
		t.Errorf("a good bill: %v", report.Differences)
	}
	in.Bill.Lines = slices.Clone(b.Lines)
	in.Bill.Lines[0].Amount = "0.01"
	if report := h.recompute(in); len(report.Differences) != 1 {
		t.Errorf("another amount: %v", report.Differences)
	}
	in.Series = nil
	in.Tariff = h.terms
	if _, err := check.Recompute(in); !errors.Is(err, check.ErrCannot) || !strings.Contains(err.Error(), "day-ahead") {
		t.Errorf("without the series: %v", err)
	}
}

// series has another price each hour.
func (h home) series() []*tariff.Series {
	h.Helper()
	doc := tariff.SeriesDocument{Name: "day-ahead", Currency: "CHF", Minutes: 60, From: bill.Time(h.day("2018-02-01"), time.UTC)}
	for i := range 80 * 24 {
		doc.Prices = append(doc.Prices, strings.TrimRight(fmt.Sprintf("0.%02d", 5+i%37), "0"))
	}
	s, err := tariff.NewSeries(doc)
	if err != nil {
		h.Fatal(err)
	}
	return []*tariff.Series{s}
}
