package peer_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wattveil/wattveil/peer"
	"github.com/wattveil/wattveil/wire"
)

var (
	start     = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	utility   = peer.Name{Org: "waterford", Role: peer.RoleUtility}
	collector = peer.Name{Org: "waterford", Role: peer.RoleCollector, Instance: "north"}
	ttp       = peer.Name{Org: "trustee", Role: peer.RoleTTP}
)

// clock is a fake clock, safe for concurrent use.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
}

// journal is a log that may be read while it is written.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}

func authority(t *testing.T, org string) *peer.Authority {
	t.Helper()
	a, err := peer.NewAuthority(org, start)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func identity(t *testing.T, a *peer.Authority, name peer.Name, now time.Time) *peer.Identity {
	t.Helper()
	id, err := peer.NewIdentity(a, name, []string{"127.0.0.1"}, now)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// site is a TTP that serves and the parties that call it.
type site struct {
	waterford, trustee *peer.Authority
	serverClock        clock
	clientClock        clock
	serverTrust        *peer.Trust
	clientTrust        *peer.Trust
	server             *peer.Identity
	log                journal
	url                string
}

// newSite starts a TTP that serves POST /v1/messages to utilities and
// POST /v1/forward to collectors. Handlers echo, or fail as the body says.
func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{waterford: authority(t, "waterford"), trustee: authority(t, "trustee")}
	s.serverClock.set(start)
	s.clientClock.set(start)
	s.server = identity(t, s.trustee, ttp, start)
	s.serverTrust, s.clientTrust = peer.NewTrust(), peer.NewTrust()
	s.serverTrust.Pin("waterford", peer.RoleUtility, s.waterford.Certificate)
	s.serverTrust.Pin("waterford", peer.RoleCollector, s.waterford.Certificate)
	s.clientTrust.Pin("trustee", peer.RoleTTP, s.trustee.Certificate)
	server := peer.NewServer(peer.ServerConfig{
		Identity: s.server, Trust: s.serverTrust, Now: s.serverClock.Now, MaxBody: 1000,
		Log: slog.New(slog.NewTextHandler(&s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	server.Handle("POST /v1/messages", handle, peer.RoleUtility)
	server.Handle("POST /v1/forward", handle, peer.RoleCollector)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		if err := server.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	s.url = "https://" + l.Addr().String()
	return s
}

const secretDetail = "detail of 192.0.2.7:99"

func handle(_ context.Context, from peer.Name, _ *http.Request, body []byte) ([]byte, error) {
	switch string(body) {
	case "malformed":
		return nil, errors.Join(errors.New(secretDetail), wire.Malformed)
	case "disk":
		return nil, errors.New(secretDetail)
	case "later":
		return nil, errors.Join(errors.New(secretDetail), peer.Unavailable)
	case "upstream":
		return nil, errors.Join(errors.New(secretDetail), &peer.Refusal{Status: 400, Class: "words of another"})
	case "panic":
		panic(secretDetail)
	case "network":
		return nil, &net.OpError{Op: "read", Net: "tcp", Source: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7)}, Err: errors.New("timeout")}
	}
	return append([]byte(from.String()+" "), body...), nil
}

func (s *site) client(t *testing.T, id *peer.Identity) *peer.Client {
	t.Helper()
	c := peer.NewClient(peer.ClientConfig{Identity: id, Trust: s.clientTrust, Server: ttp, URL: s.url, Now: s.clientClock.Now, MaxBody: 1000})
	t.Cleanup(c.Close)
	return c
}

// refusal calls and returns the status and class of the refusal, or what
// happened instead.
func refusal(t *testing.T, c *peer.Client, method, path, body string) (int, wire.Class) {
	t.Helper()
	answer, err := c.Do(t.Context(), method, path, []byte(body))
	var r *peer.Refusal
	if !errors.As(err, &r) {
		t.Fatalf("%s %s %.20q: %.40q, %v; want a refusal", method, path, body, answer, err)
	}
	if !errors.Is(err, r.Class) {
		t.Errorf("the error does not match its class %q: %v", r.Class, err)
	}
	return r.Status, r.Class
}

func TestCall(t *testing.T) {
	s := newSite(t)
	for _, test := range []struct {
		name peer.Name
		path string
	}{{utility, "/v1/messages"}, {collector, "/v1/forward"}} {
		answer, err := s.client(t, identity(t, s.waterford, test.name, start)).Do(t.Context(), "POST", test.path, []byte("hello"))
		if want := test.name.String() + " hello"; err != nil || string(answer) != want {
			t.Errorf("%v: %q, %v; want %q", test.name, answer, err, want)
		}
	}
}

func TestRefusals(t *testing.T) {
	s := newSite(t)
	u := s.client(t, identity(t, s.waterford, utility, start))
	c := s.client(t, identity(t, s.waterford, collector, start))
	for _, test := range []struct {
		name         string
		client       *peer.Client
		method, path string
		body         string
		status       int
		class        wire.Class
	}{
		{"collector as utility", c, "POST", "/v1/messages", "x", 403, "forbidden"},
		{"utility as collector", u, "POST", "/v1/forward", "x", 403, "forbidden"},
		{"unknown route", u, "POST", "/v1/nowhere", "x", 404, "no-route"},
		{"another method", u, "GET", "/v1/messages", "", 404, "no-route"},
		{"unclean path", u, "POST", "/v1//messages", "x", 404, "no-route"},
		{"path with dots", u, "POST", "/v1/x/../messages", "x", 404, "no-route"},
		{"path with a slash", u, "POST", "/v1/messages/", "x", 404, "no-route"},
		{"oversized", u, "POST", "/v1/messages", strings.Repeat("x", 1001), 413, "oversized"},
		{"malformed", u, "POST", "/v1/messages", "malformed", 400, wire.Malformed},
		{"not the request's fault", u, "POST", "/v1/messages", "disk", 503, peer.Unavailable},
		{"unavailable", u, "POST", "/v1/messages", "later", 503, peer.Unavailable},
		{"refused by a third party", u, "POST", "/v1/messages", "upstream", 503, peer.Unavailable},
		{"panic", u, "POST", "/v1/messages", "panic", 503, peer.Unavailable},
	} {
		t.Run(test.name, func(t *testing.T) {
			if status, class := refusal(t, test.client, test.method, test.path, test.body); status != test.status || class != test.class {
				t.Errorf("%d %q, want %d %q", status, class, test.status, test.class)
			}
		})
	}
	if !strings.Contains(s.log.String(), secretDetail) {
		t.Error("the log has no detail of the failures")
	}
}

func TestLargestBodies(t *testing.T) {
	s := newSite(t)
	u := s.client(t, identity(t, s.waterford, utility, start))
	if _, err := u.Do(t.Context(), "POST", "/v1/messages", make([]byte, 900)); err != nil {
		t.Errorf("a body that fits: %v", err)
	}
	_, err := u.Do(t.Context(), "POST", "/v1/messages", make([]byte, 1000)) // and the name before it in the answer
	if err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("an answer over the client's limit: %v", err)
	}
}

// TestUntrusted has the handshake fail on one side or the other.
func TestUntrusted(t *testing.T) {
	mallory := authority(t, "waterford") // calls itself so; nobody pinned it
	for _, test := range []struct {
		name string
		id   func(*site) *peer.Identity
	}{
		{"foreign authority", func(s *site) *peer.Identity { return identity(t, mallory, utility, start) }},
		{"authority pinned for another organisation", func(s *site) *peer.Identity {
			lisbon := authority(t, "lisbon")
			s.serverTrust.Pin("lisbon", peer.RoleUtility, lisbon.Certificate)
			return identity(t, lisbon, utility, start) // names waterford
		}},
		{"organisation that is not pinned", func(s *site) *peer.Identity {
			return identity(t, s.waterford, peer.Name{Org: "lisbon", Role: peer.RoleUtility}, start)
		}},
		{"role that is not pinned", func(s *site) *peer.Identity {
			return identity(t, s.waterford, peer.Name{Org: "waterford", Role: peer.RoleKGC}, start)
		}},
		{"expired at the server", func(s *site) *peer.Identity {
			id := identity(t, s.waterford, utility, start.Add(-peer.CertificateLifetime))
			s.serverClock.set(start.Add(time.Second))
			return id
		}},
		{"not valid yet at the server", func(s *site) *peer.Identity {
			return identity(t, s.waterford, utility, start.Add(time.Hour))
		}},
		{"server's expired at the client", func(s *site) *peer.Identity {
			s.clientClock.set(start.Add(peer.CertificateLifetime + time.Second))
			return identity(t, s.waterford, utility, start)
		}},
		{"server's not valid yet at the client", func(s *site) *peer.Identity {
			s.clientClock.set(start.Add(-time.Hour))
			return identity(t, s.waterford, utility, start)
		}},
		{"server's authority not pinned", func(s *site) *peer.Identity {
			s.clientTrust.Pin("trustee", peer.RoleTTP, mallory.Certificate)
			return identity(t, s.waterford, utility, start)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSite(t)
			answer, err := s.client(t, test.id(s)).Do(t.Context(), "POST", "/v1/messages", []byte("hello"))
			var refused *peer.Refusal
			if err == nil || errors.As(err, &refused) {
				t.Errorf("the call got as far as an answer: %q, %v", answer, err)
			}
		})
	}
}

func TestWrongServerName(t *testing.T) {
	s := newSite(t)
	id := identity(t, s.waterford, utility, start)
	for name, cfg := range map[string]peer.ClientConfig{
		"another name":  {Server: peer.Name{Org: "trustee", Role: peer.RoleTTP, Instance: "two"}, URL: s.url},
		"another org":   {Server: peer.Name{Org: "lisbon", Role: peer.RoleTTP}, URL: s.url},
		"another host":  {Server: ttp, URL: strings.Replace(s.url, "127.0.0.1", "localhost", 1)},
		"without HTTPS": {Server: ttp, URL: strings.Replace(s.url, "https", "http", 1)},
	} {
		cfg.Identity, cfg.Trust, cfg.Now = id, s.clientTrust, s.clientClock.Now
		c := peer.NewClient(cfg)
		if answer, err := c.Do(t.Context(), "POST", "/v1/messages", []byte("hello")); err == nil {
			t.Errorf("%s: %q", name, answer)
		}
		c.Close()
	}
}

func TestHandshakesRefused(t *testing.T) {
	s := newSite(t)
	addr := strings.TrimPrefix(s.url, "https://")
	for name, cfg := range map[string]*tls.Config{
		"no client certificate": {MinVersion: tls.VersionTLS13, InsecureSkipVerify: true},
		"TLS 1.2":               {MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12, InsecureSkipVerify: true},
	} {
		conn, err := tls.Dial("tcp", addr, cfg)
		if err == nil { // a TLS 1.3 client learns of it when it reads
			_, err = conn.Read(make([]byte, 1))
			_ = conn.Close()
		}
		var alert tls.AlertError
		var remote *net.OpError
		if !errors.As(err, &alert) && !(errors.As(err, &remote) && remote.Op == "remote error") {
			t.Errorf("%s: %v, want the server's alert", name, err)
		}
	}
}

func TestLogsCarryNoAddress(t *testing.T) {
	s := newSite(t)
	u := s.client(t, identity(t, s.waterford, utility, start))
	refusal(t, u, "POST", "/v1/messages", "network")
	cutShort(t, s)
	_, _ = s.client(t, identity(t, authority(t, "waterford"), utility, start)).Do(t.Context(), "POST", "/v1/messages", nil)
	log := s.log.String()
	if !strings.Contains(log, "class=malformed") || !strings.Contains(log, "read tcp: timeout") {
		t.Errorf("the log misses the failures:\n%s", log)
	}
	for _, address := range []string{"127.0.0.1", "192.0.2.7", "[::1]"} {
		if strings.Contains(log, address) {
			t.Errorf("the log carries %s:\n%s", address, log)
		}
	}
}

// cutShort sends a request whose body ends early, and waits for the answer.
func cutShort(t *testing.T, s *site) {
	t.Helper()
	id := identity(t, s.waterford, utility, start)
	conn := dialTLS(t, s, id)
	if _, err := conn.Write([]byte("POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nshort")); err != nil {
		t.Fatal(err)
	}
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 1000)
	n, err := conn.Read(answer)
	if err != nil || !bytes.HasPrefix(answer[:n], []byte("HTTP/1.1 400")) || !bytes.HasSuffix(answer[:n], []byte("\r\n\r\nmalformed\n")) {
		t.Fatalf("%q, %v", answer[:n], err)
	}
}
