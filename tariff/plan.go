package tariff

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"
)

// minutesPerDay is the resolution at which windows divide a day.
const minutesPerDay = 24 * 60

// dayPlan divides one local day into stretches of one band and one set of
// demand charges, in rising order; the last one ends at the day's nominal end.
type dayPlan []stretch

type stretch struct {
	start, end int32  // seconds of the local clock since 00:00
	band       int16  // place among the tariff's sorted bands
	demands    uint16 // bit n: the demand charge n applies
}

// A planSet has a plan for every kind of day. Where a window runs past
// midnight, the plan of a day depends on the kind of the day before too.
type planSet struct {
	plans []dayPlan
	of    map[neighbours]int16 // used if passes
	plain []int16              // by kind of day; used otherwise
	// passes tells whether a window runs past midnight.
	passes bool
}

// plan is that of a local day, counted from 1970-01-01.
func (t *Tariff) plan(day int64) dayPlan {
	kind := t.calendar.kind(day)
	if !t.plans.passes {
		return t.plans.plans[t.plans.plain[kind]]
	}
	return t.plans.plans[t.plans.of[neighbours{t.calendar.kind(day - 1), kind}]]
}

// A minuteSet is a set of minutes of a day.
type minuteSet [(minutesPerDay + 63) / 64]uint64

func (s *minuteSet) addRange(from, to int) {
	for m := from; m < to; {
		end := min(to, (m/64+1)*64)
		s[m/64] |= (^uint64(0) >> (64 - (end - m))) << (m % 64)
		m = end
	}
}

func (s *minuteSet) has(minute int) bool { return s[minute/64]>>(minute%64)&1 != 0 }

// first is the first minute that both sets have; -1 if there is none.
func (s *minuteSet) first(other *minuteSet) int {
	for i := range s {
		if both := s[i] & other[i]; both != 0 {
			return i*64 + bits.TrailingZeros64(both)
		}
	}
	return -1
}

func (s *minuteSet) add(other *minuteSet) {
	for i := range s {
		s[i] |= other[i]
	}
}

// A timeSpan is a window that has been checked.
type timeSpan struct {
	path     string
	days     uint8 // bit n: day type n
	seasons  seasonSet
	from, to int // minutes; to is above 24:00 if the window runs past midnight
	target   int // a band, or a demand charge
}

func (w *timeSpan) starts(on dayKind) bool {
	return w.days>>on.dayType()&1 != 0 && w.seasons.has(on.season())
}

// on is the part of a window within a day, given the day before.
func (w *timeSpan) on(n neighbours) (m minuteSet, some bool) {
	if w.starts(n.day) {
		m.addRange(w.from, min(w.to, minutesPerDay))
		some = true
	}
	if w.to > minutesPerDay && w.starts(n.before) {
		m.addRange(0, w.to-minutesPerDay)
		some = true
	}
	return m, some
}

// windows checks the windows of bands and demand charges and compiles them
// into a plan for each kind of day.
func (c *checker) windows(t *Tariff) {
	const path = "energy.windows"
	fallback, ok := c.band(t, "energy.default", t.doc.Energy.Default)
	if n := len(t.doc.Energy.Windows); n > maxWindows {
		c.add(path, fmt.Sprintf("has %d windows", n), fmt.Sprintf("at most %d are allowed", maxWindows))
		return
	}
	var windows []timeSpan
	for i, w := range t.doc.Energy.Windows {
		at := index(path, i)
		band, known := c.band(t, join(at, "band"), w.Band)
		span, good := c.window(t, at, Times{Days: w.Days, From: w.From, Seasons: w.Seasons, To: w.To})
		span.target = band
		windows = append(windows, span)
		ok = known && good && ok
	}
	demands, good := c.demandWindows(t)
	if !ok || !good || c.noCalendar {
		return
	}
	p := planner{c: c, t: t, windows: windows, demands: demands, fallback: fallback, reported: map[string]bool{}}
	p.run()
}

