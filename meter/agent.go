package meter

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/clpke"
	"github.com/wattveil/wattveil/provision"
	"github.com/wattveil/wattveil/wire"
)

// Link carries frames to and from the collectors; *link.Client is one.
type Link interface {
	// Publish returns nil once the collector has acknowledged that it holds
	// the frame. It does not keep the frame after it has returned.
	Publish(ctx context.Context, frame []byte) error
	// Receive delivers the frames for this meter. It is always the same
	// channel, and a frame belongs to the receiver.
	Receive() <-chan []byte
}

// Source is the meter's metrology; *source.Registers is one.
type Source interface {
	// At is the reading of both registers at a Unix second. It is called with
	// rising times, once each. An error that wraps source.ErrEnded ends the
	// readings; after another one that reading is missing.
	At(t int64) (wattveil.Reading, error)
}

// Vault keeps the agent's state over a stop; *vault.File is one. The state
// holds secrets.
type Vault interface {
	Load() ([]byte, error) // nil when nothing was saved yet
	Save([]byte) error     // durable when it returns nil; does not keep the slice
}

// Config is what an [Agent] works with. Provision, Link, Source, Vault and
// Resolution are required.
type Config struct {
	Provision  provision.Record
	Link       Link
	Source     Source
	Vault      Vault
	Resolution wattveil.Resolution
	// First is the time of the first reading in Unix seconds; the others
	// follow at whole resolutions, so that hourly readings end at full local
	// hours in every zone. After a stop, name the first time that the run
	// before did not read; naming an earlier one sends the same readings
	// again, which is harmless if the source shows the same registers. What
	// lies further back than the ring reaches is not read.
	First int64
	// Now is the device's clock; time.Now if nil.
	Now func() time.Time
	// Retry is how long the agent waits for an answer to a registration
	// request or an M1 before it publishes again; 30 minutes if zero.
	Retry time.Duration
	// Rand draws the bases of the registers and nothing else; crypto/rand if
	// nil.
	Rand io.Reader
	Log  *slog.Logger // discards if nil
	// MaxReadings is the most readings in one message, 1 to 255; 96 if zero.
	MaxReadings int
	// Ring keeps the readings; in memory if nil. One that outlives the agent
	// lets the next agent begin behind its newest reading.
	Ring Ring
	// RingDays is how many days of readings are kept, 1 to 400; 40 if zero. A
	// Ring that is given holds as many.
	RingDays int
}

const (
	defaultRetry       = 30 * time.Minute
	defaultMaxReadings = 96
	defaultRingDays    = 40
	maxRingDays        = 400
	secondsPerDay      = 24 * 60 * 60

	// maxDrain bounds the downlinks that one Step handles, so that a flood of
	// them cannot keep readings from being sent.
	maxDrain = 64
)

// Agent is a running meter. Step and Run are called by one goroutine; the
// other methods may be called by any. It redacts itself.
type Agent struct {
	redacted

	cfg    Config
	signer *ecdsa.PublicKey // of the key generation center's statements
	tagKey *wire.TagKey

	state state     // as it is in the vault
	keys  *material // of state.registration, verified; nil before registration

	requests  []request // registration requests whose answer may still come, newest last
	lastAsked int64     // meter's time in the newest request
	askNow    bool      // a refusal has set the clock: ask again at once
	askedNow  bool      // the newest request is such a one
	timeless  bool      // the clock ran behind the vault: ask for the time
	untold    bool      // and nobody has told the time since

	exchange *exchange // M1 is out; nil when none is
	session  *session  // what is sealed under; nil until the first M2 of this start
	renewed  bool      // another statement is in force than the session's
	noticed  time.Time // when a rekey notice last began an exchange
	confirm  []byte    // M3 that is not acknowledged yet

	next       int64 // time of the next reading
	ended      bool
	restarted  bool  // the first reading after started gets StatusRestart
	started    int64 // meter's time at the start
	ring       Ring
	limit      int              // readings that the ring holds
	held       wattveil.Reading // taken, and the ring could not keep it yet
	holds      bool             // there is one
	ledger     ledger
	receipts   receipts
	unkept     bool   // ledger, receipts or out are not as the ring has them
	kept       []byte // reused
	out        outgoing
	candidates []wattveil.Reading // reused
	block      []byte             // reused
	inbox      [][]byte           // received by Run, handled by Step
	drained    int64              // meter's time when nothing was left to receive
	came       int64              // meter's time from which on the frame in hand came

	counts Status // Step's own; what others see is shown
	mu     sync.Mutex
	shown  Status
	claim  *wire.ClaimCode
	proof  *clpke.EvidenceError
}

