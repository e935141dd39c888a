package vee_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the zones of the tests, wherever they run

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/vee"
)

// monday is 2018-10-29T00:00:00Z.
const monday = 1540771200

const (
	hour    = 3600
	day     = 24 * hour
	quarter = 15 * 60
)

// meter makes readings of a register from interval energies, the first at from.
func meter(from, step int64, register wattveil.Register, imports ...int64) []wattveil.Reading {
	rs := []wattveil.Reading{{Time: from, Import: register}}
	for i, wh := range imports {
		register = register.Add(wattveil.Wh(wh))
		rs = append(rs, wattveil.Reading{Time: from + int64(i+1)*step, Import: register})
	}
	return rs
}

// without leaves readings out by their place.
func without(rs []wattveil.Reading, places ...int) []wattveil.Reading {
	var out []wattveil.Reading
	for i, r := range rs {
		if !slices.Contains(places, i) {
			out = append(out, r)
		}
	}
	return out
}

func one(rs []wattveil.Reading) []vee.Run { return []vee.Run{{Series: 1, Readings: rs}} }

func edit(t testing.TB, runs []vee.Run, res wattveil.Resolution, from, to int64, o vee.Options) vee.Result {
	t.Helper()
	r, err := vee.Edit(runs, res, from, to, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func imports(ivs []vee.Interval) []int64 {
	var out []int64
	for _, iv := range ivs {
		out = append(out, int64(iv.Import))
	}
	return out
}

// findings writes findings as "rule from+to×count", times in quarters from
// monday.
func findings(fs []vee.Finding) string {
	var out []string
	for _, f := range fs {
		out = append(out, fmt.Sprintf("%v %d-%d×%d", f.Rule, (f.From-monday)/quarter, (f.To-monday)/quarter, f.Count))
	}
	return strings.Join(out, ", ")
}

func TestRules(t *testing.T) {
	plain := meter(monday, quarter, 1000, 10, 20, 30, 40)
	change := func(i int, f func(*wattveil.Reading)) []wattveil.Reading {
		rs := slices.Clone(plain)
		f(&rs[i])
		return rs
	}
	const top = wattveil.RegisterModulus
	tests := []struct {
		name     string
		runs     []vee.Run
		imports  []int64
		quality  string // one letter an interval: v valid, q questionable, l linear
		findings string
		holes    string
	}{
		{"complete", one(plain), []int64{10, 20, 30, 40}, "vvvv", "", ""},
		{"rollover", one(meter(monday, quarter, top-25, 10, 20, 30, 40)), []int64{10, 20, 30, 40}, "vvvv", "rollover 1-2×1", ""},
		{"duplicate", one(slices.Insert(slices.Clone(plain), 2, plain[2])), []int64{10, 20, 30, 40}, "vvvv", "duplicate 2-2×1", ""},
		{
			"conflict: the first counts",
			one(slices.Insert(slices.Clone(plain), 3, wattveil.Reading{Time: plain[2].Time, Import: 9})),
			[]int64{10, 20, 30, 40}, "vvvv", "conflict 2-2×1", "",
		},
		{
			"off the grid",
			one(slices.Insert(slices.Clone(plain), 1, wattveil.Reading{Time: monday + 60, Import: 1001})),
			[]int64{10, 20, 30, 40}, "vvvv", "off-grid 0-0×1", "",
		},
		{"missing", one(without(plain, 2)), []int64{10, 20, 30, 40}, "vllv", "missing 1-3×1", ""},
		{"missing, nothing beside", one(without(plain, 1, 2, 3)), []int64{25, 25, 25, 25}, "llll", "missing 0-4×3", ""},
		{"largest remainder", one(without(meter(monday, quarter, 0, 0, 4, 3, 4), 1, 2, 3)), []int64{3, 3, 3, 2}, "llll", "missing 0-4×3", ""},
		{
			"one register too low", one(change(2, func(r *wattveil.Reading) { r.Import = 1 })),
			[]int64{10, 20, 30, 40}, "vllv", "negative 2-2×1, missing 1-3×1", "",
		},
		{
			"a low register before a higher one",
			one([]wattveil.Reading{plain[0], plain[1], {Time: plain[2].Time}, {Time: plain[3].Time, Import: 1}, {Time: plain[4].Time, Import: 2}}),
			[]int64{10, 1, 1}, "vvv", "reset 1-2×1, reset 1-2×1", "reset 1-2 unbilled",
		},
		{
			"one register too high", one(change(2, func(r *wattveil.Reading) { r.Import = 1 << 30 })),
			[]int64{10, 20, 30, 40}, "vllv", "power 2-2×1, missing 1-3×1", "",
		},
		{
			"one register a little too high", one(change(2, func(r *wattveil.Reading) { r.Import = 1200 })),
			[]int64{10, 20, 30, 40}, "vllv", "negative 2-2×1, missing 1-3×1", "",
		},
		{
			"reset", one(append(slices.Clone(plain[:3]), meter(monday+3*quarter, quarter, 0, 40)...)),
			[]int64{10, 20, 40}, "vvv", "reset 2-3×1, reset 2-3×1", "reset 2-3 unbilled",
		},
		{
			"series change", []vee.Run{{Series: 1, Readings: plain[:3]}, {Series: 2, Readings: meter(monday+3*quarter, quarter, 0, 40)}},
			[]int64{10, 20, 40}, "vvv", "series-change 2-3×1, series-change 3-3×1", "series-change 2-3 unbilled",
		},
		{
			"series change with a common reading", []vee.Run{{Series: 1, Readings: plain[:3]}, {Series: 2, Readings: meter(monday+2*quarter, quarter, 0, 5, 6)}},
			[]int64{10, 20, 5, 6}, "vvvv", "series-change 2-2×1", "",
		},
		{
			"old series closes its gap after the new one begins",
			[]vee.Run{{Series: 1, Readings: without(plain, 2)}, {Series: 2, Readings: meter(monday+2*quarter, quarter, 0, 5, 6)}},
			[]int64{10, 20, 5, 6}, "vlvv", "series-change 2-2×1, missing 1-3×1", "",
		},
		{"starts late", one(plain[1:]), []int64{20, 30, 40}, "vvv", "edge 0-1×1", "edge 0-1"},
		{"ends early", one(plain[:3]), []int64{10, 20}, "vv", "edge 2-4×2", "edge 2-4"},
		{"no readings", nil, nil, "", "edge 0-4×4", "edge 0-4"},
		{"one reading", one(plain[2:3]), nil, "", "edge 0-4×4", "edge 0-4"},
		{
			"clock", one(change(2, func(r *wattveil.Reading) { r.Status = wattveil.StatusClock })),
			[]int64{10, 20, 30, 40}, "vqqv", "clock 1-3×2", "",
		},
		{
			"tamper and clock", one(change(4, func(r *wattveil.Reading) { r.Status = wattveil.StatusTamper | wattveil.StatusClock })),
			[]int64{10, 20, 30, 40}, "vvvq", "clock 3-4×1, tamper 3-4×1", "",
		},
		{"spike", one(meter(monday, quarter, 0, 900, 1000, 900, 2600)), []int64{900, 1000, 900, 2600}, "vvvq", "spike 3-4×1", ""},
		{"high, but no spike", one(meter(monday, quarter, 0, 900, 1000, 1000, 2600)), []int64{900, 1000, 1000, 2600}, "vvvv", "", ""},
		{"readings out of order", one([]wattveil.Reading{plain[3], plain[0], plain[4], plain[2], plain[1]}), []int64{10, 20, 30, 40}, "vvvv", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := edit(t, tt.runs, quarter, monday, monday+hour, vee.Options{})
			if got := imports(r.Intervals); !slices.Equal(got, tt.imports) {
				t.Errorf("imports %v, want %v", got, tt.imports)
			}
			var quality []byte
			for _, iv := range r.Intervals {
				quality = append(quality, map[vee.Quality]byte{vee.Valid: 'v', vee.Questionable: 'q', vee.EstimatedLinear: 'l', vee.EstimatedReference: 'r'}[iv.Quality])
			}
			if string(quality) != tt.quality {
				t.Errorf("qualities %s, want %s", quality, tt.quality)
			}
			if got := findings(r.Findings); got != tt.findings {
				t.Errorf("findings %s, want %s", got, tt.findings)
			}
			var holes []string
			for _, h := range r.Holes {
				s := fmt.Sprintf("%v %d-%d", h.Rule, (h.From-monday)/quarter, (h.To-monday)/quarter)
				if h.Unbilled {
					s += " unbilled"
				}
				holes = append(holes, s)
			}
			if got := strings.Join(holes, ", "); got != tt.holes {
				t.Errorf("holes %s, want %s", got, tt.holes)
			}
		})
	}
}

// week makes hourly readings with the energy 100·(day of week) + hour, over
// whole weeks from monday.
func week(weeks int) []wattveil.Reading {
	var energies []int64
	for d := range 7 * weeks {
		for h := range 24 {
			energies = append(energies, int64(100*(d%7)+h))
		}
	}
	return meter(monday, hour, 0, energies...)
}

// TestReference estimates half a Thursday from the three nearest weekdays:
// Wednesday, Friday and Tuesday.
func TestReference(t *testing.T) {
	rs := week(1)
	var gap []int
	for i := 3*24 + 7; i < 3*24+19; i++ {
		gap = append(gap, i)
	}
	r := edit(t, one(without(rs, gap...)), hour, monday, monday+7*day, vee.Options{})
	total := int64(rs[3*24+19].Import.Since(rs[3*24+6].Import))
	var weights, sum int64
	for h := 6; h < 19; h++ {
		weights += (200 + 400 + 100) + 3*int64(h)
	}
	for h := 6; h < 19; h++ {
		iv := r.Intervals[3*24+h]
		exact := float64(total) * float64(700+3*h) / float64(weights)
		if d := float64(iv.Import) - exact; d <= -1 || d >= 1 {
			t.Errorf("hour %d: %d Wh, want %.2f", h, int64(iv.Import), exact)
		}
		if iv.Method != vee.Reference || iv.Quality != vee.EstimatedReference || iv.Rule != vee.Missing ||
			iv.Lower != rs[3*24+6].Time || iv.Upper != rs[3*24+19].Time {
			t.Errorf("hour %d: %v %v %v from %d to %d", h, iv.Method, iv.Quality, iv.Rule, iv.Lower, iv.Upper)
		}
		sum += int64(iv.Import)
	}
	if sum != total || int64(r.Estimated.Import) != total || r.Estimated.Intervals != 13 || r.Estimated.Of != 7*24 {
		t.Errorf("estimated %d Wh in %d of %d intervals, want %d in 13 of 168", sum, r.Estimated.Intervals, r.Estimated.Of, total)
	}
	g := r.Gaps[0]
	if len(r.Gaps) != 1 || g.First != 3*24+6 || g.Count != 13 || int64(g.Import) != total || g.From != rs[3*24+6].Time {
		t.Errorf("gap of %d intervals from %d", g.Count, g.First)
	}
}

// TestReferenceTypes shows that a weekend gap uses weekend days, a holiday
// counts as weekend, and without a complete day of the type the line is used.
func TestReferenceTypes(t *testing.T) {
	rs := week(2)
	cut := func(d int) []wattveil.Reading {
		var gap []int
		for i := d*24 + 1; i < d*24+24; i++ {
			gap = append(gap, i)
		}
		return without(rs, gap...)
	}
	holiday := func(y int, m time.Month, d int) bool { return y == 2018 && m == time.October && d == 31 }
	for _, tt := range []struct {
		name   string
		day    int
		o      vee.Options
		refs   []int64 // days whose 0th and 23rd hour give the ratio
		method vee.Method
	}{
		{"Saturday", 5, vee.Options{ReferenceDays: 1}, []int64{600}, vee.Reference},
		{"Saturday, three days", 5, vee.Options{}, []int64{600, 500, 600}, vee.Reference},
		{"holiday on Wednesday", 2, vee.Options{ReferenceDays: 1, Holiday: holiday}, []int64{500}, vee.Reference},
		{"none near enough", 2, vee.Options{ReferenceSpan: 2, Holiday: holiday}, nil, vee.Linear},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := edit(t, one(cut(tt.day)), hour, monday, monday+14*day, tt.o)
			first, last := r.Intervals[tt.day*24], r.Intervals[tt.day*24+23]
			if first.Method != tt.method {
				t.Fatalf("method %v, want %v", first.Method, tt.method)
			}
			if tt.refs == nil {
				return
			}
			var low, high int64
			for _, ref := range tt.refs {
				low, high = low+ref, high+ref+23
			}
			if d := int64(last.Import)*low - int64(first.Import)*high; d > high || d < -high {
				t.Errorf("first %d Wh, last %d, want as %d to %d", int64(first.Import), int64(last.Import), low, high)
			}
		})
	}
}

