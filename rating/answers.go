package rating

import (
	"cmp"
	"slices"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/gate"
	"github.com/wattveil/wattveil/tariff"
)

// Told is what the bill of a period tells of any meter without gaps, for the
// disclosure gate (spec/gate.md section 1).
type Told struct {
	Answers gate.Answers
	Demand  []gate.Demand // figures, one for each demand charge and month
}

// Answers says what a bill by a tariff tells of the energies of a period, for
// meters of a resolution. It takes no readings.
//
// A band tells its energy, and where a series prices it, its amount too; the
// energy may then be withheld. A charge by the kWh tells the energy of its
// bands. What follows from these is no quantity: amounts at a fixed price,
// tiers, taxes, a minimum. A band that does not occur in the period tells
// nothing.
func Answers(t *tariff.Tariff, res wattveil.Resolution, from, to time.Time, series []*tariff.Series) (Told, error) {
	s := sum{t: t, cursor: t.Cursor()}
	if err := s.period(from, to); err != nil {
		return Told{}, err
	}
	if err := s.extra(Request{Series: series}); err != nil {
		return Told{}, err
	}
	b := teller{sum: &s, step: int64(res), place: make(map[pricedBand]int), open: make(map[demandMonth]int64)}
	if err := b.walk(); err != nil {
		return Told{}, err
	}
	b.quantities()
	b.classes()
	return Told{Answers: b.answers, Demand: b.demand()}, nil
}

// WithheldAs is the name of the quantity that is the energy of a line, which
// the gate may withhold; false if it may not.
func (l Line) WithheldAs() (string, bool) {
	if l.Series == "" {
		return "", false
	}
	return energyName(l.Kind, l.Band), true
}

func energyName(kind, band string) string { return kind + " " + band }
func amountName(kind, band string) string { return kind + " " + band + " amount" }
func chargeName(c *tariff.Charge) string  { return c.Kind + " " + c.Name }

// pricedBand is what gives intervals equal weights: their band, and its prices
// where series have them.
type pricedBand struct {
	band             int
	imports, exports int64
}

type demandMonth struct {
	place int
	month tariff.Month
}

// A teller makes the answers of one period.
type teller struct {
	*sum
	step    int64
	answers gate.Answers
	place   map[pricedBand]int // of classes
	kinds   []pricedBand       // in their order
	open    map[demandMonth]int64
	rows    []row
}

// A row is one quantity by the bands that it counts.
type row struct {
	bands  []int
	export bool
	priced bool
}

// walk divides the period into spans in which intervals have one class. An
// interval is where it starts, so spans end on the meter's grid.
func (b *teller) walk() error {
	b.answers.From = b.from
	for at := b.from; at < b.to; {
		span := b.cursor.Span(at)
		end := b.up(span.End)
		kind := pricedBand{band: span.Band}
		if b.spot != nil {
			p := &b.spot[span.Band]
			for _, side := range [...]struct {
				series *tariff.Series
				price  *int64
			}{{p.imports, &kind.imports}, {p.exports, &kind.exports}} {
				if side.series == nil {
					continue
				}
				price, until, ok := side.series.At(at)
				if !ok {
					return b.seriesFault(ErrNoPrice, side.series.Name(), at, b.to)
				}
				*side.price, end = price, min(end, b.up(until))
			}
		}
		for place := range b.t.Demands() {
			if span.Demands>>place&1 != 0 {
				b.open[demandMonth{place, tariff.MonthOf(span.Day)}] += end - at
			}
		}
		b.span(kind, end)
		at = end
	}
	return nil
}

// up is the first time of the grid at or after a time, at most the period's
// end.
func (b *teller) up(t int64) int64 {
	if t >= b.to {
		return b.to
	}
	return min(b.to, t+(b.step-(t-b.from)%b.step)%b.step)
}

func (b *teller) span(kind pricedBand, end int64) {
	k, ok := b.place[kind]
	if !ok {
		k = len(b.kinds)
		b.place[kind] = k
		b.kinds = append(b.kinds, kind)
	}
	if n := len(b.answers.Spans); n > 0 && b.answers.Spans[n-1].Class == k {
		b.answers.Spans[n-1].End = end
		return
	}
	b.answers.Spans = append(b.answers.Spans, gate.Span{End: end, Class: k})
}

// quantities lists what the lines tell: imports, exports, charges.
func (b *teller) quantities() {
	b.answers.Decimals = b.t.Currency().Decimals()
	used := make([]bool, b.t.Bands())
	for _, kind := range b.kinds {
		used[kind.band] = true
	}
	energy := make(map[bandSide]int) // places of the energies of single bands
	for _, export := range [...]bool{false, true} {
		for band := range used {
			if !used[band] {
				continue
			}
			kind, series := KindImport, b.t.Rate(band).ImportSeries
			if export {
				kind, series = KindExport, b.t.Rate(band).ExportSeries
			}
			name := b.t.Rate(band).Band
			if series != "" {
				b.row(row{[]int{band}, export, true}, amountName(kind, name), true)
			}
			energy[bandSide{band, export}] = len(b.rows)
			b.row(row{[]int{band}, export, false}, energyName(kind, name), series == "")
		}
	}
	for i := range b.t.Charges() {
		b.charge(&b.t.Charges()[i], used, energy)
	}
}

// bandSide is the energy of one band in one direction.
type bandSide struct {
	band   int
	export bool
}

func (b *teller) row(r row, name string, required bool) {
	b.rows = append(b.rows, r)
	b.answers.Quantities = append(b.answers.Quantities, gate.Quantity{Name: name, Priced: r.priced, Required: required})
}

// charge adds what a charge by the kWh tells that its bands' lines do not.
func (b *teller) charge(c *tariff.Charge, used []bool, energy map[bandSide]int) {
	if c.Fee.Per != tariff.PerKWh {
		return
	}
	var bands []int
	follows := true
	for _, band := range c.Bands {
		if used[band] {
			bands = append(bands, band)
			follows = follows && b.answers.Quantities[energy[bandSide{band, c.Export}]].Required
		}
	}
	switch {
	case follows:
	case len(bands) == 1:
		b.answers.Quantities[energy[bandSide{bands[0], c.Export}]].Required = true
	default:
		b.row(row{bands, c.Export, false}, chargeName(c), true)
	}
}

// classes gives each kind of interval its weights.
func (b *teller) classes() {
	b.answers.Classes = make([]gate.Class, len(b.kinds))
	for k, kind := range b.kinds {
		class := gate.Class{Import: make([]int64, len(b.rows)), Export: make([]int64, len(b.rows))}
		for q, r := range b.rows {
			if !slices.Contains(r.bands, kind.band) {
				continue
			}
			weights, price := class.Import, kind.imports
			if r.export {
				weights, price = class.Export, kind.exports
			}
			weights[q] = 1
			if r.priced {
				weights[q] = price
			}
		}
		b.answers.Classes[k] = class
	}
}

// demand lists the figures that the bill tells.
func (b *teller) demand() []gate.Demand {
	list := make([]gate.Demand, 0, len(b.open))
	for m, seconds := range b.open {
		list = append(list, gate.Demand{Window: b.t.Demands()[m.place].Name, Month: int(m.month), Seconds: seconds})
	}
	slices.SortFunc(list, func(a, b gate.Demand) int {
		return cmp.Or(cmp.Compare(a.Month, b.Month), cmp.Compare(a.Window, b.Window))
	})
	return list
}