// New loads the vault and makes the user key on the first start. It fails if
// the configuration is not usable, if the vault cannot be read or written, or
// if it is another meter's.
func New(cfg Config) (*Agent, error) {
	a, err := newAgent(cfg)
	if err != nil {
		return nil, fmt.Errorf("new meter agent: %w", err)
	}
	return a, nil
}

func newAgent(cfg Config) (*Agent, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	signer, err := clpke.Point(cfg.Provision.KGC).ECDSA()
	if err != nil {
		return nil, errors.New("provisioning record: kgc_key is not a point of P-256; provision the meter again")
	}
	a := &Agent{
		cfg: cfg, signer: signer, tagKey: cfg.Provision.Secret.DataTagKey(),
		next: cfg.First, ring: cfg.Ring,
		limit:      cfg.RingDays * secondsPerDay / int(cfg.Resolution),
		candidates: make([]wattveil.Reading, 0, cfg.MaxReadings),
		block:      make([]byte, 0, wire.BlockSize(cfg.MaxReadings)),
	}
	if a.ring == nil {
		a.ring = newMemoryRing(a.limit)
	}
	if err := a.load(); err != nil {
		return nil, err
	}
	if err := a.loadRing(); err != nil {
		return nil, err
	}
	a.started = a.clock()
	a.show()
	return a, nil
}

