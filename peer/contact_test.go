package peer_test

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/wattveil/wattveil/peer"
)

func contact(t *testing.T) peer.Contact {
	t.Helper()
	return peer.Contact{
		Name: ttp, URL: "https://ttp.example:8450", Authorities: []*x509.Certificate{authority(t, "trustee").Certificate},
		Root: &[32]byte{1, 2, 3}, For: utility,
	}
}

func TestContact(t *testing.T) {
	for _, change := range []func(*peer.Contact){
		func(*peer.Contact) {},
		func(c *peer.Contact) { c.Root, c.For = nil, peer.Name{} },
		func(c *peer.Contact) { c.URL = "https://[::1]:8450" },
	} {
		c := contact(t)
		change(&c)
		b, err := c.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := peer.ParseContact(b)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := got.Encode(); err != nil || !bytes.Equal(again, b) {
			t.Errorf("read and written again it is\n%s\n%v, want\n%s", again, err, b)
		}
	}
}

func TestParseContactRefuses(t *testing.T) {
	good, err := contact(t).Encode()
	if err != nil {
		t.Fatal(err)
	}
	with := func(member, value string) string {
		var d map[string]any
		if err := json.Unmarshal(good, &d); err != nil {
			t.Fatal(err)
		}
		d[member] = value
		b, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	leaf := identity(t, authority(t, "trustee"), ttp, start)
	dir := t.TempDir()
	if err := leaf.Save(dir, "server"); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ text, want string }{
		{"", "JSON"},
		{"{}", "want wattveil://ORG/ROLE"},
		{string(good) + "{}", "after its end"},
		{strings.Repeat(" ", 70_000), "at most"},
		{with("extra", "x"), `"extra"`},
		{with("name", "example"), `"example"`},
		{with("url", "http://ttp.example"), "want https://"},
		{with("url", "https://user@ttp.example"), "want https://"},
		{with("url", "https://ttp.example/path"), "want https://"},
		{with("authority", "x"), "authority: want one to 4 PEM blocks"},
		{with("root_fingerprint", "00"), "root_fingerprint"},
		{with("for", "x"), `"x"`},
	} {
		if _, err := peer.ParseContact([]byte(test.text)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%.40q: %v, want %q", test.text, err, test.want)
		}
	}
	c := contact(t)
	c.Authorities = []*x509.Certificate{leaf.Certificate()}
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "authority.crt") {
		t.Errorf("a server's certificate: %v", err)
	}
}

func TestCredentials(t *testing.T) {
	a := authority(t, "waterford")
	c := peer.Credentials{
		Server:   peer.Contact{Name: utility, URL: "https://utility.example:8440", Authorities: []*x509.Certificate{a.Certificate}},
		Identity: identity(t, a, collector, start),
	}
	b, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := peer.ParseCredentials(b)
	if err != nil || got.Identity.Name != collector || got.Server.URL != c.Server.URL {
		t.Fatalf("%v, %v", got.Identity, err)
	}
	if again, err := got.Encode(); err != nil || !bytes.Equal(again, b) {
		t.Errorf("read and written again they differ: %v", err)
	}
	shown, err := json.Marshal(c)
	if text := fmt.Sprintf("%v %+v %s", c, &c, shown); err != nil || strings.Contains(text, "KEY") || strings.Count(text, "[credentials]") != 3 {
		t.Errorf("printed: %.200s, %v", text, err)
	}
	for _, test := range []struct{ from, to, want string }{
		{"BEGIN PRIVATE", "BEGIN PUBLIC", "key: want a P-256 key"},
		{`"key"`, `"kye"`, `"kye"`},
		{"https", "http", "server: url"},
		{`"certificate": "`, `"certificate": "x`, "certificate: want one to 4 PEM blocks"},
	} {
		text := strings.Replace(string(b), test.from, test.to, 1)
		if _, err := peer.ParseCredentials([]byte(text)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s for %s: %v, want %q", test.to, test.from, err, test.want)
		}
	}
}

func FuzzParseContact(f *testing.F) {
	a, err := peer.NewAuthority("trustee", start)
	if err != nil {
		f.Fatal(err)
	}
	good, err := peer.Contact{Name: ttp, URL: "https://ttp.example", Authorities: []*x509.Certificate{a.Certificate}}.Encode()
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{string(good), "{}", `{"name":"wattveil://a/b"}`, "[", `{"name":1}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := peer.ParseContact(b)
		if err != nil {
			return
		}
		once, err := c.Encode()
		if err != nil {
			t.Fatalf("accepted and not written: %v", err)
		}
		if again, err := peer.ParseContact(once); err != nil || again.Name != c.Name || again.URL != c.URL {
			t.Errorf("written and not read: %v", err)
		}
	})
}
