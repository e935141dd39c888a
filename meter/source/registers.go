package source

import (
	"fmt"
	"time"

	"github.com/wattveil/wattveil"
)

// Registers is a meter's metrology: an import and an export register that
// advance with a load. It moves forward only and is used by one goroutine at a
// time. It redacts itself.
type Registers struct {
	load Load
	res  wattveil.Resolution
	last wattveil.Reading
}

// NewRegisters makes registers that show the two bases at the Unix second
// start, where an interval of load begins. Bases at or above 2^40 are taken
// modulo 2^40.
func NewRegisters(load Load, res wattveil.Resolution, start int64, importBase, exportBase wattveil.Register) *Registers {
	return &Registers{load: load, res: res, last: wattveil.Reading{
		Time:   start,
		Import: importBase.Add(0),
		Export: exportBase.Add(0),
	}}
}

// At is the reading at the Unix second t, which lies a whole number of
// intervals after the start and is not before the t of the last call; the same
// t again gives the same reading. Every interval in between is added. Where
// the load has none of them, the error wraps [ErrEnded]. After an error the
// registers stand where they stood.
func (r *Registers) At(t int64) (wattveil.Reading, error) {
	if err := r.check(t); err != nil {
		return wattveil.Reading{}, fmt.Errorf("read registers at %s: %w", stamp(t), err)
	}
	next := r.last
	for next.Time < t {
		imp, exp, ok := r.load.Energy(next.Time)
		if !ok {
			return wattveil.Reading{}, fmt.Errorf("read registers at %s: %w that starts at %s",
				stamp(t), ErrEnded, stamp(next.Time))
		}
		if imp < 0 || exp < 0 {
			return wattveil.Reading{}, fmt.Errorf("read registers at %s: source gives negative energy for the interval that starts at %s; give fed-in energy as export",
				stamp(t), stamp(next.Time))
		}
		next.Import = next.Import.Add(imp)
		next.Export = next.Export.Add(exp)
		next.Time += int64(r.res)
	}
	r.last = next
	return next, nil
}

func (r *Registers) check(t int64) error {
	switch {
	case r.res == 0:
		return fmt.Errorf("resolution is zero; give the length of the load's intervals")
	case t < r.last.Time:
		return fmt.Errorf("registers already stand at %s and do not run backwards", stamp(r.last.Time))
	case (t-r.last.Time)%int64(r.res) != 0:
		return fmt.Errorf("no interval of %v ends then; the nearest before ends at %s",
			r.res, stamp(t-(t-r.last.Time)%int64(r.res)))
	}
	return nil
}

// Format redacts under every verb.
func (r Registers) Format(f fmt.State, _ rune) { writeState(f, "[redacted registers]") }

func stamp(t int64) string { return time.Unix(t, 0).UTC().Format(time.RFC3339) }
