package rating

import (
	"math/big"
	"slices"
	"strings"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/tariff"
)

// kWh is an energy as a quantity of a line.
func kWh(wh int64) tariff.Decimal { return tariff.NewDecimal(wh, 3) }

// An invoice collects lines and their sum.
type invoice struct {
	currency tariff.Currency
	lines    []Line
	total    tariff.Decimal
	byKind   map[string]tariff.Decimal // kept if a tax asks for it
}

// charge adds a line that costs quantity times price, rounded once.
func (v *invoice) charge(l Line, quantity, price tariff.Decimal) {
	v.add(l, quantity, price, v.currency.Amount(quantity, price))
}

// credit adds a line that earns quantity times price, rounded once.
func (v *invoice) credit(l Line, quantity, price tariff.Decimal) {
	v.add(l, quantity, price, v.currency.Amount(quantity, price).Neg())
}

func (v *invoice) add(l Line, quantity, price, amount tariff.Decimal) {
	l.Price = price.String()
	v.append(l, quantity, amount)
}

func (v *invoice) append(l Line, quantity, amount tariff.Decimal) {
	l.Quantity, l.Amount = quantity.String(), amount.String()
	v.lines = append(v.lines, l)
	v.count(l.Kind, amount)
}

// count adds an amount to the sums.
func (v *invoice) count(kind string, amount tariff.Decimal) {
	v.total = v.total.Add(amount)
	if v.byKind != nil {
		v.byKind[kind] = v.byKind[kind].Add(amount)
	}
}

// demand adds a line for each tier that a figure in watts reaches.
func (v *invoice) demand(l Line, watts int64, tiers []tariff.Limit, share tariff.Decimal) {
	below := int64(0)
	for i, tier := range tiers {
		end := watts
		if i < len(tiers)-1 {
			end = min(watts, whole(tier.UpTo.Mul(tariff.NewDecimal(1000, 0))))
		}
		if end <= below && i > 0 {
			return
		}
		if len(tiers) > 1 {
			l.Tier = i + 1
		}
		quantity := tariff.NewDecimal(end-below, 3)
		v.add(l, quantity, tier.Price, v.currency.Round(quantity.Mul(tier.Price).Mul(share)))
		below = end
	}
}

// price turns the sums into lines. It cannot overflow: maxSumWh times the
// number of bands that a tariff may have is below 2^63.
func (s *sum) price(r Request) Rated {
	currency := s.t.Currency()
	v := invoice{currency: currency, total: currency.Zero(), lines: make([]Line, 0, 2*len(s.energy)+2)}
	if slices.ContainsFunc(s.t.Taxes(), func(t tariff.Tax) bool { return t.On != nil }) {
		v.byKind = map[string]tariff.Decimal{}
	}
	out := Rated{Energy: make([]Energy, len(s.energy)), Days: s.days.count, Peaks: s.peaks(r.DemandStep)}
	for i, e := range s.energy {
		out.Energy[i] = Energy{Band: s.t.Rate(i).Band, Import: wattveil.Wh(e.imported), Export: wattveil.Wh(e.exported)}
		out.ImportWh += wattveil.Wh(e.imported)
		out.ExportWh += wattveil.Wh(e.exported)
		s.importLines(&v, i)
	}
	for i := range s.energy {
		s.exportLine(&v, i)
	}
	if fee, ok := s.t.Standing(); ok {
		quantity, unit := s.time(fee.Per)
		v.charge(Line{Kind: KindStanding, Unit: unit}, quantity, fee.Price)
	}
	s.charges(&v, KindGrid)
	s.charges(&v, KindLevy)
	s.demandLines(&v, r, out.Peaks)
	s.minimum(&v)
	s.charges(&v, KindCredit)
	s.taxes(&v)
	out.Lines, out.Total = v.lines, v.total.String()
	return out
}

