package check_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/bill/check"
	"github.com/wattveil/wattveil/rating"
	"github.com/wattveil/wattveil/tariff"
)

// kwTerms has a demand with tiers and a ratchet over so many months, and a tax
// that goes with it.
func kwTerms(months int) string {
	return fmt.Sprintf(`{"id":"kw","currency":"CHF","timezone":"Europe/Zurich","valid_from":"2018-01-01",`+
		`"energy":{"bands":{"all":{"import":"0.25"}},"default":"all"},"tax_percent":"8.1",`+
		`"demand":[{"name":"all","minutes":15,"tiers":[{"up_to_kw":"5","per_kw":"4"},{"per_kw":"6"}],"ratchet":{"months":%d,"percent":"85"}}]}`, months)
}

// spike makes a quarter of an hour one of so many watts.
func spike(watts int) func(*rating.Request) {
	return func(r *rating.Request) { r.Intervals[500].Import = wattveil.Wh(watts / 4) }
}

// heldBy holds a bill up by a peak of another month.
func heldBy(t *testing.T, name string, watts int64) func(*rating.Request) {
	t.Helper()
	month, ok := tariff.ParseMonth(name)
	if !ok {
		t.Fatal(name)
	}
	return func(r *rating.Request) { r.Peaks = []rating.Peak{{Demand: "all", Month: month, Watts: watts}} }
}

func others(bills ...bill.Bill) map[bill.Hash]bill.Bill {
	m := make(map[bill.Hash]bill.Bill)
	for i, b := range bills {
		m[bill.Hash{byte(i)}] = b
	}
	return m
}

// A demand that an earlier month holds up is computed from the bill of that
// month. February came to 8.91 kW, which its bill tells as 9.0: 85 % are 7.65,
// which are 7.7 on the bill of March.
func TestRatchet(t *testing.T) {
	one, two := newHome(t, kwTerms(1)), newHome(t, kwTerms(2))
	february := func(h home) bill.Bill { return h.bill("2018-02-01", "2018-03-01", spike(8_910)) }
	march := func(h home, watts int64) bill.Bill {
		return h.bill("2018-03-01", "2018-04-01", heldBy(t, "2018-02", watts))
	}
	held := one.bill("2018-02-01", "2018-03-01", heldBy(t, "2018-01", 10_588)) // to 9.0
	const (
		wrong = "demand all tier "
		asked = "demand all 2018-03: "
	)
	for name, c := range map[string]struct {
		home
		bill             bill.Bill
		others           map[bill.Hash]bill.Bill
		differs, skipped string
	}{
		"good":                    {one, march(one, 9_000), others(february(one)), "", ""},
		"too high":                {one, march(one, 9_200), others(february(one)), wrong, ""},
		"too high by a step":      {one, march(one, 9_060), others(february(one)), wrong, ""},
		"too low":                 {one, march(one, 8_900), others(february(one)), wrong, ""},
		"left out":                {one, march(one, 0), others(february(one)), wrong, ""},
		"no bill":                 {one, march(one, 9_000), nil, "", asked + "7.700 kW is due to an earlier month, and no bill is given of 2018-02"},
		"no bill, and not held":   {one, march(one, 0), nil, "", asked + "an earlier month may hold it up further, and no bill is given of 2018-02"},
		"a bill of half of it":    {one, march(one, 9_000), others(one.bill("2018-02-10", "2018-03-01", nil)), "", "no bill is given of 2018-02"},
		"two bills of it":         {one, march(one, 9_000), others(one.bill("2018-02-01", "2018-02-10", spike(8_910)), one.bill("2018-02-10", "2018-03-01", nil)), "", ""},
		"an older one missing":    {two, march(two, 9_000), others(february(two)), "", asked + "an earlier month may hold it up further, and no bill is given of 2018-01"},
		"due to the missing one":  {two, march(two, 10_000), others(february(two)), "", asked + "8.500 kW is due to an earlier month, and no bill is given of 2018-01"},
		"too low, one missing":    {two, march(two, 0), others(february(two)), wrong, asked + "an earlier month may"},
		"the other was held up":   {one, march(one, 7_000), others(held), "", "all that is known is that it is from 2.000 kW to 7.700 kW"},
		"the other tells no more": {one, march(one, 9_300), others(held), wrong, ""},
		"both months in one bill": {one, one.bill("2018-02-01", "2018-04-01", nil), nil, "", "demand all 2018-02: an earlier month may hold it up further, and no bill is given of 2018-01"},
	} {
		report := c.recompute(check.Input{Bill: c.bill, Readings: c.ttpExport(nil), Others: c.others})
		differ := make([]string, len(report.Differences))
		for i, d := range report.Differences {
			differ[i] = d.String()
		}
		if got := strings.Join(differ, "\n"); (got == "") != (c.differs == "") || !strings.Contains(got, c.differs) {
			t.Errorf("%s: differs\n%s", name, got)
		}
		skipped := strings.Join(append(report.Unchecked, report.Lacking...), "\n")
		if got := strings.Count(skipped, "demand"); got != min(len(c.skipped), 1) || !strings.Contains(skipped, c.skipped) {
			t.Errorf("%s: not checked\n%s", name, skipped)
		}
	}
}

// A correction has the demand of the bill that it corrects, whatever readings
// there are now.
func TestDemandOfCorrection(t *testing.T) {
	h := newHome(t, kwTerms(1))
	before := h.bill("2018-03-01", "2018-04-01", spike(8_910))
	lines := []rating.Line{}
	for _, l := range before.Lines {
		if l.Kind == rating.KindDemand {
			lines = append(lines, rating.Line(l))
		}
	}
	b := h.bill("2018-03-01", "2018-04-01", func(r *rating.Request) { r.Demand = lines })
	b.Corrects = bill.Hash{}.String()
	in := check.Input{Bill: b, Readings: h.ttpExport(nil), Others: others(before)}
	if report := h.recompute(in); !report.OK() || len(report.Lacking) > 0 {
		t.Errorf("beside the bill that it corrects: %v, lacking %q", report.Differences, report.Lacking)
	}
	in.Others = nil
	if report := h.recompute(in); !report.OK() || len(report.Lacking) != 1 || !strings.Contains(report.Lacking[0], "which is not given") {
		t.Errorf("alone: %v, lacking %q", report.Differences, report.Lacking)
	}
	in.Others = others(h.bill("2018-03-01", "2018-04-01", nil))
	if report := h.recompute(in); report.OK() {
		t.Error("another demand than the bill that it corrects passes")
	}
}
