package wire

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/wattveil/wattveil"
)

// Sizes of spec/protocol.md section 4.
const (
	PointSize    = 33
	NonceSize    = 16
	sealedPrefix = prefixSize + SaltSize

	registerBody = 1 + NonceSize + 8 + PointSize
	registerSize = sealedPrefix + registerBody + TagSize
	refusalBody  = NonceSize + 8 + 1
	answerBody   = 8 + 4 + 4 + 8 + 32 + PointSize + 3*2 // with empty statements
	refusalSize  = sealedPrefix + refusalBody + TagSize
	minAnswer    = sealedPrefix + answerBody + TagSize

	keyRequest  = 1
	reasonStale = 1
)

// RegisterRequest is what a meter asks its utility (section 4.1).
type RegisterRequest struct {
	Nonce [NonceSize]byte
	Time  int64 // the meter's clock, Unix seconds
	Mu    [PointSize]byte
}

// Registered is what the utility answers (section 4.2). D is the meter's
// partial key; the struct redacts itself.
type Registered struct {
	redacted
	Meter         wattveil.Meter
	EpochBase     wattveil.Epoch
	Time          int64 // the utility's clock, Unix seconds
	D             [32]byte
	RootKey       [PointSize]byte
	Statement     []byte // the meter's own, signed
	TTPStatement  []byte // signed
	SignedTTPRoot []byte // root statement over the TTP's keys
}

// RegisterRefusal tells the utility's time to a meter whose clock is wrong
// (section 4.3).
type RegisterRefusal struct {
	Nonce [NonceSize]byte // the request's
	Time  int64           // the utility's clock, Unix seconds
}

// Register seals a request.
func (s Secret) Register(id wattveil.MeterID, r RegisterRequest) []byte {
	body := append(make([]byte, 0, registerBody), keyRequest)
	body = append(body, r.Nonce[:]...)
	body = binary.BigEndian.AppendUint64(body, uint64(r.Time))
	body = append(body, r.Mu[:]...)
	return s.seal(TypeRegister, id, body, nil)
}

// OpenRegister opens a request.
func (s Secret) OpenRegister(id wattveil.MeterID, frame []byte) (RegisterRequest, error) {
	var r RegisterRequest
	body, err := s.open(TypeRegister, id, frame, nil)
	if err != nil {
		return r, err
	}
	d := decoder{b: body}
	kind := d.u8()
	d.fill(r.Nonce[:])
	r.Time = d.time()
	d.fill(r.Mu[:])
	if err := d.end("registration request"); err != nil {
		return RegisterRequest{}, err
	}
	if kind != keyRequest {
		return RegisterRequest{}, fmt.Errorf("%w: registration request of kind %d", Malformed, kind)
	}
	return r, nil
}

// Registered seals the answer to a request. With statements of spec/clpke.md
// the frame stays far below [MaxFrame].
func (s Secret) Registered(id wattveil.MeterID, request []byte, a Registered) []byte {
	body := binary.BigEndian.AppendUint64(nil, uint64(a.Meter.Pseudonym))
	body = binary.BigEndian.AppendUint32(body, uint32(a.Meter.UC))
	body = binary.BigEndian.AppendUint32(body, uint32(a.EpochBase))
	body = binary.BigEndian.AppendUint64(body, uint64(a.Time))
	body = append(body, a.D[:]...)
	body = append(body, a.RootKey[:]...)
	body = appendU16(body, a.Statement)
	body = appendU16(body, a.TTPStatement)
	body = appendU16(body, a.SignedTTPRoot)
	return s.seal(TypeRegistered, id, body, request)
}

// OpenRegistered opens the answer to a request. The slices of the answer are
// its own.
func (s Secret) OpenRegistered(id wattveil.MeterID, request, frame []byte) (Registered, error) {
	var a Registered
	body, err := s.open(TypeRegistered, id, frame, request)
	if err != nil {
		return a, err
	}
	d := decoder{b: body}
	a.Meter.Pseudonym = wattveil.Pseudonym(d.u64())
	a.Meter.UC = wattveil.UCNumber(d.u32())
	a.EpochBase = wattveil.Epoch(d.u32())
	a.Time = d.time()
	d.fill(a.D[:])
	d.fill(a.RootKey[:])
	a.Statement = d.u16bytes()
	a.TTPStatement = d.u16bytes()
	a.SignedTTPRoot = d.u16bytes()
	if err := d.end("registration answer"); err != nil {
		return Registered{}, err
	}
	return a, nil
}

// RefuseRegister seals the refusal of a stale request.
func (s Secret) RefuseRegister(id wattveil.MeterID, request []byte, r RegisterRefusal) []byte {
	body := append(make([]byte, 0, refusalBody), r.Nonce[:]...)
	body = binary.BigEndian.AppendUint64(body, uint64(r.Time))
	return s.seal(TypeRegRefused, id, append(body, reasonStale), request)
}

// OpenRegisterRefusal opens the refusal of a request.
func (s Secret) OpenRegisterRefusal(id wattveil.MeterID, request, frame []byte) (RegisterRefusal, error) {
	var r RegisterRefusal
	body, err := s.open(TypeRegRefused, id, frame, request)
	if err != nil {
		return r, err
	}
	d := decoder{b: body}
	d.fill(r.Nonce[:])
	r.Time = d.time()
	reason := d.u8()
	if err := d.end("registration refusal"); err != nil {
		return RegisterRefusal{}, err
	}
	if reason != reasonStale {
		return RegisterRefusal{}, fmt.Errorf("%w: registration refusal for reason %d", Malformed, reason)
	}
	return r, nil
}

// seal appends GCM over body under a fresh R; request, if any, is bound in.
func (s Secret) seal(t Type, id wattveil.MeterID, body, request []byte) []byte {
	salt := newSalt()
	frame := append(appendPrefix(make([]byte, 0, sealedPrefix+len(body)+TagSize), t, id), salt[:]...)
	aead, nonce := s.onetime(t, id, salt[:]).aead()
	return aead.Seal(frame, nonce, body, bindRequest(frame, request))
}

func (s Secret) open(t Type, id wattveil.MeterID, frame, request []byte) ([]byte, error) {
	got, gotID, err := ParsePrefix(frame)
	if err != nil {
		return nil, err
	}
	if got != t || gotID != id {
		return nil, fmt.Errorf("%w: %v of another type or meter", Malformed, got)
	}
	aead, nonce := s.onetime(t, id, frame[prefixSize:sealedPrefix]).aead()
	body, err := aead.Open(nil, nonce, frame[sealedPrefix:], bindRequest(frame[:sealedPrefix], request))
	if err != nil {
		return nil, fmt.Errorf("%w: %v", Forged, t)
	}
	return body, nil
}

// bindRequest is the additional data of a sealed frame.
func bindRequest(prefix, request []byte) []byte {
	aad := append([]byte(nil), prefix...)
	if request == nil {
		return aad
	}
	sum := sha256.Sum256(request)
	return append(aad, sum[:]...)
}
