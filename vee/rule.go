package vee

import "fmt"

// Rule names a check, in the order in which the checks are made (spec/vee.md
// section 3). Zero is none.
type Rule uint8

// The rules.
const (
	Duplicate    Rule = iota + 1 // a reading came again with the same value
	Conflict                     // a reading came again with another value; the first counts
	OffGrid                      // readings that are not at the end of an interval; not used
	Rollover                     // a register passed 2^40 Wh; no fault
	Negative                     // a register ran backwards; the reading is left out
	Power                        // a register rose faster than any connection; the reading is left out
	Reset                        // a register went on from another value
	SeriesChange                 // another series begins and registers do not connect
	Edge                         // no register before, or none after
	Missing                      // readings did not come
	Clock                        // the meter's clock may be wrong
	Tamper                       // the meter reported an opening
	ZeroRun                      // no energy for long
	Spike                        // one interval far above the others of its day
	High                         // a day far above the days like it
	Low                          // a day far below the days like it
)

var ruleNames = [...]string{
	"none", "duplicate", "conflict", "off-grid", "rollover", "negative", "power", "reset", "series-change",
	"edge", "missing", "clock", "tamper", "zero-run", "spike", "high", "low",
}

// String is the rule's name in spec/vee.md.
func (r Rule) String() string {
	if int(r) < len(ruleNames) {
		return ruleNames[r]
	}
	return fmt.Sprintf("rule %d", uint8(r))
}

// Method is how the energy of an interval is known.
type Method uint8

// The methods.
const (
	Measured  Method = iota // difference of the registers at its start and end
	Linear                  // on a line between the intervals around the gap
	Flat                    // spread evenly over the gap
	Reference               // in proportion to days like it
)

var methodNames = [...]string{"measured", "linear", "flat", "reference"}

// String is the method's name in spec/vee.md.
func (m Method) String() string {
	if int(m) < len(methodNames) {
		return methodNames[m]
	}
	return fmt.Sprintf("method %d", uint8(m))
}

// Quality is a QualityOfReading code of ESPI (NAESB REQ.21, Green Button).
type Quality uint16

// The codes that Edit gives.
const (
	Valid              Quality = 0  // passed every check
	EstimatedReference Quality = 8  // estimated using reference day
	EstimatedLinear    Quality = 9  // estimated using linear interpolation
	Questionable       Quality = 10 // measured, and a check marked it
)

// Estimated tells whether the code is one of estimation.
func (q Quality) Estimated() bool { return q == EstimatedReference || q == EstimatedLinear }

// quality is the code of an estimate by a method. A flat spread is a line too.
func (m Method) quality() Quality {
	switch m {
	case Reference:
		return EstimatedReference
	case Linear, Flat:
		return EstimatedLinear
	default:
		return Valid
	}
}
