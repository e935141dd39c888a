package wire

import (
	"crypto/cipher"
	"encoding/binary"
	"fmt"

	"github.com/wattveil/wattveil"
)

// Header is the head of a data message. ID is the ID_SM on the meter network
// and the an-ID from the utility on.
type Header struct {
	ID      uint64
	Low     byte // of the epoch
	Counter wattveil.Counter
}

// ParseHeader reads the head of a data message, with or without UC tag.
func ParseHeader(msg []byte) (Header, error) {
	if len(msg) < HeaderSize || Type(msg[0]) != TypeData {
		return Header{}, fmt.Errorf("%w: not a data message", Malformed)
	}
	return Header{
		ID:      binary.BigEndian.Uint64(msg[1:]),
		Low:     msg[9],
		Counter: wattveil.Counter(binary.BigEndian.Uint32(msg[10:])),
	}, nil
}

func appendHeader(dst []byte, h Header) []byte {
	dst = append(dst, byte(TypeData))
	dst = binary.BigEndian.AppendUint64(dst, h.ID)
	dst = append(dst, h.Low)
	return binary.BigEndian.AppendUint32(dst, uint32(h.Counter))
}

// Sealer seals a meter's data messages under one epoch. It allocates nothing
// when dst has room, and is not safe for concurrent use.
type Sealer struct {
	redacted

	id    wattveil.MeterID
	meter wattveil.Meter
	epoch wattveil.Epoch

	aead   cipher.AEAD
	salt   [12]byte
	tag    *TagKey
	tagger *Tagger
	nonce  [12]byte
	aad    [AADSize]byte
}

// AADSize is the length of the data that a message authenticates besides
// itself: UC number, header with the an-ID, whole epoch.
const AADSize = 4 + HeaderSize + 4

// NewSealer makes the sealer of an epoch from its uplink key and the meter's
// data tag key.
func NewSealer(id wattveil.MeterID, m wattveil.Meter, epoch wattveil.Epoch, up *DirectionKey, tag *TagKey) *Sealer {
	return &Sealer{
		id: id, meter: m, epoch: epoch,
		aead: newGCM(up.Key[:]), salt: up.Salt,
		tag: tag, tagger: NewTagger(),
	}
}

// Append seals a block under a counter, which the caller has reserved durably
// and never uses twice, and appends the message as the meter sends it to dst.
func (s *Sealer) Append(dst []byte, counter wattveil.Counter, block []byte) []byte {
	h := Header{ID: uint64(s.meter.Pseudonym), Low: s.epoch.Low(), Counter: counter}
	Nonce(&s.nonce, &s.salt, counter)
	AAD(&s.aad, s.meter.UC, s.epoch, h)
	start := len(dst)
	h.ID = uint64(s.id)
	dst = appendHeader(dst, h)
	dst = s.aead.Seal(dst, s.nonce[:], block, s.aad[:])
	s.tagger.compute(s.tag, dst[start:])
	return append(dst, s.tagger.sum[:TagSize]...)
}

// Nonce writes the GCM nonce of a counter: the salt with the counter added
// into its last four bytes by exclusive or.
func Nonce(dst, salt *[12]byte, counter wattveil.Counter) {
	*dst = *salt
	tail := dst[8:]
	binary.BigEndian.PutUint32(tail, binary.BigEndian.Uint32(tail)^uint32(counter))
}

// AAD writes the additional data of a message. h.ID is the an-ID.
func AAD(dst *[AADSize]byte, uc wattveil.UCNumber, epoch wattveil.Epoch, h Header) {
	b := binary.BigEndian.AppendUint32(dst[:0], uint32(uc))
	b = appendHeader(b, h)
	binary.BigEndian.AppendUint32(b, uint32(epoch))
}

// Rewrite turns a data message whose UC tag was checked into what the TTP
// gets: it writes the pseudonym over ID_SM in place and cuts the tag off.
func Rewrite(msg []byte, p wattveil.Pseudonym) []byte {
	binary.BigEndian.PutUint64(msg[1:], uint64(p))
	return msg[:len(msg)-TagSize]
}
