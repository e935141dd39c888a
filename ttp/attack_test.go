package ttp

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/gate"
	"github.com/wattveil/wattveil/wire"
)

// prices is a price series of hours from a time on.
func prices(name string, from time.Time, hours int, price func(i int) string) string {
	list := make([]string, hours)
	for i := range list {
		list[i] = `"` + price(i) + `"`
	}
	return fmt.Sprintf(`{"currency":"CHF","from":%q,"minutes":60,"name":%q,"prices":[%s]}`,
		from.UTC().Format(time.RFC3339), name, strings.Join(list, ","))
}

// The questions of spec/gate.md by which one could read a household off its
// bills, asked as a utility would: each is refused by its rule.
func TestAttacks(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	first := date(2026, 2, 1)
	terms := map[string]string{
		"plain":  tariffOf("plain", `{"all":{"import":"0.25"}}`, ""),
		"other":  tariffOf("other", `{"all":{"import":"0.26"}}`, ""),
		"sliver": tariffOf("sliver", `{"all":{"import":"0.25"},"one":{"import":"0.3"}}`, `,"windows":[{"band":"one","days":`+everyDay+`,"seasons":["day"],"from":"18:00","to":"19:00"}]`),
		"dear":   tariffOf("dear", `{"all":{"import_series":"dear"}}`, ""),
		"heavy":  tariffOf("heavy", `{"all":{"import_series":"heavy"}}`, ""),
		"powers": tariffOf("powers", `{"all":{"import_series":"powers"}}`, ""),
		"slot":   tariffOf("slot", `{"all":{"import":"0.25"},"one":{"import":"0.3"}}`, `,"windows":[{"band":"one","days":["mon"],"from":"18:00","to":"19:00"}]`),
		"many":   manyBands(),
	}
	terms["sliver"] = strings.Replace(terms["sliver"], `"energy"`, `"seasons":{"day":[{"from":"02-10","to":"02-10"}]},"energy"`, 1)
	for _, document := range terms {
		must(t, c.putTariffNow(document))
	}
	a := c.asker()
	hours := 28 * 24
	for _, s := range []string{
		prices("dear", first, hours, func(i int) string { return map[bool]string{true: "1000", false: "1"}[i == 100] }),
		prices("heavy", first, hours, func(i int) string { return map[bool]string{true: "9", false: "0.001"}[i == 100] }),
		prices("powers", first, hours, func(i int) string {
			if i >= 30 {
				return "0"
			}
			return strings.TrimRight(fmt.Sprintf("%.8f", 1e-8*math.Exp2(float64(i))), "0")
		}),
	} {
		if _, class := ask(t, a.client, "PUT", "/v1/series", []byte(s)); class != "" {
			t.Fatal(class)
		}
	}
	next := wattveil.Pseudonym(0)
	meter := func() *ledger {
		next++
		m := c.ledger(next, 3600, date(2026, 1, 3).Unix())
		m.read(date(2026, 7, 1), nil)
		return m
	}
	r.at(date(2026, 7, 2))
	last := date(2026, 3, 1)

	for name, rule := range map[string]gate.Rule{"sliver": gate.Reveal, "dear": gate.Price, "heavy": gate.Reveal, "powers": gate.Reveal, "many": gate.Quantities} {
		a.refused(t, meter(), name, first, last, rule)
	}
	a.refused(t, meter(), "plain", first, first.Add(time.Hour), gate.Reveal)
	a.refused(t, meter(), "plain", date(2026, 1, 4), last, gate.Registered) // the tariff came a day later
	if got := a.bill(t, meter(), "plain", date(2026, 6, 25), date(2026, 7, 3), ""); got.Class != wire.Incomplete || got.Rule != string(gate.NotOver) {
		t.Errorf("a period that is not over: %s, rule %q", got.Class, got.Rule)
	}

	m := meter() // short periods
	a.passes(t, m, "plain", first, first.AddDate(0, 0, 1), "")
	a.refused(t, m, "plain", first.AddDate(0, 0, 1), first.AddDate(0, 0, 2), gate.Short)

	m = meter() // differences of periods that overlap, and of tariffs
	a.passes(t, m, "plain", first, last, "")
	for _, p := range [][2]time.Time{
		{first, last.Add(-time.Hour)}, {first.Add(time.Hour), last}, {first, last.Add(time.Hour)}, {first.AddDate(0, 0, 7), last.AddDate(0, 0, 7)},
	} {
		a.refused(t, m, "plain", p[0], p[1], gate.Overlap)
	}
	a.refused(t, m, "other", first, last, gate.Overlap)
	a.refused(t, m, "slot", first, last, gate.Overlap)

	m = meter() // many bills
	week := first
	for range 14 {
		a.passes(t, m, "plain", week, week.AddDate(0, 0, 7), "")
		week = week.AddDate(0, 0, 7)
	}
	a.refused(t, m, "plain", week, week.AddDate(0, 0, 7), gate.BillsPerYear)

	m = meter() // after the end
	a.passes(t, m, "plain", first, last, wire.EndsTenancy)
	a.refused(t, m, "plain", last, date(2026, 4, 1), gate.TenancyEnded)

	for _, rule := range []gate.Rule{gate.Quantities, gate.NotOver, gate.Price} {
		if n := r.count("disclosures WHERE kind = 'refusal' AND rule = ?", string(rule)); n != 1 {
			t.Errorf("%d refusals by rule %s are logged, want 1", n, string(rule))
		}
	}
	if n := r.count("disclosures WHERE kind = 'refusal' AND rule = 'overlap'"); n != 6 {
		t.Errorf("%d refusals for overlap are logged, want 6", n)
	}
}

