package check

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/rating"
	"github.com/wattveil/wattveil/tariff"
)

// A ratchet takes a meter's figures of earlier months. The TTP has kept them; a
// verifier has the bills that told them, and where a ratchet held such a bill
// up, or there is none, no more than bounds (spec/bill.md section 10).

// figure is what tells a demand figure from all others of a meter.
type figure struct{ name, month string }

// at is the month. That of a bill that was verified is one.
func (f figure) at() tariff.Month {
	month, _ := tariff.ParseMonth(f.month)
	return month
}

// figures are those of a list of lines, in watts.
func figures(lines []bill.Line) (map[figure]int64, error) {
	sums := make(map[figure]int64)
	for _, l := range lines {
		if l.Kind != rating.KindDemand {
			continue
		}
		watts, err := thousandths(l.Quantity)
		if err != nil {
			return nil, fmt.Errorf("the power of %s: %w", label(l), err)
		}
		sums[figure{l.Name, l.Month}] += watts
	}
	return sums, nil
}

// thousandths are those of a quantity in kWh or kW, which has three decimals.
func thousandths(quantity string) (int64, error) {
	d, err := tariff.ParseDecimal(quantity)
	return d.Mul(tariff.NewDecimal(1000, 0)).Rat().Num().Int64(), err
}

// demand prices the request, with the demand lines that other bills lead to.
func (c *recomputation) demand(r rating.Request) (rating.Rated, error) {
	if c.Bill.Corrects != "" && len(c.Tariff.Demands()) > 0 {
		r.Demand = c.asBefore()
		return priced(r)
	}
	if !slices.ContainsFunc(c.Tariff.Demands(), func(d tariff.Demand) bool { return d.Ratchet != nil }) {
		return priced(r)
	}
	var err error
	if r.Demand, err = c.ratchets(r); err != nil {
		return rating.Rated{}, err
	}
	return priced(r)
}

// asBefore are the demand lines of the bill that this one corrects: a
// correction tells no new figure.
func (c *recomputation) asBefore() []rating.Line {
	from := c.Bill
	hash, err := bill.ParseHash(c.Bill.Corrects)
	if before, ok := c.Others[hash]; ok && err == nil {
		from = before
	} else {
		c.lack("demand: a correction leaves it as it is in the bill that is corrected, which is not given")
	}
	return demandLines(from.Lines)
}

func demandLines(lines []bill.Line) []rating.Line {
	list := []rating.Line{} // not nil: no lines are lines, too
	for _, l := range lines {
		if l.Kind == rating.KindDemand {
			list = append(list, rating.Line(l))
		}
	}
	return list
}

// ratchets are the demand lines that the readings and other bills come to. What
// these leave open is taken from the bill.
func (c *recomputation) ratchets(r rating.Request) ([]rating.Line, error) {
	p, err := c.peaks()
	if err != nil {
		return nil, err
	}
	told, err := figures(c.Bill.Lines)
	if err != nil {
		return nil, err
	}
	least, leastOf, err := heldBy(r, p.least)
	if err != nil {
		return nil, err
	}
	most, mostOf, err := heldBy(r, p.most)
	if err != nil {
		return nil, err
	}
	lines := []rating.Line{}
	var f figure
	for _, l := range least {
		if f == (figure{l.Name, l.Month}) {
			continue // another tier
		}
		f = figure{l.Name, l.Month}
		d := c.demandOf(f)
		b := bounds{least: leastOf[f], most: mostOf[f], missing: c.missing(p, d, f)}
		from := least
		switch watts := told[f]; {
		case watts > b.most && len(b.missing) == 0:
			from = most
		case watts > b.least:
			if from, _, err = heldBy(r, []rating.Peak{leadingTo(d, f, watts)}); err != nil {
				return nil, err
			}
		}
		lines = append(lines, of(from, f)...)
		c.leave(f, b, told[f])
	}
	return lines, nil
}

// heldBy are the demand lines and figures by the given peaks of earlier months.
func heldBy(r rating.Request, peaks []rating.Peak) ([]rating.Line, map[figure]int64, error) {
	r.Peaks = peaks
	rated, err := priced(r)
	if err != nil {
		return nil, nil, err
	}
	lines := make([]bill.Line, len(rated.Lines))
	for i, l := range rated.Lines {
		lines[i] = bill.Line(l)
	}
	sums, err := figures(lines)
	return demandLines(lines), sums, err
}

