package tariff

import (
	"fmt"
	"slices"
	"strings"
)

// minutesPerDay is the resolution at which windows divide a day.
const minutesPerDay = 24 * 60

// dayPlan divides one local day into stretches of one band, in rising order;
// the last one ends at the day's nominal end.
type dayPlan []stretch

type stretch struct {
	start, end int32 // seconds of the local clock since 00:00
	band       int32 // place among the tariff's sorted bands
}

// grid says for each minute of one weekday which window covers it, counted
// from 1; 0 is none.
type grid [minutesPerDay]int

// windows checks the windows and compiles them into one plan per weekday.
func (c *checker) windows(t *Tariff) {
	const path = "energy.windows"
	windows := t.doc.Energy.Windows
	fallback, ok := c.band(t, "energy.default", t.doc.Energy.Default)
	if len(windows) > maxWindows {
		c.add(path, fmt.Sprintf("has %d windows", len(windows)), fmt.Sprintf("at most %d are allowed", maxWindows))
		return
	}
	var week [len(dayNames)]grid
	bandOf := make([]int, len(windows)+1)
	bandOf[0] = fallback
	for i, w := range windows {
		at := index(path, i)
		band, known := c.band(t, join(at, "band"), w.Band)
		bandOf[i+1] = band
		ok = c.place(&week, bandOf, i, w) && known && ok
	}
	if !ok {
		return
	}
	for day := range week {
		t.week[day] = plan(&week[day], bandOf)
	}
	c.unused(t)
}

// place enters a window into the week's grid and reports what is wrong with
// it, the first overlap included.
func (c *checker) place(week *[len(dayNames)]grid, bandOf []int, i int, w Window) bool {
	at := index("energy.windows", i)
	days, ok := c.days(join(at, "days"), w.Days)
	from, okFrom := c.clock(join(at, "from"), w.From, minutesPerDay-1)
	to, okTo := c.clock(join(at, "to"), w.To, minutesPerDay)
	if !ok || !okFrom || !okTo {
		return false
	}
	if from == to {
		c.add(at, fmt.Sprintf("from and to are both %s", w.From), "write 00:00 to 24:00 for the whole day")
		return false
	}
	length := to - from
	if length < 0 {
		length += minutesPerDay
	}
	for _, day := range days {
		for m := from; m < from+length; m++ {
			on := (day + m/minutesPerDay) % len(dayNames)
			cell := &week[on][m%minutesPerDay]
			if *cell != 0 && bandOf[*cell] != bandOf[i+1] {
				c.add(at, fmt.Sprintf("overlaps %s on %s at %s", index("energy.windows", *cell-1), dayNames[on], clockText(m%minutesPerDay)),
					"give each minute of a day to one band")
				return false
			}
			*cell = i + 1
		}
	}
	return true
}

// days reads the weekdays of a window.
func (c *checker) days(path string, names []string) ([]int, bool) {
	if len(names) == 0 {
		c.add(path, "names no day", "want some of "+dayList())
		return nil, false
	}
	days, ok := make([]int, 0, len(names)), true
	for i, name := range names {
		day := slices.Index(dayNames[:], name)
		switch {
		case day < 0:
			c.add(index(path, i), fmt.Sprintf("%.20q is not a day", name), "want one of "+dayList())
			ok = false
		case slices.Contains(days, day):
			c.add(index(path, i), fmt.Sprintf("names %s again", name), "name each day once")
			ok = false
		default:
			days = append(days, day)
		}
	}
	return days, ok
}

func dayList() string {
	return strings.Join(append(slices.Clone(dayNames[1:]), dayNames[0]), ", ")
}

// clock reads HH:MM, from 00:00 to latest, in minutes.
func (c *checker) clock(path, s string, latest int) (int, bool) {
	if s == "" {
		c.add(path, "is missing", "write it like 07:00")
		return 0, false
	}
	minutes, ok := parseClock(s)
	if !ok || minutes > latest {
		c.add(path, fmt.Sprintf("%.20q is not a time from 00:00 to %s", s, clockText(latest)), "write it like 07:00")
		return 0, false
	}
	return minutes, true
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

// plan joins neighbouring minutes of one band.
func plan(g *grid, bandOf []int) dayPlan {
	var p dayPlan
	for m, cell := range g {
		start, band := int32(m)*60, int32(bandOf[cell])
		if n := len(p); n > 0 && p[n-1].band == band {
			p[n-1].end = start + 60
			continue
		}
		p = append(p, stretch{start: start, end: start + 60, band: band})
	}
	return p
}

// unused reports the bands that apply at no time of the week.
func (c *checker) unused(t *Tariff) {
	used := make([]bool, len(t.bands))
	for _, plan := range t.week {
		for _, s := range plan {
			used[s.band] = true
		}
	}
	for i, r := range t.bands {
		if !used[i] {
			c.add(join("energy.bands", r.Band), "never applies", "give it a window, or take it out")
		}
	}
}
