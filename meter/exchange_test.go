package meter

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/wire"
)

// exchanging brings a new meter to where its M1 is out and unanswered.
func exchanging(t *testing.T, change ...func(*rig)) *rig {
	t.Helper()
	r := newRig(t, change...)
	r.step()
	r.net.deliver = func(frame []byte) int {
		if wire.Type(frame[0]) == wire.TypeM2 {
			return 0
		}
		return 1
	}
	r.step()
	r.want(Exchanging)
	return r
}

func TestLostM2(t *testing.T) {
	r := exchanging(t)
	r.run(6 * time.Hour)
	if n := len(r.double.m1s); n < 12 {
		t.Fatalf("%d M1 in 6 hours, want one each half hour", n)
	}
	for _, m1 := range r.double.m1s {
		if !bytes.Equal(m1, r.double.m1s[0]) {
			t.Fatal("an M1 differs from the first")
		}
	}
	if len(r.double.offers) != 1 {
		t.Errorf("%d exchanges, want 1", len(r.double.offers))
	}
	r.run(19 * time.Hour)
	if n := len(r.double.offers); n != 2 || r.double.offers[1].Epoch != masterBase+2 {
		t.Fatalf("%d exchanges after 25 hours, want a second for the next epoch", n)
	}
	r.net.deliver = nil
	r.run(time.Hour)
	r.want(Keyed)
	r.checkAll()
}

func TestRefusedM2(t *testing.T) {
	cut := func(n int) func([]byte) []byte { return func(b []byte) []byte { return b[:n] } }
	flip := func(at int, by byte) func([]byte) []byte {
		return func(b []byte) []byte {
			b = bytes.Clone(b)
			b[(at+len(b))%len(b)] ^= by
			return b
		}
	}
	tests := []struct {
		name   string
		mutate func(*wire.Answer)
		mangle func([]byte) []byte
		label  string
		badF   bool
		class  wire.Class
	}{
		{name: "ciphertext altered", mangle: flip(50, 1), class: wire.Forged},
		{name: "C1 is no point", mangle: flip(0, 4), class: wire.Malformed},
		{name: "confirmation altered", mangle: flip(-1, 1), class: wire.Forged},
		{name: "cut", mangle: cut(60), class: wire.Malformed},
		{name: "confirmation alone", mangle: cut(32), class: wire.Malformed},
		{name: "another label", label: wire.LabelM1, class: wire.Forged},
		{name: "another N", mutate: func(a *wire.Answer) { a.N[3] ^= 1 }, class: wire.Replayed},
		{name: "another epoch", mutate: func(a *wire.Answer) { a.Epoch += 256 }, class: wire.EpochUsed},
		{name: "suite that was not offered", mutate: func(a *wire.Answer) { a.Suite = 2 }, class: wire.Malformed},
		{name: "chain that was not named", mutate: func(a *wire.Answer) { a.Chain = 3 }, class: wire.Malformed},
		{name: "lifetime too short", mutate: func(a *wire.Answer) { a.Lifetime = 3599 }, class: wire.Malformed},
		{name: "lifetime too long", mutate: func(a *wire.Answer) { a.Lifetime = 400*secondsPerDay + 1 }, class: wire.Malformed},
		{name: "F is no point", badF: true, class: wire.Malformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, func(r *rig) {
				r.double.mutate, r.double.mangle = tt.mutate, tt.mangle
				if tt.label != "" {
					r.double.label = tt.label
					r.double.mangle = func(b []byte) []byte { return b }
				}
				r.double.badF = tt.badF
			})
			r.step()
			r.step()
			saves := r.vault.saves
			r.step()
			r.want(Exchanging)
			r.wantRefused(tt.class, 1)
			if r.vault.saves != saves {
				t.Error("something of a refused M2 was kept")
			}
			if _, ok := r.agent.ClaimCode(); ok {
				t.Error("claim code of an epoch that is not confirmed")
			}
			r.double.mutate, r.double.mangle, r.double.label, r.double.badF = nil, nil, wire.LabelM2, false
			r.run(time.Hour) // the same M1 gets a good M2
			r.want(Keyed)
			r.checkAll()
		})
	}
}

func TestM2OutOfPlace(t *testing.T) {
	r := exchanging(t)
	r.net.deliver = nil
	m2 := func(low byte, body []byte) []byte {
		return r.double.secret.Tagged(testMeter, wire.Exchange{Type: wire.TypeM2, Low: low, Body: body})
	}
	good := r.double.epochs[masterBase+1].m2
	badTag := m2(masterBase+1, good)
	badTag[len(badTag)-1] ^= 1
	r.net.send(m2(masterBase+2, good))
	r.net.send(badTag)
	r.step()
	r.wantRefused(wire.EpochUsed, 1)
	r.wantRefused(wire.Forged, 1)
	r.want(Exchanging)
	r.net.send(m2(masterBase+1, good))
	r.step()
	r.want(Keyed)
	r.net.send(m2(masterBase+1, good)) // again: there is no exchange
	r.step()
	r.wantRefused(wire.Replayed, 1)

	// An M2 of before does not answer the next M1, under either low byte.
	r.run(week*time.Second - time.Hour)
	r.double.mute = true
	r.run(2 * time.Hour)
	r.want(Exchanging)
	r.net.send(m2(masterBase+1, good))
	r.net.send(m2(masterBase+2, good))
	r.step()
	r.wantRefused(wire.EpochUsed, 3) // by header, then by content
	r.want(Exchanging)
}

