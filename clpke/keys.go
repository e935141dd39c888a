package clpke

import (
	"errors"
	"fmt"

	"filippo.io/nistec"

	"github.com/wattveil/wattveil/clpke/internal/scheme"
)

// UserKey is z, the half of a private key that its owner makes and that
// nobody else ever sees. Make one with [NewUserKey] or [ParseUserKey]; the
// zero value is none. It is safe for concurrent use.
type UserKey struct {
	scheme.Redacted
	z  *scheme.Scalar
	mu Point
}

// NewUserKey draws a user key with crypto/rand.
func NewUserKey() (*UserKey, error) {
	z, err := scheme.RandomScalar()
	if err != nil {
		return nil, fmt.Errorf("new user key: %w", err)
	}
	return newUserKey(z), nil
}

// ParseUserKey reads what [UserKey.Bytes] gives, or fails with [ErrMalformed].
func ParseUserKey(b []byte) (*UserKey, error) {
	z, err := scheme.ParseScalar(b)
	if err != nil {
		return nil, fmt.Errorf("%w user key: %w", ErrMalformed, err)
	}
	return newUserKey(z), nil
}

func newUserKey(z *scheme.Scalar) *UserKey {
	return &UserKey{z: z, mu: scheme.EncodePoint(scheme.BaseMul(z))}
}

// Public is μ = zG, which the owner sends to the key generation center.
func (k *UserKey) Public() Point { return k.mu }

// Bytes is z in 32 bytes, big-endian. It is secret: it belongs in a vault and
// nowhere else.
func (k *UserKey) Bytes() []byte { return k.z.Bytes() }

// Equal compares in constant time.
func (k *UserKey) Equal(other *UserKey) bool { return k.z.Equal(other.z) }

// PartialKey is d with its ω, the half of a private key that the key
// generation center makes. Only [NewPrivateKey] tells whether it is good. Make
// one with [ParsePartialKey]; the zero value is none. It is safe for
// concurrent use.
type PartialKey struct {
	scheme.Redacted
	d     *scheme.Scalar
	omega Point
}

// partialKeySize is the length of ω ‖ d in bytes.
const partialKeySize = PointSize + ScalarSize

// ParsePartialKey reads ω ‖ d, 65 bytes, or fails with [ErrMalformed].
func ParsePartialKey(b []byte) (*PartialKey, error) {
	if len(b) != partialKeySize {
		return nil, fmt.Errorf("%w partial key: %d bytes, want %d", ErrMalformed, len(b), partialKeySize)
	}
	omega, err := ParsePoint(b[:PointSize])
	if err != nil {
		return nil, fmt.Errorf("partial key: %w", err)
	}
	d, err := scheme.ParseScalar(b[PointSize:])
	if err != nil {
		return nil, fmt.Errorf("%w partial key: %w", ErrMalformed, err)
	}
	return &PartialKey{d: d, omega: omega}, nil
}

// Omega is ω, the public value that the key generation center drew.
func (k *PartialKey) Omega() Point { return k.omega }

// Bytes is ω ‖ d, 65 bytes. It is secret: it belongs in a vault or a sealed
// message to the owner.
func (k *PartialKey) Bytes() []byte {
	return append(k.omega[:len(k.omega):len(k.omega)], k.d.Bytes()...)
}

// Equal compares d in constant time, and ω.
func (k *PartialKey) Equal(other *PartialKey) bool {
	return k.d.Equal(other.d) && k.omega == other.omega
}

// PublicKey is what a sender needs: the owner's identity and the key
// generation center's master key with ω and μ. It is comparable. That it
// belongs to the identity is what a verified [Statement] says.
type PublicKey struct {
	Identity Identity
	Omega    Point // ω, drawn by the key generation center
	Mu       Point // μ, the owner's
	Master   Point // Y, the key generation center's
}

// H1 is the public scalar H1(identity, ω, μ, Y) that binds a partial key to
// the key (spec/clpke.md section 3), big-endian. It fails with [ErrMalformed]
// on an invalid identity. It does not look at the points.
func (k PublicKey) H1() ([ScalarSize]byte, error) {
	if err := k.Identity.Validate(); err != nil {
		return [ScalarSize]byte{}, err
	}
	h, err := k.context().H1()
	if err != nil {
		return [ScalarSize]byte{}, fmt.Errorf("%w key of %v: H1: %w", ErrMalformed, k.Identity, err)
	}
	return [ScalarSize]byte(h.Bytes()), nil
}

func (k PublicKey) context() scheme.Context {
	return scheme.NewContext(k.Identity.Bytes(), (*[PointSize]byte)(&k.Omega), (*[PointSize]byte)(&k.Mu), (*[PointSize]byte)(&k.Master))
}

// combined validates identity, ω and Y and gives ω + H1·Y with the context.
func (k PublicKey) combined() (*nistec.P256Point, scheme.Context, error) {
	if err := k.Identity.Validate(); err != nil {
		return nil, nil, err
	}
	omega, err := scheme.ParsePoint(k.Omega[:])
	if err != nil {
		return nil, nil, fmt.Errorf("%w key of %v: ω: %w", ErrMalformed, k.Identity, err)
	}
	master, err := scheme.ParsePoint(k.Master[:])
	if err != nil {
		return nil, nil, fmt.Errorf("%w key of %v: Y: %w", ErrMalformed, k.Identity, err)
	}
	ctx := k.context()
	q, err := ctx.Combined(omega, master)
	if err != nil {
		return nil, nil, fmt.Errorf("%w key of %v: %w", ErrMalformed, k.Identity, err)
	}
	return q, ctx, nil
}

// PrivateKey is both halves of a key, checked: clpke/open decrypts with it.
// Make one with [NewPrivateKey]. It is safe for concurrent use.
type PrivateKey struct {
	scheme.Redacted
	secret *scheme.Secret
	public PublicKey
}

// NewPrivateKey joins the owner's half with the key generation center's after
// the check of spec/clpke.md section 4. It fails with [ErrPartialKey] if the
// partial key was not made for this identity, user key and master key, and
// with [ErrMalformed] on a bad identity or point. It keeps user and partial.
func NewPrivateKey(user *UserKey, partial *PartialKey, id Identity, master Point) (*PrivateKey, error) {
	if user == nil || user.z == nil || partial == nil || partial.d == nil {
		return nil, errors.New("new private key: a half of the key is missing")
	}
	public := PublicKey{Identity: id, Omega: partial.omega, Mu: user.mu, Master: master}
	q, ctx, err := public.combined()
	if err != nil {
		return nil, fmt.Errorf("new private key: %w", err)
	}
	if scheme.BaseMul(partial.d).Equal(q) != 1 {
		return nil, fmt.Errorf("new private key of %v: %w; ask the utility to issue it again", id, ErrPartialKey)
	}
	return &PrivateKey{secret: scheme.NewSecret(user.z, partial.d, ctx), public: public}, nil
}

// PublicKey is the key that messages to k are encrypted to.
func (k *PrivateKey) PublicKey() PublicKey { return k.public }

// Secret hands the secrets to clpke/open. The result is opaque to every other
// package: it has no methods that give anything away.
func (k *PrivateKey) Secret() *scheme.Secret { return k.secret }
