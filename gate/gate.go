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

import "time"

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
