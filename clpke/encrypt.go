package clpke

import (
	"crypto/rand"
	"fmt"

	"filippo.io/nistec"

	"github.com/wattveil/wattveil/clpke/internal/scheme"
)

// Recipient is a public key made ready: its points are parsed and ω + H1·Y is
// computed, about a third of what a first encryption costs. Make one with
// [PublicKey.Prepare]. It is safe for concurrent use.
type Recipient struct {
	key      PublicKey
	context  scheme.Context
	mu       *nistec.P256Point
	combined *nistec.P256Point // ω + H1·Y
}

// Prepare checks the key and makes it ready to encrypt to. It fails with
// [ErrMalformed] on a bad identity or point. It does not tell whose the key
// is: take k from a verified [Statement].
func (k PublicKey) Prepare() (*Recipient, error) {
	combined, ctx, err := k.combined()
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	mu, err := scheme.ParsePoint(k.Mu[:])
	if err != nil {
		return nil, fmt.Errorf("prepare: %w key of %v: μ: %w", ErrMalformed, k.Identity, err)
	}
	return &Recipient{key: k, context: ctx, mu: mu, combined: combined}, nil
}

// PublicKey is the key that r was prepared from.
func (r *Recipient) PublicKey() PublicKey { return r.key }

// Encrypt encrypts msg, at most [MaxMessage] bytes, under a label that begins
// with "wattveil1 " and names the message's purpose: it opens under that label
// alone. The result has [Overhead] bytes more than msg. It draws fresh
// randomness from crypto/rand, so that equal messages give different results.
func (r *Recipient) Encrypt(label string, msg []byte) ([]byte, error) {
	var sigma [scheme.SigmaSize]byte
	_, _ = rand.Read(sigma[:]) // documented never to fail
	out, err := r.encrypt(label, msg, &sigma)
	clear(sigma[:])
	return out, err
}

// encrypt is spec/clpke.md section 5 from step 3 on.
func (r *Recipient) encrypt(label string, msg []byte, sigma *[scheme.SigmaSize]byte) ([]byte, error) {
	if err := scheme.CheckLabel(label); err != nil {
		return nil, fmt.Errorf("encrypt to %v: %w", r.key.Identity, err)
	}
	if len(msg) > MaxMessage {
		return nil, fmt.Errorf("encrypt to %v: message of %d bytes, at most %d", r.key.Identity, len(msg), MaxMessage)
	}
	k, err := r.context.H2(label, msg, sigma)
	if err != nil {
		return nil, fmt.Errorf("encrypt to %v: %w", r.key.Identity, err)
	}
	out := make([]byte, 0, len(msg)+Overhead)
	out = append(out, scheme.BaseMul(k).BytesCompressed()...)
	out = append(out, msg...)
	out = append(out, sigma[:]...)
	c1, c2 := out[:PointSize], out[PointSize:]
	err = r.context.XORKeystream(c2, c2, label, c1, scheme.Mul(k, r.mu), scheme.Mul(k, r.combined))
	if err != nil {
		return nil, fmt.Errorf("encrypt to %v: %w", r.key.Identity, err)
	}
	return out, nil
}