// TestClockChange estimates a Sunday of 25 hours: both hours from 2 to 3 have
// the shape of that hour, and no such day serves as reference.
func TestClockChange(t *testing.T) {
	zurich, err := time.LoadLocation("Europe/Zurich")
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2018, 10, 14, 0, 0, 0, 0, zurich)
	var energies []int64
	for at := start; at.Before(start.AddDate(0, 0, 21)); at = at.Add(time.Hour) {
		energies = append(energies, int64(100+at.Hour()))
	}
	rs := meter(start.Unix(), hour, 0, energies...)
	sunday := time.Date(2018, 10, 28, 0, 0, 0, 0, zurich).Unix()
	var kept []wattveil.Reading
	for _, r := range rs {
		if r.Time <= sunday || r.Time >= sunday+25*hour {
			kept = append(kept, r)
		}
	}
	r := edit(t, one(kept), hour, sunday, sunday+25*hour, vee.Options{Zone: zurich})
	for i, iv := range r.Intervals {
		want := int64(100 + time.Unix(iv.Start, 0).In(zurich).Hour())
		if int64(iv.Import) != want || iv.Method != vee.Reference {
			t.Errorf("interval %d: %d Wh by %v, want %d", i, int64(iv.Import), iv.Method, want)
		}
	}
}

