package wire

import (
	"crypto/ecdh"
	"math/big"
)

// Offer is the plaintext of M1 (section 5.1).
func Offer(pinned bool, suites, n, e []byte, epoch, chain, older uint32) []byte {
	request := byte(0x01)
	if pinned {
		request = 0x81
	}
	return join(u8(request), u8(byte(len(suites))), suites, n, e, u32(epoch), u32(chain), u32(older))
}

// Answer is the plaintext of M2 (section 5.1).
func Answer(s, n, f []byte, epoch, lifetime, chain uint32, suite byte) []byte {
	return join(s, n, f, u32(epoch), u32(lifetime), u32(chain), u8(suite), u16(0))
}

// Transcript is what both sides of an exchange have seen.
type Transcript struct {
	Suites                       []byte
	Suite                        byte
	UC                           uint32
	Master                       []byte
	AnID                         uint64
	MeterStatement, TTPStatement []byte // signed, not hashed
	M1, M2                       []byte
	Epoch, Lifetime, Chain       uint32
}

// T is the hash of the transcript (section 5.2).
func (t Transcript) T() []byte {
	return hash(
		prefixed([]byte("wattveil1 transcript")), prefixed(t.Suites), prefixed(u8(t.Suite)), prefixed(u32(t.UC)),
		prefixed(t.Master), prefixed(u64(t.AnID)), prefixed(hash(t.MeterStatement)), prefixed(hash(t.TTPStatement)),
		prefixed(t.M1), prefixed(t.M2), prefixed(u32(t.Epoch)), prefixed(u32(t.Lifetime)), prefixed(u32(t.Chain)),
	)
}

// SessionKeys are the 184 bytes of an epoch's keys in the order of the
// specification. chain is 32 zero bytes for chain epoch 0.
func SessionKeys(n, s, x, chain, t []byte) []byte {
	return Expand(Extract(n, join(s, x, chain)), join([]byte("wattveil1 session"), t), 184)
}

// Point is the compressed public point of a scalar.
func Point(scalar []byte) []byte {
	raw := private(scalar).PublicKey().Bytes() // 0x04 ‖ x ‖ y
	return join(u8(2+raw[64]%2), raw[1:33])
}

// SharedX is the x-coordinate of the ECDH of a scalar and a compressed point,
// or false if the bytes are no point of P-256.
func SharedX(scalar, point []byte) ([]byte, bool) {
	p, b := curve()
	x := new(big.Int).SetBytes(point[1:])
	if len(point) != 33 || point[0] != 2 && point[0] != 3 || x.Cmp(p) >= 0 {
		return nil, false
	}
	side := new(big.Int).Exp(x, big.NewInt(3), p) // x³ - 3x + b
	side.Sub(side, new(big.Int).Mul(big.NewInt(3), x)).Add(side, b).Mod(side, p)
	y := new(big.Int).ModSqrt(side, p)
	if y == nil {
		return nil, false
	}
	if y.Bit(0) != uint(point[0]&1) {
		y.Sub(p, y)
	}
	raw := join(u8(4), point[1:], y.FillBytes(make([]byte, 32)))
	public, err := ecdh.P256().NewPublicKey(raw)
	if err != nil {
		return nil, false
	}
	shared, err := private(scalar).ECDH(public)
	return shared, err == nil
}

func private(scalar []byte) *ecdh.PrivateKey {
	key, err := ecdh.P256().NewPrivateKey(scalar)
	if err != nil {
		panic(err)
	}
	return key
}

// curve gives p and b of secp256r1 (SEC 2 version 2.0 section 2.4.2).
func curve() (p, b *big.Int) {
	p, _ = new(big.Int).SetString("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff", 16)
	b, _ = new(big.Int).SetString("5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b", 16)
	return p, b
}
