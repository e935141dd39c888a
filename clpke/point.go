package clpke

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/hex"
	"fmt"

	"filippo.io/nistec"

	"github.com/wattveil/wattveil/clpke/internal/scheme"
)

// Sizes in bytes (spec/clpke.md sections 2 and 5).
const (
	PointSize  = scheme.PointSize  // a compressed point
	ScalarSize = scheme.ScalarSize // a scalar, big-endian
	Overhead   = scheme.Overhead   // what a ciphertext has over its message
	MaxMessage = scheme.MaxMessage // the longest message
)

// Point is a point of P-256 in compressed form, a public value. Points from
// [ParsePoint] and from this module's keys are on the curve and not infinity;
// the zero Point is none, and every use of it as a key is refused.
type Point [PointSize]byte

// ParsePoint reads a compressed point. It fails with [ErrMalformed] on any
// other length or form, infinity, a coordinate out of range, or a coordinate
// that has no point.
func ParsePoint(b []byte) (Point, error) {
	if _, err := scheme.ParsePoint(b); err != nil {
		return Point{}, fmt.Errorf("%w point: %w", ErrMalformed, err)
	}
	return Point(b), nil
}

// String is the encoding in lower-case hexadecimal.
func (p Point) String() string { return hex.EncodeToString(p[:]) }

// PublicKeyPoint is the point of an ECDSA key on P-256. A key that is not a
// valid one on P-256 gives the zero Point, which every parser refuses.
func PublicKeyPoint(key *ecdsa.PublicKey) Point {
	if !onP256(key) {
		return Point{}
	}
	b, err := key.Bytes()
	if err != nil {
		return Point{}
	}
	p, err := nistec.NewP256Point().SetBytes(b)
	if err != nil {
		return Point{}
	}
	return scheme.EncodePoint(p)
}

// ECDSA is the ECDSA key whose point p is. It fails with [ErrMalformed] as
// [ParsePoint] does.
func (p Point) ECDSA() (*ecdsa.PublicKey, error) {
	q, err := scheme.ParsePoint(p[:])
	if err != nil {
		return nil, fmt.Errorf("%w ECDSA key: %w", ErrMalformed, err)
	}
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), q.Bytes())
	if err != nil {
		return nil, fmt.Errorf("%w ECDSA key: %w", ErrMalformed, err)
	}
	return key, nil
}

// onP256 guards against the keys of other curves, which crypto/ecdsa would
// take, and against a missing key, on which it would panic.
func onP256(key *ecdsa.PublicKey) bool {
	return key != nil && key.Curve == elliptic.P256()
}
