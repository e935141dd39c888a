package broker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/packets"
	mqtt "github.com/mochi-mqtt/server/v2"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/link"
	"github.com/wattveil/wattveil/peer"
	"github.com/wattveil/wattveil/wire"
)

// dial connects the meter's own client.
func dial(t *testing.T, addr string) *link.Client {
	t.Helper()
	c, err := link.Dial(link.Config{Brokers: []string{"mqtt://" + addr}, ID: meter, Password: password})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	if err := c.Await(ctx); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAcknowledgedOnlyWhenHeld(t *testing.T) {
	begun, hold := make(chan struct{}), make(chan struct{})
	k := collector{receive: func([]byte) error { close(begun); <-hold; return nil }}
	_, addr := start(t, k.config())
	c := dial(t, addr)
	done := make(chan error, 1)
	go func() { done <- c.Publish(t.Context(), []byte("frame")) }()
	<-begun
	select {
	case err := <-done:
		t.Fatalf("acknowledged before the frame is held: %v", err)
	default:
	}
	close(hold)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if k.taken() != "frame" {
		t.Errorf("the collector took %q", k.taken())
	}
}

func TestReasonCodes(t *testing.T) {
	for _, test := range []struct {
		err  error
		want byte
	}{
		{nil, 0},
		{fmt.Errorf("wrapped: %w", ErrFull), 0x97},
		{fmt.Errorf("wrapped: %w", wire.Malformed), 0x99},
		{errors.New("disk failed"), 0x80},
	} {
		k := collector{receive: func([]byte) error { return test.err }}
		_, addr := start(t, k.config())
		r := connected(t, addr, meter)
		if got := r.publish(link.UpTopic(meter), "frame"); got != test.want {
			t.Errorf("%v: reason code %#x, want %#x", test.err, got, test.want)
		}
		err := dial(t, addr).Publish(t.Context(), []byte("frame"))
		if (test.err == nil) != (err == nil) || (err != nil && !errors.Is(err, link.ErrRefused)) {
			t.Errorf("%v: the client says %v", test.err, err)
		}
	}
}

func TestWhoMayConnect(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*packets.Connect)
		want   byte
	}{
		{"a meter", func(*packets.Connect) {}, 0},
		{"wrong password", func(p *packets.Connect) { p.Password = []byte("x") }, 0x86},
		{"no password", func(p *packets.Connect) { p.PasswordFlag, p.Password = false, nil }, 0x86},
		{"unknown meter", func(p *packets.Connect) { p.ClientID, p.Username = "0000000000000001", "0000000000000001" }, 0x86},
		{"another's client identifier", func(p *packets.Connect) { p.ClientID = other.String() }, 0x86},
		{"another's user name", func(p *packets.Connect) { p.Username = other.String() }, 0x86},
		{"no client identifier", func(p *packets.Connect) { p.ClientID = "" }, 0x86},
		{"another spelling", func(p *packets.Connect) {
			p.ClientID, p.Username = strings.ToUpper(name), strings.ToUpper(name)
		}, 0x86},
		{"a will", func(p *packets.Connect) {
			p.WillFlag, p.WillTopic, p.WillMessage = true, link.DownTopic(other), []byte("boo")
			p.WillProperties = &packets.Properties{}
		}, 0x86},
		{"MQTT 3.1.1", func(p *packets.Connect) { p.ProtocolVersion = 4 }, 0x84},
	} {
		t.Run(test.name, func(t *testing.T) {
			b, addr := start(t, new(collector).config())
			p := connectPacket(name, password)
			test.change(p)
			r := dialRaw(t, addr)
			if test.name == "MQTT 3.1.1" {
				connect311(t, r)
				return
			}
			if got := r.connect(p).ReasonCode; got != test.want {
				t.Errorf("CONNACK %#x, want %#x", got, test.want)
			}
			if test.want != 0 && (r.next() != nil || b.Connected() != 0) {
				t.Error("the connection stays")
			}
		})
	}
}

