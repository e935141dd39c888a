package source

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/wattveil/wattveil"
)

// steady is a load of as many intervals from 0 on, each with the same energy.
type steady struct {
	imp, exp wattveil.Wh
	res      int64
	rows     int64
}

func (s steady) Energy(start int64) (imp, exp wattveil.Wh, ok bool) {
	if start < 0 || start%s.res != 0 || start/s.res >= s.rows {
		return 0, 0, false
	}
	return s.imp, s.exp, true
}

func TestThen(t *testing.T) {
	l := Then(steady{imp: 1, res: 900, rows: 2}, 1800, steady{exp: 2, res: 900, rows: 4})
	tests := []struct {
		start    int64
		imp, exp wattveil.Wh
		ok       bool
	}{
		{-900, 0, 0, false},
		{0, 1, 0, true},
		{900, 1, 0, true},
		{1800, 0, 2, true},
		{2700, 0, 2, true},
		{3600, 0, 0, false},
	}
	for _, tt := range tests {
		if imp, exp, ok := l.Energy(tt.start); imp != tt.imp || exp != tt.exp || ok != tt.ok {
			t.Errorf("at %d: got %d, %d, %v", tt.start, int64(imp), int64(exp), ok)
		}
	}
}

func TestRegistersAdvance(t *testing.T) {
	r := NewRegisters(steady{imp: 7, exp: 3, res: 900, rows: 10}, 900, 0, wattveil.RegisterModulus-10, 100)
	tests := []struct {
		t        int64
		imp, exp wattveil.Register
	}{
		{0, wattveil.RegisterModulus - 10, 100},
		{900, wattveil.RegisterModulus - 3, 103},
		{900, wattveil.RegisterModulus - 3, 103},
		{1800, 4, 106}, // rolled over
		{9000, 60, 130},
	}
	for _, tt := range tests {
		got, err := r.At(tt.t)
		want := wattveil.Reading{Time: tt.t, Import: tt.imp, Export: tt.exp}
		if err != nil || got != want {
			t.Errorf("at %d: registers are %d and %d at %d, %v; want %d and %d",
				tt.t, uint64(got.Import), uint64(got.Export), got.Time, err, uint64(tt.imp), uint64(tt.exp))
		}
	}
}

func TestRegistersRefuse(t *testing.T) {
	good := steady{imp: 7, res: 900, rows: 3}
	tests := []struct {
		name  string
		load  Load
		res   wattveil.Resolution
		at    int64
		ended bool
		want  string
	}{
		{"ended", good, 900, 3600, true,
			"read registers at 1970-01-01T01:00:00Z: source has no data for the interval that starts at 1970-01-01T00:45:00Z"},
		{"off the grid", good, 900, 1000, false,
			"read registers at 1970-01-01T00:16:40Z: no interval of 15m0s ends then; the nearest before ends at 1970-01-01T00:15:00Z"},
		{"behind", good, 900, -900, false,
			"read registers at 1969-12-31T23:45:00Z: registers already stand at 1970-01-01T00:00:00Z and do not run backwards"},
		{"no resolution", good, 0, 0, false,
			"read registers at 1970-01-01T00:00:00Z: resolution is zero; give the length of the load's intervals"},
		{"negative energy", steady{imp: -1, res: 900, rows: 3}, 900, 900, false,
			"read registers at 1970-01-01T00:15:00Z: source gives negative energy for the interval that starts at 1970-01-01T00:00:00Z; give fed-in energy as export"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := NewRegisters(tt.load, tt.res, 0, 5, 5)
			_, err := r.At(tt.at)
			if err == nil || err.Error() != tt.want || errors.Is(err, ErrEnded) != tt.ended {
				t.Errorf("got %v, want %s", err, tt.want)
			}
			if tt.res == 0 {
				return
			}
			if got, err := r.At(0); err != nil || got.Import != 5 || got.Export != 5 {
				t.Errorf("registers moved: %d, %v", uint64(got.Import), err)
			}
		})
	}
}

func TestRegistersEndOneByOne(t *testing.T) {
	r := NewRegisters(steady{imp: 7, res: 900, rows: 3}, 900, 0, 0, 0)
	if _, err := r.At(3600); !errors.Is(err, ErrEnded) {
		t.Fatalf("got %v, want ErrEnded", err)
	}
	if got, err := r.At(2700); err != nil || got.Import != 21 {
		t.Errorf("what the source has is out of reach: %d, %v", uint64(got.Import), err)
	}
}

func TestNothingPrintsEnergy(t *testing.T) {
	c, err := ReadCSV(strings.NewReader("t,a\n2026-01-01T00:00,83.461\n2026-01-01T00:15,83.461\n"), "x.csv", CSVOptions{})
	if err != nil {
		t.Fatal(err)
	}
	l := c.Load("a")
	r := NewRegisters(l, 900, c.Start, 83461, 83461)
	if _, err := r.At(c.End); err != nil {
		t.Fatal(err)
	}
	h := NewHousehold(1, 83461, nil, 900)
	h.Energy(c.Start)
	var logged strings.Builder
	log := slog.New(slog.NewJSONHandler(&logged, nil))
	// A household's number may be printed; its cached day may not.
	for _, v := range []any{c, *c, l, r, *r, Then(l, 0, l)} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%d", "%s", "%x"} {
			if s := fmt.Sprintf(verb, v); strings.Contains(s, "83461") || strings.Contains(s, "14605") {
				t.Errorf("%s of %T prints %s", verb, v, s)
			}
		}
		log.Info("value", "v", v)
	}
	if strings.Contains(logged.String(), "83461") {
		t.Errorf("logged %s", logged.String())
	}
	if got := fmt.Sprintf("%+v %d %#v", h, *h, h); got != strings.TrimSpace(strings.Repeat("[simulated household 83461] ", 3)) {
		t.Errorf("a household prints as %s", got)
	}
}
