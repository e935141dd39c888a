package check

import (
	"strconv"
	"strings"

	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/rating"
)

// place is what tells a line from all others.
type place struct {
	kind, band, name, month string
	tier                    int
}

func placeOf(l bill.Line) place { return place{l.Kind, l.Band, l.Name, l.Month, l.Tier} }

func label(l bill.Line) string {
	return strings.TrimSpace(l.Kind + " " + l.Band + l.Name + tierText(l.Tier) + monthText(l.Month))
}

func tierText(tier int) string {
	if tier == 0 {
		return ""
	}
	return " tier " + strconv.Itoa(tier)
}

func monthText(month string) string {
	if month == "" {
		return ""
	}
	return " " + month
}

// lines compares the lines, each with the one that has its place.
func (c *recomputation) lines(rated rating.Rated) {
	computed := make(map[place]bill.Line, len(rated.Lines))
	for _, l := range rated.Lines {
		computed[placeOf(bill.Line(l))] = bill.Line(l)
	}
	before := len(c.report.Differences)
	for i, l := range c.Bill.Lines {
		want, ok := computed[placeOf(l)]
		delete(computed, placeOf(l))
		if !ok {
			c.differ(Difference{Line: i + 1, Label: label(l), Member: "amount", Bill: l.Amount})
			continue
		}
		c.line(i+1, l, want)
	}
	for _, l := range rated.Lines { // in their order
		if _, ok := computed[placeOf(bill.Line(l))]; ok {
			c.differ(Difference{Label: label(bill.Line(l)), Member: "amount", Computed: l.Amount})
		}
	}
	if len(c.report.Differences) == before {
		c.agree([...]string{
			onReadings: "lines: quantities, prices and amounts, from the readings",
			onBills:    "lines: quantities, prices and amounts, from the readings and the demand of other bills",
			onItself:   "lines other than demand: quantities, prices and amounts, from the readings",
		}[c.basis])
	}
}

// line compares two lines of one place, member by member.
func (c *recomputation) line(number int, got, want bill.Line) {
	if got.Withheld != "" {
		want.Quantity, want.Withheld = "", got.Withheld // told to nobody, so nobody can compare it
	}
	for _, m := range [...]struct{ name, got, want string }{
		{"quantity", got.Quantity, want.Quantity},
		{"price", got.Price, want.Price},
		{"series", got.Series, want.Series},
		{"share", got.Share, want.Share},
		{"minutes", strconv.Itoa(got.Minutes), strconv.Itoa(want.Minutes)},
		{"note", got.Note, want.Note},
		{"on", got.On, want.On},
		{"unit", got.Unit, want.Unit},
		{"amount", got.Amount, want.Amount},
	} {
		if m.got != m.want {
			c.differ(Difference{Line: number, Label: label(got), Member: m.name, Bill: m.got, Computed: m.want})
		}
	}
}

// sums compares what the bill sums up.
func (c *recomputation) sums(rated rating.Rated) {
	before := len(c.report.Differences)
	for _, m := range [...]struct{ name, got, want string }{
		{"import_kwh", c.Bill.ImportKWh, rated.ImportKWh()},
		{"export_kwh", c.Bill.ExportKWh, rated.ExportKWh()},
		{"total", c.Bill.Total, rated.Total},
	} {
		if m.got != m.want && m.got != "" { // what is withheld has no value
			c.differ(Difference{Member: m.name, Bill: m.got, Computed: m.want})
		}
	}
	if len(c.report.Differences) == before {
		c.agree([...]string{
			onReadings: "totals: energy and money, from the readings",
			onBills:    "totals: energy and money, from the readings and the demand of other bills",
			onItself:   "totals: energy, from the readings; money, with the demand that the bill tells",
		}[c.basis])
	}
}

// counts compares how the readings are counted. The meter has readings that
// never reached the TTP, so its own tell nothing of what was estimated.
func (c *recomputation) counts(e edited) {
	if c.Readings.FromMeter() {
		c.skip("estimates: which of the meter's readings the TTP lacked cannot be told from the meter's own")
		return
	}
	before := len(c.report.Differences)
	for _, m := range [...]struct {
		name      string
		got, want int64
	}{
		{"intervals", int64(c.Bill.Intervals), int64(len(e.intervals))},
		{"estimated", int64(c.Bill.Estimated), int64(e.estimated())},
		{"unbilled_seconds", c.Bill.UnbilledSeconds, e.unbilled},
	} {
		if m.got != m.want {
			c.differ(Difference{Member: m.name, Bill: strconv.FormatInt(m.got, 10), Computed: strconv.FormatInt(m.want, 10)})
		}
	}
	if len(c.report.Differences) == before {
		c.agree("estimates: how many of the intervals are estimated")
	}
}

// differ reports a difference, with what may be the reason.
func (c *recomputation) differ(d Difference) {
	if c.Readings.FromMeter() && d.Why == "" {
		switch {
		case c.Bill.Estimated > 0:
			d.Why = strconv.Itoa(c.Bill.Estimated) + " intervals of the bill are estimated"
		case c.Bill.UnbilledSeconds > 0:
			d.Why = strconv.FormatInt(c.Bill.UnbilledSeconds, 10) + " s of the period have no energy in the bill"
		}
	}
	c.report.Differences = append(c.report.Differences, d)
}

func (c *recomputation) agree(what string) { c.report.Checked = append(c.report.Checked, what) }
func (c *recomputation) skip(what string)  { c.report.Unchecked = append(c.report.Unchecked, what) }
func (c *recomputation) lack(what string)  { c.report.Lacking = append(c.report.Lacking, what) }
