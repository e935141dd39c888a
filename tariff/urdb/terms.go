package urdb

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/wattveil/wattveil/tariff"
)

// plans are the schedules of a rate, each for weekdays and weekends.
type plans struct {
	energy, demand       [2]schedule
	hasEnergy, hasDemand bool
	flat                 [12]int // flat demand period of each month
	hasFlat              bool
}

// seasons reads all schedules and names the groups of months that are alike in
// all of them.
func (im *importer) seasons() error {
	var err error
	p := &im.plans
	if p.energy, p.hasEnergy, err = im.schedules("energyweekdayschedule", "energyweekendschedule"); err != nil {
		return err
	}
	if p.demand, p.hasDemand, err = im.schedules("demandweekdayschedule", "demandweekendschedule"); err != nil {
		return err
	}
	if raw, ok := im.take("flatdemandmonths"); ok {
		var months []int
		if err := json.Unmarshal(raw, &months); err != nil || len(months) != 12 {
			return fmt.Errorf("flatdemandmonths: is not a list of 12 numbers")
		}
		copy(p.flat[:], months)
		p.hasFlat = true
	}
	var alike [][]int // months
	for m := range 12 {
		i := slices.IndexFunc(alike, func(g []int) bool { return p.same(g[0], m) })
		if i < 0 {
			alike = append(alike, []int{m})
			continue
		}
		alike[i] = append(alike[i], m)
	}
	if len(alike) == 1 {
		return nil
	}
	im.doc.Seasons = map[string][]tariff.Dates{}
	for _, group := range alike {
		name, dates := season(group)
		im.doc.Seasons[name] = dates
		for _, m := range group {
			im.months[m] = name
		}
	}
	return nil
}

// same tells whether two months are alike.
func (p *plans) same(a, b int) bool {
	for day := range 2 {
		if p.energy[day][a] != p.energy[day][b] || p.demand[day][a] != p.demand[day][b] {
			return false
		}
	}
	return p.flat[a] == p.flat[b]
}

// season names a group of months, such as "nov-apr", and gives its ranges. A
// range may run across the new year.
func season(group []int) (string, []tariff.Dates) {
	in := func(m int) bool { return slices.Contains(group, (m+12)%12) }
	var names []string
	var dates []tariff.Dates
	for m := range 12 {
		if !in(m) || in(m-1) {
			continue
		}
		last := m
		for in(last + 1) {
			last++
		}
		last %= 12
		name := monthName(m)
		if last != m {
			name += "-" + monthName(last)
		}
		names = append(names, name)
		dates = append(dates, tariff.Dates{From: fmt.Sprintf("%02d-01", m+1), To: fmt.Sprintf("%02d-%02d", last+1, monthLength(last))})
	}
	const longest = 32
	name := strings.Join(names, ".")
	return name[:min(len(name), longest)], dates
}

func monthName(m int) string { return strings.ToLower(time.Month(m + 1).String()[:3]) }

// monthLength is that of a leap year, which has every day.
func monthLength(m int) int { return time.Date(2000, time.Month(m+2), 0, 0, 0, 0, 0, time.UTC).Day() }

// A stretch is a window before it is put together with those of other months.
type stretch struct {
	period   int
	from, to int // hours
	days     int // 0 weekdays, 1 weekends, 2 both
}

// stretches finds the windows of all periods but one, and the seasons of each.
func (im *importer) stretches(both [2]schedule, without int) ([]stretch, map[stretch][]string) {
	var order []stretch
	seasons := map[stretch][]string{}
	for m := range 12 {
		kinds := []int{0, 1}
		if both[0][m] == both[1][m] {
			kinds = []int{2}
		}
		for _, kind := range kinds {
			row := both[kind%2][m]
			for from := 0; from < 24; {
				to := from + 1
				for to < 24 && row[to] == row[from] {
					to++
				}
				s := stretch{period: row[from], from: from, to: to, days: kind}
				if s.period != without {
					if _, known := seasons[s]; !known {
						order = append(order, s)
					}
					if !slices.Contains(seasons[s], im.months[m]) {
						seasons[s] = append(seasons[s], im.months[m])
					}
				}
				from = to
			}
		}
	}
	return order, seasons
}

