package clpke

import "errors"

// The failure classes of spec/clpke.md section 10 that this package meets.
// Test for them with errors.Is; the text around them says what and where, and
// holds nothing secret. The class evidence is [EvidenceError].
var (
	// ErrMalformed: bytes that no honest party writes.
	ErrMalformed = errors.New("malformed")
	// ErrPartialKey: the partial key was made for another identity, user value
	// or master key, or was altered.
	ErrPartialKey = errors.New("partial key does not fit the key")
	// ErrUnsigned: the signature does not verify under the key that should have
	// made it.
	ErrUnsigned = errors.New("signature does not verify")
	// ErrSerial: an older statement than the one kept.
	ErrSerial = errors.New("serial is lower than that of the kept statement")
)
