package ttp

import (
	"bytes"
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/clpke"
	"github.com/wattveil/wattveil/peer"
	"github.com/wattveil/wattveil/wire"
)

func TestEnrolmentRefusals(t *testing.T) {
	r := newRig(t, nil)
	other := r.company("other.example")
	stranger, err := peer.NewAuthority("north.example", start)
	must(t, err)
	for _, tt := range []struct {
		name   string
		change func(c *company, in *wire.EnrolmentKey)
		want   wire.Class
	}{
		{"certificate of a foreign authority", func(c *company, in *wire.EnrolmentKey) {
			in.Certificate = c.certificate(stranger, peer.Name{Org: c.org, Role: peer.RoleKGC})
		}, wire.Forged},
		{"certificate of another role", func(c *company, in *wire.EnrolmentKey) {
			in.Certificate = c.certificate(c.authority, peer.Name{Org: c.org, Role: peer.RoleUtility})
		}, wire.Forged},
		{"certificate of another organisation", func(c *company, in *wire.EnrolmentKey) {
			in.Certificate = c.certificate(other.authority, peer.Name{Org: other.org, Role: peer.RoleKGC})
		}, wire.Forged},
		{"certificate for another organisation by its own authority", func(c *company, in *wire.EnrolmentKey) {
			in.Certificate = c.certificate(c.authority, peer.Name{Org: other.org, Role: peer.RoleKGC})
		}, wire.Forged},
		{"certificate that is over", func(c *company, in *wire.EnrolmentKey) {
			cert, err := c.authority.Issue(peer.Name{Org: c.org, Role: peer.RoleKGC}, c.signer.Public(), nil, start.Add(-2*peer.CertificateLifetime))
			must(t, err)
			in.Certificate = cert.Raw
		}, wire.Forged},
		{"no certificate", func(_ *company, in *wire.EnrolmentKey) { in.Certificate = nil }, wire.Malformed},
		{"statement by another signer", func(c *company, in *wire.EnrolmentKey) {
			in.Certificate = c.certificate(c.authority, peer.Name{Org: c.org, Role: peer.RoleKGC})
			c.signer = newECDSA(t)
			in.Statement = c.keyRequest(1).Statement
		}, wire.Forged},
		{"statement of another user value", func(c *company, in *wire.EnrolmentKey) {
			c.told.Mu = other.told.Mu
			*in = c.keyRequest(1)
		}, wire.Malformed},
		{"statement of another name", func(c *company, in *wire.EnrolmentKey) {
			c.told.Name = "another.example"
			*in = c.keyRequest(1)
		}, wire.Malformed},
		{"statement of a meter", func(c *company, in *wire.EnrolmentKey) { in.Statement = c.newMeter(1).statement }, wire.Malformed},
		{"statement of another utility", func(c *company, in *wire.EnrolmentKey) {
			c.number = other.number
			*in = c.keyRequest(1)
		}, wire.Malformed},
		{"partial key of another statement", func(c *company, in *wire.EnrolmentKey) { in.PartialKey = c.keyRequest(1).PartialKey }, wire.Malformed},
		{"partial key with another d", func(c *company, in *wire.EnrolmentKey) {
			in.PartialKey = append(in.PartialKey[:clpke.PointSize:clpke.PointSize], c.keyRequest(1).PartialKey[clpke.PointSize:]...)
		}, wire.Forged},
		{"no partial key", func(_ *company, in *wire.EnrolmentKey) { in.PartialKey = nil }, wire.Malformed},
		{"no statement", func(_ *company, in *wire.EnrolmentKey) { in.Statement = nil }, wire.Malformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := r.newCompany("north.example")
			number := c.number
			in := c.keyRequest(1)
			tt.change(c, &in)
			c.number = number
			err := c.enrolTTP(in)
			if err == nil || classOf(err) != tt.want {
				t.Errorf("answered %v, want class %s", err, tt.want)
			}
			if n := r.count("own_keys WHERE uc = ?", number); n != 0 {
				t.Errorf("%d keys are kept", n)
			}
		})
	}
	if _, err := r.handleEnrolmentKey(t.Context(), 1, []byte("{")); classOf(err) != wire.Malformed {
		t.Errorf("no JSON: %v", err)
	}
}

