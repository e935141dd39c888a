package wire

import (
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"fmt"

	"filippo.io/nistec"

	"github.com/wattveil/wattveil"
)

const (
	labelTranscript = "wattveil1 transcript"
	labelSession    = "wattveil1 session"
)

// Transcript holds all that both sides must have seen alike for an exchange to
// be confirmed (spec/protocol.md section 5.2).
type Transcript struct {
	Suites         []byte // offered
	Suite          byte
	Meter          wattveil.Meter
	Master         [PointSize]byte // Y of the utility's KGC
	MeterStatement [32]byte        // SHA-256 of the signed statement
	TTPStatement   [32]byte
	M1             []byte // body
	M2             []byte // ciphertext
	Epoch          wattveil.Epoch
	Lifetime       uint32
	Chain          wattveil.Epoch
}

// Sum is T.
func (t Transcript) Sum() [32]byte {
	be4 := func(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }
	h := sha256.New()
	for _, field := range [][]byte{
		[]byte(labelTranscript), t.Suites, {t.Suite}, be4(uint32(t.Meter.UC)), t.Master[:],
		binary.BigEndian.AppendUint64(nil, uint64(t.Meter.Pseudonym)),
		t.MeterStatement[:], t.TTPStatement[:], t.M1, t.M2,
		be4(uint32(t.Epoch)), be4(t.Lifetime), be4(uint32(t.Chain)),
	} {
		h.Write(binary.BigEndian.AppendUint16(nil, uint16(len(field))))
		h.Write(field)
	}
	return [32]byte(h.Sum(nil))
}

// DirectionKey protects the messages of one direction of a session. It redacts
// itself.
type DirectionKey struct {
	redacted
	Key  [16]byte
	Salt [12]byte
}

// SessionKeys are the keys of one epoch. They redact themselves.
type SessionKeys struct {
	redacted
	Up, Down           DirectionKey
	ConfirmT, ConfirmM [32]byte
	Claim, Chain       [32]byte
}

// SessionKeysSize is the length of the keys in the order of the specification.
const SessionKeysSize = 2*(16+12) + 4*32

// DeriveKeys computes an epoch's keys. shared is the x-coordinate of the ECDH
// of E and F, chain the chain key of the transcript's chain epoch or zeros.
func DeriveKeys(n, s [16]byte, shared []byte, chain [32]byte, t [32]byte) (*SessionKeys, error) {
	secret := append(append(append([]byte(nil), s[:]...), shared...), chain[:]...)
	prk, err := hkdf.Extract(sha256.New, secret, n[:])
	if err != nil {
		return nil, fmt.Errorf("derive session keys: %w", err)
	}
	out, err := hkdf.Expand(sha256.New, prk, labelSession+string(t[:]), SessionKeysSize)
	if err != nil {
		return nil, fmt.Errorf("derive session keys: %w", err)
	}
	return ParseSessionKeys(out)
}

// ParseSessionKeys reads what [SessionKeys.Bytes] writes.
func ParseSessionKeys(b []byte) (*SessionKeys, error) {
	d := decoder{b: b}
	k := new(SessionKeys)
	for _, field := range k.fields() {
		d.fill(field)
	}
	if err := d.end("session keys"); err != nil {
		return nil, err
	}
	return k, nil
}

// Bytes is the keys themselves, for a sealed store.
func (k *SessionKeys) Bytes() []byte {
	out := make([]byte, 0, SessionKeysSize)
	for _, field := range k.fields() {
		out = append(out, field...)
	}
	return out
}

func (k *SessionKeys) fields() [][]byte {
	return [][]byte{
		k.Up.Key[:], k.Up.Salt[:], k.Down.Key[:], k.Down.Salt[:],
		k.ConfirmT[:], k.ConfirmM[:], k.Claim[:], k.Chain[:],
	}
}

// Confirmation is HMAC-SHA-256 of T under a confirmation key.
func Confirmation(key [32]byte, t [32]byte) []byte {
	m := hmac.New(sha256.New, key[:])
	m.Write(t[:])
	return m.Sum(nil)
}

// Confirmed compares a confirmation in constant time.
func Confirmed(key [32]byte, t [32]byte, confirm []byte) bool {
	return subtle.ConstantTimeCompare(Confirmation(key, t), confirm) == 1
}

// Ephemeral is the compressed public half of e or f.
func Ephemeral(key *ecdh.PrivateKey) (point [PointSize]byte) {
	raw := key.PublicKey().Bytes() // 0x04 ‖ x ‖ y
	point[0] = 0x02 | raw[len(raw)-1]&1
	copy(point[1:], raw[1:33])
	return point
}

// SharedX is the x-coordinate of the ECDH with the other side's point, which
// must be on the curve and not infinity.
func SharedX(key *ecdh.PrivateKey, peer [PointSize]byte) ([]byte, error) {
	p, err := nistec.NewP256Point().SetBytes(peer[:])
	if err != nil {
		return nil, fmt.Errorf("%w: ephemeral point", Malformed)
	}
	public, err := ecdh.P256().NewPublicKey(p.Bytes())
	if err != nil {
		return nil, fmt.Errorf("%w: ephemeral point", Malformed)
	}
	return key.ECDH(public)
}