// demandWindows are those of the demand charges, one for all the time where a
// charge has none.
func (c *checker) demandWindows(t *Tariff) ([]timeSpan, bool) {
	var list []timeSpan
	ok := true
	for i, terms := range t.doc.Demand {
		place := slices.IndexFunc(t.demands, func(d Demand) bool { return d.Name == terms.Name })
		if place < 0 {
			return nil, false
		}
		seasons := t.demands[place].seasons
		path := join(index("demand", i), "windows")
		if n := len(terms.Windows); n > maxDemandWindows {
			c.add(path, fmt.Sprintf("has %d windows", n), fmt.Sprintf("at most %d are allowed", maxDemandWindows))
			return nil, false
		}
		if len(terms.Windows) == 0 {
			list = append(list, timeSpan{days: 1<<dayTypes - 1, seasons: seasons, to: minutesPerDay, target: place})
		}
		for k, w := range terms.Windows {
			span, good := c.window(t, index(path, k), w)
			span.target = place
			switch {
			case span.seasons == 0:
				span.seasons = seasons
			case seasons != 0:
				span.seasons &= seasons
				if span.seasons == 0 && good {
					c.add(join(index(path, k), "seasons"), "has no season that the charge has", "name a season in which the charge applies")
					good = false
				}
			}
			list = append(list, span)
			ok = ok && good
		}
	}
	return list, ok
}

// window checks one window.
func (c *checker) window(t *Tariff, at string, w Times) (timeSpan, bool) {
	before := len(c.list)
	span := timeSpan{path: at, days: c.days(t, join(at, "days"), w.Days), seasons: c.seasonNames(t, join(at, "seasons"), w.Seasons)}
	span.from = c.clock(join(at, "from"), w.From, minutesPerDay-1)
	span.to = c.clock(join(at, "to"), w.To, minutesPerDay)
	switch {
	case len(c.list) > before:
		return span, false
	case span.from == span.to:
		c.add(at, fmt.Sprintf("from and to are both %s", w.From), "write 00:00 to 24:00 for the whole day")
		return span, false
	case span.from > span.to:
		span.to += minutesPerDay
	}
	return span, true
}

// days reads the day types of a window.
func (c *checker) days(t *Tariff, path string, names []string) uint8 {
	if len(names) == 0 {
		c.add(path, "names no day", "want some of "+dayList(t))
		return 0
	}
	var days uint8
	for i, name := range names {
		day := slices.Index(dayNames[:], name)
		switch {
		case day < 0:
			c.add(index(path, i), fmt.Sprintf("%.20q is not a day", name), "want one of "+dayList(t))
		case day == holiday && t.doc.Holidays == nil:
			c.add(index(path, i), "names holidays, of which the tariff has none", "say in holidays which days they are")
		case days>>day&1 != 0:
			c.add(index(path, i), fmt.Sprintf("names %s again", name), "name each day once")
		default:
			days |= 1 << day
		}
	}
	return days
}

// dayList names the day types that a window of the tariff may have.
func dayList(t *Tariff) string {
	list := append(slices.Clone(dayNames[1:holiday]), dayNames[0])
	if t.doc.Holidays != nil {
		list = append(list, dayNames[holiday])
	}
	return strings.Join(list, ", ")
}

// clock reads HH:MM, from 00:00 to latest, in minutes.
func (c *checker) clock(path, s string, latest int) int {
	if s == "" {
		c.add(path, "is missing", "write it like 07:00")
		return 0
	}
	minutes, ok := parseClock(s)
	if !ok || minutes > latest {
		c.add(path, fmt.Sprintf("%.20q is not a time from 00:00 to %s", s, clockText(latest)), "write it like 07:00")
		return 0
	}
	return minutes
}

