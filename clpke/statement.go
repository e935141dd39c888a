package clpke

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/clpke/internal/scheme"
)

// labelStatement is the label under which a key generation center signs.
const labelStatement = "wattveil1 key statement"

// Lengths of a statement in bytes (spec/clpke.md section 7).
const (
	statementHead = 4 + 1 + 2                  // UC number, role, length of the name
	statementTail = 4 + 3*PointSize + validity // serial, ω, μ, Y, validity
	validity      = 8 + 8                      // not before, not after
)

// Statement is what a key generation center signs of a key: whose it is, which
// in the row of the owner's keys, and how long it holds. It is comparable.
type Statement struct {
	UC        wattveil.UCNumber
	Role      Role
	Name      string // as in [Identity]
	Serial    uint32 // of a meter it is also its readings' [wattveil.Series]
	Omega     Point
	Mu        Point
	Master    Point
	NotBefore int64 // Unix seconds, included, from 0
	NotAfter  int64 // Unix seconds, included, later than NotBefore
}

// SignedStatement is a statement's encoding followed by the signature. Its
// bytes are what parties keep and pass on.
type SignedStatement []byte

// Hash is the SHA-256 of all the bytes, the signature included: what a session
// transcript names a statement by.
func (s SignedStatement) Hash() [sha256.Size]byte { return sha256.Sum256(s) }

// Identity is the owner that the statement names.
func (s Statement) Identity() Identity { return Identity{Role: s.Role, UC: s.UC, Name: s.Name} }

// PublicKey is the key that the statement gives to its owner.
func (s Statement) PublicKey() PublicKey {
	return PublicKey{Identity: s.Identity(), Omega: s.Omega, Mu: s.Mu, Master: s.Master}
}

// ValidAt tells whether the statement holds at a time in Unix seconds.
func (s Statement) ValidAt(unix int64) bool { return s.NotBefore <= unix && unix <= s.NotAfter }

// encode gives the bytes that are signed. It writes what it is given; only
// what parseStatement reads back is a statement.
func (s Statement) encode() []byte {
	b := make([]byte, 0, statementHead+len(s.Name)+statementTail+signatureSize)
	b = binary.BigEndian.AppendUint32(b, uint32(s.UC))
	b = append(b, byte(s.Role))
	b = scheme.AppendPrefixed(b, s.Name)
	b = binary.BigEndian.AppendUint32(b, s.Serial)
	b = append(b, s.Omega[:]...)
	b = append(b, s.Mu[:]...)
	b = append(b, s.Master[:]...)
	return appendValidity(b, s.NotBefore, s.NotAfter)
}

// parseStatement reads what encode gives, and nothing else.
func parseStatement(b []byte) (Statement, error) {
	if len(b) < statementHead {
		return Statement{}, fmt.Errorf("%w statement: %d bytes are too few", ErrMalformed, len(b))
	}
	nameSize := int(binary.BigEndian.Uint16(b[5:]))
	if len(b) != statementHead+nameSize+statementTail {
		return Statement{}, fmt.Errorf("%w statement: %d bytes with a name of %d, want %d",
			ErrMalformed, len(b), nameSize, statementHead+nameSize+statementTail)
	}
	s := Statement{
		UC:   wattveil.UCNumber(binary.BigEndian.Uint32(b)),
		Role: Role(b[4]),
		Name: string(b[statementHead : statementHead+nameSize]),
	}
	if err := s.Identity().Validate(); err != nil {
		return Statement{}, fmt.Errorf("statement: %w", err)
	}
	b = b[statementHead+nameSize:]
	s.Serial = binary.BigEndian.Uint32(b)
	if err := parsePoints(b[4:], &s.Omega, &s.Mu, &s.Master); err != nil {
		return Statement{}, fmt.Errorf("statement of %v: %w", s.Identity(), err)
	}
	var err error
	s.NotBefore, s.NotAfter, err = parseValidity(b[4+3*PointSize:])
	if err != nil {
		return Statement{}, fmt.Errorf("statement of %v: %w", s.Identity(), err)
	}
	return s, nil
}

