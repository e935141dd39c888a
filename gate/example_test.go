package gate_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/wattveil/wattveil/gate"
)

// A month in two bands passes; the same month again does not.
func Example() {
	from := time.Date(2018, 11, 1, 0, 0, 0, 0, time.UTC)
	answers := gate.Answers{
		From: from.Unix(), Decimals: 2,
		Quantities: []gate.Quantity{{Name: "import night", Required: true}, {Name: "import day", Required: true}},
		Classes:    []gate.Class{{Import: []int64{1, 0}}, {Import: []int64{0, 1}}},
	}
	for d := range 30 {
		morning := from.AddDate(0, 0, d).Add(7 * time.Hour)
		answers.Spans = append(answers.Spans,
			gate.Span{End: morning.Unix(), Class: 0},
			gate.Span{End: morning.Add(17 * time.Hour).Unix(), Class: 1})
	}
	g, err := gate.New(gate.Settings{})
	if err != nil {
		fmt.Println(err)
		return
	}
	shape, err := g.NewShape(answers)
	if err != nil {
		fmt.Println(err)
		return
	}
	bill := gate.Bill{Shape: shape, Now: shape.To() + 3600}
	d, err := g.Check(&gate.History{}, bill, nil)
	fmt.Println(d.Tell, d.History.Bills(), err)
	_, err = g.Check(d.History, bill, nil)
	fmt.Println(errors.Is(err, gate.Overlap))
	fmt.Println(err)
	// Output:
	// [0 1] 1 <nil>
	// true
	// gate: overlap: another bill tells of part of the period, and only a correction of that bill may: 2018-11-01T00:00:00Z to 2018-12-01T00:00:00Z (2018-11-01T00:00:00Z to 2018-12-01T00:00:00Z)
}
