package rating_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wattveil/wattveil/rating"
	"github.com/wattveil/wattveil/tariff"
)

// Figures of another bill are priced as if they had been measured: whatever the
// intervals are, the lines are those of that bill. What it asks for them is not
// looked at.
func TestFiguresOfAnotherBill(t *testing.T) {
	of := simple(t, `"demand":[{"name":"d","minutes":15,"tiers":[{"up_to_kw":"2.5","per_kw":"1"},{"per_kw":"3"}],"ratchet":{"percent":"80","months":1}},`+
		`{"name":"e","minutes":60,"per_kw":"7"}]`)
	from, to := local(t, of, "2018-03-10 00:00"), local(t, of, "2018-05-01 00:00")
	request := func(step time.Duration, wh int64) rating.Request {
		return rating.Request{
			Tariff: of, Intervals: cover(from, to, step, constant(wh, 0)), From: from, To: to, DemandStep: tariff.NewDecimal(1, 1),
			Peaks: []rating.Peak{{Demand: "d", Month: month(t, "2018-02"), Watts: 4000}},
		}
	}
	demand := func(r rating.Request) (list []rating.Line) {
		rated, err := r.Rate()
		if err != nil {
			t.Fatal(err)
		}
		checkBill(t, of, from, to, rated)
		return slices.DeleteFunc(rated.Lines, func(l rating.Line) bool { return l.Kind != rating.KindDemand })
	}
	before := demand(request(30*time.Minute, 500))
	var notes []string
	figures := rating.Figures{}
	for _, l := range before {
		notes = append(notes, l.Note)
		l.Price, l.Amount = "1000000", "0.01"
		if err := figures.Add(l); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(notes, " "); len(figures) != 4 || got != "longer-interval+ratchet longer-interval+ratchet longer-interval  " {
		t.Fatalf("the figures are %+v, with the notes %q: the test shows little", figures, got)
	}
	again := request(15*time.Minute, 9000)
	again.Figures = figures
	if lines := demand(again); !slices.Equal(lines, before) {
		t.Errorf("priced again:\n%swant\n%s", show(lines), show(before))
	}
	// Of charges and months that the period has, none but the given.
	again.Figures = rating.Figures{figures[1], {Demand: "d", Month: month(t, "2018-05"), Watts: 1000}, {Demand: "f", Month: month(t, "2018-04"), Watts: 1000}}
	if lines := demand(again); len(lines) != 1 || lines[0] != before[2] {
		t.Errorf("one figure gives\n%s", show(lines))
	}
	again.Figures = rating.Figures{}
	if lines := demand(again); len(lines) > 0 {
		t.Errorf("no figure gives\n%s", show(lines))
	}
	again.Figures = rating.Figures{{Demand: "e", Month: month(t, "2018-04"), Watts: 2_010, Minutes: 60}}
	if lines := demand(again); len(lines) != 1 || lines[0].Quantity != "2.100" {
		t.Errorf("a figure finer than a bill tells gives\n%s", show(lines))
	}
}

// A line that tells no figure is refused; lines of another kind tell none.
func TestFiguresRefuse(t *testing.T) {
	good := rating.Line{Kind: rating.KindDemand, Name: "d", Month: "2018-03", Minutes: 15, Quantity: "1.000"}
	for name, change := range map[string]func(*rating.Line){
		"decimals": func(l *rating.Line) { l.Quantity = "1.00" },
		"nothing":  func(l *rating.Line) { l.Quantity = "" },
		"negative": func(l *rating.Line) { l.Quantity = "-1.000" },
		"too much": func(l *rating.Line) { l.Quantity = "18446744073709552.616" }, // 1 kW beyond 2^64 W
		"month":    func(l *rating.Line) { l.Month = "2018-3" },
	} {
		l := good
		change(&l)
		var f rating.Figures
		if err := f.Add(l); err == nil || len(f) > 0 {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
		l.Kind = rating.KindTax
		if err := f.Add(l); err != nil || len(f) > 0 {
			t.Errorf("%s of a tax: %+v, %v", name, f, err)
		}
	}
	if _, err := rating.ParseKWh("18446744073709552.616"); err == nil {
		t.Error("an energy that overflows is taken")
	}
}
