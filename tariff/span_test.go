package tariff_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	_ "time/tzdata"

	"github.com/wattveil/wattveil/tariff"
)

// zones have clocks that change by an hour, by half an hour, at midnight, at
// one minute past midnight, by a day, and not at all.
var zones = [...]string{
	"UTC", "Europe/Zurich", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo",
	"America/St_Johns", "Pacific/Apia", "Asia/Kolkata", "Asia/Beirut",
}

// naiveBand reads the windows of a document one by one.
func naiveBand(t testing.TB, doc tariff.Document, zone *time.Location, at time.Time) string {
	t.Helper()
	local := at.In(zone)
	clock := local.Format("15:04")
	day := func(back int) string {
		return strings.ToLower(time.Weekday((int(local.Weekday()) - back + 7) % 7).String()[:3])
	}
	for _, w := range doc.Energy.Windows {
		today, yesterday := slices.Contains(w.Days, day(0)), slices.Contains(w.Days, day(1))
		switch {
		case w.From < w.To && today && clock >= w.From && clock < w.To:
			return w.Band
		case w.From > w.To && today && clock >= w.From:
			return w.Band
		case w.From > w.To && yesterday && clock < w.To:
			return w.Band
		}
	}
	return doc.Energy.Default
}

func weekly(t testing.TB, zone string) *tariff.Tariff {
	t.Helper()
	weekdays := []string{"mon", "tue", "wed", "thu", "fri"}
	made, err := tariff.New(tariff.Document{
		ID: "weekly", Currency: "CHF", Timezone: zone, ValidFrom: "1970-01-01",
		Energy: tariff.Energy{
			Bands:   map[string]tariff.Band{"a": {Import: "1"}, "b": {Import: "2"}, "c": {Import: "3"}, "d": {Import: "4"}},
			Default: "d",
			Windows: []tariff.Window{
				{Band: "a", Days: weekdays, From: "07:00", To: "20:00"},
				{Band: "a", Days: []string{"wed"}, From: "06:30", To: "07:30"},
				{Band: "b", Days: []string{"fri", "sat"}, From: "22:15", To: "05:01"},
				{Band: "c", Days: []string{"sun"}, From: "12:00", To: "24:00"},
				{Band: "c", Days: []string{"tue"}, From: "23:00", To: "00:00"},
			},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestBandAgreesWithTheWindows(t *testing.T) {
	for _, zone := range zones {
		made := weekly(t, zone)
		doc := made.Document()
		rng := rand.New(rand.NewPCG(1, 2))
		check := func(at time.Time) {
			if got, want := made.Band(at), naiveBand(t, doc, made.Zone(), at); got != want {
				t.Fatalf("%s: band %s at %v, want %s", zone, got, at.In(made.Zone()), want)
			}
		}
		for range 5000 {
			check(time.Unix(rng.Int64N(4e9)-1e8, 0))
		}
		// Every quarter of an hour of years in which clocks changed oddly.
		for _, year := range []int{2008, 2011, 2018} {
			start := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
			for at := start; at.Year() == year; at = at.Add(45 * time.Minute) {
				check(at)
			}
		}
	}
}

// Spans join without a gap, hold one band and one day each, and do not depend
// on where in them one asks.
func TestSpansTileTime(t *testing.T) {
	for _, zone := range zones {
		made := weekly(t, zone)
		cursor := made.Cursor()
		at := time.Date(2011, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
		for end := at + 366*86400; at < end; {
			span := cursor.Span(at)
			if span.Start > at || span.End <= at || span.End-span.Start > 86400 {
				t.Fatalf("%s: the span around %d is %+v", zone, at, span)
			}
			fresh := made.Cursor()
			if last := fresh.Span(span.End - 1); last != span {
				t.Fatalf("%s: asked at its end, span %+v is %+v", zone, span, last)
			}
			y, m, d := time.Unix(at, 0).In(made.Zone()).Date()
			if day := time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / 86400; day != span.Day {
				t.Fatalf("%s: day %d at %d, want %d", zone, span.Day, at, day)
			}
			at = span.End
		}
	}
}

func TestSpansAtClockChanges(t *testing.T) {
	made := parse(t, strings.NewReplacer(`"from":"07:00","to":"20:00"`, `"from":"01:30","to":"02:30"`, `"fri"`, `"fri","sun"`).Replace(tou))
	for name, c := range map[string]struct {
		day  string
		want string // band of each half hour from 01:00 on
	}{
		"plain":  {"2018-03-18", "offpeak peak peak offpeak offpeak offpeak"},
		"spring": {"2018-03-25", "offpeak peak offpeak offpeak offpeak offpeak"}, // 02:00 is 03:00
		"autumn": {"2018-10-28", "offpeak peak peak offpeak peak offpeak"},       // 02:00 to 03:00 twice
	} {
		start, err := time.ParseInLocation(time.DateOnly, c.day, made.Zone())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for i := range 6 {
			got = append(got, made.Band(start.Add(time.Hour+time.Duration(i)*30*time.Minute)))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: bands %q, want %q", name, got, c.want)
		}
	}
}

func TestSpanOfExtremeTimes(t *testing.T) {
	made := parse(t, tou)
	cursor := made.Cursor()
	for _, at := range []int64{-1 << 40, -1, 0, 1 << 40, math.MaxInt32} {
		if span := cursor.Span(at); span.Start > at || span.End <= at {
			t.Errorf("the span around %d is %+v", at, span)
		}
	}
}

func TestCursorAllocatesNothing(t *testing.T) {
	made := weekly(t, "Europe/Zurich")
	at := time.Date(2018, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	if n := testing.AllocsPerRun(10, func() {
		cursor := made.Cursor()
		for i := range int64(1000) {
			cursor.Span(at + i*3600)
		}
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func BenchmarkCursorMonth(b *testing.B) {
	made := weekly(b, "Europe/Zurich")
	from := time.Date(2018, 3, 1, 0, 0, 0, 0, made.Zone()).Unix()
	to := time.Date(2018, 4, 1, 0, 0, 0, 0, made.Zone()).Unix()
	b.ReportAllocs()
	for b.Loop() {
		cursor := made.Cursor()
		for at := from; at < to; {
			at = cursor.Span(at).End
		}
	}
}
