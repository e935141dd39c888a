package rating_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/rating"
)

func TestRateRefuses(t *testing.T) {
	of := parse(t, tou)
	from, to := local(t, of, "2018-03-05 00:00"), local(t, of, "2018-03-06 00:00")
	const quarter = 900
	type list = []wattveil.Interval
	for name, c := range map[string]struct {
		change func(list) list
		fault  rating.Fault
		text   string
	}{
		"nothing": {func(list) list { return nil },
			rating.ErrGap, "readings are missing between 2018-03-05 00:00:00 +01:00 and 2018-03-06 00:00:00 +01:00 (Europe/Zurich)"},
		"gap at the start": {func(l list) list { return l[2:] },
			rating.ErrGap, "between 2018-03-05 00:00:00 +01:00 and 2018-03-05 00:30:00 +01:00"},
		"gap inside": {func(l list) list { return slices.Delete(l, 10, 12) },
			rating.ErrGap, "between 2018-03-05 02:30:00 +01:00 and 2018-03-05 03:00:00 +01:00"},
		"gap at a change of band": {func(l list) list { return slices.Delete(l, 28, 29) },
			rating.ErrGap, "between 2018-03-05 07:00:00 +01:00 and 2018-03-05 07:15:00 +01:00"},
		"gap at the end": {func(l list) list { return l[:94] },
			rating.ErrGap, "between 2018-03-05 23:30:00 +01:00 and 2018-03-06 00:00:00 +01:00"},
		"long": {func(l list) list { l[4].End += quarter; return slices.Delete(l, 5, 6) },
			rating.ErrLong, "2018-03-05 01:00:00 +01:00 to 2018-03-05 01:30:00 +01:00"},
		"before": {func(l list) list {
			return append(list{{Start: l[0].Start - quarter, End: l[0].Start}}, l...)
		}, rating.ErrOutside, "2018-03-04 23:45:00 +01:00"},
		"after": {func(l list) list {
			return append(l, wattveil.Interval{Start: to.Unix(), End: to.Unix() + quarter})
		}, rating.ErrOutside, "2018-03-06 00:00:00 +01:00"},
		"across the end": {func(l list) list {
			return cover(from, to.Add(time.Minute), 7*time.Minute, constant(1, 0))
		}, rating.ErrOutside, "2018-03-05 23:55:00 +01:00 to 2018-03-06 00:02:00 +01:00"},
		"twice":    {func(l list) list { return slices.Insert(l, 5, l[4]) }, rating.ErrOrder, "01:00:00"},
		"overlap":  {func(l list) list { l[5].Start -= 60; return l }, rating.ErrOrder, "01:14:00"},
		"empty":    {func(l list) list { l[5].End = l[5].Start; return l }, rating.ErrOrder, "01:15:00"},
		"reversed": {func(l list) list { l[5].End = l[5].Start - 1; return l }, rating.ErrOrder, "01:15:00"},
		"negative": {func(l list) list { l[5].Import = -1; return l }, rating.ErrEnergy, "01:15:00"},
		"huge":     {func(l list) list { l[5].Export = 1 << 40; return l }, rating.ErrEnergy, "01:15:00"},
		"far":      {func(l list) list { l[5].Start = math.MinInt64; return l }, rating.ErrOutside, ""},
		"very far": {func(l list) list { l[5].End = math.MaxInt64; return l }, rating.ErrOutside, ""},
	} {
		t.Run(name, func(t *testing.T) {
			intervals := c.change(cover(from, to, 15*time.Minute, constant(7777, 0)))
			_, err := rating.Rate(of, intervals, from, to)
			checkFault(t, err, c.fault, c.text)
		})
	}
}

func checkFault(t *testing.T, err error, fault rating.Fault, text string) {
	t.Helper()
	var refusal *rating.Error
	if !errors.As(err, &refusal) || !errors.Is(err, fault) || !strings.Contains(err.Error(), text) {
		t.Fatalf("error %v, want %q with %q", err, fault, text)
	}
	if zone := refusal.From.Location().String(); zone != "Europe/Zurich" {
		t.Errorf("the error is in zone %s", zone)
	}
	if strings.Contains(err.Error(), "7777") {
		t.Errorf("the error names an energy: %v", err)
	}
}

