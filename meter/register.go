package meter

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/clpke"
	"github.com/wattveil/wattveil/wire"
)

const (
	// clockTolerance is how far the meter's clock may be from the utility's,
	// in seconds, before readings get the clock flag (spec/protocol.md
	// section 4.4).
	clockTolerance = 5 * 60

	// maxRequests is how many requests' answers can still be opened. An answer
	// may take longer than Retry.
	maxRequests = 8

	// noTime stands for a time that the meter does not know (spec/protocol.md
	// section 4.4).
	noTime = math.MaxUint32
)

// request is a registration request that was made.
type request struct {
	redacted
	frame        []byte // the answer is bound to it
	nonce        [wire.NonceSize]byte
	time         int64     // the meter's time in it
	made         time.Time // by the device's clock
	acknowledged bool
}

// material is a registration's content, verified and made ready for use.
type material struct {
	redacted
	user     *clpke.UserKey // that own is of
	own      clpke.Statement
	ttp      clpke.Statement
	root     clpke.RootStatement
	private  *clpke.PrivateKey
	toTTP    *clpke.Recipient
	notAfter int64 // the first of the three that ends, Unix seconds
}

// registrationDue tells whether the meter needs an answer: it has none, one of
// its statements has run out, it does not know the time, or it has a new
// tenant.
func (a *Agent) registrationDue() bool {
	return a.keys == nil || a.timeless || a.expired() || a.moveDue()
}

// expired tells whether the statements hold no more: nothing new is agreed on
// under them.
func (a *Agent) expired() bool { return a.clock() > a.keys.notAfter }

// register publishes a registration request if one is due.
func (a *Agent) register(ctx context.Context) error {
	if !a.registrationDue() {
		return nil
	}
	if err := a.prepareMove(); err != nil {
		return err
	}
	n := len(a.requests)
	if n == 0 || a.askNow || a.elapsed(a.requests[n-1].made, a.cfg.Retry) {
		a.ask()
	}
	newest := &a.requests[len(a.requests)-1]
	if newest.acknowledged {
		return nil
	}
	if err := a.publish(ctx, newest.frame); err != nil {
		return err
	}
	newest.acknowledged = true
	return nil
}

// ask makes a new request: new R and nonce, later time, same μ but for a move.
func (a *Agent) ask() {
	a.askedNow, a.askNow = a.askNow, false
	r := request{time: max(a.clock(), a.lastAsked+1, 0), made: a.cfg.Now()}
	if a.untold {
		r.time = noTime
	}
	_, _ = rand.Read(r.nonce[:]) // never fails
	r.frame = a.cfg.Provision.Secret.Register(a.cfg.Provision.Meter,
		wire.RegisterRequest{Nonce: r.nonce, Time: r.time, Mu: a.asking().Public()})
	if !a.untold {
		a.lastAsked = r.time
	}
	if len(a.requests) == maxRequests {
		a.requests = append(a.requests[:0], a.requests[1:]...)
	}
	a.requests = append(a.requests, r)
}

// opened finds the request, newest first, for which open succeeds.
func (a *Agent) opened(open func(frame []byte) error) (request, error) {
	if len(a.requests) == 0 {
		return request{}, wire.Replayed
	}
	var first error
	for i := len(a.requests) - 1; i >= 0; i-- {
		err := open(a.requests[i].frame)
		if err == nil {
			return a.requests[i], nil
		}
		if first == nil || !errors.Is(err, wire.Forged) {
			first = err
		}
	}
	return request{}, first
}

