package gate

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sort"
)

// Ends says what ends with a bill, which may then be short. It binds: nothing
// of it can be billed after.
type Ends uint8

// What may end with a bill.
const (
	EndsNothing Ends = iota
	EndsTariff       // the meter goes on under another tariff
	EndsTenancy      // the tenant moved out
)

// Demand is a figure that a bill would tell beside its quantities: the highest
// mean power in a window of a month, rounded up by [RoundDemand] and without
// its time.
type Demand struct {
	Window  string // name of the window, such as "peak"
	Month   int    // local month, counted from January 1970 = 0
	Seconds int64  // how long the window is open in the bill's part of the month
}

// Bill is a request to tell something of a meter.
type Bill struct {
	Shape      *Shape // made by this gate, with the meter's gaps
	Tariff     TariffTag
	Registered int64 // when the tariff was registered, Unix seconds
	Now        int64 // when the bill is made, Unix seconds
	Ends       Ends
	Corrects   bool // it corrects the bill of its period; its demand figures stay
	Demand     []Demand
}

// Decision is what may be told.
type Decision struct {
	Tell     []int      // places of the shape's quantities, rising; never empty
	Withheld []*Refusal // one for each other quantity: why it is left out
	Shape    *Shape     // of what is told, to be stored under its digest
	History  *History   // with this bill
}

// Lookup finds a stored shape.
type Lookup func(Digest) (*Shape, error)

// Check decides about a bill. If a rule refuses it, the error is a [*Refusal];
// any other error says that the request or the history is unfit. It asks for
// earlier shapes only where the bill overlaps them: corrections, and gaps over
// the end of a period.
func (g *Gate) Check(h *History, b Bill, lookup Lookup) (Decision, error) {
	s := b.Shape
	if s == nil || s.gate != g {
		return Decision{}, errForeign
	}
	at, r := g.place(h, &b)
	if r != nil {
		return Decision{}, r
	}
	e := entry{from: s.from, to: s.to, tariff: b.Tariff, last: b.Ends == EndsTariff}
	if b.Corrects {
		e = h.entries[at]
	} else if r := g.counts(h, &b, &e); r != nil {
		return Decision{}, r
	}
	if r := g.figures(h, &b, &e); r != nil {
		return Decision{}, r
	}
	others, err := h.overlapping(s.lo, s.hi(), lookup)
	if err != nil {
		return Decision{}, err
	}
	v := s.alone
	if len(others) > 0 {
		v = g.judge(s, others)
	}
	if v.refused != nil {
		return Decision{}, v.refused
	}
	t := told{lo: v.shape.lo, hi: v.shape.hi(), issued: b.Now, digest: v.shape.digest}
	if b.Corrects {
		e.again = &t
	} else {
		e.told = t
	}
	d := Decision{Tell: v.tell, Withheld: v.withheld, Shape: v.shape, History: h.with(g, e, at, b.Corrects)}
	if b.Ends == EndsTenancy {
		d.History.tenancyEnd = max(d.History.tenancyEnd, s.to)
	}
	return d, nil
}

// place finds where a bill belongs among the others, or the bill that it
// corrects.
func (g *Gate) place(h *History, b *Bill) (int, *Refusal) {
	s := b.Shape
	refuse := func(rule Rule, detail string) (int, *Refusal) {
		return 0, &Refusal{Rule: rule, From: s.from, To: s.to, Detail: detail}
	}
	if b.Now < s.to {
		return refuse(NotOver, "")
	}
	if s.lo < h.newest()-int64(g.s.CorrectableFor)*secondsPerDay {
		return refuse(TooOld, fmt.Sprintf("%d days before the end of the latest bill", g.s.CorrectableFor))
	}
	for i := range h.entries {
		if o := &h.entries[i]; o.old && o.told.lo < s.hi() && o.told.hi > s.lo {
			return refuse(TooOld, "")
		}
	}
	at := sort.Search(len(h.entries), func(i int) bool { return h.entries[i].to > s.from })
	var meets *entry
	if at < len(h.entries) && h.entries[at].from < s.to {
		meets = &h.entries[at]
	}
	if !b.Corrects {
		if meets != nil {
			return refuse(Overlap, fmt.Sprintf("%s to %s", stamp(meets.from), stamp(meets.to)))
		}
		return at, nil
	}
	switch {
	case meets == nil || meets.from != s.from || meets.to != s.to || meets.tariff != b.Tariff:
		return refuse(CorrectsNothing, "")
	case meets.again != nil:
		return refuse(CorrectedAlready, "")
	case b.Now > meets.told.issued+int64(g.s.CorrectableFor)*secondsPerDay:
		return refuse(CorrectionLate, fmt.Sprintf("at most %d days", g.s.CorrectableFor))
	case b.Now < meets.told.issued+int64(g.s.CorrectionAfter)*secondsPerDay:
		return refuse(CorrectionEarly, fmt.Sprintf("at least %d days after it was made", g.s.CorrectionAfter))
	}
	return at, nil
}

