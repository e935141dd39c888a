package meter

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/clpke"
	"github.com/wattveil/wattveil/wire"
)

// state is what a vault holds. A value that is in use is not changed: a change
// is made to a copy, which counts once it is saved. It is encoded as
//
//	version 1 ‖ parts 1 ‖ ID_SM 8 ‖ user key 32 ‖ clock offset 8 ‖ saved 8 ‖ epoch 4 ‖ reserved 4
//	[registration: UC number 4 ‖ an-ID 8 ‖ d 32 ‖ root key 33 ‖ u16(statement) ‖
//	 u16(TTP statement) ‖ u16(root statement) ‖ import base 5 ‖ export base 5]
//	[confirmed: epoch 4 ‖ session keys 184]
//	[chain before it: epoch 4 ‖ k_chain 32]
//	[evidence: u16(kept) ‖ u16(offered)]
//	[move: boundary 8 ‖ first reading 8]
//	[user key of the pseudonym to come 32]
//	SHA-256 of all before it 32
//
// all big-endian; parts tells which of the bracketed are there.
type state struct {
	redacted
	meter    wattveil.MeterID
	user     *clpke.UserKey
	offset   int64            // meter's time less the device's clock, seconds
	saved    int64            // meter's time when this was saved, Unix seconds
	suspect  bool             // the clock may be wrong
	epoch    wattveil.Epoch   // newest that an exchange was begun for
	reserved wattveil.Counter // of the confirmed epoch: every counter below may have been used

	registration *registration
	confirmed    *confirmed // newest epoch whose M2 was good
	before       chain      // epoch 0 if none
	evidence     *clpke.EvidenceError

	first    int64          // time of the pseudonym's first reading, if it came by a move; else 0
	move     int64          // boundary behind which another pseudonym holds; 0 if none is known
	nextUser *clpke.UserKey // of that pseudonym, once it was asked for
}

// registration is what the utility's answer gave the meter, and the bases that
// hide its registers.
type registration struct {
	redacted
	meter        wattveil.Meter
	d            [32]byte
	rootKey      [wire.PointSize]byte
	statement    []byte // the meter's own, signed
	ttpStatement []byte
	root         []byte
	importBase   uint64 // Wh below 2^40
	exportBase   uint64
}

// confirmed is an epoch with its keys. The agent takes the chain key and the
// claim code from them after a start; a meter with a hardware counter could
// seal on under them.
type confirmed struct {
	redacted
	epoch wattveil.Epoch
	keys  *wire.SessionKeys
}

// chain is an epoch's k_chain.
type chain struct {
	redacted
	epoch wattveil.Epoch
	key   [32]byte
}

const (
	stateVersion = 1

	partRegistration = 1 << 0
	partConfirmed    = 1 << 1
	partBefore       = 1 << 2
	partEvidence     = 1 << 3
	partSuspect      = 1 << 4 // a flag: nothing follows for it
	partMove         = 1 << 5
	partNextUser     = 1 << 6
	allParts         = 1<<7 - 1

	// maxTime bounds times and clock offsets, in seconds, so that sums of them
	// cannot overflow. Reading times end at 2^32 - 1.
	maxTime = 1 << 33

	registerBytes = 5
)

var errState = errors.New("content is damaged or of another version")

func (s *state) parts() (p byte) {
	if s.registration != nil {
		p |= partRegistration
	}
	if s.confirmed != nil {
		p |= partConfirmed
	}
	if s.before.epoch != 0 {
		p |= partBefore
	}
	if s.evidence != nil {
		p |= partEvidence
	}
	if s.suspect {
		p |= partSuspect
	}
	if s.move != 0 || s.first != 0 {
		p |= partMove
	}
	if s.nextUser != nil {
		p |= partNextUser
	}
	return p
}

