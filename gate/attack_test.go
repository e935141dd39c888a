package gate_test

import (
	"errors"
	"testing"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/gate"
)

// withGap is a shape in which nothing was measured between two times; energy
// was estimated evenly, 100 Wh an hour.
func withGap(t testing.TB, g *gate.Gate, s *gate.Shape, from, to int64) *gate.Shape {
	t.Helper()
	return withParts(t, g, s, from, to, func(int64) int64 { return 100 })
}

func withParts(t testing.TB, g *gate.Gate, s *gate.Shape, from, to int64, energy func(at int64) int64) *gate.Shape {
	t.Helper()
	const step = 900
	p := gate.Gap{From: from, To: to}
	for at := from; at < to; at += step {
		iv := wattveil.Interval{Start: at, End: at + step, Import: wattveil.Wh(energy(at)), Export: 1}
		p.Import, p.Export = p.Import+iv.Import, p.Export+iv.Export
		if at >= s.From() && at < s.To() {
			p.Parts = append(p.Parts, iv)
		}
	}
	out, err := g.WithGaps(s, []gate.Gap{p})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestShortPeriods asks for days, and calls them first or last of a tariff.
func TestShortPeriods(t *testing.T) {
	g := newGate(t, gate.Settings{})
	from := date(2018, 11, 1)
	one := func(from, to int64) *gate.Shape {
		return shape(t, g, banded(from, to, hour, 1, func(int64) int { return 0 }))
	}
	m := newMeter(t, g)
	m.pass(gate.Bill{Shape: one(from, from+day), Tariff: t1}) // the first of the tenancy
	m.refused(gate.Bill{Shape: one(from+day, from+2*day), Tariff: t1}, gate.Short)

	m = newMeter(t, g)
	told := 0
	for d := range int64(365) {
		b := gate.Bill{Shape: one(from+d*day, from+(d+1)*day), Tariff: gate.TariffTag{byte(d), byte(d >> 8)}, Ends: gate.EndsTariff}
		if _, err := m.bill(b); err == nil {
			told++
		} else if !errors.Is(err, gate.ShortPerYear) {
			t.Fatal(err)
		}
	}
	if told != 4 {
		t.Errorf("a tariff a day tells %d days, want 4", told)
	}

	for _, hours := range []int64{1, 2, 3} {
		newMeter(t, g).refused(gate.Bill{Shape: one(from, from+hours*hour), Tariff: t1}, gate.Reveal)
	}
	newMeter(t, g).pass(gate.Bill{Shape: one(from, from+4*hour), Tariff: t1})
}

// TestManyBills asks for a bill every week.
func TestManyBills(t *testing.T) {
	g := newGate(t, gate.Settings{})
	m := newMeter(t, g)
	from, told := date(2018, 1, 1), 0
	for w := range int64(104) {
		b := gate.Bill{Shape: shape(t, g, banded(from+w*7*day, from+(w+1)*7*day, hour, 3, three)), Tariff: t1}
		if _, err := m.bill(b); err == nil {
			told++
		} else if !errors.Is(err, gate.BillsPerYear) {
			t.Fatal(err)
		}
	}
	if told != 28 {
		t.Errorf("two years tell %d weeks, want 28", told)
	}
}

// TestDifferencing asks for periods that overlap, to subtract one answer from
// the other.
func TestDifferencing(t *testing.T) {
	g := newGate(t, gate.Settings{})
	nov := month(t, g, 2018, 11)
	m := newMeter(t, g)
	m.pass(gate.Bill{Shape: nov, Tariff: t1})
	for _, p := range [][2]int64{
		{0, 0},              // the same again
		{0, -900},           // one interval less
		{900, 0},            // begins an interval later
		{0, 900}, {-900, 0}, // one more
		{-30 * day, -29*day + 900}, {28 * day, 60 * day}, // overlaps at an end
		{5 * day, -5 * day}, {-5 * day, 5 * day}, // within, around
	} {
		for _, tag := range []gate.TariffTag{t1, t2} {
			s := shape(t, g, banded(nov.From()+p[0], nov.To()+p[1], 900, 3, three))
			m.refused(gate.Bill{Shape: s, Tariff: tag, Now: nov.To() + 100*day}, gate.Overlap)
			if p != [2]int64{} {
				m.refused(gate.Bill{Shape: s, Tariff: tag, Now: nov.To() + 100*day, Corrects: true}, gate.CorrectsNothing)
			}
		}
	}
}

// TestOneIntervalBand puts a band around one quarter of an hour, and around
// bits of it up to where it passes.
func TestOneIntervalBand(t *testing.T) {
	g := newGate(t, gate.Settings{})
	from := date(2018, 11, 1)
	for quarters := int64(1); quarters <= 17; quarters++ {
		s := shape(t, g, banded(from, from+30*day, 900, 2, func(t int64) int {
			if t >= from+5*day && t < from+5*day+quarters*900 {
				return 1
			}
			return 0
		}))
		if quarters < 16 {
			newMeter(t, g).refused(gate.Bill{Shape: s, Tariff: t1}, gate.Reveal)
		} else {
			newMeter(t, g).pass(gate.Bill{Shape: s, Tariff: t1})
		}
	}
	// The same in a daily window of a quarter: 30 quarters, far apart.
	s := shape(t, g, banded(from, from+30*day, 900, 2, func(t int64) int {
		if t%day == 18*hour {
			return 1
		}
		return 0
	}))
	newMeter(t, g).pass(gate.Bill{Shape: s, Tariff: t1})
}

// TestNestedQuantities tells two bands that differ in one interval.
func TestNestedQuantities(t *testing.T) {
	g := newGate(t, gate.Settings{})
	from := date(2018, 11, 1)
	a := gate.Answers{From: from, Decimals: 2, Quantities: []gate.Quantity{{Name: "day", Required: true}, {Name: "day less a slot", Required: true}}}
	a.Classes = []gate.Class{{}, {Import: []int64{1, 1}}, {Import: []int64{1, 0}}}
	for t := from; t < from+30*day; t += 900 {
		class := 1
		switch {
		case t%day < 8*hour:
			class = 0
		case t == from+9*day+12*hour:
			class = 2
		}
		a.Spans = append(a.Spans, gate.Span{End: t + 900, Class: class})
	}
	newMeter(t, g).refused(gate.Bill{Shape: shape(t, g, a), Tariff: t1}, gate.Reveal)
}

// TestWeights hides single hours in the amount by their prices.
func TestWeights(t *testing.T) {
	g := newGate(t, gate.Settings{})
	const n = 30 * 24
	const cent, unit = 1_000_000, 100_000_000
	prices := func(f func(i int) int64) []int64 {
		out := make([]int64, n)
		for i := range out {
			out[i] = f(i)
		}
		return out
	}
	for _, tt := range []struct {
		name string
		rule gate.Rule
		p    []int64
	}{
		{"1000, 1, 1, ...", gate.Reveal, prices(func(i int) int64 {
			if i == 0 {
				return 10 * unit
			}
			return cent
		})},
		{"1000 twice a month", gate.Reveal, prices(func(i int) int64 {
			if i%360 == 0 {
				return 10 * unit
			}
			return cent
		})},
		{"powers of two", gate.Price, prices(func(i int) int64 { return 1 << min(i, 46) })},
		{"powers of two up to the limit", gate.Reveal, prices(func(i int) int64 { return 10 * unit >> min(i, 60) })},
		{"powers of two, every hour of the day", gate.Price, prices(func(i int) int64 { return cent << (i % 24) })},
		{"1, 1000000, 1000000, ...", gate.Price, prices(func(i int) int64 {
			if i == 77 {
				return cent
			}
			return 1_000_000 * unit
		})},
		{"negative powers", gate.Price, prices(func(i int) int64 { return -(int64(unit) << (i % 19)) })},
		{"one hour of 30", gate.Reveal, prices(func(i int) int64 {
			if i == 77 {
				return 30 * cent
			}
			return 0
		})},
		{"its own factor each interval, by base 100", gate.Price, prices(func(i int) int64 {
			out := int64(1)
			for range i % 8 {
				out *= 100
			}
			return out
		})},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := priced(date(2018, 11, 1), hour, tt.p)
			newMeter(t, g).refused(gate.Bill{Shape: shape(t, g, a), Tariff: t1}, tt.rule)
		})
	}
}