func TestRateRefusesPeriods(t *testing.T) {
	of := parse(t, tou)
	day := local(t, of, "2018-03-05 00:00")
	for name, c := range map[string]struct {
		from, to time.Time
		fault    rating.Fault
	}{
		"empty":        {day, day, rating.ErrPeriod},
		"reversed":     {day, day.Add(-time.Hour), rating.ErrPeriod},
		"fraction":     {day, day.Add(time.Hour + 1), rating.ErrPeriod},
		"zero":         {time.Time{}, day, rating.ErrPeriod},
		"far":          {day, day.AddDate(9000, 0, 0), rating.ErrPeriod},
		"before valid": {local(t, of, "2017-12-31 23:00"), day, rating.ErrNotValid},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := rating.Rate(of, nil, c.from, c.to)
			checkFault(t, err, c.fault, "")
		})
	}
	first := local(t, of, "2018-01-01 00:00")
	if _, err := rating.Rate(of, cover(first, first.Add(time.Hour), 15*time.Minute, constant(1, 0)), first, first.Add(time.Hour)); err != nil {
		t.Errorf("the first hour of the tariff is refused: %v", err)
	}
}

// With the resolution told, a change of resolution within the period is no gap.
func TestRateAt(t *testing.T) {
	of := parse(t, tou)
	from := local(t, of, "2018-03-05 00:00")
	middle, to := from.Add(6*time.Hour), from.Add(12*time.Hour)
	mixed := append(cover(from, middle, time.Hour, constant(100, 0)), cover(middle, to, 15*time.Minute, constant(100, 0))...)
	if _, err := rating.RateAt(of, 3600, mixed, from, to); err != nil {
		t.Errorf("a resolution of an hour: %v", err)
	}
	_, err := rating.RateAt(of, 900, mixed, from, to)
	checkFault(t, err, rating.ErrLong, "00:00:00")
	_, err = rating.Rate(of, mixed, from, to)
	checkFault(t, err, rating.ErrLong, "00:00:00")
	_, err = rating.RateAt(of, 0, mixed, from, to)
	checkFault(t, err, rating.ErrLong, "00:00:00")
}

// Sorting first does not hide what is wrong.
func TestRateRefusesWhatIsWrongInAnyOrder(t *testing.T) {
	of := parse(t, tou)
	from, to := local(t, of, "2018-03-05 00:00"), local(t, of, "2018-03-06 00:00")
	sorted := cover(from, to, 15*time.Minute, random(3))
	for name, c := range map[string]struct {
		intervals []wattveil.Interval
		fault     rating.Fault
	}{
		"gap":   {slices.Delete(slices.Clone(sorted), 50, 51), rating.ErrGap},
		"twice": {append(slices.Clone(sorted), sorted[50]), rating.ErrOrder},
	} {
		rng := rand.New(rand.NewPCG(5, 6))
		for range 50 {
			rng.Shuffle(len(c.intervals), func(i, j int) {
				c.intervals[i], c.intervals[j] = c.intervals[j], c.intervals[i]
			})
			_, err := rating.Rate(of, c.intervals, from, to)
			if !errors.Is(err, c.fault) || !strings.Contains(err.Error(), "2018-03-05 12:30:00 +01:00") {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
}

// The order of intervals never matters, and the caller's list stays as it is.
func TestOrderDoesNotMatter(t *testing.T) {
	of := parse(t, tou)
	from, to := local(t, of, "2018-03-24 00:00"), local(t, of, "2018-03-26 00:00")
	sorted := cover(from, to, 15*time.Minute, random(3))
	want, err := rating.Rate(of, sorted, from, to)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		shuffled := slices.Clone(sorted)
		rng.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		given := slices.Clone(shuffled)
		got, err := rating.Rate(of, shuffled, from, to)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("another order gives %+v, %v", got.Lines, err)
		}
		if !slices.Equal(shuffled, given) {
			t.Fatal("the caller's list was sorted")
		}
	}
}
