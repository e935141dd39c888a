package peer_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wattveil/wattveil/peer"
)

const (
	// brief is the patience of the parties here, far is when a test gives up.
	brief = 400 * time.Millisecond
	far   = 30 * time.Second
)

// impatient is a TTP that waits for nobody for long. It counts the requests
// that come to its handler.
type impatient struct {
	*site
	server *peer.Server
	served atomic.Int64
	handle func(ctx context.Context) error
}

func newImpatient(t *testing.T) *impatient {
	t.Helper()
	s := &impatient{site: newSite(t), handle: func(context.Context) error { return nil }}
	s.server = peer.NewServer(peer.ServerConfig{Identity: s.site.server, Trust: s.serverTrust, Now: s.serverClock.Now, Timeout: brief})
	s.server.Handle("POST /v1/messages", func(ctx context.Context, _ peer.Name, _ *http.Request, body []byte) ([]byte, error) {
		s.served.Add(1)
		return body, s.handle(ctx)
	}, peer.RoleUtility)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.server.Serve(l) }() // ends with the server
	t.Cleanup(func() { _ = s.server.Close() })
	s.url = "https://" + l.Addr().String()
	return s
}

// ended waits until the other side has ended a connection, and returns what
// came before.
func ended(t *testing.T, conn net.Conn) string {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(far)); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(conn)
	if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
		t.Error("the connection is still open")
	}
	return string(text)
}

// TestSlowClients has clients that send too slowly or nothing. Each loses its
// connection, none reaches the handler, and others are served meanwhile.
func TestSlowClients(t *testing.T) {
	s := newImpatient(t)
	id := identity(t, s.waterford, utility, start)
	silent, err := net.Dial("tcp", strings.TrimPrefix(s.url, "https://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	conns := map[string]net.Conn{
		"no handshake": silent, "no request": dialTLS(t, s.site, id),
		"half a header": dialTLS(t, s.site, id), "half a body": dialTLS(t, s.site, id), "a dribbled header": dialTLS(t, s.site, id),
	}
	for name, text := range map[string]string{
		"half a header": "POST /v1/messages HTTP/1.1\r\nHost: x\r\nX-",
		"half a body":   "POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf",
	} {
		if _, err := io.WriteString(conns[name], text); err != nil {
			t.Fatal(err)
		}
	}
	dribbled := make(chan struct{})
	go func() {
		defer close(dribbled)
		conn := conns["a dribbled header"]
		_, err := io.WriteString(conn, "POST /v1/messages HTTP/1.1\r\nHost: x\r\n")
		for i := 0; err == nil; i++ { // until the server has had enough
			_, err = fmt.Fprintf(conn, "X-%d: y\r\n", i)
			time.Sleep(brief / 20) // what a client of this kind does
		}
	}()
	if _, err := s.client(t, id).Do(t.Context(), "POST", "/v1/messages", []byte("honest")); err != nil {
		t.Errorf("an honest client beside them: %v", err)
	}
	for name, conn := range conns {
		if text := ended(t, conn); strings.HasPrefix(text, "HTTP/1.1 200") {
			t.Errorf("%s: answered %q", name, text)
		}
	}
	<-dribbled
	if n := s.served.Load(); n != 1 {
		t.Errorf("%d requests were served, want the honest one", n)
	}
}

// TestSlowServers has a client call servers that never answer, never end their
// answer, or answer without an end.
func TestSlowServers(t *testing.T) {
	s := newImpatient(t)
	endless, stop := context.WithCancel(t.Context())
	defer stop()
	s.handle = func(context.Context) error { <-endless.Done(); return nil }
	mute, err := net.Listen("tcp", "127.0.0.1:0") // its backlog accepts, and nobody answers
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = mute.Close() }()
	id := identity(t, s.waterford, utility, start)
	call := func(url string, wrap func(http.RoundTripper) http.RoundTripper) error {
		c := peer.NewClient(peer.ClientConfig{
			Identity: id, Trust: s.clientTrust, Server: ttp, URL: url, Now: s.clientClock.Now, Timeout: brief, MaxBody: 1000, Wrap: wrap,
		})
		defer c.Close()
		_, err := c.Do(t.Context(), "POST", "/v1/messages", nil)
		return err
	}
	answer := func(body io.Reader) func(http.RoundTripper) http.RoundTripper {
		return func(http.RoundTripper) http.RoundTripper {
			return roundTrip(func(r *http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: 200, Body: untilDone{r.Context(), body}, Request: r}, nil
			})
		}
	}
	for name, test := range map[string]struct {
		err  error
		want string
	}{
		"accepts and never answers": {call("https://"+mute.Addr().String(), nil), "deadline exceeded"},
		"never ends its handler":    {call(s.url, nil), "deadline exceeded"},
		"never ends its answer":     {call(s.url, answer(strings.NewReader("half"))), "context"},
		"answers without an end":    {call(s.url, answer(zeros{})), "answer is too large"},
	} {
		if test.err == nil || !strings.Contains(test.err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, test.err, test.want)
		}
	}
}

// zeros is a body without an end.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// untilDone is a body that comes to no end but with its request.
type untilDone struct {
	ctx  context.Context
	body io.Reader
}

func (u untilDone) Read(b []byte) (int, error) {
	n, err := u.body.Read(b)
	if err == io.EOF {
		<-u.ctx.Done()
		err = u.ctx.Err()
	}
	return n, err
}

func (u untilDone) Close() error { return nil }

// TestShutdownEndsWhatIsUnderWay has a server end while it works on a request:
// the request is answered, and no other one is taken.
func TestShutdownEndsWhatIsUnderWay(t *testing.T) {
	s := newImpatient(t)
	working, finish := make(chan struct{}), make(chan struct{})
	s.handle = func(context.Context) error { close(working); <-finish; return nil }
	id := identity(t, s.waterford, utility, start)
	answered := make(chan error, 1)
	first, second := s.client(t, id), s.client(t, id)
	go func() {
		_, err := first.Do(context.Background(), "POST", "/v1/messages", []byte("batch"))
		answered <- err
	}()
	<-working
	down := make(chan error, 1)
	go func() { down <- s.server.Shutdown(context.Background()) }()
	for {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "https://"))
		if err != nil {
			break // it takes nobody any more
		}
		_, _ = bufio.NewReader(conn).ReadByte() // ends with the connection
		_ = conn.Close()
	}
	if _, err := second.Do(t.Context(), "POST", "/v1/messages", nil); err == nil {
		t.Error("a request after the end is served")
	}
	select {
	case err := <-down:
		t.Errorf("the server did not wait for its request: %v", err)
	default:
	}
	close(finish)
	if err := <-answered; err != nil {
		t.Errorf("the request under way: %v", err)
	}
	if err := <-down; err != nil {
		t.Error(err)
	}
}
