package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/wattveil/wattveil/internal/operator"
	"github.com/wattveil/wattveil/utility/api"
)

// socket calls the operator's API of a folder as any HTTP client would.
type socket struct {
	*world
	dir    string
	client *http.Client
}

func (w *world) socket(dir string) *socket {
	c := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(dir, "operator.sock"))
	}}}
	w.Cleanup(c.CloseIdleConnections)
	return &socket{w, dir, c}
}

// call gives status, kind and body of an answer.
func (s *socket) call(method, path, body string) (status int, kind string, content []byte) {
	s.Helper()
	r, err := http.NewRequest(method, "http://operator"+path, strings.NewReader(body))
	if err != nil {
		s.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := s.client.Do(r)
	if err != nil {
		s.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	content, err = io.ReadAll(answer.Body)
	if err != nil {
		s.Fatal(err)
	}
	return answer.StatusCode, answer.Header.Get("Content-Type"), content
}

// asked is a call of an API and what is to come of it.
type asked struct {
	method, path, body string
	status             int
	says               string // in the body
}

// check makes the calls in their order and looks at each answer: a refusal is
// an RFC 9457 document that says what is wrong.
func (s *socket) check(calls []asked) {
	s.Helper()
	for _, c := range calls {
		status, kind, body := s.call(c.method, c.path, c.body)
		if status != c.status || !strings.Contains(string(body), c.says) {
			s.Errorf("%s %s %s: %d %s, want %d with %q", c.method, c.path, c.body, status, body, c.status, c.says)
		}
		if status < 400 || c.says == noBody {
			continue
		}
		var problem struct {
			Title, Detail string
			Status        int
		}
		if err := json.Unmarshal(body, &problem); err != nil || kind != "application/problem+json" ||
			problem.Status != status || problem.Title == "" || problem.Detail == "" {
			s.Errorf("%s %s: %s %s is no problem document: %v", c.method, c.path, kind, body, err)
		}
	}
}

// noBody marks what no operation answers: the mux does, in its own words.
const noBody = ""

// covered demands that the calls reach every operation of the API's committed
// description, with success and with a refusal. Successes of some operations
// need a whole platform and are tested elsewhere.
func (s *socket) covered(document string, calls []asked, elsewhere ...string) {
	s.Helper()
	committed, err := os.ReadFile(filepath.Join("..", "..", "spec", "openapi", document))
	if err != nil {
		s.Fatal(err)
	}
	_, _, served := s.call("GET", "/openapi.json", "")
	var want, have any
	if err := errors.Join(json.Unmarshal(committed, &want), json.Unmarshal(served, &have)); err != nil {
		s.Fatal(err)
	}
	if fmt.Sprint(want) != fmt.Sprint(have) {
		s.Errorf("/openapi.json is not spec/openapi/%s: run go generate ./spec/openapi", document)
	}
	var paths struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
		}
	}
	if err := json.Unmarshal(committed, &paths); err != nil || len(paths.Paths) == 0 {
		s.Fatalf("%s: %v", document, err)
	}
	for path, methods := range paths.Paths {
		fixed, rest, parameter := strings.Cut(path, "{")
		_, rest, _ = strings.Cut(rest, "}")
		for method, operation := range methods {
			good, bad := slices.Contains(elsewhere, operation.OperationID), false
			for _, c := range calls {
				asked, _, _ := strings.Cut(c.path, "?")
				if strings.ToLower(c.method) != method || !parameter && asked != path {
					continue
				}
				between, ok := strings.CutPrefix(asked, fixed)
				if between, found := strings.CutSuffix(between, rest); !ok || !found || strings.Contains(between, "/") {
					continue
				}
				good = good || c.status < 400
				bad = bad || c.status >= 400
			}
			if !good || !bad {
				s.Errorf("operation %s: called with success %v, with a refusal %v", operation.OperationID, good, bad)
			}
		}
	}
}

