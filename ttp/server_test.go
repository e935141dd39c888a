package ttp

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/wattveil/wattveil/peer"
	"github.com/wattveil/wattveil/wire"
)

func newListener(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	return l
}

// ask posts over mutual TLS and returns the answer, or the class refused with.
func ask(t *testing.T, client *peer.Client, method, path string, body []byte) ([]byte, wire.Class) {
	t.Helper()
	answer, err := client.Do(t.Context(), method, path, body)
	var refusal *peer.Refusal
	if errors.As(err, &refusal) {
		return nil, refusal.Class
	}
	must(t, err)
	return answer, ""
}

func askJSON(t *testing.T, client *peer.Client, method, path string, in, out any) wire.Class {
	t.Helper()
	var body []byte
	var err error
	if in != nil {
		body, err = json.Marshal(in)
	}
	must(t, err)
	answer, class := ask(t, client, method, path, body)
	if class == "" && out != nil {
		must(t, json.Unmarshal(answer, out))
	}
	return class
}

// Two utilities of one TTP whose meters have equal an-IDs never see each
// other. The client certificate alone says who calls.
func TestUtilitiesNeverMeet(t *testing.T) {
	r := newRig(t, nil)
	c, other := r.company("north.example"), r.company("south.example")
	url := r.listen()
	north := c.client(url, peer.Name{Org: c.org, Role: peer.RoleUtility}, c.authority)
	south := other.client(url, peer.Name{Org: other.org, Role: peer.RoleUtility}, other.authority)

	m, twin := c.keyed(7), other.meter(7)
	name := m.name.Pseudonym.String()

	// Enrolment: each is told its own number, and its key is towards it alone.
	var toldNorth, toldSouth wire.Enrolment
	if askJSON(t, north, "POST", "/v1/enrolment", nil, &toldNorth) != "" || toldNorth.Number != c.number || !bytes.Equal(toldNorth.Mu, c.told.Mu) {
		t.Errorf("north is told %+v", toldNorth)
	}
	if askJSON(t, south, "POST", "/v1/enrolment", nil, &toldSouth) != "" || toldSouth.Number != other.number || bytes.Equal(toldSouth.Mu, toldNorth.Mu) {
		t.Errorf("south is told %+v", toldSouth)
	}
	if class := askJSON(t, south, "PUT", "/v1/enrolment", c.keyRequest(9), nil); class != wire.Forged {
		t.Errorf("south enrols north's key: %q", class)
	}

	// Statements, exchanges, messages.
	var refused wire.MeterStatementsAnswer
	askJSON(t, south, "POST", "/v1/meters", wire.MeterStatements{Statements: [][]byte{m.statement}}, &refused)
	if len(refused.Refused) != 1 || refused.Refused[0].Class != wire.Forged {
		t.Errorf("south enrols north's meter: %+v", refused)
	}
	message := wire.AppendMessages(nil, [][]byte{m.message(1, 0, steady(0, 1)...)})
	for _, tt := range []struct {
		who  *peer.Client
		want wire.Verdict
	}{{south, wire.Rekey}, {north, wire.Durable}} {
		answer, class := ask(t, tt.who, "POST", "/v1/messages", message)
		if a, err := wire.ParseMessageAnswer(answer, 1); err != nil || a.Verdicts[0] != tt.want {
			t.Errorf("north's message: %v %v %q", a.Verdicts, err, class)
		}
	}
	confirmation := wire.AppendExchanges(nil, []wire.ExchangeRequest{m.m3(1), m.m1(2, nil)})
	answer, _ := ask(t, south, "POST", "/v1/exchanges", confirmation)
	if a, err := wire.ParseExchangeAnswers(answer, 2); err != nil || a[0].Verdict != wire.Rekey || a[1].Verdict != wire.Never {
		t.Errorf("north's exchange from south: %v, %v", a, err)
	}
	if n := len(twin.stored().Runs); n != 0 {
		t.Error("south's meter has north's readings")
	}

	// Tariffs and bills.
	if _, class := ask(t, north, "PUT", "/v1/tariffs", []byte(flat)); class != "" {
		t.Fatal(class)
	}
	m.fill(-4, 92, perQuarter(100))
	r.clock.add(day)
	request := wire.BillsRequest{Tariff: "flat", From: start, To: billTo, Meters: []string{name}} // from when the tariff was put
	if class := askJSON(t, south, "POST", "/v1/bills", request, nil); class != wire.NoTariff {
		t.Errorf("a bill by another utility's tariff: %q", class)
	}
	if _, class := ask(t, south, "PUT", "/v1/tariffs", []byte(flat)); class != "" {
		t.Fatal(class)
	}
	var bills, theirs wire.BillsAnswer
	if askJSON(t, north, "POST", "/v1/bills", request, &bills) != "" || bills.Bills[0].Class != "" {
		t.Fatalf("north's bill: %+v", bills)
	}
	if askJSON(t, south, "POST", "/v1/bills", request, &theirs) != "" || theirs.Bills[0].Class != wire.Incomplete || theirs.Bills[0].JWS != "" {
		t.Errorf("south's bill of its meter without readings: %+v", theirs)
	}
}