// connect311 connects as MQTT 3.1.1 does: the packet of version 5 less its
// properties.
func connect311(t *testing.T, r *raw) {
	t.Helper()
	packet := []byte{0x10, 0, 0, 4, 'M', 'Q', 'T', 'T', 4, 0xc2, 0, 30}
	for _, field := range []string{name, name, password} {
		packet = append(append(packet, 0, byte(len(field))), field...)
	}
	packet[1] = byte(len(packet) - 2)
	if _, err := r.conn.Write(packet); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 4)
	if _, err := r.conn.Read(answer); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(answer, []byte{0x20, 2, 0, 1}) { // unacceptable protocol version
		t.Errorf("CONNACK % x", answer)
	}
}

func TestTopics(t *testing.T) {
	var k collector
	b, addr := start(t, k.config())
	connected(t, addr, other)
	r := connected(t, addr, meter)
	const notAuthorized = 0x87
	for _, topic := range []string{
		link.UpTopic(other), link.DownTopic(meter), link.DownTopic(other), "wattveil/1/up/", "wattveil", "x",
		link.UpTopic(meter) + "/x", strings.ToUpper(link.UpTopic(meter)),
	} {
		if got := r.publish(topic, "frame"); got != notAuthorized {
			t.Errorf("publishing to %q: reason code %#x", topic, got)
		}
	}
	for _, topic := range []string{
		link.DownTopic(other), link.UpTopic(meter), link.UpTopic(other), "#", "+/+/+/+", "wattveil/#", "wattveil/1/down/+",
		"wattveil/1/down/#", link.DownTopic(meter) + "/#", "$SYS/#", "$share/g/" + link.DownTopic(meter), "$share/g/" + link.DownTopic(other),
	} {
		if got := r.subscribe(topic); got != notAuthorized {
			t.Errorf("subscribing to %q: reason code %#x", topic, got)
		}
	}
	if b.Send(meter, []byte("down")) || b.Send(other, []byte("down")) {
		t.Error("the broker sends to a meter that has not subscribed")
	}
	if got := r.subscribe(link.DownTopic(meter)); got != 1 {
		t.Errorf("subscribing to its own topic: reason code %#x", got)
	}
	if got := r.publish(link.UpTopic(meter), "frame"); got != 0 {
		t.Errorf("publishing to its own topic: reason code %#x", got)
	}
	if k.taken() != "frame" {
		t.Errorf("the collector took %q", k.taken())
	}
}

func TestPublishRefused(t *testing.T) {
	for _, test := range []struct {
		name   string
		packet packets.Publish
		reason byte // of the DISCONNECT; 0 if the connection just ends
	}{
		{"QoS 2", packets.Publish{QoS: 2, PacketID: 1, Payload: []byte("x")}, 0x9b},
		{"retained", packets.Publish{QoS: 1, PacketID: 1, Retain: true, Payload: []byte("x")}, 0x9a},
		{"retained with QoS 0", packets.Publish{Retain: true, Payload: []byte("x")}, 0x9a},
		{"oversized", packets.Publish{QoS: 1, PacketID: 1, Payload: make([]byte, maxPacket)}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			var k collector
			b, addr := start(t, k.config())
			r := connected(t, addr, meter)
			test.packet.Topic, test.packet.Properties = link.UpTopic(meter), &packets.Properties{}
			r.write(&test.packet)
			last := r.next()
			if d, ok := last.(*packets.Disconnect); ok && d.ReasonCode == test.reason {
				last = r.next()
			} else if test.reason != 0 {
				t.Errorf("want DISCONNECT %#x", test.reason)
			}
			if last != nil {
				t.Error("the connection goes on")
			}
			eventually(t, "the broker forgets the meter", func() bool { return b.Connected() == 0 })
			if k.taken() != "" {
				t.Errorf("the collector took %d bytes", len(k.taken()))
			}
		})
	}
}

func TestQoS0IsDropped(t *testing.T) {
	var k collector
	_, addr := start(t, k.config())
	r := connected(t, addr, meter)
	r.write(&packets.Publish{Topic: link.UpTopic(meter), Payload: []byte("dropped"), Properties: &packets.Properties{}})
	if got := r.publish(link.UpTopic(meter), "taken"); got != 0 { // after the other, in the same connection
		t.Errorf("reason code %#x", got)
	}
	if k.taken() != "taken" {
		t.Errorf("the collector took %q", k.taken())
	}
}

