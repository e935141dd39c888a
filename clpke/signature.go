package clpke

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"

	"github.com/wattveil/wattveil/clpke/internal/scheme"
)

// signatureSize is the length of r ‖ s in bytes.
const signatureSize = 2 * ScalarSize

// digest is what a signature under label covers.
func digest(label string, body []byte) [sha256.Size]byte {
	return sha256.Sum256(append(scheme.AppendPrefixed(nil, label), body...))
}

// appendSignature gives body with its signature under label after it.
func appendSignature(priv *ecdsa.PrivateKey, label string, body []byte) ([]byte, error) {
	if priv == nil || !onP256(&priv.PublicKey) {
		return nil, errors.New("signing key is not an ECDSA key on P-256")
	}
	d := digest(label, body)
	r, s, err := ecdsa.Sign(rand.Reader, priv, d[:])
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	var sig [signatureSize]byte
	r.FillBytes(sig[:ScalarSize])
	s.FillBytes(sig[ScalarSize:])
	return append(body[:len(body):len(body)], sig[:]...), nil
}

// verifySignature checks what appendSignature appended. signed is at least
// signatureSize bytes long.
func verifySignature(signer *ecdsa.PublicKey, label string, signed []byte) error {
	if !onP256(signer) {
		return fmt.Errorf("%w: signer is not an ECDSA key on P-256", ErrUnsigned)
	}
	body, sig := signed[:len(signed)-signatureSize], signed[len(signed)-signatureSize:]
	r, s := new(big.Int).SetBytes(sig[:ScalarSize]), new(big.Int).SetBytes(sig[ScalarSize:])
	d := digest(label, body)
	if !ecdsa.Verify(signer, d[:], r, s) {
		return ErrUnsigned
	}
	return nil
}
