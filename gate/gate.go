// Package gate is the disclosure gate: it decides whether a bill may be made.
// A bill is a query, and whoever may ask for many bills could read a household
// off them. The gate counts bills, bounds what they tell, and refuses what
// would let all answers together single out any short time.
//
// # How it is used
//
// What a bill would tell is a [Shape]: for each quantity, how much each stretch
// of the period counts in it. It depends on tariff and period and on no
// reading, so a billing run makes one [Shape] with [Gate.NewShape] and uses it
// for every meter. Only a meter with gaps in its readings needs one of its own,
// from [Gate.WithGaps].
//
// [Gate.Check] holds a [Bill] against the [History] of its meter. It answers
// with what may be told and with the history that includes it, or with a
// [*Refusal] that names the rule. The caller stores the shape under its digest
// and the history with the meter, in the transaction that stores the bill, and
// logs the disclosure.
//
// # The bound
//
// All linear answers given on a meter span a row space; P projects on it. For
// u the sum over any window up to an hour, the part ‖Pu‖²/‖u‖² of u that the
// answers determine must not exceed 1/4. Arithmetic is exact throughout. The
// rules, the bound with its derivation and what no gate prevents are in
// spec/gate.md.
package gate

import (
	"errors"
	"fmt"
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
	Window          time.Duration `json:"window"`            // longest time that the bound guards, whole seconds; 1 h
	CorrectionAfter int           `json:"correction_after"`  // days from a bill to its correction, at least; 40
	CorrectableFor  int           `json:"correctable_for"`   // days for which a bill can be made or corrected; 400
	DemandPerMonth  int           `json:"demand_per_month"`  // figures; 4
	PriceLimit      int64         `json:"price_limit_minor"` // minor units a Wh, where prices are told as a sum alone; 1
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
		{"BillsPerYear", int64(s.BillsPerYear), 1, 400},
		{"ShortPerYear", int64(s.ShortPerYear), 1, 400},
		{"MinDays", int64(s.MinDays), 1, 366},
		{"Quantities", int64(s.Quantities), 1, maxQuantities},
		{"RevealNum", s.RevealNum, 1, 1000},
		{"RevealDen", s.RevealDen, s.RevealNum, 1000},
		{"Window", int64(s.Window), int64(time.Second), int64(24 * time.Hour)},
		{"CorrectionAfter", int64(s.CorrectionAfter), 1, 366},
		{"CorrectableFor", int64(s.CorrectableFor), int64(s.CorrectionAfter), 4000},
		{"DemandPerMonth", int64(s.DemandPerMonth), 1, 100},
		{"PriceLimit", s.PriceLimit, 1, 1_000_000},
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

// Gate holds a utility's settings. It is safe for concurrent use.
type Gate struct{ s Settings }

// New makes a gate. Zero settings have their defaults.
func New(s Settings) (*Gate, error) {
	s, err := s.filled()
	if err != nil {
		return nil, err
	}
	return &Gate{s}, nil
}

// Settings are the limits in force, with defaults filled in.
func (g *Gate) Settings() Settings { return g.s }

func (g *Gate) window() int64 { return int64(g.s.Window / time.Second) }

const secondsPerDay = 24 * 60 * 60