func TestKeysAreNotUsedUnlessSaved(t *testing.T) {
	r := newRig(t)
	r.step()
	r.step()
	r.vault.fail = func() bool { return true }
	if err := r.agent.Step(t.Context()); !errors.Is(err, errFault) {
		t.Fatalf("step gave %v", err)
	}
	r.want(Exchanging)
	r.vault.fail = nil
	r.run(time.Hour)
	r.want(Keyed)
	r.checkAll()
}

func TestNoM1UnlessEpochIsSaved(t *testing.T) {
	r := newRig(t)
	r.step()
	saves := 0
	r.vault.fail = func() bool { saves++; return saves > 1 } // the registration is saved, the epoch is not
	if err := r.agent.Step(t.Context()); !errors.Is(err, errFault) {
		t.Fatalf("step gave %v", err)
	}
	r.want(Registered)
	if len(r.double.m1s) != 0 {
		t.Error("M1 went out")
	}
	r.vault.fail = nil
	r.keyed()
}

func TestLostM3IsHarmless(t *testing.T) {
	r := newRig(t)
	r.net.publish = func(frame []byte) (bool, error) { return wire.Type(frame[0]) != wire.TypeM3, nil }
	r.keyed()
	r.run(time.Hour)
	r.checkAll()
	if r.double.m3s != 0 || !r.double.epochs[masterBase+1].active {
		t.Error("epoch is not active through its data")
	}
}

func TestUnacknowledgedM3IsPublishedAgain(t *testing.T) {
	r := newRig(t)
	failures := 2
	r.net.publish = func(frame []byte) (bool, error) {
		if wire.Type(frame[0]) == wire.TypeM3 && failures > 0 {
			failures--
			return false, errFault
		}
		return true, nil
	}
	r.step()
	r.step()
	for range 2 {
		if err := r.agent.Step(t.Context()); !errors.Is(err, errFault) {
			t.Fatalf("step gave %v", err)
		}
	}
	r.step()
	if r.double.m3s != 1 {
		t.Errorf("%d M3 arrived, want 1", r.double.m3s)
	}
}

func TestRekeyByLifetime(t *testing.T) {
	r := newRig(t)
	r.keyed()
	r.run(22 * 24 * time.Hour)
	r.checkAll()
	if s := r.agent.Status(); s.Epoch != masterBase+4 || s.Exchanges != 4 {
		t.Fatalf("epoch %d after %d exchanges, want %d after 4", s.Epoch, s.Exchanges, masterBase+4)
	}
	wants := []struct{ newest, older wattveil.Epoch }{
		{0, 0}, {masterBase + 1, 0}, {masterBase + 2, masterBase + 1}, {masterBase + 3, masterBase + 2},
	}
	for i, want := range wants {
		if o := r.double.offers[i]; o.NewestChain != want.newest || o.OlderChain != want.older {
			t.Errorf("M1 %d names chain epochs %d and %d, want %d and %d", i, o.NewestChain, o.OlderChain, want.newest, want.older)
		}
	}
}

// While the TTP does not answer, a meter goes on under the epoch that it has.
func TestOldEpochUntilM2(t *testing.T) {
	r := newRig(t)
	r.keyed()
	r.double.mute = true
	r.run(9 * 24 * time.Hour)
	r.want(Exchanging)
	r.checkAll()
	if s := r.agent.Status(); s.Epoch != masterBase+1 {
		t.Errorf("sealing under epoch %d", s.Epoch)
	}
}

func TestChainNamesTheEpochBeforeWhenTheNewestDidNotReachTheTTP(t *testing.T) {
	r := newRig(t)
	r.keyed()
	r.run(time.Hour)
	r.net.publish = func(frame []byte) (bool, error) { // the second epoch never gets active
		typ := wire.Type(frame[0])
		return typ != wire.TypeM3 && typ != wire.TypeData, nil
	}
	for range 2 {
		r.restart()
		r.run(time.Hour)
	}
	r.net.publish = nil
	r.run(time.Hour)
	last := r.double.offers[len(r.double.offers)-1]
	if last.NewestChain != masterBase+2 || last.OlderChain != masterBase+1 {
		t.Errorf("M1 names %d and %d", last.NewestChain, last.OlderChain)
	}
	r.want(Keyed) // on the chain of the older one
}