// TestOperatorAPIs calls every operation of both APIs over their sockets.
func TestOperatorAPIs(t *testing.T) {
	w := newWorld(t)
	trust := w.ttp("ttp-first")
	u := w.utility("utility-a", nil)
	for _, dir := range []string{trust.dir, u.dir} {
		info, err := os.Stat(filepath.Join(dir, "operator.sock"))
		folder, ferr := os.Stat(dir)
		if errors.Join(err, ferr) != nil || info.Mode().Perm() != 0o600 || folder.Mode().Perm() != 0o700 {
			t.Errorf("socket in %s: mode %v in a folder of mode %v, %v, %v", dir, info.Mode(), folder.Mode(), err, ferr)
		}
	}
	quote := func(path string) string {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(string(content))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	ca, leaf := quote(filepath.Join(u.dir, "authority.crt")), quote(filepath.Join(u.dir, "server.crt"))
	ttpCalls := []asked{
		{"GET", "/v1/status", "", 200, `"utilities":[]`},
		{"GET", "/v1/status?colour=red", "", 422, "unknown query parameter"},
		{"POST", "/v1/utilities", `{"name":"wattveil://utility-a/utility","authority":` + ca + `}`, 200, `"uc_number":1`},
		{"POST", "/v1/utilities", `{"name":"wattveil://utility-a/utility","authority":` + leaf + `}`, 422, "not an authority's"},
		{"POST", "/v1/utilities", `{"name":"wattveil://utility-a/ttp","authority":` + ca + `}`, 422, "is no utility"},
		{"POST", "/v1/utilities", `{"name":"wattveil://ttp-first/utility","authority":` + ca + `}`, 422, "cannot be its own utility"},
		{"POST", "/v1/utilities", `{"name":"wattveil://utility-b/utility"}`, 422, "authority"},
		{"POST", "/v1/utilities", `{"name":"wattveil://utility-b/utility","authority":` + ca + `,"uc_number":7}`, 422, "unexpected property"},
		{"POST", "/v1/utilities", `{`, 400, "JSON"},
		{"POST", "/v1/utilities", `{"name":"` + strings.Repeat("x", 2<<20) + `"}`, 413, "too large"},
		{"GET", "/v1/utilities/utility-a/gate", "", 200, `"looser":[]`},
		{"PUT", "/v1/utilities/utility-a/gate", `{"min_days":1}`, 200, `"looser":["min_days"]`},
		{"PUT", "/v1/utilities/utility-a/gate", `{"min_day":1}`, 422, "min_day"},
		{"PUT", "/v1/utilities/nobody/gate", `{}`, 404, "there is no utility"},
		{"GET", "/v1/utilities/nobody/gate", "", 404, "there is no utility"},
		{"GET", "/v1/bill-keys", "", 200, `"signs":true`},
		{"GET", "/v1/bill-keys?x=1", "", 422, "unknown query parameter"},
		{"POST", "/v1/bill-keys", "", 200, `"signs":false`},
		{"POST", "/v1/bill-keys", "", 422, "rotate again after that"},
		{"GET", "/v1/jwks", "", 200, `"jwks":{"keys":[`},
		{"GET", "/v1/jwks?x=1", "", 422, "unknown query parameter"},
		{"DELETE", "/v1/utilities/nobody", "", 404, "there is no utility"},
		{"DELETE", "/v1/utilities/utility-a", "", 204, ""},
		{"GET", "/v1/status", "", 200, `"removed":true`},
		{"GET", "/v1/nothing", "", 404, noBody},
		{"PUT", "/v1/status", "", 405, noBody},
	}
	s := w.socket(trust.dir)
	s.check(ttpCalls)
	s.covered("ttp.json", ttpCalls)

	invitation := w.path("invitation.json")
	w.do("ttp", "utility", "add", "utility-a", "--ca", filepath.Join(u.dir, "authority.crt"), "--out", invitation, "--dir", trust.dir)
	const run = `{"tariff":"flat","from":"2026-01-01T00:00:00Z","to":"2026-01-02T00:00:00Z","meters":["0123456789abcdef"]}`
	const prices = `{"currency":"CHF","from":"2100-01-01T00:00:00Z","minutes":60,"name":"spot","prices":["0.1"]}`
	calls := []asked{
		{"GET", "/v1/status", "", 200, `"name":"wattveil://utility-a/utility"`},
		{"GET", "/v1/status?colour=red", "", 422, "unknown query parameter"},
		{"POST", "/v1/enrol", "", 503, "has no TTP yet"},
		{"PUT", "/v1/tariffs", flatTariff, 503, "has no TTP yet"},
		{"POST", "/v1/meters", `{"count":1,"collectors":["mqtt://127.0.0.1:1"]}`, 503, "has no TTP yet"},
		{"GET", "/v1/bill-keys", "", 503, "has no TTP yet"},
		{"POST", "/v1/ttps", `{"contact":"{}"}`, 422, "want wattveil://ORG/ROLE"},
		{"POST", "/v1/ttps", `{"contact":` + quote(invitation) + `}`, 204, ""},
		{"POST", "/v1/enrol", "", 200, `"uc_number":1`},
		{"GET", "/v1/bill-keys", "", 200, `"log":{"origin":`},
		{"GET", "/v1/bill-keys?ttp=nobody", "", 503, "has no TTP"},
		{"PUT", "/v1/tariffs", flatTariff, 200, `"id":"flat"`},
		{"PUT", "/v1/tariffs", strings.Replace(flatTariff, "0.27", "0.28", 1), 409, "rebound"},
		{"PUT", "/v1/tariffs", `{}`, 422, "tariff"},
		{"PUT", "/v1/series", prices, 200, `"minutes":60`},
		{"PUT", "/v1/series", strings.NewReplacer("2100", "2020", "spot", "past").Replace(prices), 422, "before they apply"},
		{"PUT", "/v1/series", `{}`, 422, "price series"},
		{"GET", "/v1/tariffs", "", 200, `"currency":"CHF"`},
		{"GET", "/v1/tariffs/flat", "", 200, `"document":{`},
		{"GET", "/v1/tariffs/steep", "", 404, "was not put"},
		{"GET", "/v1/tariffs?x=1", "", 422, "unknown query parameter"},
		{"POST", "/v1/collectors", `{"name":"north","address":"mqtt://127.0.0.1:1"}`, 200, `"document":`},
		{"POST", "/v1/collectors", `{"name":"north"}`, 409, "--replace"},
		{"POST", "/v1/collectors", `{"name":"north","replace":true,"address":"mqtt://127.0.0.1:1"}`, 200, `"document":`},
		{"POST", "/v1/collectors", `{"name":"No"}`, 422, "a-z, 0-9"},
		{"POST", "/v1/collectors", `{"name":"south","address":"x"}`, 422, "want mqtt://HOST:PORT"},
		{"DELETE", "/v1/collectors/south", "", 404, "there is no collector"},
		{"POST", "/v1/meters", `{"count":2}`, 200, `"lines":`},
		{"POST", "/v1/meters", `{"count":0}`, 422, "expected number >= 1"},
		{"POST", "/v1/meters", `{"count":1,"ttp":"nobody"}`, 503, "has no TTP"},
		{"GET", "/v1/meters?limit=1", "", 200, `"next":1`},
		{"GET", "/v1/meters?mark=-1", "", 422, "expected number >= 0"},
		{"GET", "/v1/meters/x", "", 422, "want 16 hexadecimal digits"},
		{"GET", "/v1/meters/0123456789abcdef", "", 404, "there is no meter"},
		{"POST", "/v1/meters/0123456789abcdef/retire", "", 404, "there is no meter"},
		{"POST", "/v1/meters/0123456789abcdef/move", `{}`, 404, "there is no meter"},
		{"POST", "/v1/meters/0123456789abcdef/replace", `{}`, 404, "there is no meter"},
		{"POST", "/v1/bills/run", run, 200, `"class":"unknown"`},
		{"POST", "/v1/bills/run", strings.Replace(run, "2026-01-02", "2026-01-01", 1), 422, "is empty"},
		{"GET", "/v1/bills", "", 200, `"bills":[]`},
		{"GET", "/v1/bills?limit=0", "", 422, "expected number >= 1"},
		{"GET", "/v1/bills?mark=7", "", 422, "no bill has the mark 7"},
		{"GET", "/v1/bill-logs", "", 200, `"entries":0`},
		{"GET", "/v1/bill-logs?x=1", "", 422, "unknown query parameter"},
		{"DELETE", "/v1/collectors/north", "", 204, ""},
	}
	s = w.socket(u.dir)
	s.check(calls)
	var list api.MeterList
	_, _, body := s.call("GET", "/v1/meters", "")
	if err := json.Unmarshal(body, &list); err != nil || len(list.Meters) != 2 {
		t.Fatalf("%s, %v", body, err)
	}
	show := asked{"GET", "/v1/meters/" + list.Meters[0].ID, "", 200, `"state":"added"`}
	again := "/v1/meters/" + list.Meters[0].ID + "/record"
	more := []asked{show,
		{"POST", again, `{"collectors":["mqtt://127.0.0.1:2"]}`, 200, `"lines":`},
		{"POST", again, `{"collectors":["x"]}`, 422, "want mqtt://HOST:PORT"},
		{"POST", again, `{}`, 422, "no collector's address is known"},
		{"POST", "/v1/meters/0123456789abcdef/record", `{}`, 404, "there is no meter"},
	}
	s.check(more)
	s.covered("utility.json", append(calls, more...), "replace-meter", "move-meter", "retire-meter") // see succession_test.go
	s.together()

	u.stop()
	err := operator.Dial(u.dir).Do(t.Context(), "GET", "/v1/status", nil, nil)
	if !errors.Is(err, operator.ErrNotServing) {
		t.Errorf("after its server has ended: %v", err)
	}
	if out := w.do("utility", "status", "--json", "--dir", u.dir); !strings.Contains(out, `"utility-a`) && !strings.Contains(out, "wattveil://utility-a") {
		t.Errorf("the command without a server: %s", out)
	}
}

// together makes many calls at once: all are answered, and no meter is made
// twice or lost.
func (s *socket) together() {
	s.Helper()
	const callers, each = 8, 5
	var running sync.WaitGroup
	var mu sync.Mutex
	seen := make(map[string]bool)
	client := operator.Dial(s.dir)
	defer client.Close()
	for range callers {
		running.Go(func() {
			for range each {
				var made api.Records
				err := client.Do(s.Context(), "POST", "/v1/meters", api.NewMeters{Count: 3, Collectors: []string{"mqtt://127.0.0.1:1"}}, &made)
				var status api.Status
				if err := errors.Join(err, client.Do(s.Context(), "GET", "/v1/status", nil, &status)); err != nil {
					s.Error(err)
				}
				mu.Lock()
				for _, line := range made.Lines {
					seen[line] = true
				}
				mu.Unlock()
			}
		})
	}
	running.Wait()
	var status api.Status
	if err := client.Do(s.Context(), "GET", "/v1/status", nil, &status); err != nil {
		s.Fatal(err)
	}
	if want := callers * each * 3; len(seen) != want || status.Meters.Added != want+2 {
		s.Errorf("%d different records, %d meters; want %d and %d", len(seen), status.Meters.Added, want, want+2)
	}
}
