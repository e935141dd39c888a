package gate_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/wattveil/wattveil/gate"
)

// year is a meter with a year of bills: one corrected, one short, one with
// demand, one with a gap over its end.
func year(t testing.TB, g *gate.Gate, months int) *meter {
	m := newMeter(t, g)
	for i := range months {
		from, to := date(2017, 11, 1)+int64(i)*30*day, date(2017, 11, 1)+int64(i+1)*30*day
		b := gate.Bill{Tariff: t1, Shape: shape(t, g, banded(from, to, hour, 3, three))}
		switch i {
		case 2:
			b.Demand = []gate.Demand{{Window: "peak", Month: 100, Seconds: day}, {Window: "all", Month: 100, Seconds: day}}
		case 4:
			b.Shape = withGap(t, g, b.Shape, to-hour, to+hour)
		case 5:
			b.Shape = withGap(t, g, b.Shape, from-hour, from+hour)
		}
		m.pass(b)
		if i == 1 {
			m.pass(gate.Bill{Tariff: t1, Shape: b.Shape, Corrects: true, Now: to + 50*day})
		}
	}
	return m
}

// TestHistoryBytes holds the layout of spec/gate.md section 7.
func TestHistoryBytes(t *testing.T) {
	g := newGate(t, gate.Settings{})
	m := newMeter(t, g)
	// 2 days from 1970-01-01T00:16:40Z: short, the last of a tariff and of the tenancy.
	s := shape(t, g, banded(1000, 1000+2*day, 800, 1, func(int64) int { return 0 }))
	m.pass(gate.Bill{
		Shape: s, Tariff: gate.TariffTag{1, 2, 3, 4, 5, 6, 7, 8}, Ends: gate.EndsTariff, Now: 200_000,
		Demand: []gate.Demand{{Window: "peak", Month: 0, Seconds: day}},
	})
	want := strings.Join([]string{
		"01", "0000000000", "0001", // version, end of tenancy, one bill
		"03", "00000003e8", "000002a6e8", "0102030405060708", // short and last; period; tariff
		"00000003e8", "000002a6e8", "0000030d40", // the time told of; made at
		s.Digest().String(),
		"01", "0000", "9ee9e606474e3228", // one demand figure: month, start of SHA-256 of "peak"
	}, "")
	got := hex.EncodeToString(m.history)
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}

	wantShape := strings.Join([]string{
		"01", "00000003e8", "00000003e8", "000002a6e8", // version, start of runs, period
		"02", "0001", // two quantities, one class
		"010100", "0000", "0000", "010100", // import weights 1 and 0, export weights 0 and 1
		"00000001", "0002a300", "0000", // one run of 172,800 s of class 0
	}, "")
	if got := hex.EncodeToString(s.Bytes()); got != wantShape {
		t.Errorf("shape\ngot  %s\nwant %s", got, wantShape)
	}
	if got := fmt.Sprintf("%v %+v", s, *s); got != "shape of 1970-01-01T00:16:40Z to 1970-01-03T00:16:40Z shape of 1970-01-01T00:16:40Z to 1970-01-03T00:16:40Z" {
		t.Errorf("a shape prints as %s", got)
	}
}

func TestParseRefuses(t *testing.T) {
	m := year(t, newGate(t, gate.Settings{}), 6)
	for i := range m.history {
		if _, err := gate.ParseHistory(m.history[:i]); err == nil && i > 0 {
			t.Fatalf("takes a history cut after %d bytes", i)
		}
	}
	if _, err := gate.ParseHistory(append(bytes.Clone(m.history), 0)); err == nil {
		t.Error("takes a history with something after it")
	}
	for _, b := range m.shapes {
		for i := range b {
			if _, err := gate.ParseShape(b[:i]); err == nil {
				t.Fatalf("takes a shape cut after %d bytes", i)
			}
		}
		if _, err := gate.ParseShape(append(bytes.Clone(b), 0)); err == nil {
			t.Error("takes a shape with something after it")
		}
		p, err := gate.ParseShape(b)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.g.Check(&gate.History{}, gate.Bill{Shape: p, Now: p.To()}, nil); err == nil {
			t.Error("bills a shape that was parsed")
		}
	}
}

// TestLookup fails where an earlier shape is lost or is another.
func TestLookup(t *testing.T) {
	m := year(t, newGate(t, gate.Settings{}), 5)
	h, err := gate.ParseHistory(m.history)
	if err != nil {
		t.Fatal(err)
	}
	from := date(2017, 11, 1) + 5*30*day
	s := shape(t, m.g, banded(from, from+30*day, hour, 3, three)) // the bill before has a gap over its end
	for name, lookup := range map[string]gate.Lookup{
		"none":    nil,
		"lost":    func(gate.Digest) (*gate.Shape, error) { return nil, fmt.Errorf("lost") },
		"nothing": func(gate.Digest) (*gate.Shape, error) { return nil, nil },
		"another": func(gate.Digest) (*gate.Shape, error) { return s, nil },
	} {
		if _, err := m.g.Check(h, gate.Bill{Shape: s, Tariff: t1, Now: s.To()}, lookup); err == nil {
			t.Errorf("%s: decides without the earlier shape", name)
		}
	}
	m.pass(gate.Bill{Shape: s, Tariff: t1})
}

