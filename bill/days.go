package bill

import (
	"slices"
	"time"
)

const daySeconds = 24 * 60 * 60

// Days are the local days that a period touches, and when each begins. They
// depend on zone and period alone, so that one serves all bills of a run. They
// never change and may be shared.
type Days struct {
	from, to int64   // Unix seconds
	first    int64   // local day, counted from 1970-01-01
	begins   []int64 // Unix seconds; of the first, when the period does
}

// NewDays are the days of the period [from, to), which is not empty.
func NewDays(zone *time.Location, from, to time.Time) Days {
	from, to = from.In(zone), to.In(zone)
	d := Days{from: from.Unix(), to: to.Unix(), first: localDay(from)}
	d.begins = append(d.begins, d.from)
	for day := d.first + 1; ; day++ {
		begin := dayBegin(zone, day)
		if begin >= d.to {
			return d
		}
		d.begins = append(d.begins, max(begin, d.from))
	}
}

// Len is how many days they are.
func (d Days) Len() int { return len(d.begins) }

// Day is the i-th day, counted from 1970-01-01.
func (d Days) Day(i int) int64 { return d.first + int64(i) }

// Begin is when the i-th day begins within the period, in Unix seconds.
func (d Days) Begin(i int) int64 { return d.begins[i] }

// Date is the i-th day's date, like 2018-03-01.
func (d Days) Date(i int) string {
	return time.Unix(d.Day(i)*daySeconds, 0).UTC().Format(time.DateOnly)
}

// Index is the day that a time of the period belongs to.
func (d Days) Index(at int64) int {
	i, found := slices.BinarySearch(d.begins, at)
	if !found {
		return i - 1
	}
	for i+1 < len(d.begins) && d.begins[i+1] == at { // days that a zone left out
		i++
	}
	return i
}

// end is when the i-th day ends within the period.
func (d Days) end(i int) int64 {
	if i+1 < len(d.begins) {
		return d.begins[i+1]
	}
	return d.to
}

// dayBegin is the first second at which the zone's clock shows the day or a
// later one. A clock may be set across midnight, and a day left out.
func dayBegin(zone *time.Location, day int64) int64 {
	const farthest = 26 * time.Hour // more than any offset from UTC and change of it
	midnight := time.Unix(day*daySeconds, 0)
	for at := midnight.Add(-farthest).In(zone); ; {
		_, offset := at.Zone()
		begin := midnight.Unix() - int64(offset)
		start, end := at.ZoneBounds()
		if !start.IsZero() {
			begin = max(begin, start.Unix())
		}
		if end.IsZero() || begin < end.Unix() {
			return begin
		}
		at = end
	}
}
