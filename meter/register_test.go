package meter

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/clpke"
	"github.com/wattveil/wattveil/kgc"
	"github.com/wattveil/wattveil/wire"
)

func TestLostRegistrationAnswer(t *testing.T) {
	r := newRig(t)
	lost := 0
	r.net.deliver = func([]byte) int { lost++; return 0 }
	r.run(29 * time.Minute) // two steps, one request
	if r.double.requests != 1 {
		t.Fatalf("%d requests before Retry has passed, want 1", r.double.requests)
	}
	r.run(30 * time.Minute)
	if r.double.requests != 2 || lost != 2 || r.double.never != 0 {
		t.Fatalf("%d requests, %d answers lost, %d refused; want 2, 2, 0", r.double.requests, lost, r.double.never)
	}
	if bytes.Equal(r.net.frames[0], r.net.frames[1]) {
		t.Error("the second request is the first again")
	}
	r.net.deliver = nil
	r.run(2 * time.Hour)
	r.want(Keyed)
	r.checkAll()
}

func TestUnacknowledgedRequestIsPublishedAgain(t *testing.T) {
	r := newRig(t)
	r.net.publish = func([]byte) (bool, error) { return false, errFault }
	for range 2 {
		if err := r.agent.Step(t.Context()); !errors.Is(err, errFault) {
			t.Fatalf("step gave %v", err)
		}
	}
	if len(r.net.frames) != 2 || !bytes.Equal(r.net.frames[0], r.net.frames[1]) {
		t.Error("unacknowledged request was not published again as it was")
	}
}

// An answer may take longer than Retry; it is for an older request then.
func TestSlowRegistrationAnswer(t *testing.T) {
	r := newRig(t)
	r.net.held = true
	r.run(2 * time.Hour)
	if n := len(r.net.queue); n < 4 {
		t.Fatalf("%d requests queued, want at least 4", n)
	}
	r.net.queue = r.net.queue[:1]
	r.net.pump()
	r.step()
	r.want(Exchanging)
}

func TestStaleClock(t *testing.T) {
	tests := []struct {
		name     string
		ahead    int64 // utility's clock less the device's
		refusals int
		suspect  bool
	}{
		{"right", 0, 0, false},
		{"4 min behind", 4 * 60, 0, false},
		{"6 min behind", 6 * 60, 0, true},
		{"23 h behind", 23 * 3600, 0, true},
		{"25 h behind", 25 * 3600, 1, false},
		{"a year behind", 365 * secondsPerDay, 1, false},
		{"4 min ahead", -4 * 60, 0, false},
		{"6 min ahead", -6 * 60, 1, false},
		{"3 days ahead", -3 * secondsPerDay, 1, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, func(r *rig) { r.ahead = tt.ahead })
			r.keyedSoon()
			if r.double.refusals != tt.refusals || r.double.requests != tt.refusals+1 {
				t.Errorf("%d refusals of %d requests, want %d", r.double.refusals, r.double.requests, tt.refusals)
			}
			s := r.agent.Status()
			if s.ClockSuspect != tt.suspect {
				t.Errorf("clock suspect: %v, want %v", s.ClockSuspect, tt.suspect)
			}
			if off := r.agent.clock() - r.double.clock(); tt.refusals > 0 && off != 0 {
				t.Errorf("clock is %d s from the utility's after a refusal", off)
			}
			r.source.taken = map[int64]wattveil.Reading{}
			r.now = time.Unix(max(s.NextReading, r.double.clock())-r.agent.state.offset, 0)
			r.run(time.Hour)
			for at := range r.source.taken {
				if got := r.double.got[at].Status; got != map[bool]wattveil.Status{true: wattveil.StatusClock}[tt.suspect] {
					t.Errorf("reading has status %#x", uint16(got))
				}
			}
			if len(r.source.taken) == 0 {
				t.Error("no reading was taken")
			}
			r.restart()
			if s := r.agent.Status(); s.ClockSuspect != tt.suspect || r.agent.clock()-r.double.clock() > 360 {
				t.Error("the clock's setting is gone after a stop")
			}
		})
	}
}

func (r *rig) keyedSoon() {
	r.Helper()
	for range 6 {
		r.step()
	}
	r.want(Keyed)
}

