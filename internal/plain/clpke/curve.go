package clpke

import (
	"errors"
	"math/big"
)

// Point is a point of P-256; the point at infinity has nil coordinates.
type Point struct{ X, Y *big.Int }

// Infinity is the neutral point.
func Infinity() Point { return Point{} }

func (p Point) infinite() bool { return p.X == nil }

// Equal tells whether p and q are one point.
func (p Point) Equal(q Point) bool {
	if p.infinite() || q.infinite() {
		return p.infinite() && q.infinite()
	}
	return p.X.Cmp(q.X) == 0 && p.Y.Cmp(q.Y) == 0
}

func number(hexadecimal string) *big.Int {
	n, ok := new(big.Int).SetString(hexadecimal, 16)
	if !ok {
		panic("not a hexadecimal number: " + hexadecimal)
	}
	return n
}

// The parameters of secp256r1, SEC 2 version 2.0 section 2.4.2. a is -3.

// FieldPrime is p.
func FieldPrime() *big.Int {
	return number("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff")
}

// Order is n, the order of the base point.
func Order() *big.Int {
	return number("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551")
}

func coefficientB() *big.Int {
	return number("5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b")
}

// Base is G.
func Base() Point {
	return Point{
		X: number("6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"),
		Y: number("4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"),
	}
}

// curveSide is x³ - 3x + b mod p, the square of y.
func curveSide(x *big.Int) *big.Int {
	y2 := new(big.Int).Exp(x, big.NewInt(3), nil)
	y2.Sub(y2, new(big.Int).Mul(big.NewInt(3), x))
	y2.Add(y2, coefficientB())
	return y2.Mod(y2, FieldPrime())
}

// Add is p + q by the affine chord and tangent formulas.
func Add(p, q Point) Point {
	if p.infinite() {
		return q
	}
	if q.infinite() {
		return p
	}
	prime := FieldPrime()
	slope, below := new(big.Int), new(big.Int)
	switch {
	case p.X.Cmp(q.X) != 0: // chord: (y2 - y1) / (x2 - x1)
		slope.Sub(q.Y, p.Y)
		below.Sub(q.X, p.X)
	case p.Y.Cmp(q.Y) != 0: // opposite points
		return Infinity()
	default: // tangent: (3x² - 3) / 2y; no point of P-256 has y = 0
		slope.Mul(p.X, p.X).Sub(slope, big.NewInt(1)).Mul(slope, big.NewInt(3))
		below.Lsh(p.Y, 1)
	}
	below.Mod(below, prime).ModInverse(below, prime)
	slope.Mul(slope, below).Mod(slope, prime)

	x := new(big.Int).Mul(slope, slope)
	x.Sub(x, p.X).Sub(x, q.X).Mod(x, prime)
	y := new(big.Int).Sub(p.X, x)
	y.Mul(y, slope).Sub(y, p.Y).Mod(y, prime)
	return Point{X: x, Y: y}
}

// Mul is kP by doubling and adding.
func Mul(k *big.Int, p Point) Point {
	sum := Infinity()
	for i := k.BitLen() - 1; i >= 0; i-- {
		sum = Add(sum, sum)
		if k.Bit(i) == 1 {
			sum = Add(sum, p)
		}
	}
	return sum
}

// Compress is the 33 bytes of spec/clpke.md section 2. It panics on infinity,
// which has no such form.
func Compress(p Point) []byte {
	if p.infinite() {
		panic("infinity has no compressed form")
	}
	b := make([]byte, 33)
	b[0] = 2 + byte(p.Y.Bit(0))
	p.X.FillBytes(b[1:])
	return b
}

// Decompress reads what Compress gives, and nothing else.
func Decompress(b []byte) (Point, error) {
	if len(b) != 33 || b[0] != 2 && b[0] != 3 {
		return Point{}, errors.New("no compressed point")
	}
	x := new(big.Int).SetBytes(b[1:])
	if x.Cmp(FieldPrime()) >= 0 {
		return Point{}, errors.New("x is not below the prime")
	}
	y := new(big.Int).ModSqrt(curveSide(x), FieldPrime())
	if y == nil {
		return Point{}, errors.New("no point has this x")
	}
	if byte(y.Bit(0)) != b[0]-2 {
		y.Sub(FieldPrime(), y)
	}
	return Point{X: x, Y: y}, nil
}
