package portal

import (
	"fmt"
	"net/url"
	"time"

	"github.com/wattveil/wattveil/consumer"
)

// dayRange is whole local days, from the start of one to the end of another.
type dayRange struct{ from, to time.Time }

// parseDays reads the first and the last day from an address or form.
func parseDays(q url.Values, zone *time.Location, most int) (r dayRange, err error) {
	first, err := parseDay(q, "from", zone)
	if err != nil {
		return r, err
	}
	last, err := parseDay(q, "to", zone)
	if err != nil {
		return r, err
	}
	y, m, d := last.Date()
	r = dayRange{first, consumer.DayStart(y, m, d+1, zone)}
	if !r.from.Before(r.to) {
		return r, badRequest{"to", text{"a day that is not before the first", "ein Tag, der nicht vor dem ersten liegt"}}
	}
	if r.days() > most {
		return r, badRequest{"to", text{
			fmt.Sprintf("a day at most %d days after the first", most-1), fmt.Sprintf("ein Tag höchstens %d Tage nach dem ersten", most-1)}}
	}
	return r, nil
}

// parseDay reads the start of a local day.
func parseDay(q url.Values, name string, zone *time.Location) (time.Time, error) {
	at, err := time.Parse(dateForm, q.Get(name))
	if err != nil || at.Before(earliest.AddDate(0, 0, 1)) || at.After(latest.AddDate(0, 0, -2)) {
		return at, badRequest{name, text{"a date such as 2026-06-17", "ein Datum wie 2026-06-17"}}
	}
	y, m, d := at.Date()
	return consumer.DayStart(y, m, d, zone), nil
}

func (r dayRange) days() int { return int((r.to.Sub(r.from) + 12*time.Hour) / (24 * time.Hour)) }

// last is within the last day.
func (r dayRange) last() time.Time { return r.to.Add(-time.Second).In(r.from.Location()) }

// title is what the days are called.
func (r dayRange) title(l locale) string {
	first, last := l.date(r.from), l.date(r.last())
	if first == last {
		return first
	}
	return first + " – " + last
}

// period is the range as a period, in buckets that suit its length.
func (r dayRange) period() period {
	by := byYear
	switch days := r.days(); {
	case days <= 1:
		by = byDay
	case days <= 8:
		by = byWeek
	case days <= 62:
		by = byMonth
	}
	return period{by, r.from, r.to}
}
