package portal

import (
	"net/url"
	"testing"
	"time"
)

// TestPeriodsFollowEachOther: periods of a kind have no gap and no overlap,
// over changes of the clock and of zones.
func TestPeriodsFollowEachOther(t *testing.T) {
	for _, zone := range []string{"Europe/Zurich", "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Apia", "UTC"} {
		location := mustZone(zone)
		for _, by := range spans {
			p := periodOf(by, time.Date(2011, 12, 1, 12, 0, 0, 0, location))
			for range 400 {
				if p.to.Year() > 2100 {
					break
				}
				later := p.move(1)
				if !p.from.Before(p.to) || !later.from.Equal(p.to) {
					t.Fatalf("%s in %s: %v to %v is followed by %v", by, zone, p.from, p.to, later.from)
				}
				if back := later.move(-1); !back.from.Equal(p.from) && zone != "Pacific/Apia" { // where a day was left out
					t.Fatalf("%s in %s: back from %v is %v", by, zone, later.from, back.from)
				}
				parsed, err := parsePeriod(p.query(), p.from)
				if err != nil || !parsed.from.Equal(p.from) || !parsed.to.Equal(p.to) {
					t.Fatalf("%s in %s: %v reads back as %v, %v", by, zone, p.from, parsed.from, err)
				}
				p = later
			}
		}
	}
}

func TestWeeksBeginOnMonday(t *testing.T) {
	for day := range 14 {
		p := periodOf(byWeek, time.Date(2026, 6, 8+day, 9, 0, 0, 0, fakeZone))
		if p.from.Weekday() != time.Monday || p.from.Day() != 8+day/7*7 {
			t.Errorf("the week of June %d begins at %v", 8+day, p.from)
		}
	}
}

func TestLastYearHasTheSameWeekdays(t *testing.T) {
	p := periodOf(byWeek, time.Date(2026, 6, 17, 0, 0, 0, 0, fakeZone)).lastYear()
	if p.from.Format(dateForm) != "2025-06-16" {
		t.Errorf("the week of a year before begins on %v", p.from)
	}
	if p := periodOf(byMonth, time.Date(2024, 2, 29, 0, 0, 0, 0, fakeZone)).lastYear(); p.from.Format(dateForm) != "2023-02-01" {
		t.Errorf("the month of a year before begins on %v", p.from)
	}
}

func TestParsePeriodRefuses(t *testing.T) {
	for _, q := range []string{"by=hour", "at=2026-13-01", "at=tomorrow", "at=1999-12-31", "at=2106-01-01", "by=year&at=0001-01-01", "by=%00"} {
		values, err := url.ParseQuery(q)
		if err != nil {
			t.Fatal(err)
		}
		if p, err := parsePeriod(values, fakeNow); err == nil {
			t.Errorf("%s is taken for %v", q, p)
		}
	}
}
