// Package scheme is the mathematics that clpke and clpke/open share: scalars
// and points of P-256, the hashes H1 and H2, and the keystream, as
// spec/clpke.md sections 2, 3, 5 and 6 fix them. It lies in an internal folder
// so that an owner's secrets, which [Secret] carries from clpke to clpke/open,
// can be taken out nowhere else.
package scheme

import (
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"

	"filippo.io/nistec"
)

// Sizes in bytes (spec/clpke.md sections 2 and 5).
const (
	PointSize  = 33
	ScalarSize = 32
	SigmaSize  = 32
	Overhead   = PointSize + SigmaSize
	MaxMessage = 4096
)

// The labels of spec/clpke.md section 1.
const (
	tagH1          = "wattveil1 clpke H1"
	tagH2          = "wattveil1 clpke H2"
	labelKeystream = "wattveil1 clpke keystream"
)

// LabelPrefix begins every label of the platform.
const LabelPrefix = "wattveil1 "

// maxLabel is the length of the longest message label in bytes.
const maxLabel = 64

// CheckLabel refuses what is no message label (spec/clpke.md section 1).
func CheckLabel(label string) error {
	if len(label) <= len(LabelPrefix) || len(label) > maxLabel || label[:len(LabelPrefix)] != LabelPrefix {
		return fmt.Errorf("label %q: want %q and more, at most %d bytes", label, LabelPrefix, maxLabel)
	}
	if !Printable(label) {
		return fmt.Errorf("label %q: want printable ASCII", label)
	}
	return nil
}

// Printable tells whether s is printable ASCII, space included.
func Printable(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// AppendPrefixed appends part with its length in 2 bytes before it, the length
// rule of spec/clpke.md section 1. part is at most 65,535 bytes.
func AppendPrefixed[T string | []byte](dst []byte, part T) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(part)))
	return append(dst, part...)
}

// Context is the ctx of spec/clpke.md section 3: a key with its identity, as
// every hash of the key takes it in. It is read only and safe for concurrent
// use.
type Context []byte

// NewContext is the context of a key. The points are encodings that
// [ParsePoint] accepts; identity is at most 65,535 bytes.
func NewContext(identity []byte, omega, mu, master *[PointSize]byte) Context {
	ctx := make([]byte, 0, 2+len(identity)+3*PointSize)
	ctx = AppendPrefixed(ctx, identity)
	ctx = append(ctx, omega[:]...)
	ctx = append(ctx, mu[:]...)
	return append(ctx, master[:]...)
}

// H1 is the scalar that binds a partial key to its context. It is public. It
// fails on a hash of 0.
func (c Context) H1() (*Scalar, error) { return hashToScalar(tagH1, c) }

// H2 is the scalar r of an encryption. It fails on a hash of 0.
func (c Context) H2(label string, msg []byte, sigma *[SigmaSize]byte) (*Scalar, error) {
	in := make([]byte, 0, 2+len(label)+len(c)+2+len(msg)+SigmaSize)
	in = AppendPrefixed(in, label)
	in = append(in, c...)
	in = AppendPrefixed(in, msg)
	in = append(in, sigma[:]...)
	r, err := hashToScalar(tagH2, in)
	clear(in)
	return r, err
}

// Combined is ω + H1·Y, the half of the public key that answers to d.
func (c Context) Combined(omega, master *nistec.P256Point) (*nistec.P256Point, error) {
	h, err := c.H1()
	if err != nil {
		return nil, err
	}
	q := Mul(h, master)
	q.Add(q, omega)
	if q.IsInfinity() == 1 {
		return nil, errors.New("the key's halves cancel out")
	}
	return q, nil
}

// XORKeystream sets dst to src xor the keystream of an encryption to this key
// under label. c1 is the encoded C1; mu and combined are the two shared
// points, rμ and r(ω + H1·Y) or, what is the same, zC1 and dC1. dst and src
// have one length, at most MaxMessage + SigmaSize, and may be one slice.
func (c Context) XORKeystream(dst, src []byte, label string, c1 []byte, mu, combined *nistec.P256Point) error {
	shared := make([]byte, 0, 2*PointSize)
	shared = append(shared, mu.BytesCompressed()...)
	shared = append(shared, combined.BytesCompressed()...)
	prk, err := hkdf.Extract(sha256.New, shared, c1)
	if err != nil {
		return fmt.Errorf("extract: %w", err)
	}
	info := make([]byte, 0, 2+len(labelKeystream)+2+len(label)+len(c))
	info = AppendPrefixed(info, labelKeystream)
	info = AppendPrefixed(info, label)
	info = append(info, c...)
	key, err := hkdf.Expand(sha256.New, prk, string(info), len(src))
	if err != nil {
		return fmt.Errorf("expand: %w", err)
	}
	subtle.XORBytes(dst, src, key)
	clear(shared)
	clear(prk)
	clear(key)
	return nil
}