// times writes a stretch as a tariff does. Seasons are left out if they are
// all that there are.
func (im *importer) times(s stretch, seasons []string) tariff.Times {
	days := []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}
	switch s.days {
	case 0:
		days = days[:5]
	case 1:
		days = days[5:]
	}
	t := tariff.Times{Days: days, From: fmt.Sprintf("%02d:00", s.from), To: fmt.Sprintf("%02d:00", s.to)}
	if len(im.doc.Seasons) > len(seasons) {
		t.Seasons = seasons
	}
	return t
}

// energy makes a band of each period that the schedule has.
func (im *importer) energy() error {
	const field = "energyratestructure"
	periods, err := im.structure(field)
	if err != nil {
		return err
	}
	im.doc.Energy.Bands = map[string]tariff.Band{}
	if len(periods) == 0 {
		im.doc.Energy.Bands["all"], im.doc.Energy.Default = tariff.Band{Import: "0"}, "all"
		im.note(field, "the rate has no energy prices: energy costs nothing")
		return nil
	}
	hours, err := im.hours(field, im.plans.energy, len(periods))
	if err != nil {
		return err
	}
	fallback := 0
	for p := range periods {
		if hours[p] > hours[fallback] {
			fallback = p
		}
	}
	for p, tiers := range periods {
		name := fmt.Sprintf("period-%d", p)
		if hours[p] == 0 {
			im.note(fmt.Sprintf("%s.%d", field, p), "period %d applies at no hour and is left out", p)
			continue
		}
		if im.doc.Energy.Bands[name], err = im.band(fmt.Sprintf("%s[%d]", field, p), tiers); err != nil {
			return err
		}
	}
	im.doc.Energy.Default = fmt.Sprintf("period-%d", fallback)
	order, seasons := im.stretches(im.plans.energy, fallback)
	for _, s := range order {
		t := im.times(s, seasons[s])
		im.doc.Energy.Windows = append(im.doc.Energy.Windows, tariff.Window{
			Band: fmt.Sprintf("period-%d", s.period), Days: t.Days, From: t.From, Seasons: t.Seasons, To: t.To,
		})
	}
	return nil
}

// hours counts the hours of a year's weeks that each period has. A schedule
// that names periods which the structure lacks can be meant in one way only if
// the structure has one.
func (im *importer) hours(field string, both [2]schedule, periods int) ([]int, error) {
	counts := make([]int, periods)
	target := &im.plans.energy
	if field != "energyratestructure" {
		target = &im.plans.demand
	}
	for kind, weight := range [2]int{5, 2} {
		for m := range 12 {
			for h, p := range both[kind][m] {
				switch {
				case p >= 0 && p < periods:
				case periods == 1:
					im.note(field, "the schedule names period %d, the structure has period 0 only, which is taken", p)
					p = 0
					target[kind][m][h] = 0
				default:
					return nil, fmt.Errorf("%s: the schedule names period %d in month %d at hour %d, the structure has %d periods", field, p, m+1, h, periods)
				}
				counts[p] += weight
			}
		}
	}
	return counts, nil
}

// band prices one period.
func (im *importer) band(field string, tiers []tier) (tariff.Band, error) {
	var b tariff.Band
	tiers, perDay, err := im.limits(field, tiers, "kWh", maxTierKWh)
	if err != nil {
		return b, err
	}
	at := memberName(field)
	for i, t := range tiers {
		price, err := im.price(at, t.rate)
		if err != nil {
			return b, err
		}
		limit := tariff.Tier{Import: price}
		if t.max != nil {
			limit.UpToKWh = trim(tariff.RoundRat(t.max, 3).String())
		}
		b.Tiers = append(b.Tiers, limit)
		if t.sell == nil {
			continue
		}
		export, err := im.price(at, t.sell)
		if err != nil {
			return b, err
		}
		if i > 0 && export != b.Export {
			im.note(at+".sell", "not priced: the credit of the first tier counts for all exported energy")
			continue
		}
		b.Export = export
	}
	if perDay {
		b.TiersPer = "day"
	}
	if len(b.Tiers) == 1 {
		b.Import, b.Tiers, b.TiersPer = b.Tiers[0].Import, nil, ""
	}
	return b, nil
}

