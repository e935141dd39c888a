package consumer

import "time"

// DayStart is the first instant of a local day. Most days begin at midnight;
// where clocks go forward at midnight there is none, and the day begins later.
// Months and days outside of their ranges count on, as in [time.Date].
func DayStart(year int, month time.Month, day int, zone *time.Location) time.Time {
	start := time.Date(year, month, day, 0, 0, 0, 0, zone)
	noon := time.Date(year, month, day, 12, 0, 0, 0, zone)
	if start.Day() != noon.Day() {
		if _, end := start.ZoneBounds(); end.Before(noon) && !end.IsZero() {
			return end.In(zone)
		}
	}
	return start
}
