package peer_test

import (
	"bytes"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wattveil/wattveil/peer"
	"github.com/wattveil/wattveil/wire"
)

// An organisation goes over to its next authority while a connection is open,
// and nobody who pinned both notices.
func TestRollover(t *testing.T) {
	g, dir := newGate(t), t.TempDir()
	if err := g.authority.Save(dir); err != nil {
		t.Fatal(err)
	}
	before := identity(t, g.authority, utility, start)
	c := g.client(before)
	if err := ask(t, c); err != nil {
		t.Fatal(err)
	}
	if err := peer.PrepareAuthority(dir, "waterford", start); err != nil {
		t.Fatal(err)
	}
	both, err := peer.AnnouncedAuthorities(dir)
	if err != nil || len(both) != 2 || !both[0].Equal(g.authority.Certificate) {
		t.Fatalf("announced: %d certificates, %v", len(both), err)
	}
	text := peer.EncodeCertificates(both)
	if both, err = peer.ParseAuthorities(text); err != nil || len(both) != 2 {
		t.Fatalf("parsed: %d certificates, %v", len(both), err)
	}
	g.trust.Pin("waterford", peer.RoleUtility, both...)
	if err := peer.SwitchAuthority(dir); err != nil {
		t.Fatal(err)
	}
	next, err := peer.LoadAuthority(dir)
	if err != nil || !next.Certificate.Equal(both[1]) || next.Former == nil || !next.Former.Equal(both[0]) || len(next.Certificates()) != 2 {
		t.Fatalf("after the switch: %v", err)
	}
	if list := next.Cross; len(list) != 1 || list[0].CheckSignatureFrom(both[0]) != nil || !list[0].NotAfter.Equal(both[0].NotAfter) ||
		!bytes.Equal(list[0].RawSubjectPublicKeyInfo, both[1].RawSubjectPublicKeyInfo) {
		t.Errorf("cross certificates: %v", list)
	}
	after := identity(t, next, utility, start)
	if err := ask(t, g.client(after)); err != nil {
		t.Errorf("by the next authority: %v", err)
	}
	if err := ask(t, c); err != nil {
		t.Errorf("by the former one, on an open connection: %v", err)
	}
	if err := before.Recertify(next, start); err != nil {
		t.Fatal(err)
	}
	if list, err := peer.AnnouncedAuthorities(dir); err != nil || len(list) != 1 || !list[0].Equal(both[1]) {
		t.Errorf("announced after the switch: %d certificates, %v", len(list), err)
	}
	g.trust.Pin("waterford", peer.RoleUtility, both[1])
	if err := ask(t, c); err == nil {
		t.Error("the former authority is forgotten, and its certificate is taken")
	}
	if err := ask(t, g.client(before)); err != nil {
		t.Errorf("the same key, certified again: %v", err)
	}
}

// What an identity shows beside its certificate is kept with it, handed to
// collectors, and of its own authority.
func TestCrossCertificates(t *testing.T) {
	dir := t.TempDir()
	first := authority(t, "waterford")
	if err := first.Save(dir); err != nil {
		t.Fatal(err)
	}
	id := identity(t, first, collector, start)
	for range 2 {
		if err := errors.Join(peer.PrepareAuthority(dir, "waterford", start), peer.SwitchAuthority(dir)); err != nil {
			t.Fatal(err)
		}
	}
	a, err := peer.LoadAuthority(dir)
	if err != nil || len(a.Cross) != 2 {
		t.Fatalf("%d cross certificates, %v", len(a.Cross), err)
	}
	if err := id.Recertify(a, start); err != nil {
		t.Fatal(err)
	}
	shown := func(id *peer.Identity) int {
		c, err := id.ServerTLS().GetCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		return len(c.Certificate)
	}
	if err := id.Save(dir, "server"); err != nil {
		t.Fatal(err)
	}
	loaded, err := peer.LoadIdentity(dir, "server")
	if err != nil || shown(loaded) != 3 {
		t.Errorf("loaded: %d certificates, %v", shown(loaded), err)
	}
	handed, err := peer.Credentials{
		Server:   peer.Contact{Name: utility, URL: "https://utility.example:8440", Authorities: []*x509.Certificate{a.Certificate}},
		Identity: id,
	}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if c, err := peer.ParseCredentials(handed); err != nil || shown(c.Identity) != 3 {
		t.Errorf("handed on: %v", err)
	}
	for name, cross := range map[string][]*x509.Certificate{
		"in another order": {a.Cross[1], a.Cross[0]}, "of another key": {authority(t, "waterford").Certificate},
		"no authority's": {id.Certificate()}, "too many": {a.Cross[0], a.Cross[1], first.Certificate, first.Certificate},
	} {
		if err := id.Replace(id.Certificate(), cross...); err == nil || shown(id) != 3 {
			t.Errorf("%s: %v, and %d certificates are shown", name, err, shown(id))
		}
	}
	if err := id.Replace(id.Certificate()); err != nil || shown(id) != 1 {
		t.Fatalf("replaced by one without: %v", err)
	}
	if changed, err := id.Reload(dir, "server"); !changed || err != nil || shown(id) != 3 {
		t.Errorf("reloaded: %v, %v, %d certificates", changed, err, shown(id))
	}
}

