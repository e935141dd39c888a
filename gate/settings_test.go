package gate_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wattveil/wattveil/gate"
)

const settingsText = `{"window_seconds":3600,"bills_per_year":14,"short_per_year":4,"min_days":7,"quantities":8,"reveal_num":1,"reveal_den":4,` +
	`"correction_after":40,"correctable_for":400,"demand_per_month":4,"price_limit_minor":1,"retroactive":false}`

func TestSettingsAsText(t *testing.T) {
	for _, tt := range []struct {
		text   string
		want   gate.Settings
		looser []string
	}{
		{"{}", gate.Settings{}, nil},
		{settingsText, gate.Settings{}, nil},
		{`{"min_days":1,"bills_per_year":366}`, gate.Settings{MinDays: 1, BillsPerYear: 366}, []string{"bills_per_year", "min_days"}},
		{`{"min_days":28,"bills_per_year":12}`, gate.Settings{MinDays: 28, BillsPerYear: 12}, nil},
		{`{"reveal_den":3,"window_seconds":900}`, gate.Settings{RevealDen: 3, Window: 15 * time.Minute}, []string{"reveal_num", "window_seconds"}},
		{`{"retroactive":true}`, gate.Settings{Retroactive: true}, []string{"retroactive"}},
	} {
		got, err := gate.ParseSettings([]byte(tt.text))
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		if want := newGate(t, tt.want).Settings(); got != want {
			t.Errorf("%s: %+v, want %+v", tt.text, got, want)
		}
		if looser := got.Looser(); !slices.Equal(looser, tt.looser) || !slices.Equal(tt.want.Looser(), tt.looser) {
			t.Errorf("%s: looser in %q, want %q", tt.text, looser, tt.looser)
		}
	}
	text, err := json.Marshal(newGate(t, gate.Settings{}).Settings())
	if err != nil || string(text) != settingsText {
		t.Errorf("%v, written as %s", err, text)
	}
}

func TestSettingsRefused(t *testing.T) {
	for text, say := range map[string]string{
		"":                         "not a JSON object",
		"null":                     "not a JSON object",
		"[]":                       "not a JSON object",
		`{"min_days":0}`:           "min_days is 0",
		`{"min_days":null}`:        "min_days is null",
		`{"min_day":1}`:            "min_day",
		`{"min_days":"1"}`:         "min_days",
		`{"min_days":400}`:         "min_days is 400",
		`{"window_seconds":90000}`: "window_seconds is 90000",
		`{"window_seconds":-1}`:    "window_seconds is -1",
		`{}{}`:                     "not a JSON object",
		`{"bills_per_year":1` + strings.Repeat(" ", 5000) + `}`: "at most 4096",
	} {
		if _, err := gate.ParseSettings([]byte(text)); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%.40s: %v, want %q", text, err, say)
		}
	}
}

// Recorded readings may be priced by a tariff that came later, if the settings
// say so.
func TestRetroactive(t *testing.T) {
	for _, retroactive := range []bool{false, true} {
		g := newGate(t, gate.Settings{Retroactive: retroactive})
		nov := month(t, g, 2018, 11)
		b := gate.Bill{Shape: nov, Tariff: t1, Registered: nov.From() + 1, Now: nov.To()}
		_, err := g.Check(&gate.History{}, b, nil)
		if (err == nil) != retroactive {
			t.Errorf("retroactive %v: %v", retroactive, err)
		}
	}
}

func FuzzParseSettings(f *testing.F) {
	f.Add([]byte(settingsText))
	f.Add([]byte("{}"))
	f.Add([]byte(`{"min_days":1,"retroactive":true}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := gate.ParseSettings(data)
		if err != nil {
			return
		}
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := gate.ParseSettings(text); err != nil || again != s {
			t.Errorf("%v: read back %+v, want %+v", err, again, s)
		}
	})
}
