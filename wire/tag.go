package wire

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding"
	"encoding/binary"
	"hash"
)

// TagKey is K_mac, kept as the two SHA-256 states after HMAC's inner and outer
// pad: 64 bytes a meter, and two hash blocks less work a message. It redacts
// itself.
type TagKey struct {
	redacted
	_            [0]func()
	inner, outer [sha256.Size]byte
}

// DataTagKey derives the key of the UC tags on data messages.
func (s Secret) DataTagKey() *TagKey {
	key := expand(s.b[:], nil, labelDataTag, 32)
	return &TagKey{inner: padState(key, 0x36), outer: padState(key, 0x5c)}
}

// A marshalled SHA-256 state is: magic 4 ‖ state 32 ‖ buffer 64 ‖ length 8.
const (
	stateMagic   = "sha\x03"
	stateOffset  = len(stateMagic)
	lengthOffset = stateOffset + sha256.Size + sha256.BlockSize
	stateSize    = lengthOffset + 8
)

// padState is the SHA-256 state after one block of key ⊕ pad.
func padState(key []byte, pad byte) (state [sha256.Size]byte) {
	block := make([]byte, sha256.BlockSize)
	copy(block, key)
	for i := range block {
		block[i] ^= pad
	}
	h := sha256.New()
	h.Write(block)
	m, err := h.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil || len(m) != stateSize || string(m[:stateOffset]) != stateMagic {
		panic("wire: SHA-256 does not marshal its state as expected")
	}
	copy(state[:], m[stateOffset:])
	return state
}

// Tagger computes and checks UC tags without allocating. It is not safe for
// concurrent use: each goroutine has its own.
type Tagger struct {
	redacted // it holds the state of the last key

	h       hash.Hash
	restore encoding.BinaryUnmarshaler
	state   [stateSize]byte // a marshalled state with an empty buffer after one block
	sum     [sha256.Size]byte
}

// NewTagger makes a tagger.
func NewTagger() *Tagger {
	h := sha256.New()
	t := &Tagger{h: h, restore: h.(encoding.BinaryUnmarshaler)}
	copy(t.state[:], stateMagic)
	binary.BigEndian.PutUint64(t.state[lengthOffset:], sha256.BlockSize)
	return t
}

// Append appends the UC tag over all of msg to msg.
func (t *Tagger) Append(k *TagKey, msg []byte) []byte {
	t.compute(k, msg)
	return append(msg, t.sum[:TagSize]...)
}

// Check verifies the UC tag that ends a data message, in constant time.
func (t *Tagger) Check(k *TagKey, msg []byte) bool {
	if len(msg) < TagSize {
		return false
	}
	end := len(msg) - TagSize
	t.compute(k, msg[:end])
	return subtle.ConstantTimeCompare(t.sum[:TagSize], msg[end:]) == 1
}

// compute is HMAC-SHA-256 of msg into t.sum.
func (t *Tagger) compute(k *TagKey, msg []byte) {
	t.from(&k.inner)
	t.h.Write(msg)
	t.h.Sum(t.sum[:0])
	t.from(&k.outer)
	t.h.Write(t.sum[:])
	t.h.Sum(t.sum[:0])
}

func (t *Tagger) from(state *[sha256.Size]byte) {
	copy(t.state[stateOffset:], state[:])
	if err := t.restore.UnmarshalBinary(t.state[:]); err != nil {
		panic("wire: SHA-256 refuses its own state: " + err.Error())
	}
}