// complete checks the configuration and fills in the defaults.
func (cfg *Config) complete() error {
	switch {
	case cfg.Link == nil || cfg.Source == nil || cfg.Vault == nil:
		return errors.New("link, source and vault are required")
	case cfg.Resolution.Code() == 0:
		return fmt.Errorf("resolution of %d s does not divide an hour", cfg.Resolution)
	case cfg.First < 0:
		return fmt.Errorf("first reading at %d is before 1970", cfg.First)
	case cfg.MaxReadings < 0 || cfg.MaxReadings > wire.MaxReadings:
		return fmt.Errorf("%d readings in a message, want 1 to %d", cfg.MaxReadings, wire.MaxReadings)
	case cfg.RingDays < 0 || cfg.RingDays > maxRingDays:
		return fmt.Errorf("ring of %d days, want 1 to %d", cfg.RingDays, maxRingDays)
	case cfg.Retry < 0:
		return fmt.Errorf("retry after %v, want a positive time", cfg.Retry)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Retry == 0 {
		cfg.Retry = defaultRetry
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.MaxReadings == 0 {
		cfg.MaxReadings = defaultMaxReadings
	}
	if cfg.RingDays == 0 {
		cfg.RingDays = defaultRingDays
	}
	return nil
}

// load takes over what the vault holds, or begins it.
func (a *Agent) load() error {
	b, err := a.cfg.Vault.Load()
	if err != nil {
		return fmt.Errorf("load vault: %w", err)
	}
	if b == nil {
		user, err := clpke.NewUserKey()
		if err != nil {
			return fmt.Errorf("make user key: %w", err)
		}
		return a.save(state{meter: a.cfg.Provision.Meter, user: user})
	}
	a.restarted = true
	if a.state, err = parseState(b); err != nil {
		return fmt.Errorf("load vault: %w; restore it from a backup, or remove it and have the utility replace the meter's key", err)
	}
	if a.state.meter != a.cfg.Provision.Meter {
		return fmt.Errorf("vault is that of meter %v, the provisioning record that of meter %v: name the vault of this meter",
			a.state.meter, a.cfg.Provision.Meter)
	}
	// A clock that shows less than it did at the last save has lost the time.
	if behind := a.state.saved - a.clock(); behind > clockTolerance {
		a.state.offset += behind
		a.state.suspect, a.timeless, a.untold = true, true, true
	}
	return a.restore()
}

// restore rebuilds from a loaded state what is not in it.
func (a *Agent) restore() error {
	if e := a.state.evidence; e != nil {
		if s, err := clpke.VerifyStatement(e.Kept, a.signer); err == nil {
			e.Identity, e.Serial = s.Identity(), s.Serial
		}
	}
	a.showSecrets()
	if a.state.registration == nil {
		return nil
	}
	m, err := a.verify(a.state.registration)
	if err != nil {
		return fmt.Errorf("vault's registration is refused (%v): the provisioning record names another key of the utility or of the TTP than the one that it was made with; use that record, or remove the vault and have the utility replace the meter's key", classOf(err))
	}
	a.keys = m
	return nil
}

// save makes a state durable and then the agent's own. On an error nothing has
// changed.
func (a *Agent) save(next state) error {
	next.saved = max(a.cfg.Now().Unix()+next.offset, 0)
	if err := a.cfg.Vault.Save(next.encode()); err != nil {
		return localError{fmt.Errorf("save vault: %w", err)}
	}
	a.state = next
	a.showSecrets()
	return nil
}

// clock is the meter's time in Unix seconds: the device's clock, set by the
// utility's time if that was far from it.
func (a *Agent) clock() int64 { return a.cfg.Now().Unix() + a.state.offset }

// elapsed tells whether a time has passed since an instant. A device's clock
// that was set back in between counts as passed: too soon is harmless, never
// is not.
func (a *Agent) elapsed(since time.Time, d time.Duration) bool {
	passed := a.cfg.Now().Sub(since)
	return passed >= d || passed < 0
}

// Step does all that is due now: it handles the downlinks received, takes the
// due readings, asks for registration or keys, and seals and publishes what is
// pending. It returns nil when all of it has been handed over. After an error
// the next Step goes on where this one stopped, with the same sealed bytes.
// Errors of the link, the vault and the source are wrapped; a bad frame is
// counted and never an error.
func (a *Agent) Step(ctx context.Context) error {
	defer a.show()
	return errors.Join(a.receive(), a.read(), a.send(ctx), a.keep())
}

// send publishes what is due, in the order in which the other side needs it,
// and stops at the first frame that is not acknowledged. A vault that fails
// holds up the next keys, not what can be sealed under the present ones.
func (a *Agent) send(ctx context.Context) error {
	if err := a.register(ctx); err != nil {
		return err
	}
	failed := a.negotiate(ctx)
	if failed != nil && !isLocal(failed) {
		return failed
	}
	if a.confirm != nil {
		if err := a.publish(ctx, a.confirm); err != nil {
			return errors.Join(failed, err)
		}
		a.confirm = nil
	}
	return errors.Join(failed, a.sendReadings(ctx))
}

func (a *Agent) publish(ctx context.Context, frame []byte) error {
	if err := a.cfg.Link.Publish(ctx, frame); err != nil {
		return fmt.Errorf("publish %v: %w", wire.Type(frame[0]), err)
	}
	return nil
}

// receive handles what has come, without waiting for more. It gives the first
// error of the vault.
func (a *Agent) receive() error {
	var first error
	handle := func(frame []byte) {
		if err := a.handle(frame); err != nil && first == nil {
			first = err
		}
	}
	a.came = a.clock() // Run was waiting for them
	for _, frame := range a.inbox {
		handle(frame)
	}
	a.inbox = a.inbox[:0]
	a.came = a.drained
	for range maxDrain {
		select {
		case frame, ok := <-a.cfg.Link.Receive():
			if !ok {
				return first
			}
			handle(frame)
		default:
			a.drained = a.clock()
			return first
		}
	}
	return first
}

// handle acts on one downlink. A frame that is refused is counted by class;
// only a failure to save is an error.
func (a *Agent) handle(frame []byte) error {
	t, id, err := wire.ParsePrefix(frame)
	switch {
	case err != nil:
	case id != a.cfg.Provision.Meter:
		err = wire.Unknown
	case t == wire.TypeRegistered:
		err = a.registered(frame)
	case t == wire.TypeRegRefused:
		err = a.refused(frame)
	case t == wire.TypeM2:
		err = a.answered(frame)
	case t == wire.TypeRekeyNotice:
		err = a.notice(frame)
	case t == wire.TypeReceipt:
		err = a.receipt(frame)
	case t == wire.TypeMoveNotice:
		err = a.moveNotice(frame)
	default:
		err = wire.Malformed
	}
	if err == nil || isLocal(err) {
		return err
	}
	class := classOf(err)
	a.counts.refuse(class)
	a.cfg.Log.Warn("downlink refused", "meter", a.cfg.Provision.Meter, "class", class)
	return nil
}
