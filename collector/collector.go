// Package collector is the role at the head of a meter network. It takes
// frames from meters (package link/broker), keeps them in a durable queue
// before it acknowledges them, and posts them to the utility once an interval
// (spec/protocol.md sections 3 and 7.1). The answer says by position which
// frames are done, and carries frames for meters and changes of the roster of
// meters that may connect.
//
// A collector reads type, length and ID_SM of a frame and nothing else: it
// holds no key. Any stop between two of its steps repeats a frame, and a
// repeat is harmless:
//
//  1. the queue is durable, then the meter's publication is acknowledged;
//  2. the utility's answer says `durable`, then the frame leaves the queue.
package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/link/broker"
	"github.com/wattveil/wattveil/peer"
	"github.com/wattveil/wattveil/wire"
)

// Uplink posts to the utility. A [peer.Client] is one.
type Uplink interface {
	Do(ctx context.Context, method, path string, body []byte) ([]byte, error)
}

// Config connects a collector.
type Config struct {
	Queue      Queue         // closed by its owner, after the collector
	Utility    Uplink        //
	Interval   time.Duration // between posts; 15 min if zero
	Now        func() time.Time
	RosterFile string // where the roster outlives a restart

	// Identity is renewed at the utility when it is due, and then given to
	// Save. Without one nothing is renewed.
	Identity *peer.Identity
	Save     func(*peer.Identity) error
	// TLS has meters connect over TLS, with the certificate of Identity.
	TLS bool

	// Held, if set, is called for each frame when it is durable and before it
	// is acknowledged. It may keep the frame and must not change it.
	Held func(id wattveil.MeterID, frame []byte)
	// Backoff, if set, waits before a post is repeated that got no answer; n,
	// from 0, counts the waits. [peer.Backoff] is one.
	Backoff func(ctx context.Context, n int) error
	// Grace is how long a post that is under way when [Collector.Run]'s context
	// ends may still take; none if zero.
	Grace time.Duration
	Log   *slog.Logger // discards if nil
}

const defaultInterval = 15 * time.Minute

// Collector is a collector. It is safe for concurrent use.
type Collector struct {
	cfg    Config
	roster atomic.Pointer[roster]
	counts counts

	mu     sync.Mutex
	broker *broker.Broker // nil until Serve; guarded by mu
	closed bool           // guarded by mu

	forwarding sync.Mutex // one interval's post at a time
	cursor     uint64     // where the next post begins; guarded by forwarding
}

// Open makes a collector with the roster that it had when it was last running.
// It takes nothing from meters until [Collector.Serve].
func Open(cfg Config) (*Collector, error) {
	if cfg.Queue == nil || cfg.Utility == nil || cfg.RosterFile == "" {
		return nil, errors.New("open collector: want a queue, a utility and a file for the roster")
	}
	if cfg.TLS && cfg.Identity == nil {
		return nil, errors.New("open collector: TLS wants an identity")
	}
	if cfg.Interval == 0 {
		cfg.Interval = defaultInterval
	}
	if cfg.Interval < 0 {
		return nil, fmt.Errorf("open collector: interval %v is negative", cfg.Interval)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Backoff == nil {
		cfg.Backoff = func(context.Context, int) error { return nil }
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	r, err := loadRoster(cfg.RosterFile)
	if err != nil {
		return nil, fmt.Errorf("open collector: %w", err)
	}
	c := &Collector{cfg: cfg}
	c.roster.Store(r)
	return c, nil
}

// Serve starts to take frames from meters on a listener and returns at once.
func (c *Collector) Serve(l net.Listener) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.broker != nil {
		return errors.New("serve meters: the collector is closed or serves already")
	}
	cfg := broker.Config{Authenticate: c.authenticate, Receive: c.receive, Log: c.cfg.Log}
	if c.cfg.TLS {
		cfg.TLS = c.cfg.Identity.ServerTLS()
	}
	b, err := broker.Serve(l, cfg)
	if err != nil {
		return fmt.Errorf("serve meters: %w", err)
	}
	c.broker = b
	return nil
}

func (c *Collector) serving() *broker.Broker {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.broker
}

func (c *Collector) authenticate(id wattveil.MeterID, password string) bool {
	ok := c.roster.Load().allows(id, password)
	if !ok {
		c.counts.strangers.Add(1)
	}
	return ok
}

// receive holds a frame: what it takes without an error is durable.
func (c *Collector) receive(id wattveil.MeterID, frame []byte) error {
	if err := check(id, frame); err != nil {
		c.counts.malformed.Add(1)
		return err
	}
	if err := c.cfg.Queue.Put(id, frame); err != nil {
		if errors.Is(err, ErrFull) {
			c.counts.full.Add(1)
			return fmt.Errorf("%w: %w", broker.ErrFull, err)
		}
		c.counts.failed.Add(1)
		return err
	}
	if c.cfg.Held != nil {
		c.cfg.Held(id, frame)
	}
	c.counts.held.Add(1)
	return nil
}

// check is all that a collector can check of a frame: type, length, and that
// it names the meter that sends it.
func check(id wattveil.MeterID, frame []byte) error {
	t, owner, err := wire.ParsePrefix(frame)
	if err != nil {
		return err
	}
	if !t.Uplink() {
		return fmt.Errorf("%w: %v from a meter", wire.Malformed, t)
	}
	if owner != id {
		return fmt.Errorf("%w: frame of meter %v from meter %v", wire.Malformed, owner, id)
	}
	return nil
}

// Close ends the meters' connections, after the frames that are being taken.
// It does not close the queue.
func (c *Collector) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	if c.broker == nil {
		return nil
	}
	if err := c.broker.Close(); err != nil {
		return fmt.Errorf("close collector: %w", err)
	}
	return nil
}