func TestRekeyByCounter(t *testing.T) {
	r := newRig(t)
	r.keyed()
	r.agent.session.next = exchangeAt - 2
	r.double.mute = true
	r.run(time.Hour)
	r.want(Exchanging)
	if n := len(r.double.offers); n != 1 {
		t.Fatalf("%d M1 opened", n)
	}
	r.agent.session.next = maxMessages - 2
	r.run(2 * time.Hour)
	if s := r.agent.Status(); s.Pending != 6 || r.agent.session.next != maxMessages {
		t.Fatalf("pending %d at counter %d, want 6 at %d", s.Pending, r.agent.session.next, maxMessages)
	}
	r.double.mute = false
	r.run(time.Hour)
	if s := r.agent.Status(); s.Epoch != masterBase+2 || s.Pending != 0 {
		t.Errorf("epoch %d, pending %d", s.Epoch, s.Pending)
	}
	r.checkAll()
}

func TestNotice(t *testing.T) {
	r := newRig(t)
	r.keyed()
	r.run(2 * time.Hour)
	r.double.refuse(masterBase + 1)
	r.double.got = map[int64]wattveil.Reading{} // as when the TTP had stored none of them
	r.run(quarter * time.Second)                // refused, notice
	frames := len(r.net.frames)
	r.step() // pending again, M1
	r.want(Exchanging)
	if s := r.agent.Status(); s.Epoch != 0 || s.Pending != 9 || s.ReadingsSent != 9 {
		t.Fatalf("epoch %d, pending %d, sent %d; want 0, 9, 9", s.Epoch, s.Pending, s.ReadingsSent)
	}
	for _, f := range r.net.frames[frames:] {
		if wire.Type(f[0]) == wire.TypeData {
			t.Fatal("sealed under the refused epoch")
		}
	}
	r.step()
	r.checkAll()
	if s := r.agent.Status(); s.Epoch != masterBase+2 || s.Pending != 0 || s.ReadingsSent != 9 {
		t.Errorf("epoch %d, pending %d, sent %d; want %d, 0, 9", s.Epoch, s.Pending, s.ReadingsSent, masterBase+2)
	}

	// The notice comes again and again: there is nothing left to do.
	for range 5 {
		r.net.send(r.double.secret.RekeyNotice(testMeter, masterBase+1))
	}
	frames = len(r.net.frames)
	r.step()
	if len(r.net.frames) != frames {
		t.Error("a repeated notice made the meter publish")
	}
}

func TestNoticeBeginsOneExchangeADay(t *testing.T) {
	r := newRig(t)
	r.keyed()
	for range 3 { // each epoch is refused as soon as it is there
		r.double.refuse(r.agent.Status().Epoch)
		r.run(23 * time.Hour)
	}
	if n := len(r.double.offers); n != 4 {
		t.Errorf("%d exchanges in 69 hours, want the first and 3 by notice", n)
	}
	r.want(Keyed)
	r.double.refuse(r.agent.Status().Epoch)
	r.run(time.Hour)
	r.want(Registered)
	if s := r.agent.Status(); s.Pending == 0 || s.Epoch != 0 {
		t.Errorf("pending %d, epoch %d: sealed under a refused epoch", s.Pending, s.Epoch)
	}
	r.run(25 * time.Hour)
	r.want(Keyed)
	r.checkAll()
}

func TestNoticeForAnOlderEpoch(t *testing.T) {
	r := newRig(t)
	r.keyed()
	r.run(week * time.Second)
	r.run(2 * time.Hour)
	old, exchanges := 0, len(r.double.offers)
	for at := range r.double.got {
		if at <= start+week {
			old++
			delete(r.double.got, at)
		}
	}
	r.net.send(r.double.secret.RekeyNotice(testMeter, masterBase+1))
	r.double.sizes = nil
	r.step()
	r.checkAll()
	if len(r.double.offers) != exchanges {
		t.Error("an exchange was begun")
	}
	if len(r.double.sizes) != (old+95)/96 {
		t.Errorf("%d messages for %d readings", len(r.double.sizes), old)
	}
}

// A notice while a sealed message waits for its acknowledgement: the message
// would only be refused, so its readings are sealed again.
func TestNoticeForTheMessageThatWaits(t *testing.T) {
	r := newRig(t)
	r.keyed()
	r.net.publish = func(frame []byte) (bool, error) { return wire.Type(frame[0]) != wire.TypeData, errFault }
	r.now = r.now.Add(quarter * time.Second)
	if err := r.agent.Step(t.Context()); !errors.Is(err, errFault) {
		t.Fatalf("step gave %v", err)
	}
	r.double.refuse(masterBase + 1)
	r.net.publish = nil
	r.net.send(r.double.secret.RekeyNotice(testMeter, masterBase+1))
	r.step()
	r.step()
	r.checkAll()
	if n := len(r.double.sealed); n != 1 {
		t.Errorf("%d messages were sent, want the second only", n)
	}
}
