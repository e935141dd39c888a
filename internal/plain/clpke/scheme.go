// Package clpke is a second implementation of spec/clpke.md, as plain as
// possible: math/big, affine formulas, no speed and no constant time. It writes
// the vectors that the real package must pass, and tests compare the two on
// random input. It shares no code with the real package, and must never
// protect anything.
package clpke

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math/big"
)

// Prefixed is lp(a): the length in 2 bytes, then a.
func Prefixed(a []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(a))), a...)
}

// Scalar32 is a scalar in 32 bytes.
func Scalar32(k *big.Int) []byte { return k.FillBytes(make([]byte, 32)) }

// Expand is expand_message_xmd of RFC 9380 section 5.3.1 with SHA-256, step by
// step; n is at most 255 blocks of 32 bytes.
func Expand(msg, dst []byte, n int) []byte {
	dstPrime := append(bytes.Clone(dst), byte(len(dst)))
	zPad := make([]byte, 64)
	lenStr := binary.BigEndian.AppendUint16(nil, uint16(n))
	b0 := hash(zPad, msg, lenStr, []byte{0}, dstPrime)
	b := hash(b0, []byte{1}, dstPrime)
	out := bytes.Clone(b)
	for i := 2; len(out) < n; i++ {
		mixed := make([]byte, 32)
		for j := range mixed {
			mixed[j] = b0[j] ^ b[j]
		}
		b = hash(mixed, []byte{byte(i)}, dstPrime)
		out = append(out, b...)
	}
	return out[:n]
}

func hash(parts ...[]byte) []byte {
	sum := sha256.Sum256(bytes.Join(parts, nil))
	return sum[:]
}

func hashToScalar(tag string, input []byte) *big.Int {
	u := new(big.Int).SetBytes(Expand(input, []byte(tag), 48))
	return u.Mod(u, Order())
}

// PublicKey is a key with the identity's encoding.
type PublicKey struct {
	Identity          []byte
	Omega, Mu, Master Point
}

func (k PublicKey) context() []byte {
	return bytes.Join([][]byte{Prefixed(k.Identity), Compress(k.Omega), Compress(k.Mu), Compress(k.Master)}, nil)
}

// H1 is the scalar that binds a partial key.
func (k PublicKey) H1() *big.Int { return hashToScalar("wattveil1 clpke H1", k.context()) }

// H2 is the scalar r of an encryption.
func (k PublicKey) H2(label string, msg, sigma []byte) *big.Int {
	input := bytes.Join([][]byte{Prefixed([]byte(label)), k.context(), Prefixed(msg), sigma}, nil)
	return hashToScalar("wattveil1 clpke H2", input)
}

// Partial is d = s + x·H1 mod n.
func (k PublicKey) Partial(x, s *big.Int) *big.Int {
	d := new(big.Int).Mul(x, k.H1())
	return d.Add(d, s).Mod(d, Order())
}

// Check tells whether dG = ω + H1·Y.
func (k PublicKey) Check(d *big.Int) bool {
	return Mul(d, Base()).Equal(Add(k.Omega, Mul(k.H1(), k.Master)))
}

func (k PublicKey) keystream(label string, c1 []byte, mu, combined Point, n int) []byte {
	ikm := append(Compress(mu), Compress(combined)...)
	info := bytes.Join([][]byte{Prefixed([]byte("wattveil1 clpke keystream")), Prefixed([]byte(label)), k.context()}, nil)
	return hkdf(c1, ikm, info, n)
}

// hkdf is RFC 5869 with SHA-256.
func hkdf(salt, ikm, info []byte, n int) []byte {
	prk := mac(salt, ikm)
	var out, t []byte
	for i := 1; len(out) < n; i++ {
		t = mac(prk, t, info, []byte{byte(i)})
		out = append(out, t...)
	}
	return out[:n]
}

func mac(key []byte, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(bytes.Join(parts, nil))
	return h.Sum(nil)
}

// Encrypt encrypts msg with a given σ of 32 bytes; r is for the vectors.
func (k PublicKey) Encrypt(label string, msg, sigma []byte) (r *big.Int, ciphertext []byte) {
	r = k.H2(label, msg, sigma)
	return r, k.EncryptWith(r, label, msg, sigma)
}

// EncryptWith encrypts with a given r, as only a cheat does.
func (k PublicKey) EncryptWith(r *big.Int, label string, msg, sigma []byte) []byte {
	combined := Add(k.Omega, Mul(k.H1(), k.Master))
	c1 := Compress(Mul(r, Base()))
	plain := append(bytes.Clone(msg), sigma...)
	stream := k.keystream(label, c1, Mul(r, k.Mu), Mul(r, combined), len(plain))
	return append(c1, xor(plain, stream)...)
}

func xor(a, b []byte) []byte {
	out := make([]byte, len(a))
	for i := range a {
		out[i] = a[i] ^ b[i]
	}
	return out
}

// The failures of Decrypt.
var (
	ErrMalformed = errors.New("malformed")
	ErrOpen      = errors.New("does not open")
)

// Decrypt opens a ciphertext with both secrets of k.
func (k PublicKey) Decrypt(z, d *big.Int, label string, ciphertext []byte) ([]byte, error) {
	if len(ciphertext) < 65 || len(ciphertext) > 65+4096 {
		return nil, ErrMalformed
	}
	c1, err := Decompress(ciphertext[:33])
	if err != nil {
		return nil, ErrMalformed
	}
	c2 := ciphertext[33:]
	plain := xor(c2, k.keystream(label, ciphertext[:33], Mul(z, c1), Mul(d, c1), len(c2)))
	msg, sigma := plain[:len(plain)-32], plain[len(plain)-32:]
	r := k.H2(label, msg, sigma)
	if r.Sign() == 0 || !Mul(r, Base()).Equal(c1) {
		return nil, ErrOpen
	}
	return msg, nil
}
