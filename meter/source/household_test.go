package source

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
)

func TestHouseholdIsRepeatable(t *testing.T) {
	loc := zone(t, "Europe/Zurich")
	start := time.Date(2026, 3, 1, 0, 0, 0, 0, loc).Unix()
	const n = 40 * 96
	type energy struct{ imp, exp wattveil.Wh }
	want := make([]energy, n)
	for home := range 8 {
		h := NewHousehold(3, home, loc, 900)
		for i := range want {
			want[i].imp, want[i].exp, _ = h.Energy(start + int64(i)*900)
		}
		other := NewHousehold(3, home, loc, 900)
		for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(n)[:400] {
			imp, exp, ok := other.Energy(start + int64(i)*900)
			if imp != want[i].imp || exp != want[i].exp || !ok {
				t.Fatalf("household %d interval %d: %d and %d, before %d and %d",
					home, i, int64(imp), int64(exp), int64(want[i].imp), int64(want[i].exp))
			}
		}
		if h.Describe() != other.Describe() {
			t.Errorf("household %d is %s and %s", home, h.Describe(), other.Describe())
		}
	}
}

// Readings that were published, in a demo or a bug report, must come back from
// every later version. Another architecture may round one Wh otherwise.
func TestHouseholdStaysTheSame(t *testing.T) {
	loc := zone(t, "Europe/Zurich")
	start := time.Date(2026, 6, 15, 0, 0, 0, 0, loc).Unix()
	tests := []struct {
		home     int
		describe string
		imp, exp wattveil.Wh
	}{
		{0, "2 persons, 7.8 kWp PV", 1457, 40408},
		{1, "4 persons, electric water heating", 17394, 0},
		{2, "2 persons", 6775, 0},
		{3, "3 persons, electric water heating", 13349, 0},
		{4, "2 persons, heat pump", 13264, 0},
		{10, "5 persons, 10.8 kWp PV, electric car", 7493, 57520},
	}
	for _, tt := range tests {
		h := NewHousehold(1, tt.home, loc, 900)
		if h.Describe() != tt.describe {
			t.Errorf("household %d is %q, want %q", tt.home, h.Describe(), tt.describe)
		}
		imp, exp := sum(h, start, start+day, 900)
		if near(imp, tt.imp) > 1 || near(exp, tt.exp) > 1 {
			t.Errorf("household %d takes %d and feeds %d Wh, want %d and %d",
				tt.home, int64(imp), int64(exp), int64(tt.imp), int64(tt.exp))
		}
	}
}

func near(a, b wattveil.Wh) wattveil.Wh { return max(a-b, b-a) }

func sum(l Load, from, to, res int64) (imp, exp wattveil.Wh) {
	for at := from; at < to; at += res {
		i, e, _ := l.Energy(at)
		imp += i
		exp += e
	}
	return imp, exp
}

func TestHouseholdSumsAgreeAtAllResolutions(t *testing.T) {
	resolutions := []int64{1, 10, 45, 60, 75, 90, 100, 144, 225, 300, 400, 900, 1800, 3600}
	tests := []struct {
		zone string
		from string // UTC
		days int64
	}{
		{"UTC", "2026-06-01T00:00:00Z", 1},
		{"Europe/Zurich", "2026-03-28T23:00:00Z", 1},
		{"Europe/Zurich", "2026-10-24T22:00:00Z", 2},
		{"Asia/Kathmandu", "2026-06-01T00:00:00Z", 2}, // local midnight cuts hours in UTC
		{"Australia/Lord_Howe", "2026-10-03T00:00:00Z", 2},
	}
	for _, tt := range tests {
		at, err := time.Parse(time.RFC3339, tt.from)
		if err != nil {
			t.Fatal(err)
		}
		home := solarHome(t, zone(t, tt.zone))
		from := at.Unix()
		wantImp, wantExp := sum(NewHousehold(5, home, zone(t, tt.zone), 3600), from, from+tt.days*day, 3600)
		if wantImp == 0 || wantExp == 0 {
			t.Errorf("household %d has %d and %d Wh; the test needs both", home, int64(wantImp), int64(wantExp))
		}
		for _, res := range resolutions {
			imp, exp := sum(NewHousehold(5, home, zone(t, tt.zone), wattveil.Resolution(res)), from, from+tt.days*day, res)
			if imp != wantImp || exp != wantExp {
				t.Errorf("%s from %s by %d s: %d and %d Wh, by the hour %d and %d",
					tt.zone, tt.from, res, int64(imp), int64(exp), int64(wantImp), int64(wantExp))
			}
		}
	}
}

// solarHome is the first household of seed 5 with a roof.
func solarHome(t *testing.T, loc *time.Location) int {
	t.Helper()
	for n := range 200 {
		if strings.Contains(NewHousehold(5, n, loc, 900).Describe(), "PV") {
			return n
		}
	}
	t.Fatal("no household with PV")
	return 0
}

func TestHouseholdOffGrid(t *testing.T) {
	for _, res := range []int64{30, 60, 900} {
		h := NewHousehold(5, 3, nil, wattveil.Resolution(res))
		from := time.Date(2026, 1, 1, 23, 50, 0, 0, time.UTC).Unix()
		for shift := range int64(120) {
			a, _, ok := h.Energy(from + shift)
			if !ok {
				t.Fatal("no energy off the grid")
			}
			b, _, _ := h.Energy(from + shift + res)
			both, _ := sum(NewHousehold(5, 3, nil, 1), from+shift, from+shift+2*res, 1)
			if a+b != both {
				t.Errorf("intervals of %d s from %d s: %d Wh, by the second %d", res, shift, int64(a+b), int64(both))
			}
		}
	}
}

func TestHouseholdRange(t *testing.T) {
	h := NewHousehold(1, 0, nil, 900)
	for _, tt := range []struct {
		start int64
		want  bool
	}{
		{-900, false}, {-1 << 63, false}, {0, true}, {maxTime - 900, true}, {maxTime, false}, {1<<63 - 1, false},
	} {
		if _, _, ok := h.Energy(tt.start); ok != tt.want {
			t.Errorf("at %d: ok is %v", tt.start, ok)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a resolution of zero did not panic")
		}
	}()
	NewHousehold(1, 0, nil, 0)
}

// A communal mean hides it if one day's clock change shifts habits, so this
// looks at when dinner, the tallest hour of a plain community's day, is.
func TestHouseholdClockChangeDays(t *testing.T) {
	loc := zone(t, "Europe/Zurich")
	for _, tt := range []struct {
		month     time.Month
		date      int
		intervals int
	}{
		{time.March, 28, 96}, {time.March, 29, 92}, {time.October, 25, 100},
	} {
		start := time.Date(2026, tt.month, tt.date, 0, 0, 0, 0, loc)
		end := start.AddDate(0, 0, 1).Unix()
		if got := int(end-start.Unix()) / 900; got != tt.intervals {
			t.Fatalf("%s has %d intervals", start, got)
		}
		var hours [24]int64
		for n := range 150 {
			h := NewHousehold(5, n, loc, 900)
			if strings.Contains(h.Describe(), ",") {
				continue
			}
			for at := start.Unix(); at < end; at += 900 {
				imp, _, _ := h.Energy(at)
				hours[time.Unix(at, 0).In(loc).Hour()] += int64(imp)
			}
		}
		tallest := 0
		for hour, wh := range hours {
			if wh > hours[tallest] {
				tallest = hour
			}
		}
		if tallest != 18 && tallest != 19 {
			t.Errorf("on %s people eat at %d", start.Format(time.DateOnly), tallest)
		}
	}
}

func BenchmarkHouseholdForward(b *testing.B) {
	h := NewHousehold(5, solarForBenchmark, zone(b, "Europe/Zurich"), 900)
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	b.ReportAllocs()
	for i := int64(0); b.Loop(); i++ {
		h.Energy(start + i*900%(365*day))
	}
}

func BenchmarkHouseholdAnotherDay(b *testing.B) {
	loc := zone(b, "Europe/Zurich")
	h := NewHousehold(5, solarForBenchmark, loc, 900)
	start := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC).Unix()
	b.ReportAllocs()
	for i := int64(0); b.Loop(); i++ {
		h.Energy(start + i*day%(365*day))
	}
}

// solarForBenchmark is a household of seed 5 with a roof, the dearest to simulate.
const solarForBenchmark = 4