// A refusal is answered at once, but once: a utility that refuses on and on
// gets one request each Retry.
func TestRefusalIsAnsweredAtOnceOnlyOnce(t *testing.T) {
	r := newRig(t)
	drift := int64(0)
	r.double.clock = func() int64 { drift += 2 * secondsPerDay; return r.now.Unix() + drift }
	for range 10 {
		r.step()
	}
	if r.double.requests != 2 {
		t.Fatalf("%d requests, want 2", r.double.requests)
	}
	r.run(30 * time.Minute)
	r.step()
	if r.double.requests != 4 {
		t.Errorf("%d requests after Retry, want 4", r.double.requests)
	}
	r.want(Unregistered)
}

func TestRefusalOfAnotherNonce(t *testing.T) {
	r := newRig(t, func(r *rig) { r.double.mute = true })
	r.step()
	frame := r.double.secret.RefuseRegister(testMeter, r.net.frames[0], wire.RegisterRefusal{Time: start + 99})
	r.net.send(frame)
	r.net.send(r.double.secret.RefuseRegister(testMeter, []byte("another request"), wire.RegisterRefusal{}))
	r.step()
	r.wantRefused(wire.Forged, 2)
	if r.agent.state.offset != 0 {
		t.Error("clock was set")
	}
}

func TestRefusedAnswers(t *testing.T) {
	tests := []struct {
		name  string
		rig   func(*rig)
		class wire.Class
	}{
		{"root key is not the pinned one", func(r *rig) {
			pinned(r)
			r.double.root = newECDSA(r)
		}, wire.Forged},
		{"root statement by another key", func(r *rig) {
			r.double.register = func(a *wire.Registered) {
				a.SignedTTPRoot = r.double.signRoot(newECDSA(r), testUC, r.double.private.PublicKey(), forever)
			}
		}, classUnsigned},
		{"root statement for another utility", func(r *rig) {
			r.double.register = func(a *wire.Registered) {
				a.SignedTTPRoot = r.double.signRoot(r.double.root, 8, r.double.private.PublicKey(), forever)
			}
		}, wire.Forged},
		{"root statement of another TTP key", func(r *rig) {
			r.double.register = func(a *wire.Registered) {
				_, other := r.double.issueTTP(2)
				a.SignedTTPRoot = r.double.signRoot(r.double.root, testUC, other.PublicKey(), forever)
			}
		}, wire.Forged},
		{"root statement has run out", func(r *rig) {
			r.double.register = func(a *wire.Registered) {
				a.SignedTTPRoot = r.double.signRoot(r.double.root, testUC, r.double.private.PublicKey(), start-1)
			}
		}, wire.Stale},
		{"root key is no point", func(r *rig) {
			r.double.register = func(a *wire.Registered) { a.RootKey = [33]byte{} }
		}, wire.Malformed},
		{"statements by another signer", func(r *rig) { r.double.signer = newECDSA(r) }, classUnsigned},
		{"own statement by another signer", func(r *rig) {
			r.double.register = func(a *wire.Registered) {
				a.Statement = bytes.Clone(a.Statement)
				a.Statement[len(a.Statement)-1] ^= 1
			}
		}, classUnsigned},
		{"TTP's statement by another signer", func(r *rig) {
			r.double.register = func(a *wire.Registered) {
				a.TTPStatement = bytes.Clone(a.TTPStatement)
				a.TTPStatement[len(a.TTPStatement)-1] ^= 1
			}
		}, classUnsigned},
		{"own statement is cut", func(r *rig) {
			r.double.register = func(a *wire.Registered) { a.Statement = a.Statement[1:] }
		}, wire.Malformed},
		{"own statement of another meter", func(r *rig) {
			r.double.issue = func(mu clpke.Point) (clpke.SignedStatement, [32]byte) {
				return r.double.issueMeter(clpke.MeterIdentity(wattveil.Meter{UC: testUC, Pseudonym: 1}), mu, 1, forever)
			}
		}, wire.Forged},
		{"own statement of another user value", func(r *rig) {
			r.double.issue = func(clpke.Point) (clpke.SignedStatement, [32]byte) {
				user, err := clpke.NewUserKey()
				must(r, err)
				return r.double.issueMeter(clpke.MeterIdentity(r.double.meter), user.Public(), 1, forever)
			}
		}, wire.Forged},
		{"own statement has run out", func(r *rig) {
			r.double.issue = func(mu clpke.Point) (clpke.SignedStatement, [32]byte) {
				return r.double.issueMeter(clpke.MeterIdentity(r.double.meter), mu, 1, start-1)
			}
		}, wire.Stale},
		{"another meter's statement for the TTP's", func(r *rig) {
			r.double.register = func(a *wire.Registered) { a.TTPStatement = a.Statement }
		}, wire.Forged},
		{"TTP's statement under another master key", func(r *rig) {
			r.double.register = func(a *wire.Registered) {
				master, err := kgc.NewMasterKey()
				must(r, err)
				good := r.double.master
				r.double.master = master
				statement, key := r.double.issueTTP(1)
				r.double.master = good
				a.TTPStatement = statement
				a.SignedTTPRoot = r.double.signRoot(r.double.root, testUC, key.PublicKey(), forever)
			}
		}, wire.Forged},
		{"another pseudonym beside the statement", func(r *rig) {
			r.double.register = func(a *wire.Registered) { a.Meter.Pseudonym++ }
		}, wire.Forged},
		{"partial key altered", func(r *rig) {
			r.double.register = func(a *wire.Registered) { a.D[31] ^= 1 }
		}, classPartialKey},
		{"partial key is no scalar", func(r *rig) {
			r.double.register = func(a *wire.Registered) { a.D = [32]byte{} }
		}, wire.Malformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, tt.rig)
			r.run(time.Hour)
			r.want(Unregistered)
			r.wantRefused(tt.class, 2)
			if r.vault.saves != 1 {
				t.Errorf("vault was saved %d times: something of a refused answer was kept", r.vault.saves)
			}
		})
	}
}

