package gate_test

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the zones of the tests, wherever they run

	"github.com/wattveil/wattveil/gate"
)

const (
	day  = 24 * 3600
	hour = 3600
)

func at(s string) int64 {
	t, err := time.Parse("2006-01-02T15:04", s)
	if err != nil {
		panic(err)
	}
	return t.Unix()
}

func date(y int, m time.Month, d int) int64 { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() }

func newGate(t testing.TB, s gate.Settings) *gate.Gate {
	t.Helper()
	g, err := gate.New(s)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// banded is what a bill in bands tells: for each band its import, and the
// export of all. bandOf gives the band of each step.
func banded(from, to, step int64, bands int, bandOf func(at int64) int) gate.Answers {
	a := gate.Answers{From: from, Decimals: 2}
	for b := range bands {
		a.Quantities = append(a.Quantities, gate.Quantity{Name: fmt.Sprintf("import %d", b), Required: true})
	}
	a.Quantities = append(a.Quantities, gate.Quantity{Name: "export"})
	for b := range bands {
		c := gate.Class{Import: make([]int64, bands+1), Export: make([]int64, bands+1)}
		c.Import[b], c.Export[bands] = 1, 1
		a.Classes = append(a.Classes, c)
	}
	for t := from; t < to; t += step {
		b := bandOf(t)
		if n := len(a.Spans); n > 0 && a.Spans[n-1].Class == b {
			a.Spans[n-1].End = t + step
		} else {
			a.Spans = append(a.Spans, gate.Span{End: t + step, Class: b})
		}
	}
	return a
}

// three is three bands: night, day, evening.
func three(t int64) int {
	switch h := t % day / hour; {
	case h < 7 || h >= 22:
		return 0
	case h < 17:
		return 1
	default:
		return 2
	}
}

// priced is a bill of one amount at a price for each step, and the import of
// all; prices in 10^-8 of the currency a kWh.
func priced(from, step int64, prices []int64) gate.Answers {
	a := gate.Answers{From: from, Decimals: 2, Quantities: []gate.Quantity{
		{Name: "amount", Priced: true, Required: true}, {Name: "import"},
	}}
	for i, p := range prices {
		a.Classes = append(a.Classes, gate.Class{Import: []int64{p, 1}})
		a.Spans = append(a.Spans, gate.Span{End: from + int64(i+1)*step, Class: i})
	}
	return a
}

func shape(t testing.TB, g *gate.Gate, a gate.Answers) *gate.Shape {
	t.Helper()
	s, err := g.NewShape(a)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// meter is one meter's history and the shapes stored, as a TTP keeps them: in
// bytes.
type meter struct {
	t       testing.TB
	g       *gate.Gate
	history []byte
	shapes  map[gate.Digest][]byte
}

func newMeter(t testing.TB, g *gate.Gate) *meter {
	return &meter{t: t, g: g, shapes: make(map[gate.Digest][]byte)}
}

func (m *meter) lookup(d gate.Digest) (*gate.Shape, error) {
	b, ok := m.shapes[d]
	if !ok {
		return nil, errors.New("no such shape")
	}
	return gate.ParseShape(b)
}

// bill asks for a bill, by default made two days after its period under a
// tariff registered at 0, and keeps what is told.
func (m *meter) bill(b gate.Bill) (gate.Decision, error) {
	m.t.Helper()
	b.Now = cmp.Or(b.Now, b.Shape.To()+2*day)
	h, err := gate.ParseHistory(m.history)
	if err != nil {
		m.t.Fatal(err)
	}
	d, err := m.g.Check(h, b, m.lookup)
	var r *gate.Refusal
	switch {
	case errors.As(err, &r):
		return d, err
	case err != nil:
		m.t.Fatal(err)
	}
	m.history = d.History.Bytes()
	m.shapes[d.Shape.Digest()] = d.Shape.Bytes()
	return d, nil
}

func (m *meter) pass(b gate.Bill) gate.Decision {
	m.t.Helper()
	d, err := m.bill(b)
	if err != nil {
		m.t.Fatal(err)
	}
	return d
}

func (m *meter) refused(b gate.Bill, rule gate.Rule) {
	m.t.Helper()
	before := slices.Clone(m.history)
	_, err := m.bill(b)
	if !errors.Is(err, rule) {
		m.t.Errorf("got %v, want a refusal by %s", err, string(rule))
	} else if !strings.HasPrefix(err.Error(), "gate: "+string(rule)) {
		m.t.Errorf("%q does not name its rule", err)
	}
	if !slices.Equal(before, m.history) {
		m.t.Error("a refusal changed the history")
	}
}

var (
	t1 = gate.TariffTag{1}
	t2 = gate.TariffTag{2}
)

func month(t testing.TB, g *gate.Gate, y int, m time.Month) *gate.Shape {
	return shape(t, g, banded(date(y, m, 1), date(y, m+1, 1), hour, 3, three))
}

func TestMonth(t *testing.T) {
	m := newMeter(t, newGate(t, gate.Settings{}))
	d := m.pass(gate.Bill{Shape: month(t, m.g, 2018, 11), Tariff: t1})
	if !slices.Equal(d.Tell, []int{0, 1, 2, 3}) || len(d.Withheld) > 0 {
		t.Errorf("tells %v", d.Tell)
	}
	if n := len(m.history); n != 8+67 {
		t.Errorf("history of %d bytes, want 75", n)
	}
	if h, _ := gate.ParseHistory(m.history); h.Bills() != 1 || !slices.Equal(h.Shapes(), []gate.Digest{d.Shape.Digest()}) {
		t.Error("the history does not hold the bill")
	}
}

// TestDecade bills ten years of honest months: a new tariff every March, one of
// them within the month, gaps, corrections, and a move.
func TestDecade(t *testing.T) {
	g := newGate(t, gate.Settings{})
	m := newMeter(t, g)
	bills, corrections, sizes := 0, 0, 0
	tag := gate.TariffTag{1}
	registered := int64(0)
	for i := range 120 {
		from, to := date(2010, time.January+time.Month(i), 1), date(2010, time.February+time.Month(i), 1)
		cuts := []int64{from, to}
		if i%12 == 2 {
			registered = from - 3*day
			tag[0]++
		}
		if i == 50 { // a tariff change on the 4th: last and first of a tariff
			cuts = []int64{from, from + 3*day, to}
			registered = from
		}
		if i == 70 { // a move on the 20th
			cuts[1] = from + 19*day
		}
		for k := range len(cuts) - 1 {
			b := gate.Bill{Tariff: tag, Registered: min(registered, cuts[k])}
			a := banded(cuts[k], cuts[k+1], hour, 3, three)
			b.Shape = shape(t, g, a)
			gaps := i%5 == 0
			if gaps {
				b.Shape = withGap(t, g, b.Shape, cuts[k]+day, cuts[k]+2*day)
			}
			if i == 50 && k == 0 {
				b.Ends = gate.EndsTariff
			}
			if i == 70 {
				b.Ends = gate.EndsTenancy
			}
			m.pass(b)
			bills++
			if gaps { // the readings come late: the gap is gone
				m.pass(gate.Bill{Shape: shape(t, g, a), Tariff: tag, Corrects: true, Now: cuts[k+1] + 45*day})
				corrections++
			}
			if i == 50 && k == 0 {
				tag[0]++
			}
		}
		sizes = max(sizes, len(m.history))
		if i == 70 {
			m.refused(gate.Bill{Shape: month(t, g, 2015, 12), Tariff: tag}, gate.TenancyEnded)
			m = newMeter(t, g) // the next tenant has another pseudonym
			m.pass(gate.Bill{Shape: shape(t, g, banded(cuts[1], to, hour, 3, three)), Tariff: tag})
		}
	}
	t.Logf("%d bills, %d corrections; the history had at most %d bytes", bills, corrections, sizes)
	if sizes > 4096 {
		t.Errorf("the history grew to %d bytes", sizes)
	}
}

func TestRefusesBills(t *testing.T) {
	g := newGate(t, gate.Settings{})
	nov, dec := month(t, g, 2018, 11), month(t, g, 2018, 12)
	m := newMeter(t, g)
	m.refused(gate.Bill{Shape: nov, Tariff: t1, Now: nov.To() - 1}, gate.NotOver)
	m.refused(gate.Bill{Shape: nov, Tariff: t1, Registered: nov.From() + 1}, gate.Registered)
	m.pass(gate.Bill{Shape: nov, Tariff: t1, Registered: nov.From(), Ends: gate.EndsTariff})
	m.refused(gate.Bill{Shape: dec, Tariff: t1}, gate.TariffEnded)
	m.pass(gate.Bill{Shape: dec, Tariff: t2})
	old := month(t, g, 2017, 11)
	m.refused(gate.Bill{Shape: old, Tariff: t1}, gate.TooOld)
	m.refused(gate.Bill{Shape: dec, Tariff: t2, Corrects: true, Now: dec.To() + 2*day + 39*day}, gate.CorrectionEarly)
	m.refused(gate.Bill{Shape: dec, Tariff: t1, Corrects: true, Now: dec.To() + 50*day}, gate.CorrectsNothing)
	m.refused(gate.Bill{Shape: dec, Tariff: t2, Corrects: true, Now: dec.To() + 403*day}, gate.CorrectionLate)
	m.pass(gate.Bill{Shape: dec, Tariff: t2, Corrects: true, Now: dec.To() + 42*day})
	m.refused(gate.Bill{Shape: dec, Tariff: t2, Corrects: true, Now: dec.To() + 84*day}, gate.CorrectedAlready)
	m.refused(gate.Bill{Shape: month(t, g, 2018, 10), Tariff: t2, Corrects: true, Now: dec.To() + 50*day}, gate.CorrectsNothing)
	m.refused(gate.Bill{Shape: shape(t, g, banded(dec.To(), dec.To()+6*day, hour, 3, three)), Tariff: t2}, gate.Short)
	m.pass(gate.Bill{Shape: shape(t, g, banded(dec.To(), dec.To()+7*day-hour, hour, 3, three)), Tariff: t2})
	m.pass(gate.Bill{Shape: shape(t, g, banded(dec.To()+7*day, dec.To()+9*day, hour, 3, three)), Tariff: t2, Ends: gate.EndsTenancy})
	m.refused(gate.Bill{Shape: month(t, g, 2019, 2), Tariff: gate.TariffTag{9}}, gate.TenancyEnded)
}

func TestDemand(t *testing.T) {
	g := newGate(t, gate.Settings{})
	m := newMeter(t, g)
	a, b := date(2018, 11, 1), date(2018, 11, 15)
	first, second := shape(t, g, banded(a, b, hour, 3, three)), shape(t, g, banded(b, b+14*day, hour, 3, three))
	const nov = 48*12 + 10
	peak := gate.Demand{Window: "peak", Month: nov, Seconds: 4 * hour}
	short := gate.Demand{Window: "noon", Month: nov, Seconds: 4*hour - 1}
	other := func(name string) gate.Demand { return gate.Demand{Window: name, Month: nov, Seconds: day} }
	m.refused(gate.Bill{Shape: first, Tariff: t1, Demand: []gate.Demand{short}}, gate.DemandWindow)
	m.refused(gate.Bill{Shape: first, Tariff: t1, Demand: []gate.Demand{peak, peak}}, gate.DemandAgain)
	m.pass(gate.Bill{Shape: first, Tariff: t1, Demand: []gate.Demand{peak, other("all")}})
	m.refused(gate.Bill{Shape: second, Tariff: t1, Demand: []gate.Demand{peak}}, gate.DemandAgain)
	m.refused(gate.Bill{Shape: second, Tariff: t1, Demand: []gate.Demand{other("a"), other("b"), other("c")}}, gate.DemandCount)
	m.refused(gate.Bill{Shape: first, Tariff: t1, Corrects: true, Now: b + 50*day, Demand: []gate.Demand{other("x")}}, gate.DemandAgain)
	m.pass(gate.Bill{Shape: second, Tariff: t1, Demand: []gate.Demand{other("a"), other("b")}})
	for w, want := range map[int64]int64{-5: 0, 0: 0, 1: 100, 100: 100, 101: 200, 4250: 4300} {
		if got := gate.RoundDemand(w); got != want {
			t.Errorf("%d W is told as %d, want %d", w, got, want)
		}
	}
}

func TestQuantities(t *testing.T) {
	g := newGate(t, gate.Settings{})
	hourly := func(t int64) int { return int(t % day / hour) }
	from := date(2018, 11, 1)
	seven := shape(t, g, banded(from, from+30*day, hour, 7, func(t int64) int { return hourly(t) % 7 }))
	if d := newMeter(t, g).pass(gate.Bill{Shape: seven, Tariff: t1}); len(d.Tell) != 8 {
		t.Errorf("tells %d of 8", len(d.Tell))
	}
	many := banded(from, from+30*day, hour, 24, hourly)
	newMeter(t, g).refused(gate.Bill{Shape: shape(t, g, many), Tariff: t1}, gate.Quantities)
	for i := range many.Quantities {
		many.Quantities[i].Required = false
	}
	d := newMeter(t, g).pass(gate.Bill{Shape: shape(t, g, many), Tariff: t1})
	if len(d.Tell) != 8 || len(d.Withheld) != 17 || !errors.Is(d.Withheld[0], gate.Quantities) || d.Withheld[0].Quantity != "import 8" {
		t.Errorf("tells %v, withholds %v", d.Tell, d.Withheld)
	}
	// The sum of all bands and their amount follow from the bands: they do not count.
	sums := banded(from, from+30*day, hour, 7, func(t int64) int { return hourly(t) % 7 })
	sums.Quantities = append(sums.Quantities, gate.Quantity{Name: "import"}, gate.Quantity{Name: "amount", Priced: true})
	for i := range sums.Classes {
		c := &sums.Classes[i]
		c.Import, c.Export = append(c.Import, 1, int64(i+1)*1e13), append(c.Export, 0, 0)
	}
	if d := newMeter(t, g).pass(gate.Bill{Shape: shape(t, g, sums), Tariff: t1}); len(d.Tell) != 10 {
		t.Errorf("tells %d of 10", len(d.Tell))
	}
}

// TestSmallerSet bills a month of hourly prices in which one hour stands out:
// energy and amount together would tell that hour, the amount alone does not.
func TestSmallerSet(t *testing.T) {
	g := newGate(t, gate.Settings{})
	prices := make([]int64, 30*24)
	for i := range prices {
		prices[i] = 30_000_000
	}
	prices[400] = 40_000_000
	from := date(2018, 11, 1)
	d := newMeter(t, g).pass(gate.Bill{Shape: shape(t, g, priced(from, hour, prices)), Tariff: t1})
	if !slices.Equal(d.Tell, []int{0}) || len(d.Withheld) != 1 {
		t.Fatalf("tells %v", d.Tell)
	}
	const say = "gate: reveal of import: all answers together would tell too much of a short time: 2018-11-17T16:00:00Z to 2018-11-17T17:00:00Z (more than 1/4)"
	if got := d.Withheld[0].Error(); got != say {
		t.Errorf("says %q, want %q", got, say)
	}
	if d.Shape.Digest() == shape(t, g, priced(from, hour, prices)).Digest() {
		t.Error("the shape still tells the energy")
	}
}

func TestSettings(t *testing.T) {
	want := gate.Settings{
		BillsPerYear: 14, ShortPerYear: 4, MinDays: 7, Quantities: 8, RevealNum: 1, RevealDen: 4, Window: time.Hour,
		CorrectionAfter: 40, CorrectableFor: 400, DemandPerMonth: 4, PriceLimit: 1,
	}
	if got := newGate(t, gate.Settings{}).Settings(); got != want {
		t.Errorf("defaults are %+v", got)
	}
	for _, bad := range []gate.Settings{
		{BillsPerYear: -1}, {RevealNum: 2, RevealDen: 1}, {Window: time.Millisecond}, {Window: time.Second + 1}, {Quantities: 65}, {CorrectableFor: 10},
	} {
		if _, err := gate.New(bad); err == nil {
			t.Errorf("%+v: accepted", bad)
		}
	}
	daily := newMeter(t, newGate(t, gate.Settings{MinDays: 1, BillsPerYear: 366}))
	for d := range int64(30) {
		from := date(2018, 11, 1) + d*day
		daily.pass(gate.Bill{Shape: shape(t, daily.g, banded(from, from+day, hour, 2, func(t int64) int { return int(t / (12 * hour) % 2) })), Tariff: t1})
	}
}

func TestRefusesAnswers(t *testing.T) {
	g := newGate(t, gate.Settings{})
	good := func() gate.Answers {
		return banded(0, 30*day, hour, 2, func(t int64) int { return int(t / (12 * hour) % 2) })
	}
	for _, tt := range []struct {
		name string
		f    func(*gate.Answers)
		say  string
	}{
		{"no quantities", func(a *gate.Answers) { a.Quantities = nil }, "0 quantities"},
		{"no spans", func(a *gate.Answers) { a.Spans = nil }, "0 spans"},
		{"empty span", func(a *gate.Answers) { a.Spans[1].End = a.Spans[0].End }, "span 1 ends"},
		{"long", func(a *gate.Answers) { a.Spans = []gate.Span{{End: 801 * day}} }, "800 days"},
		{"class", func(a *gate.Answers) { a.Spans[0].Class = 2 }, "class 2 of 2"},
		{"weights", func(a *gate.Answers) { a.Classes[0].Import = []int64{1} }, "1 weights for 3"},
		{"weight", func(a *gate.Answers) { a.Classes[0].Import[0] = 2 }, "weight 2 of import 0"},
		{"price", func(a *gate.Answers) { a.Quantities[0].Priced = true; a.Classes[0].Import[0] = 1e14 + 1 }, "beyond 100000000000000"},
		{"name", func(a *gate.Answers) { a.Quantities[0].Name = "" }, "name of 0 bytes"},
		{"decimals", func(a *gate.Answers) { a.Decimals = 9 }, "9 decimals"},
		{"from", func(a *gate.Answers) { a.From = -1 }, "before 1970"},
	} {
		a := good()
		tt.f(&a)
		if _, err := g.NewShape(a); err == nil || !strings.Contains(err.Error(), tt.say) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.say)
		}
	}
}

