package meter

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/clpke/open"
	"github.com/wattveil/wattveil/wire"
)

const (
	// maxMessages is how many messages an epoch may seal; exchangeAt is when
	// the meter asks for the next epoch, early enough for the answer to come.
	maxMessages = 1 << 20
	exchangeAt  = maxMessages - 1<<14

	exchangeAge    = 24 * time.Hour // an M1 without answer is given up then
	noticeInterval = 24 * time.Hour // a notice begins no exchange sooner after another

	minLifetime = 60 * 60             // seconds that an M2 may give an epoch
	maxLifetime = 400 * secondsPerDay // "
)

// exchange is a session key exchange whose M2 has not come. It is in memory
// only: after a stop the meter begins another, for another epoch.
type exchange struct {
	redacted
	epoch        wattveil.Epoch
	e            *ecdh.PrivateKey
	offer        wire.Offer
	body         []byte // of M1
	frame        []byte // M1, published unchanged until M2 comes
	begun        time.Time
	sent         time.Time
	acknowledged bool
}

// session is an epoch that the meter seals under.
type session struct {
	redacted
	epoch   wattveil.Epoch
	sealer  *wire.Sealer
	next    wattveil.Counter // first that was not used
	expires time.Time        // by the device's clock
	refused bool             // the TTP does not open it: nothing more is sealed

	down     wire.DirectionKey
	received wattveil.Counter // of the last receipt
}

// exchangeDue tells whether a new epoch is wanted, and whether only a rekey
// notice wants it.
func (a *Agent) exchangeDue() (due, noticed bool) {
	if a.keys == nil || a.expired() {
		return false, false
	}
	s := a.session
	switch {
	case s == nil, a.renewed, s.next >= exchangeAt, !a.cfg.Now().Before(s.expires):
		return true, false
	case s.refused:
		return a.noticed.IsZero() || a.elapsed(a.noticed, noticeInterval), true
	default:
		return false, false
	}
}

// negotiate publishes M1 if an exchange is due or unanswered.
func (a *Agent) negotiate(ctx context.Context) error {
	switch x := a.exchange; {
	case x == nil:
		due, noticed := a.exchangeDue()
		if !due {
			return nil
		}
		if err := a.begin(); err != nil {
			return err
		}
		if noticed {
			a.noticed = a.exchange.begun
		}
	case a.elapsed(x.begun, exchangeAge):
		a.exchange = nil
		return a.negotiate(ctx)
	case x.acknowledged && !a.elapsed(x.sent, a.cfg.Retry):
		return nil
	}
	x := a.exchange
	x.acknowledged = false
	if err := a.publish(ctx, x.frame); err != nil {
		return err
	}
	x.acknowledged, x.sent = true, a.cfg.Now()
	return nil
}

// begin makes the epoch's number durable and then M1.
func (a *Agent) begin() error {
	epoch, ok := a.state.nextEpoch()
	if !ok {
		return errors.New("begin exchange: epoch numbers are used up; replace the meter")
	}
	next := a.state
	next.epoch = epoch
	if err := a.save(next); err != nil {
		return fmt.Errorf("begin exchange: %w", err)
	}
	e, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return fmt.Errorf("begin exchange: %w", err)
	}
	x := &exchange{epoch: epoch, e: e, begun: a.cfg.Now(), offer: wire.Offer{
		Pinned: a.cfg.Provision.Root != nil,
		Suites: []byte{wire.SuiteAES128GCM},
		E:      wire.Ephemeral(e),
		Epoch:  epoch,
	}}
	_, _ = rand.Read(x.offer.N[:]) // never fails
	x.offer.NewestChain, x.offer.OlderChain = a.state.chains()
	if x.body, err = a.keys.toTTP.Encrypt(wire.LabelM1, x.offer.Append(nil)); err != nil {
		return fmt.Errorf("begin exchange: encrypt M1: %w", err)
	}
	x.frame = a.cfg.Provision.Secret.Tagged(a.cfg.Provision.Meter,
		wire.Exchange{Type: wire.TypeM1, Low: epoch.Low(), Body: x.body})
	a.exchange = x
	return nil
}

