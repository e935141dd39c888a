package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/rating"
	"github.com/wattveil/wattveil/tariff"
)

// Readings do not tell all figures of demand: a correction leaves those of the
// bill that it corrects, and a ratchet takes a meter's figures of earlier months.
// Others' bills tell these, as far as they do (peaks.go), and what they leave open
// is taken from the bill itself (spec/bill.md section 10).

// basis is what the demand of a bill was computed from, the weakest for all of
// its figures.
type basis int

const (
	onReadings basis = iota
	onBills          // figures that other bills tell
	onItself         // figures that the bill itself tells
)

// demand prices the request, with the figures that other bills lead to.
func (c *recomputation) demand(r rating.Request) (rating.Rated, error) {
	var err error
	switch {
	case c.Bill.Corrects != "" && len(c.Tariff.Demands()) > 0:
		r.Figures, err = c.asBefore()
	case c.Tariff.HasRatchet():
		r.Figures, err = c.ratchets(r)
	}
	if err != nil {
		return rating.Rated{}, err
	}
	return priced(r)
}

// figures are those of a bill.
func figures(b bill.Bill) (rating.Figures, error) {
	list := rating.Figures{} // not nil: none are figures, too
	for _, l := range b.Lines {
		if err := list.Add(rating.Line(l)); err != nil {
			return nil, fmt.Errorf("%s: %w", l.Label(), err)
		}
	}
	return list, nil
}

// asBefore are the figures of the bill that this one corrects: a correction
// tells no new ones. Their prices are the tariff's, whatever that bill says.
func (c *recomputation) asBefore() (rating.Figures, error) {
	hash, err := bill.ParseHash(c.Bill.Corrects)
	if err != nil {
		return nil, err
	}
	if before, ok := c.Others[hash]; ok {
		c.basis = onBills
		c.skip("demand: it is as in the bill that is corrected: verify that, too")
		return figures(before.Bill)
	}
	c.basis = onItself
	c.lack("demand: a correction leaves it as it is in the bill that is corrected, which is not given")
	return figures(c.Bill.Bill)
}

// ratchets are the figures that the readings and other bills come to. What
// these leave open is taken from the bill.
func (c *recomputation) ratchets(r rating.Request) (rating.Figures, error) {
	p, err := c.peaks()
	if err != nil {
		return nil, err
	}
	told, err := figures(c.Bill.Bill)
	if err != nil {
		return nil, err
	}
	measured, err := priced(r)
	if err != nil {
		return nil, err
	}
	list := rating.Figures{}
	for _, l := range measured.Lines {
		if err := list.Add(l); err != nil {
			return nil, err
		}
	}
	for i := range list {
		f := &list[i]
		says, _ := told.Of(f.Demand, f.Month)
		b := c.bounds(r, p, *f)
		if watts := b.choose(says.Watts); watts > f.Watts {
			f.Watts, f.Held = watts, true
		}
		c.leave(*f, b, says.Watts)
	}
	return list, nil
}

// bounds are where a figure lies, in watts, and what they are due to.
type bounds struct {
	own     int64          // by the readings
	least   int64          // and by the peaks that count for sure
	most    int64          // and by all that other bills tell
	missing []tariff.Month // before it, of which no bill is given: with them it may be higher
	above   []known        // peaks that lead above own
}

func (c *recomputation) bounds(r rating.Request, p peaks, f rating.Figure) bounds {
	d := c.demandOf(f.Demand)
	b := bounds{own: f.Watts, least: f.Watts, most: f.Watts, missing: c.missing(p, d, f.Month)}
	for _, k := range p.known {
		k.leadsTo = r.HeldUp(d, f.Month, []rating.Peak{k.Peak})
		if k.leadsTo <= b.own {
			continue
		}
		b.above = append(b.above, k)
		b.most = max(b.most, k.leadsTo)
		if k.unsure == "" {
			b.least = max(b.least, k.leadsTo)
		}
	}
	return b
}

func (c *recomputation) demandOf(name string) tariff.Demand {
	list := c.Tariff.Demands()
	return list[slices.IndexFunc(list, func(d tariff.Demand) bool { return d.Name == name })]
}

// choose is what a figure comes to that the bill says is so many watts: this,
// where it may be.
func (b bounds) choose(says int64) int64 {
	if says > b.most && len(b.missing) == 0 {
		return b.most
	}
	return max(says, b.least)
}

// leave says what is left open of a figure, and which bills it follows.
func (c *recomputation) leave(f rating.Figure, b bounds, says int64) {
	what := "demand " + f.Demand + " " + f.Month.String() + ": "
	if f.Watts > b.own {
		c.basis = max(c.basis, onBills)
	}
	if f.Watts == says && says > b.least {
		c.basis = onItself
	} else if f.Watts > b.own {
		c.skip(what + kW(f.Watts) + " follow from the bill of " + b.months(func(k known) bool { return k.leadsTo == f.Watts }) + ": verify that, too")
	}
	switch {
	case len(b.missing) > 0 && says > b.most:
		c.lack(what + kW(says) + " is due to an earlier month, and no bill is given of " + join(b.missing))
	case len(b.missing) > 0:
		c.lack(what + "an earlier month may hold it up further, and no bill is given of " + join(b.missing) + ", if there is one")
	case b.least < b.most && says <= b.most:
		c.skip(what + "all that is known is that it is from " + kW(b.least) + " to " + kW(b.most) + ": " + b.doubts())
	}
}

// doubts say why a figure may be lower than the highest that bills lead to.
func (b bounds) doubts() string {
	var list []string
	for _, k := range b.above {
		if why := "the bill of " + k.Month.String() + " " + k.unsure; k.leadsTo > b.least && !slices.Contains(list, why) {
			list = append(list, why)
		}
	}
	return strings.Join(list, "; ")
}

// months names those of some peaks.
func (b bounds) months(ok func(known) bool) string {
	var list []tariff.Month
	for _, k := range b.above {
		if ok(k) {
			list = append(list, k.Month)
		}
	}
	slices.Sort(list)
	return join(slices.Compact(list))
}

func kW(watts int64) string { return tariff.NewDecimal(watts, 3).String() + " kW" }

func join(months []tariff.Month) string {
	list := make([]string, len(months))
	for i, m := range months {
		list[i] = m.String()
	}
	return strings.Join(list, ", ")
}
