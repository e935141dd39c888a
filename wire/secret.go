package wire

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"

	"github.com/wattveil/wattveil"
)

// Labels of spec/protocol.md section 2.
const (
	labelUCMessage = "wattveil1 uc message"
	labelDataTag   = "wattveil1 data tag"
	labelLink      = "wattveil1 link"
)

// Secret is S_SM-UC, the 16 bytes that a meter and its utility share from
// deployment on. It redacts itself and cannot be compared with ==.
type Secret struct {
	redacted
	_ [0]func()
	b [16]byte
}

// NewSecret draws a secret.
func NewSecret() Secret {
	var s Secret
	_, _ = rand.Read(s.b[:]) // never fails: crypto/rand ends the process instead
	return s
}

// ParseSecret takes the 16 bytes of a secret.
func ParseSecret(b []byte) (Secret, error) {
	var s Secret
	if len(b) != len(s.b) {
		return s, fmt.Errorf("%w: secret of %d bytes, want 16", Malformed, len(b))
	}
	copy(s.b[:], b)
	return s, nil
}

// Bytes is the secret itself, for a provisioning record or a sealed store.
func (s Secret) Bytes() []byte { return append([]byte(nil), s.b[:]...) }

// LinkPassword is the password of the meter at every collector of a domain:
// 32 hexadecimal digits.
func (s Secret) LinkPassword(id wattveil.MeterID, domain string) string {
	info := binary.BigEndian.AppendUint64([]byte(labelLink), uint64(id))
	return hex.EncodeToString(expand(s.b[:], nil, string(append(info, domain...)), 16))
}

// PasswordHash is what a collector keeps of a link password.
func PasswordHash(password string) [32]byte { return sha256.Sum256([]byte(password)) }

// onetime are the keys of one message under S_SM-UC: AES key 16 ‖ nonce 12 ‖
// MAC key 32. A message uses either the first two or the last.
type onetime [16 + 12 + 32]byte

func (s Secret) onetime(t Type, id wattveil.MeterID, salt []byte) *onetime {
	info := append([]byte(labelUCMessage), byte(t), t.direction())
	info = binary.BigEndian.AppendUint64(info, uint64(id))
	return (*onetime)(expand(s.b[:], salt, string(info), len(onetime{})))
}

func (o *onetime) aead() (aead cipher.AEAD, nonce []byte) { return newGCM(o[:16]), o[16:28] }

// tag is HMAC-SHA-256 over all of b, cut to 16 bytes.
func (o *onetime) tag(b []byte) []byte {
	m := hmac.New(sha256.New, o[28:])
	m.Write(b)
	return m.Sum(nil)[:TagSize]
}

// appendTagged appends prefix, fresh R, body and UC tag: the frames M1, M2, M3,
// notices and receipt.
func (s Secret) appendTagged(t Type, id wattveil.MeterID, low byte, body []byte) []byte {
	frame := make([]byte, 0, controlPrefix+len(body)+TagSize)
	frame = append(appendPrefix(frame, t, id), low)
	salt := newSalt()
	frame = append(append(frame, salt[:]...), body...)
	return append(frame, s.onetime(t, id, salt[:]).tag(frame)...)
}

// openTagged checks the UC tag of a frame that ParsePrefix accepted and
// returns the epoch's low byte and the body, which points into frame.
func (s Secret) openTagged(t Type, id wattveil.MeterID, frame []byte) (low byte, body []byte, err error) {
	got, gotID, err := ParsePrefix(frame)
	if err != nil {
		return 0, nil, err
	}
	if got != t || gotID != id {
		return 0, nil, fmt.Errorf("%w: %v of another type or meter", Malformed, got)
	}
	end := len(frame) - TagSize
	want := s.onetime(t, id, frame[prefixSize+1:controlPrefix]).tag(frame[:end])
	if subtle.ConstantTimeCompare(want, frame[end:]) != 1 {
		return 0, nil, fmt.Errorf("%w: UC tag of %v", Forged, t)
	}
	return frame[prefixSize], frame[controlPrefix:end], nil
}

// RekeyNotice tells a meter that its messages under an epoch are not opened.
func (s Secret) RekeyNotice(id wattveil.MeterID, low byte) []byte {
	return s.appendTagged(TypeRekeyNotice, id, low, nil)
}

// OpenRekeyNotice checks a notice and returns the refused epoch's low byte.
func (s Secret) OpenRekeyNotice(id wattveil.MeterID, frame []byte) (low byte, err error) {
	low, _, err = s.openTagged(TypeRekeyNotice, id, frame)
	return low, err
}

// MoveStep is what the time of a move is a multiple of, in Unix seconds.
const MoveStep = 15 * 60

// MoveNotice tells a meter to go over to another pseudonym with its reading at
// a time in Unix seconds, a multiple of MoveStep.
func (s Secret) MoveNotice(id wattveil.MeterID, at int64) []byte {
	return s.appendTagged(TypeMoveNotice, id, 0, binary.BigEndian.AppendUint64(nil, uint64(at)))
}

// OpenMoveNotice checks a notice and returns the time of the move.
func (s Secret) OpenMoveNotice(id wattveil.MeterID, frame []byte) (at int64, err error) {
	low, body, err := s.openTagged(TypeMoveNotice, id, frame)
	if err != nil {
		return 0, err
	}
	n := binary.BigEndian.Uint64(body)
	if low != 0 || n == 0 || n > math.MaxUint32 || n%MoveStep != 0 {
		return 0, fmt.Errorf("%w: time or low byte of a move notice", Malformed)
	}
	return int64(n), nil
}

func newSalt() (salt [SaltSize]byte) {
	_, _ = rand.Read(salt[:])
	return salt
}

// expand is HKDF-SHA-256. It fails only for lengths that no caller asks for.
func expand(secret, salt []byte, info string, n int) []byte {
	out, err := hkdf.Key(sha256.New, secret, salt, info, n)
	if err != nil {
		panic("wire: HKDF of a fixed length: " + err.Error())
	}
	return out
}

// newGCM is AES-128-GCM. It fails only for key lengths that no caller has.
func newGCM(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err == nil {
		var aead cipher.AEAD
		if aead, err = cipher.NewGCM(block); err == nil {
			return aead
		}
	}
	panic("wire: AES-GCM of a fixed key length: " + err.Error())
}
