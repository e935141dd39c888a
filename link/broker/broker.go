// Package broker is the MQTT 5 broker that a collector embeds. It lets each
// meter publish to its own uplink topic and subscribe to its own downlink
// topic and nothing else, and it acknowledges a frame only after the
// collector has said that it holds it.
package broker

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/link"
	"github.com/wattveil/wattveil/wire"
)

// ErrFull is what Config.Receive returns when the collector's queue is full.
var ErrFull = errors.New("queue is full")

// Config connects a broker to its collector. Both functions are called from
// many goroutines at once.
type Config struct {
	// Authenticate checks a meter's link password.
	Authenticate func(id wattveil.MeterID, password string) bool
	// Receive makes a frame durable. The frame is acknowledged when it returns
	// nil, refused with "quota exceeded" on ErrFull and with an unspecified
	// error otherwise.
	Receive func(id wattveil.MeterID, frame []byte) error
	Log     *slog.Logger // discards if nil
}

const (
	receiveMaximum  = 16 // keeps a connected meter at about 18 kB
	maxPacket       = wire.MaxFrame + 1024
	maxInflight     = 64
	maxPending      = 64
	bufferSize      = 1024
	listenerID      = "meters"
	protocolVersion = 5
)

// Broker is a running broker.
type Broker struct {
	cfg    Config
	server *mqtt.Server
	closed atomic.Bool
}

// Serve runs a broker on a listener until Close.
func Serve(l net.Listener, cfg Config) (*Broker, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	caps := mqtt.NewDefaultServerCapabilities()
	caps.MinimumProtocolVersion = protocolVersion
	caps.MaximumPacketSize = maxPacket
	caps.ReceiveMaximum = receiveMaximum
	caps.MaximumInflight = maxInflight
	caps.MaximumClientWritesPending = maxPending
	caps.MaximumQos = 1
	caps.MaximumSessionExpiryInterval = 0
	caps.TopicAliasMaximum = 0
	caps.RetainAvailable, caps.SharedSubAvailable, caps.WildcardSubAvailable, caps.SubIDAvailable = 0, 0, 0, 0
	b := &Broker{cfg: cfg}
	b.server = mqtt.New(&mqtt.Options{
		Capabilities:             caps,
		InlineClient:             true,
		ClientNetReadBufferSize:  bufferSize,
		ClientNetWriteBufferSize: bufferSize,
		Logger:                   slog.New(slog.DiscardHandler), // its lines carry meters' addresses
	})
	if err := b.server.AddHook(&hook{broker: b}, nil); err != nil {
		return nil, fmt.Errorf("start broker: %w", err)
	}
	if err := b.server.AddListener(listeners.NewNet(listenerID, l)); err != nil {
		return nil, fmt.Errorf("start broker on %v: %w", l.Addr(), err)
	}
	if err := b.server.Serve(); err != nil {
		return nil, fmt.Errorf("start broker on %v: %w", l.Addr(), err)
	}
	return b, nil
}

// Send delivers a frame to a meter and tells whether it is connected here. It
// does not wait for the meter's acknowledgement.
func (b *Broker) Send(id wattveil.MeterID, frame []byte) bool {
	client, ok := b.server.Clients.Get(id.String())
	if !ok || client.Closed() || len(client.State.Subscriptions.GetAll()) == 0 {
		return false
	}
	return b.server.Publish(link.DownTopic(id), frame, false, 1) == nil
}

// Connected is the number of meters connected now.
func (b *Broker) Connected() int { return int(atomic.LoadInt64(&b.server.Info.ClientsConnected)) }

// Close ends all connections.
func (b *Broker) Close() error {
	if b.closed.Swap(true) {
		return nil
	}
	if err := b.server.Close(); err != nil {
		return fmt.Errorf("close broker: %w", err)
	}
	return nil
}

// hook is the broker's policy in the server's terms.
type hook struct {
	mqtt.HookBase
	broker *Broker
}

// ID names the hook.
func (h *hook) ID() string { return "wattveil" }

// Provides lists the methods below.
func (h *hook) Provides(b byte) bool {
	return b == mqtt.OnConnectAuthenticate || b == mqtt.OnACLCheck || b == mqtt.OnPublish
}

// OnConnectAuthenticate lets a meter in that names itself alike twice and
// knows its link password.
func (h *hook) OnConnectAuthenticate(cl *mqtt.Client, pk packets.Packet) bool {
	id, err := wattveil.ParseMeterID(cl.ID)
	if err != nil || string(pk.Connect.Username) != cl.ID {
		return false
	}
	return h.broker.cfg.Authenticate(id, string(pk.Connect.Password))
}

// OnACLCheck confines a meter to its own two topics.
func (h *hook) OnACLCheck(cl *mqtt.Client, topic string, write bool) bool {
	id, err := wattveil.ParseMeterID(cl.ID)
	if err != nil {
		return false
	}
	if write {
		return topic == link.UpTopic(id)
	}
	return topic == link.DownTopic(id)
}

// OnPublish hands a frame to the collector before it is acknowledged. The
// server acknowledges success for any error that is not a bare packets.Code,
// so each way out of here is one.
func (h *hook) OnPublish(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	if cl.Net.Inline {
		return pk, nil // our own downlink
	}
	id, ok := link.ParseUpTopic(pk.TopicName)
	if !ok || pk.FixedHeader.Qos != 1 || pk.FixedHeader.Retain {
		return pk, packets.ErrRejectPacket
	}
	switch err := h.broker.cfg.Receive(id, pk.Payload); {
	case err == nil:
		return pk, packets.CodeSuccessIgnore // taken; there is nobody to route it to
	case errors.Is(err, ErrFull):
		return pk, packets.ErrQuotaExceeded
	case errors.Is(err, wire.Malformed):
		return pk, packets.ErrPayloadFormatInvalid
	default:
		h.broker.cfg.Log.Error("frame not taken", "error", err)
		return pk, packets.ErrUnspecifiedError
	}
}