func TestPinnedMeterSaysSo(t *testing.T) {
	r := newRig(t, pinned)
	r.keyed()
	if !r.double.offers[0].Pinned {
		t.Error("M1 does not say that the meter pins the root")
	}
	other := newRig(t)
	other.keyed()
	if other.double.offers[0].Pinned {
		t.Error("M1 of a meter without pin says that it pins the root")
	}
}

func TestRepeatedAnswerChangesNothing(t *testing.T) {
	r := newRig(t)
	r.net.deliver = func([]byte) int { return 2 }
	r.keyed()
	r.wantRefused(wire.Replayed, 2) // the second answer and the second M2
	r.run(time.Hour)
	r.checkAll()
}

func TestRegistrationIsNotKeptUnlessSaved(t *testing.T) {
	r := newRig(t)
	r.step()
	r.vault.fail = func() bool { return true }
	if err := r.agent.Step(t.Context()); !errors.Is(err, errFault) {
		t.Fatalf("step gave %v", err)
	}
	r.want(Unregistered)
	r.vault.fail = nil
	r.run(time.Hour)
	r.want(Keyed)
}

// expire makes the meter's statement one that ends after a week, before the
// lifetime of its keys.
func expire(r *rig) {
	r.double.lifetime = week + 6*3600
	r.double.issue = func(mu clpke.Point) (clpke.SignedStatement, [32]byte) {
		return r.double.issueMeter(clpke.MeterIdentity(r.double.meter), mu, 1, start+week)
	}
}

func TestRenewal(t *testing.T) {
	r := newRig(t, expire)
	r.keyed()
	bases := *r.agent.state.registration
	r.run(6 * 24 * time.Hour)
	// The utility renews: another serial, the same pseudonym.
	statement, d := r.double.issueMeter(clpke.MeterIdentity(r.double.meter), r.agent.state.user.Public(), 2, forever)
	renewed := r.double.answer
	renewed.Statement, renewed.D = statement, d
	r.double.answer = renewed
	r.run(36 * time.Hour)
	if s := r.agent.Status(); s.Registrations != 2 || s.State != Keyed || s.Epoch != masterBase+2 {
		t.Fatalf("registrations %d, state %q, epoch %d; want 2, keyed, %d", s.Registrations, s.State, s.Epoch, masterBase+2)
	}
	if g := r.agent.state.registration; g.importBase != bases.importBase || g.exportBase != bases.exportBase {
		t.Error("bases changed with the serial: registers would jump")
	}
	if o := r.double.offers[1]; o.NewestChain != masterBase+1 {
		t.Errorf("exchange after the renewal names chain epoch %d", o.NewestChain)
	}
	r.run(time.Hour)
	r.checkAll()
}