// manyBands tells ten quantities.
func manyBands() string {
	bands, windows := `"all":{"import":"0.25"}`, ""
	for i, day := range []string{"mon", "tue", "wed", "thu"} {
		bands += fmt.Sprintf(`,"b%d":{"import":"0.3"}`, i)
		windows += fmt.Sprintf(`,{"band":"b%d","days":[%q],"from":"06:00","to":"18:00"}`, i, day)
	}
	return tariffOf("many", "{"+bands+"}", `,"windows":[`+windows[1:]+`]`)
}

// Whoever relays readings holds one back, has the bill made, delivers it, and
// asks for the next bill: the correction would tell the two intervals around it.
func TestWithheldReadings(t *testing.T) {
	feb, mar, apr, may := date(2026, 2, 1), date(2026, 3, 1), date(2026, 4, 1), date(2026, 5, 1)
	for name, hidden := range map[string]time.Time{
		"where bands change": time.Date(2026, 2, 10, 5, 0, 0, 0, time.UTC), // 06:00 in Zurich
		"between two bills":  mar,
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			c := r.company("north.example")
			must(t, c.putTariffNow(twoBands))
			a := c.asker()
			m := c.ledger(1, 3600, feb.Add(-24*time.Hour).Unix())
			m.read(date(2026, 3, 2), func(at int64) bool { return at == hidden.Unix() })
			r.at(date(2026, 3, 2))
			first := a.passes(t, m, "two", feb, mar, "")
			if c.verified(first, m.name).Estimated == 0 {
				t.Fatal("nothing is estimated")
			}
			m.deliver()
			m.read(date(2026, 5, 2), nil)
			r.at(date(2026, 4, 2)) // too soon for a correction
			soon := a.passes(t, m, "two", mar, apr, "")
			if soon.Correction != nil || c.verified(soon, m.name).Carries != "" {
				t.Error("a bill is corrected after a month")
			}
			r.at(date(2026, 5, 2))
			late := a.passes(t, m, "two", apr, may, "")
			if late.Correction != nil {
				t.Error("the correction tells what the hidden reading hid")
			}
			// The difference is told in a sum with all of another month.
			if got, want := c.verified(late, m.name).Carries, bill.HashOf(first.JWS).String(); got != want {
				t.Errorf("the next bill carries %q, want %q", got, want)
			}
		})
	}
}

// twoBands is a tariff by day and night.
var twoBands = tariffOf("two", `{"all":{"import":"0.25"},"day":{"import":"0.3"}}`,
	`,"windows":[{"band":"day","days":`+everyDay+`,"from":"06:00","to":"22:00"}]`)
