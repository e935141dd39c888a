package rating_test

import (
	"fmt"
	"math/big"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/rating"
	"github.com/wattveil/wattveil/tariff"
)

// naiveTerms rates by the words of spec/tariff.md section 5 what naive does
// not: seasons, holidays, tiers, series, fees, demand, minimum and taxes. All
// is looked up interval by interval, with dates as strings and rational
// numbers.
type naiveTerms struct {
	naive
	holidays []string
	series   map[string]map[int64]string // name, start of a step, price
	step     map[string]int64
	digests  map[string]string
	peaks    []rating.Peak // known from before

	imported, exported map[string]int64
	cost, credit       map[string]*big.Rat
	days               []string
	slots              map[string]map[string]int64 // demand and month, slot, Wh times 3600 / length
	longest            map[string]int64
	measured           []rating.Peak
	kindSums           map[string]*big.Rat
	firstDay, lastDay  time.Time
}

func (n *naiveTerms) dayIs(day time.Time) (dayType, season string) {
	date := day.Format(time.DateOnly)
	dayType = strings.ToLower(day.Weekday().String()[:3])
	if slices.Contains(n.holidays, date) {
		dayType = "hol"
	}
	md := date[5:]
	for name, ranges := range n.doc.Seasons {
		for _, r := range ranges {
			if r.From <= r.To && md >= r.From && md <= r.To || r.From > r.To && (md >= r.From || md <= r.To) {
				season = name
			}
		}
	}
	return dayType, season
}

// in tells whether a window holds at a time.
func (n *naiveTerms) in(at time.Time, days, seasons []string, from, to string) bool {
	clock := at.Format("15:04")
	covers := func(day time.Time) bool {
		dayType, season := n.dayIs(day)
		return slices.Contains(days, dayType) && (len(seasons) == 0 || slices.Contains(seasons, season))
	}
	y, m, d := at.Date()
	today := time.Date(y, m, d, 12, 0, 0, 0, time.UTC)
	late := from > to
	return covers(today) && clock >= from && (late || clock < to) || late && covers(today.AddDate(0, 0, -1)) && clock < to
}

func (n *naiveTerms) bandAt(at time.Time) string {
	for _, w := range n.doc.Energy.Windows {
		if n.in(at, w.Days, w.Seasons, w.From, w.To) {
			return w.Band
		}
	}
	return n.doc.Energy.Default
}

// demandAt tells whether a demand charge applies.
func (n *naiveTerms) demandAt(d tariff.DemandTerms, at time.Time) bool {
	_, season := n.dayIs(at)
	if len(d.Windows) == 0 {
		return len(d.Seasons) == 0 || slices.Contains(d.Seasons, season)
	}
	for _, w := range d.Windows {
		seasons := w.Seasons
		if len(seasons) == 0 {
			seasons = d.Seasons
		}
		if n.in(at, w.Days, seasons, w.From, w.To) {
			return true
		}
	}
	return false
}

func (n *naiveTerms) collect(intervals []wattveil.Interval) {
	n.imported, n.exported = map[string]int64{}, map[string]int64{}
	n.cost, n.credit = map[string]*big.Rat{}, map[string]*big.Rat{}
	n.slots, n.longest = map[string]map[string]int64{}, map[string]int64{}
	for name := range n.doc.Energy.Bands {
		n.cost[name], n.credit[name] = new(big.Rat), new(big.Rat)
	}
	for _, iv := range intervals {
		at := time.Unix(iv.Start, 0).In(n.zone)
		band := n.bandAt(at)
		terms := n.doc.Energy.Bands[band]
		n.imported[band] += int64(iv.Import)
		n.exported[band] += int64(iv.Export)
		n.spend(n.cost[band], terms.ImportSeries, iv.Start, int64(iv.Import))
		n.spend(n.credit[band], terms.ExportSeries, iv.Start, int64(iv.Export))
		if date := at.Format(time.DateOnly); !slices.Contains(n.days, date) {
			n.days = append(n.days, date)
		}
		for _, d := range n.doc.Demand {
			if n.demandAt(d, at) {
				n.fill(d, at, iv)
			}
		}
	}
	slices.Sort(n.days)
	n.firstDay, _ = time.Parse(time.DateOnly, n.days[0])
	n.lastDay, _ = time.Parse(time.DateOnly, n.days[len(n.days)-1])
}

