package export

import (
	"fmt"
	"time"
)

// noRule is the DST rule of ESPI that says that there is none.
const noRule = 0xFFFFFFFF

// localTime is the LocalTimeParameters of the year around a time.
func localTime(zone *time.Location, at time.Time) string {
	year := at.In(zone).Year()
	start, end, offset, standard := clockChanges(zone, year)
	return fmt.Sprintf(`<LocalTimeParameters xmlns="http://naesb.org/espi"><dstEndRule>%08X</dstEndRule><dstOffset>%d</dstOffset>`+
		`<dstStartRule>%08X</dstStartRule><tzOffset>%d</tzOffset></LocalTimeParameters>`, end, offset, start, standard)
}

// clockChanges gives ESPI's rules of a year: the clock goes forward once and
// back once, by a rule that also gave the changes of the year before.
func clockChanges(zone *time.Location, year int) (start, end uint32, offset, standard int) {
	_, standard = time.Date(year, 12, 31, 12, 0, 0, 0, zone).Zone()
	changes := changesOf(zone, year)
	if len(changes) != 2 || changes[0].toSummer == changes[1].toSummer {
		return noRule, noRule, 0, standard
	}
	before := changesOf(zone, year-1)
	for i := range changes {
		c := changes[i]
		rule, ok := ruleOf(c, before)
		if !ok {
			return noRule, noRule, 0, standardOf(changes)
		}
		if c.toSummer {
			start = rule
		} else {
			end = rule
		}
	}
	return start, end, max(changes[0].by, changes[1].by), standardOf(changes)
}

// change is a moment at which the offset changes.
type change struct {
	clock    time.Time // what the clock showed just before, as UTC
	by       int       // seconds, forward if above 0
	before   int       // offset, seconds
	toSummer bool
}

func standardOf(changes []change) int { return min(changes[0].before, changes[1].before) }

func changesOf(zone *time.Location, year int) (list []change) {
	end := time.Date(year+1, 1, 1, 0, 0, 0, 0, zone)
	for at := time.Date(year, 1, 1, 0, 0, 0, 0, zone); ; {
		_, next := at.ZoneBounds()
		if next.IsZero() || !next.Before(end) {
			return list
		}
		_, before := next.Add(-time.Second).In(zone).Zone()
		_, after := next.In(zone).Zone()
		if before != after {
			list = append(list, change{
				clock: next.UTC().Add(time.Duration(before) * time.Second), by: after - before, before: before, toSummer: after > before,
			})
		}
		at = next
	}
}

// The operators of a rule: the first to fifth such weekday of the month, and
// its last.
const (
	operatorFirst = 2
	operatorLast  = 7
)

// ruleOf is a rule that gives a change and that of the year before, in the same
// direction: by the last such weekday of its month, or the n-th.
func ruleOf(c change, before []change) (rule uint32, ok bool) {
	for _, b := range before {
		if b.toSummer != c.toSummer || b.clock.Month() != c.clock.Month() || b.clock.Weekday() != c.clock.Weekday() ||
			b.clock.Hour() != c.clock.Hour() || b.clock.Minute() != c.clock.Minute() {
			continue
		}
		switch {
		case isLast(c.clock) && isLast(b.clock):
			return encodeRule(c.clock, operatorLast), true
		case nth(c.clock) == nth(b.clock):
			return encodeRule(c.clock, operatorFirst+uint32(nth(c.clock))), true
		}
	}
	return 0, false
}

func isLast(at time.Time) bool { return at.AddDate(0, 0, 7).Month() != at.Month() }
func nth(at time.Time) int     { return (at.Day() - 1) / 7 }

// encodeRule packs a rule: month 4 bits, operator 3, day of month 5, weekday 3
// (Monday 1 to Sunday 7), hour 5, second of the hour 12.
func encodeRule(at time.Time, operator uint32) uint32 {
	weekday := uint32(at.Weekday()+6)%7 + 1
	return uint32(at.Month())<<28 | operator<<25 | weekday<<17 | uint32(at.Hour())<<12 | uint32(at.Minute()*60+at.Second())
}
