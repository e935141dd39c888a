package consumer

import "time"

// DisclosureKind is what was disclosed of a meter, or not.
type DisclosureKind string

// The kinds.
const (
	ToldBill       DisclosureKind = "bill"
	ToldCorrection DisclosureKind = "correction"
	ToldNothing    DisclosureKind = "refusal"
	Unsettled      DisclosureKind = "unsettled" // late readings changed a bill, and nothing may tell so
)

// Disclosure is something that the meter's utility asked for, and what it was
// told. It holds no energy.
type Disclosure struct {
	Kind     DisclosureKind
	Tariff   string
	From, To time.Time // that it is about
	Told     []string  // names of quantities
	Withheld []string  // names of quantities, each with the gate's rule behind a colon
	Rule     string    // of a refusal
	At, Last time.Time // when it was first and last asked for
	Times    int
	Bill     string // reference of the bill that told it; empty if there is none
}

// Limit is a setting of the utility's disclosure gate that is not the default.
type Limit struct {
	Name string // as spec/gate.md section 2 has it
	Set  string
	Else string // the default
}

// Asked is all that a utility asked for of a meter.
type Asked struct {
	Zone   *time.Location
	Who    string // the utility, as its certificate names it
	List   []Disclosure
	Limits []Limit
}