// TestTwoTariffs bills a month by one tariff and again by one that differs in
// one slot.
func TestTwoTariffs(t *testing.T) {
	g := newGate(t, gate.Settings{})
	from := date(2018, 11, 1)
	other := shape(t, g, banded(from, from+30*day, hour, 3, func(t int64) int {
		if t == from+10*day+12*hour {
			return 2
		}
		return three(t)
	}))
	m := newMeter(t, g)
	m.pass(gate.Bill{Shape: month(t, g, 2018, 11), Tariff: t1})
	m.refused(gate.Bill{Shape: other, Tariff: t2}, gate.Overlap)
	m.refused(gate.Bill{Shape: other, Tariff: t2, Corrects: true, Now: from + 100*day}, gate.CorrectsNothing)
	// Even a TTP that took one tariff for the other would not tell the slot.
	m.refused(gate.Bill{Shape: other, Tariff: t1, Corrects: true, Now: from + 100*day}, gate.Reveal)
}

// TestManyRebills asks for the same bill and its correction over and over.
func TestManyRebills(t *testing.T) {
	g := newGate(t, gate.Settings{})
	m := newMeter(t, g)
	nov := month(t, g, 2018, 11)
	m.pass(gate.Bill{Shape: nov, Tariff: t1})
	told := 0
	for d := range int64(400) {
		m.refused(gate.Bill{Shape: nov, Tariff: t1, Now: nov.To() + d*day}, gate.Overlap)
		if _, err := m.bill(gate.Bill{Shape: nov, Tariff: t1, Corrects: true, Now: nov.To() + d*day + 1}); err == nil {
			told++
		}
	}
	if told != 1 {
		t.Errorf("corrected %d times", told)
	}
}