// The most that a tier of a tariff may end at.
const (
	maxTierKWh = 1_000_000_000
	maxTierKW  = 1_000_000
)

// limits checks where tiers end, and what by.
func (im *importer) limits(field string, tiers []tier, unit string, limit int64) (list []tier, perDay bool, err error) {
	for i, t := range tiers {
		switch t.unit {
		case "", unit:
		case unit + " daily":
			perDay = true
		default:
			return nil, false, fmt.Errorf("%s[%d]: tiers by %q cannot be expressed", field, i, t.unit)
		}
		if t.max != nil && t.max.Cmp(new(big.Rat).SetInt64(limit)) > 0 {
			t.max = nil
		}
		last := i == len(tiers)-1
		if last && t.max != nil {
			im.note(field+".max", "the last tier is taken as having no end")
			t.max = nil
		}
		list = append(list, t)
		if t.max == nil {
			if !last {
				im.note(field+".max", "tier %d has no end, those after it are left out", i+1)
			}
			return list, perDay, nil
		}
	}
	return list, perDay, nil
}

// fixed makes the standing charge.
func (im *importer) fixed() error {
	value, ok, err := im.number("fixedchargefirstmeter")
	if err != nil {
		return err
	}
	if ok {
		day, month, err := im.perTime("fixedchargefirstmeter", value, im.text("fixedchargeunits"))
		if err != nil {
			return err
		}
		im.doc.Standing = &tariff.Standing{PerDay: day, PerMonth: month}
	}
	im.taken["fixedchargeunits"] = true
	legacy, there, err := im.number("fixedmonthlycharge")
	switch {
	case err != nil || !there:
		return err
	case ok:
		im.note("fixedmonthlycharge", "not priced: fixedchargefirstmeter says what is due")
		return nil
	}
	month, err := im.price("fixedmonthlycharge", legacy)
	im.doc.Standing = &tariff.Standing{PerMonth: month}
	return err
}

// minimum makes the minimum charge: the first that is there of three fields.
func (im *importer) minimum() error {
	for _, name := range [...]string{"mincharge", "minmonthlycharge", "annualmincharge"} {
		value, ok, err := im.number(name)
		if err != nil {
			return err
		}
		if !ok || value.Sign() == 0 {
			continue
		}
		if im.doc.Minimum != nil {
			im.note(name, "not priced: another minimum charge counts")
			continue
		}
		units := map[string]string{"minmonthlycharge": "$/month", "annualmincharge": "$/year"}[name]
		if name == "mincharge" {
			units = im.text("minchargeunits")
		}
		day, month, err := im.perTime(name, value, units)
		if err != nil {
			return err
		}
		im.doc.Minimum = &tariff.Minimum{PerDay: day, PerMonth: month}
	}
	im.taken["minchargeunits"] = true
	return nil
}

// perTime prices what is due by the day, month or year.
func (im *importer) perTime(field string, value *big.Rat, units string) (day, month string, err error) {
	switch units {
	case "$/day":
		day, err = im.price(field, value)
	case "$/month", "":
		month, err = im.price(field, value)
	case "$/year":
		month, err = im.price(field, new(big.Rat).Quo(value, big.NewRat(12, 1)))
		im.note(field+".year", "a twelfth is due each month")
	default:
		err = fmt.Errorf("%s: the unit %q is not known: want $/day, $/month or $/year", field, units)
	}
	return day, month, err
}
