package portal

import (
	"fmt"
	"testing"
	"time"

	"github.com/wattveil/wattveil/consumer"
)

// Labels stand where their buckets begin, few enough for a phone, and none so
// near the end that it would stick out.
func TestLabelsOf(t *testing.T) {
	for _, c := range []struct {
		n    int
		want string
	}{
		{0, "[]"},
		{1, "[{0 0}]"},
		{4, "[{0 0} {25 1} {50 2} {75 3}]"},
		{30, "[{0 0} {20 6} {40 12} {60 18} {80 24}]"},
		{31, "[{0 0} {22.6 7} {45.2 14} {67.7 21}]"},
	} {
		if got := fmt.Sprint(labelsOf(c.n, func(i int) string { return fmt.Sprint(i) })); got != c.want {
			t.Errorf("%d buckets: %s, want %s", c.n, got, c.want)
		}
	}
}

// A week of 167 hours has seven days all the same.
func TestLabelsOfWeek(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Zurich")
	if err != nil {
		t.Fatal(err)
	}
	monday := time.Date(2026, 3, 23, 0, 0, 0, 0, zone)
	u := consumer.Use{Zone: zone}
	for at := monday; at.Before(monday.AddDate(0, 0, 7)); at = at.Add(time.Hour) {
		u.Buckets = append(u.Buckets, consumer.Bucket{Start: at.Unix()})
	}
	v := &visit{locale: locale{lang: german}}
	want := "[{0 Mo} {14.4 Di} {28.7 Mi} {43.1 Do} {57.5 Fr} {71.9 Sa} {86.2 So}]"
	if got := fmt.Sprint(v.labels(period{by: byWeek}, &u)); got != want {
		t.Errorf("%d hours: %s, want %s", len(u.Buckets), got, want)
	}
}

// The label of zero stands at the zero line.
func TestScaleTicks(t *testing.T) {
	for _, c := range []struct {
		top, bottom int64
		lang        string
		want        string
	}{
		{0, 0, english, "[{100 0 kWh}]"},
		{7, 0, english, "[{0 0.01 kWh} {100 0}]"},
		{1_260, 0, german, "[{0 1,5 kWh} {100 0}]"},
		{22_014, 0, english, "[{0 25 kWh} {100 0}]"},
		{1_000_001, 310, english, "[{0 1,200 kWh} {100 0}]"},
		{310, 1_000_001, english, "[{0 0} {100 −1,200 kWh}]"},
		{60_000, 20_000, english, "[{0 60 kWh} {75 0} {100 −20 kWh}]"},
	} {
		s := scale{roundUp(c.top), roundUp(c.bottom)}
		if got := fmt.Sprint(s.ticks(locale{lang: c.lang})); got != c.want {
			t.Errorf("up to %d and %d Wh: %s, want %s", c.top, c.bottom, got, c.want)
		}
	}
}
