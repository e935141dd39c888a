package tariff

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// The years for which holiday calendars are known.
const (
	firstHolidayYear = 1970
	lastHolidayYear  = 2105
	// holidayDays is how many days those years have.
	holidayDays = 49673
)

// A calendar gives each local day its type and season.
type calendar struct {
	seasons  []string      // sorted; season number n is seasons[n-1], 0 is none
	ofYear   [12 * 31]byte // season of each day of the year; used if there are seasons
	holidays *[holidayDays/64 + 1]uint64
	bounded  bool // holidays are known for the years above only
}

// seasonSet is a set of season numbers. The zero value is all of them.
type seasonSet uint16

func (s seasonSet) has(season int) bool { return s == 0 || s>>season&1 != 0 }

// dayKind is a season number times [dayTypes] plus a day type.
type dayKind int

const dayTypes = len(dayNames)

func (k dayKind) season() int { return int(k) / dayTypes }

func (k dayKind) dayType() int { return int(k) % dayTypes }

// kind is that of a local day, counted from 1970-01-01.
func (c *calendar) kind(day int64) dayKind {
	// 1970-01-01 was a Thursday.
	dayType := int(floorMod(day+int64(time.Thursday), 7))
	if c.holidays != nil && uint64(day) < holidayDays && c.holidays[day/64]>>(day%64)&1 != 0 {
		dayType = holiday
	}
	return dayKind(c.season(day)*dayTypes + dayType)
}

// season is that of a local day, 0 if it is in none.
func (c *calendar) season(day int64) int {
	if len(c.seasons) == 0 {
		return 0
	}
	_, month, dom := civil(day)
	return int(c.ofYear[dayOfYear(month, dom)])
}

// civil is the date of a local day.
func civil(day int64) (year int, month time.Month, dayOfMonth int) {
	return time.Unix(day*secondsPerDay, 0).UTC().Date()
}

// dayNumber counts a local date from 1970-01-01.
func dayNumber(date time.Time) int64 { return floorDiv(date.Unix(), secondsPerDay) }

func dayOfYear(month time.Month, dayOfMonth int) int { return (int(month)-1)*31 + dayOfMonth - 1 }

// calendar checks seasons and holidays.
func (c *checker) calendar(t *Tariff) {
	c.seasons(t)
	if h := t.doc.Holidays; h != nil {
		c.holidays(&t.calendar, h)
	}
}

// seasons enters the seasons into the days of the year.
func (c *checker) seasons(t *Tariff) {
	const path = "seasons"
	if t.doc.Seasons == nil {
		return
	}
	if n := len(t.doc.Seasons); n == 0 || n > maxSeasons {
		c.add(path, fmt.Sprintf("has %d seasons", n), fmt.Sprintf("want 1 to %d", maxSeasons))
		return
	}
	cal := &t.calendar
	cal.seasons = slices.Sorted(maps.Keys(t.doc.Seasons))
	for i, name := range cal.seasons {
		at := join(path, name)
		if !isName(name, maxBandName) {
			c.add(at, "is not a season's name", nameFix(maxBandName))
		}
		ranges := t.doc.Seasons[name]
		if n := len(ranges); n == 0 || n > maxRanges {
			c.add(at, fmt.Sprintf("has %d ranges", n), fmt.Sprintf(`want 1 to %d, like {"from":"06-01","to":"09-30"}`, maxRanges))
		}
		for k, r := range ranges {
			c.dates(cal, index(at, k), i+1, r)
		}
	}
}

// dates enters one range of a season.
func (c *checker) dates(cal *calendar, at string, season int, r Dates) {
	from, okFrom := c.monthDay(join(at, "from"), r.From)
	to, okTo := c.monthDay(join(at, "to"), r.To)
	if !okFrom || !okTo {
		return
	}
	for day := from; ; day = (day + 1) % len(cal.ofYear) {
		if other := int(cal.ofYear[day]); other != 0 && other != season {
			c.add(at, fmt.Sprintf("shares %02d-%02d with season %s", day/31+1, day%31+1, cal.seasons[other-1]), "give each day to one season")
			return
		}
		cal.ofYear[day] = byte(season)
		if day == to {
			return
		}
	}
}

// monthDay reads MM-DD, as a place among the days of the year.
func (c *checker) monthDay(path, s string) (int, bool) {
	const fix = "write it like 06-01"
	if s == "" {
		c.add(path, "is missing", fix)
		return 0, false
	}
	// A leap year has every day.
	d, err := time.Parse(time.DateOnly, "2000-"+s)
	if err != nil || d.Format("01-02") != s {
		c.add(path, fmt.Sprintf("%.20q is not a day of the year", s), fix)
		return 0, false
	}
	return dayOfYear(d.Month(), d.Day()), true
}

