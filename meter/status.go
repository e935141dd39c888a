package meter

import (
	"errors"
	"maps"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/clpke"
	"github.com/wattveil/wattveil/wire"
)

// State is where a meter stands towards its utility and the TTP
// (spec/protocol.md section 5.4).
type State string

// The states.
const (
	Unregistered State = "unregistered" // has no key statement yet
	Registered   State = "registered"   // has one, and no keys to seal under
	Exchanging   State = "exchanging"   // M1 is out; it may still seal under the epoch before
	Keyed        State = "keyed"        // seals
)

// Status is how an agent stands and what it has done since its start. It holds
// no reading and no key. The pseudonym in Meter must not be logged beside the
// meter's ID_SM.
type Status struct {
	State State
	Meter wattveil.Meter // zero before registration
	Epoch wattveil.Epoch // that is sealed under; 0 if none is

	NextReading  int64 // time of the next reading, Unix seconds
	Ended        bool  // the source has no more readings
	ClockSuspect bool  // readings get the clock flag
	ClockOffset  time.Duration
	MoveAt       int64 // time of the last reading of this pseudonym, as far as it is known; 0 if it is not

	ReadingsTaken   uint64
	ReadingsMissing uint64 // the source failed, or they lay further back than the ring
	ReadingsSent    uint64 // acknowledged, each counted once
	ReadingsDropped uint64 // gone from the ring before they could be sent
	ReadingsAsked   uint64 // sent once more because a receipt missed them
	Pending         int    // taken and not acknowledged

	MessagesSent      uint64 // data messages acknowledged
	BytesSent         uint64 // of those
	FirstMessageBytes int    // length of the first of those
	Registrations     uint64 // answers accepted
	Exchanges         uint64 // completed
	Notices           uint64 // rekey notices that authenticated

	Receipts       uint64 // accepted
	LastReceipt    int64  // meter's time at the last one, Unix seconds; 0 before the first
	DurableThrough int64  // the newest reading that it covers, Unix seconds
	ReceiptOverdue bool   // none has come for 3 days
	Takeover       int64  // when somebody else's claim on the meter takes effect, Unix seconds; 0 if none waits

	Refused map[wire.Class]uint64 // downlinks by the class of their refusal
}

// refuse counts a refused downlink. The map is replaced, never changed, since
// what was shown may still be read.
func (s *Status) refuse(class wire.Class) {
	next := maps.Clone(s.Refused)
	if next == nil {
		next = make(map[wire.Class]uint64, 1)
	}
	next[class]++
	s.Refused = next
}

// Status is the status after the last Step, or after what it has sent so far.
func (a *Agent) Status() Status {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.shown
	s.Refused = maps.Clone(s.Refused)
	return s
}

// ClaimCode is the text of the claim code of the newest confirmed epoch
// (spec/protocol.md section 8), and false before there is one. It is secret:
// show it on a local action only.
func (a *Agent) ClaimCode() (string, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.claim == nil {
		return "", false
	}
	return a.claim.Text(), true
}

// Evidence is proof, if the meter has seen any, that the key generation center
// signed two keys for one name and serial; nil if not. The vault keeps it.
func (a *Agent) Evidence() *clpke.EvidenceError {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.proof
}

// show lets other goroutines see the present status.
func (a *Agent) show() {
	a.counts.State, a.counts.Epoch = a.standing()
	a.counts.NextReading = a.next
	a.counts.Ended = a.ended
	a.counts.ClockSuspect = a.state.suspect || a.receipts.apart
	a.counts.ClockOffset = time.Duration(a.state.offset) * time.Second
	a.counts.MoveAt = a.state.move
	a.counts.Pending = a.ledger.unsealed + a.out.n
	a.counts.LastReceipt, a.counts.DurableThrough = a.receipts.last, a.receipts.through
	a.counts.Takeover = a.receipts.takeoverAfter(a.clock())
	a.counts.ReceiptOverdue = !a.ended && a.receipts.overdue(a.clock())
	a.counts.Meter = wattveil.Meter{}
	if a.state.registration != nil {
		a.counts.Meter = a.state.registration.meter
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.shown = a.counts
}

func (a *Agent) standing() (State, wattveil.Epoch) {
	var epoch wattveil.Epoch
	if a.session != nil && !a.session.refused {
		epoch = a.session.epoch
	}
	switch {
	case a.keys == nil:
		return Unregistered, 0
	case a.exchange != nil:
		return Exchanging, epoch
	case epoch != 0:
		return Keyed, epoch
	default:
		return Registered, 0
	}
}

// showSecrets lets other goroutines see what of the saved state they may ask
// for.
func (a *Agent) showSecrets() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.claim = nil
	if r, c := a.state.registration, a.state.confirmed; r != nil && c != nil {
		code := wire.NewClaimCode(r.meter, c.keys.Claim)
		a.claim = &code
	}
	a.proof = a.state.evidence
}

// Classes of spec/clpke.md section 10 that package wire does not have.
const (
	classUnsigned   wire.Class = "unsigned"
	classPartialKey wire.Class = "partial-key"
	classSerial     wire.Class = "serial"
)

// localError marks what failed at the meter itself while it handled a frame,
// and was not the frame's fault.
type localError struct{ err error }

func (e localError) Error() string { return e.err.Error() }
func (e localError) Unwrap() error { return e.err }

func isLocal(err error) bool { return errors.As(err, new(localError)) }

// classOf is the word under which a refusal is counted.
func classOf(err error) wire.Class {
	var class wire.Class
	var evidence *clpke.EvidenceError
	switch {
	case errors.As(err, &class):
		return class
	case errors.As(err, &evidence):
		return wire.Evidence
	case errors.Is(err, clpke.ErrUnsigned):
		return classUnsigned
	case errors.Is(err, clpke.ErrPartialKey):
		return classPartialKey
	case errors.Is(err, clpke.ErrSerial):
		return classSerial
	case errors.Is(err, clpke.ErrMalformed):
		return wire.Malformed
	default:
		return wire.Forged
	}
}
