package wire

// Class is an error class of the specification: the one word that may cross
// to another party, be counted and be logged. It is an error, so that callers
// wrap it with detail that stays inside and match it with errors.Is.
type Class string

// The classes of spec/protocol.md.
const (
	Malformed  Class = "malformed"  // does not parse
	Forged     Class = "forged"     // does not authenticate
	Unknown    Class = "unknown"    // no such meter
	Replayed   Class = "replayed"   // not newer than what was accepted
	Stale      Class = "stale"      // meter's time too far from ours
	Rebound    Class = "rebound"    // another user key for a registered meter
	Unenrolled Class = "unenrolled" // no statement for this pseudonym yet
	EpochUsed  Class = "epoch"      // epoch not above the last
	Limited    Class = "limited"    // too many exchanges
	NoKey      Class = "no-key"     // epoch not known, or closed
	NoTariff   Class = "no-tariff"  // tariff is not registered
	NoPrice    Class = "no-price"   // a price series of the tariff lacks a price of the period
	Incomplete Class = "incomplete" // readings of the period are missing
	Gated      Class = "gate"       // the disclosure gate refuses; a rule is given beside it
	Evidence   Class = "evidence"   // two signed statements with one serial
	Retired    Class = "retired"    // replaced or retired: takes nothing new

	// Unavailable: not the request's fault; the same may go through later.
	Unavailable Class = "unavailable"
)

// Error is the class word.
func (c Class) Error() string { return string(c) }

// Verdict is the one byte that the TTP, and the utility for what it decides
// itself, answers for each message (spec/protocol.md section 7.4).
type Verdict byte

// The verdicts. Zero is none of them, so that a forgotten answer deletes nothing.
const (
	Durable Verdict = 1 // stored, answered or already so
	Later   Verdict = 2 // not now: keep and send again
	Rekey   Verdict = 3 // epoch not known: the meter seals again
	Never   Verdict = 4 // refused for good: quarantine
)

// Valid tells whether v is a verdict of the specification.
func (v Verdict) Valid() bool { return v >= Durable && v <= Never }

// String is the verdict's word.
func (v Verdict) String() string {
	switch v {
	case Durable:
		return "durable"
	case Later:
		return "later"
	case Rekey:
		return "rekey"
	case Never:
		return "never"
	default:
		return "invalid"
	}
}
