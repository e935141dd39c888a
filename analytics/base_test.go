package analytics

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/wattveil/wattveil"
)

func TestLeastHour(t *testing.T) {
	hours := []wattveil.Wh{}
	for i := range 19 {
		hours = append(hours, wattveil.Wh(100+i))
	}
	if _, ok := LeastHour(hours); ok {
		t.Error("19 hours have a base load")
	}
	if got, ok := LeastHour(append(hours, 70)); !ok || int64(got) != 70 {
		t.Errorf("base load %d, %v", int64(got), ok)
	}
}

// TestAboveUsual finds the median by counting how many are on either side.
func TestAboveUsual(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 500 {
		before := make([]wattveil.Wh, 7+rng.IntN(30))
		for i := range before {
			before[i] = wattveil.Wh(1 + rng.IntN(200))
		}
		base := wattveil.Wh(rng.IntN(500))
		median := (place(before, (len(before)-1)/2) + place(before, len(before)/2)) / 2
		want := int64(math.Floor((float64(base)/median-1)*100 + 1e-9))
		if got, ok := AboveUsual(base, before); !ok || got != want {
			t.Fatalf("%d%%, %v, want %d%%", got, ok, want)
		}
	}
	if _, ok := AboveUsual(50, make([]wattveil.Wh, 6)); ok {
		t.Error("six days are enough")
	}
	if _, ok := AboveUsual(50, make([]wattveil.Wh, 10)); ok {
		t.Error("something is above nothing by a part of it")
	}
}

// place is the value that so many others are before in order.
func place(list []wattveil.Wh, n int) float64 {
	for _, v := range list {
		less, equal := 0, 0
		for _, w := range list {
			if w < v {
				less++
			} else if w == v {
				equal++
			}
		}
		if less <= n && n < less+equal {
			return float64(v)
		}
	}
	panic("no such place")
}