// What no body can do: every mention of another number is refused or without
// effect.
func TestWhoMayCall(t *testing.T) {
	r := newRig(t, nil)
	c, other := r.company("north.example"), r.company("south.example")
	url := r.listen()
	ttpAuthority := r.authority
	for _, tt := range []struct {
		name      string
		as        peer.Name
		authority *peer.Authority
		want      string // class, or "" for no connection
	}{
		{"a collector", peer.Name{Org: c.org, Role: peer.RoleCollector, Instance: "c1"}, c.authority, ""},
		{"a KGC", peer.Name{Org: c.org, Role: peer.RoleKGC}, c.authority, "forbidden"},
		{"a utility with another's name", peer.Name{Org: other.org, Role: peer.RoleUtility}, c.authority, ""},
		{"a utility that is not known", peer.Name{Org: "west.example", Role: peer.RoleUtility}, c.authority, ""},
		{"the TTP's own authority", peer.Name{Org: c.org, Role: peer.RoleUtility}, ttpAuthority, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			client := c.client(url, tt.as, tt.authority)
			for _, route := range [][2]string{
				{"POST", "/v1/enrolment"}, {"PUT", "/v1/enrolment"}, {"POST", "/v1/meters"}, {"POST", "/v1/exchanges"},
				{"POST", "/v1/messages"}, {"PUT", "/v1/tariffs"}, {"POST", "/v1/bills"}, {"GET", "/v1/bill-keys"},
			} {
				_, err := client.Do(t.Context(), route[0], route[1], nil)
				var refusal *peer.Refusal
				switch {
				case err == nil:
					t.Errorf("%v is served", route)
				case errors.As(err, &refusal) != (tt.want != ""), refusal != nil && string(refusal.Class) != tt.want:
					t.Errorf("%v: %v", route, err)
				}
			}
		})
	}
}

// Errors that cross to a utility are class words, and nothing of what went
// wrong inside.
func TestErrorsAreClassWords(t *testing.T) {
	r := newRig(t, nil)
	c := r.newCompany("north.example")
	url := r.listen()
	client := c.client(url, peer.Name{Org: c.org, Role: peer.RoleUtility}, c.authority)
	for _, tt := range []struct {
		method, path, body string
		want               wire.Class
	}{
		{"PUT", "/v1/enrolment", "{", wire.Malformed},
		{"POST", "/v1/meters", `{}`, wire.Unenrolled},
		{"POST", "/v1/exchanges", "\x01\x00\x00\x00\x00", wire.Unenrolled},
		{"POST", "/v1/messages", "\x02", wire.Malformed},
		{"PUT", "/v1/tariffs", "tariff", wire.Malformed},
		{"POST", "/v1/bills", `{"tariff":"none","from":"2026-01-01T00:00:00Z","to":"2026-01-02T00:00:00Z"}`, wire.NoTariff},
		{"POST", "/v1/bills", `{}`, wire.Malformed},
		{"POST", "/v1/messages", strings.Repeat("x", wire.MaxBody+1), "oversized"},
		{"GET", "/v1/messages", "", "no-route"},
		{"GET", "/", "", "no-route"},
	} {
		if _, class := ask(t, client, tt.method, tt.path, []byte(tt.body)); class != tt.want {
			t.Errorf("%s %s: class %q, want %q", tt.method, tt.path, class, tt.want)
		}
	}
	must(t, r.db.Close())
	if _, class := ask(t, client, "POST", "/v1/enrolment", nil); class != wire.Unavailable {
		t.Errorf("without its registry: %q", class)
	}
	r.reopen()
}

// What a run logs holds no reading, key or address. An ID_SM never comes to a
// TTP.
func TestLogsHoldNoSecret(t *testing.T) {
	const planted = 987_654_321_123 // Wh
	r := newRig(t, nil)
	c := r.company("north.example")
	must(t, c.putTariff(flat))
	m := c.keyed(1)
	m.fill(-4, 92, func(i int) uint64 { return planted + uint64(i) })
	forged := m.message(1, 1, reading(1, planted))
	forged[20] ^= 1
	reused := m.message(1, 1000-4, reading(1, planted+1))
	c.send(m.message(1, 0, reading(0, planted)), forged, reused, m.message(1, 2, reading(0, planted+2)))
	r.faults.set(func(s *faultyStore) { s.append, s.read = errDisk, errDisk })
	m.agree(2)
	c.send(m.message(2, 1, reading(1, planted)))
	c.exchange(m.m1(3, func(o *wire.Offer) { o.Suites = nil }), c.newMeter(2).m1(1, nil))
	_, _, err := c.bills("flat", billFrom, billTo, "0000000000000001", "nonsense")
	must(t, err)
	r.faults.set(func(s *faultyStore) { s.append, s.read = nil, nil })
	m.agree(3)
	m.seal(3, 7, make([]byte, wire.BlockUnit))
	c.send(m.seal(3, 7, make([]byte, wire.BlockUnit)), m.message(3, 8, reading(95, planted)))
	r.clock.add(60 * day)
	_, _, err = c.bills("flat", billFrom, start.Add(2*day), "0000000000000001")
	must(t, err)
	m.issue(1)
	_, err = c.enrol(m.statement)
	must(t, err)
	must(t, r.Maintain(t.Context()))
	if err := c.enrolTTP(c.keyRequest(1)); err == nil {
		t.Fatal("a second key with one serial was taken")
	}

	log := r.log.String()
	if !strings.Contains(log, "counter-reuse") || !strings.Contains(log, "class=forged") || !strings.Contains(log, "no bill") {
		t.Fatalf("the run did not log what it was to log:\n%s", log)
	}
	var secrets [][]byte
	for _, a := range m.epochs {
		if a.keys != nil {
			secrets = append(secrets, a.keys.Up.Key[:], a.keys.Down.Key[:], a.keys.Chain[:], a.keys.Claim[:], a.keys.ConfirmT[:], a.answer.S[:])
		}
	}
	user, err := r.userKey(t.Context(), c.number)
	must(t, err)
	secrets = append(secrets, user.Bytes(), r.billKeys.list[0].Seed())
	for _, s := range secrets {
		for _, form := range []string{hex.EncodeToString(s), strings.ToUpper(hex.EncodeToString(s)), base64.StdEncoding.EncodeToString(s), base64.RawURLEncoding.EncodeToString(s), string(s), fmt.Sprint(s)} {
			if strings.Contains(log, form) {
				t.Errorf("the log holds a key as %q", form)
			}
		}
	}
	for i := range uint64(100) {
		for _, form := range []string{fmt.Sprint(planted + i), fmt.Sprintf("%x", planted+i), fmt.Sprintf("%X", planted+i)} {
			if strings.Contains(log, form) {
				t.Errorf("the log holds the reading %q", form)
			}
		}
	}
	if strings.Contains(log, "127.0.0.1") {
		t.Error("the log holds a network address")
	}
}
