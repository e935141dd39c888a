package scheme

import (
	"crypto/ecdh"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"

	"filippo.io/bigmod"
	"filippo.io/nistec"
)

// Scalar is a number from 1 to n−1, kept in its canonical encoding. Treat it
// as secret. The zero value is no scalar.
type Scalar struct {
	Redacted
	b [ScalarSize]byte
}

// order is n, the order of P-256's base point (SEC 2 version 2.0 section
// 2.4.2). It is never written to.
var order = mustModulus([]byte{
	0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
})

func mustModulus(b []byte) *bigmod.Modulus {
	m, err := bigmod.NewModulus(b)
	if err != nil {
		panic(err)
	}
	return m
}

// RandomScalar draws a scalar uniformly with crypto/rand.
func RandomScalar() (*Scalar, error) {
	k, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("draw a scalar: %w", err)
	}
	return ParseScalar(k.Bytes())
}

// ParseScalar reads 32 bytes, big-endian, and refuses 0 and numbers from n up.
// Its error does not tell the number.
func ParseScalar(b []byte) (*Scalar, error) {
	if len(b) != ScalarSize {
		return nil, fmt.Errorf("scalar of %d bytes, want %d", len(b), ScalarSize)
	}
	x, err := bigmod.NewNat().SetBytes(b, order)
	if err != nil || x.IsZero() == 1 {
		return nil, errors.New("scalar not between 1 and n-1")
	}
	return &Scalar{b: [ScalarSize]byte(b)}, nil
}

// Bytes is a copy of the encoding that [ParseScalar] reads.
func (s *Scalar) Bytes() []byte { return append([]byte(nil), s.b[:]...) }

// Equal compares in constant time.
func (s *Scalar) Equal(t *Scalar) bool { return subtle.ConstantTimeCompare(s.b[:], t.b[:]) == 1 }

// BaseMul is sG, in constant time.
func BaseMul(s *Scalar) *nistec.P256Point {
	p, err := nistec.NewP256Point().ScalarBaseMult(s.b[:])
	return must(p, err)
}

// Mul is sP, in constant time.
func Mul(s *Scalar, p *nistec.P256Point) *nistec.P256Point {
	q, err := nistec.NewP256Point().ScalarMult(p, s.b[:])
	return must(q, err)
}

// must holds what nistec promises: multiplication fails on a scalar of another
// length alone, and a Scalar has but one length.
func must(p *nistec.P256Point, err error) *nistec.P256Point {
	if err != nil {
		panic(err)
	}
	return p
}

// ParsePoint reads a compressed point (spec/clpke.md section 2).
func ParsePoint(b []byte) (*nistec.P256Point, error) {
	if len(b) != PointSize {
		return nil, fmt.Errorf("point of %d bytes, want %d", len(b), PointSize)
	}
	p, err := nistec.NewP256Point().SetBytes(b)
	if err != nil {
		return nil, errors.New("not the compressed form of a point on P-256")
	}
	return p, nil
}

// EncodePoint is the compressed form of p, which is not infinity.
func EncodePoint(p *nistec.P256Point) [PointSize]byte {
	return [PointSize]byte(p.BytesCompressed())
}
