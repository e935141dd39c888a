package collector_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/wattveil/wattveil/collector"
	"github.com/wattveil/wattveil/peer"
	"github.com/wattveil/wattveil/wire"
)

// TestRun: the loop posts at once, then once in each interval, goes on while
// the utility is away, and ends with its context.
func TestRun(t *testing.T) {
	f := open(t, func(c *collector.Config) {
		c.Now = nil // real time
		c.Interval = 5 * time.Millisecond
	})
	f.utility.next(away, away, away)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	eventually(t, "several posts", func() bool { return f.Stats().Posts >= 4 })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	last := uint64(0)
	for _, body := range f.utility.posts()[3:] {
		post, err := wire.ParseForward(body)
		if err != nil {
			t.Fatal(err)
		}
		if post.Interval <= last {
			t.Errorf("interval %d is posted after %d", post.Interval, last)
		}
		last = post.Interval
	}
	if f.Stats().FailedPosts != 1 {
		t.Errorf("%+v", f.Stats())
	}
}

var name = peer.Name{Org: "waterford", Role: peer.RoleCollector, Instance: "north"}

// issued is a collector's identity and its utility's authority.
func issued(t *testing.T) (*peer.Identity, *peer.Authority) {
	t.Helper()
	a, err := peer.NewAuthority("waterford", noon)
	if err != nil {
		t.Fatal(err)
	}
	id, err := peer.NewIdentity(a, name, nil, noon)
	if err != nil {
		t.Fatal(err)
	}
	return id, a
}

func TestRenewal(t *testing.T) {
	id, authority := issued(t)
	now := noon
	saved := 0
	f := open(t, func(c *collector.Config) {
		c.Now = func() time.Time { return now }
		c.Identity = id
		c.Save = func(*peer.Identity) error { saved++; return nil }
	})
	f.forward(t)
	if n := len(f.utility.posts()); n != 1 || saved != 0 {
		t.Fatalf("%d posts, %d saved before the certificate is due", n, saved)
	}
	now = noon.Add(61 * 24 * time.Hour)
	f.utility.next(answer(func(*wire.ForwardAnswer) {}), func(request []byte) ([]byte, error) {
		cert, err := authority.IssueRequest(name, request, now)
		if err != nil {
			return nil, err
		}
		return cert.Raw, nil
	})
	f.forward(t)
	f.forward(t)
	if id.Due(now) || saved != 1 || f.Stats().FailedRenewals != 0 {
		t.Errorf("due: %v, saved %d, %+v", id.Due(now), saved, f.Stats())
	}
	if got := f.utility.paths; len(got) != 4 || got[2] != "POST /v1/certificate" {
		t.Errorf("posted to %v", got)
	}
}

// When the utility has gone over to another authority, the collector shows its
// meters what the one before says of it.
func TestRenewalByAnotherAuthority(t *testing.T) {
	dir := t.TempDir()
	id, authority := issued(t)
	if err := errors.Join(authority.Save(dir), peer.PrepareAuthority(dir, name.Org, noon), peer.SwitchAuthority(dir)); err != nil {
		t.Fatal(err)
	}
	next, err := peer.LoadAuthority(dir)
	if err != nil {
		t.Fatal(err)
	}
	now := noon.Add(61 * 24 * time.Hour)
	f := open(t, func(c *collector.Config) {
		c.Now = func() time.Time { return now }
		c.Identity = id
	})
	renewal := func(behind []byte) func([]byte) ([]byte, error) {
		return func(request []byte) ([]byte, error) {
			cert, err := next.IssueRequest(name, request, now)
			if err != nil {
				return nil, err
			}
			return append(cert.Raw, behind...), nil
		}
	}
	for i, behind := range [][]byte{authority.Certificate.Raw, id.Certificate().Raw, {0}} {
		f.utility.next(answer(func(*wire.ForwardAnswer) {}), renewal(behind))
		f.forward(t)
		if !id.Due(now) || f.Stats().FailedRenewals != uint64(i+1) {
			t.Errorf("%d: taken with what is no cross certificate of its authority", i)
		}
	}
	f.utility.next(answer(func(*wire.ForwardAnswer) {}), renewal(next.Cross[0].Raw))
	f.forward(t)
	shown, err := id.ServerTLS().GetCertificate(nil)
	if err != nil || id.Due(now) || len(shown.Certificate) != 2 || !bytes.Equal(shown.Certificate[1], next.Cross[0].Raw) {
		t.Errorf("due: %v, %d certificates shown, %v", id.Due(now), len(shown.Certificate), err)
	}
}

// TestRenewalFails: frames go on, and the certificate in force stays.
func TestRenewalFails(t *testing.T) {
	id, authority := issued(t)
	now := noon.Add(61 * 24 * time.Hour)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := authority.Issue(name, key.Public(), nil, now)
	if err != nil {
		t.Fatal(err)
	}
	at := func(when time.Time) func([]byte) ([]byte, error) {
		return func(request []byte) ([]byte, error) {
			cert, err := authority.IssueRequest(name, request, when)
			if err != nil {
				return nil, err
			}
			return cert.Raw, nil
		}
	}
	for what, reply := range map[string]func([]byte) ([]byte, error){
		"away":          away,
		"garbage":       literal([]byte("hello")),
		"another's key": literal(foreign.Raw),
		"expired":       at(noon.Add(-100 * 24 * time.Hour)),
		"not valid yet": at(now.Add(time.Hour)),
	} {
		f := open(t, func(c *collector.Config) {
			c.Now = func() time.Time { return now }
			c.Identity = id
		})
		f.hold(t, "a")
		f.utility.next(answer(func(*wire.ForwardAnswer) {}), reply)
		if got := f.forward(t); got.Durable != 1 || !id.Due(now) || f.Stats().FailedRenewals != 1 {
			t.Errorf("%s: %+v, due %v, %+v", what, got, id.Due(now), f.Stats())
		}
	}
}

// TestRenewalIsNotKept: the new certificate is in force until the next start.
func TestRenewalIsNotKept(t *testing.T) {
	id, authority := issued(t)
	now := noon.Add(61 * 24 * time.Hour)
	f := open(t, func(c *collector.Config) {
		c.Now = func() time.Time { return now }
		c.Identity = id
		c.Save = func(*peer.Identity) error { return errors.New("disk failed") }
	})
	f.utility.next(answer(func(*wire.ForwardAnswer) {}), func(request []byte) ([]byte, error) {
		cert, err := authority.IssueRequest(name, request, now)
		if err != nil {
			return nil, err
		}
		return cert.Raw, nil
	})
	f.forward(t)
	if id.Due(now) || f.Stats().FailedRenewals != 1 {
		t.Errorf("due %v, %+v", id.Due(now), f.Stats())
	}
}