// TestTooManyQuantities is a refusal, since a tariff may have as many.
func TestTooManyQuantities(t *testing.T) {
	g := newGate(t, gate.Settings{})
	_, err := g.NewShape(banded(0, 30*day, hour, 64, func(t int64) int { return int(t / hour % 24) }))
	if refusal := (*gate.Refusal)(nil); !errors.As(err, &refusal) || refusal.Rule != gate.Quantities {
		t.Error(err)
	}
}

// TestConcurrent bills many meters with one shape at once, as a billing run
// does.
func TestConcurrent(t *testing.T) {
	g := newGate(t, gate.Settings{})
	nov, dec := month(t, g, 2018, 11), month(t, g, 2018, 12)
	done := make(chan error)
	for range 8 {
		go func() {
			h := &gate.History{}
			for _, s := range []*gate.Shape{nov, dec} {
				d, err := g.Check(h, gate.Bill{Shape: s, Tariff: t1, Now: s.To()}, nil)
				if err != nil {
					done <- err
					return
				}
				h = d.History
			}
			// The correction joins the shared shapes in one block.
			d, err := g.Check(h, gate.Bill{Shape: nov, Tariff: t1, Corrects: true, Now: nov.To() + 50*day},
				func(gate.Digest) (*gate.Shape, error) { return nov, nil })
			if err == nil && d.History.Bills() != 2 {
				err = fmt.Errorf("%d bills", d.History.Bills())
			}
			done <- err
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
