package ttp

import (
	"strings"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/wire"
)

func TestPortalRefusesCodes(t *testing.T) {
	p := newPortalRig(t)
	m, other := p.company.keyed(7), p.company.keyed(8)
	p.serve()
	old := m.code(1)
	m.agree(2)
	for name, c := range map[string]struct {
		code, class string
	}{
		"malformed":             {"0123", "malformed"},
		"of an unknown meter":   {wire.NewClaimCode(wattveil.Meter{UC: 1, Pseudonym: 99}, m.epochs[2].keys.Claim).Text(), "unknown"},
		"of an earlier epoch":   {old, "earlier-epoch"},
		"with another's secret": {wire.NewClaimCode(other.name, m.epochs[2].keys.Claim).Text(), "interception"},
	} {
		got := p.ask("POST", "/claim", "code="+c.code, nil)
		if got.status != 422 || got.class != c.class {
			t.Errorf("a code %s: %d %s, want 422 %s", name, got.status, got.class, c.class)
		}
		german := p.ask("POST", "/claim", "code="+c.code, nil, "Accept-Language", "de")
		for class, hint := range map[string][2]string{
			"interception": {"Possible interception", "Mögliches Abhören"},
			"unknown":      {"given it another number", "andere Nummer gegeben"},
		} {
			if told := c.class == class; told != strings.Contains(got.body, hint[0]) || told != strings.Contains(german.body, hint[1]) {
				t.Errorf("a code %s is told of %q, or not, wrongly", name, hint)
			}
		}
		for _, cookie := range got.cookies {
			if cookie.Name == "__Host-proof" {
				t.Errorf("a code %s gave a proof", name)
			}
		}
	}
	for range failuresPerHour {
		p.ask("POST", "/claim", "code="+wire.NewClaimCode(other.name, m.epochs[2].keys.Claim).Text(), nil)
	}
	if got := p.ask("POST", "/claim", "code="+wire.NewClaimCode(other.name, m.epochs[2].keys.Claim).Text(), nil); got.status != 429 || got.class != "limited" {
		t.Errorf("many wrong codes: %d %s, want 429 limited", got.status, got.class)
	}
}

func TestPortalRefusesRequests(t *testing.T) {
	p, m, b := withMeter(t)
	b.claim(m.code(1))
	mine := strings.TrimSuffix(b.path(), "/now")
	stranger := browse(t, b.process, b.at)
	stranger.claim(p.company.keyed(8).code(1))

	for name, c := range map[string]struct {
		method, path, form string
		by                 *browser
		status             int
		class              string
	}{
		"another's page":        {"GET", mine + "/use", "", stranger, 404, "not-yours"},
		"another's data":        {"GET", mine + "/use.json", "", stranger, 404, "not-yours"},
		"another's act":         {"POST", mine + "/give-up", "", stranger, 404, "not-yours"},
		"nobody's page":         {"GET", "/m/aaaaaaaaaaaaa/use", "", stranger, 404, "not-yours"},
		"no proof":              {"GET", "/claim/passkey", "", b, 403, "no-proof"},
		"no proof for options":  {"POST", "/claim/options", "", b, 403, "no-proof"},
		"no such page":          {"GET", "/admin", "", b, 404, "not-found"},
		"a kind that is none":   {"GET", mine + "/use?by=century", "", b, 400, "bad-request"},
		"a date that is none":   {"GET", mine + "/use?at=2026-02-30", "", b, 400, "bad-request"},
		"a date far off":        {"GET", mine + "/use?at=9999-01-01", "", b, 400, "bad-request"},
		"times the wrong way":   {"GET", mine + "/use.json?from=2000000000&to=1000000000", "", b, 400, "bad-request"},
		"an odd comparison":     {"GET", mine + "/use?compare=neighbour", "", b, 400, "bad-request"},
		"an answer to nothing":  {"POST", "/sign-in", "{}", b, 403, "assertion-replayed"},
		"deletion without tick": {"POST", "/settings/delete", "", b, 400, "bad-request"},
		"the last passkey":      {"POST", "/settings/passkeys/remove", "number=1", b, 409, "last-passkey"},
	} {
		got := p.ask(c.method, c.path, c.form, c.by.cookies())
		if got.status != c.status || got.class != c.class {
			t.Errorf("%s: %d %s, want %d %s", name, got.status, got.class, c.status, c.class)
		}
	}
	if got := p.ask("GET", mine+"/use", "", nil); got.status != 303 || got.location != "/sign-in?next="+strings.ReplaceAll(mine, "/", "%2F")+"%2Fuse" {
		t.Errorf("a page without a session: %d to %q", got.status, got.location)
	}
	if got := p.ask("POST", "/settings/sign-out-everywhere", "", b.cookies(), "Sec-Fetch-Site", "cross-site"); got.status != 403 || got.class != "cross-site" {
		t.Errorf("a request from another site: %d %s", got.status, got.class)
	}
	if got := p.ask("POST", "/sign-out", "", b.cookies(), "Origin", "https://elsewhere.example"); got.status != 403 || got.class != "cross-site" {
		t.Errorf("a request from another origin: %d %s", got.status, got.class)
	}
	if got := p.ask("GET", "/about?x=1", "", nil, "Host", "elsewhere.example"); got.status != 308 || got.location != b.at+"/about?x=1" {
		t.Errorf("another host: %d to %q", got.status, got.location)
	}
	if got := p.ask("POST", "/sign-out", "", nil, "Host", "elsewhere.example"); got.status != 421 {
		t.Errorf("an act under another host: %d", got.status)
	}
	if p.count("portal_sessions") != 2 {
		t.Error("a refused request ended a session")
	}
	p.clock.add(12 * time.Hour)
	if got := p.ask("GET", mine+"/use", "", b.cookies()); got.status != 401 || got.class != "session-ended" {
		t.Errorf("a session that is over: %d %s", got.status, got.class)
	}
}

