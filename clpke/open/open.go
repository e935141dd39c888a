// Package open decrypts what package clpke encrypts. It stands apart so that
// an import rule can say who decrypts: the meter and the TTP, and nobody else.
package open

import (
	"errors"
	"fmt"

	"github.com/wattveil/wattveil/clpke"
	"github.com/wattveil/wattveil/clpke/internal/scheme"
)

// ErrOpen is the one failure of a well-formed ciphertext: another key, another
// label and an altered byte all look alike (spec/clpke.md section 6).
var ErrOpen = errors.New("ciphertext does not open")

// Open decrypts a ciphertext that was encrypted to key under label. It fails
// with [clpke.ErrMalformed] if the length or C1 is not one that an encryption
// gives, which depends on public bytes alone, with [ErrOpen] otherwise, and
// with another error if label is not one that [clpke.Recipient.Encrypt] takes.
// It does not alter the ciphertext. It is safe for concurrent use.
func Open(key *clpke.PrivateKey, label string, ciphertext []byte) ([]byte, error) {
	if key == nil || key.Secret() == nil {
		return nil, errors.New("open: no private key")
	}
	if err := scheme.CheckLabel(label); err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	if n := len(ciphertext); n < clpke.Overhead || n > clpke.Overhead+clpke.MaxMessage {
		return nil, fmt.Errorf("open: %w ciphertext: %d bytes, want %d to %d",
			clpke.ErrMalformed, n, clpke.Overhead, clpke.Overhead+clpke.MaxMessage)
	}
	encodedC1, c2 := ciphertext[:clpke.PointSize], ciphertext[clpke.PointSize:]
	c1, err := scheme.ParsePoint(encodedC1)
	if err != nil {
		return nil, fmt.Errorf("open: %w ciphertext: C1: %w", clpke.ErrMalformed, err)
	}

	user, partial, ctx := scheme.Parts(key.Secret())
	plain := make([]byte, len(c2))
	err = ctx.XORKeystream(plain, c2, label, encodedC1, scheme.Mul(user, c1), scheme.Mul(partial, c1))
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	msg, sigma := plain[:len(plain)-scheme.SigmaSize], plain[len(plain)-scheme.SigmaSize:]
	r, err := ctx.H2(label, msg, (*[scheme.SigmaSize]byte)(sigma))
	// A point has one encoding, so equal points are equal bytes, and comparing
	// points saves an inversion. Equal is constant-time.
	if err != nil || scheme.BaseMul(r).Equal(c1) != 1 {
		clear(plain)
		return nil, fmt.Errorf("open: %w", ErrOpen)
	}
	clear(sigma)
	return msg[:len(msg):len(msg)], nil
}