func (s *state) encode() []byte {
	b := make([]byte, 0, 1024)
	b = append(b, stateVersion, s.parts())
	b = binary.BigEndian.AppendUint64(b, uint64(s.meter))
	b = append(b, s.user.Bytes()...)
	b = binary.BigEndian.AppendUint64(b, uint64(s.offset))
	b = binary.BigEndian.AppendUint64(b, uint64(s.saved))
	b = binary.BigEndian.AppendUint32(b, uint32(s.epoch))
	b = binary.BigEndian.AppendUint32(b, uint32(s.reserved))
	if r := s.registration; r != nil {
		b = r.append(b)
	}
	if c := s.confirmed; c != nil {
		b = binary.BigEndian.AppendUint32(b, uint32(c.epoch))
		b = append(b, c.keys.Bytes()...)
	}
	if s.before.epoch != 0 {
		b = binary.BigEndian.AppendUint32(b, uint32(s.before.epoch))
		b = append(b, s.before.key[:]...)
	}
	if e := s.evidence; e != nil {
		b = appendU16(appendU16(b, e.Kept), e.Offered)
	}
	if s.move != 0 || s.first != 0 {
		b = binary.BigEndian.AppendUint64(b, uint64(s.move))
		b = binary.BigEndian.AppendUint64(b, uint64(s.first))
	}
	if s.nextUser != nil {
		b = append(b, s.nextUser.Bytes()...)
	}
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

func (r *registration) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(r.meter.UC))
	b = binary.BigEndian.AppendUint64(b, uint64(r.meter.Pseudonym))
	b = append(b, r.d[:]...)
	b = append(b, r.rootKey[:]...)
	b = appendU16(b, r.statement)
	b = appendU16(b, r.ttpStatement)
	b = appendU16(b, r.root)
	b = appendRegister(b, r.importBase)
	return appendRegister(b, r.exportBase)
}

// appendU16 appends a length and f, which came in a frame and so is shorter
// than 64 kB.
func appendU16(b, f []byte) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(f))), f...)
}

func appendRegister(b []byte, n uint64) []byte {
	return append(b, byte(n>>32), byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
}

// parseState reads what encode gives and nothing else.
func parseState(b []byte) (state, error) {
	end := len(b) - sha256.Size
	if end < 0 {
		return state{}, errState
	}
	if sum := sha256.Sum256(b[:end]); !bytes.Equal(sum[:], b[end:]) {
		return state{}, errState
	}
	return parseContent(b[:end])
}

// parseContent reads a state without its checksum.
func parseContent(b []byte) (state, error) {
	r := reader{b: b}
	version, parts := r.u8(), r.u8()
	if version != stateVersion || parts&^allParts != 0 {
		return state{}, errState
	}
	s := state{meter: wattveil.MeterID(r.u64()), suspect: parts&partSuspect != 0}
	user, err := clpke.ParseUserKey(r.take(clpke.ScalarSize))
	if err != nil {
		return state{}, errState
	}
	s.user = user
	s.offset, s.saved = int64(r.u64()), int64(r.u64())
	s.epoch, s.reserved = wattveil.Epoch(r.u32()), wattveil.Counter(r.u32())
	if parts&partRegistration != 0 {
		s.registration = r.registration()
	}
	if parts&partConfirmed != 0 {
		s.confirmed = r.confirmed()
	}
	if parts&partBefore != 0 {
		s.before.epoch = wattveil.Epoch(r.u32())
		copy(s.before.key[:], r.take(len(s.before.key)))
	}
	if parts&partEvidence != 0 {
		s.evidence = &clpke.EvidenceError{Kept: r.u16bytes(), Offered: r.u16bytes()}
	}
	if parts&partMove != 0 {
		s.move, s.first = int64(r.u64()), int64(r.u64())
	}
	if parts&partNextUser != 0 {
		if s.nextUser, err = clpke.ParseUserKey(r.take(clpke.ScalarSize)); err != nil {
			return state{}, errState
		}
	}
	if r.bad || len(r.b) != 0 || s.parts() != parts || !s.consistent() {
		return state{}, errState
	}
	return s, nil
}

// consistent tells whether a state is one that an agent can have saved.
func (s *state) consistent() bool {
	switch {
	case s.offset < -maxTime || s.offset > maxTime || s.saved < 0 || s.saved > maxTime:
		return false
	case min(s.move, s.first) < 0 || max(s.move, s.first) > maxTime || s.nextUser != nil && s.move == 0:
		return false
	case s.registration == nil:
		return s.confirmed == nil && s.before.epoch == 0 && s.reserved == 0 && s.move == 0 && s.first == 0
	case s.confirmed == nil:
		return s.before.epoch == 0 && s.reserved == 0
	default:
		return s.confirmed.epoch <= s.epoch && s.before.epoch < s.confirmed.epoch && s.reserved <= maxMessages
	}
}

// reader reads fields in order and remembers that it ran out of bytes.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if r.bad || len(r.b) < n {
		r.bad = true
		return make([]byte, n)
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) u8() byte    { return r.take(1)[0] }
func (r *reader) u32() uint32 { return binary.BigEndian.Uint32(r.take(4)) }
func (r *reader) u64() uint64 { return binary.BigEndian.Uint64(r.take(8)) }

