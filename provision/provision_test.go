package provision

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

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
	} {
		_, err := Parse([]byte(strings.Replace(good, c.from, c.to, 1)))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s for %s: %v, want it to name %s", c.to, c.from, err, c.want)
		}
	}
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
