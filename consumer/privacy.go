package consumer

import "time"

// More refusals that the TTP's side gives.
const (
	NotBilled Class = "not-billed"
	LinkOver  Class = "link-over"
)

// Profile is how much of a meter is kept once it is billed.
type Profile string

// The profiles (spec/portal.md section 15.1).
const (
	Full   Profile = "full"   // as in TAF 7
	Totals Profile = "totals" // as in TAF 1
)

// Choices are what a consumer wants done with a meter's readings. The zero
// value, with the profile Full, is what holds until they choose.
type Choices struct {
	Profile       Profile
	KeepMonths    int // after the billed period; 0 until erased
	NoCorrections bool
	Groups        bool
	Research      bool
}

// KeepMonths are the months that a consumer may choose.
var KeepMonths = [...]int{0, 3, 13, 25, 37}

// Final tells whether bills of the meter are final at once.
func (c Choices) Final() bool { return c.NoCorrections || c.Profile == Totals }

// Erasable is what of a meter's readings may be erased.
type Erasable struct {
	Billed time.Time // end of what is finally billed; zero if nothing is
	Until  time.Time // what is before may be erased; zero if nothing may
	Erased time.Time // what is before is erased; zero if nothing is
	First  time.Time // first reading that is there; zero if there is none
	Past   []Erasure // newest first
}

// Erasure is what was erased once.
type Erasure struct {
	Before   time.Time
	Readings int64
	Chosen   bool // by the meter's choices, not by hand
	At       time.Time
}

// Link lets whoever has it look at a time range of a meter.
type Link struct {
	Ref      string // to revoke it
	From, To time.Time
	Began    time.Time
	Ends     time.Time
}

// Limits of links.
const (
	MaxLinks = 20 // of a meter that hold
	LinkDays = 366
)
