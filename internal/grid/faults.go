package grid

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/wattveil/wattveil/link"
	"github.com/wattveil/wattveil/meter"
)

// faults loses, repeats and holds back what goes over a connection, above its
// sockets. A share of messages meets one of four fates alike often: the message
// is lost, its answer is lost, it is sent twice, or it arrives after the next.
// Whoever waits for a lost answer hears so at once, as if its timeout were over.
type faults struct {
	share float64
	seed  uint64
}

// errLost is a timeout that has come at once.
var errLost = fmt.Errorf("%w: lost on purpose", link.ErrNotAcknowledged)

type fate int

const (
	arrives fate = iota
	loseMessage
	loseAnswer
	repeats
	arrivesLate
	fates
)

// dice draws the fates of one connection.
type dice struct {
	share float64
	mu    sync.Mutex
	rng   *rand.Rand
}

func (f faults) dice(connection string) *dice {
	h := fnv.New64a()
	_, _ = io.WriteString(h, connection)
	return &dice{share: f.share, rng: rand.New(rand.NewPCG(f.seed, h.Sum64()))}
}

func (d *dice) roll() fate {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.share == 0 || d.rng.Float64() >= d.share {
		return arrives
	}
	return loseMessage + fate(d.rng.IntN(int(fates-loseMessage)))
}

// faultyLink is a meter's link with faults.
type faultyLink struct {
	inner meter.Link
	up    *dice
	down  *dice
	in    chan []byte
	seen  atomic.Int64 // downlinks that came out of the network, lost ones too

	mu   sync.Mutex
	held [][]byte
}

const downlinkRoom = 256

func (f faults) link(ctx context.Context, name string, inner meter.Link) *faultyLink {
	l := &faultyLink{inner: inner, up: f.dice(name + " up"), down: f.dice(name + " down"), in: make(chan []byte, downlinkRoom)}
	go l.deliver(ctx)
	return l
}

// Publish implements meter.Link.
func (l *faultyLink) Publish(ctx context.Context, frame []byte) error {
	var err error
	switch l.up.roll() {
	case loseMessage:
		return errLost
	case arrivesLate:
		l.mu.Lock()
		l.held = append(l.held, bytes.Clone(frame))
		l.mu.Unlock()
		return errLost
	case loseAnswer:
		if err = l.inner.Publish(ctx, frame); err == nil {
			err = errLost
		}
	case repeats:
		err = errors.Join(l.inner.Publish(ctx, frame), l.inner.Publish(ctx, frame))
	default:
		err = l.inner.Publish(ctx, frame)
	}
	l.release(ctx)
	return err
}

// release sends what was held back, now that something later has passed it.
func (l *faultyLink) release(ctx context.Context) {
	l.mu.Lock()
	held := l.held
	l.held = nil
	l.mu.Unlock()
	for _, frame := range held {
		_ = l.inner.Publish(ctx, frame) // nobody waits for this one any more
	}
}

// Receive implements meter.Link.
func (l *faultyLink) Receive() <-chan []byte { return l.in }

func (l *faultyLink) deliver(ctx context.Context) {
	var late [][]byte
	for {
		var frame []byte
		select {
		case <-ctx.Done():
			return
		case frame = <-l.inner.Receive():
		}
		switch l.down.roll() {
		case loseMessage, loseAnswer:
		case arrivesLate:
			late = append(late, frame)
		case repeats:
			l.push(frame, bytes.Clone(frame))
		default:
			l.push(append([][]byte{frame}, late...)...)
			late = nil
		}
		l.seen.Add(1)
	}
}

// push delivers frames that find room; the meter drains the rest first.
func (l *faultyLink) push(frames ...[]byte) {
	for _, f := range frames {
		select {
		case l.in <- f:
		default:
		}
	}
}

// faultyTransport is a server's way to another one with faults.
type faultyTransport struct {
	inner http.RoundTripper
	dice  *dice

	mu   sync.Mutex
	held []*http.Request
}

func (f faults) transport(name string) func(http.RoundTripper) http.RoundTripper {
	return func(inner http.RoundTripper) http.RoundTripper {
		return &faultyTransport{inner: inner, dice: f.dice(name)}
	}
}

// RoundTrip implements http.RoundTripper.
func (t *faultyTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	var answer *http.Response
	var err error
	switch t.dice.roll() {
	case loseMessage:
		return nil, errLost
	case arrivesLate:
		again, err := again(req)
		if err != nil {
			return nil, err
		}
		t.mu.Lock()
		t.held = append(t.held, again)
		t.mu.Unlock()
		return nil, errLost
	case loseAnswer:
		if answer, err = t.inner.RoundTrip(req); err == nil {
			err = errors.Join(discard(answer), errLost)
			answer = nil
		}
	case repeats:
		second, cloneErr := again(req)
		if cloneErr != nil {
			return nil, cloneErr
		}
		if answer, err = t.inner.RoundTrip(req); err == nil {
			_ = discard(answer)
			answer, err = t.inner.RoundTrip(second)
		}
	default:
		answer, err = t.inner.RoundTrip(req)
	}
	t.release()
	return answer, err
}

func (t *faultyTransport) release() {
	t.mu.Lock()
	held := t.held
	t.held = nil
	t.mu.Unlock()
	for _, req := range held {
		if answer, err := t.inner.RoundTrip(req); err == nil {
			_ = discard(answer) // nobody waits for this one any more
		}
	}
}

// again is the same request once more, freed from its caller's deadline.
func again(req *http.Request) (*http.Request, error) {
	clone := req.Clone(context.WithoutCancel(req.Context()))
	if req.GetBody == nil {
		return clone, nil
	}
	body, err := req.GetBody()
	clone.Body = body
	return clone, err
}

func discard(answer *http.Response) error {
	_, err := io.Copy(io.Discard, answer.Body)
	return errors.Join(err, answer.Body.Close())
}
