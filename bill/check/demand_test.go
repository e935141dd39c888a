package check_test

import (
	"fmt"
	"slices"
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

// shown is a bill and its place in the log; none if that is not known.
func shown(b bill.Bill, place ...uint64) check.Shown {
	s := check.Shown{Bill: b}
	if len(place) > 0 {
		s.Place = &place[0]
	}
	return s
}

func others(list ...check.Shown) map[bill.Hash]check.Shown {
	m := make(map[bill.Hash]check.Shown)
	for i, s := range list {
		m[bill.Hash{byte(i)}] = s
	}
	return m
}

// said is what a report says of differences, and of what is not checked.
func said(report check.Report) (differs, skipped string) {
	list := make([]string, len(report.Differences))
	for i, d := range report.Differences {
		list[i] = d.String()
	}
	return strings.Join(list, "\n"), strings.Join(append(report.Unchecked, report.Lacking...), "\n")
}

const (
	allFromReadings = "lines: quantities, prices and amounts, from the readings"
	alsoFromBills   = "lines: quantities, prices and amounts, from the readings and the demand of other bills"
	allButDemand    = "lines other than demand: quantities, prices and amounts, from the readings"
)

// A demand that an earlier month holds up is computed from the bill of that
// month. February came to 8.91 kW, which its bill tells as 9.0: 85 % are 7.65,
// which are 7.7 on the bill of March.
func TestRatchet(t *testing.T) {
	one, two := newHome(t, kwTerms(1)), newHome(t, kwTerms(2))
	const first, here, later = 3, 5, 8 // places in the log
	february := func(h home) check.Shown { return shown(h.bill("2018-02-01", "2018-03-01", spike(8_910)), first) }
	march := func(h home, watts int64) check.Shown {
		return shown(h.bill("2018-03-01", "2018-04-01", heldBy(t, "2018-02", watts)), here)
	}
	held := shown(one.bill("2018-02-01", "2018-03-01", heldBy(t, "2018-01", 10_588)), first) // to 9.0
	at := func(s check.Shown, place ...uint64) check.Shown { return shown(s.Bill, place...) }
	half := shown(one.bill("2018-02-01", "2018-02-10", spike(8_910)), first)
	rest := shown(one.bill("2018-02-10", "2018-03-01", nil), first+1)
	const (
		wrong   = "demand all tier "
		asked   = "demand all 2018-03: "
		follows = asked + "7.700 kW follow from the bill of 2018-02: verify that, too"
		between = asked + "all that is known is that it is from 2.000 kW to 7.700 kW: the bill of 2018-02 "
		after   = between + "was made later, and may not have been known"
		unknown = between + "may have been made later: which came first takes the proofs of both, and the log's keys"
	)
	for name, c := range map[string]struct {
		home
		bill                      check.Shown
		others                    map[bill.Hash]check.Shown
		differs, skipped, checked string
	}{
		"good":                    {one, march(one, 9_000), others(february(one)), "", follows, alsoFromBills},
		"too high":                {one, march(one, 9_200), others(february(one)), wrong, follows, ""},
		"too high by a step":      {one, march(one, 9_060), others(february(one)), wrong, follows, ""},
		"too low":                 {one, march(one, 8_900), others(february(one)), wrong, follows, ""},
		"left out":                {one, march(one, 0), others(february(one)), wrong, follows, ""},
		"no bill":                 {one, march(one, 9_000), nil, "", asked + "7.700 kW is due to an earlier month, and no bill is given of 2018-02", allButDemand},
		"no bill, and not held":   {one, march(one, 0), nil, "", asked + "an earlier month may hold it up further, and no bill is given of 2018-02, if there is one", allFromReadings},
		"a bill of half of it":    {one, march(one, 9_000), others(rest), "", "no bill is given of 2018-02", allButDemand},
		"two bills of it":         {one, march(one, 9_000), others(half, rest), "", follows, alsoFromBills},
		"an older one missing":    {two, march(two, 9_000), others(february(two)), "", asked + "an earlier month may hold it up further, and no bill is given of 2018-01", alsoFromBills},
		"due to the missing one":  {two, march(two, 10_000), others(february(two)), "", asked + "8.500 kW is due to an earlier month, and no bill is given of 2018-01", allButDemand},
		"too low, one missing":    {two, march(two, 0), others(february(two)), wrong, asked + "an earlier month may", ""},
		"the other was held up":   {one, march(one, 7_000), others(held), "", between + "was held up itself, and does not tell what was measured", allButDemand},
		"the other tells no more": {one, march(one, 9_300), others(held), wrong, follows, ""},
		"both months in one bill": {one, shown(one.bill("2018-02-01", "2018-04-01", nil)), nil, "", "demand all 2018-02: an earlier month may hold it up further, and no bill is given of 2018-01", allFromReadings},
		// A TTP takes the figures that it knows: of bills that it made before.
		"made before the other":              {one, march(one, 0), others(at(february(one), later)), "", after, allFromReadings},
		"made before, and held all the same": {one, march(one, 9_000), others(at(february(one), later)), "", after, allButDemand},
		"made before, and too high":          {one, march(one, 9_200), others(at(february(one), later)), wrong, follows, ""},
		"a place not known":                  {one, march(one, 0), others(at(february(one))), "", unknown, allFromReadings},
		"its place not known":                {one, at(march(one, 0)), others(february(one)), "", unknown, allFromReadings},
		"places not known, too high":         {one, at(march(one, 9_200)), others(at(february(one))), wrong, follows, ""},
		"one made before, one after":         {one, march(one, 0), others(half, at(rest, later)), wrong, follows, ""},
		"one made after, lower":              {one, march(one, 9_000), others(half, at(rest, later)), "", follows, alsoFromBills},
	} {
		report := c.recompute(check.Input{Bill: c.bill, Readings: c.ttpExport(nil), Others: c.others})
		differs, skipped := said(report)
		if (differs == "") != (c.differs == "") || !strings.Contains(differs, c.differs) {
			t.Errorf("%s: differs\n%s", name, differs)
		}
		if !strings.Contains(skipped, c.skipped) || c.skipped == "" && strings.Contains(skipped, "demand") {
			t.Errorf("%s: not checked\n%s", name, skipped)
		}
		if c.checked != "" && !slices.Contains(report.Checked, c.checked) || c.checked == "" && strings.Contains(strings.Join(report.Checked, "\n"), "lines") {
			t.Errorf("%s: checked %q", name, report.Checked)
		}
	}
}

// A correction has the figures of the bill that it corrects, whatever readings
// there are now, at the prices of the tariff.
func TestDemandOfCorrection(t *testing.T) {
	h := newHome(t, kwTerms(1))
	before := h.bill("2018-03-01", "2018-04-01", spike(8_910))
	figures := rating.Figures{}
	for _, l := range before.Lines {
		if err := figures.Add(rating.Line(l)); err != nil {
			t.Fatal(err)
		}
	}
	b := h.bill("2018-03-01", "2018-04-01", func(r *rating.Request) { r.Figures = figures })
	b.Corrects = bill.Hash{}.String()
	dear := newHome(t, strings.Replace(kwTerms(1), `"per_kw":"4"`, `"per_kw":"40"`, 1))
	dearly := func(change func(*rating.Request)) bill.Bill {
		made := dear.bill("2018-03-01", "2018-04-01", change)
		made.TariffDigest = b.TariffDigest
		return made
	}
	overpriced := dearly(func(r *rating.Request) { r.Figures = figures })
	overpriced.Corrects = b.Corrects
	const (
		verify  = "demand: it is as in the bill that is corrected: verify that, too"
		lacking = "demand: a correction leaves it as it is in the bill that is corrected, which is not given"
		price   = "demand all tier 1 2018-03: price is 40 in the bill, it comes to 4"
	)
	for name, c := range map[string]struct {
		bill                      bill.Bill
		others                    map[bill.Hash]check.Shown
		differs, skipped, checked string
	}{
		"beside the bill that it corrects": {b, others(shown(before)), "", verify, alsoFromBills},
		"alone":                            {b, nil, "", lacking, allButDemand},
		"another figure than the bill has": {b, others(shown(h.bill("2018-03-01", "2018-04-01", nil))), "demand all tier 1 2018-03: quantity is 5.000 in the bill, it comes to 2.000", verify, ""},
		"another price than the tariff's":  {overpriced, nil, price, lacking, ""},
		"the same wrong price in both":     {overpriced, others(shown(dearly(spike(8_910)))), price, verify, ""},
		"a wrong price in the other alone": {b, others(shown(dearly(spike(8_910)))), "", verify, alsoFromBills},
	} {
		report := h.recompute(check.Input{Bill: shown(c.bill), Readings: h.ttpExport(nil), Others: c.others})
		differs, skipped := said(report)
		if (differs == "") != (c.differs == "") || !strings.Contains(differs, c.differs) || !strings.Contains(skipped, c.skipped) {
			t.Errorf("%s: differs\n%s\nnot checked\n%s", name, differs, skipped)
		}
		if c.checked != "" && !slices.Contains(report.Checked, c.checked) || c.checked == "" && strings.Contains(strings.Join(report.Checked, "\n"), "lines") {
			t.Errorf("%s: checked %q", name, report.Checked)
		}
	}
}