// TestWithheldBoundary lets a utility withhold the reading between two bands or
// two periods, bill, deliver it, and ask for the correction: the difference
// would tell the intervals around it.
func TestWithheldBoundary(t *testing.T) {
	g := newGate(t, gate.Settings{})
	nov, dec := month(t, g, 2018, 11), month(t, g, 2018, 12)
	seven := nov.From() + 9*day + 7*hour // night ends
	late := nov.To() + 60*day
	for _, tt := range []struct {
		name     string
		from, to int64 // gap
		energy   func(at int64) int64
		rule     gate.Rule
	}{
		{"one reading between bands", seven - 900, seven + 900, func(int64) int64 { return 50 }, gate.Reveal},
		{"two readings", seven - 900, seven + 1800, func(int64) int64 { return 50 }, gate.Reveal},
		{"an hour on each side", seven - hour, seven + hour, func(int64) int64 { return 50 }, gate.Reveal},
		{"estimated all on one side", seven - 900, seven + 12*hour, func(at int64) int64 { return max(0, at-seven) }, gate.Reveal},
		{"estimated all on the other side", seven - 12*hour, seven + 900, func(at int64) int64 { return max(0, seven-at) }, gate.Reveal},
		{"nothing in the gap", seven - 900, seven + 900, func(int64) int64 { return 0 }, gate.Reveal},
		{"the end of the period", nov.To() - 900, nov.To() + 900, func(int64) int64 { return 50 }, gate.Reveal},
		{"the start of the period", nov.From() - 900, nov.From() + 900, func(int64) int64 { return 50 }, gate.Reveal},
		{"half a day within a band", nov.From() + 8*hour, nov.From() + 16*hour, func(int64) int64 { return 50 }, ""},
		{"a day", seven - 12*hour, seven + 12*hour, func(int64) int64 { return 50 }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newMeter(t, g)
			m.pass(gate.Bill{Shape: withParts(t, g, nov, tt.from, tt.to, tt.energy), Tariff: t1})
			correction := gate.Bill{Shape: nov, Tariff: t1, Corrects: true, Now: late}
			if tt.rule == "" {
				m.pass(correction)
			} else {
				m.refused(correction, tt.rule)
			}
		})
	}

	// The gap lies over the end of the period, and the next bill, after the
	// delivery, tells its part of the quarter exactly. Then the correction of
	// the first would tell the other part.
	m := newMeter(t, g)
	over := func(s *gate.Shape) *gate.Shape {
		return withParts(t, g, s, nov.To()-900, nov.To()+900, func(int64) int64 { return 50 })
	}
	m.pass(gate.Bill{Shape: over(nov), Tariff: t1})
	m.pass(gate.Bill{Shape: dec, Tariff: t1})
	m.refused(gate.Bill{Shape: nov, Tariff: t1, Corrects: true, Now: late}, gate.Reveal)
	// Without delivery, both bills share the gap, in whatever parts.
	m = newMeter(t, g)
	m.pass(gate.Bill{Shape: over(nov), Tariff: t1})
	m.pass(gate.Bill{Shape: over(dec), Tariff: t1})
}

// TestCarry puts into the next bill what a correction would tell too clearly:
// three hours of a band.
func TestCarry(t *testing.T) {
	g := newGate(t, gate.Settings{})
	nov, dec := month(t, g, 2018, 11), month(t, g, 2018, 12)
	m := newMeter(t, g)
	gap := withGap(t, g, nov, nov.From()+day, nov.From()+day+20*hour)
	told := m.pass(gate.Bill{Shape: gap, Tariff: t1}).Shape
	m.refused(gate.Bill{Shape: nov, Tariff: t1, Corrects: true, Now: nov.To() + 50*day}, gate.Reveal)
	carried, err := g.Carry(dec, told, nov)
	if err != nil {
		t.Fatal(err)
	}
	if carried.Digest() == dec.Digest() || carried.From() != dec.From() || carried.To() != dec.To() {
		t.Error("nothing was carried, or the period changed")
	}
	m.pass(gate.Bill{Shape: carried, Tariff: t1})
	// After that the correction would tell the difference all the same.
	m.refused(gate.Bill{Shape: nov, Tariff: t1, Corrects: true, Now: nov.To() + 50*day}, gate.Reveal)

	if same, err := g.Carry(dec, nov, nov); err != nil || same.Digest() != dec.Digest() {
		t.Errorf("carrying nothing changes the shape (%v)", err)
	}
	two := shape(t, g, banded(nov.From(), nov.To(), hour, 2, func(t int64) int { return three(t) / 2 }))
	for _, bad := range [][2]*gate.Shape{{two, two}, {nov, month(t, g, 2018, 10)}, {dec, dec}} {
		if _, err := g.Carry(dec, bad[0], bad[1]); err == nil {
			t.Error("carries what does not fit")
		}
	}
}