// A party whose own organisation shows a later certificate by another authority
// has its own one renewed.
func TestSuperseded(t *testing.T) {
	first, next, other := authority(t, "waterford"), authority(t, "waterford"), authority(t, "trustee")
	for name, test := range map[string]struct {
		server  *peer.Authority
		as      peer.Name
		at      time.Duration // of the server's certificate, from the client's
		renewed bool
	}{
		"the same authority":        {first, utility, time.Hour, false},
		"the next one":              {next, utility, time.Hour, true},
		"the next one, long before": {next, utility, -time.Hour, false},
		"another organisation's":    {other, ttp, time.Hour, false},
	} {
		trust := peer.NewTrust()
		trust.Pin(test.as.Org, test.as.Role, test.server.Certificate)
		trust.Pin("waterford", peer.RoleCollector, first.Certificate)
		server := peer.NewServer(peer.ServerConfig{
			Identity: identity(t, test.server, test.as, start.Add(test.at)), Trust: trust, Now: func() time.Time { return start.Add(time.Hour) },
		})
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() { _ = server.Serve(l) }()
		t.Cleanup(func() { _ = server.Close() })
		id := identity(t, first, collector, start)
		c := peer.NewClient(peer.ClientConfig{
			Identity: id, Trust: trust, Server: test.as, URL: "https://" + l.Addr().String(), Now: func() time.Time { return start.Add(time.Hour) },
		})
		t.Cleanup(c.Close)
		if _, err := c.Do(t.Context(), "POST", "/v1/forward", nil); !errors.Is(err, wire.Class("no-route")) {
			t.Fatalf("%s: %v", name, err)
		}
		if id.Due(start.Add(time.Hour)) != test.renewed {
			t.Errorf("%s: due is %v", name, !test.renewed)
		}
		if err := id.Recertify(next, start); err != nil || id.Due(start) {
			t.Errorf("%s: due after it was renewed, %v", name, err)
		}
	}
}

// A client whose trust changes needs no new one.
func TestClientFollowsTrust(t *testing.T) {
	s := newSite(t)
	trust := peer.NewTrust()
	trust.Pin("trustee", peer.RoleTTP, authority(t, "trustee").Certificate)
	c := peer.NewClient(peer.ClientConfig{
		Identity: identity(t, s.waterford, utility, start), Trust: trust, Server: ttp, URL: s.url, Now: s.clientClock.Now,
	})
	t.Cleanup(c.Close)
	if _, err := c.Do(t.Context(), "POST", "/v1/messages", nil); err == nil || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("another authority of the server: %v", err)
	}
	trust.Pin("trustee", peer.RoleTTP, s.trustee.Certificate)
	if _, err := c.Do(t.Context(), "POST", "/v1/messages", nil); err != nil {
		t.Errorf("after its authority was pinned: %v", err)
	}
}

