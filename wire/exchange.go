package wire

import (
	"encoding/binary"
	"fmt"

	"github.com/wattveil/wattveil"
)

// Labels under which M1 and M2 are encrypted (spec/protocol.md section 5.1).
const (
	LabelM1 = "wattveil1 M1"
	LabelM2 = "wattveil1 M2"
)

// SuiteAES128GCM is the one suite of version 1: AES-128-GCM with HKDF-SHA-256.
const SuiteAES128GCM = 0x01

const (
	exchangeRequest = 0x01
	pinnedFlag      = 0x80
	maxSuites       = 8
	m2Size          = 80
)

// Offer is the plaintext of M1. NewestChain and OlderChain are the newest two
// epochs whose chain key the meter holds; 0 is none.
type Offer struct {
	Pinned      bool
	Suites      []byte
	N           [16]byte
	E           [PointSize]byte
	Epoch       wattveil.Epoch
	NewestChain wattveil.Epoch
	OlderChain  wattveil.Epoch
}

// Append appends the plaintext of M1.
func (o Offer) Append(dst []byte) []byte {
	request := byte(exchangeRequest)
	if o.Pinned {
		request |= pinnedFlag
	}
	dst = append(dst, request, byte(len(o.Suites)))
	dst = append(dst, o.Suites...)
	dst = append(dst, o.N[:]...)
	dst = append(dst, o.E[:]...)
	dst = binary.BigEndian.AppendUint32(dst, uint32(o.Epoch))
	dst = binary.BigEndian.AppendUint32(dst, uint32(o.NewestChain))
	return binary.BigEndian.AppendUint32(dst, uint32(o.OlderChain))
}

// ParseOffer reads the plaintext of M1.
func ParseOffer(b []byte) (Offer, error) {
	d := decoder{b: b}
	var o Offer
	request, suites := d.u8(), int(d.u8())
	o.Pinned = request&pinnedFlag != 0
	o.Suites = append([]byte(nil), d.take(suites)...)
	d.fill(o.N[:])
	d.fill(o.E[:])
	o.Epoch = wattveil.Epoch(d.u32())
	o.NewestChain = wattveil.Epoch(d.u32())
	o.OlderChain = wattveil.Epoch(d.u32())
	if err := d.end("M1"); err != nil {
		return Offer{}, err
	}
	if request&^pinnedFlag != exchangeRequest || suites < 1 || suites > maxSuites || o.Epoch == 0 {
		return Offer{}, fmt.Errorf("%w: M1 asks %#x for epoch %d with %d suites", Malformed, request, o.Epoch, suites)
	}
	for i := 1; i < suites; i++ {
		if o.Suites[i] <= o.Suites[i-1] {
			return Offer{}, fmt.Errorf("%w: suites of M1 do not rise", Malformed)
		}
	}
	chained := o.NewestChain != 0 || o.OlderChain != 0
	if chained && (o.NewestChain >= o.Epoch || o.OlderChain >= o.NewestChain) {
		return Offer{}, fmt.Errorf("%w: chain epochs of M1 are not before its epoch", Malformed)
	}
	return o, nil
}

// Answer is the plaintext of M2. Its S is secret; the struct redacts itself.
type Answer struct {
	redacted
	S        [16]byte
	N        [16]byte
	F        [PointSize]byte
	Epoch    wattveil.Epoch
	Lifetime uint32 // seconds
	Chain    wattveil.Epoch
	Suite    byte
}

// Append appends the plaintext of M2.
func (a Answer) Append(dst []byte) []byte {
	dst = append(dst, a.S[:]...)
	dst = append(dst, a.N[:]...)
	dst = append(dst, a.F[:]...)
	dst = binary.BigEndian.AppendUint32(dst, uint32(a.Epoch))
	dst = binary.BigEndian.AppendUint32(dst, a.Lifetime)
	dst = binary.BigEndian.AppendUint32(dst, uint32(a.Chain))
	return append(dst, a.Suite, 0, 0)
}

// ParseAnswer reads the plaintext of M2.
func ParseAnswer(b []byte) (Answer, error) {
	d := decoder{b: b}
	var a Answer
	d.fill(a.S[:])
	d.fill(a.N[:])
	d.fill(a.F[:])
	a.Epoch = wattveil.Epoch(d.u32())
	a.Lifetime = d.u32()
	a.Chain = wattveil.Epoch(d.u32())
	a.Suite = d.u8()
	reserved := d.u16()
	if err := d.end("M2"); err != nil {
		return Answer{}, err
	}
	if reserved != 0 {
		return Answer{}, fmt.Errorf("%w: reserved bytes of M2 are set", Malformed)
	}
	return a, nil
}

// Exchange is M1, M2 or M3 as the utility sees it: type, the epoch's low byte
// and a body that it cannot read. A receipt has the same form.
type Exchange struct {
	Type Type
	Low  byte
	Body []byte
}

// Tagged wraps an exchange message or a receipt for the meter network: fresh R,
// UC tag.
func (s Secret) Tagged(id wattveil.MeterID, x Exchange) []byte {
	return s.appendTagged(x.Type, id, x.Low, x.Body)
}

// OpenTagged checks the UC tag of an exchange message or a receipt. The body
// points into frame.
func (s Secret) OpenTagged(id wattveil.MeterID, frame []byte) (Exchange, error) {
	t, _, err := ParsePrefix(frame)
	if err != nil {
		return Exchange{}, err
	}
	switch t {
	case TypeM1, TypeM2, TypeM3, TypeReceipt:
	default:
		return Exchange{}, fmt.Errorf("%w: %v has no body under a UC tag", Malformed, t)
	}
	low, body, err := s.openTagged(t, id, frame)
	if err != nil {
		return Exchange{}, err
	}
	return Exchange{Type: t, Low: low, Body: body}, nil
}

// SplitM2 cuts an M2 body into ciphertext and confirmation.
func SplitM2(body []byte) (ciphertext, confirm []byte, err error) {
	at := len(body) - ConfirmSize
	if at <= 0 {
		return nil, nil, fmt.Errorf("%w: M2 body of %d bytes", Malformed, len(body))
	}
	return body[:at], body[at:], nil
}
