package ttp

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/wattveil/wattveil/peer"
	"github.com/wattveil/wattveil/wire"
)

// No body may carry what the specification does not name, above all no number
// of a utility.
func TestBodiesNameNothingElse(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	client := c.client(r.listen(), peer.Name{Org: c.org, Role: peer.RoleUtility}, c.authority)
	key, err := json.Marshal(c.keyRequest(2))
	must(t, err)
	for _, tt := range []struct{ method, path, body string }{
		{"POST", "/v1/enrolment", `{"uc_number":2}`},
		{"GET", "/v1/bill-keys", `{"uc_number":2}`},
		{"PUT", "/v1/enrolment", `{"uc_number":2,` + string(key[1:])},
		{"POST", "/v1/meters", `{"statements":[],"uc_number":2}`},
		{"POST", "/v1/meters", `{"statements":[]}{}`},
		{"POST", "/v1/bills", `{"tariff":"flat","from":"2026-01-01T00:00:00Z","to":"2026-01-02T00:00:00Z","an_ids":[],"uc_number":2}`},
		{"PUT", "/v1/tariffs", `{"uc_number":2,` + flat[1:]},
	} {
		if _, class := ask(t, client, tt.method, tt.path, []byte(tt.body)); class != wire.Malformed {
			t.Errorf("%s %s %s: %q, want malformed", tt.method, tt.path, tt.body, class)
		}
	}
	if _, class := ask(t, client, "PUT", "/v1/enrolment", key); class != "" {
		t.Errorf("without the number: %q", class)
	}
}

// What decode accepts is one value of known members.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{`{}`, `{"statements":["AA=="]}`, `{"statements":[]} `, `{"statements":[]}{}`, `{"uc":1}`, `[`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var in, again wire.MeterStatements
		if decode("statements", body, &in) != nil {
			return
		}
		out, err := json.Marshal(in)
		must(t, err)
		must(t, decode("statements", out, &again))
		if second, err := json.Marshal(again); err != nil || !bytes.Equal(out, second) {
			t.Errorf("%s, then %s, %v", out, second, err)
		}
	})
}