func TestZeroRun(t *testing.T) {
	rs := meter(monday, hour, 0, append(append(make([]int64, 23), 5), make([]int64, 24)...)...)
	r := edit(t, one(rs), hour, monday, monday+2*day, vee.Options{})
	if got, want := findings(r.Findings), "zero-run 96-192×24"; got != want {
		t.Errorf("findings %s, want %s", got, want)
	}
	if r.Intervals[0].Quality != vee.Valid || r.Intervals[24].Quality != vee.Questionable || r.Intervals[24].Rule != vee.ZeroRun {
		t.Error("the wrong intervals are marked")
	}
}

func TestHighAndLow(t *testing.T) {
	var energies []int64
	for d := range 28 {
		for range 24 {
			switch d {
			case 9:
				energies = append(energies, 3001)
			case 16:
				energies = append(energies, 99)
			default:
				energies = append(energies, 1000)
			}
		}
	}
	r := edit(t, one(meter(monday, hour, 0, energies...)), hour, monday+7*day, monday+21*day, vee.Options{SpikeFloor: 1e5})
	if got, want := findings(r.Findings), "high 864-960×24, low 1536-1632×24"; got != want {
		t.Errorf("findings %s, want %s", got, want)
	}
}

func TestForBill(t *testing.T) {
	rs := meter(monday, quarter, 0, 10, 20, 30, 40)
	r := edit(t, []vee.Run{{Series: 1, Readings: rs[:2]}, {Series: 2, Readings: rs[3:]}}, quarter, monday, monday+hour, vee.Options{})
	ivs, err := r.ForBill(nil, quarter)
	if err != nil {
		t.Fatal(err)
	}
	want := []wattveil.Interval{
		{Start: monday, End: monday + 900, Import: 10},
		{Start: monday + 900, End: monday + 1800},
		{Start: monday + 1800, End: monday + 2700},
		{Start: monday + 2700, End: monday + 3600, Import: 40},
	}
	if !slices.Equal(ivs, want) {
		t.Error("intervals differ")
	}

	var hole *vee.HoleError
	r = edit(t, one(rs[:3]), quarter, monday, monday+hour, vee.Options{})
	if _, err := r.ForBill(nil, quarter); !errors.As(err, &hole) || hole.Hole.Rule != vee.Edge {
		t.Errorf("a hole at the edge: %v", err)
	}
	late := meter(monday+9*day, quarter, 0, 5)
	r = edit(t, []vee.Run{{Series: 1, Readings: rs}, {Series: 2, Readings: late}}, quarter, monday, monday+9*day+quarter, vee.Options{})
	if _, err := r.ForBill(nil, quarter); !errors.As(err, &hole) || hole.Hole.Rule != vee.SeriesChange {
		t.Errorf("a long hole at a series change: %v", err)
	}
	const say = "vee: no registers of one series enclose 2018-10-29T01:00:00Z to 2018-11-07T00:00:00Z (series-change): wait for readings, or end the period at the last register"
	if err := error(hole); err.Error() != say {
		t.Errorf("%q", err)
	}
}

