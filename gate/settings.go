package gate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// Settings are a utility's limits. A zero field has its default, that of
// spec/gate.md section 2. Looser ones are public in the portal.
type Settings struct {
	BillsPerYear    int           `json:"bills_per_year"`    // in any 365 days; 14
	ShortPerYear    int           `json:"short_per_year"`    // of them shorter than MinDays; 4
	MinDays         int           `json:"min_days"`          // of a bill, with an hour's grace for a change of clocks; 7
	Quantities      int           `json:"quantities"`        // independent ones a bill; 8
	RevealNum       int64         `json:"reveal_num"`        // the bound is RevealNum / RevealDen; 1
	RevealDen       int64         `json:"reveal_den"`        // 4
	Window          time.Duration `json:"-"`                 // longest time that the bound guards, whole seconds; "window_seconds"; 1 h
	CorrectionAfter int           `json:"correction_after"`  // days from a bill to its correction, at least; 40
	CorrectableFor  int           `json:"correctable_for"`   // days for which a bill can be made or corrected; 400
	DemandPerMonth  int           `json:"demand_per_month"`  // figures; 4
	PriceLimit      int64         `json:"price_limit_minor"` // minor units a Wh, where prices are told as a sum alone; 1
	// Retroactive lets a tariff, and a price series, price what began before it
	// was registered: for trials with recorded readings, where nobody can ask
	// for a price that fits what is known already.
	Retroactive bool `json:"retroactive"`
}

// settingsText is how settings are written.
type settingsText struct {
	WindowSeconds int64 `json:"window_seconds"`
	plainSettings
}

// plainSettings have no methods, so that settingsText has none of them.
type plainSettings Settings

// maxSettings is the longest text of settings.
const maxSettings = 4096

// ParseSettings reads settings as they are written in JSON. A member that is
// left out has its default; one that is not known, or given as zero or null, is
// refused.
func ParseSettings(data []byte) (Settings, error) {
	var members map[string]json.RawMessage
	if len(data) > maxSettings {
		return Settings{}, fmt.Errorf("gate: settings have %d bytes, at most %d", len(data), maxSettings)
	}
	if err := json.Unmarshal(data, &members); err != nil || members == nil {
		return Settings{}, fmt.Errorf("gate: settings are not a JSON object (%v); write {} for the defaults", err)
	}
	known := settingNames()
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if !slices.Contains(known, name) {
			return Settings{}, fmt.Errorf("gate: there is no setting %.40q; there are %s", name, strings.Join(known, ", "))
		}
		raw := members[name]
		if text := string(raw); text == "0" || text == "null" {
			return Settings{}, fmt.Errorf("gate: setting %s is %s; leave it out for the default", name, text)
		}
	}
	var text settingsText
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&text); err != nil {
		return Settings{}, fmt.Errorf("gate: settings: %w", err)
	}
	if err := dec.Decode(&struct{}{}); !errors.Is(err, io.EOF) {
		return Settings{}, errors.New("gate: something follows the settings")
	}
	if text.WindowSeconds < 0 || text.WindowSeconds > secondsPerDay {
		return Settings{}, fmt.Errorf("gate: setting window_seconds is %d, want 1 to %d", text.WindowSeconds, secondsPerDay)
	}
	s := Settings(text.plainSettings)
	s.Window = time.Duration(text.WindowSeconds) * time.Second
	return s.filled()
}

// settingNames are the members of settings, sorted.
func settingNames() []string {
	text, err := json.Marshal(settingsText{})
	members := make(map[string]json.RawMessage)
	if err := errors.Join(err, json.Unmarshal(text, &members)); err != nil {
		panic(err) // numbers and a truth value
	}
	return slices.Sorted(maps.Keys(members))
}

// MarshalJSON writes what [ParseSettings] reads.
func (s Settings) MarshalJSON() ([]byte, error) {
	return json.Marshal(settingsText{int64(s.Window / time.Second), plainSettings(s)})
}

// Looser names the settings that let more be told than the defaults do, by
// their names in JSON. They must be public (spec/gate.md section 2).
func (s Settings) Looser() []string {
	d, _ := Settings{}.filled() // the defaults are in range
	if f, err := s.filled(); err == nil {
		s = f
	}
	var names []string
	for _, c := range [...]struct {
		name   string
		looser bool
	}{
		{"bills_per_year", s.BillsPerYear > d.BillsPerYear},
		{"short_per_year", s.ShortPerYear > d.ShortPerYear},
		{"min_days", s.MinDays < d.MinDays},
		{"quantities", s.Quantities > d.Quantities},
		{"reveal_num", s.RevealNum*d.RevealDen > d.RevealNum*s.RevealDen},
		{"window_seconds", s.Window < d.Window},
		{"correction_after", s.CorrectionAfter < d.CorrectionAfter},
		{"correctable_for", s.CorrectableFor > d.CorrectableFor},
		{"demand_per_month", s.DemandPerMonth > d.DemandPerMonth},
		{"price_limit_minor", s.PriceLimit > d.PriceLimit},
		{"retroactive", s.Retroactive},
	} {
		if c.looser {
			names = append(names, c.name)
		}
	}
	return names
}

// filled gives zero fields their defaults and checks the rest.
func (s Settings) filled() (Settings, error) {
	set(&s.BillsPerYear, 14)
	set(&s.ShortPerYear, 4)
	set(&s.MinDays, 7)
	set(&s.Quantities, 8)
	set(&s.RevealNum, 1)
	set(&s.RevealDen, 4)
	set(&s.Window, time.Hour)
	set(&s.CorrectionAfter, 40)
	set(&s.CorrectableFor, 400)
	set(&s.DemandPerMonth, 4)
	set(&s.PriceLimit, 1)
	for _, c := range [...]struct {
		name            string
		value, min, max int64
	}{
		{"bills_per_year", int64(s.BillsPerYear), 1, 400},
		{"short_per_year", int64(s.ShortPerYear), 1, 400},
		{"min_days", int64(s.MinDays), 1, 366},
		{"quantities", int64(s.Quantities), 1, maxQuantities},
		{"reveal_num", s.RevealNum, 1, 1000},
		{"reveal_den", s.RevealDen, s.RevealNum, 1000},
		{"Window", int64(s.Window), int64(time.Second), int64(24 * time.Hour)},
		{"correction_after", int64(s.CorrectionAfter), 1, 366},
		{"correctable_for", int64(s.CorrectableFor), int64(s.CorrectionAfter), 4000},
		{"demand_per_month", int64(s.DemandPerMonth), 1, 100},
		{"price_limit_minor", s.PriceLimit, 1, 1_000_000},
	} {
		if c.value < c.min || c.value > c.max {
			return s, fmt.Errorf("gate: setting %s is %d, want %d to %d", c.name, c.value, c.min, c.max)
		}
	}
	if s.Window%time.Second != 0 {
		return s, errors.New("gate: setting Window is not in whole seconds")
	}
	return s, nil
}

func set[T comparable](v *T, otherwise T) {
	var zero T
	if *v == zero {
		*v = otherwise
	}
}