func TestPortalRefusesReplays(t *testing.T) {
	p, m, b := withMeter(t)
	b.claim(m.code(1))
	b.press(`form[action="/sign-out"] button`)

	// The browser signs, and somebody else hands the assertion in, twice.
	assertion, cookies := b.signOnly()
	if got := p.ask("POST", "/sign-in", assertion, nil); got.status != 403 || got.class != "assertion-replayed" {
		t.Errorf("an assertion in another browser: %d %s", got.status, got.class)
	}
	if got := p.ask("POST", "/sign-in", assertion, cookies); got.status != 200 {
		t.Fatalf("the assertion itself: %d %s", got.status, got.class)
	}
	if got := p.ask("POST", "/sign-in", assertion, cookies); got.status != 403 || got.class != "assertion-replayed" {
		t.Errorf("the assertion again: %d %s", got.status, got.class)
	}

	// An old assertion to a new challenge does not verify.
	_, fresh := b.signOnly()
	if got := p.ask("POST", "/sign-in", assertion, fresh); got.status != 403 || got.class != "assertion-invalid" {
		t.Errorf("an old assertion to a new challenge: %d %s", got.status, got.class)
	}
	late, cookies := b.signOnly()
	p.clock.add(5 * time.Minute)
	if got := p.ask("POST", "/sign-in", late, cookies); got.status != 403 || got.class != "assertion-replayed" {
		t.Errorf("an assertion after 5 minutes: %d %s", got.status, got.class)
	}

	// A copy of the authenticator counts from an earlier number.
	_, err := p.db.Exec(`UPDATE passkeys SET count = 1000`)
	must(t, err)
	copied, cookies := b.signOnly()
	if got := p.ask("POST", "/sign-in", copied, cookies); got.status != 403 || got.class != "counter" {
		t.Errorf("a counter that runs backwards: %d %s", got.status, got.class)
	}
	_, err = p.db.Exec(`DELETE FROM accounts`)
	must(t, err)
	removed, cookies := b.signOnly()
	if got := p.ask("POST", "/sign-in", removed, cookies); got.status != 403 || got.class != "assertion-invalid" {
		t.Errorf("a passkey of no account: %d %s", got.status, got.class)
	}
}
