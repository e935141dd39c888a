// Package open opens data messages and decodes the readings in them. The TTP
// alone may import it: an import test keeps it out of the meter network and
// of the utility.
package open

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/wire"
)

// Key opens the uplink messages of one epoch of one meter. It is safe for
// concurrent use with one [Opener] each.
// It redacts itself.
type Key struct {
	meter wattveil.Meter
	epoch wattveil.Epoch
	aead  cipher.AEAD
	salt  [12]byte
}

// NewKey prepares the uplink key of an epoch.
func NewKey(m wattveil.Meter, epoch wattveil.Epoch, up *wire.DirectionKey) (*Key, error) {
	block, err := aes.NewCipher(up.Key[:])
	if err != nil {
		return nil, fmt.Errorf("prepare uplink key: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("prepare uplink key: %w", err)
	}
	return &Key{meter: m, epoch: epoch, aead: aead, salt: up.Salt}, nil
}

// Format redacts under every verb.
func (k Key) Format(f fmt.State, _ rune) { redact(f) }

// LogValue redacts.
func (k Key) LogValue() slog.Value { return slog.StringValue(redacted) }

// Epoch is the epoch that the key belongs to.
func (k *Key) Epoch() wattveil.Epoch { return k.epoch }

// Message is an opened data message.
type Message struct {
	Counter    wattveil.Counter
	Digest     [8]byte // first 8 bytes of the GCM tag
	Resolution wattveil.Resolution
	Readings   []wattveil.Reading
}

// Opener opens messages without allocating once its buffers have grown. It is
// not safe for concurrent use. It redacts itself.
type Opener struct {
	nonce [12]byte
	aad   [wire.AADSize]byte
	plain []byte
}

// Format redacts under every verb: the opener holds the last block.
func (o Opener) Format(f fmt.State, _ rune) { redact(f) }

// LogValue redacts.
func (o Opener) LogValue() slog.Value { return slog.StringValue(redacted) }

const redacted = "[secret]"

func redact(f fmt.State) { _, _ = f.Write([]byte(redacted)) }

// Open authenticates and decodes a message as the utility sends it (without UC
// tag) and appends its readings to dst. The error's class is Forged when it
// does not open, which is so too for another meter's pseudonym or another
// epoch's low byte in the header, and Malformed when what it holds breaks the
// specification.
func (o *Opener) Open(dst []wattveil.Reading, k *Key, msg []byte) (Message, error) {
	h, err := wire.ParseHeader(msg)
	if err != nil {
		return Message{}, err
	}
	if n := len(msg) - overhead; n < wire.BlockUnit || n > wire.BlockSize(wire.MaxReadings) || n%wire.BlockUnit != 0 {
		return Message{}, fmt.Errorf("%w: data message of %d bytes", wire.Malformed, len(msg))
	}
	wire.Nonce(&o.nonce, &k.salt, h.Counter)
	wire.AAD(&o.aad, k.meter.UC, k.epoch, h)
	plain, err := k.aead.Open(o.plain[:0], o.nonce[:], msg[wire.HeaderSize:], o.aad[:])
	if err != nil {
		return Message{}, fmt.Errorf("%w: data message", wire.Forged)
	}
	o.plain = plain
	m := Message{Counter: h.Counter, Digest: [8]byte(msg[len(msg)-wire.TagSize:])}
	if m.Readings, m.Resolution, err = DecodeBlock(dst, plain); err != nil {
		return Message{}, err
	}
	return m, nil
}

const (
	version       = 1 << 4
	head          = 19
	deltaSize     = 4
	statusRunSize = 3
	overhead      = wire.HeaderSize + wire.TagSize // of a message without UC tag
)

// DecodeBlock appends the readings of a block to dst (spec/protocol.md section
// 6.1). A block that breaks the specification is refused as Malformed, with
// dst as it was.
func DecodeBlock(dst []wattveil.Reading, b []byte) ([]wattveil.Reading, wattveil.Resolution, error) {
	if len(b) < head || b[0] != version {
		return dst, 0, fmt.Errorf("%w: not a block of version 1", wire.Malformed)
	}
	res, ok := wattveil.ResolutionOfCode(b[1])
	n := int(b[2])
	if !ok || n == 0 || len(b) != wire.BlockSize(n) {
		return dst, 0, fmt.Errorf("%w: block of %d bytes for %d readings, interval code %d", wire.Malformed, len(b), n, b[1])
	}
	r := wattveil.Reading{
		Time:   int64(binary.BigEndian.Uint32(b[3:])),
		Import: register(b[7:]),
		Export: register(b[12:]),
		Status: wattveil.Status(binary.BigEndian.Uint16(b[17:])),
	}
	if r.Time+int64(n-1)*int64(res) > math.MaxUint32 {
		return dst, 0, fmt.Errorf("%w: block ends after the last time", wire.Malformed)
	}
	deltas, rest := b[head:head+deltaSize*(n-1)], b[head+deltaSize*(n-1):]
	out := append(dst, r)
	for i := 0; i < len(deltas); i += deltaSize {
		r.Time += int64(res)
		r.Import = r.Import.Add(wattveil.Wh(binary.BigEndian.Uint16(deltas[i:])))
		r.Export = r.Export.Add(wattveil.Wh(binary.BigEndian.Uint16(deltas[i+2:])))
		out = append(out, r)
	}
	if !applyStatusRuns(out[len(dst):], rest) {
		return dst, 0, fmt.Errorf("%w: status runs of a block", wire.Malformed)
	}
	return out, res, nil
}

// applyStatusRuns writes the runs into the readings and tells whether they
// and the padding behind them are canonical.
func applyStatusRuns(readings []wattveil.Reading, rest []byte) bool {
	last := 0
	for len(rest) >= statusRunSize && rest[0] != 0 {
		at, status := int(rest[0]), wattveil.Status(binary.BigEndian.Uint16(rest[1:]))
		if at <= last || at >= len(readings) || status == readings[last].Status {
			return false
		}
		for i := at; i < len(readings); i++ {
			readings[i].Status = status
		}
		last, rest = at, rest[statusRunSize:]
	}
	for _, pad := range rest {
		if pad != 0 {
			return false
		}
	}
	return true
}

func register(b []byte) wattveil.Register {
	return wattveil.Register(uint64(b[0])<<32 | uint64(binary.BigEndian.Uint32(b[1:])))
}
