package link_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/packets"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/link"
	"github.com/wattveil/wattveil/link/broker"
)

const (
	meter    = wattveil.MeterID(0x0123456789abcdef)
	password = "00112233445566778899aabbccddeeff"
	deadline = 30 * time.Second // for what comes sooner or later
)

func listen(t *testing.T, addr string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// taker is a collector that remembers what it took.
type taker struct {
	mu     sync.Mutex
	frames []string
}

func (k *taker) receive(_ wattveil.MeterID, frame []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.frames = append(k.frames, string(frame))
	return nil
}

func (k *taker) taken() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return strings.Join(k.frames, " ")
}

func serve(t *testing.T, l net.Listener, k *taker) *broker.Broker {
	t.Helper()
	b, err := broker.Serve(l, broker.Config{
		Authenticate: func(id wattveil.MeterID, p string) bool { return id == meter && p == password },
		Receive:      k.receive,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func dial(t *testing.T, brokers ...string) *link.Client {
	t.Helper()
	c, err := link.Dial(link.Config{Brokers: brokers, ID: meter, Password: password})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func await(t *testing.T, c *link.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	if err := c.Await(ctx); err != nil {
		t.Fatal(err)
	}
}

// publish tries again until the frame is acknowledged, as a meter does.
func publish(t *testing.T, c *link.Client, frame string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	for {
		err := c.Publish(ctx, []byte(frame))
		if err == nil {
			return
		}
		if !errors.Is(err, link.ErrNotAcknowledged) || ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}

func TestClientOutlivesItsBroker(t *testing.T) {
	var k taker
	l := listen(t, "127.0.0.1:0")
	addr := l.Addr().String()
	first := serve(t, l, &k)
	c := dial(t, "mqtt://"+addr)
	publish(t, c, "one")
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := serve(t, listen(t, addr), &k)
	publish(t, c, "two")
	if got := k.taken(); !strings.HasPrefix(got, "one two") { // a repeat is harmless
		t.Errorf("the brokers took %q", got)
	}
	await(t, c)
	if !second.Send(meter, []byte("down")) {
		t.Fatal("the meter is not subscribed at the second broker")
	}
	if got := <-c.Receive(); string(got) != "down" {
		t.Errorf("received %q", got)
	}
}

func TestClientTriesEachBroker(t *testing.T) {
	gone := listen(t, "127.0.0.1:0")
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	var k taker
	l := listen(t, "127.0.0.1:0")
	serve(t, l, &k)
	c := dial(t, "mqtt://"+gone.Addr().String(), "mqtt://"+l.Addr().String())
	publish(t, c, "frame")
	if k.taken() != "frame" {
		t.Errorf("the second broker took %q", k.taken())
	}
}

// full is a collector that has no room while it is full, and counts what and
// whom it saw.
type full struct {
	taker
	full              atomic.Bool
	refused, connects atomic.Int64
}

func (f *full) serve(t *testing.T) string {
	t.Helper()
	l := listen(t, "127.0.0.1:0")
	b, err := broker.Serve(l, broker.Config{
		Authenticate: func(wattveil.MeterID, string) bool { f.connects.Add(1); return true },
		Receive: func(id wattveil.MeterID, frame []byte) error {
			if f.full.Load() {
				f.refused.Add(1)
				return broker.ErrFull
			}
			return f.receive(id, frame)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return "mqtt://" + l.Addr().String()
}

// publishUntil publishes a frame until it is taken or the condition holds.
func publishUntil(t *testing.T, c *link.Client, frame string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	for c.Publish(ctx, []byte(frame)) != nil && !done() {
		if ctx.Err() != nil {
			t.Fatalf("%s is on its way for %v", frame, deadline)
		}
	}
}

// A meter whose collector stays full hands its frames to the other one, each
// once, and stays there. While that one is full too, it does not go back and
// forth.
func TestClientLeavesAFullBroker(t *testing.T) {
	var first, second full
	first.full.Store(true)
	c := dial(t, first.serve(t), second.serve(t))
	never := func() bool { return false }
	for _, frame := range []string{"one", "two", "three"} {
		publishUntil(t, c, frame, never)
	}
	if got := second.taken(); got != "one two three" || first.taken() != "" {
		t.Errorf("the collectors took %q and %q", first.taken(), got)
	}
	second.full.Store(true)
	publishUntil(t, c, "four", func() bool { return second.refused.Load() >= 30 })
	second.full.Store(false)
	publishUntil(t, c, "four", never)
	if got := second.taken(); got != "one two three four" || first.taken() != "" {
		t.Errorf("the collectors took %q and %q", first.taken(), got)
	}
	if a, b := first.connects.Load(), second.connects.Load(); a != 1 || b != 1 {
		t.Errorf("%d connections to the first collector and %d to the second, want one each", a, b)
	}
}

// A meter whose other collector is gone stays with the full one.
func TestClientComesBackToAFullBroker(t *testing.T) {
	var only full
	only.full.Store(true)
	gone := listen(t, "127.0.0.1:0")
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	c := dial(t, only.serve(t), "mqtt://"+gone.Addr().String())
	publishUntil(t, c, "frame", func() bool { return only.connects.Load() == 2 && only.refused.Load() >= 10 })
	only.full.Store(false)
	publishUntil(t, c, "frame", func() bool { return false })
	if only.taken() != "frame" || only.connects.Load() != 2 {
		t.Errorf("took %q in %d connections, want one frame in two", only.taken(), only.connects.Load())
	}
}

// A second device under a meter's name ends the connection of the first, and
// both sides count it.
func TestTakenOver(t *testing.T) {
	l := listen(t, "127.0.0.1:0")
	b := serve(t, l, new(taker))
	first := dial(t, "mqtt://"+l.Addr().String())
	await(t, first)
	second := dial(t, "mqtt://"+l.Addr().String())
	await(t, second)
	for end := time.Now().Add(deadline); first.TakenOver() == 0 || b.TakenOver() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the device counts %d, the broker %d", first.TakenOver(), b.TakenOver())
		}
	}
}

// The client makes room for as many downlinks as it lets the broker send: 65,535
// if it says nothing, which is more memory than all else of a meter takes.
func TestConnectBoundsDownlinks(t *testing.T) {
	l := listen(t, "127.0.0.1:0")
	defer l.Close()
	dial(t, "mqtt://"+l.Addr().String())
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	p, err := packets.ReadPacket(conn)
	if err != nil {
		t.Fatal(err)
	}
	connect, ok := p.Content.(*packets.Connect)
	if !ok || connect.Properties.ReceiveMaximum == nil || *connect.Properties.ReceiveMaximum > 64 {
		t.Errorf("the receive maximum of %v is not bounded", p)
	}
}

func TestPublishWithoutBroker(t *testing.T) {
	gone := listen(t, "127.0.0.1:0")
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	c := dial(t, "mqtt://"+gone.Addr().String())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Publish(ctx, []byte("frame")); !errors.Is(err, link.ErrNotAcknowledged) {
		t.Errorf("Publish without a broker: %v", err)
	}
}

func TestClosedClient(t *testing.T) {
	gone := listen(t, "127.0.0.1:0")
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	l := listen(t, "127.0.0.1:0")
	serve(t, l, new(taker))
	connected := dial(t, "mqtt://"+l.Addr().String())
	await(t, connected)
	for name, c := range map[string]*link.Client{"connected": connected, "not connected": dial(t, "mqtt://"+gone.Addr().String())} {
		for range 2 {
			if err := c.Close(); err != nil {
				t.Errorf("%s: Close: %v", name, err)
			}
		}
		// Without a timeout of its own: it must not wait for what cannot come.
		if err := c.Publish(t.Context(), []byte("frame")); !errors.Is(err, link.ErrNotAcknowledged) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: Publish after Close: %v", name, err)
		}
	}
}

func TestDialRefusesAddresses(t *testing.T) {
	for _, brokers := range [][]string{
		nil, {""}, {"127.0.0.1:1883"}, {"http://127.0.0.1"}, {"mqtt://"}, {"mqtt://127.0.0.1:1883", "://"},
	} {
		c, err := link.Dial(link.Config{Brokers: brokers, ID: meter})
		if err == nil {
			t.Errorf("Dial to %q succeeds", brokers)
			_ = c.Close()
		}
	}
}