// counts applies the rules about how many bills there are and how long, and
// notes in the entry whether the bill is short.
func (g *Gate) counts(h *History, b *Bill, e *entry) *Refusal {
	s := b.Shape
	refuse := func(rule Rule, detail string) *Refusal {
		return &Refusal{Rule: rule, From: s.from, To: s.to, Detail: detail}
	}
	if h.tenancyEnd > 0 && s.to > h.tenancyEnd {
		return refuse(TenancyEnded, stamp(h.tenancyEnd))
	}
	first := true // of the tariff
	for i := range h.entries {
		if o := &h.entries[i]; o.tariff == b.Tariff {
			first = false
			if o.last && s.from >= o.to {
				return refuse(TariffEnded, stamp(o.to))
			}
		}
	}
	if s.from < b.Registered && !g.s.Retroactive {
		return refuse(Registered, "registered "+stamp(b.Registered))
	}
	if n := h.crowd(s.from, false); n > g.s.BillsPerYear {
		return refuse(BillsPerYear, fmt.Sprintf("%d in 365 days, at most %d", n, g.s.BillsPerYear))
	}
	if s.to-s.from >= int64(g.s.MinDays)*secondsPerDay-3600 {
		return nil
	}
	e.short = true
	if !first && b.Ends == EndsNothing {
		return refuse(Short, fmt.Sprintf("at least %d days", g.s.MinDays))
	}
	if n := h.crowd(s.from, true); n > g.s.ShortPerYear {
		return refuse(ShortPerYear, fmt.Sprintf("%d in 365 days, at most %d", n, g.s.ShortPerYear))
	}
	return nil
}

// crowd is the most bills, or short bills, whose periods begin in any 365 days
// that hold the beginning of a new one, which counts.
func (h *History) crowd(from int64, short bool) int {
	const year = 365 * secondsPerDay
	var begins []int64
	for i := range h.entries {
		if o := &h.entries[i]; (o.short || !short) && o.from > from-year && o.from < from+year {
			begins = append(begins, o.from)
		}
	}
	begins = append(begins, from)
	slices.Sort(begins)
	most := 0
	for i, j := 0, 0; i < len(begins) && begins[i] <= from; i++ {
		for j < len(begins) && begins[j] < begins[i]+year {
			j++
		}
		most = max(most, j-i)
	}
	return most
}

// figures applies the rules about demand and notes the figures in the entry.
func (g *Gate) figures(h *History, b *Bill, e *entry) *Refusal {
	if len(b.Demand) == 0 {
		return nil
	}
	s := b.Shape
	refuse := func(rule Rule, name, detail string) *Refusal {
		return &Refusal{Rule: rule, Quantity: name, From: s.from, To: s.to, Detail: detail}
	}
	if b.Corrects {
		return refuse(DemandAgain, b.Demand[0].Window, "a correction tells no demand")
	}
	told := make(map[figure]bool)
	months := make(map[int]int)
	for i := range h.entries {
		for _, f := range h.entries[i].demand {
			told[f] = true
			months[f.month]++
		}
	}
	least := g.window() * g.s.RevealDen / g.s.RevealNum
	for _, d := range b.Demand {
		hash := sha256.Sum256([]byte(d.Window))
		f := figure{d.Month, [8]byte(hash[:8])}
		months[d.Month]++
		switch {
		case told[f]:
			return refuse(DemandAgain, d.Window, "")
		case d.Month < 0 || d.Month > maxMonth || d.Seconds < least:
			return refuse(DemandWindow, d.Window, fmt.Sprintf("at least %d s", least))
		case months[d.Month] > g.s.DemandPerMonth || len(e.demand) == maxFigures:
			return refuse(DemandCount, d.Window, fmt.Sprintf("at most %d", g.s.DemandPerMonth))
		}
		told[f] = true
		e.demand = append(e.demand, f)
	}
	slices.SortFunc(e.demand, figure.compare)
	return nil
}

// overlapping is the shapes of the bills that overlap [lo, hi), directly or
// through others.
func (h *History) overlapping(lo, hi int64, lookup Lookup) ([]*Shape, error) {
	var found []*Shape
	taken := make([]bool, len(h.entries))
	for again := true; again; {
		again = false
		for i := range h.entries {
			e := &h.entries[i]
			l, t := e.reach()
			if taken[i] || e.old || l >= hi || t <= lo {
				continue
			}
			taken[i], again = true, true
			lo, hi = min(lo, l), max(hi, t)
			for _, told := range [...]*told{&e.told, e.again} {
				if told == nil {
					continue
				}
				s, err := find(told.digest, lookup)
				if err != nil {
					return nil, err
				}
				found = append(found, s)
			}
		}
	}
	return found, nil
}

func find(d Digest, lookup Lookup) (*Shape, error) {
	if lookup == nil {
		return nil, errors.New("gate: an earlier bill overlaps, and there is no lookup for its shape")
	}
	s, err := lookup(d)
	if err != nil {
		return nil, fmt.Errorf("gate: shape %v of an earlier bill: %w", d, err)
	}
	if s == nil || s.digest != d {
		return nil, fmt.Errorf("gate: lookup of shape %v gave another", d)
	}
	return s, nil
}

// RoundDemand is a mean power in W as a bill may tell it: rounded up to a whole
// 100 W.
func RoundDemand(watts int64) int64 {
	if watts <= 0 {
		return 0
	}
	return (watts + 99) / 100 * 100
}