// TestGapAsBill makes the utility deliver only the readings around a short
// time, so that all else of the month is one gap on each side.
func TestGapAsBill(t *testing.T) {
	g := newGate(t, gate.Settings{})
	from := date(2018, 11, 1)
	s := shape(t, g, banded(from, from+30*day, hour, 1, func(int64) int { return 0 }))
	// One band: whatever is missing, only the month's total is told.
	m := newMeter(t, g)
	m.pass(gate.Bill{Shape: withGap(t, g, withGap(t, g, s, from, from+10*day), from+10*day+900, s.To()), Tariff: t1})
	// The estimated share in Wh would be an answer about the gap alone.
	a := banded(from, from+30*day, hour, 1, func(int64) int { return 0 })
	a.Quantities = append(a.Quantities, gate.Quantity{Name: "estimated"})
	a.Classes = []gate.Class{{Import: []int64{1, 0, 0}}, {Import: []int64{1, 0, 1}}}
	a.Spans = []gate.Span{{End: from + 5*day, Class: 0}, {End: from + 5*day + 1800, Class: 1}, {End: from + 30*day, Class: 0}}
	d := newMeter(t, g).pass(gate.Bill{Shape: shape(t, g, a), Tariff: t1})
	if len(d.Withheld) != 1 || d.Withheld[0].Quantity != "estimated" {
		t.Errorf("withholds %v", d.Withheld)
	}
}

// TestHole takes unmeasured time out of a band that is ample only with it.
func TestHole(t *testing.T) {
	g := newGate(t, gate.Settings{})
	from := date(2018, 11, 1)
	s := shape(t, g, banded(from, from+30*day, hour, 2, func(t int64) int {
		if t >= from+5*day && t < from+5*day+4*hour {
			return 1
		}
		return 0
	}))
	newMeter(t, g).pass(gate.Bill{Shape: s, Tariff: t1})
	holed, err := g.WithGaps(s, []gate.Gap{{From: from + 5*day, To: from + 5*day + 2*hour, Hole: true}})
	if err != nil {
		t.Fatal(err)
	}
	newMeter(t, g).refused(gate.Bill{Shape: holed, Tariff: t1}, gate.Reveal)
}

func TestRefusesGaps(t *testing.T) {
	g := newGate(t, gate.Settings{})
	s := month(t, g, 2018, 11)
	from := s.From() + day
	iv := func(at, wh int64) wattveil.Interval {
		return wattveil.Interval{Start: at, End: at + 900, Import: wattveil.Wh(wh)}
	}
	good := gate.Gap{From: from, To: from + 1800, Import: 9, Parts: []wattveil.Interval{iv(from, 4), iv(from+900, 5)}}
	if same, err := g.WithGaps(s, []gate.Gap{good}); err != nil || same != s {
		t.Errorf("a gap within a band makes another shape, or %v", err)
	}
	for i, gaps := range [][]gate.Gap{
		{{From: from, To: from}},
		{{From: s.To(), To: s.To() + 900}},
		{good, good},
		{{From: from, To: from + 1800, Import: 9, Parts: good.Parts[:1]}},
		{{From: from, To: from + 1800, Import: 8, Parts: good.Parts}},
		{{From: from, To: from + 1800, Import: 10, Parts: good.Parts}},
		{{From: from, To: from + 1800, Import: -1, Parts: good.Parts}},
		{{From: from, To: from + 1800, Import: 9, Parts: []wattveil.Interval{iv(from, 14), iv(from+900, -5)}}},
		{{From: from, To: from + 1800, Hole: true, Parts: good.Parts}},
		{{From: s.From() - 900, To: from, Hole: true}},
	} {
		if _, err := g.WithGaps(s, gaps); err == nil {
			t.Errorf("gaps %d: accepted", i)
		}
	}
	if _, err := newGate(t, gate.Settings{}).WithGaps(s, nil); err == nil {
		t.Error("takes a shape of another gate")
	}
	over := withParts(t, g, s, s.To()-900, s.To()+900, func(int64) int64 { return 1 })
	if _, err := g.WithGaps(over, []gate.Gap{good}); err == nil {
		t.Error("adds a gap to a shape that is longer than its period")
	}
}