// refused sets the clock by the utility's time and asks again at once, but
// once only: the request after that waits for Retry.
func (a *Agent) refused(frame []byte) error {
	var refusal wire.RegisterRefusal
	r, err := a.opened(func(request []byte) (err error) {
		refusal, err = a.cfg.Provision.Secret.OpenRegisterRefusal(a.cfg.Provision.Meter, request, frame)
		return err
	})
	switch {
	case err != nil:
		return err
	case refusal.Nonce != r.nonce:
		return wire.Forged
	case refusal.Time > math.MaxUint32:
		return fmt.Errorf("%w: utility's time is after the last that a reading can have", wire.Malformed)
	}
	next := a.state
	next.offset = refusal.Time - a.cfg.Now().Unix()
	moved := next.offset - a.state.offset
	if err := a.save(next); err != nil {
		return err
	}
	a.started += moved
	a.lastAsked, a.untold = 0, false
	if a.askedNow {
		a.requests = a.requests[len(a.requests)-1:]
		return nil
	}
	a.requests, a.askNow = nil, true
	a.cfg.Log.Info("clock set by the utility's time", "meter", a.cfg.Provision.Meter)
	return nil
}

// registered checks an answer and takes it over. Nothing of one that fails a
// check is kept, except evidence against the key generation center.
func (a *Agent) registered(frame []byte) error {
	var answer wire.Registered
	req, err := a.opened(func(request []byte) (err error) {
		answer, err = a.cfg.Provision.Secret.OpenRegistered(a.cfg.Provision.Meter, request, frame)
		return err
	})
	if err != nil {
		return err
	}
	r := &registration{
		meter: answer.Meter, d: answer.D, rootKey: answer.RootKey,
		statement: answer.Statement, ttpStatement: answer.TTPStatement, root: answer.SignedTTPRoot,
	}
	m, err := a.verify(r)
	if err != nil {
		return err
	}
	if kept := a.state.registration; kept != nil && (kept.meter != r.meter) != (m.user == a.state.nextUser) {
		return fmt.Errorf("%w: another pseudonym and user value come together only", wire.Rebound)
	}
	if err := a.compare(r, m); err != nil {
		return err
	}
	// A meter that runs behind the utility takes the utility's time for the
	// present one, so that a statement made this minute holds already.
	if present := max(a.clock(), answer.Time); !m.validAt(present) {
		return fmt.Errorf("%w: statement does not hold now", wire.Stale)
	}
	next := a.state
	next.suspect = answer.Time > a.clock()+clockTolerance || answer.Time < req.time-clockTolerance
	next.epoch = max(next.epoch, answer.EpochBase)
	return a.adopt(next, r, m)
}

func (m *material) validAt(unix int64) bool {
	return m.own.ValidAt(unix) && m.ttp.ValidAt(unix) && m.root.ValidAt(unix)
}

// verify makes the checks of spec/protocol.md section 4.2 but those of time.
func (a *Agent) verify(r *registration) (*material, error) {
	m := new(material)
	if err := m.verifyRoot(r, a.cfg.Provision.Root); err != nil {
		return nil, err
	}
	var err error
	if m.own, err = clpke.VerifyStatement(r.statement, a.signer); err != nil {
		return nil, err
	}
	if m.ttp, err = clpke.VerifyStatement(r.ttpStatement, a.signer); err != nil {
		return nil, err
	}
	id := clpke.MeterIdentity(r.meter)
	m.user = a.userOf(m.own.Mu)
	switch {
	case m.own.Identity() != id:
		return nil, fmt.Errorf("%w: own statement is of another identity", wire.Forged)
	case m.user == nil:
		return nil, fmt.Errorf("%w: own statement has another user value", wire.Forged)
	case m.ttp.Master != m.own.Master:
		return nil, fmt.Errorf("%w: TTP's statement has another master key", wire.Forged)
	case m.root.UC != r.meter.UC || !m.root.Covers(m.ttp):
		return nil, fmt.Errorf("%w: root statement is not of the TTP's key", wire.Forged)
	}
	partial, err := clpke.ParsePartialKey(append(bytes.Clone(m.own.Omega[:]), r.d[:]...))
	if err != nil {
		return nil, err
	}
	if m.private, err = clpke.NewPrivateKey(m.user, partial, id, m.own.Master); err != nil {
		return nil, err
	}
	if m.toTTP, err = m.ttp.PublicKey().Prepare(); err != nil {
		return nil, err
	}
	m.notAfter = min(m.own.NotAfter, m.ttp.NotAfter, m.root.NotAfter)
	return m, nil
}

