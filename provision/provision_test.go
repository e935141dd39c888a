package provision

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/wattveil/wattveil/peer"
	"github.com/wattveil/wattveil/wire"
)

func TestRecordSurvivesEncoding(t *testing.T) {
	want := Record{
		Meter: 0x0123456789abcdef, Secret: wire.NewSecret(), Domain: "north",
		Collectors: []string{"mqtt://127.0.0.1:1883"}, KGC: [33]byte{2, 1}, Root: &[32]byte{7},
	}
	b, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	again, err := got.Encode()
	if err != nil || string(again) != string(b) {
		t.Errorf("encodes to other bytes: %v", err)
	}
	if got.LinkPassword() != want.LinkPassword() || *got.Root != *want.Root {
		t.Error("secret or root differ")
	}
}

func TestParseNamesTheField(t *testing.T) {
	const good = `{"meter_id":"0123456789abcdef","s_sm_uc":"AAAAAAAAAAAAAAAAAAAAAA==","collectors":["mqtt://h:1"],` +
		`"collector_domain":"d","kgc_key":"AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`
	if _, err := Parse([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ from, to, want string }{
		{`"0123456789abcdef"`, `"12"`, "meter_id"},
		{`AAAAAAAAAAAAAAAAAAAAAA==`, `AAAA`, "s_sm_uc"},
		{`["mqtt://h:1"]`, `[]`, "collectors"},
		{`"AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"`, `"A"`, "kgc_key"},
		{`"collector_domain":"d"`, `"collector_domain":"d","ttp_root_fingerprint":"00"`, "ttp_root_fingerprint"},
		{`"meter_id"`, `"meter"`, "unknown field"},
		{`"mqtt://h:1"`, `"mqtt://h:1","mqtts://h:2"`, "mqtts://h:2 needs collector_authority"},
		{`"mqtt://h:1"`, `"h:1"`, "want mqtt://HOST:PORT"},
		{`"mqtt://h:1"`, `"mqtt://h"`, "want mqtt://HOST:PORT"},
		{`"mqtt://h:1"`, `"mqtt://u@h:1"`, "want mqtt://HOST:PORT"},
		{`"mqtt://h:1"`, `"mqtt://h:1/topic"`, "want mqtt://HOST:PORT"},
		{`"collector_domain":"d"`, `"collector_domain":"d","collector_authority":"MAA="`, "collector_authority"},
		{`"}`, `"}{}`, "something after its end"},
	} {
		_, err := Parse([]byte(strings.Replace(good, c.from, c.to, 1)))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s for %s: %v, want it to name %s", c.to, c.from, err, c.want)
		}
	}
}

// certificates are an authority's, and one that is none.
func certificates(t *testing.T) (authority, leaf *x509.Certificate) {
	t.Helper()
	a, err := peer.NewAuthority("utility.example", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	id, err := peer.NewIdentity(a, peer.Name{Org: "utility.example", Role: peer.RoleCollector}, nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return a.Certificate, id.Certificate()
}

func TestRecordCarriesTheAuthority(t *testing.T) {
	authority, leaf := certificates(t)
	r := Record{
		Meter: 1, Secret: wire.NewSecret(), Domain: "utility.example",
		Collectors: []string{"mqtts://127.0.0.1:8883"}, KGC: [33]byte{2, 1}, Authority: authority,
	}
	b, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse(b)
	if err != nil || !got.Authority.Equal(authority) {
		t.Errorf("parsed with %v, %v", got.Authority, err)
	}
	r.Authority = leaf
	if b, err = r.Encode(); err != nil {
		t.Fatal(err)
	}
	if _, err := Parse(b); err == nil || !strings.Contains(err.Error(), "collector_authority") {
		t.Errorf("took a certificate that is no authority's: %v", err)
	}
}

// What parses is written again as it is understood.
func FuzzParse(f *testing.F) {
	b, err := Record{Meter: 1, Secret: wire.NewSecret(), Domain: "d", Collectors: []string{"mqtt://h:1"}, KGC: [33]byte{2, 1}, Root: &[32]byte{7}}.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"meter_id":"1"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Parse(b)
		if err != nil {
			return
		}
		once, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(once)
		if err != nil {
			t.Fatalf("%s: %v", once, err)
		}
		if twice, err := again.Encode(); err != nil || string(twice) != string(once) {
			t.Errorf("%s becomes %s, %v", once, twice, err)
		}
	})
}

func TestRecordRedacts(t *testing.T) {
	r := Record{Secret: wire.NewSecret()}
	marshalled, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{fmt.Sprintf("%v %+v %#v %d %x", r, r, r, r, r), string(marshalled)} {
		if strings.Contains(strings.ReplaceAll(s, "[provisioning record]", ""), "[") {
			t.Errorf("shows more than the placeholder: %s", s)
		}
	}
}
