package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/packets"
)

// Reason codes of MQTT 5 with which a collector says that its disk failed or
// its queue is full.
const (
	reasonUnspecified = 0x80 // and the least that is no success
	reasonQuota       = 0x97
)

const (
	patience   = 3 // refusals in a row after which a meter goes to another collector
	firstAside = 5 * time.Minute
	mostAside  = time.Hour
)

// errAside is why a collector is passed over.
var errAside = errors.New("collector is put aside, because it refused frames")

// turns says to which of its collectors a meter does not connect for a while:
// one that refuses frame after frame is put aside. A meter never stays without
// a connection for that, and does not go back and forth: it stays where it is
// while all others are put aside too.
type turns struct {
	mu   sync.Mutex
	of   []turn   // by place in the list of collectors
	at   int      // the collector connected to last
	conn net.Conn // to it; nil if it was closed to go on to another
	pass int      // over the list in search of a connection, from 0
}

// turn is how a collector has done.
type turn struct {
	refusals int // in a row
	asides   int // since it took a frame
	until    time.Time
}

// begin is told of a pass over the list. Only the first passes over anything.
func (t *turns) begin(pass int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pass = pass
}

func (t *turns) isAside(i int, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.pass == 0 && now.Before(t.of[i].until)
}

// connected is told of a connection to a collector.
func (t *turns) connected(i int, conn net.Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.at, t.conn = i, conn
	t.of[i].refusals = 0
}

// took is told that the present collector took a frame.
func (t *turns) took() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.of[t.at] = turn{until: t.of[t.at].until}
}

// refused is told that the present collector refused a frame, and gives the
// connection to close if the meter is to go on to another.
func (t *turns) refused(now time.Time) net.Conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	here := &t.of[t.at]
	here.refusals++
	if here.refusals < patience || now.Before(here.until) || !t.another(now) {
		return nil
	}
	d := min(firstAside<<min(here.asides, 8), mostAside)
	here.asides++
	here.until = now.Add(d/2 + upTo(d))
	conn := t.conn
	t.conn = nil
	return conn
}

// another tells whether some other collector is not put aside. The caller holds
// t.mu.
func (t *turns) another(now time.Time) bool {
	for i := range t.of {
		if i != t.at && !now.Before(t.of[i].until) {
			return true
		}
	}
	return false
}

// attempt connects to a collector, unless it is put aside.
func (c *Client) attempt(urls []*url.URL) func(context.Context, autopaho.ClientConfig, *url.URL) (net.Conn, error) {
	return func(ctx context.Context, cfg autopaho.ClientConfig, u *url.URL) (net.Conn, error) {
		place := 0
		for i := range urls {
			if urls[i] == u {
				place = i
			}
		}
		if c.turns.isAside(place, time.Now()) {
			return nil, errAside
		}
		ctx, cancel := context.WithTimeout(ctx, connectTimeout)
		defer cancel()
		conn, err := dialCollector(ctx, cfg.TlsCfg, u)
		if err != nil {
			return nil, err
		}
		c.turns.connected(place, conn)
		return conn, nil
	}
}

func dialCollector(ctx context.Context, secured *tls.Config, u *url.URL) (net.Conn, error) {
	if u.Scheme != "mqtts" {
		return new(net.Dialer).DialContext(ctx, "tcp", u.Host)
	}
	conn, err := (&tls.Dialer{Config: secured}).DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return nil, err
	}
	return packets.NewThreadSafeConn(conn), nil
}

// acknowledged looks at the reason code of an acknowledgement. A collector that
// cannot take frames for long loses the meter to another one.
func (c *Client) acknowledged(session context.Context, reason byte) error {
	if reason < reasonUnspecified {
		if session.Err() == nil {
			c.turns.took()
		}
		return nil
	}
	if (reason == reasonQuota || reason == reasonUnspecified) && session.Err() == nil {
		if conn := c.turns.refused(time.Now()); conn != nil {
			c.cfg.Log.Warn("collector takes no frames, trying another", "meter", c.cfg.ID)
			_ = conn.Close() // the client sees that, and connects
		}
	}
	return fmt.Errorf("%w: reason code %#x", ErrRefused, reason)
}