func TestAddUtilityAgainKeepsNumber(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	renewed, err := peer.NewAuthority(c.org, start)
	must(t, err)
	number, err := r.AddUtility(t.Context(), c.org, renewed.Certificate)
	must(t, err)
	if number != c.number || r.NumberOf(c.org) != c.number || r.NumberOf("nobody.example") != 0 {
		t.Errorf("number %v, was %v", number, c.number)
	}
	old := c.keyRequest(2)
	if err := c.enrolTTP(old); classOf(err) != wire.Forged {
		t.Errorf("certificate of the authority before: %v", err)
	}
	c.authority = renewed
	must(t, c.enrolTTP(c.keyRequest(2)))
	if _, err := r.AddUtility(t.Context(), "Bad Name", renewed.Certificate); err == nil {
		t.Error("an organisation without a valid name was added")
	}
	second := r.company("south.example")
	if second.number == c.number {
		t.Error("two utilities have one number")
	}
	r.reopen()
	if r.NumberOf(c.org) != c.number || r.NumberOf("south.example") != second.number {
		t.Error("numbers changed with a restart")
	}
}

func TestMetersBeforeTheTTPsKey(t *testing.T) {
	r := newRig(t, nil)
	c := r.newCompany("north.example")
	m := c.newMeter(1)
	if _, err := c.enrol(m.statement); classOf(err) != wire.Unenrolled {
		t.Errorf("meters: %v", err)
	}
	body := wire.AppendExchanges(nil, nil)
	if _, err := r.handleExchanges(t.Context(), c.number, body); classOf(err) != wire.Unenrolled {
		t.Errorf("exchanges: %v", err)
	}
}

// The same request again, as after a lost answer, changes nothing: meters hold
// the first statement, whose bytes are part of every transcript.
func TestOwnKeyRepeated(t *testing.T) {
	r := newRig(t, nil)
	c := r.newCompany("north.example")
	in := c.keyRequest(1)
	body, err := json.Marshal(in)
	must(t, err)
	first, err := r.handleEnrolmentKey(t.Context(), c.number, body)
	must(t, err)
	c.own = in.Statement
	m := c.keyed(1)

	again, err := r.handleEnrolmentKey(t.Context(), c.number, body)
	must(t, err)
	if !bytes.Equal(first, again) {
		t.Error("the repeat has another answer")
	}
	st, err := clpke.VerifyStatement(in.Statement, &c.signer.PublicKey)
	must(t, err)
	signedAgain, err := clpke.SignStatement(c.signer, st)
	must(t, err)
	in.Statement = signedAgain
	body, err = json.Marshal(in)
	must(t, err)
	if again, err = r.handleEnrolmentKey(t.Context(), c.number, body); err != nil || !bytes.Equal(first, again) {
		t.Errorf("the same statement with another signature: %v", err)
	}
	m.agree(2) // under the statement of the first request
	r.reopen()
	m.agree(3)
}

func TestOwnKeySerials(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	must(t, c.enrolTTP(c.keyRequest(3)))
	kept := c.own
	if err := c.enrolTTP(c.keyRequest(2)); classOf(err) != wire.Replayed {
		t.Errorf("falling serial: %v", err)
	}
	offered := c.keyRequest(3)
	if err := c.enrolTTP(offered); classOf(err) != wire.Evidence {
		t.Errorf("two statements with one serial: %v", err)
	}
	n := r.count("evidence WHERE uc = ? AND kept = ? AND offered = ? AND seen = ?",
		c.number, []byte(kept), []byte(offered.Statement), start.Unix())
	if n != 1 {
		t.Errorf("%d rows of evidence, want 1", n)
	}
}

// A renewed key comes into use with the statement that names it. Meters that
// have not heard of it go on with the one before.
func TestOwnKeyRenewed(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	before := c.meter(1)
	before.ttp = c.own
	before.agree(1)
	must(t, c.enrolTTP(c.keyRequest(2)))
	after := c.meter(2)
	after.agree(1)
	before.agree(2)
	r.reopen()
	before.agree(3)
	after.agree(2)
}