func (n *naiveTerms) spend(sum *big.Rat, series string, start, wh int64) {
	if series == "" {
		return
	}
	price := n.number(n.series[series][start-start%n.step[series]])
	sum.Add(sum, price.Mul(price, big.NewRat(wh, 1000)))
}

// fill adds an interval to its slot, which is named by the clock and by how
// far it is from UTC.
func (n *naiveTerms) fill(d tariff.DemandTerms, at time.Time, iv wattveil.Interval) {
	length, slot := int64(d.Minutes)*60, iv.End-iv.Start
	if slot <= length {
		slot = length
		for slot < 3600 && slot%(iv.End-iv.Start) != 0 {
			slot *= 2
		}
	}
	clock := at.Hour()*3600 + at.Minute()*60 + at.Second()
	name := fmt.Sprint(at.Format("2006-01-02 -07:00 "), clock/int(slot), " of ", slot)
	key := d.Name + "|" + at.Format("2006-01")
	if n.slots[key] == nil {
		n.slots[key] = map[string]int64{}
	}
	n.slots[key][name] += int64(iv.Import) * 3600 / slot
	n.longest[key] = max(n.longest[key], slot)
}

// months is the number of months, over the days for which is says so.
func (n *naiveTerms) months(is func(time.Time) bool) *big.Rat {
	sum := new(big.Rat)
	for day := n.firstDay; !day.After(n.lastDay); day = day.AddDate(0, 0, 1) {
		if is(day) {
			length := time.Date(day.Year(), day.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day()
			sum.Add(sum, big.NewRat(1, int64(length)))
		}
	}
	return sum
}

func (n *naiveTerms) all(time.Time) bool { return true }

func monthsText(r *big.Rat) string {
	if r.IsInt() {
		return r.RatString()
	}
	return r.FloatString(8)
}

func wh(n int64) string { return fmt.Sprintf("%d.%03d", n/1000, n%1000) }

// put adds a line; amount is exact and not yet rounded.
func (n *naiveTerms) put(l rating.Line, amount *big.Rat) {
	l.Amount = n.money(amount)
	n.total.Add(n.total, n.number(l.Amount))
	if n.kindSums[l.Kind] == nil {
		n.kindSums[l.Kind] = new(big.Rat)
	}
	n.kindSums[l.Kind].Add(n.kindSums[l.Kind], n.number(l.Amount))
	n.lines = append(n.lines, l)
}

func (n *naiveTerms) times(l rating.Line, sign int64) *big.Rat {
	amount := new(big.Rat).Mul(n.number(l.Quantity), n.number(l.Price))
	if l.Share != "" {
		amount.Mul(amount, n.number(l.Share))
	}
	return amount.Mul(amount, big.NewRat(sign, 1))
}

// rate gives the lines and the total.
func (n *naiveTerms) rate(intervals []wattveil.Interval) ([]rating.Line, string) {
	n.kindSums = map[string]*big.Rat{}
	n.collect(intervals)
	var bands []string
	for name := range n.doc.Energy.Bands {
		bands = append(bands, name)
	}
	sort.Strings(bands)
	for _, name := range bands {
		n.importLines(name, n.doc.Energy.Bands[name])
	}
	for _, name := range bands {
		n.exportLine(name, n.doc.Energy.Bands[name])
	}
	if s := n.doc.Standing; s != nil {
		l := n.timed(rating.Line{Kind: "standing"}, s.PerDay, s.PerMonth)
		n.put(l, n.times(l, 1))
	}
	n.chargeLines("grid", 1)
	n.chargeLines("levy", 1)
	n.demandLines()
	if m := n.doc.Minimum; m != nil {
		l := n.timed(rating.Line{Kind: "minimum"}, m.PerDay, m.PerMonth)
		short := new(big.Rat).Sub(n.number(n.money(n.times(l, 1))), n.total)
		if short.Sign() > 0 {
			n.put(l, short)
		}
	}
	n.chargeLines("credit", -1)
	n.taxLines()
	return n.lines, n.money(n.total)
}

func (n *naiveTerms) timed(l rating.Line, perDay, perMonth string) rating.Line {
	if perDay != "" {
		l.Unit, l.Quantity, l.Price = "day", fmt.Sprint(len(n.days)), perDay
		return l
	}
	l.Unit, l.Quantity, l.Price = "month", monthsText(n.months(n.all)), perMonth
	return l
}

func (n *naiveTerms) importLines(name string, terms tariff.Band) {
	l := rating.Line{Kind: "import", Band: name, Unit: "kWh", Quantity: wh(n.imported[name]), Price: terms.Import}
	switch {
	case terms.ImportSeries != "":
		l.Series = n.digests[terms.ImportSeries]
		n.put(l, n.cost[name])
		return
	case terms.Tiers == nil:
		n.put(l, n.times(l, 1))
		return
	}
	rest, below := n.imported[name], int64(0)
	for i, tier := range terms.Tiers {
		used := rest
		if tier.UpToKWh != "" {
			limit := new(big.Rat).Mul(n.number(tier.UpToKWh), big.NewRat(1000, 1))
			if terms.TiersPer == "day" {
				limit.Mul(limit, big.NewRat(int64(len(n.days)), 1))
			} else {
				limit.Mul(limit, n.months(n.all))
			}
			end := n.number(limit.FloatString(0)).Num().Int64()
			used = min(rest, end-below)
			below = end
		}
		if i > 0 && used == 0 {
			continue
		}
		rest -= used
		l.Tier, l.Quantity, l.Price = i+1, wh(used), tier.Import
		n.put(l, n.times(l, 1))
	}
}

func (n *naiveTerms) exportLine(name string, terms tariff.Band) {
	if n.exported[name] == 0 {
		return
	}
	l := rating.Line{Kind: "export", Band: name, Unit: "kWh", Quantity: wh(n.exported[name]), Price: terms.Export}
	if terms.ExportSeries != "" {
		l.Series = n.digests[terms.ExportSeries]
		n.put(l, n.number(n.money(new(big.Rat).Neg(n.credit[name]))))
		return
	}
	if l.Price == "" {
		l.Price = "0"
	}
	n.put(l, n.times(l, -1))
}

func (n *naiveTerms) chargeLines(kind string, sign int64) {
	charges := slices.Clone(n.doc.Charges)
	sort.Slice(charges, func(i, j int) bool { return charges[i].Name < charges[j].Name })
	for _, c := range charges {
		if c.Kind != kind {
			continue
		}
		l := rating.Line{Kind: kind, Name: c.Name}
		if c.PerKWh == "" {
			l = n.timed(l, c.PerDay, c.PerMonth)
			n.put(l, n.times(l, sign))
			continue
		}
		var energy int64
		for name := range n.doc.Energy.Bands {
			if len(c.Bands) > 0 && !slices.Contains(c.Bands, name) {
				continue
			}
			if c.Of == "export" {
				energy += n.exported[name]
			} else {
				energy += n.imported[name]
			}
		}
		l.Unit, l.Quantity, l.Price = "kWh", wh(energy), c.PerKWh
		n.put(l, n.times(l, sign))
	}
}

func (n *naiveTerms) demandLines() {
	demands := slices.Clone(n.doc.Demand)
	sort.Slice(demands, func(i, j int) bool { return demands[i].Name < demands[j].Name })
	for _, d := range demands {
		var months []string
		for key := range n.slots {
			if name, month, _ := strings.Cut(key, "|"); name == d.Name {
				months = append(months, month)
			}
		}
		sort.Strings(months)
		for _, month := range months {
			var watts int64
			for _, w := range n.slots[d.Name+"|"+month] {
				watts = max(watts, w)
			}
			m, _ := tariff.ParseMonth(month)
			watts = n.stepped(d, watts)
			n.measured = append(n.measured, rating.Peak{Demand: d.Name, Month: m, Watts: watts})
		}
		for _, month := range months {
			n.demandMonth(d, month)
		}
	}
}

func (n *naiveTerms) stepped(d tariff.DemandTerms, watts int64) int64 {
	if d.StepKW == "" {
		return watts
	}
	step := new(big.Rat).Mul(n.number(d.StepKW), big.NewRat(1000, 1)).Num().Int64()
	for watts%step != 0 {
		watts++
	}
	return watts
}

func (n *naiveTerms) demandMonth(d tariff.DemandTerms, month string) {
	this, _ := tariff.ParseMonth(month)
	l := rating.Line{Kind: "demand", Name: d.Name, Unit: "kW", Month: month, Minutes: int(n.longest[d.Name+"|"+month] / 60)}
	var notes []string
	if l.Minutes > d.Minutes {
		notes = append(notes, "longer-interval")
	}
	var watts, before int64
	for _, p := range n.measured {
		if p.Demand == d.Name && p.Month == this {
			watts = p.Watts
		}
	}
	for _, p := range append(slices.Clone(n.peaks), n.measured...) {
		switch {
		case p.Demand != d.Name:
		case d.Ratchet != nil && p.Month < this && int(this-p.Month) <= d.Ratchet.Months:
			before = max(before, p.Watts)
		}
	}
	if d.Ratchet != nil {
		held := new(big.Rat).Mul(n.number(d.Ratchet.Percent), big.NewRat(before, 100))
		if h := n.stepped(d, n.number(held.FloatString(0)).Num().Int64()); h > watts {
			watts = h
			notes = append(notes, "ratchet")
		}
	}
	l.Note = strings.Join(notes, "+")
	share := n.months(func(day time.Time) bool {
		_, season := n.dayIs(day)
		return day.Format("2006-01") == month && (len(d.Seasons) == 0 || slices.Contains(d.Seasons, season))
	})
	if share.Cmp(big.NewRat(1, 1)) != 0 {
		l.Share = share.FloatString(8)
	}
	if len(d.Tiers) == 0 {
		l.Quantity, l.Price = wh(watts), d.PerKW
		n.put(l, n.times(l, 1))
		return
	}
	below := int64(0)
	for i, tier := range d.Tiers {
		end := watts
		if tier.UpToKW != "" {
			end = min(watts, new(big.Rat).Mul(n.number(tier.UpToKW), big.NewRat(1000, 1)).Num().Int64())
		}
		if i > 0 && end <= below {
			return
		}
		l.Tier, l.Quantity, l.Price = i+1, wh(end-below), tier.PerKW
		n.put(l, n.times(l, 1))
		below = end
	}
}

func (n *naiveTerms) taxLines() {
	taxes := slices.Clone(n.doc.Taxes)
	sort.Slice(taxes, func(i, j int) bool { return taxes[i].Name < taxes[j].Name })
	if n.doc.TaxPercent != "" {
		taxes = append(taxes, tariff.TaxTerms{Percent: n.doc.TaxPercent})
	}
	before := new(big.Rat).Set(n.total)
	for _, t := range taxes {
		base := new(big.Rat).Set(before)
		var on []string
		if len(t.On) > 0 {
			base = new(big.Rat)
			for _, kind := range []string{"import", "export", "standing", "grid", "levy", "demand", "minimum", "credit"} {
				if !slices.Contains(t.On, kind) {
					continue
				}
				on = append(on, kind)
				if sum := n.kindSums[kind]; sum != nil {
					base.Add(base, sum)
				}
			}
		}
		_, frac, _ := strings.Cut(t.Percent, ".")
		price := new(big.Rat).Quo(n.number(t.Percent), big.NewRat(100, 1)).FloatString(len(frac) + 2)
		l := rating.Line{Kind: "tax", Name: t.Name, On: strings.Join(on, ","), Unit: n.doc.Currency, Quantity: n.money(base), Price: price}
		n.put(l, n.times(l, 1))
	}
}
