package broker

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/packets"

	"github.com/wattveil/wattveil"
)

const (
	meter    = wattveil.MeterID(0x0123456789abcdef)
	other    = wattveil.MeterID(0xfedcba9876543210)
	name     = "0123456789abcdef"
	password = "00112233445566778899aabbccddeeff"
	deadline = 30 * time.Second // for what comes sooner or later
)

// collector stands in for the collector: it knows both meters, which share a
// password, and remembers what it took.
type collector struct {
	receive func(frame []byte) error // nil takes all

	mu     sync.Mutex
	frames [][]byte
}

func (c *collector) config() Config {
	return Config{
		Authenticate: func(id wattveil.MeterID, p string) bool { return (id == meter || id == other) && p == password },
		Receive: func(_ wattveil.MeterID, frame []byte) error {
			if c.receive != nil {
				if err := c.receive(frame); err != nil {
					return err
				}
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			c.frames = append(c.frames, frame)
			return nil
		},
	}
}

func (c *collector) taken() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(bytes.Join(c.frames, []byte(" ")))
}

// start serves on a free port of this machine.
func start(t *testing.T, cfg Config) (*Broker, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b, err := Serve(l, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b, l.Addr().String()
}

// raw is a meter that speaks MQTT as a test wants it, also wrongly.
type raw struct {
	t    *testing.T
	conn net.Conn
}

func dialRaw(t *testing.T, addr string) *raw {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(deadline)); err != nil {
		t.Fatal(err)
	}
	return &raw{t: t, conn: conn}
}

// connected is a meter that the broker has let in.
func connected(t *testing.T, addr string, id wattveil.MeterID) *raw {
	t.Helper()
	r := dialRaw(t, addr)
	if ack := r.connect(connectPacket(id.String(), password)); ack.ReasonCode != packets.ConnackSuccess {
		t.Fatalf("CONNACK %#x", ack.ReasonCode)
	}
	return r
}

func connectPacket(id, password string) *packets.Connect {
	return &packets.Connect{
		ProtocolName: "MQTT", ProtocolVersion: 5, CleanStart: true, KeepAlive: 30, ClientID: id,
		UsernameFlag: true, Username: id, PasswordFlag: true, Password: []byte(password),
	}
}

func (r *raw) write(p packets.Packet) {
	r.t.Helper()
	if _, err := p.WriteTo(r.conn); err != nil {
		r.t.Fatal(err)
	}
}

// next is the next packet, nil when the broker has closed the connection.
func (r *raw) next() packets.Packet {
	r.t.Helper()
	p, err := packets.ReadPacket(r.conn)
	var timeout net.Error
	switch {
	case err == nil:
		return p.Content
	case errors.As(err, &timeout) && timeout.Timeout():
		r.t.Fatal("the broker says nothing")
	case !errors.Is(err, io.EOF) && !errors.As(err, new(*net.OpError)):
		r.t.Fatal(err)
	}
	return nil
}

func (r *raw) connect(p *packets.Connect) *packets.Connack {
	r.t.Helper()
	r.write(p)
	ack, ok := r.next().(*packets.Connack)
	if !ok {
		r.t.Fatal("want a CONNACK")
	}
	return ack
}

// publish publishes with QoS 1 and returns the reason code of the PUBACK.
func (r *raw) publish(topic, frame string) byte {
	r.t.Helper()
	r.write(&packets.Publish{Topic: topic, Payload: []byte(frame), QoS: 1, PacketID: 7, Properties: &packets.Properties{}})
	ack, ok := r.next().(*packets.Puback)
	if !ok || ack.PacketID != 7 {
		r.t.Fatal("want a PUBACK of packet 7")
	}
	return ack.ReasonCode
}

// subscribe returns the reason code of the SUBACK.
func (r *raw) subscribe(topic string) byte {
	r.t.Helper()
	r.write(&packets.Subscribe{PacketID: 9, Subscriptions: []packets.SubOptions{{Topic: topic, QoS: 1}}, Properties: &packets.Properties{}})
	ack, ok := r.next().(*packets.Suback)
	if !ok || len(ack.Reasons) != 1 {
		r.t.Fatal("want a SUBACK of one topic")
	}
	return ack.Reasons[0]
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	end := time.After(deadline)
	for !ok() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("never: %s", what)
		}
	}
}
