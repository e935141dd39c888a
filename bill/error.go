package bill

import "fmt"

// Class is why a bill or a key set is refused (spec/bill.md section 7). The
// classes are themselves errors, for use with [errors.Is], and their texts are
// the names that the test vectors use.
type Class string

// The classes, in the order in which a bill is checked.
const (
	ErrKeySet     Class = "key-set"     // the key set cannot be used
	ErrDocument   Class = "document"    // not a bill's document
	ErrJWS        Class = "jws"         // not a compact JWS
	ErrHeader     Class = "header"      // the protected header is not a bill's
	ErrAlgorithm  Class = "algorithm"   // signed with anything but EdDSA
	ErrNoKeyID    Class = "no-key-id"   // the header does not name a key
	ErrUnknownKey Class = "unknown-key" // the key is not in the key set
	ErrSignature  Class = "signature"   // the signature does not fit
	ErrJSON       Class = "json"        // the payload is not a JSON object
	ErrWhitespace Class = "whitespace"  // the payload has white space between values
	ErrDuplicate  Class = "duplicate"   // a member is given twice
	ErrVersion    Class = "version"     // another version of the bill
	ErrMember     Class = "member"      // a member is missing, unknown or of another type
	ErrCanonical  Class = "canonical"   // otherwise not the canonical form
	ErrField      Class = "field"       // a value is out of its format or range
	ErrLines      Class = "lines"       // the lines are not in their order
	ErrAmount     Class = "amount"      // an amount is not what its line comes to
	ErrStanding   Class = "standing"    // more days or months than the period has
	ErrTax        Class = "tax"         // a tax is not on the sum that it names
	ErrTotal      Class = "total"       // the total is not the sum of the lines
	ErrEnergy     Class = "energy"      // the energies are not the sums of the lines
	ErrSubject    Class = "subject"     // the bill is of another meter

	// Those of section 9, which package transparency tells apart.
	ErrCheckpoint  Class = "checkpoint"  // the checkpoint is not signed by the log
	ErrCosignature Class = "cosignature" // it is not cosigned by the utility
	ErrInclusion   Class = "inclusion"   // the bill is not in the log
	ErrConsistency Class = "consistency" // the log is not shown to continue the one seen before

	// Those of what the bill is held against.
	ErrPeriod   Class = "period"   // the bill is of another period
	ErrReplaced Class = "replaced" // a later bill stands in its place
	ErrTariff   Class = "tariff"   // it is not by this tariff
	ErrReadings Class = "readings" // it is not what the readings come to
)

// Error is the class's name.
func (c Class) Error() string { return string(c) }

// Error is a refusal: its class, and what is wrong in words.
type Error struct {
	Class  Class
	Detail string
}

// Error is one line.
func (e *Error) Error() string {
	what := "bill"
	if e.Class == ErrKeySet {
		what = "keys"
	}
	return what + " refused (" + string(e.Class) + "): " + e.Detail
}

// Unwrap is the class, so that errors.Is(err, bill.ErrSignature) holds.
func (e *Error) Unwrap() error { return e.Class }

// Refuse is a refusal of a class, for what this package does not check itself.
func Refuse(c Class, format string, args ...any) error { return refuse(c, format, args...) }

func refuse(c Class, format string, args ...any) error {
	return &Error{Class: c, Detail: fmt.Sprintf(format, args...)}
}
