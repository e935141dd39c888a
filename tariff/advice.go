package tariff

import (
	"fmt"
	"math/bits"
	"slices"
	"time"
)

// What a TTP with the settings of spec/gate.md bills.
const (
	minBandTime   = 4 * time.Hour // of a band in a bill
	maxQuantities = 8             // told by a bill
	maxFigures    = 4             // of demand, told in a month
	advisedMonths = 10 * 12       // looked at, from the start of the tariff
)

// Advise says what about a sound tariff a TTP may refuse to bill, or bill in
// another way, because the bill would tell too much of single intervals. It
// looks at the first ten years of the tariff.
func (t *Tariff) Advise() []Problem {
	ps := problems{what: "tariff"}
	a := advisor{t: t, least: make([]time.Duration, len(t.bands)), when: make([]Month, len(t.bands))}
	a.months()
	a.bands(&ps)
	for i, d := range t.doc.Demand {
		if step, err := ParseDecimal(d.StepKW); err != nil || step.Cmp(NewDecimal(1, 1)) < 0 {
			ps.add(join(index("demand", i), "step_kw"), "is missing or below 0.1 kW: a TTP rounds demand up to 0.1 kW", "write 0.1 or more")
		}
	}
	if a.told > maxQuantities {
		ps.add("", fmt.Sprintf("a bill of %s tells %d quantities, a TTP tells at most %d", a.toldIn, a.told, maxQuantities), "use fewer bands")
	}
	if a.figures > maxFigures {
		ps.add("demand", fmt.Sprintf("has %d charges in %s, a TTP tells at most %d figures a month", a.figures, a.figuresIn, maxFigures), "use fewer of them")
	}
	return ps.list
}

// advisor looks at a tariff month by month.
type advisor struct {
	t                 *Tariff
	least             []time.Duration // of each band in a month that has some of it
	when              []Month
	told, figures     int // most in a month
	toldIn, figuresIn Month
}

func (a *advisor) months() {
	cursor := a.t.Cursor()
	end, bounded := a.t.PricesTo()
	at := max(a.t.validFrom.Unix(), 0)
	first := MonthOf(cursor.Span(at).Day)
	for month := first; month < first+advisedMonths && (!bounded || at < end.Unix()); month++ {
		spent := make([]time.Duration, len(a.t.bands))
		demands := uint16(0)
		for span := cursor.Span(at); MonthOf(span.Day) == month; span = cursor.Span(at) {
			spent[span.Band] += time.Duration(span.End-max(span.Start, at)) * time.Second
			demands |= span.Demands
			at = span.End
		}
		a.month(month, spent, bits.OnesCount16(demands))
	}
}

func (a *advisor) month(month Month, spent []time.Duration, figures int) {
	for band, d := range spent {
		if d > 0 && (a.least[band] == 0 || d < a.least[band]) {
			a.least[band], a.when[band] = d, month
		}
	}
	used := func(band int) bool { return spent[band] > 0 }
	if n := a.quantities(used, false) + a.quantities(used, true); n > a.told {
		a.told, a.toldIn = n, month
	}
	if figures > a.figures {
		a.figures, a.figuresIn = figures, month
	}
}

// quantities is how many independent ones a bill tells of one direction: each
// band's energy, or its amount where a series prices it, and then the energy
// too as far as charges by the kWh count it.
func (a *advisor) quantities(used func(int) bool, export bool) int {
	spot := func(band int) bool {
		r := a.t.bands[band]
		return used(band) && (r.ImportSeries != "" && !export || r.ExportSeries != "" && export)
	}
	n, spots, charges := 0, 0, 0
	for band := range a.t.bands {
		if used(band) {
			n++
		}
		if spot(band) {
			spots++
		}
	}
	for _, c := range a.t.charges {
		if c.Fee.Per == PerKWh && c.Export == export && slices.ContainsFunc(c.Bands, spot) {
			charges++
		}
	}
	return n + min(spots, charges)
}

// bands names those that have little time in a month.
func (a *advisor) bands(ps *problems) {
	for band, d := range a.least {
		if d > 0 && d < minBandTime {
			ps.add(join("energy.bands", a.t.bands[band].Band), fmt.Sprintf("applies for %v only in %s: a bill needs %v of each band", d, a.when[band], minBandTime),
				"make the band longer, or bill longer periods")
		}
	}
}