func TestRefuses(t *testing.T) {
	for _, tt := range []struct {
		name     string
		res      wattveil.Resolution
		from, to int64
		o        vee.Options
		say      string
	}{
		{"resolution", 7, 0, 7, vee.Options{}, "does not divide an hour"},
		{"no resolution", 0, 0, 7, vee.Options{}, "does not divide an hour"},
		{"empty", 60, 60, 60, vee.Options{}, "is empty"},
		{"early", 60, -60, 60, vee.Options{}, "is empty or not between"},
		{"late", 60, 0, 1<<33 + 60, vee.Options{}, "is empty or not between"},
		{"part of an interval", 60, 0, 90, vee.Options{}, "not a whole number of intervals"},
		{"option", 60, 0, 60, vee.Options{ReferenceDays: 9}, "ReferenceDays is 9, want 1 to 8"},
		{"negative option", 60, 0, 60, vee.Options{ZeroRun: -1}, "ZeroRun is -1"},
	} {
		if _, err := vee.Edit(nil, tt.res, tt.from, tt.to, tt.o); err == nil || !strings.Contains(err.Error(), tt.say) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.say)
		}
	}
}

func TestNames(t *testing.T) {
	if vee.Low.String() != "low" || vee.Missing.String() != "missing" || vee.Rule(200).String() != "rule 200" {
		t.Error("rules have other names")
	}
	if vee.Reference.String() != "reference" || vee.Method(9).String() != "method 9" {
		t.Error("methods have other names")
	}
	if !vee.EstimatedLinear.Estimated() || vee.Questionable.Estimated() {
		t.Error("the wrong codes are of estimation")
	}
}

// TestPrintsNoEnergy prints results in every way that a log might.
func TestPrintsNoEnergy(t *testing.T) {
	rs := meter(monday, quarter, 0, 123456, 123456, 123456, 123456)
	r := edit(t, one(without(rs, 2)), quarter, monday, monday+hour, vee.Options{})
	for _, verb := range []string{"%v", "%+v", "%#v", "%d", "%x"} {
		for _, v := range []any{r, &r, r.Intervals[0], one(rs)} {
			if s := fmt.Sprintf(verb, v); strings.Contains(s, "123456") || strings.Contains(s, "1e240") {
				t.Errorf("%s of %T shows energy: %s", verb, v, s)
			}
		}
	}
}