func TestSend(t *testing.T) {
	b, addr := start(t, new(collector).config())
	if b.Send(meter, []byte("early")) {
		t.Error("sent to a meter that is not connected")
	}
	c := dial(t, addr)
	for i := range 20 {
		frame := fmt.Sprint("down ", i)
		if !b.Send(meter, []byte(frame)) {
			t.Fatal("not sent to a meter that is connected")
		}
		if got := <-c.Receive(); string(got) != frame {
			t.Errorf("received %q, want %q", got, frame)
		}
	}
	if b.Send(other, []byte("down")) {
		t.Error("sent to another meter")
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the broker forgets the meter", func() bool { return !b.Send(meter, []byte("late")) && b.Connected() == 0 })
}

// TestTakeOver: a meter that connects again before its old connection is gone
// gets its downlinks, however the two sessions race.
func TestTakeOver(t *testing.T) {
	b, addr := start(t, new(collector).config())
	for i := range 50 {
		r := connected(t, addr, meter)
		if got := r.subscribe(link.DownTopic(meter)); got != 1 {
			t.Fatalf("SUBACK %#x", got)
		}
		if i%2 == 1 { // what the end of an old session may do
			b.server.Clients.Delete(name)
			b.server.Topics.Unsubscribe(link.DownTopic(meter), name)
		}
		if !b.Send(meter, []byte("down")) {
			t.Fatal("not sent")
		}
		p, ok := r.next().(*packets.Publish)
		if !ok || string(p.Payload) != "down" {
			t.Fatal("not received")
		}
	}
	eventually(t, "one session is left", func() bool { return b.Connected() == 1 })
}

func TestDisconnect(t *testing.T) {
	b, addr := start(t, new(collector).config())
	r, stays := connected(t, addr, meter), connected(t, addr, other)
	eventually(t, "the broker knows both meters", func() bool { return b.Connected() == 2 })
	b.Disconnect(meter)
	b.Disconnect(0)
	if r.next() != nil {
		t.Error("the connection goes on")
	}
	if got := stays.publish(link.UpTopic(other), "frame"); got != 0 {
		t.Errorf("the other meter's frame: reason code %#x", got)
	}
}

func TestSilentConnectionsAreBounded(t *testing.T) {
	_, addr := start(t, new(collector).config())
	for _, test := range []struct{ asked, want uint16 }{{0, maxKeepAliveSeconds}, {60_000, maxKeepAliveSeconds}, {30, 0}} {
		p := connectPacket(name, password)
		p.KeepAlive = test.asked
		ack := dialRaw(t, addr).connect(p)
		got := uint16(0)
		if ack.Properties.ServerKeepAlive != nil {
			got = *ack.Properties.ServerKeepAlive
		}
		if got != test.want {
			t.Errorf("keep alive %d s: the broker sets %d, want %d", test.asked, got, test.want)
		}
	}
}

// TestClose: no connection keeps Close from returning, not even one that never
// sent a packet, and no frame is taken after it.
func TestClose(t *testing.T) {
	var k collector
	b, addr := start(t, k.config())
	silent, r := dialRaw(t, addr), connected(t, addr, meter)
	eventually(t, "both connections are accepted", func() bool { return b.Connected() == 1 })
	for range 2 {
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if silent.next() != nil {
		t.Error("the silent connection goes on")
	}
	if d, ok := r.next().(*packets.Disconnect); !ok || d.ReasonCode != packets.DisconnectServerShuttingDown {
		t.Error("want a DISCONNECT that says why")
	}
	if _, err := net.Dial("tcp", addr); err == nil {
		t.Error("the broker still listens")
	}
}

// TestCloseTLS: a connection that never begins its handshake keeps Close from
// nothing, and one that speaks no TLS is ended.
func TestCloseTLS(t *testing.T) {
	authority, err := peer.NewAuthority("utility.example", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	id, err := peer.NewIdentity(authority, peer.Name{Org: "utility.example", Role: peer.RoleCollector, Instance: "north"}, nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	cfg := new(collector).config()
	cfg.TLS = id.ServerTLS()
	b, addr := start(t, cfg)
	silent, plain := dialRaw(t, addr), dialRaw(t, addr)
	plain.write(connectPacket(name, password))
	if got := plain.next(); got != nil {
		t.Errorf("a connection without TLS is answered %T", got)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if silent.next() != nil {
		t.Error("the silent connection goes on")
	}
}

// TestSessionsOverlap: of two sessions of a meter the one that has not left is
// the meter's, in whatever order they entered.
func TestSessionsOverlap(t *testing.T) {
	b, _ := start(t, new(collector).config())
	one, two, three := new(mqtt.Client), new(mqtt.Client), new(mqtt.Client)
	for _, leaving := range [][]*mqtt.Client{{one, two}, {two, one}, {one, three, two}, {two, three, one}, {three, two, one}, {three, one, two}} {
		present := []*mqtt.Client{one, two, three}[:len(leaving)]
		for _, c := range present {
			b.enter(meter, c)
		}
		for _, c := range leaving {
			b.leave(meter, c)
			present = slices.DeleteFunc(slices.Clone(present), func(p *mqtt.Client) bool { return p == c })
			if got := b.client(meter); len(present) > 0 && !slices.Contains(present, got) || len(present) == 0 && got != nil {
				t.Errorf("leaving %v: %p is the meter's, present are %v", leaving, got, present)
			}
		}
		if b.Connected() != 0 || len(b.others) != 0 {
			t.Errorf("after all have left %d are connected, %d before", b.Connected(), len(b.others))
		}
	}
}

// flaky fails to accept for a while, as when all files are in use.
type flaky struct {
	net.Listener
	failures atomic.Int32
}

func (f *flaky) Accept() (net.Conn, error) {
	if f.failures.Add(-1) >= 0 {
		return nil, errors.New("accept tcp 192.0.2.1:1883: too many open files")
	}
	return f.Listener.Accept()
}

func TestAcceptFails(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &flaky{Listener: l}
	f.failures.Store(2)
	var log bytes.Buffer
	cfg := new(collector).config()
	cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	b, err := Serve(f, cfg)
	if err != nil {
		t.Fatal(err)
	}
	connected(t, l.Addr().String(), meter)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(log.String(), "cannot accept"); got != 2 {
		t.Errorf("logged %d failures, want 2:\n%s", got, &log)
	}
}

func TestLogsCarryNoAddress(t *testing.T) {
	var log bytes.Buffer
	k := collector{receive: func([]byte) error { return errors.New("disk failed") }}
	cfg := k.config()
	cfg.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	b, addr := start(t, cfg)
	r := connected(t, addr, meter)
	r.publish(link.UpTopic(meter), "frame")
	dialRaw(t, addr).connect(connectPacket(name, "wrong"))
	_, _ = dialRaw(t, addr).conn.Write([]byte("GET / HTTP/1.1\r\n\r\n"))
	if err := b.Close(); err != nil { // waits for all that may log
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "meter="+wattveil.MeterID(meter).String()) {
		t.Errorf("the log does not name the meter whose frame was not taken:\n%s", &log)
	}
	if strings.Contains(log.String(), "127.0.0.1") || strings.Contains(log.String(), "wrong") {
		t.Errorf("the log carries an address or a password:\n%s", &log)
	}
}

// TestCloseWhileMetersLeave ends a broker at the moment at which its meters
// leave by themselves.
func TestCloseWhileMetersLeave(t *testing.T) {
	for range 20 {
		cfg := (&collector{}).config()
		cfg.Authenticate = func(wattveil.MeterID, string) bool { return true }
		b, addr := start(t, cfg)
		var leaving sync.WaitGroup
		begin := make(chan struct{})
		for id := range wattveil.MeterID(16) {
			r := connected(t, addr, id+1)
			leaving.Go(func() {
				<-begin
				_ = r.conn.Close()
			})
		}
		close(begin)
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		leaving.Wait()
	}
}
