package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/clpke"
	"github.com/wattveil/wattveil/kgc"
	"github.com/wattveil/wattveil/peer"
	"github.com/wattveil/wattveil/wire"
)

// besieged is two utilities at a TTP, one with a collector, that somebody with
// the wrong papers calls.
type besieged struct {
	*world
	ttp, utility, other *site
	collector           *peer.Identity
}

func besiege(t *testing.T) *besieged {
	t.Helper()
	w := newWorld(t)
	b := &besieged{world: w}
	b.ttp = w.ttp("ttp-first")
	b.utility = w.utility("utility-a", nil, b.ttp)
	b.other = w.utility("utility-b", nil, b.ttp)
	dir, _ := w.collector(b.utility, "north")
	var err error
	if b.collector, err = peer.LoadIdentity(dir, serverIdentity); err != nil {
		t.Fatal(err)
	}
	return b
}

// client calls a site, whose certificate it trusts, as somebody.
func (b *besieged) client(to *site, as *peer.Identity) *peer.Client {
	b.Helper()
	trust := peer.NewTrust()
	name := b.identity(to).Name
	trust.Pin(name.Org, name.Role, b.authority(to).Certificate)
	c := peer.NewClient(peer.ClientConfig{Identity: as, Trust: trust, Server: name, URL: to.url})
	b.Cleanup(c.Close)
	return c
}

// identity is a site's own.
func (b *besieged) identity(s *site) *peer.Identity {
	b.Helper()
	id, err := peer.LoadIdentity(s.dir, serverIdentity)
	if err != nil {
		b.Fatal(err)
	}
	return id
}

// issue has an authority certify a name for a life that begins at a time.
func (b *besieged) issue(a *peer.Authority, name peer.Name, begin time.Time) *peer.Identity {
	b.Helper()
	id, err := peer.NewIdentity(a, name, nil, begin)
	if err != nil {
		b.Fatal(err)
	}
	return id
}

// over is a beginning that makes a certificate be over for a minute.
func over() time.Time { return time.Now().Add(-peer.CertificateLifetime - time.Minute) }