func of(lines []rating.Line, f figure) []rating.Line {
	return slices.DeleteFunc(slices.Clone(lines), func(l rating.Line) bool { return l.Name != f.name || l.Month != f.month })
}

func (c *recomputation) demandOf(f figure) tariff.Demand {
	list := c.Tariff.Demands()
	return list[slices.IndexFunc(list, func(d tariff.Demand) bool { return d.Name == f.name })]
}

// leadingTo is a peak of the month before that holds a figure up to so many watts.
func leadingTo(d tariff.Demand, f figure, watts int64) rating.Peak {
	peak := new(big.Rat).Quo(new(big.Rat).SetInt64(watts), d.Ratchet.Fraction.Rat())
	return rating.Peak{Demand: d.Name, Month: f.at() - 1, Watts: tariff.RoundRat(peak, 0).Rat().Num().Int64()}
}

// bounds are where a figure lies, in watts, and the months before it that a
// ratchet takes and no bill is given of: with these it may be higher.
type bounds struct {
	least, most int64
	missing     []tariff.Month
}

// leave says what is left open of a figure.
func (c *recomputation) leave(f figure, b bounds, told int64) {
	what := "demand " + f.name + " " + f.month + ": "
	switch {
	case len(b.missing) > 0 && told > b.most:
		c.lack(what + kW(told) + " is due to an earlier month, and no bill is given of " + join(b.missing))
	case len(b.missing) > 0:
		c.lack(what + "an earlier month may hold it up further, and no bill is given of " + join(b.missing))
	case b.least < b.most && told <= b.most:
		c.skip(what + "all that is known is that it is from " + kW(b.least) + " to " + kW(b.most) +
			": an earlier bill was held up itself, and does not tell what was measured")
	}
}

func kW(watts int64) string { return tariff.NewDecimal(watts, 3).String() + " kW" }

func join(months []tariff.Month) string {
	list := make([]string, len(months))
	for i, m := range months {
		list[i] = m.String()
	}
	return strings.Join(list, ", ")
}

// peaks are what bills tell of a meter's own figures.
type peaks struct {
	least, most []rating.Peak
	told        []grid // the periods of the bills, by their start
}

// ratchet ends the note of a demand line that is due to an earlier month.
const ratchet = "ratchet"

// peaks collects the figures of all other bills.
func (c *recomputation) peaks() (p peaks, err error) {
	p.told = append(p.told, c.grid)
	for _, b := range c.Others {
		g, err := periodOf(b)
		if err != nil {
			return p, err
		}
		sums, err := figures(b.Lines)
		if err != nil {
			return p, err
		}
		p.told = append(p.told, g)
		for f, watts := range sums {
			peak := rating.Peak{Demand: f.name, Month: f.at(), Watts: watts}
			p.most = append(p.most, peak)
			if !slices.ContainsFunc(of(demandLines(b.Lines), f), func(l rating.Line) bool { return strings.HasSuffix(l.Note, ratchet) }) {
				p.least = append(p.least, peak)
			}
		}
	}
	slices.SortFunc(p.told, func(a, b grid) int { return a.from.Compare(b.from) })
	return p, nil
}

// missing are the months before a figure that a ratchet takes and that the
// bills do not cover.
func (c *recomputation) missing(p peaks, d tariff.Demand, f figure) (list []tariff.Month) {
	if d.Ratchet == nil {
		return nil
	}
	for m := max(f.at()-tariff.Month(d.Ratchet.Months), 0); m < f.at(); m++ {
		at := c.midnight(m.First())
		for _, told := range p.told {
			if !told.from.After(at) && told.to.After(at) {
				at = told.to
			}
		}
		if at.Before(c.midnight(m.Last() + 1)) {
			list = append(list, m)
		}
	}
	return list
}

// midnight is when a local day begins, counted from 1970-01-01.
func (c *recomputation) midnight(day int64) time.Time {
	return time.Date(1970, 1, 1+int(day), 0, 0, 0, 0, c.Tariff.Zone())
}
