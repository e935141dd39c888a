package rating

import (
	"math/big"
	"math/bits"
	"slices"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/tariff"
)

// A spot adds up what energy of one band costs and earns by price series.
type spot struct {
	imports, exports *tariff.Series // nil where the band has a price of its own
	cost, credit     wide           // Wh times 10^-PriceDecimals of a kWh's price
}

// moneyDecimals are those of a wide sum: Wh are a thousandth of a kWh.
const moneyDecimals = tariff.PriceDecimals + 3

// A wide is a sum of 128 bits, enough for 2^40 Wh at the highest price in each
// second of a thousand years.
type wide struct {
	high int64
	low  uint64
}

// add adds energy times price. energy is not negative.
func (w *wide) add(energy, price int64) {
	if price >= 0 {
		high, low := bits.Mul64(uint64(energy), uint64(price))
		var carry uint64
		w.low, carry = bits.Add64(w.low, low, 0)
		w.high += int64(high + carry)
		return
	}
	high, low := bits.Mul64(uint64(energy), uint64(-price))
	var borrow uint64
	w.low, borrow = bits.Sub64(w.low, low, 0)
	w.high -= int64(high + borrow)
}

// money is the sum in the currency, exact.
func (w wide) money() tariff.Decimal {
	n := big.NewInt(w.high)
	n.Lsh(n, 64)
	n.Add(n, new(big.Int).SetUint64(w.low))
	return tariff.NewBigDecimal(n, moneyDecimals)
}

// extra prepares what goes beyond energy by band: price series and demand.
func (s *sum) extra(r Request) error {
	if len(s.t.Demands()) > 0 {
		s.demands = make([]demandPeak, len(s.t.Demands()))
		s.day = -1 << 62
	}
	names := s.t.Series()
	if len(names) == 0 {
		return nil
	}
	for _, name := range names {
		i := slices.IndexFunc(r.Series, func(g *tariff.Series) bool { return g.Name() == name })
		if i < 0 {
			return s.seriesFault(ErrNoSeries, name, s.from, s.to)
		}
		g := r.Series[i]
		if g.Currency() != s.t.Currency() {
			return s.seriesFault(ErrCurrency, name, s.from, s.to)
		}
		if missing, ok := g.Covers(s.from, s.to); !ok {
			return s.seriesFault(ErrNoPrice, name, missing, s.to)
		}
	}
	find := func(name string) *tariff.Series {
		i := slices.IndexFunc(r.Series, func(g *tariff.Series) bool { return name != "" && g.Name() == name })
		if i < 0 {
			return nil
		}
		return r.Series[i]
	}
	s.spot = make([]spot, s.t.Bands())
	for i := range s.spot {
		rate := s.t.Rate(i)
		s.spot[i].imports, s.spot[i].exports = find(rate.ImportSeries), find(rate.ExportSeries)
	}
	return nil
}

// extras adds the intervals of a span, which have been checked, to what goes
// beyond energy by band.
func (s *sum) extras(intervals []wattveil.Interval, span tariff.Span) error {
	if span.Demands != 0 {
		s.demand(intervals, span)
	}
	if s.spot == nil {
		return nil
	}
	p := &s.spot[span.Band]
	if p.imports != nil {
		if err := s.series(p.imports, intervals, func(iv *wattveil.Interval, price int64) { p.cost.add(int64(iv.Import), price) }); err != nil {
			return err
		}
	}
	if p.exports != nil {
		return s.series(p.exports, intervals, func(iv *wattveil.Interval, price int64) { p.credit.add(int64(iv.Export), price) })
	}
	return nil
}

// series finds the price of each interval, whatever its energy.
func (s *sum) series(g *tariff.Series, intervals []wattveil.Interval, add func(*wattveil.Interval, int64)) error {
	for i := range intervals {
		iv := &intervals[i]
		price, until, ok := g.At(iv.Start)
		switch {
		case !ok:
			return s.seriesFault(ErrNoPrice, g.Name(), iv.Start, iv.End)
		case iv.End > until:
			return s.seriesFault(ErrSteps, g.Name(), iv.Start, iv.End)
		}
		add(iv, price)
	}
	return nil
}
