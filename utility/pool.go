package utility

import (
	"sync"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/wire"
)

// pool mixes what the collectors post for one interval, so that nothing the
// TTP sees tells which collector carried a message. A round is sent on when
// every collector that is expected has posted, or when the window is over; a
// collector that missed a round is not waited for until it posts again.
type pool struct {
	window time.Duration
	send   func(*round)

	mu      sync.Mutex
	members map[string]bool // collectors, and whether they are expected
	open    *round
	sent    uint64 // last interval sent on
}

// round is one interval's pool on its way to the TTP.
type round struct {
	interval  uint64
	posted    map[string]bool
	messages  []message
	exchanges []exchange
	timer     *time.Timer
	done      chan struct{}
}

// message is a data message under its pseudonym, and where its verdict goes.
type message struct {
	frame   []byte
	ttp     string // organisation, or empty for the only one
	verdict *wire.Verdict
	receipt **wire.PassedReceipt // for its meter, if the TTP gives one
}

// exchange is an M1 or M3 under its pseudonym, and where its answer goes.
type exchange struct {
	request wire.ExchangeRequest
	meter   wattveil.MeterID
	ttp     string // organisation, or empty for the only one
	answer  *wire.ExchangeAnswer
}

func newPool(window time.Duration, collectors []string, send func(*round)) *pool {
	p := &pool{window: window, send: send, members: make(map[string]bool)}
	for _, c := range collectors {
		p.members[c] = true
	}
	return p
}

// expect adds a collector.
func (p *pool) expect(collector string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.members[collector] = true
}

// submit adds a collector's post to its interval's round and waits until the
// round has been answered. If the interval was sent on already, it does
// nothing and returns false.
func (p *pool) submit(collector string, interval uint64, messages []message, exchanges []exchange) bool {
	p.mu.Lock()
	if interval <= p.sent || p.open != nil && interval < p.open.interval {
		p.mu.Unlock()
		return false
	}
	if p.open != nil && interval > p.open.interval {
		p.close(p.open)
	}
	if p.open == nil {
		p.begin(interval)
	}
	r := p.open
	r.posted[collector] = true
	p.members[collector] = true
	r.messages = append(r.messages, messages...)
	r.exchanges = append(r.exchanges, exchanges...)
	if p.complete(r) {
		p.close(r)
	}
	p.mu.Unlock()
	<-r.done
	return true
}

// forget waits for a collector no more.
func (p *pool) forget(collector string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.members, collector)
	if p.open != nil && p.complete(p.open) {
		p.close(p.open)
	}
}

// hurry sends rounds on without waiting for collectors, from now on.
func (p *pool) hurry() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.window = 0
	if p.open != nil {
		p.close(p.open)
	}
}

func (p *pool) begin(interval uint64) {
	r := &round{interval: interval, posted: make(map[string]bool), done: make(chan struct{})}
	r.timer = time.AfterFunc(p.window, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.open == r {
			p.close(r)
		}
	})
	p.open = r
}

func (p *pool) complete(r *round) bool {
	for c, expected := range p.members {
		if expected && !r.posted[c] {
			return false
		}
	}
	return true
}

// close ends a round and sends it on. The caller holds the lock.
func (p *pool) close(r *round) {
	r.timer.Stop()
	for c := range p.members {
		if !r.posted[c] {
			p.members[c] = false
		}
	}
	p.open, p.sent = nil, r.interval
	go func() {
		defer close(r.done)
		p.send(r)
	}()
}
