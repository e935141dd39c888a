// Package broker is the MQTT 5 broker that a collector embeds. It lets each
// meter publish to its own uplink topic and subscribe to its own downlink
// topic and nothing else, and it acknowledges a frame only after the
// collector has said that it holds it.
package broker

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"

	mqtt "github.com/mochi-mqtt/server/v2"
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
	// nil, refused with "quota exceeded" on ErrFull, with "payload format
	// invalid" on wire.Malformed and with an unspecified error otherwise.
	Receive func(id wattveil.MeterID, frame []byte) error
	// TLS, if set, is what meters connect over; [peer.Identity] gives one.
	TLS *tls.Config
	Log *slog.Logger // discards if nil
}

const (
	// These bound what a connected meter costs: about 8 kB, and 24 kB of stacks
	// of the server's two goroutines.
	receiveMaximum = 16
	maxInflight    = 64
	maxPending     = 16
	bufferSize     = 512

	// maxTaken is how many frames are being taken at once. They share syncs of
	// the collector's disk, so it is many.
	maxTaken = 256

	maxPacket       = wire.MaxFrame + 1024
	protocolVersion = 5
	// The server publishes figures of its own, which nobody may subscribe to,
	// and stops the world for them: once a day instead of once a second.
	sysTopicSeconds = 24 * 60 * 60
)

// Broker is a running broker.
type Broker struct {
	cfg    Config
	server *mqtt.Server
	closed atomic.Bool
	taking chan struct{} // has room for maxTaken

	takenOver atomic.Uint64

	mu      sync.Mutex
	clients map[wattveil.MeterID]*mqtt.Client   // the last session of each meter; guarded by mu
	others  map[wattveil.MeterID][]*mqtt.Client // its sessions before that, which are about to end; guarded by mu
}

// Serve runs a broker on a listener until Close.
func Serve(l net.Listener, cfg Config) (*Broker, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	b := &Broker{cfg: cfg, taking: make(chan struct{}, maxTaken), clients: make(map[wattveil.MeterID]*mqtt.Client),
		others: make(map[wattveil.MeterID][]*mqtt.Client)}
	b.server = mqtt.New(&mqtt.Options{
		Capabilities:             capabilities(),
		InlineClient:             true,
		ClientNetReadBufferSize:  bufferSize,
		ClientNetWriteBufferSize: bufferSize,
		SysTopicResendInterval:   sysTopicSeconds,
		Logger:                   slog.New(slog.DiscardHandler), // its lines carry meters' addresses
	})
	if err := b.server.AddHook(&hook{broker: b}, nil); err != nil {
		return nil, fmt.Errorf("start broker: %w", err)
	}
	if err := b.server.AddListener(newListener(l, cfg, b.goodbye)); err != nil {
		return nil, fmt.Errorf("start broker on %v: %w", l.Addr(), err)
	}
	if err := b.server.Serve(); err != nil {
		return nil, fmt.Errorf("start broker on %v: %w", l.Addr(), err)
	}
	return b, nil
}

// capabilities are those of MQTT that meters need, and no others.
func capabilities() *mqtt.Capabilities {
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
	caps.Compatibilities.NoInheritedPropertiesOnAck = true // an acknowledgement repeats nothing of what it is for
	return caps
}

// take has the collector take a frame, on a stack of its own: that of a meter's
// connection, which stays, would grow by what the collector's disk needs.
func (b *Broker) take(id wattveil.MeterID, frame []byte) error {
	b.taking <- struct{}{}
	done := make(chan error, 1)
	go func() {
		defer func() { <-b.taking }()
		done <- b.cfg.Receive(id, frame)
	}()
	return <-done
}

// Send delivers a frame to a meter and tells whether it is connected here. It
// does not wait for the meter's acknowledgement.
func (b *Broker) Send(id wattveil.MeterID, frame []byte) bool {
	client := b.client(id)
	if client == nil || client.Closed() {
		return false
	}
	subscription, ok := client.State.Subscriptions.Get(link.DownTopic(id))
	if !ok {
		return false
	}
	// When a meter connects again before its old connection is gone, the end
	// of the old session may take the new one out of the server's tables.
	if known, _ := b.server.Clients.Get(client.ID); known != client {
		b.server.Clients.Add(client)
		b.server.Topics.Subscribe(client.ID, subscription)
	}
	return b.server.Publish(link.DownTopic(id), frame, false, 1) == nil
}

// Disconnect ends a meter's connection, if it has one here. It waits for
// nothing.
func (b *Broker) Disconnect(id wattveil.MeterID) {
	if client := b.client(id); client != nil {
		client.Stop(packets.ErrNotAuthorized)
	}
}

// Connected is the number of meters connected now.
func (b *Broker) Connected() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.clients)
}

// TakenOver is how many connections another one of the same meter has ended. A
// meter that comes back before its old connection is found dead is counted
// once; one that is counted again and again shares its keys with another device.
func (b *Broker) TakenOver() uint64 { return b.takenOver.Load() }

// Close ends all connections and waits for the frames that are being taken.
func (b *Broker) Close() error {
	if b.closed.Swap(true) {
		return nil
	}
	if err := b.server.Close(); err != nil {
		return fmt.Errorf("close broker: %w", err)
	}
	return nil
}

// goodbye disconnects all meters.
func (b *Broker) goodbye() {
	b.mu.Lock()
	clients := slices.Collect(maps.Values(b.clients))
	b.mu.Unlock()
	for _, client := range clients {
		_ = b.server.DisconnectClient(client, packets.ErrServerShuttingDown) // gone already is as good
	}
}

func (b *Broker) client(id wattveil.MeterID) *mqtt.Client {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.clients[id]
}

// enter notes a session. A meter that gives up on a connection and begins
// another may have both at once when the broker is busy, and they may enter in
// either order: the one that stays is known when the other leaves.
func (b *Broker) enter(id wattveil.MeterID, client *mqtt.Client) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if before := b.clients[id]; before != nil {
		b.others[id] = append(b.others[id], before)
	}
	b.clients[id] = client
}

// leave forgets a session.
func (b *Broker) leave(id wattveil.MeterID, client *mqtt.Client) {
	b.mu.Lock()
	defer b.mu.Unlock()
	others := b.others[id]
	if b.clients[id] != client {
		others = slices.DeleteFunc(others, func(c *mqtt.Client) bool { return c == client })
	} else if n := len(others); n > 0 {
		b.clients[id], others = others[n-1], others[:n-1]
	} else {
		delete(b.clients, id)
	}
	if len(others) == 0 {
		delete(b.others, id)
	} else {
		b.others[id] = others
	}
}
