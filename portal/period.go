package portal

import (
	"fmt"
	"net/url"
	"time"

	"github.com/wattveil/wattveil/consumer"
)

// span is the kind of a period.
type span string

// The kinds of periods that use is shown by.
const (
	byDay   span = "day"
	byWeek  span = "week"
	byMonth span = "month"
	byYear  span = "year"
)

var spans = [...]span{byDay, byWeek, byMonth, byYear}

// period is a local day, week, month or year.
type period struct {
	by       span
	from, to time.Time
}

// Of what a page can be about: dates far off make no sense, and a reading's
// time has 32 bits.
var (
	earliest = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	latest   = time.Date(2105, 1, 1, 0, 0, 0, 0, time.UTC)
)

// periodOf is the period of a kind around a local date.
func periodOf(by span, at time.Time) period {
	y, m, d := at.Date()
	day := func(y int, m time.Month, d int) time.Time { return consumer.DayStart(y, m, d, at.Location()) }
	switch by {
	case byWeek:
		d -= (int(at.Weekday()) + 6) % 7 // to Monday
		return period{by, day(y, m, d), day(y, m, d+7)}
	case byMonth:
		return period{by, day(y, m, 1), day(y, m+1, 1)}
	case byYear:
		return period{by, day(y, 1, 1), day(y+1, 1, 1)}
	default:
		return period{byDay, day(y, m, d), day(y, m, d+1)}
	}
}

// move is the period so many of its kind later.
func (p period) move(n int) period {
	y, m, d := p.from.Date()
	switch p.by {
	case byWeek:
		d += 7 * n
	case byMonth:
		m += time.Month(n)
	case byYear:
		y += n
	default:
		d += n
	}
	return periodOf(p.by, time.Date(y, m, d, 12, 0, 0, 0, p.from.Location()))
}

// lastYear is the period to compare with in the year before: the same
// weekdays of days and weeks, the same month of months.
func (p period) lastYear() period {
	switch p.by {
	case byDay:
		return p.move(-364)
	case byWeek:
		return p.move(-52)
	case byMonth:
		return p.move(-12)
	default:
		return p.move(-1)
	}
}

// step is what the period's buckets cover.
func (p period) step() consumer.Step {
	switch p.by {
	case byDay:
		return consumer.Seconds(int64(15 * time.Minute / time.Second))
	case byWeek:
		return consumer.Seconds(int64(time.Hour / time.Second))
	case byMonth:
		return consumer.Day
	default:
		return consumer.Month
	}
}

// finer is the kind of period that one of the buckets can be looked at by.
func (p period) finer() (span, bool) {
	switch p.by {
	case byYear:
		return byMonth, true
	case byMonth:
		return byDay, true
	default:
		return "", false
	}
}

const dateForm = "2006-01-02"

// query is the period as parameters of an address.
func (p period) query() url.Values {
	return url.Values{"by": {string(p.by)}, "at": {p.from.Format(dateForm)}}
}

// title is what the period is called.
func (p period) title(l locale) string {
	switch p.by {
	case byDay:
		return l.day(p.from) + " " + p.from.Format("2006")
	case byWeek:
		return l.day(p.from) + " – " + l.date(p.to.Add(-time.Hour))
	case byMonth:
		return l.month(p.from)
	default:
		return p.from.Format("2006")
	}
}

// bucket is what a bucket of the period is called.
func (p period) bucket(l locale, start time.Time) string {
	switch p.by {
	case byDay:
		return l.clock(start)
	case byWeek:
		return l.day(start) + ", " + l.clock(start)
	case byMonth:
		return l.day(start)
	default:
		return l.monthName(start.Month())
	}
}

// parsePeriod reads kind and date from an address. What is not there is the
// day, and the present.
func parsePeriod(q url.Values, now time.Time) (period, error) {
	by := byDay
	if given := q.Get("by"); given != "" {
		by = span(given)
		switch by {
		case byDay, byWeek, byMonth, byYear:
		default:
			return period{}, badRequest{"by", text{"day, week, month or year", "day, week, month oder year"}}
		}
	}
	at := now
	if given := q.Get("at"); given != "" {
		var err error
		if at, err = time.ParseInLocation(dateForm, given, now.Location()); err != nil {
			return period{}, badRequest{"at", text{"a date such as " + now.Format(dateForm), "ein Datum wie " + now.Format(dateForm)}}
		}
		at = at.Add(12 * time.Hour) // some days begin at 01:00
	}
	p := periodOf(by, at)
	if p.from.Before(earliest) || p.to.After(latest) {
		return period{}, badRequest{"at", text{
			fmt.Sprintf("a date from %d to %d", earliest.Year()+1, latest.Year()-1),
			fmt.Sprintf("ein Datum von %d bis %d", earliest.Year()+1, latest.Year()-1),
		}}
	}
	return p, nil
}
