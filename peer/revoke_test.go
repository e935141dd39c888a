package peer_test

import (
	"context"
	"crypto/x509"
	"errors"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wattveil/wattveil/peer"
	"github.com/wattveil/wattveil/wire"
)

// tally counts refusals by class.
type tally struct {
	mu      sync.Mutex
	byClass map[wire.Class]int
}

func (c *tally) add(class wire.Class) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byClass == nil {
		c.byClass = make(map[wire.Class]int)
	}
	c.byClass[class]++
}

// take is what was counted since the last call.
func (c *tally) take() map[wire.Class]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	taken := c.byClass
	c.byClass = nil
	return taken
}

// gate is a TTP with one route for utilities, which counts what it refuses.
type gate struct {
	authority *peer.Authority // of waterford
	trust     *peer.Trust
	clock     clock
	refused   tally
	client    func(*peer.Identity) *peer.Client
}

func newGate(t *testing.T) *gate {
	t.Helper()
	early, err := peer.NewAuthority("waterford", start.AddDate(-1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{authority: early, trust: peer.NewTrust()}
	g.clock.set(start)
	trustee := authority(t, "trustee")
	g.trust.Pin("waterford", peer.RoleUtility, g.authority.Certificate)
	server := peer.NewServer(peer.ServerConfig{
		Identity: identity(t, trustee, ttp, start), Trust: g.trust, Now: g.clock.Now, Refused: g.refused.add,
	})
	server.Handle("POST /v1/messages", func(context.Context, peer.Name, *http.Request, []byte) ([]byte, error) {
		return []byte("taken"), nil
	}, peer.RoleUtility)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		if err := errors.Join(server.Close(), <-served); err != nil {
			t.Error(err)
		}
	})
	clientTrust := peer.NewTrust()
	clientTrust.Pin("trustee", peer.RoleTTP, trustee.Certificate)
	g.client = func(id *peer.Identity) *peer.Client {
		c := peer.NewClient(peer.ClientConfig{
			Identity: id, Trust: clientTrust, Server: ttp, URL: "https://" + l.Addr().String(),
			Now: func() time.Time { return start },
		})
		t.Cleanup(c.Close)
		return c
	}
	return g
}

func ask(t *testing.T, c *peer.Client) error {
	t.Helper()
	_, err := c.Do(t.Context(), "POST", "/v1/messages", nil)
	return err
}

// TestRefusedByClass has each kind of certificate refused before any request,
// and counted under its class.
func TestRefusedByClass(t *testing.T) {
	lisbon := authority(t, "lisbon")
	for _, test := range []struct {
		name  string
		class wire.Class
		id    func(*gate) *peer.Identity
	}{
		{"foreign authority", peer.ErrUntrusted, func(*gate) *peer.Identity {
			return identity(t, lisbon, utility, start)
		}},
		{"collector at a server for utilities", peer.ErrUntrusted, func(g *gate) *peer.Identity {
			return identity(t, g.authority, collector, start)
		}},
		{"expired", peer.ErrExpired, func(g *gate) *peer.Identity {
			return identity(t, g.authority, utility, start.Add(-peer.CertificateLifetime-time.Hour))
		}},
		{"not valid yet", peer.ErrExpired, func(g *gate) *peer.Identity {
			return identity(t, g.authority, utility, start.Add(time.Hour))
		}},
		{"expired and of a foreign authority", peer.ErrUntrusted, func(*gate) *peer.Identity {
			return identity(t, lisbon, utility, start.Add(-peer.CertificateLifetime-time.Hour))
		}},
		{"removed organisation", peer.ErrRevoked, func(g *gate) *peer.Identity {
			g.trust.Revoke("waterford", peer.RoleUtility)
			return identity(t, g.authority, utility, start)
		}},
		{"removed certificate", peer.ErrRevoked, func(g *gate) *peer.Identity {
			g.trust.PinKnown("waterford", peer.RoleUtility, g.authority.Certificates(),
				func(peer.Name, *x509.Certificate) bool { return false })
			return identity(t, g.authority, utility, start)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := newGate(t)
			err := ask(t, g.client(test.id(g)))
			var refusal *peer.Refusal
			if err == nil || errors.As(err, &refusal) || !strings.Contains(err.Error(), "does not accept our certificate") {
				t.Errorf("%v, want the server's alert explained", err)
			}
			if got := g.refused.take(); !maps.Equal(got, map[wire.Class]int{test.class: 1}) {
				t.Errorf("counted %v, want %s once", got, test.class)
			}
		})
	}
}

// TestRevokedOnOpenConnections has what is true at the handshake no longer be
// so at the next request of the same connection.
func TestRevokedOnOpenConnections(t *testing.T) {
	for _, test := range []struct {
		name   string
		class  wire.Class
		change func(*gate)
	}{
		{"removed organisation", peer.ErrRevoked, func(g *gate) { g.trust.Revoke("waterford", peer.RoleUtility) }},
		{"another authority", peer.ErrUntrusted, func(g *gate) {
			g.trust.Pin("waterford", peer.RoleUtility, authority(t, "waterford").Certificate)
		}},
		{"expired meanwhile", peer.ErrExpired, func(g *gate) { g.clock.set(start.Add(peer.CertificateLifetime + time.Second)) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := newGate(t)
			c := g.client(identity(t, g.authority, utility, start))
			if err := ask(t, c); err != nil {
				t.Fatal(err)
			}
			test.change(g)
			var refusal *peer.Refusal
			if err := ask(t, c); !errors.As(err, &refusal) || refusal.Status != http.StatusForbidden || refusal.Class != test.class {
				t.Errorf("%v, want a refusal as %s", err, test.class)
			}
			if got := g.refused.take(); !maps.Equal(got, map[wire.Class]int{test.class: 1}) {
				t.Errorf("counted %v, want %s once", got, test.class)
			}
			g.clock.set(start)
			g.trust.Pin("waterford", peer.RoleUtility, g.authority.Certificate)
			if err := ask(t, c); err != nil {
				t.Errorf("let in again: %v", err)
			}
		})
	}
}

func TestReload(t *testing.T) {
	a, dir := authority(t, "waterford"), t.TempDir()
	id := identity(t, a, utility, start)
	save := func(id *peer.Identity) {
		t.Helper()
		if err := id.Save(dir, "server"); err != nil {
			t.Fatal(err)
		}
	}
	save(id)
	if changed, err := id.Reload(dir, "server"); changed || err != nil {
		t.Errorf("the same files: %v, %v", changed, err)
	}
	other := identity(t, a, utility, start.Add(time.Hour)) // another key, too
	save(other)
	if changed, err := id.Reload(dir, "server"); !changed || err != nil || !id.Certificate().Equal(other.Certificate()) {
		t.Errorf("other files: %v, %v", changed, err)
	}
	save(identity(t, a, collector, start))
	if changed, err := id.Reload(dir, "server"); changed || err == nil || !id.Certificate().Equal(other.Certificate()) {
		t.Errorf("another party's files: %v, %v", changed, err)
	}
	if _, err := id.Reload(t.TempDir(), "server"); err == nil {
		t.Error("an empty folder: no error")
	}
}