// Until its statement is renewed a meter agrees on nothing new, and goes on
// under the keys that it has.
func TestExpiredStatement(t *testing.T) {
	r := newRig(t, expire)
	r.keyed()
	r.run(8 * 24 * time.Hour)
	r.want(Keyed)
	if n := len(r.double.offers); n != 1 {
		t.Errorf("%d exchanges, want 1", n)
	}
	if r.double.requests < 24 || r.agent.Status().Refused[wire.Stale] == 0 {
		t.Errorf("%d requests, refused %v; want one each half hour of the last day", r.double.requests, r.agent.Status().Refused)
	}
	r.checkAll()
}

func TestEvidenceIsKept(t *testing.T) {
	r := newRig(t, expire)
	r.keyed()
	r.run(6 * 24 * time.Hour)
	kept := bytes.Clone(r.double.answer.Statement)
	cheat, d := r.double.issueMeter(clpke.MeterIdentity(r.double.meter), r.agent.state.user.Public(), 1, forever)
	r.double.answer.Statement, r.double.answer.D = cheat, d
	r.run(36 * time.Hour)
	if r.agent.Status().Refused[wire.Evidence] == 0 {
		t.Fatalf("refused %v, want evidence", r.agent.Status().Refused)
	}
	r.restart()
	e := r.agent.Evidence()
	if e == nil || !bytes.Equal(e.Kept, kept) || !bytes.Equal(e.Offered, cheat) || e.Serial != 1 || e.Identity.UC != testUC {
		t.Error("evidence is not what was seen")
	}
}

func TestFallingSerial(t *testing.T) {
	r := newRig(t, func(r *rig) {
		r.double.issue = func(mu clpke.Point) (clpke.SignedStatement, [32]byte) {
			return r.double.issueMeter(clpke.MeterIdentity(r.double.meter), mu, 5, start+week)
		}
	})
	r.keyed()
	old, d := r.double.issueMeter(clpke.MeterIdentity(r.double.meter), r.agent.state.user.Public(), 4, forever)
	r.double.answer.Statement, r.double.answer.D = old, d
	r.run(8 * 24 * time.Hour)
	if r.agent.Status().Refused[classSerial] == 0 {
		t.Errorf("refused %v, want serial", r.agent.Status().Refused)
	}
}

// A device whose clock has lost the time goes on where the vault saw it last,
// and asks the utility.
func TestClockThatLostTheTime(t *testing.T) {
	for _, ran := range []time.Duration{2 * time.Hour, 48 * time.Hour} { // since the vault was saved: less and more than a day
		r := newRig(t)
		r.keyed()
		r.run(ran)
		r.ahead = r.now.Unix() + 3600
		r.now = time.Unix(0, 0)
		r.restart()
		if s := r.agent.Status(); !s.ClockSuspect {
			t.Error("clock is not suspect")
		}
		if r.agent.clock() < start {
			t.Error("clock runs before the last save")
		}
		for range 6 {
			r.step()
		}
		if off := r.agent.clock() - r.double.clock(); off != 0 || r.agent.Status().ClockSuspect {
			t.Errorf("after %v: clock is %d s off, suspect: %v", ran, off, r.agent.Status().ClockSuspect)
		}
		if r.double.requests < 2 {
			t.Error("the utility was not asked for the time")
		}
		r.want(Keyed)
	}
}

// The utility has accepted a request since the vault was saved from which a
// meter starts without a clock: what the meter could guess is no later. It is
// told the time all the same.
func TestClockBehindTheLastRequest(t *testing.T) {
	r := newRig(t, func(r *rig) { r.double.refuses = true })
	r.keyed()
	r.run(2 * time.Hour)
	copied := bytes.Clone(r.vault.content)
	r.run(30 * 24 * time.Hour)
	r.double.accepted = r.double.clock() - 60
	r.ahead = r.now.Unix()
	r.now = time.Unix(0, 0)
	r.vault.content = copied
	r.restart()
	for range 6 {
		r.step()
	}
	s := r.agent.Status()
	if off := r.agent.clock() - r.double.clock(); off != 0 || s.ClockSuspect {
		t.Errorf("clock is %d s off, suspect: %v", off, s.ClockSuspect)
	}
}