func parseClock(s string) (int, bool) {
	if len(s) != 5 || s[2] != ':' {
		return 0, false
	}
	for _, i := range [...]int{0, 1, 3, 4} {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	hour, minute := int(s[0]-'0')*10+int(s[1]-'0'), int(s[3]-'0')*10+int(s[4]-'0')
	return hour*60 + minute, minute < 60
}

func clockText(minutes int) string { return fmt.Sprintf("%02d:%02d", minutes/60, minutes%60) }

// A planner makes the plans.
type planner struct {
	c        *checker
	t        *Tariff
	windows  []timeSpan // of bands
	demands  []timeSpan
	fallback int
	reported map[string]bool // windows whose overlap has been reported
}

func (p *planner) run() {
	for _, w := range slices.Concat(p.windows, p.demands) {
		p.t.plans.passes = p.t.plans.passes || w.to > minutesPerDay
	}
	p.t.plans.of = map[neighbours]int16{}
	p.t.plans.plain = make([]int16, (len(p.t.calendar.seasons)+1)*dayTypes)
	same := map[string]int16{}
	bands, demands := make([]bool, len(p.t.bands)), uint16(0)
	for _, n := range p.t.calendar.kinds() {
		if !p.t.plans.passes {
			n.before = n.day
		}
		if _, done := p.t.plans.of[n]; done {
			continue
		}
		plan := p.plan(n)
		for _, s := range plan {
			bands[s.band] = true
			demands |= s.demands
		}
		key := fmt.Sprint(plan)
		place, known := same[key]
		if !known {
			place = int16(len(p.t.plans.plans))
			same[key] = place
			p.t.plans.plans = append(p.t.plans.plans, plan)
		}
		p.t.plans.of[n] = place
		p.t.plans.plain[n.day] = place
	}
	p.unused(bands, demands)
}

// plan lays the windows over a day and joins neighbouring minutes that are
// alike. It reports windows of different bands that overlap.
func (p *planner) plan(n neighbours) dayPlan {
	bands := make([]minuteSet, len(p.t.bands))
	var taken minuteSet
	for i := range p.windows {
		w := &p.windows[i]
		on, some := w.on(n)
		if !some {
			continue
		}
		if minute := p.overlap(&on, &taken, &bands[w.target]); minute >= 0 {
			p.report(i, n, minute)
			continue
		}
		bands[w.target].add(&on)
		taken.add(&on)
	}
	demands := make([]minuteSet, len(p.t.demands))
	for i := range p.demands {
		on, _ := p.demands[i].on(n)
		demands[p.demands[i].target].add(&on)
	}
	var plan dayPlan
	for m := range minutesPerDay {
		s := stretch{start: int32(m) * 60, end: int32(m+1) * 60, band: int16(p.fallback)}
		if taken.has(m) {
			s.band = int16(slices.IndexFunc(bands, func(b minuteSet) bool { return b.has(m) }))
		}
		for i := range demands {
			if demands[i].has(m) {
				s.demands |= 1 << i
			}
		}
		if last := len(plan) - 1; last >= 0 && plan[last].band == s.band && plan[last].demands == s.demands {
			plan[last].end = s.end
			continue
		}
		plan = append(plan, s)
	}
	return plan
}

// overlap is the first minute of a window that another band has; -1 if there
// is none.
func (p *planner) overlap(on, taken, own *minuteSet) int {
	var others minuteSet
	for i := range others {
		others[i] = taken[i] &^ own[i]
	}
	return on.first(&others)
}

// report names the window before that has the minute.
func (p *planner) report(i int, n neighbours, minute int) {
	at := p.windows[i].path
	if p.reported[at] {
		return
	}
	p.reported[at] = true
	for k := range p.windows[:i] {
		w := &p.windows[k]
		if on, _ := w.on(n); w.target == p.windows[i].target || !on.has(minute) {
			continue
		}
		where := dayNames[n.day.dayType()]
		if season := n.day.season(); season > 0 {
			where += " in " + p.t.calendar.seasons[season-1]
		}
		p.c.add(at, fmt.Sprintf("overlaps %s on %s at %s", w.path, where, clockText(minute)), "give each minute of a day to one band")
		return
	}
}

// unused reports the bands and demand charges that never apply.
func (p *planner) unused(bands []bool, demands uint16) {
	if len(p.reported) > 0 {
		return
	}
	for i, r := range p.t.bands {
		if !bands[i] {
			p.c.add(join("energy.bands", r.Band), "never applies", "give it a window, or take it out")
		}
	}
	for i, terms := range p.t.doc.Demand {
		place := slices.IndexFunc(p.t.demands, func(d Demand) bool { return d.Name == terms.Name })
		if demands>>place&1 == 0 {
			p.c.add(index("demand", i), "never applies", "give it a window or a season that comes")
		}
	}
}