func FuzzParseShape(f *testing.F) {
	m := year(f, newGate(f, gate.Settings{}), 6)
	for _, b := range m.shapes {
		f.Add(b)
	}
	g := newGate(f, gate.Settings{})
	f.Add(shape(f, g, priced(0, hour, []int64{1, 2, 3, -4, 1e13})).Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := gate.ParseShape(b)
		if err == nil && !bytes.Equal(s.Bytes(), b) {
			t.Errorf("reads %x, writes %x", b, s.Bytes())
		}
	})
}

func FuzzParseHistory(f *testing.F) {
	for _, n := range []int{0, 1, 6, 12, 29} {
		f.Add(year(f, newGate(f, gate.Settings{}), n).history)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := gate.ParseHistory(b)
		if err == nil && len(b) > 0 && !bytes.Equal(h.Bytes(), b) {
			t.Errorf("reads %x, writes %x", b, h.Bytes())
		}
	})
}

// FuzzAnswers makes shapes of anything and asks for bills of them: nothing
// panics, and what is told is a part of what was asked.
func FuzzAnswers(f *testing.F) {
	f.Add([]byte{3, 1, 0, 0, 1, 2, 4, 0, 9, 1, 30, 2, 60, 0}, int64(30_000_000))
	f.Add([]byte{9, 200, 1, 1, 1, 1, 255, 0, 200, 1}, int64(-5))
	f.Fuzz(func(t *testing.T, b []byte, price int64) {
		if len(b) < 8 || len(b) > 200 {
			return
		}
		n := 1 + int(b[0]%10)
		a := gate.Answers{From: 1000, Decimals: int(b[1] % 5)}
		for q := range n {
			a.Quantities = append(a.Quantities, gate.Quantity{Name: "q", Priced: q%3 == 2, Required: b[1]>>(q%8)&1 == 1})
		}
		for i := range 3 {
			var c gate.Class
			for q := range n {
				w := int64(b[(i+q)%len(b)]%3) - 1
				if q%3 == 2 {
					w *= price % 1e10
				}
				c.Import, c.Export = append(c.Import, w), append(c.Export, w*int64(b[q%8]%2))
			}
			a.Classes = append(a.Classes, c)
		}
		at := a.From
		for i := 2; i+1 < len(b); i += 2 {
			at += 900 * int64(1+int(b[i]))
			a.Spans = append(a.Spans, gate.Span{End: at, Class: int(b[i+1] % 3)})
		}
		g := newGate(t, gate.Settings{})
		s, err := g.NewShape(a)
		if err != nil {
			t.Fatal(err)
		}
		m := newMeter(t, g)
		d, err := m.bill(gate.Bill{Shape: s, Tariff: t1})
		if err == nil && (len(d.Tell) == 0 || len(d.Tell)+len(d.Withheld) != n) {
			t.Errorf("tells %v and withholds %d of %d", d.Tell, len(d.Withheld), n)
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	g := newGate(b, gate.Settings{})
	m := year(b, g, 13)
	from := date(2017, 11, 1) + 13*30*day
	s := shape(b, g, banded(from, from+30*day, hour, 3, three))
	b.ReportAllocs()
	for b.Loop() {
		h, err := gate.ParseHistory(m.history)
		if err != nil {
			b.Fatal(err)
		}
		d, err := g.Check(h, gate.Bill{Shape: s, Tariff: t1, Now: s.To()}, m.lookup)
		if err != nil {
			b.Fatal(err)
		}
		_ = d.History.Bytes()
	}
}

// BenchmarkGap is what a meter with a gap across bands costs more.
func BenchmarkGap(b *testing.B) {
	g := newGate(b, gate.Settings{})
	s := month(b, g, 2018, 11)
	b.ReportAllocs()
	for b.Loop() {
		withGap(b, g, s, s.From()+day, s.From()+day+20*hour)
	}
}

func BenchmarkNewShape(b *testing.B) {
	g := newGate(b, gate.Settings{})
	prices := make([]int64, 30*24)
	for i := range prices {
		prices[i] = int64(20_000_000 + i*7919%9_000_000)
	}
	for name, a := range map[string]gate.Answers{
		"bands":  banded(date(2018, 11, 1), date(2018, 12, 1), hour, 3, three),
		"hourly": priced(date(2018, 11, 1), hour, prices),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				shape(b, g, a)
			}
		})
	}
}
