package tariff

import (
	"fmt"
	"time"
)

// What a TTP with the settings of spec/threats.md bills.
const (
	minBandTime   = 4 * time.Hour // of a band in a bill
	maxQuantities = 8             // told by a bill
	advisedMonths = 10 * 12       // looked at, from the start of the tariff
)

// Advise says what about a sound tariff a TTP may refuse to bill, or bill in
// another way, because the bill would tell too much of single intervals. It
// looks at the first ten years of the tariff.
func (t *Tariff) Advise() []Problem {
	ps := problems{what: "tariff"}
	t.adviseBands(&ps)
	for i, d := range t.doc.Demand {
		if step, err := ParseDecimal(d.StepKW); err != nil || step.Cmp(NewDecimal(1, 1)) < 0 {
			ps.add(join(index("demand", i), "step_kw"), "is missing or below 0.1 kW: a TTP rounds demand up to 0.1 kW", "write 0.1 or more")
		}
	}
	quantities := len(t.demands)
	for _, r := range t.bands {
		quantities += max(1, len(r.Tiers))
		if r.Export.Sign() > 0 || r.ExportSeries != "" {
			quantities++
		}
	}
	if quantities > maxQuantities {
		ps.add("", fmt.Sprintf("a bill may tell %d quantities, a TTP tells at most %d", quantities, maxQuantities), "use fewer bands, tiers or demand charges")
	}
	return ps.list
}

// adviseBands finds the month in which each band has least time, if that is
// little.
func (t *Tariff) adviseBands(ps *problems) {
	least := make([]time.Duration, len(t.bands))
	when := make([]Month, len(t.bands))
	cursor := t.Cursor()
	end, bounded := t.PricesTo()
	at := max(t.validFrom.Unix(), 0)
	first := MonthOf(cursor.Span(at).Day)
	for month := first; month < first+advisedMonths && (!bounded || at < end.Unix()); month++ {
		spent := make([]time.Duration, len(t.bands))
		for span := cursor.Span(at); MonthOf(span.Day) == month; span = cursor.Span(at) {
			spent[span.Band] += time.Duration(span.End-max(span.Start, at)) * time.Second
			at = span.End
		}
		for band, d := range spent {
			if d > 0 && (least[band] == 0 || d < least[band]) {
				least[band], when[band] = d, month
			}
		}
	}
	for band, d := range least {
		if d > 0 && d < minBandTime {
			ps.add(join("energy.bands", t.bands[band].Band), fmt.Sprintf("applies for %v only in %s: a bill needs %v of each band", d, when[band], minBandTime),
				"make the band longer, or bill longer periods")
		}
	}
}
