package collector_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/collector"
	"github.com/wattveil/wattveil/link"
	"github.com/wattveil/wattveil/peer"
	"github.com/wattveil/wattveil/wire"
)

const password = "00112233445566778899aabbccddeeff"

// serve lets meters connect and returns the address.
func (f *fixture) serve(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Serve(l); err != nil {
		t.Fatal(err)
	}
	return "mqtt://" + l.Addr().String()
}

// admit puts the meter on the roster.
func (f *fixture) admit(t *testing.T) {
	t.Helper()
	f.utility.next(roster(1, map[wattveil.MeterID]string{meter: password}))
	f.utility.serial = 1
	f.forward(t)
}

func dial(t *testing.T, addr, password string) *link.Client {
	t.Helper()
	c, err := link.Dial(link.Config{Brokers: []string{addr}, ID: meter, Password: password})
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

func TestHeld(t *testing.T) {
	var mu sync.Mutex
	var told []string
	var f *fixture
	f = open(t, func(c *collector.Config) {
		c.Held = func(id wattveil.MeterID, frame []byte) {
			mu.Lock()
			defer mu.Unlock()
			if f.queue.Len() != len(told)+1 {
				t.Errorf("told of frame %d with %d in the queue", len(told), f.queue.Len())
			}
			told = append(told, id.String()+" "+string(frame[len(frame)-1:]))
		}
	})
	f.admit(t)
	c := dial(t, f.serve(t), password)
	for _, text := range []string{"a", "b"} {
		if err := c.Publish(t.Context(), frame(meter, text)); err != nil {
			t.Fatal(err)
		}
	}
	mu.Lock()
	if got := strings.Join(told, ", "); got != "0123456789abcdef a, 0123456789abcdef b" {
		t.Errorf("told of %q", got)
	}
	mu.Unlock()
	if s := f.Stats(); s.Held != 2 || s.Queued != 2 || s.Connected != 1 || s.Meters != 1 {
		t.Errorf("%+v", s)
	}
	if got := f.forward(t); got.Durable != 2 || f.queue.Len() != 0 {
		t.Errorf("forwarded %+v, %d left", got, f.queue.Len())
	}
}

func TestMetersOverTLS(t *testing.T) {
	authority, err := peer.NewAuthority("utility.example", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	id, err := peer.NewIdentity(authority, peer.Name{Org: "utility.example", Role: peer.RoleCollector, Instance: "north"}, nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	f := open(t, func(c *collector.Config) { c.TLS, c.Identity = true, id })
	f.admit(t)
	c, err := link.Dial(link.Config{
		Brokers: []string{strings.Replace(f.serve(t), "mqtt:", "mqtts:", 1)}, ID: meter, Password: password,
		Authority: authority.Certificate, Domain: "utility.example",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	await(t, c)
	if err := c.Publish(t.Context(), frame(meter, "x")); err != nil {
		t.Fatal(err)
	}
	if s := f.Stats(); s.Held != 1 || s.Connected != 1 {
		t.Errorf("%+v", s)
	}
}

func TestReceiveRefuses(t *testing.T) {
	f := open(t, nil)
	f.admit(t)
	c := dial(t, f.serve(t), password)
	for name, b := range map[string][]byte{
		"another meter's":  frame(other, "x"),
		"a downlink":       notice(meter),
		"an unknown type":  append([]byte{0x7f}, frame(meter, "x")[1:]...),
		"a short message":  frame(meter, "x")[:69],
		"a long message":   append(frame(meter, "x"), 0),
		"a byte":           {1},
		"nothing":          {},
		"over the maximum": append([]byte{byte(wire.TypeM1)}, make([]byte, 4096)...),
	} {
		if err := c.Publish(t.Context(), b); !errors.Is(err, link.ErrRefused) || !strings.Contains(err.Error(), "0x99") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s := f.Stats(); s.Malformed != 8 || s.Held != 0 || f.queue.Len() != 0 {
		t.Errorf("%+v", s)
	}
}

func TestFullQueue(t *testing.T) {
	f := open(t, nil)
	f.admit(t)
	c := dial(t, f.serve(t), password)
	for f.queue.Len() < 100 {
		f.hold(t, fmt.Sprint("x", f.queue.Len()))
	}
	if err := c.Publish(t.Context(), frame(meter, "y")); !errors.Is(err, link.ErrRefused) || !strings.Contains(err.Error(), "0x97") {
		t.Errorf("Publish into a full queue: %v", err)
	}
	f.forward(t)
	if err := c.Publish(t.Context(), frame(meter, "y")); err != nil {
		t.Errorf("Publish after a post: %v", err)
	}
	if s := f.Stats(); s.Full != 1 || s.Held != 1 {
		t.Errorf("%+v", s)
	}
}

// A meter that gets no answer publishes its M1 again and again. While the
// utility is away, each frame takes one place in the queue, however often it
// comes, and another frame finds room.
func TestRepeatsTakeOnePlace(t *testing.T) {
	f := open(t, nil)
	f.admit(t)
	c := dial(t, f.serve(t), password)
	sent := make([][]byte, 0, 4)
	for _, kind := range []struct {
		t    wire.Type
		size int
	}{{wire.TypeM1, 200}, {wire.TypeM3, 74}, {wire.TypeRegister, 99}} {
		b := make([]byte, kind.size)
		b[0] = byte(kind.t)
		binary.BigEndian.PutUint64(b[1:], uint64(meter))
		sent = append(sent, b)
	}
	sent = append(sent, frame(meter, "data"))
	for range 30 { // 120 frames, and the queue has room for 100
		for _, b := range sent {
			if err := c.Publish(t.Context(), b); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := f.queue.Len(); n != len(sent) {
		t.Errorf("the queue has %d frames, want %d", n, len(sent))
	}
	if got := f.forward(t); got.Frames != len(sent) || got.Durable != len(sent) {
		t.Errorf("forwarded %+v, want %d frames", got, len(sent))
	}
	if err := c.Publish(t.Context(), sent[0]); err != nil || f.queue.Len() != 1 {
		t.Errorf("a frame that was answered comes again: %v, %d frames in the queue, want 1", err, f.queue.Len())
	}
}

func TestFailedQueue(t *testing.T) {
	f := open(t, nil)
	f.admit(t)
	c := dial(t, f.serve(t), password)
	if err := f.queue.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.Publish(t.Context(), frame(meter, "x")); !errors.Is(err, link.ErrRefused) || !strings.Contains(err.Error(), "0x80") {
		t.Errorf("Publish into a failed queue: %v", err)
	}
	if _, err := f.Forward(t.Context()); err == nil {
		t.Error("Forward from a failed queue succeeds")
	}
	if err := f.Run(t.Context()); err == nil {
		t.Error("Run goes on without a queue")
	}
	if s := f.Stats(); s.Failed != 1 {
		t.Errorf("%+v", s)
	}
}

func TestDownlinks(t *testing.T) {
	var log bytes.Buffer
	f := open(t, func(c *collector.Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	f.admit(t)
	c := dial(t, f.serve(t), password)
	await(t, c)
	f.utility.next(answer(func(a *wire.ForwardAnswer) {
		a.Downlinks = []wire.Downlink{
			{ID: meter, Frame: notice(meter)},
			{ID: other, Frame: notice(other)}, // not connected
			{ID: meter, Frame: notice(other)},
			{ID: meter, Frame: frame(meter, "x")}, // no downlink
			{ID: meter, Frame: notice(meter)[:41]},
			{ID: meter, Frame: append(notice(meter)[:25], make([]byte, 17)...)},
		}
	}))
	if got := f.forward(t); got.Downlinks != 2 {
		t.Errorf("forwarded %+v", got)
	}
	for range 2 {
		if got := <-c.Receive(); !bytes.Equal(got, notice(meter)) {
			t.Errorf("received %x", got)
		}
	}
	if s := f.Stats(); s.Downlinks != 2 || s.LostDownlinks != 4 || strings.Count(log.String(), "malformed downlink") != 3 {
		t.Errorf("%+v\n%s", s, &log)
	}
}

// TestRoster: who is on it may connect, who falls off it is disconnected, and a
// restart without the utility changes nothing.
func TestRoster(t *testing.T) {
	f := open(t, nil)
	addr := f.serve(t)
	stranger := dial(t, addr, password)
	eventually(t, "the stranger is refused", func() bool { return f.Stats().Strangers > 0 })
	f.admit(t)
	await(t, stranger) // it goes on trying
	if err := stranger.Close(); err != nil {
		t.Fatal(err)
	}

	f.reopen(t)
	f.utility.next(away, away, away)
	if _, err := f.Forward(t.Context()); !errors.Is(err, errAway) {
		t.Fatal(err)
	}
	addr = f.serve(t)
	c := dial(t, addr, password)
	await(t, c)
	before := f.Stats().Strangers
	eventually(t, "the broker knows the meter", func() bool { return f.Stats().Connected == 1 })

	f.utility.next(roster(2, map[wattveil.MeterID]string{meter: "another password", other: "x"}))
	f.forward(t)
	eventually(t, "the old password is refused", func() bool {
		s := f.Stats()
		return s.Strangers > before && s.Connected == 0
	})
	if s := f.Stats(); s.Meters != 2 {
		t.Errorf("%+v", s)
	}
	renamed := dial(t, addr, "another password")
	await(t, renamed)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the broker knows the meter", func() bool { return f.Stats().Connected == 1 })

	f.utility.next(roster(3, map[wattveil.MeterID]string{meter: ""}))
	f.forward(t)
	eventually(t, "the meter is disconnected", func() bool { return f.Stats().Connected == 0 })
	f.reopen(t)
	if s := f.Stats(); s.Meters != 1 {
		t.Errorf("after a restart: %+v", s)
	}
	f.utility.serial = 3
	f.forward(t)
	posts := f.utility.posts()
	if last, err := wire.ParseForward(posts[len(posts)-1]); err != nil || last.Roster != 3 {
		t.Errorf("after a restart the roster serial is %d, %v", last.Roster, err)
	}
}

func TestServeOnce(t *testing.T) {
	f := open(t, nil)
	f.serve(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if err := f.Serve(l); err == nil {
		t.Error("serves twice")
	}
	for range 2 {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := f.Serve(l); err == nil {
		t.Error("serves after Close")
	}
}
