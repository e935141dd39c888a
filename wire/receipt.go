package wire

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/wattveil/wattveil"
)

// Sizes of a receipt (spec/protocol.md section 6.4), in bytes.
const (
	ReceiptTextSize = 128 // plaintext
	ReceiptBodySize = counterSize + ReceiptTextSize + TagSize
	receiptFrame    = controlPrefix + ReceiptBodySize + TagSize

	// MaxTakeoverHours is how long a takeover waits at most.
	MaxTakeoverHours = 7 * 24

	// MaxMissing is how many missing spans a receipt can name.
	MaxMissing = (ReceiptTextSize - receiptHead) / spanSize

	counterSize    = 4
	receiptHead    = 16
	spanSize       = 8
	receiptVersion = 1 << 4
)

// Span is a span of reading times in Unix seconds; both ends are in it.
type Span struct{ First, Last int64 }

// Receipt tells a meter which of its readings the TTP has: every one with
// From <= Time <= Through, but for those in a missing span. Times are Unix
// seconds below 2^32.
type Receipt struct {
	Time          int64 // TTP's, when it made the receipt
	TakeoverHours int   // until a waiting takeover of the meter takes effect; 0 if none waits
	From, Through int64
	Missing       []Span // rising, at most MaxMissing, not touching
}

// Covers tells whether the receipt says that the reading of a time is durable.
func (r Receipt) Covers(t int64) bool {
	if t < r.From || t > r.Through {
		return false
	}
	for _, s := range r.Missing {
		if t >= s.First && t <= s.Last {
			return false
		}
	}
	return true
}

// check tells whether the receipt has a form on the wire.
func (r Receipt) check() error {
	valid := r.Time >= 0 && r.From >= 0 && r.From <= r.Through &&
		r.TakeoverHours >= 0 && r.TakeoverHours <= MaxTakeoverHours &&
		r.Time <= math.MaxUint32 && r.Through <= math.MaxUint32 && len(r.Missing) <= MaxMissing
	free := r.From
	for _, s := range r.Missing {
		valid = valid && s.First >= free && s.First <= s.Last && s.Last < r.Through
		free = s.Last + 2
	}
	if !valid {
		return fmt.Errorf("%w: receipt's times are not in order, or a takeover waits for too long", Malformed)
	}
	return nil
}

// Append appends the plaintext. It panics if the receipt has none: its spans
// are the caller's work.
func (r Receipt) Append(dst []byte) []byte {
	if err := r.check(); err != nil {
		panic("wire: " + err.Error())
	}
	end := len(dst) + ReceiptTextSize
	dst = append(dst, receiptVersion, byte(len(r.Missing)))
	dst = binary.BigEndian.AppendUint16(dst, uint16(r.TakeoverHours))
	for _, t := range []int64{r.Time, r.From, r.Through} {
		dst = binary.BigEndian.AppendUint32(dst, uint32(t))
	}
	for _, s := range r.Missing {
		dst = binary.BigEndian.AppendUint32(dst, uint32(s.First))
		dst = binary.BigEndian.AppendUint32(dst, uint32(s.Last))
	}
	return append(dst, make([]byte, end-len(dst))...)
}

// ParseReceipt reads the plaintext of a receipt.
func ParseReceipt(b []byte) (Receipt, error) {
	d := decoder{b: b}
	version, n := d.u8(), int(d.u8())
	r := Receipt{TakeoverHours: int(d.u16()), Time: int64(d.u32()), From: int64(d.u32()), Through: int64(d.u32())}
	if len(b) != ReceiptTextSize || version != receiptVersion || n > MaxMissing {
		return Receipt{}, fmt.Errorf("%w: not a receipt of version 1", Malformed)
	}
	for range n {
		r.Missing = append(r.Missing, Span{First: int64(d.u32()), Last: int64(d.u32())})
	}
	for _, pad := range d.b {
		if pad != 0 {
			return Receipt{}, fmt.Errorf("%w: padding of a receipt is set", Malformed)
		}
	}
	if err := r.check(); err != nil {
		return Receipt{}, err
	}
	return r, nil
}

// SealReceipt appends the body of a receipt under a counter of its epoch,
// which the caller has made durable and never uses again.
func SealReceipt(dst []byte, m wattveil.Meter, epoch wattveil.Epoch, down *DirectionKey, c wattveil.Counter, r Receipt) []byte {
	nonce, aad := receiptParts(m, epoch, down, c)
	dst = binary.BigEndian.AppendUint32(dst, uint32(c))
	return newGCM(down.Key[:]).Seal(dst, nonce[:], r.Append(nil), aad[:])
}

// OpenReceipt opens the body of a receipt. The caller refuses a counter that
// is not above the last one of the epoch.
func OpenReceipt(m wattveil.Meter, epoch wattveil.Epoch, down *DirectionKey, body []byte) (wattveil.Counter, Receipt, error) {
	if len(body) != ReceiptBodySize {
		return 0, Receipt{}, fmt.Errorf("%w: receipt body of %d bytes", Malformed, len(body))
	}
	c := wattveil.Counter(binary.BigEndian.Uint32(body))
	nonce, aad := receiptParts(m, epoch, down, c)
	text, err := newGCM(down.Key[:]).Open(nil, nonce[:], body[counterSize:], aad[:])
	if err != nil {
		return 0, Receipt{}, fmt.Errorf("%w: receipt", Forged)
	}
	r, err := ParseReceipt(text)
	if err != nil {
		return 0, Receipt{}, err
	}
	return c, r, nil
}

func receiptParts(m wattveil.Meter, epoch wattveil.Epoch, down *DirectionKey, c wattveil.Counter) (nonce [12]byte, aad [AADSize]byte) {
	Nonce(&nonce, &down.Salt, c)
	AAD(&aad, m.UC, epoch, Header{ID: uint64(m.Pseudonym), Low: epoch.Low(), Counter: c})
	aad[aadType] = byte(TypeReceipt)
	return nonce, aad
}

// aadType is where the type stands in what a message authenticates.
const aadType = 4
