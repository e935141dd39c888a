package vee_test

import (
	"fmt"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/vee"
)

// The reading of 00:30 never came. The registers around it say that 500 Wh
// passed; the estimates sum to that.
func ExampleEdit() {
	runs := []vee.Run{{Series: 1, Readings: []wattveil.Reading{
		{Time: 0, Import: 7000}, {Time: 900, Import: 7100}, {Time: 2700, Import: 7600}, {Time: 3600, Import: 8000},
	}}}
	r, err := vee.Edit(runs, 900, 0, 3600, vee.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, iv := range r.Intervals {
		fmt.Println(iv.Start, int64(iv.Import), iv.Method, iv.Quality, iv.Rule)
	}
	for _, f := range r.Findings {
		fmt.Println(f.Rule, f.From, f.To)
	}
	fmt.Println(r.Estimated.Intervals, "of", r.Estimated.Of)
	// Output:
	// 0 100 measured 0 none
	// 900 200 linear 9 missing
	// 1800 300 linear 9 missing
	// 2700 400 measured 0 none
	// missing 900 2700
	// 2 of 4
}
