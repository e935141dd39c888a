package vee

import (
	"fmt"
	"time"
)

// Margin is how far outside of a period readings are used.
const Margin = 35 * 24 * time.Hour

// Options are the thresholds of the rules. A zero field has its default, that
// of spec/vee.md.
type Options struct {
	Zone *time.Location // of local days; UTC
	// Holiday tells which local dates count as weekend. It must be pure.
	Holiday func(year int, month time.Month, day int) bool

	LinearUpTo    time.Duration // gaps up to this are estimated on a line; 2 h
	ReferenceDays int           // days that an estimate is the mean of, at most 8; 3
	ReferenceSpan int           // how many days away a reference day may be, at most 35; 28

	MaxPower     int64         // W; a register that rises faster is wrong; at most 100 MW; 1 MW
	SpikePercent int64         // highest over third highest interval of a day, excess in percent; 180
	SpikeFloor   int64         // W; below this mean power nothing is a spike; 10 kW
	HighPercent  int64         // a day's energy in percent of its reference days, above; 300
	LowPercent   int64         // the same, below; 10
	ZeroRun      time.Duration // without energy; 24 h
	MaxUnbilled  time.Duration // longest hole at a series change that a bill may pass over; 7 days
}

const (
	maxReferenceDays = 8
	maxPower         = 100_000_000
)

// filled gives zero fields their defaults and checks the others.
func (o Options) filled() (Options, error) {
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	o.LinearUpTo = or(o.LinearUpTo, 2*time.Hour)
	o.ReferenceDays = or(o.ReferenceDays, 3)
	o.ReferenceSpan = or(o.ReferenceSpan, 28)
	o.MaxPower = or(o.MaxPower, 1_000_000)
	o.SpikePercent = or(o.SpikePercent, 180)
	o.SpikeFloor = or(o.SpikeFloor, 10_000)
	o.HighPercent = or(o.HighPercent, 300)
	o.LowPercent = or(o.LowPercent, 10)
	o.ZeroRun = or(o.ZeroRun, 24*time.Hour)
	o.MaxUnbilled = or(o.MaxUnbilled, 7*24*time.Hour)
	for _, c := range []struct {
		name       string
		value, max int64
	}{
		{"LinearUpTo", int64(o.LinearUpTo), int64(Margin)},
		{"ReferenceDays", int64(o.ReferenceDays), maxReferenceDays},
		{"ReferenceSpan", int64(o.ReferenceSpan), int64(Margin / (24 * time.Hour))},
		{"MaxPower", o.MaxPower, maxPower},
		{"SpikePercent", o.SpikePercent, 1e6},
		{"SpikeFloor", o.SpikeFloor, maxPower},
		{"HighPercent", o.HighPercent, 1e6},
		{"LowPercent", o.LowPercent, 100},
		{"ZeroRun", int64(o.ZeroRun), int64(Margin)},
		{"MaxUnbilled", int64(o.MaxUnbilled), int64(Margin)},
	} {
		if c.value < 1 || c.value > c.max {
			return o, fmt.Errorf("vee: option %s is %d, want 1 to %d", c.name, c.value, c.max)
		}
	}
	return o, nil
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}