// SignStatement signs a statement with a key generation center's key, which
// must be on P-256. It fails with [ErrMalformed] if a field is not one that
// [VerifyStatement] accepts. Packages other than kgc have no use for it.
func SignStatement(priv *ecdsa.PrivateKey, s Statement) (SignedStatement, error) {
	body := s.encode()
	if _, err := parseStatement(body); err != nil {
		return nil, fmt.Errorf("sign statement: %w", err)
	}
	signed, err := appendSignature(priv, labelStatement, body)
	if err != nil {
		return nil, fmt.Errorf("sign statement of %v: %w", s.Identity(), err)
	}
	return signed, nil
}

// VerifyStatement reads a signed statement and checks the signature under the
// key generation center's key. It fails with [ErrMalformed] if the bytes are
// not one statement, exactly, and with [ErrUnsigned] if the signature does not
// verify. It does not look at the time: see [Statement.ValidAt].
func VerifyStatement(signed []byte, signer *ecdsa.PublicKey) (Statement, error) {
	s, err := splitStatement(signed)
	if err != nil {
		return Statement{}, fmt.Errorf("verify: %w", err)
	}
	if err := verifySignature(signer, labelStatement, signed); err != nil {
		return Statement{}, fmt.Errorf("verify statement of %v: %w", s.Identity(), err)
	}
	return s, nil
}

// splitStatement reads the statement of a signed one, and not the signature.
func splitStatement(signed []byte) (Statement, error) {
	if len(signed) < signatureSize {
		return Statement{}, fmt.Errorf("%w signed statement: %d bytes are too few", ErrMalformed, len(signed))
	}
	return parseStatement(signed[:len(signed)-signatureSize])
}

// EvidenceError is two statements that the same key generation center signed
// for one identity under one serial. It is proof of its dishonesty (or of two
// copies of its state) to anybody who has its public key: keep both for good.
type EvidenceError struct {
	Identity      Identity
	Serial        uint32
	Kept, Offered SignedStatement
}

// Error names the identity and the serial.
func (e *EvidenceError) Error() string {
	return fmt.Sprintf("two different statements of %v with serial %d are signed; keep both as evidence against the key generation center",
		e.Identity, e.Serial)
}

// CompareStatements verifies a statement that is offered and compares it with
// the one kept for the same identity (spec/clpke.md section 8); kept is nil if
// there is none. It gives the offered statement if that is now in force: keep
// it if its serial is higher, and leave the kept bytes as they are if it is
// equal, a repeat.
//
// It fails as [VerifyStatement] does; with [ErrSerial] if the serial falls;
// and with an *[EvidenceError] that holds copies of both if the serial is the
// same and the statement is another. kept is trusted to have been verified
// when it was accepted, perhaps under an earlier key of the same center.
func CompareStatements(kept, offered []byte, signer *ecdsa.PublicKey) (Statement, error) {
	s, err := VerifyStatement(offered, signer)
	if err != nil || kept == nil {
		return s, err
	}
	old, err := splitStatement(kept)
	if err != nil {
		return Statement{}, fmt.Errorf("compare statements: the kept one: %w", err)
	}
	switch {
	case old.Identity() != s.Identity():
		return Statement{}, fmt.Errorf("compare statements: kept one is of %v, offered one of %v", old.Identity(), s.Identity())
	case s.Serial < old.Serial:
		return Statement{}, fmt.Errorf("statement of %v with serial %d after %d: %w", s.Identity(), s.Serial, old.Serial, ErrSerial)
	case s.Serial == old.Serial && s != old:
		return Statement{}, &EvidenceError{
			Identity: s.Identity(), Serial: s.Serial,
			Kept: bytes.Clone(kept), Offered: bytes.Clone(offered),
		}
	}
	return s, nil
}

// parsePoints reads one point after the other into dst. b is long enough.
func parsePoints(b []byte, dst ...*Point) error {
	for i, p := range dst {
		var err error
		if *p, err = ParsePoint(b[i*PointSize : (i+1)*PointSize]); err != nil {
			return err
		}
	}
	return nil
}

func appendValidity(b []byte, notBefore, notAfter int64) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(notBefore))
	return binary.BigEndian.AppendUint64(b, uint64(notAfter))
}

// parseValidity reads what appendValidity wrote. b is 16 bytes.
func parseValidity(b []byte) (notBefore, notAfter int64, err error) {
	from, to := binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])
	if from > math.MaxInt64 || to > math.MaxInt64 || to <= from {
		return 0, 0, fmt.Errorf("%w validity: from %d to %d", ErrMalformed, from, to)
	}
	return int64(from), int64(to), nil
}
