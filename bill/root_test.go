package bill_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	vectors "github.com/wattveil/wattveil/vectors/bill"
)

func location(t testing.TB, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func interval(i vectors.Interval) (wattveil.Interval, uint8) {
	return wattveil.Interval{
		Start: i.Start, End: i.Start + int64(i.Seconds), Import: wattveil.Wh(i.Import), Export: wattveil.Wh(i.Export),
	}, uint8(i.Quality)
}

func TestRootVectors(t *testing.T) {
	v, _ := load(t)
	if len(v.Roots) == 0 {
		t.Fatal("there are no vectors")
	}
	var r bill.Intervals // one for all: it forgets the bill before
	for _, vector := range v.Roots {
		t.Run(vector.Name, func(t *testing.T) {
			secret, err := bill.ParseSecret(vector.Secret)
			if err != nil {
				t.Fatal(err)
			}
			days := bill.NewDays(location(t, vector.Timezone), time.Unix(vector.From, 0), time.Unix(vector.To, 0))
			r.Start(days, secret)
			for _, i := range vector.Intervals {
				r.Add(interval(i))
			}
			root, err := r.Root()
			if err != nil || root.String() != vector.Root || r.Count() != len(vector.Intervals) {
				t.Errorf("root %v of %d intervals, %v; want %s of %d", root, r.Count(), err, vector.Root, len(vector.Intervals))
			}
			leaves, err := r.Leaves()
			if got := fmt.Sprint(leaves); err != nil || got != fmt.Sprint(vector.Leaves) {
				t.Errorf("leaves %s, %v; want %s", got, err, vector.Leaves)
			}
		})
	}
}

// The bytes of a leaf, and any change of what they are made from.
func TestLeafDependsOnEverything(t *testing.T) {
	zone := location(t, "Europe/Zurich")
	from := time.Date(2018, 3, 10, 0, 0, 0, 0, zone)
	start := from.Unix()
	leaf := func(secret bill.Secret, at time.Time, quality uint8, list ...wattveil.Interval) bill.Hash {
		var r bill.Intervals
		r.Start(bill.NewDays(zone, at, at.AddDate(0, 0, 1)), secret)
		for _, i := range list {
			r.Add(i, quality)
		}
		root, err := r.Root()
		if err != nil {
			t.Fatal(err)
		}
		return root
	}
	one := wattveil.Interval{Start: start, End: start + 900, Import: 1, Export: 2}
	other := func(change func(i *wattveil.Interval)) wattveil.Interval {
		i := one
		change(&i)
		return i
	}
	base := leaf(bill.Secret{1}, from, 0, one)
	for name, got := range map[string]bill.Hash{
		"secret":  leaf(bill.Secret{2}, from, 0, one),
		"quality": leaf(bill.Secret{1}, from, 8, one),
		"start":   leaf(bill.Secret{1}, from, 0, other(func(i *wattveil.Interval) { i.Start++ })),
		"end":     leaf(bill.Secret{1}, from, 0, other(func(i *wattveil.Interval) { i.End++ })),
		"import":  leaf(bill.Secret{1}, from, 0, other(func(i *wattveil.Interval) { i.Import++ })),
		"export":  leaf(bill.Secret{1}, from, 0, other(func(i *wattveil.Interval) { i.Export++ })),
		"none":    leaf(bill.Secret{1}, from, 0),
		"day":     leaf(bill.Secret{1}, from.AddDate(0, 0, 1), 0),
	} {
		if got == base {
			t.Errorf("another %s gives the same leaf", name)
		}
	}
	if again := leaf(bill.Secret{1}, from, 0, one); again != base {
		t.Error("the same readings give another leaf")
	}
}

func TestRootRefuses(t *testing.T) {
	from, to := time.Unix(86_400, 0), time.Unix(3*86_400, 0)
	good := wattveil.Interval{Start: 90_000, End: 93_600}
	for name, list := range map[string][]wattveil.Interval{
		"before the period": {{Start: 86_399, End: 86_400}},
		"after the period":  {{Start: 3*86_400 - 1, End: 3*86_400 + 1}},
		"overlap":           {good, {Start: 93_599, End: 93_601}},
		"falling":           {good, {Start: 88_000, End: 88_900}},
		"twice":             {good, good},
		"no length":         {{Start: 90_000, End: 90_000}},
		"too long":          {{Start: 90_000, End: 90_000 + 65_536}},
		"negative import":   {{Start: 90_000, End: 93_600, Import: -1}},
		"huge export":       {{Start: 90_000, End: 93_600, Export: 1 << 40}},
	} {
		var r bill.Intervals
		r.Start(bill.NewDays(time.UTC, from, to), bill.Secret{})
		for _, i := range list {
			r.Add(i, 0)
		}
		r.Add(wattveil.Interval{Start: 2 * 86_400, End: 2*86_400 + 900}, 0) // a good one after it changes nothing
		if _, err := r.Root(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestDays(t *testing.T) {
	for _, c := range []struct {
		zone     string
		from, to time.Time
		dates    string
	}{
		{"UTC", time.Date(2024, 2, 28, 5, 0, 0, 0, time.UTC), time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC), "2024-02-28 2024-02-29"},
		{"UTC", time.Date(2024, 2, 28, 5, 0, 0, 0, time.UTC), time.Date(2024, 3, 1, 0, 0, 1, 0, time.UTC), "2024-02-28 2024-02-29 2024-03-01"},
		{"Europe/Zurich", time.Date(2018, 3, 24, 23, 0, 0, 0, time.UTC), time.Date(2018, 3, 25, 22, 0, 0, 0, time.UTC), "2018-03-25"},
		{"Europe/Zurich", time.Date(2018, 10, 27, 22, 0, 0, 0, time.UTC), time.Date(2018, 10, 28, 23, 0, 0, 0, time.UTC), "2018-10-28"},
		// The clock went from 24:00 back to 23:00.
		{"America/Sao_Paulo", time.Date(2018, 2, 17, 2, 0, 0, 0, time.UTC), time.Date(2018, 2, 19, 3, 0, 0, 0, time.UTC), "2018-02-17 2018-02-18"},
		// And from 00:01 back to 23:01: the new day began once.
		{"America/St_Johns", time.Date(2006, 10, 28, 2, 30, 0, 0, time.UTC), time.Date(2006, 10, 30, 3, 30, 0, 0, time.UTC), "2006-10-28 2006-10-29"},
		// The clock went from 24:00 on to 01:00.
		{"America/Sao_Paulo", time.Date(2018, 11, 3, 3, 0, 0, 0, time.UTC), time.Date(2018, 11, 5, 2, 0, 0, 0, time.UTC), "2018-11-03 2018-11-04"},
	} {
		days := bill.NewDays(location(t, c.zone), c.from, c.to)
		var dates []string
		for i := range days.Len() {
			dates = append(dates, days.Date(i))
		}
		if got := strings.Join(dates, " "); got != c.dates {
			t.Errorf("%s from %v to %v: days %s, want %s", c.zone, c.from, c.to, got, c.dates)
		}
		if first, last := days.Index(c.from.Unix()), days.Index(c.to.Unix()-1); first != 0 || last != days.Len()-1 {
			t.Errorf("%s from %v to %v: ends are in days %d and %d of %d", c.zone, c.from, c.to, first, last, days.Len())
		}
	}
}

// No zone and year has a day that begins when the zone's clock shows another.
func TestDaysBeginWhenTheClockShowsThem(t *testing.T) {
	for _, name := range []string{"Europe/Zurich", "America/Sao_Paulo", "Asia/Kathmandu", "Australia/Lord_Howe", "Africa/Cairo", "Asia/Beirut", "America/Havana"} {
		zone := location(t, name)
		from := time.Date(2015, 1, 1, 0, 0, 0, 0, zone)
		days := bill.NewDays(zone, from, from.AddDate(4, 0, 0))
		if days.Len() != 4*365+1 {
			t.Errorf("%s: %d days", name, days.Len())
		}
		for at := from; at.Before(from.AddDate(4, 0, 0)); at = at.Add(30 * time.Minute) {
			if got, want := days.Date(days.Index(at.Unix())), at.Format(time.DateOnly); got != want {
				t.Fatalf("%s: %v belongs to %s", name, at, got)
			}
		}
	}
}

func TestSecretRedacts(t *testing.T) {
	secret := bill.NewSecret()
	if secret == bill.NewSecret() {
		t.Error("two secrets are equal")
	}
	if again, err := bill.ParseSecret(secret.Text()); err != nil || again != secret {
		t.Errorf("a secret reads as another, %v", err)
	}
	if _, err := bill.ParseSecret(secret.Text() + "A"); err == nil {
		t.Error("a long secret is accepted")
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "secret", secret)
	text, err := json.Marshal(map[string]any{"secret": secret})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{fmt.Sprint(secret), fmt.Sprintf("%v %x %d %q %#v", secret, secret, secret, secret, secret), log.String(), string(text)} {
		if strings.Contains(s, secret.Text()) || strings.Contains(s, fmt.Sprintf("%x", secret[:])) || !strings.Contains(s, "[bill secret]") {
			t.Errorf("prints %q", s)
		}
	}
}

func BenchmarkRoot(b *testing.B) {
	zone := location(b, "Europe/Zurich")
	from := time.Date(2018, 3, 1, 0, 0, 0, 0, zone)
	to := from.AddDate(0, 1, 0)
	days := bill.NewDays(zone, from, to)
	var list []wattveil.Interval
	for at := from.Unix(); at < to.Unix(); at += 900 {
		list = append(list, wattveil.Interval{Start: at, End: at + 900, Import: 250, Export: 3})
	}
	var r bill.Intervals
	b.ReportAllocs()
	for b.Loop() {
		r.Start(days, bill.Secret{1})
		for i := range list {
			r.Add(list[i], 0)
		}
		if _, err := r.Root(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(list)*b.N)/b.Elapsed().Seconds(), "intervals/s")
}
