// Package link is the meter network: MQTT 5 between meters and collectors
// (spec/protocol.md section 3). It holds the topics and the meter's client;
// package link/broker holds the broker that a collector embeds, so that a
// meter's binary carries no server.
//
// A payload is one frame of package wire. The network protects nothing: what
// it carries is sealed, and its password only keeps strangers out of queues.
package link

import (
	"strings"

	"github.com/wattveil/wattveil"
)

const (
	upPrefix   = "wattveil/1/up/"
	downPrefix = "wattveil/1/down/"
)

// UpTopic is where a meter, and only that meter, publishes.
func UpTopic(id wattveil.MeterID) string { return upPrefix + id.String() }

// DownTopic is what a meter, and only that meter, subscribes to.
func DownTopic(id wattveil.MeterID) string { return downPrefix + id.String() }

// ParseUpTopic is the meter that publishes to a topic. It takes what [UpTopic]
// gives, and no other spelling of it.
func ParseUpTopic(topic string) (wattveil.MeterID, bool) {
	rest, ok := strings.CutPrefix(topic, upPrefix)
	if !ok {
		return 0, false
	}
	id, err := wattveil.ParseMeterID(rest)
	return id, err == nil && id.String() == rest
}