// TestRefusedHandshakes calls both servers with every certificate that they
// must not take. Each ends with a TLS alert and is counted under its class.
func TestRefusedHandshakes(t *testing.T) {
	b := besiege(t)
	stranger, err := peer.NewAuthority("utility-a", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	own, theirs := b.authority(b.utility), b.authority(b.ttp)
	asUtility := peer.Name{Org: "utility-a", Role: peer.RoleUtility}
	asCollector := peer.Name{Org: "utility-a", Role: peer.RoleCollector, Instance: "north"}
	for _, c := range []struct {
		what  string
		to    *site
		as    *peer.Identity
		class string
	}{
		{"a collector at the TTP", b.ttp, b.collector, "untrusted"},
		{"a utility at a utility", b.utility, b.identity(b.utility), "untrusted"},
		{"another utility at a utility", b.utility, b.identity(b.other), "untrusted"},
		{"the TTP at a utility", b.utility, b.identity(b.ttp), "untrusted"},
		{"the TTP at itself", b.ttp, b.identity(b.ttp), "untrusted"},
		{"a utility by the TTP's authority", b.ttp, b.issue(theirs, asUtility, time.Now()), "untrusted"},
		{"a utility by another's authority", b.ttp, b.issue(b.authority(b.other), asUtility, time.Now()), "untrusted"},
		{"a utility by an unknown authority", b.ttp, b.issue(stranger, asUtility, time.Now()), "untrusted"},
		{"a collector by an unknown authority", b.utility, b.issue(stranger, asCollector, time.Now()), "untrusted"},
		{"an unknown utility", b.ttp, b.issue(stranger, peer.Name{Org: "nobody", Role: peer.RoleUtility}, time.Now()), "untrusted"},
		{"a utility whose certificate is over", b.ttp, b.issue(own, asUtility, over()), "expired"},
		{"a collector whose certificate is over", b.utility, b.issue(own, asCollector, over()), "expired"},
		{"a utility whose certificate has not begun", b.ttp, b.issue(own, asUtility, time.Now().Add(time.Hour)), "expired"},
		{"a collector with a key that it was not given", b.utility, b.issue(own, asCollector, time.Now()), "revoked"},
		{"a collector that nobody added", b.utility, b.issue(own, peer.Name{Org: "utility-a", Role: peer.RoleCollector, Instance: "south"}, time.Now()), "revoked"},
	} {
		before := c.to.refusals(c.class)
		_, err := b.client(c.to, c.as).Do(t.Context(), "GET", "/v1/bill-keys", nil)
		var refusal *peer.Refusal
		if err == nil || errors.As(err, &refusal) || !strings.Contains(err.Error(), "does not accept our certificate") {
			t.Errorf("%s: %v, want an alert", c.what, err)
		}
		if n := c.to.refusals(c.class) - before; n != 1 {
			t.Errorf("%s: counted %d times as %s, want once", c.what, n, c.class)
		}
	}
	for _, to := range []*site{b.ttp, b.utility} {
		before := to.refusals("untrusted")
		conn, err := tls.Dial("tcp", to.listen, &tls.Config{InsecureSkipVerify: true}) // the server is not what is tested
		if err == nil {
			_, err = conn.Read(make([]byte, 1)) // in TLS 1.3 the alert comes after the client's part
			_ = conn.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "remote error: tls") {
			t.Errorf("%s, without a certificate: %v", to.name, err)
		}
		if n := to.refusals("untrusted") - before; n != 1 {
			t.Errorf("%s, without a certificate: counted %d times", to.name, n)
		}
	}
}

// TestRefusedOnOpenConnections has a certificate no longer be good while its
// connection is open: the next request is refused by its class.
func TestRefusedOnOpenConnections(t *testing.T) {
	b := besiege(t)
	asUtility := peer.Name{Org: "utility-a", Role: peer.RoleUtility}
	own := b.authority(b.utility)
	brief := b.issue(own, asUtility, time.Now().Add(3*time.Second-peer.CertificateLifetime))
	north := b.issue(own, peer.Name{Org: "utility-a", Role: peer.RoleKGC}, time.Now()) // a role that no route is for
	for _, c := range []struct {
		what          string
		to            *site
		as            *peer.Identity
		method, path  string
		first, second string // classes of the answers; none is success
		then          func()
	}{
		{"a certificate that ends", b.ttp, brief, "GET", "/v1/bill-keys", "", "expired", func() {}},
		{"a utility that is removed", b.ttp, b.identity(b.other), "GET", "/v1/bill-keys", "", "revoked",
			func() { b.do("ttp", "utility", "remove", "utility-b", "--dir", b.ttp.dir) }},
		{"a collector that is removed", b.utility, b.collector, "POST", "/v1/forward", "malformed", "revoked",
			func() { b.do("utility", "collector", "remove", "north", "--dir", b.utility.dir) }},
		{"a role that may not call", b.ttp, north, "GET", "/v1/bill-keys", "forbidden", "forbidden", func() {}},
	} {
		client := b.client(c.to, c.as)
		ask := func() string {
			_, err := client.Do(t.Context(), c.method, c.path, nil)
			var refusal *peer.Refusal
			if errors.As(err, &refusal) {
				return string(refusal.Class)
			}
			if err != nil {
				t.Fatalf("%s: %v", c.what, err)
			}
			return ""
		}
		if got := ask(); got != c.first {
			t.Errorf("%s: answered %q before, want %q", c.what, got, c.first)
		}
		before := c.to.refusals(c.second)
		c.then()
		b.wait(c.what, func() bool { return ask() == c.second })
		if n := c.to.refusals(c.second) - before; n != 1 {
			t.Errorf("%s: counted %d times as %s, want once", c.what, n, c.second)
		}
	}
}

// TestAnotherUtilitysNumber has a utility name another one's number wherever a
// body could carry it.
func TestAnotherUtilitysNumber(t *testing.T) {
	b := besiege(t)
	client := b.client(b.ttp, b.identity(b.utility))
	const own, foreign = wattveil.UCNumber(1), wattveil.UCNumber(2)
	var told wire.Enrolment
	answer, err := client.Do(t.Context(), "POST", "/v1/enrolment", nil)
	if err != nil || json.Unmarshal(answer, &told) != nil || told.Number != own {
		t.Fatalf("%s, %v", answer, err)
	}
	mu, err := clpke.ParsePoint(told.Mu)
	if err != nil {
		t.Fatal(err)
	}
	cheat := b.cheat(foreign)
	statement, partial := cheat.issue(clpke.TTPIdentity(foreign, told.Name), mu)
	meterKey, err := clpke.NewUserKey()
	if err != nil {
		t.Fatal(err)
	}
	ofMeter, _ := cheat.issue(clpke.MeterIdentity(wattveil.Meter{UC: foreign, Pseudonym: 7}), meterKey.Public())
	key := wire.EnrolmentKey{Statement: statement, PartialKey: partial.Bytes(), Certificate: cheat.certificate}
	for _, c := range []struct {
		what, method, path string
		body               any
		class              string
	}{
		{"the statement of the TTP's key", "PUT", "/v1/enrolment", key, "malformed"},
		{"a member of the enrolment", "POST", "/v1/enrolment", map[string]any{"uc_number": foreign}, "malformed"},
		{"a member of the statements", "POST", "/v1/meters", map[string]any{"uc_number": foreign, "statements": []string{}}, "malformed"},
		{"a member of the bills", "POST", "/v1/bills", map[string]any{"uc_number": foreign, "tariff": "flat"}, "malformed"},
		{"a member of a tariff", "PUT", "/v1/tariffs", json.RawMessage(`{"uc_number": 2,` + flatTariff[1:]), "malformed"},
	} {
		body, err := json.Marshal(c.body)
		if err != nil {
			t.Fatal(err)
		}
		before := b.ttp.refusals(c.class)
		_, err = client.Do(t.Context(), c.method, c.path, body)
		var refusal *peer.Refusal
		if !errors.As(err, &refusal) || string(refusal.Class) != c.class {
			t.Errorf("%s: %v, want %s", c.what, err, c.class)
		}
		if n := b.ttp.refusals(c.class) - before; n != 1 {
			t.Errorf("%s: counted %d times, want once", c.what, n)
		}
	}
	// A meter's statement is refused by position, by the KGC key that the
	// utility has enrolled or by any other.
	const refused = `wattveil_refused_total{class="forged",role="ttp"}`
	before := b.ttp.metric(refused)
	body, err := json.Marshal(wire.MeterStatements{Statements: [][]byte{ofMeter}})
	if err != nil {
		t.Fatal(err)
	}
	var given wire.MeterStatementsAnswer
	answer, err = client.Do(t.Context(), "POST", "/v1/meters", body)
	if err != nil || json.Unmarshal(answer, &given) != nil || len(given.Refused) != 1 || given.Refused[0].Class != wire.Forged {
		t.Errorf("a meter's statement: %s, %v", answer, err)
	}
	if n := b.ttp.metric(refused) - before; n != 1 {
		t.Errorf("a meter's statement: counted %v times, want once", n)
	}
	b.checkCounts(b.ttp, map[string]int{"utility-a": 0, "utility-b": 0})
}

// cheat is a KGC of utility-a that issues keys under another's number.
type cheat struct {
	*besieged
	center      *kgc.KGC
	certificate []byte
}

func (b *besieged) cheat(number wattveil.UCNumber) *cheat {
	b.Helper()
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	master, err := kgc.NewMasterKey()
	if err != nil {
		b.Fatal(err)
	}
	cert, err := b.authority(b.utility).Issue(peer.Name{Org: "utility-a", Role: peer.RoleKGC}, signer.Public(), nil, time.Now())
	if err != nil {
		b.Fatal(err)
	}
	center, err := kgc.New(kgc.Config{Master: master, Signer: signer, UC: number})
	if err != nil {
		b.Fatal(err)
	}
	return &cheat{b, center, cert.Raw}
}

func (c *cheat) issue(id clpke.Identity, mu clpke.Point) (clpke.SignedStatement, *clpke.PartialKey) {
	c.Helper()
	now := time.Now().Unix()
	statement, partial, err := c.center.Issue(id, mu, 9, now-60, now+86400)
	if err != nil {
		c.Fatal(err)
	}
	return statement, partial
}