// answered checks an M2 and takes its epoch into use (spec/protocol.md section
// 5.4). Any other M2 leaves the exchange as it is.
func (a *Agent) answered(frame []byte) error {
	m2, err := a.cfg.Provision.Secret.OpenTagged(a.cfg.Provision.Meter, frame)
	if err != nil {
		return err
	}
	x := a.exchange
	switch {
	case x == nil:
		return fmt.Errorf("%w: M2 without an exchange", wire.Replayed)
	case m2.Low != x.epoch.Low():
		return fmt.Errorf("%w: M2 for another epoch", wire.EpochUsed)
	}
	ciphertext, confirm, err := wire.SplitM2(m2.Body)
	if err != nil {
		return err
	}
	answer, err := a.openAnswer(x, ciphertext)
	if err != nil {
		return err
	}
	keys, t, err := a.derive(x, answer, ciphertext)
	if err != nil {
		return err
	}
	if !wire.Confirmed(keys.ConfirmT, t, confirm) {
		return fmt.Errorf("%w: M2 does not confirm the keys", wire.Forged)
	}
	return a.key(x, keys, t, answer.Lifetime)
}

// openAnswer opens M2 and checks that it answers this M1.
func (a *Agent) openAnswer(x *exchange, ciphertext []byte) (wire.Answer, error) {
	plain, err := open.Open(a.keys.private, wire.LabelM2, ciphertext)
	if err != nil {
		return wire.Answer{}, err
	}
	defer clear(plain)
	answer, err := wire.ParseAnswer(plain)
	if err != nil {
		return wire.Answer{}, err
	}
	switch {
	case answer.Epoch != x.epoch:
		err = wire.EpochUsed
	case answer.N != x.offer.N:
		err = wire.Replayed
	case !bytes.Contains(x.offer.Suites, []byte{answer.Suite}),
		answer.Chain != 0 && answer.Chain != x.offer.NewestChain && answer.Chain != x.offer.OlderChain,
		answer.Lifetime < minLifetime || answer.Lifetime > maxLifetime:
		err = wire.Malformed
	}
	return answer, err
}

// derive computes the epoch's keys and T.
func (a *Agent) derive(x *exchange, answer wire.Answer, ciphertext []byte) (*wire.SessionKeys, [32]byte, error) {
	r := a.state.registration
	t := wire.Transcript{
		Suites: x.offer.Suites, Suite: answer.Suite,
		Meter: r.meter, Master: a.keys.own.Master,
		MeterStatement: sha256.Sum256(r.statement), TTPStatement: sha256.Sum256(r.ttpStatement),
		M1: x.body, M2: ciphertext,
		Epoch: answer.Epoch, Lifetime: answer.Lifetime, Chain: answer.Chain,
	}.Sum()
	chainKey, ok := a.state.chainKey(answer.Chain)
	if !ok {
		return nil, t, fmt.Errorf("%w: chain epoch that the meter does not hold", wire.Malformed)
	}
	shared, err := wire.SharedX(x.e, answer.F)
	if err != nil {
		return nil, t, err
	}
	defer clear(shared)
	keys, err := wire.DeriveKeys(x.offer.N, answer.S, shared, chainKey, t)
	return keys, t, err
}

// key makes the keys durable, begins to seal under them and has M3 published.
// With the exchange goes the only copy of e.
func (a *Agent) key(x *exchange, keys *wire.SessionKeys, t [32]byte, lifetime uint32) error {
	if err := a.save(a.state.confirm(x.epoch, keys)); err != nil {
		return err
	}
	a.session = &session{
		epoch:   x.epoch,
		sealer:  wire.NewSealer(a.cfg.Provision.Meter, a.state.registration.meter, x.epoch, &keys.Up, a.tagKey),
		expires: a.cfg.Now().Add(time.Duration(lifetime) * time.Second),
		down:    keys.Down,
	}
	a.confirm = a.cfg.Provision.Secret.Tagged(a.cfg.Provision.Meter, wire.Exchange{
		Type: wire.TypeM3, Low: x.epoch.Low(), Body: wire.Confirmation(keys.ConfirmM, t),
	})
	a.exchange, a.renewed = nil, false
	a.counts.Exchanges++
	a.cfg.Log.Info("keyed", "meter", a.cfg.Provision.Meter)
	return nil
}

// notice acts on a rekey notice: what was sealed under the refused epoch is
// pending again, and if that is the present one nothing more is sealed under
// it. A repeat finds nothing left to do.
func (a *Agent) notice(frame []byte) error {
	low, err := a.cfg.Provision.Secret.OpenRekeyNotice(a.cfg.Provision.Meter, frame)
	if err != nil {
		return err
	}
	a.counts.Notices++
	if a.out.n > 0 && a.out.epoch.Low() == low {
		a.out.drop()
	}
	a.ledger.refuse(low)
	a.unkept = true
	if a.session != nil && a.session.epoch.Low() == low {
		a.session.refused = true
	}
	return nil
}
