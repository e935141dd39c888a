package source

import (
	"testing"
	"time"
)

func TestInstants(t *testing.T) {
	tests := []struct {
		zone, wall string
		want       []string // UTC
	}{
		{"Europe/Zurich", "2026-07-01T12:00", []string{"2026-07-01T10:00:00Z"}},
		{"Europe/Zurich", "2026-03-29T02:30", nil},
		{"Europe/Zurich", "2026-03-29T03:00", []string{"2026-03-29T01:00:00Z"}},
		{"Europe/Zurich", "2026-10-25T02:30", []string{"2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"}},
		{"Europe/Zurich", "2026-10-25T03:00", []string{"2026-10-25T02:00:00Z"}},
		{"Australia/Lord_Howe", "2026-10-04T02:15", nil},
		{"Australia/Lord_Howe", "2026-04-05T01:45", []string{"2026-04-04T14:45:00Z", "2026-04-04T15:15:00Z"}},
		{"Pacific/Apia", "2011-12-30T12:00", nil},
		{"Pacific/Apia", "2011-12-31T00:00", []string{"2011-12-30T10:00:00Z"}},
		{"Pacific/Kiritimati", "2026-01-01T00:00", []string{"2025-12-31T10:00:00Z"}},
		{"Etc/GMT+12", "2026-01-01T00:00", []string{"2026-01-01T12:00:00Z"}},
	}
	for _, tt := range tests {
		wall, ok := parseWall([]byte(tt.wall))
		if !ok {
			t.Fatal(tt.wall)
		}
		got := instants(zone(t, tt.zone), wall)
		if len(got) != len(tt.want) {
			t.Errorf("%s in %s: got %d moments, want %d", tt.wall, tt.zone, len(got), len(tt.want))
			continue
		}
		for i, at := range got {
			if stamp(at) != tt.want[i] {
				t.Errorf("%s in %s: got %s, want %s", tt.wall, tt.zone, stamp(at), tt.want[i])
			}
		}
	}
}

// Local days must cover time without gap or overlap, also where a zone changes
// clocks at midnight or drops a day.
func TestDaysCoverTime(t *testing.T) {
	for _, name := range []string{"UTC", "Europe/Zurich", "Australia/Lord_Howe", "America/Havana", "Asia/Beirut", "America/Sao_Paulo", "America/St_Johns", "Pacific/Apia", "Asia/Kathmandu", "America/Toronto"} {
		loc := zone(t, name)
		first := time.Date(2011, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
		if name == "America/Toronto" { // in 1919 clocks went from 23:30 to 00:30
			first = time.Date(1919, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
		}
		lastDate, _, lastEnd := dayOf(loc, first)
		for at := first; at < first+800*day; at += 900 {
			date, start, end := dayOf(loc, at)
			if at < start || at >= end {
				t.Fatalf("%s: %s is not in its day %d", name, stamp(at), date)
			}
			if date == lastDate && end == lastEnd {
				continue
			}
			if start != lastEnd || date <= lastDate {
				t.Fatalf("%s: day %d begins at %s, the one before ended at %s", name, date, stamp(start), stamp(lastEnd))
			}
			lastDate, lastEnd = date, end
		}
	}
}

func TestDayLengths(t *testing.T) {
	tests := []struct {
		zone  string
		date  string
		hours float64
	}{
		{"Europe/Zurich", "2026-03-28", 24},
		{"Europe/Zurich", "2026-03-29", 23},
		{"Europe/Zurich", "2026-10-25", 25},
		{"Australia/Lord_Howe", "2026-10-04", 23.5},
		{"Australia/Lord_Howe", "2026-04-05", 24.5},
		{"America/Havana", "2026-03-08", 23},
		{"America/Havana", "2026-11-01", 25},
	}
	for _, tt := range tests {
		loc := zone(t, tt.zone)
		noon, err := time.ParseInLocation("2006-01-02T15", tt.date+"T12", loc)
		if err != nil {
			t.Fatal(err)
		}
		date, start, end := dayOf(loc, noon.Unix())
		if got := float64(end-start) / 3600; got != tt.hours {
			t.Errorf("%s in %s has %v hours, want %v", tt.date, tt.zone, got, tt.hours)
		}
		if got := time.Unix(date*day, 0).UTC().Format(time.DateOnly); got != tt.date {
			t.Errorf("%s in %s is called %s", tt.date, tt.zone, got)
		}
	}
}