func (r *reader) u16bytes() []byte {
	n := int(binary.BigEndian.Uint16(r.take(2)))
	return bytes.Clone(r.take(n))
}

func (r *reader) register() uint64 {
	b := r.take(registerBytes)
	return uint64(b[0])<<32 | uint64(binary.BigEndian.Uint32(b[1:]))
}

func (r *reader) registration() *registration {
	g := &registration{meter: wattveil.Meter{
		UC: wattveil.UCNumber(r.u32()), Pseudonym: wattveil.Pseudonym(r.u64()),
	}}
	copy(g.d[:], r.take(len(g.d)))
	copy(g.rootKey[:], r.take(len(g.rootKey)))
	g.statement, g.ttpStatement, g.root = r.u16bytes(), r.u16bytes(), r.u16bytes()
	g.importBase, g.exportBase = r.register(), r.register()
	return g
}

// confirmed reads an epoch that is not 0, so that nil stands for none alone.
func (r *reader) confirmed() *confirmed {
	c := &confirmed{epoch: wattveil.Epoch(r.u32())}
	keys, err := wire.ParseSessionKeys(r.take(wire.SessionKeysSize))
	if err != nil || c.epoch == 0 {
		r.bad = true
		return nil
	}
	c.keys = keys
	return c
}

// nextEpoch is the epoch that an exchange takes, and false if numbers are used
// up.
func (s *state) nextEpoch() (wattveil.Epoch, bool) {
	return s.epoch + 1, s.epoch < math.MaxUint32
}

// chains names the epochs whose k_chain the meter holds, newest first.
func (s *state) chains() (newest, older wattveil.Epoch) {
	if s.confirmed == nil {
		return 0, 0
	}
	return s.confirmed.epoch, s.before.epoch
}

// chainKey is the k_chain of an epoch: zeros for epoch 0, false if the meter
// does not hold it.
func (s *state) chainKey(epoch wattveil.Epoch) (key [32]byte, ok bool) {
	switch {
	case epoch == 0:
		return key, true
	case s.confirmed != nil && s.confirmed.epoch == epoch:
		return s.confirmed.keys.Chain, true
	case s.before.epoch == epoch:
		return s.before.key, true
	default:
		return key, false
	}
}

// confirm is the state after an exchange: the newest two chain keys are kept.
func (s state) confirm(epoch wattveil.Epoch, keys *wire.SessionKeys) state {
	if c := s.confirmed; c != nil {
		s.before = chain{epoch: c.epoch, key: c.keys.Chain}
	}
	s.confirmed = &confirmed{epoch: epoch, keys: keys}
	s.reserved = 0
	return s
}
