package check

import (
	"cmp"
	"slices"
	"time"

	"github.com/wattveil/wattveil/rating"
	"github.com/wattveil/wattveil/tariff"
)

// peaks are what other bills tell of a meter's own figures.
type peaks struct {
	known []known // by month
	told  []grid  // the periods of all bills, by their start
}

// known is a figure of another bill. The own one is that, or lower.
type known struct {
	rating.Peak
	unsure  string // why a ratchet need not take it as it is; else empty
	leadsTo int64  // the figure that it holds up, in watts
}

// peaks collects the figures of all other bills.
func (c *recomputation) peaks() (p peaks, err error) {
	p.told = append(p.told, c.grid)
	for _, b := range c.Others {
		g, err := periodOf(b.Bill)
		if err != nil {
			return p, err
		}
		list, err := figures(b.Bill)
		if err != nil {
			return p, err
		}
		p.told = append(p.told, g)
		order := c.order(b)
		for _, f := range list {
			k := known{Peak: rating.Peak{Demand: f.Demand, Month: f.Month, Watts: f.Watts}, unsure: order}
			if order == "" && f.Held {
				k.unsure = "was held up itself, and does not tell what was measured"
			}
			p.known = append(p.known, k)
		}
	}
	slices.SortFunc(p.told, func(a, b grid) int { return a.from.Compare(b.from) })
	slices.SortFunc(p.known, func(a, b known) int { return cmp.Or(cmp.Compare(a.Month, b.Month), cmp.Compare(a.unsure, b.unsure)) })
	return p, nil
}

// order says why the TTP may not have known another bill when it made this one.
// A bill does not tell when it was made; its place in the log does.
func (c *recomputation) order(other Shown) string {
	switch {
	case c.Bill.Place == nil || other.Place == nil:
		return "may have been made later: which came first takes the proofs of both, and the log's keys"
	case *other.Place > *c.Bill.Place:
		return "was made later, and may not have been known"
	default:
		return ""
	}
}

// missing are the months before a figure that a ratchet takes and that the
// bills do not cover.
func (c *recomputation) missing(p peaks, d tariff.Demand, month tariff.Month) (list []tariff.Month) {
	if d.Ratchet == nil {
		return nil
	}
	for m := max(month-tariff.Month(d.Ratchet.Months), 0); m < month; m++ {
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
