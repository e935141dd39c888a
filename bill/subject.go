package bill

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"fmt"

	"github.com/wattveil/wattveil"
)

// Salt hides whose bill it is from those who do not have it. It travels beside
// the JWS to the utility and to the consumer, never in it, and each bill has
// its own.
type Salt [16]byte

// NewSalt draws a salt.
func NewSalt() Salt {
	var s Salt
	_, _ = rand.Read(s[:]) // never fails
	return s
}

// ParseSalt reads what [Salt.String] writes.
func ParseSalt(s string) (Salt, error) {
	var salt Salt
	raw, ok := parseBase64(s, len(salt))
	if !ok {
		return Salt{}, fmt.Errorf("bill: salt is not %d bytes in base64url", len(salt))
	}
	return Salt(raw), nil
}

// String is base64url without padding, 22 characters.
func (s Salt) String() string { return base64.RawURLEncoding.EncodeToString(s[:]) }

// SubjectOf is what a bill names its meter by: base64url of SHA-256(salt ‖ UC
// number, 4 bytes ‖ an-ID, 8 bytes), big-endian.
func SubjectOf(salt Salt, meter wattveil.Meter) string {
	msg := make([]byte, 0, len(salt)+12)
	msg = append(msg, salt[:]...)
	msg = binary.BigEndian.AppendUint32(msg, uint32(meter.UC))
	msg = binary.BigEndian.AppendUint64(msg, uint64(meter.Pseudonym))
	sum := sha256.Sum256(msg)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// IsOf checks that the bill is the meter's. A refusal is of class
// [ErrSubject].
func (b Bill) IsOf(salt Salt, meter wattveil.Meter) error {
	want := SubjectOf(salt, meter)
	if subtle.ConstantTimeCompare([]byte(b.Subject), []byte(want)) != 1 {
		return refuse(ErrSubject, "the bill is of another meter, or the salt is another bill's")
	}
	return nil
}