// seasonNames checks a list of seasons, all of them if it is empty.
func (c *checker) seasonNames(t *Tariff, path string, names []string) seasonSet {
	var set seasonSet
	for i, name := range names {
		n := slices.Index(t.calendar.seasons, name) + 1
		switch {
		case n == 0 && len(t.calendar.seasons) == 0:
			c.add(index(path, i), fmt.Sprintf("no season is named %.40q", name), "define it in seasons")
		case n == 0:
			c.add(index(path, i), fmt.Sprintf("no season is named %.40q", name), "want one of "+strings.Join(t.calendar.seasons, ", "))
		case set != 0 && set.has(n):
			c.add(index(path, i), fmt.Sprintf("names %s again", name), "name each season once")
		}
		set |= 1 << n
	}
	return set
}

// holidays collects the days of a calendar, and those added and taken out.
func (c *checker) holidays(cal *calendar, h *Holidays) {
	const path = "holidays"
	cal.holidays = new([holidayDays/64 + 1]uint64)
	if h.Calendar == "" && len(h.Dates) == 0 {
		c.add(path+".calendar", "is missing", "give a calendar like DE-BY, or dates")
	}
	if h.When != "" && (h.When != "actual" && h.When != "observed" || h.Calendar == "") {
		c.add(path+".when", fmt.Sprintf("%.20q is not known, or stands without a calendar", h.When), "want actual or observed")
	}
	if h.Calendar != "" {
		c.known(cal, h)
	}
	for i, date := range h.Dates {
		c.mark(cal, index(path+".dates", i), date, h.Dates[:i], true)
	}
	for i, date := range h.Except {
		c.mark(cal, index(path+".except", i), date, h.Except[:i], false)
	}
}

// known enters the days of a named calendar.
func (c *checker) known(cal *calendar, h *Holidays) {
	list, ok := calendars()[h.Calendar]
	if !ok {
		c.add("holidays.calendar", fmt.Sprintf("%.20q is not a calendar known here", h.Calendar),
			"want the code of a country or a part of one, like DE, DE-BY or US; or give dates")
		return
	}
	cal.bounded = true
	// A holiday of January may be kept in the December before.
	for year := firstHolidayYear; year <= lastHolidayYear+1; year++ {
		for _, day := range list {
			actual, observed := day.Calc(year)
			if h.When == "observed" {
				actual = observed
			}
			if !actual.IsZero() {
				cal.set(dayNumber(dateOf(actual)), true)
			}
		}
	}
}

// dateOf is the date of what a calendar gives: the first instant of a day on
// this machine's clock, which may skip midnight.
func dateOf(t time.Time) time.Time {
	y, m, d := t.Add(2 * time.Hour).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

// set marks a day as a holiday or not.
func (c *calendar) set(day int64, on bool) {
	if day < 0 || day >= holidayDays {
		return
	}
	if on {
		c.holidays[day/64] |= 1 << (day % 64)
	} else {
		c.holidays[day/64] &^= 1 << (day % 64)
	}
}

// mark enters one date of the tariff's own list.
func (c *checker) mark(cal *calendar, path, s string, before []string, on bool) {
	const fix = "write it like 2018-12-24"
	d, err := time.Parse(time.DateOnly, s)
	switch {
	case s == "":
		c.add(path, "is empty", fix)
	case err != nil || d.Format(time.DateOnly) != s || d.Year() < firstHolidayYear || d.Year() > lastHolidayYear:
		c.add(path, fmt.Sprintf("%.20q is not a date of the years %d to %d", s, firstHolidayYear, lastHolidayYear), fix)
	case slices.Contains(before, s):
		c.add(path, "names "+s+" again", "name each date once")
	default:
		cal.set(dayNumber(d), on)
	}
}

// kinds lists the kinds of days that can come, each with those of the days
// that can come before it.
func (c *calendar) kinds() []neighbours {
	var list []neighbours
	seen := map[neighbours]bool{}
	for _, seasons := range c.seasonPairs() {
		for weekday := range 7 {
			before := (weekday + 6) % 7
			for _, b := range c.types(before) {
				for _, d := range c.types(weekday) {
					n := neighbours{
						before: dayKind(seasons[0]*dayTypes + b),
						day:    dayKind(seasons[1]*dayTypes + d),
					}
					if !seen[n] {
						seen[n] = true
						list = append(list, n)
					}
				}
			}
		}
	}
	return list
}

// neighbours are the kinds of two days that can follow each other.
type neighbours struct{ before, day dayKind }

// types are the types that a day of the week can have.
func (c *calendar) types(weekday int) []int {
	if c.holidays == nil {
		return []int{weekday}
	}
	return []int{weekday, holiday}
}

// seasonPairs are the seasons of days that follow each other.
func (c *calendar) seasonPairs() [][2]int {
	var list [][2]int
	// 2000 is a leap year, 2001 is not.
	first := dayNumber(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC))
	for day := first; day < first+2*366; day++ {
		if pair := [2]int{c.season(day - 1), c.season(day)}; !slices.Contains(list, pair) {
			list = append(list, pair)
		}
	}
	return list
}
