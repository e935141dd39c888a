package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/mochi-mqtt/server/v2/listeners"
)

const (
	listenerID = "meters"
	// connectTimeout is how long a connection may take to its CONNECT packet,
	// real time; the server sets deadlines of its own after that.
	connectTimeout = 10 * time.Second
	// acceptPause is how long to wait when the system has no connection to
	// give, as when all files are in use.
	acceptPause = 100 * time.Millisecond
	// goodbyeTimeout bounds what a meter that does not read can delay Close.
	goodbyeTimeout = 2 * time.Second
)

// listener gives the server connections. Unlike the server's own listener it
// goes on after a failed accept, drops connections that stay silent, and on
// Close waits for every connection, also for one that never sent a packet.
type listener struct {
	inner   net.Listener
	tls     *tls.Config // nil for none
	log     *slog.Logger
	goodbye func() // tells connected meters that the broker ends

	mu      sync.Mutex
	conns   map[net.Conn]struct{} // guarded by mu
	closing chan struct{}
	served  sync.WaitGroup
}

func newListener(l net.Listener, cfg Config, goodbye func()) *listener {
	return &listener{
		inner: l, tls: cfg.TLS, log: cfg.Log, goodbye: goodbye,
		conns: make(map[net.Conn]struct{}), closing: make(chan struct{}),
	}
}

// ID names the listener to the server.
func (l *listener) ID() string { return listenerID }

// Address is where it listens.
func (l *listener) Address() string { return l.inner.Addr().String() }

// Protocol is the network.
func (l *listener) Protocol() string { return l.inner.Addr().Network() }

// Init has nothing to do.
func (l *listener) Init(*slog.Logger) error { return nil }

// Serve accepts connections until Close.
func (l *listener) Serve(establish listeners.EstablishFn) {
	for {
		conn, err := l.inner.Accept()
		switch {
		case err == nil:
			l.serve(conn, establish)
		case errors.Is(err, net.ErrClosed):
			return
		default:
			l.log.Error("cannot accept connections of meters, trying again")
			select {
			case <-l.closing:
				return
			case <-time.After(acceptPause):
			}
		}
	}
}

func (l *listener) serve(conn net.Conn, establish listeners.EstablishFn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.closing:
		_ = conn.Close() // nobody will use it
		return
	default:
	}
	_ = conn.SetDeadline(time.Now().Add(connectTimeout)) // a connection that is gone fails at its first read
	l.conns[conn] = struct{}{}
	end := func(served net.Conn) {
		_ = establish(listenerID, served) // why a meter's connection ended is of no use to anyone
		l.forget(conn)
	}
	if l.tls == nil {
		l.served.Go(func() { end(conn) })
		return
	}
	l.served.Go(func() {
		secured := tls.Server(conn, l.tls)
		if secured.HandshakeContext(context.Background()) != nil { // bounded by the deadline above
			l.forget(conn)
			return
		}
		l.served.Go(func() { end(secured) }) // on a new stack: a handshake's is large
	})
}

func (l *listener) forget(conn net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, conn)
	_ = conn.Close() // the server has closed it if it got as far as a session
}

// Close says goodbye to the meters, ends every connection and waits. It does
// not use the server's own way to close clients: that one locks their table
// twice for reading, and waits forever if a meter leaves in between.
func (l *listener) Close(listeners.CloseFn) {
	l.mu.Lock()
	close(l.closing)
	_ = l.inner.Close() // only Accept is told, and it returns
	for conn := range l.conns {
		_ = conn.SetDeadline(time.Now().Add(goodbyeTimeout)) // for meters that do not read
	}
	l.mu.Unlock()
	l.goodbye()
	l.mu.Lock()
	for conn := range l.conns {
		_ = conn.Close()
	}
	l.mu.Unlock()
	l.served.Wait()
}
