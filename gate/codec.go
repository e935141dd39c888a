package gate

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
)

const shapeVersion = 1

// maxInt bounds a weight's numerator and denominator: 2^1016.
const maxInt = 127

// timeSize is the bytes of a time in shapes and histories.
const timeSize = 5

func appendTime(b []byte, t int64) []byte {
	return append(b, byte(t>>32), byte(t>>24), byte(t>>16), byte(t>>8), byte(t))
}

// appendRat writes sign and length of the numerator, the numerator, length of
// the denominator, the denominator; a denominator of 1 has length 0.
func appendRat(b []byte, w *big.Rat) []byte {
	num := w.Num().Bytes()
	head := byte(len(num))
	if w.Sign() < 0 {
		head |= 0x80
	}
	b = append(append(b, head), num...)
	if w.IsInt() {
		return append(b, 0)
	}
	den := w.Denom().Bytes()
	return append(append(b, byte(len(den))), den...)
}

// reader takes fields off bytes. After the first that is not there, all are
// zero and err is set.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail(text string) {
	if r.err == nil {
		r.err = errors.New(text)
	}
	r.b = nil
}

func (r *reader) take(n int) []byte {
	if len(r.b) < n {
		r.fail("it ends early")
		return make([]byte, n)
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) byte() byte { return r.take(1)[0] }

func (r *reader) uint16() int { return int(binary.BigEndian.Uint16(r.take(2))) }

func (r *reader) uint32() int64 { return int64(binary.BigEndian.Uint32(r.take(4))) }

func (r *reader) time() int64 {
	b := r.take(timeSize)
	t := int64(b[0])<<32 | int64(binary.BigEndian.Uint32(b[1:]))
	if t > maxTime {
		r.fail("a time is beyond 2^33")
		return 0
	}
	return t
}

// int reads a positive number of n bytes without leading zeros.
func (r *reader) int(n int) *big.Int {
	b := r.take(n)
	if n > 0 && b[0] == 0 {
		r.fail("a number has leading zeros")
	}
	return new(big.Int).SetBytes(b)
}

func (r *reader) rat() *big.Rat {
	head := r.byte()
	num := r.int(int(head & 0x7f))
	n := int(r.byte())
	if n > maxInt {
		r.fail("a denominator is too long")
		return new(big.Rat)
	}
	den := big.NewInt(1)
	if n > 0 {
		den = r.int(n)
	}
	if r.err != nil {
		return new(big.Rat)
	}
	if head&0x80 != 0 {
		num.Neg(num)
	}
	w := new(big.Rat).SetFrac(num, den)
	if (head&0x80 != 0) != (w.Sign() < 0) || (n > 0) == w.IsInt() || w.Num().CmpAbs(num) != 0 {
		r.fail("a weight is not in its lowest terms")
	}
	return w
}

// ParseShape reads what [Shape.Bytes] wrote. The shape serves as an earlier
// answer, for the lookup of [Gate.Check]; it cannot be billed again.
func ParseShape(b []byte) (*Shape, error) {
	r := &reader{b: b}
	if v := r.byte(); r.err == nil && v != shapeVersion {
		return nil, fmt.Errorf("gate: shape of version %d, want %d", v, shapeVersion)
	}
	s := &Shape{lo: r.time(), from: r.time(), to: r.time()}
	m, n := int(r.byte()), r.uint16()
	if m < 1 || m > maxQuantities || n < 1 {
		r.fail("it has no quantity or class, or too many")
	}
	var weights []class
	for range n {
		var c class
		for ch := range c {
			for range m {
				c[ch] = append(c[ch], r.rat())
			}
		}
		if r.err != nil {
			break
		}
		weights = append(weights, c)
	}
	runs := r.runs(s.lo, len(weights))
	if r.err == nil && len(r.b) > 0 {
		r.fail("something follows it")
	}
	if r.err == nil && (s.from < s.lo || s.to <= s.from || runs[len(runs)-1].end < s.to) {
		r.fail("its times do not fit")
	}
	if r.err != nil {
		return nil, fmt.Errorf("gate: shape: %w", r.err)
	}
	s.quantities = make([]Quantity, m)
	if err := s.settle(weights, runs); err != nil {
		return nil, err
	}
	if s.digest != digestOf(b) {
		return nil, errors.New("gate: shape: it is not in canonical form")
	}
	return s, nil
}

func (r *reader) runs(lo int64, classes int) []run {
	n := r.uint32()
	if r.err != nil {
		return nil
	}
	if n < 1 || n > maxSpans || int64(len(r.b)) < n*6 {
		r.fail("it has no run, or too many")
		return nil
	}
	runs := make([]run, n)
	at := lo
	for i := range runs {
		length := r.uint32()
		at += length
		runs[i] = run{at, r.uint16()}
		if length == 0 || at > maxTime || runs[i].class >= classes {
			r.fail("a run is empty, ends too late, or is of no class")
			return nil
		}
	}
	return runs
}

func digestOf(b []byte) Digest {
	return sha256.Sum256(append([]byte("wattveil1 gate shape"), b...))
}
