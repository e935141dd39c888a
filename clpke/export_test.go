package clpke

import "github.com/wattveil/wattveil/clpke/internal/scheme"

// EncryptWith encrypts with a given σ, for vectors alone: a program that could
// choose σ could repeat it.
func EncryptWith(r *Recipient, label string, msg []byte, sigma [32]byte) ([]byte, error) {
	return r.encrypt(label, msg, &sigma)
}

// PrivateKeyOf makes a private key without the check, from whatever scalars an
// attacker holds.
func PrivateKeyOf(z, d *scheme.Scalar, public PublicKey) *PrivateKey {
	return &PrivateKey{secret: scheme.NewSecret(z, d, public.context()), public: public}
}

// SplitStatement reads a signed statement without looking at the signature.
var SplitStatement = splitStatement

// EncodeStatement gives the bytes that are signed.
var EncodeStatement = Statement.encode