func TestMeterStatements(t *testing.T) {
	r := newRig(t, nil)
	c, other := r.company("north.example"), r.company("south.example")
	good, again := c.newMeter(1), c.newMeter(2)
	c.mustEnrol(again)
	unsigned := bytes.Clone(c.newMeter(3).statement)
	unsigned[len(unsigned)-1] ^= 1
	impostor := other.newMeter(4)
	impostor.c = &company{r: r, master: c.master, signer: c.signer, number: other.number}
	impostor.issue(1)
	foreign := other.newMeter(5)

	refused, err := c.enrol(good.statement, again.statement, unsigned, impostor.statement, foreign.statement, nil,
		[]byte("statement"), c.own)
	must(t, err)
	want := map[int]wire.Class{
		2: wire.Forged,    // a bit of the signature
		3: wire.Forged,    // of another utility's meter, by this one's KGC
		4: wire.Forged,    // by another utility's KGC
		5: wire.Malformed, // nothing
		6: wire.Malformed, // no statement
		7: wire.Forged,    // the TTP's own
	}
	if !maps.Equal(refused, want) {
		t.Errorf("refused %v, want %v", refused, want)
	}
	if n := r.count("meters"); n != 2 {
		t.Errorf("%d meters are enrolled, want 2", n)
	}
	good.agree(1)
	if _, err := r.handleMeters(t.Context(), c.number, []byte("[")); classOf(err) != wire.Malformed {
		t.Errorf("no JSON: %v", err)
	}
	if got := r.Refused(); got[wire.Forged] != 4 || got[wire.Malformed] != 2 {
		t.Errorf("counted %v", got)
	}
}

func TestMeterStatementSerials(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	m := c.meter(1)
	m.agree(1)
	first := m.statement

	m.issue(5)
	c.mustEnrol(m)
	if refused, err := c.enrol(first); err != nil || refused[0] != wire.Replayed {
		t.Errorf("falling serial: %v, %v", refused, err)
	}
	kept := m.statement
	m.issue(5)
	refused, err := c.enrol(m.statement, m.statement)
	if err != nil || refused[0] != wire.Evidence || refused[1] != wire.Evidence {
		t.Errorf("two statements with one serial: %v, %v", refused, err)
	}
	if n := r.count("evidence WHERE uc = ? AND kept = ? AND offered = ?", c.number, []byte(kept), []byte(m.statement)); n != 1 {
		t.Errorf("%d rows of evidence, want 1", n)
	}
	if n := r.count("statements WHERE uc = ?", c.number); n != 2 {
		t.Errorf("%d statements are kept, want 2", n)
	}
	if !strings.Contains(r.log.String(), "class=evidence") {
		t.Error("the log does not tell the operator of the evidence")
	}
	// The statement before the second one with serial 5 is still in force.
	if a := c.exchange(m.m1(2, nil))[0]; a.Verdict != wire.Durable {
		t.Errorf("M1 after evidence: %v", a.Verdict)
	}
}

// A statement with a higher serial begins a new series of readings.
func TestRenewedMeterHasNewSeries(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	m := c.keyed(1)
	if got := c.send(m.message(1, 0, steady(0, 2)...)); got[0] != wire.Durable {
		t.Fatal(got)
	}
	m.issue(2)
	c.mustEnrol(m)
	m.agree(2)
	if got := c.send(m.message(1, 1, steady(2, 1)...), m.message(2, 0, steady(3, 2)...)); join(got) != "durable durable" {
		t.Fatal(got)
	}
	var series []wattveil.Series
	var lengths []int
	for _, run := range m.stored().Runs {
		series, lengths = append(series, run.Series), append(lengths, len(run.Readings))
	}
	if len(series) != 2 || series[0] != 1 || series[1] != 2 || lengths[0] != 3 || lengths[1] != 2 {
		t.Errorf("series %v of lengths %v", series, lengths)
	}
}

// Two requests with the same new meters at a time enrol each once.
func TestEnrolInParallel(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	var signed []clpke.SignedStatement
	for p := range wattveil.Pseudonym(20) {
		signed = append(signed, c.newMeter(p).statement)
	}
	type outcome struct {
		refused map[int]wire.Class
		err     error
	}
	outcomes := make(chan outcome)
	for range 4 {
		go func() {
			refused, err := c.enrol(signed...)
			outcomes <- outcome{refused, err}
		}()
	}
	for range 4 {
		if o := <-outcomes; o.err != nil || len(o.refused) != 0 {
			t.Errorf("refused %v, %v", o.refused, o.err)
		}
	}
	if n := r.count("meters"); n != 20 {
		t.Errorf("%d meters, want 20", n)
	}
}

func TestMaintainRenewsCertificate(t *testing.T) {
	r := newRig(t, nil)
	r.clock.add(peer.CertificateLifetime - time.Hour)
	if !r.identity.Due(r.clock.Now()) {
		t.Fatal("the certificate is not due")
	}
	must(t, r.Maintain(t.Context()))
	if r.identity.Due(r.clock.Now()) {
		t.Error("the certificate was not renewed")
	}
}
