package broker

import (
	"errors"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/link"
	"github.com/wattveil/wattveil/wire"
)

// A connection is dropped after one and a half times this without a packet.
const maxKeepAliveSeconds = 300

// hook is the broker's policy in the server's terms.
type hook struct {
	mqtt.HookBase
	broker *Broker
}

// ID names the hook.
func (h *hook) ID() string { return "wattveil" }

// Provides lists the methods below.
func (h *hook) Provides(b byte) bool {
	switch b {
	case mqtt.OnConnect, mqtt.OnConnectAuthenticate, mqtt.OnSessionEstablish, mqtt.OnSessionEstablished, mqtt.OnDisconnect,
		mqtt.OnACLCheck, mqtt.OnPacketRead, mqtt.OnPublish:
		return true
	}
	return false
}

// meterOf is the meter that a session calls itself. There is one spelling of a
// meter's name, so that no meter has two sessions.
func meterOf(cl *mqtt.Client) (wattveil.MeterID, bool) {
	id, err := wattveil.ParseMeterID(cl.ID)
	return id, err == nil && id.String() == cl.ID
}

// OnConnect bounds how long a connection may be silent.
func (h *hook) OnConnect(cl *mqtt.Client, _ packets.Packet) error {
	if k := cl.State.Keepalive; k == 0 || k > maxKeepAliveSeconds {
		cl.State.Keepalive = maxKeepAliveSeconds
		cl.State.ServerKeepalive = true
	}
	return nil
}

// OnConnectAuthenticate lets a meter in that names itself alike twice and
// knows its link password. A will is refused: the server would publish it
// without asking OnACLCheck.
func (h *hook) OnConnectAuthenticate(cl *mqtt.Client, pk packets.Packet) bool {
	id, ok := meterOf(cl)
	if !ok || string(pk.Connect.Username) != cl.ID || pk.Connect.WillFlag {
		return false
	}
	return h.broker.cfg.Authenticate(id, string(pk.Connect.Password))
}

// OnSessionEstablish counts a session that ends an older one of the meter.
func (h *hook) OnSessionEstablish(cl *mqtt.Client, _ packets.Packet) {
	id, ok := meterOf(cl)
	if before := h.broker.client(id); !ok || before == nil || before.Closed() {
		return
	}
	h.broker.takenOver.Add(1)
	h.broker.cfg.Log.Info("a meter's connection is taken over by another one under its name", "meter", id)
}

// OnSessionEstablished remembers where to send a meter's downlinks.
func (h *hook) OnSessionEstablished(cl *mqtt.Client, _ packets.Packet) {
	if id, ok := meterOf(cl); ok {
		h.broker.enter(id, cl)
	}
}

// OnDisconnect forgets it again.
func (h *hook) OnDisconnect(cl *mqtt.Client, _ error, _ bool) {
	if id, ok := meterOf(cl); ok {
		h.broker.leave(id, cl)
	}
}

// OnACLCheck confines a meter to its own two topics.
func (h *hook) OnACLCheck(cl *mqtt.Client, topic string, write bool) bool {
	id, ok := meterOf(cl)
	if !ok {
		return false
	}
	if write {
		return topic == link.UpTopic(id)
	}
	return topic == link.DownTopic(id)
}

// OnPacketRead ends a connection that publishes as the broker has said it
// cannot: the server itself takes QoS 2 for QoS 1 and forgets to retain.
func (h *hook) OnPacketRead(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	if pk.FixedHeader.Type != packets.Publish {
		return pk, nil
	}
	var code packets.Code
	switch {
	case pk.FixedHeader.Qos > 1:
		code = packets.ErrQosNotSupported
	case pk.FixedHeader.Retain:
		code = packets.ErrRetainNotSupported
	default:
		return pk, nil
	}
	_ = h.broker.server.DisconnectClient(cl, code) // gives back the code
	return pk, packets.ErrRejectPacket
}

// OnPublish hands a frame to the collector before it is acknowledged. The
// server acknowledges success for any error that is not a bare packets.Code,
// so each way out of here is one. What comes with QoS 0 asks for no
// acknowledgement and is dropped.
func (h *hook) OnPublish(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	if cl.Net.Inline {
		return pk, nil // our own downlink
	}
	id, ok := link.ParseUpTopic(pk.TopicName)
	if !ok || pk.FixedHeader.Qos != 1 {
		return pk, packets.ErrRejectPacket
	}
	switch err := h.broker.take(id, pk.Payload); {
	case err == nil:
		return pk, packets.CodeSuccessIgnore // taken; there is nobody to route it to
	case errors.Is(err, ErrFull):
		return pk, packets.ErrQuotaExceeded
	case errors.Is(err, wire.Malformed):
		return pk, packets.ErrPayloadFormatInvalid
	default:
		h.broker.cfg.Log.Error("frame not taken", "meter", id, "error", err)
		return pk, packets.ErrUnspecifiedError
	}
}