// userOf is the meter's own key with a user value, nil if it is of neither.
func (a *Agent) userOf(mu clpke.Point) *clpke.UserKey {
	for _, user := range []*clpke.UserKey{a.state.user, a.state.nextUser} {
		if user != nil && user.Public() == mu {
			return user
		}
	}
	return nil
}

// verifyRoot checks the root key, against the pinned fingerprint if there is
// one, and what it signed.
func (m *material) verifyRoot(r *registration, pinned *[sha256.Size]byte) error {
	key, err := clpke.Point(r.rootKey).ECDSA()
	if err != nil {
		return err
	}
	if pinned != nil && clpke.RootFingerprint(key) != *pinned {
		return fmt.Errorf("%w: TTP's root key is not the pinned one", wire.Forged)
	}
	m.root, err = clpke.VerifyRoot(r.root, key)
	return err
}

// compare holds the statements of an answer to the kept ones of the same
// identity. Evidence is saved before the answer is refused.
func (a *Agent) compare(r *registration, m *material) (err error) {
	kept := a.state.registration
	if kept == nil {
		return nil
	}
	if m.own.Identity() == a.keys.own.Identity() {
		r.statement, err = a.inForce(kept.statement, r.statement, m.own == a.keys.own)
	}
	if err == nil && m.ttp.Identity() == a.keys.ttp.Identity() {
		r.ttpStatement, err = a.inForce(kept.ttpStatement, r.ttpStatement, m.ttp == a.keys.ttp)
	}
	var evidence *clpke.EvidenceError
	if !errors.As(err, &evidence) || a.state.evidence != nil {
		return err
	}
	next := a.state
	next.evidence = evidence
	if failed := a.save(next); failed != nil {
		return failed
	}
	return err
}

// inForce is the statement to go on with: the kept bytes if the offered ones
// only repeat them, since a transcript names the bytes that all parties keep.
func (a *Agent) inForce(kept, offered []byte, repeat bool) ([]byte, error) {
	if _, err := clpke.CompareStatements(kept, offered, a.signer); err != nil {
		return nil, err
	}
	if repeat {
		return kept, nil
	}
	return offered, nil
}

// adopt saves a verified registration and goes on with it.
func (a *Agent) adopt(next state, r *registration, m *material) error {
	kept := a.state.registration
	moved := kept != nil && kept.meter != r.meter
	if kept != nil && !moved {
		r.importBase, r.exportBase = kept.importBase, kept.exportBase
	} else if err := a.drawBases(r); err != nil {
		return err
	}
	if moved {
		var err error
		if next, err = a.goOver(next); err != nil {
			return err
		}
	}
	next.registration = r
	if err := a.save(next); err != nil {
		return err
	}
	if kept != nil && (!bytes.Equal(kept.statement, r.statement) || !bytes.Equal(kept.ttpStatement, r.ttpStatement)) {
		a.renewed, a.exchange = true, nil
	}
	a.unkept = true
	a.keys, a.requests, a.askNow, a.askedNow, a.timeless, a.untold = m, nil, false, false, false, false
	a.counts.Registrations++
	a.cfg.Log.Info("registered", "meter", a.cfg.Provision.Meter)
	return nil
}

// drawBases draws what is subtracted from the registers of a new pseudonym.
func (a *Agent) drawBases(r *registration) error {
	var b [2 * registerBytes]byte
	if _, err := io.ReadFull(a.cfg.Rand, b[:]); err != nil {
		return localError{fmt.Errorf("draw register bases: %w", err)}
	}
	d := reader{b: b[:]}
	r.importBase, r.exportBase = d.register(), d.register()
	return nil
}

// hide is a reading as it is sent: its registers less the bases.
func (r *registration) hide(raw wattveil.Reading) wattveil.Reading {
	raw.Import = wattveil.Register((uint64(raw.Import) - r.importBase) % wattveil.RegisterModulus)
	raw.Export = wattveil.Register((uint64(raw.Export) - r.exportBase) % wattveil.RegisterModulus)
	return raw
}
