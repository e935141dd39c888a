package consumer

import (
	"testing"
	"time"
)

func TestDayStart(t *testing.T) {
	for _, c := range []struct{ zone, day, want string }{
		{"Europe/Zurich", "2026-06-17", "2026-06-17T00:00:00+02:00"},
		{"Europe/Zurich", "2026-03-29", "2026-03-29T00:00:00+01:00"},
		{"America/Sao_Paulo", "2012-10-21", "2012-10-21T01:00:00-02:00"}, // clocks went forward at midnight
		{"America/Sao_Paulo", "2012-02-26", "2012-02-26T00:00:00-03:00"}, // and back at midnight
		{"Asia/Beirut", "2022-03-27", "2022-03-27T01:00:00+03:00"},
	} {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		at, err := time.Parse("2006-01-02", c.day)
		if err != nil {
			t.Fatal(err)
		}
		if got := DayStart(at.Year(), at.Month(), at.Day(), zone).Format(time.RFC3339); got != c.want {
			t.Errorf("%s in %s begins at %s, want %s", c.day, c.zone, got, c.want)
		}
	}
}
