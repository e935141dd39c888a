package clpke

import (
	"bytes"
	"encoding/binary"
	"math/big"
)

// Statement holds the fields of a key statement.
type Statement struct {
	UC                uint32
	Role              byte
	Name              []byte
	Serial            uint32
	Omega, Mu, Master []byte // encoded, so that a bad vector can hold a bad point
	NotBefore         uint64
	NotAfter          uint64
}

// Encode gives the bytes that are signed, whatever the fields hold.
func (s Statement) Encode() []byte {
	b := binary.BigEndian.AppendUint32(nil, s.UC)
	b = append(b, s.Role)
	b = append(b, Prefixed(s.Name)...)
	b = binary.BigEndian.AppendUint32(b, s.Serial)
	b = bytes.Join([][]byte{b, s.Omega, s.Mu, s.Master}, nil)
	b = binary.BigEndian.AppendUint64(b, s.NotBefore)
	return binary.BigEndian.AppendUint64(b, s.NotAfter)
}

// Root holds the fields of a root statement.
type Root struct {
	UC        uint32
	Omega, Mu []byte
	NotBefore uint64
	NotAfter  uint64
}

// Encode gives the bytes that are signed, whatever the fields hold.
func (r Root) Encode() []byte {
	b := binary.BigEndian.AppendUint32(nil, r.UC)
	b = bytes.Join([][]byte{b, r.Omega, r.Mu}, nil)
	b = binary.BigEndian.AppendUint64(b, r.NotBefore)
	return binary.BigEndian.AppendUint64(b, r.NotAfter)
}

func digest(label string, body []byte) *big.Int {
	return new(big.Int).SetBytes(hash(Prefixed([]byte(label)), body))
}

// Sign appends the ECDSA signature under label with the nonce k (FIPS 186-5
// section 6.4.1).
func Sign(key, k *big.Int, label string, body []byte) []byte {
	r := new(big.Int).Mod(Mul(k, Base()).X, Order())
	s := new(big.Int).Mul(r, key)
	s.Add(s, digest(label, body))
	s.Mul(s, new(big.Int).ModInverse(k, Order())).Mod(s, Order())
	return bytes.Join([][]byte{body, Scalar32(r), Scalar32(s)}, nil)
}

// Verify checks what Sign appended (FIPS 186-5 section 6.4.2).
func Verify(key Point, label string, signed []byte) bool {
	if len(signed) < 64 {
		return false
	}
	body, sig := signed[:len(signed)-64], signed[len(signed)-64:]
	r, s := new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])
	if r.Sign() == 0 || s.Sign() == 0 || r.Cmp(Order()) >= 0 || s.Cmp(Order()) >= 0 {
		return false
	}
	w := new(big.Int).ModInverse(s, Order())
	u1 := new(big.Int).Mul(digest(label, body), w)
	u2 := new(big.Int).Mul(r, w)
	p := Add(Mul(u1.Mod(u1, Order()), Base()), Mul(u2.Mod(u2, Order()), key))
	return !p.Equal(Infinity()) && new(big.Int).Mod(p.X, Order()).Cmp(r) == 0
}

// Fingerprint is the SHA-256 of the DER SubjectPublicKeyInfo of a P-256 key,
// written out byte by byte (RFC 5480).
func Fingerprint(key Point) []byte {
	der := []byte{
		0x30, 0x59, // SEQUENCE, 89 bytes
		0x30, 0x13, // SEQUENCE, 19 bytes
		0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, // id-ecPublicKey
		0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, // secp256r1
		0x03, 0x42, 0x00, // BIT STRING, 66 bytes, no unused bits
		0x04, // uncompressed point
	}
	return hash(der, Scalar32(key.X), Scalar32(key.Y))
}
