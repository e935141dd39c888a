package clpke

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"fmt"

	"github.com/wattveil/wattveil"
)

// labelRoot is the label under which a TTP root key signs.
const labelRoot = "wattveil1 ttp root"

// rootStatementSize is the length of a root statement without its signature.
const rootStatementSize = 4 + 2*PointSize + validity

// RootStatement is what a TTP's root key signs: which public values are the
// TTP's own towards one utility. A meter that pins the root key is so safe
// from a key generation center that issues a key in the TTP's name.
type RootStatement struct {
	UC        wattveil.UCNumber
	Omega     Point
	Mu        Point
	NotBefore int64 // Unix seconds, included, from 0
	NotAfter  int64 // Unix seconds, included, later than NotBefore
}

// ValidAt tells whether the statement holds at a time in Unix seconds.
func (r RootStatement) ValidAt(unix int64) bool { return r.NotBefore <= unix && unix <= r.NotAfter }

// Covers tells whether the key of s is the TTP's own. A receiver refuses a
// TTP's key statement that its root statement does not cover.
func (r RootStatement) Covers(s Statement) bool {
	return s.Role == RoleTTP && s.UC == r.UC && s.Omega == r.Omega && s.Mu == r.Mu
}

func (r RootStatement) encode() []byte {
	b := make([]byte, 0, rootStatementSize+signatureSize)
	b = binary.BigEndian.AppendUint32(b, uint32(r.UC))
	b = append(b, r.Omega[:]...)
	b = append(b, r.Mu[:]...)
	return appendValidity(b, r.NotBefore, r.NotAfter)
}

// parseRoot reads what encode gives, and nothing else.
func parseRoot(b []byte) (RootStatement, error) {
	if len(b) != rootStatementSize {
		return RootStatement{}, fmt.Errorf("%w root statement: %d bytes, want %d", ErrMalformed, len(b), rootStatementSize)
	}
	r := RootStatement{UC: wattveil.UCNumber(binary.BigEndian.Uint32(b))}
	if err := parsePoints(b[4:], &r.Omega, &r.Mu); err != nil {
		return RootStatement{}, fmt.Errorf("root statement for utility %v: %w", r.UC, err)
	}
	var err error
	r.NotBefore, r.NotAfter, err = parseValidity(b[4+2*PointSize:])
	if err != nil {
		return RootStatement{}, fmt.Errorf("root statement for utility %v: %w", r.UC, err)
	}
	return r, nil
}

// SignRoot signs a root statement with a TTP root key, which must be on P-256:
// its encoding with the signature after it, 150 bytes. It fails with
// [ErrMalformed] if a field is not one that [VerifyRoot] accepts.
func SignRoot(priv *ecdsa.PrivateKey, r RootStatement) ([]byte, error) {
	body := r.encode()
	if _, err := parseRoot(body); err != nil {
		return nil, fmt.Errorf("sign root statement: %w", err)
	}
	signed, err := appendSignature(priv, labelRoot, body)
	if err != nil {
		return nil, fmt.Errorf("sign root statement for utility %v: %w", r.UC, err)
	}
	return signed, nil
}

// VerifyRoot reads what [SignRoot] gives and checks the signature under the
// root key. It fails with [ErrMalformed] or [ErrUnsigned]. It looks neither at
// the time nor at whether the root key is the pinned one: see
// [RootStatement.ValidAt] and [RootFingerprint].
func VerifyRoot(signed []byte, root *ecdsa.PublicKey) (RootStatement, error) {
	if len(signed) < signatureSize {
		return RootStatement{}, fmt.Errorf("verify: %w root statement: %d bytes are too few", ErrMalformed, len(signed))
	}
	r, err := parseRoot(signed[:len(signed)-signatureSize])
	if err != nil {
		return RootStatement{}, fmt.Errorf("verify: %w", err)
	}
	if err := verifySignature(root, labelRoot, signed); err != nil {
		return RootStatement{}, fmt.Errorf("verify root statement for utility %v: %w", r.UC, err)
	}
	return r, nil
}

// RootFingerprint is the SHA-256 of a root key's DER SubjectPublicKeyInfo,
// what a meter pins. A key that is not a valid one on P-256 gives the hash of
// nothing, which no key has.
func RootFingerprint(root *ecdsa.PublicKey) [sha256.Size]byte {
	if !onP256(root) {
		return sha256.Sum256(nil)
	}
	der, err := x509.MarshalPKIXPublicKey(root)
	if err != nil {
		return sha256.Sum256(nil)
	}
	return sha256.Sum256(der)
}