func TestSwitchAuthorityGoesOn(t *testing.T) {
	dir := t.TempDir()
	first := authority(t, "waterford")
	if err := first.Save(dir); err != nil {
		t.Fatal(err)
	}
	if err := peer.SwitchAuthority(dir); err == nil || !strings.Contains(err.Error(), "prepare one first") {
		t.Errorf("nothing prepared: %v", err)
	}
	if err := peer.PrepareAuthority(dir, "waterford", start); err != nil {
		t.Fatal(err)
	}
	if err := peer.PrepareAuthority(dir, "waterford", start); err == nil || !strings.Contains(err.Error(), "one already") {
		t.Errorf("prepared twice: %v", err)
	}
	if err := os.Rename(filepath.Join(dir, "authority-next.crt"), filepath.Join(dir, "kept")); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(dir, "kept"))
	if err != nil {
		t.Fatal(err)
	}
	// A stop after the certificate was replaced and before the key was.
	for _, name := range []string{"authority-next.crt", "authority.crt"} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := peer.LoadAuthority(dir); err == nil {
		t.Error("half of a switch is loaded")
	}
	if err := peer.SwitchAuthority(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := peer.LoadAuthority(dir); err != nil {
		t.Error(err)
	}
}

// A switch that stops before the authority is replaced makes its cross
// certificate again, and not a second one.
func TestSwitchAuthorityBeginsAgain(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(authority(t, "waterford").Save(dir), peer.PrepareAuthority(dir, "waterford", start)); err != nil {
		t.Fatal(err)
	}
	before := make(map[string][]byte)
	for _, name := range []string{"authority.crt", "authority.key", "authority-next.crt", "authority-next.key"} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		before[name] = content
	}
	for range 2 {
		for name, content := range before {
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := peer.SwitchAuthority(dir); err != nil {
			t.Fatal(err)
		}
	}
	a, err := peer.LoadAuthority(dir)
	if err != nil || len(a.Cross) != 1 {
		t.Fatalf("%d cross certificates, %v", len(a.Cross), err)
	}
	if _, err := peer.NewIdentity(a, collector, nil, start); err != nil {
		t.Error(err)
	}
}

func TestParseAuthoritiesRefuses(t *testing.T) {
	a := authority(t, "waterford")
	one := string(peer.EncodeCertificates([]*x509.Certificate{a.Certificate}))
	leaf := string(peer.EncodeCertificates([]*x509.Certificate{identity(t, a, utility, start).Certificate()}))
	for name, text := range map[string]string{
		"nothing": "", "no PEM": "certificate", "a leaf": leaf, "a leaf behind one": one + leaf, "text behind": one + "x",
		"five": strings.Repeat(one, 5), "another kind": strings.ReplaceAll(one, "CERTIFICATE", "PRIVATE KEY"),
	} {
		if list, err := peer.ParseAuthorities([]byte(text)); err == nil {
			t.Errorf("%s: %d certificates", name, len(list))
		}
	}
	if list, err := peer.ParseAuthorities([]byte("\n" + one + "\n" + one + "\n")); err != nil || len(list) != 2 {
		t.Errorf("two: %d certificates, %v", len(list), err)
	}
}

func FuzzParseAuthorities(f *testing.F) {
	a, err := peer.NewAuthority("waterford", start)
	if err != nil {
		f.Fatal(err)
	}
	one := peer.EncodeCertificates([]*x509.Certificate{a.Certificate})
	f.Add(one)
	f.Add(append(one, one...))
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		list, err := peer.ParseAuthorities(raw)
		if err != nil {
			return
		}
		again, err := peer.ParseAuthorities(peer.EncodeCertificates(list))
		if err != nil || len(again) != len(list) {
			t.Errorf("%d certificates, then %d, %v", len(list), len(again), err)
		}
	})
}

// Who has a wrong clock is told so, on either side.
func TestWrongClock(t *testing.T) {
	for name, test := range map[string]struct {
		years int
		want  string
	}{
		"a client in the past":   {-1, "one of the two clocks may be wrong"},
		"a client in the future": {1, "one of the two clocks may be wrong"},
	} {
		s := newSite(t)
		s.clientClock.set(start.AddDate(test.years, 0, 0))
		_, err := s.client(t, identity(t, s.waterford, utility, start)).Do(t.Context(), "POST", "/v1/messages", nil)
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "current time") {
			t.Errorf("%s: %v", name, err)
		}
	}
	s := newSite(t)
	s.serverClock.set(start.AddDate(1, 0, 0)) // so that the client is refused
	_, err := s.client(t, identity(t, s.waterford, utility, start)).Do(t.Context(), "POST", "/v1/messages", nil)
	if err == nil || !strings.Contains(err.Error(), "expired by its clock") || !strings.Contains(s.log.String(), "class=expired") {
		t.Errorf("a server in the future: %v\n%s", err, s.log.String())
	}
}
