package tariff

import (
	"math/big"
	"time"
)

// Months is how many calendar months the local days from first to last,
// counted from 1970-01-01 and both included, are: of each month, its days
// among them divided by its days.
func Months(first, last int64) *big.Rat {
	sum := new(big.Rat)
	for m := MonthOf(first); m.First() <= last; m++ {
		sum.Add(sum, big.NewRat(min(last, m.Last())-max(first, m.First())+1, m.Days()))
	}
	return sum
}

// MonthsText writes a number of months as a bill does: without decimals if it
// is whole, else with 8, rounded half away from zero.
func MonthsText(months *big.Rat) Decimal {
	if months.IsInt() {
		return RoundRat(months, 0)
	}
	return RoundRat(months, maxFrac)
}

// Month is a calendar month, counted from January 1970.
type Month int

// MonthOf is the month of a local day, counted from 1970-01-01.
func MonthOf(day int64) Month {
	year, month, _ := civil(day)
	return Month((year-1970)*12 + int(month) - 1)
}

// ParseMonth reads what [Month.String] writes.
func ParseMonth(s string) (Month, bool) {
	t, err := time.Parse("2006-01", s)
	if err != nil || t.Format("2006-01") != s {
		return 0, false
	}
	return MonthOf(dayNumber(t)), true
}

// First is the month's first local day, counted from 1970-01-01.
func (m Month) First() int64 { return dayNumber(m.start()) }

// Last is the month's last local day.
func (m Month) Last() int64 { return (m + 1).First() - 1 }

// Days is how many days the month has.
func (m Month) Days() int64 { return (m + 1).First() - m.First() }

// String is the month like 2018-03.
func (m Month) String() string { return m.start().Format("2006-01") }

func (m Month) start() time.Time { return time.Date(1970, 1+time.Month(m), 1, 0, 0, 0, 0, time.UTC) }
