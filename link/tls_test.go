package link_test

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/link"
	"github.com/wattveil/wattveil/link/broker"
	"github.com/wattveil/wattveil/peer"
)

const org = "utility.example"

// began is when the certificates of these tests were made.
func began() time.Time { return time.Now().Truncate(time.Second) }

func authority(t *testing.T, org string) *peer.Authority {
	t.Helper()
	a, err := peer.NewAuthority(org, began())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func identity(t *testing.T, a *peer.Authority, name peer.Name) *peer.Identity {
	t.Helper()
	id, err := peer.NewIdentity(a, name, nil, began())
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func north() peer.Name { return peer.Name{Org: org, Role: peer.RoleCollector, Instance: "north"} }

// serveTLS serves an identity, nil for none, and gives the address.
func serveTLS(t *testing.T, l net.Listener, k *taker, id *peer.Identity) (address string) {
	t.Helper()
	cfg := broker.Config{
		Authenticate: func(id wattveil.MeterID, p string) bool { return id == meter && p == password },
		Receive:      k.receive,
	}
	if id != nil {
		cfg.TLS = id.ServerTLS()
	}
	b, err := broker.Serve(l, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return l.Addr().String()
}

func dialTLS(t *testing.T, cfg link.Config) *link.Client {
	t.Helper()
	cfg.ID, cfg.Password, cfg.Domain = meter, password, org
	c, err := link.Dial(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// refusal waits for the reason why a client does not connect.
func refusal(t *testing.T, c *link.Client) string {
	t.Helper()
	for end := time.Now().Add(deadline); time.Now().Before(end); {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		err := c.Await(ctx)
		cancel()
		if err == nil {
			t.Fatal("it connects")
		}
		_, reason, _ := strings.Cut(err.Error(), "]: ")
		if reason != context.DeadlineExceeded.Error() {
			return reason
		}
	}
	t.Fatal("there is no reason")
	return ""
}

func TestTLSRefusals(t *testing.T) {
	own, foreign := authority(t, org), authority(t, org)
	collector := identity(t, own, north())
	later := func() time.Time { return began().Add(peer.CertificateLifetime + time.Hour) }
	for _, test := range []struct {
		name   string
		serves *peer.Identity // nil for no TLS
		scheme string
		now    func() time.Time
		want   string
	}{
		{"another authority", identity(t, foreign, north()), "mqtts", nil, "not from the authority in the meter's provisioning record"},
		{"another role", identity(t, own, peer.Name{Org: org, Role: peer.RoleUtility}), "mqtts", nil, "names no collector of " + org},
		{"another organisation", identity(t, own, peer.Name{Org: "other.example", Role: peer.RoleCollector, Instance: "north"}), "mqtts", nil,
			"names no collector of " + org},
		{"expired", collector, "mqtts", later, "it ended on "},
		{"no TLS at the collector", nil, "mqtts", nil, "mqtt:// if"},
		{"no TLS at the meter", collector, "mqtt", nil, "mqtts:// if it serves TLS"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var k taker
			address := serveTLS(t, listen(t, "127.0.0.1:0"), &k, test.serves)
			c := dialTLS(t, link.Config{Brokers: []string{test.scheme + "://" + address}, Authority: own.Certificate, Now: test.now})
			if got := refusal(t, c); !strings.Contains(got, test.want) || strings.Contains(got, "\n") {
				t.Errorf("refused with %q, want %q in it", got, test.want)
			}
			if k.taken() != "" {
				t.Error("a frame was taken")
			}
		})
	}
}

// A meter whose clock has lost the time connects, so that it can be told.
func TestTLSWithoutAClock(t *testing.T) {
	own := authority(t, org)
	var k taker
	address := serveTLS(t, listen(t, "127.0.0.1:0"), &k, identity(t, own, north()))
	c := dialTLS(t, link.Config{
		Brokers: []string{"mqtts://" + address}, Authority: own.Certificate, Now: func() time.Time { return time.Unix(0, 0) },
	})
	publish(t, c, "frame")
}

func TestTLSNeedsAnAuthority(t *testing.T) {
	_, err := link.Dial(link.Config{Brokers: []string{"mqtts://127.0.0.1:8883"}, ID: meter})
	if err == nil || !strings.Contains(err.Error(), "have the meter provisioned anew") {
		t.Errorf("dialled without the authority: %v", err)
	}
}

// A renewed certificate is presented from the next connection on.
func TestTLSRenewed(t *testing.T) {
	own := authority(t, org)
	id := identity(t, own, north())
	var k taker
	address := serveTLS(t, listen(t, "127.0.0.1:0"), &k, id)
	later := began().Add(peer.CertificateLifetime + time.Hour)
	c := dialTLS(t, link.Config{Brokers: []string{"mqtts://" + address}, Authority: own.Certificate, Now: func() time.Time { return later }})
	if got := refusal(t, c); !strings.Contains(got, "it ended on ") {
		t.Fatal(got)
	}
	if err := id.Renew(own, later); err != nil {
		t.Fatal(err)
	}
	publish(t, c, "frame")
}

// recorder is a listener that keeps what clients send.
type recorder struct {
	net.Listener
	mu   sync.Mutex
	sent []byte
}

func (r *recorder) Accept() (net.Conn, error) {
	conn, err := r.Listener.Accept()
	return &recorded{conn, r}, err
}

type recorded struct {
	net.Conn
	by *recorder
}

func (c *recorded) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.by.mu.Lock()
	defer c.by.mu.Unlock()
	c.by.sent = append(c.by.sent, b[:n]...)
	return n, err
}

// Over TLS an outsider sees neither who sends nor the password.
func TestTLSHidesTheMeter(t *testing.T) {
	own := authority(t, org)
	for scheme, id := range map[string]*peer.Identity{"mqtt": nil, "mqtts": identity(t, own, north())} {
		r := &recorder{Listener: listen(t, "127.0.0.1:0")}
		address := serveTLS(t, r, new(taker), id)
		publish(t, dialTLS(t, link.Config{Brokers: []string{scheme + "://" + address}, Authority: own.Certificate}), "the frame")
		r.mu.Lock()
		for _, secret := range []string{meter.String(), password, "the frame"} {
			if seen := strings.Contains(string(r.sent), secret); seen != (scheme == "mqtt") {
				t.Errorf("%s: %q seen: %v", scheme, secret, seen)
			}
		}
		r.mu.Unlock()
	}
}
