package kgc

import (
	"crypto/ecdh"
	"crypto/rand"
	"fmt"
	"log/slog"

	"filippo.io/bigmod"

	"github.com/wattveil/wattveil/clpke"
)

// MasterKey is x, the secret of which every partial key is made. Make one with
// [NewMasterKey] or [ParseMasterKey]; the zero value is none. It redacts
// itself, cannot be compared with ==, and is safe for concurrent use.
type MasterKey struct {
	redacted
	x      *ecdh.PrivateKey
	public clpke.Point
}

// NewMasterKey draws a master key with crypto/rand.
func NewMasterKey() (*MasterKey, error) {
	x, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("new master key: %w", err)
	}
	return &MasterKey{x: x, public: compress(x.PublicKey())}, nil
}

// ParseMasterKey reads what [MasterKey.Bytes] gives. It fails with
// [clpke.ErrMalformed] on anything but 32 bytes that hold 1 to n−1.
func ParseMasterKey(b []byte) (*MasterKey, error) {
	x, err := ecdh.P256().NewPrivateKey(b)
	if err != nil {
		return nil, fmt.Errorf("%w master key: want %d bytes between 1 and n-1", clpke.ErrMalformed, clpke.ScalarSize)
	}
	return &MasterKey{x: x, public: compress(x.PublicKey())}, nil
}

// Public is Y = xG.
func (m *MasterKey) Public() clpke.Point { return m.public }

// Bytes is x in 32 bytes, big-endian. It is secret: it belongs in a sealed
// file or a hardware module and nowhere else.
func (m *MasterKey) Bytes() []byte { return m.x.Bytes() }

// Equal compares in constant time.
func (m *MasterKey) Equal(other *MasterKey) bool { return m.x.Equal(other.x) }

// partialKey draws s and gives the partial key of an identity with the user
// value mu.
func (m *MasterKey) partialKey(id clpke.Identity, mu clpke.Point) (*clpke.PartialKey, error) {
	s, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("draw s: %w", err)
	}
	return m.derive(id, mu, s)
}

// derive is ω = sG with d = s + x·H1 (spec/clpke.md section 4).
func (m *MasterKey) derive(id clpke.Identity, mu clpke.Point, s *ecdh.PrivateKey) (*clpke.PartialKey, error) {
	public := clpke.PublicKey{Identity: id, Mu: mu, Master: m.public}
	public.Omega = compress(s.PublicKey())
	h, err := public.H1()
	if err != nil {
		return nil, err
	}
	d, err := multiplyAdd(m.x.Bytes(), h[:], s.Bytes())
	if err != nil {
		return nil, err
	}
	// Refuses d = 0, a chance of 2^-256: to issue again draws another s.
	return clpke.ParsePartialKey(append(public.Omega[:], d...))
}

// order is n, the order of P-256's base point (SEC 2 version 2.0 section
// 2.4.2), big-endian.
const order = "\xff\xff\xff\xff\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff" +
	"\xbc\xe6\xfa\xad\xa7\x17\x9e\x84\xf3\xb9\xca\xc2\xfc\x63\x25\x51"

// multiplyAdd is a·b + c mod n in constant time. Each is 32 bytes below n.
func multiplyAdd(a, b, c []byte) ([]byte, error) {
	n, err := bigmod.NewModulus([]byte(order))
	if err != nil {
		return nil, fmt.Errorf("order of P-256: %w", err)
	}
	var x [3]*bigmod.Nat
	for i, v := range [...][]byte{a, b, c} {
		if x[i], err = bigmod.NewNat().SetBytes(v, n); err != nil {
			return nil, fmt.Errorf("scalar: %w", err)
		}
	}
	return x[0].Mul(x[1], n).Add(x[2], n).Bytes(n), nil
}

// compress is the compressed form of a key's point, whose uncompressed form
// crypto/ecdh gives: 0x04, x, y.
func compress(key *ecdh.PublicKey) clpke.Point {
	b := key.Bytes()
	p := clpke.Point{0: 2 | b[len(b)-1]&1}
	copy(p[1:], b[1:clpke.PointSize])
	return p
}

// redacted makes the struct that embeds it print, log and marshal as
// "[redacted]" in every form, and unfit for ==.
type redacted struct{ _ [0]func() }

// Format redacts under every verb.
func (redacted) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[redacted]")) }

// LogValue redacts.
func (redacted) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// MarshalText redacts, in JSON too.
func (redacted) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }
