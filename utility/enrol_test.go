package utility

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/clpke"
	"github.com/wattveil/wattveil/peer"
	"github.com/wattveil/wattveil/wire"
)

func TestEnrolTTP(t *testing.T) {
	r := newRig(t, nil)
	must(t, r.EnrolTTP(t.Context()))
	key := r.ttp.keys[0]
	st, err := clpke.VerifyStatement(key.Statement, &r.signer.PublicKey)
	must(t, err)
	if st.Identity() != clpke.TTPIdentity(ucNumber, ttpOrg) || st.Mu != r.ttp.user.Public() || st.Serial != 1 || !st.ValidAt(start.Unix()) {
		t.Errorf("statement %+v", st)
	}
	partial, err := clpke.ParsePartialKey(key.PartialKey)
	must(t, err)
	if _, err := clpke.NewPrivateKey(r.ttp.user, partial, st.Identity(), st.Master); err != nil {
		t.Error(err)
	}
	trust := peer.NewTrust()
	trust.Pin(utilityOrg, peer.RoleKGC, r.authority.Certificate)
	cert, err := r.KGCCertificate()
	must(t, err)
	if name, err := trust.VerifyIssued(cert, start); err != nil || name != (peer.Name{Org: utilityOrg, Role: peer.RoleKGC}) {
		t.Errorf("KGC certificate of %v: %v", name, err)
	}

	// Renewed, with a higher serial.
	must(t, r.EnrolTTP(t.Context()))
	if st, err = clpke.VerifyStatement(r.ttp.keys[1].Statement, &r.signer.PublicKey); err != nil || st.Serial != 2 {
		t.Errorf("renewed with serial %d: %v", st.Serial, err)
	}
	if r.addCollectors("a"); !bytes.Equal(r.meters(1)[0].answer.TTPStatement, r.ttp.keys[1].Statement) {
		t.Error("meters do not get the renewed statement")
	}
}

// Two statements with one serial would be evidence against the utility's own
// KGC: a serial is never used twice, whatever has become of the first.
func TestSerialIsNeverUsedTwice(t *testing.T) {
	r := newRig(t, nil)
	serials := make(map[uint32]bool)
	lost := func(path string, answer []byte) []byte {
		if path == "/v1/enrolment" && len(r.ttp.keys) < 3 && bytes.Contains(answer, []byte("root_statement")) {
			return []byte("lost")
		}
		return answer
	}
	r.ttp.set(func(f *fakeTTP) { f.mangle = lost })
	for i := range 3 {
		if err := r.EnrolTTP(t.Context()); (err == nil) != (i == 2) {
			t.Fatalf("attempt %d: %v", i, err)
		}
		r.reopen()
	}
	for _, key := range r.ttp.keys {
		st, err := clpke.VerifyStatement(key.Statement, &r.signer.PublicKey)
		must(t, err)
		if serials[st.Serial] {
			t.Errorf("serial %d was used twice", st.Serial)
		}
		serials[st.Serial] = true
	}
	if len(serials) != 3 {
		t.Errorf("serials %v", serials)
	}
}

func TestTTPIsRefused(t *testing.T) {
	other := newFakeTTP(t)
	for _, tt := range []struct {
		name   string
		change func(*fakeTTP)
		want   string
	}{
		{"another name", func(f *fakeTTP) { f.told.Name = "other.example" }, "calls itself"},
		{"no user value", func(f *fakeTTP) { f.told.Mu = nil }, "user value"},
		{"user value is no point", func(f *fakeTTP) { f.told.Mu = make([]byte, 33) }, "user value"},
		{"root key is no point", func(f *fakeTTP) { f.told.RootKey = make([]byte, 33) }, "root key"},
		{"root statement by another key", func(f *fakeTTP) { f.root = other.root }, "root statement"},
		{"root statement of another user value", func(f *fakeTTP) { f.user = other.user }, "root statement"},
		{"no JSON", func(f *fakeTTP) { f.mangle = func(string, []byte) []byte { return []byte("<html>") } }, "answer of the TTP"},
		{"away", func(f *fakeTTP) { f.fail = errAway }, "refused"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, nil)
			r.ttp.set(tt.change)
			if err := r.EnrolTTP(t.Context()); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("enrolled: %v", err)
			}
			if n := r.count("ttps"); n != 0 {
				t.Error("its keys are kept")
			}
		})
	}
}

// A TTP that comes with another number or root key is not the one that the
// meters were registered with.
func TestTTPHasChanged(t *testing.T) {
	other := newFakeTTP(t)
	for name, change := range map[string]func(*fakeTTP){
		"another number":   func(f *fakeTTP) { f.told.Number++ },
		"another root key": func(f *fakeTTP) { f.told.RootKey, f.root = other.told.RootKey, other.root },
	} {
		r := enrolled(t)
		r.ttp.set(change)
		if err := r.EnrolTTP(t.Context()); err == nil || !strings.Contains(err.Error(), "changed") {
			t.Errorf("%s: %v", name, err)
		}
		if n := len(r.ttp.keys); n != 1 {
			t.Errorf("%s: a key was issued", name)
		}
	}
}

// batches are the statements of each request so far.
func (f *fakeTTP) batches() (list [][][]byte) {
	for _, body := range f.to("/v1/meters") {
		var in wire.MeterStatements
		must(f.t, json.Unmarshal(body, &in))
		list = append(list, in.Statements)
	}
	return list
}

// Statements are sent once, in parts, until none waits, in an order that does
// not tell when their meters registered.
func TestEnrolMeters(t *testing.T) {
	r := enrolled(t, "a")
	const meters = 2*maxStatementsPerRequest + 100
	_, err := r.db.ExecContext(t.Context(), `
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
		INSERT INTO meters (id_sm, secret, password_hash, roster, ttp) SELECT 1000 + i, x'', zeroblob(32), i, ? FROM n`, meters, ttpOrg)
	must(t, err)
	_, err = r.db.ExecContext(t.Context(), `INSERT INTO pseudonyms (id_sm, base, an_id) SELECT id_sm, 0, id_sm FROM meters`)
	must(t, err)
	_, err = r.db.ExecContext(t.Context(), `
		INSERT INTO statements (an_id, serial, statement, partial_key) SELECT an_id, 1, CAST(printf('%08d', an_id) AS BLOB), x'' FROM pseudonyms`)
	must(t, err)

	must(t, r.EnrolMeters(t.Context()))
	seen := make(map[string]bool)
	inOrder, total := 0, 0
	for _, batch := range r.ttp.batches() {
		if len(batch) > maxStatementsPerRequest {
			t.Errorf("%d statements in one request", len(batch))
		}
		for i, signed := range batch {
			seen[string(signed)], total = true, total+1
			if i > 0 && bytes.Compare(batch[i-1], signed) < 0 {
				inOrder++
			}
		}
	}
	if len(seen) != meters || total != meters {
		t.Errorf("%d statements, %d different, want %d", total, len(seen), meters)
	}
	if inOrder < meters/3 || inOrder > 2*meters/3 {
		t.Errorf("%d of %d statements follow one that is before them", inOrder, total)
	}
	requests := len(r.ttp.batches())
	must(t, r.EnrolMeters(t.Context()))
	if n := len(r.ttp.batches()); n != requests {
		t.Error("nothing waits, and yet a request was sent")
	}
}

// What the TTP refuses is not sent again, and keeps nothing else waiting.
func TestStatementRefused(t *testing.T) {
	r := enrolled(t, "a")
	meters := r.meters(3)
	bad := meters[1].answer.Statement
	r.ttp.set(func(f *fakeTTP) {
		f.refuse = func(signed []byte) wire.Class {
			if bytes.Equal(signed, bad) {
				return wire.Evidence
			}
			return ""
		}
	})
	must(t, r.EnrolMeters(t.Context()))
	must(t, r.EnrolMeters(t.Context()))
	if n := len(r.ttp.batches()); n != 1 || len(r.ttp.enrolled) != 2 || r.Refused()[wire.Evidence] != 1 {
		t.Errorf("%d requests, %d enrolled, counted %v", n, len(r.ttp.enrolled), r.Refused())
	}
	if got, err := r.MeterCounts(t.Context()); err != nil || got.Enrolled != 2 || got.Refused != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	if !strings.Contains(r.log.String(), "TTP refused a statement") {
		t.Error("the operator is not told")
	}
}

// Answers that make no sense change nothing.
func TestEnrolmentAnswers(t *testing.T) {
	r := enrolled(t, "a")
	r.meters(2)
	for name, answer := range map[string]string{
		"position beyond": `{"refused":[{"position":2,"class":"forged"}]}`, "negative position": `{"refused":[{"position":-1,"class":"forged"}]}`,
		"no JSON": `refused`, "empty": ``,
	} {
		r.ttp.set(func(f *fakeTTP) { f.mangle = func(string, []byte) []byte { return []byte(answer) } })
		if err := r.EnrolMeters(t.Context()); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	r.ttp.set(func(f *fakeTTP) { f.mangle, f.fail = nil, errAway })
	if err := r.EnrolMeters(t.Context()); err == nil {
		t.Error("away: no error")
	}
	if n := r.count("statements WHERE enrolled = 0"); n != 2 {
		t.Errorf("%d statements wait, want 2", n)
	}
	r.ttp.set(func(f *fakeTTP) { f.fail = nil })
	must(t, r.EnrolMeters(t.Context()))
	if n := r.count("statements WHERE enrolled = 1"); n != 2 {
		t.Errorf("%d statements are enrolled, want 2", n)
	}
}

func TestMaintain(t *testing.T) {
	r := newRig(t, func(cfg *Config) { cfg.EnrolEvery = time.Hour })
	must(t, r.EnrolTTP(t.Context()))
	r.addCollectors("a")
	r.meters(1)
	must(t, r.Maintain(t.Context()))
	if n := len(r.ttp.batches()); n != 1 {
		t.Fatalf("%d requests with the first round", n)
	}
	r.meters(1)
	r.clock.add(time.Hour - time.Second)
	must(t, r.Maintain(t.Context()))
	if n := len(r.ttp.batches()); n != 1 {
		t.Errorf("statements were sent %v early", time.Second)
	}
	r.clock.add(time.Second)
	must(t, r.Maintain(t.Context()))
	if n := len(r.ttp.batches()); n != 2 {
		t.Error("statements were not sent when due")
	}
	r.clock.add(peer.CertificateLifetime - 2*time.Hour)
	if !r.identity.Due(r.clock.Now()) {
		t.Fatal("the certificate is not due")
	}
	must(t, r.Maintain(t.Context()))
	if r.identity.Due(r.clock.Now()) {
		t.Error("the certificate was not renewed")
	}
}

// A folder keeps its keys: master, signer and secrets.
func TestKeysOutliveARestart(t *testing.T) {
	r := enrolled(t, "a")
	master, signer := r.master, r.signer
	m := r.meters(1)[0]
	r.reopen()
	if !r.master.Equal(master) || !r.signer.Equal(signer) {
		t.Error("keys are others after a restart")
	}
	if got := r.send(m.data(1, 0)).Verdicts[0]; got != wire.Durable {
		t.Errorf("a data message after a restart: %v", got)
	}
	if list, err := r.Meters(t.Context()); err != nil || list[m.id()] != m.answer.Meter.Pseudonym {
		t.Errorf("%v, %v", list, err)
	}
}

// Names that are drawn are of 64 bits, and unlike each other.
func TestRandomNames(t *testing.T) {
	var names randomNames
	seen := make(map[uint64]bool)
	var bits uint64
	for range 100 {
		for _, n := range []uint64{uint64(names.MeterID()), uint64(names.Pseudonym(wattveil.MeterID(1)))} {
			seen[n] = true
			bits |= n
		}
	}
	if len(seen) != 200 || bits>>32 == 0 || bits&0xffffffff == 0 {
		t.Errorf("%d different names of 200", len(seen))
	}
}