// importLines bills what a band took: by its price, its tiers or its series.
func (s *sum) importLines(v *invoice, band int) {
	rate, wh := s.t.Rate(band), s.energy[band].imported
	line := Line{Kind: KindImport, Band: rate.Band, Unit: unitEnergy}
	switch {
	case rate.ImportSeries != "":
		p := &s.spot[band]
		line.Series = p.imports.Digest(s.from, s.to).String()
		v.append(line, kWh(wh), v.currency.Round(p.cost.money()))
	case rate.Tiers == nil:
		v.charge(line, kWh(wh), rate.Import)
	default:
		s.tierLines(v, line, rate, wh)
	}
}

func (s *sum) tierLines(v *invoice, line Line, rate tariff.Rate, wh int64) {
	times := new(big.Rat).SetInt64(int64(s.days.count))
	if !rate.TiersPerDay {
		times = s.months()
	}
	below := int64(0)
	for i, tier := range rate.Tiers {
		end := wh
		if i < len(rate.Tiers)-1 {
			limit := new(big.Rat).Mul(tier.UpTo.Mul(tariff.NewDecimal(1000, 0)).Rat(), times)
			end = min(wh, whole(tariff.RoundRat(limit, 0)))
		}
		if i > 0 && end <= below {
			continue
		}
		line.Tier = i + 1
		v.charge(line, kWh(end-below), tier.Price)
		below = end
	}
}

// exportLine bills what a band gave, if it gave any.
func (s *sum) exportLine(v *invoice, band int) {
	rate, wh := s.t.Rate(band), s.energy[band].exported
	if wh == 0 {
		return
	}
	line := Line{Kind: KindExport, Band: rate.Band, Unit: unitEnergy}
	if rate.ExportSeries == "" {
		v.credit(line, kWh(wh), rate.Export)
		return
	}
	p := &s.spot[band]
	line.Series = p.exports.Digest(s.from, s.to).String()
	v.append(line, kWh(wh), v.currency.Round(p.credit.money()).Neg())
}

// time is the quantity of what is charged by the day or month.
func (s *sum) time(per tariff.Per) (quantity tariff.Decimal, unit string) {
	if per == tariff.PerDay {
		return tariff.NewDecimal(int64(s.days.count), 0), unitDay
	}
	return tariff.MonthsText(s.months()), unitMonth
}

// months is how many calendar months the period has, exact.
func (s *sum) months() *big.Rat { return tariff.Months(s.days.first, s.days.last) }

// charges bills grid fees, levies or credits.
func (s *sum) charges(v *invoice, kind string) {
	for _, c := range s.t.Charges() {
		if c.Kind != kind {
			continue
		}
		line := Line{Kind: kind, Name: c.Name, Unit: unitEnergy}
		var quantity tariff.Decimal
		if c.Fee.Per == tariff.PerKWh {
			quantity = kWh(s.of(c))
		} else {
			quantity, line.Unit = s.time(c.Fee.Per)
		}
		if kind == KindCredit {
			v.credit(line, quantity, c.Fee.Price)
		} else {
			v.charge(line, quantity, c.Fee.Price)
		}
	}
}

// of is the energy in Wh that a charge counts.
func (s *sum) of(c tariff.Charge) int64 {
	var wh int64
	for _, band := range c.Bands {
		if c.Export {
			wh += s.energy[band].exported
		} else {
			wh += s.energy[band].imported
		}
	}
	return wh
}

// minimum bills what the lines so far are short of.
func (s *sum) minimum(v *invoice) {
	fee, ok := s.t.Minimum()
	if !ok {
		return
	}
	quantity, unit := s.time(fee.Per)
	if short := v.currency.Amount(quantity, fee.Price).Add(v.total.Neg()); short.Sign() > 0 {
		v.add(Line{Kind: KindMinimum, Unit: unit}, quantity, fee.Price, short)
	}
}

// taxes bills the taxes, none of which is on another.
func (s *sum) taxes(v *invoice) {
	taxed := v.total
	for _, tax := range s.t.Taxes() {
		base := taxed
		if tax.On != nil {
			base = v.currency.Zero()
			for _, kind := range tax.On {
				base = base.Add(v.byKind[kind])
			}
		}
		line := Line{Kind: KindTax, Name: tax.Name, On: strings.Join(tax.On, ","), Unit: v.currency.String()}
		v.charge(line, base, tax.Fraction)
	}
}
