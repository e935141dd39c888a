package ttp

import (
	"bytes"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/clpke"
	"github.com/wattveil/wattveil/wire"
)

// Each row of the table in spec/protocol.md section 5.3.
func TestM1(t *testing.T) {
	r := newRig(t, nil)
	c, other := r.company("north.example"), r.company("south.example")
	m := c.keyed(7)
	m.agree(300)
	stranger := c.newMeter(8)
	sameName := other.meter(7)
	good := func() wire.ExchangeRequest { return m.m1(301, nil) }
	body := func(change func([]byte) []byte) wire.ExchangeRequest {
		x := good()
		x.Body = change(bytes.Clone(x.Body))
		return x
	}
	offer := func(change func(*wire.Offer)) wire.ExchangeRequest { return m.m1(301, change) }
	for _, tt := range []struct {
		name    string
		request wire.ExchangeRequest
		want    wire.Verdict
		class   wire.Class
	}{
		{"not enrolled", stranger.m1(1, nil), wire.Later, wire.Unenrolled},
		{"encrypted to the TTP's key at another utility", sameName.m1(301, nil), wire.Never, wire.Forged},
		{"another bit", body(func(b []byte) []byte { b[len(b)-1] ^= 1; return b }), wire.Never, wire.Forged},
		{"a byte less", body(func(b []byte) []byte { return b[:len(b)-1] }), wire.Never, wire.Forged},
		{"a byte more", body(func(b []byte) []byte { return append(b, 0) }), wire.Never, wire.Forged},
		{"empty", body(func([]byte) []byte { return nil }), wire.Never, wire.Forged},
		{"noise", body(func(b []byte) []byte { _, _ = rand.Read(b); return b }), wire.Never, wire.Forged},
		{"plaintext of another length", body(func([]byte) []byte { return m.encrypt([]byte("M1")) }), wire.Never, wire.Malformed},
		{"a suite that the TTP does not know", offer(func(o *wire.Offer) { o.Suites = []byte{2, 9} }), wire.Never, wire.Malformed},
		{"no suite", offer(func(o *wire.Offer) { o.Suites = nil }), wire.Never, wire.Malformed},
		{"E is no point", offer(func(o *wire.Offer) { o.E = [33]byte{5} }), wire.Never, wire.Malformed},
		{"epoch 0", offer(func(o *wire.Offer) { o.Epoch = 0 }), wire.Never, wire.Malformed},
		{"header of another epoch", offer(func(o *wire.Offer) { o.Epoch = 302 }), wire.Never, wire.Malformed},
		{"chain epoch not below", offer(func(o *wire.Offer) { o.NewestChain = 301 }), wire.Never, wire.Malformed},
		{"epoch as before", m.m1(300, nil), wire.Never, wire.EpochUsed},
		{"epoch before", m.m1(299, nil), wire.Never, wire.EpochUsed},
		{"epoch 256 before", m.m1(301-256, func(o *wire.Offer) { o.NewestChain, o.OlderChain = 0, 0 }), wire.Never, wire.EpochUsed},
		{"good", m.m1(301, nil), wire.Durable, ""},
		{"good, with other suites", m.m1(302, func(o *wire.Offer) { o.Suites = []byte{0, 1, 7} }), wire.Durable, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := r.Refused()[tt.class]
			a := c.exchange(tt.request)[0]
			if a.Verdict != tt.want || (len(a.M2) > 0) != (tt.want == wire.Durable) {
				t.Errorf("verdict %v with %d bytes of M2, want %v", a.Verdict, len(a.M2), tt.want)
			}
			if tt.class != "" && r.Refused()[tt.class] != before+1 {
				t.Errorf("class %s is not counted: %v", tt.class, r.Refused())
			}
		})
	}
}

func TestExchangeBodies(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	good := wire.AppendExchanges(nil, []wire.ExchangeRequest{c.meter(1).m1(1, nil)})
	for name, body := range map[string][]byte{
		"empty": {}, "cut": good[:len(good)-1], "longer": append(bytes.Clone(good), 0), "another version": append([]byte{2}, good[1:]...),
	} {
		if _, err := r.handleExchanges(t.Context(), c.number, body); classOf(err) != wire.Malformed {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := r.count("sessions"); n != 0 {
		t.Errorf("%d sessions of refused requests", n)
	}
}

// The same M1 gets the same bytes of M2, pending, active and after a restart.
func TestSameM1SameM2(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	m := c.meter(1)
	x := m.m1(1, nil)
	first := c.exchange(x, x)
	if !bytes.Equal(first[0].M2, first[1].M2) || len(first[0].M2) == 0 {
		t.Fatal("the repeat within a batch has another M2")
	}
	m.take(1, first[0].M2)
	r.reopen()
	if a := c.exchange(x)[0]; a.Verdict != wire.Durable || !bytes.Equal(a.M2, first[0].M2) {
		t.Error("after a restart: another M2")
	}
	if a := c.exchange(m.m3(1))[0]; a.Verdict != wire.Durable {
		t.Fatal(a.Verdict)
	}
	if a := c.exchange(x)[0]; a.Verdict != wire.Durable || !bytes.Equal(a.M2, first[0].M2) {
		t.Error("of the active epoch: another M2")
	}
	x.Low++
	if a := c.exchange(x)[0]; a.Verdict != wire.Never || len(a.M2) > 0 {
		t.Errorf("the body under another epoch's header: %v", a.Verdict)
	}
	if n := r.count("exchanges"); n != 1 {
		t.Errorf("%d exchanges are counted, want 1", n)
	}
}

// A meter that starts many times before it gets an answer is answered still:
// its oldest pending epoch makes room.
func TestFourPending(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	m := c.meter(1)
	m.agree(1)
	for e := range wattveil.Epoch(6) {
		m.offer(e+2, nil)
	}
	if n := r.count("sessions WHERE state = 'pending'"); n != 4 {
		t.Errorf("%d pending epochs, want 4", n)
	}
	for e, want := range map[wattveil.Epoch]wire.Verdict{2: wire.Rekey, 3: wire.Rekey, 4: wire.Durable, 7: wire.Durable} {
		if a := c.exchange(m.m3(e))[0]; a.Verdict != want {
			t.Errorf("M3 of epoch %d: %v, want %v", e, a.Verdict, want)
		}
	}
	if n := r.count("sessions WHERE state = 'active' AND epoch IN (1, 4, 7)"); n != 3 {
		t.Errorf("%d active epochs, want the one before and the two that were confirmed", n)
	}
}

func TestTwentyFourADay(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	m := c.meter(1)
	for e := range wattveil.Epoch(24) {
		m.agree(e + 1)
		r.clock.add(time.Minute)
	}
	x := m.m1(25, nil)
	if a := c.exchange(x)[0]; a.Verdict != wire.Later || r.Refused()[wire.Limited] != 1 {
		t.Fatalf("the 25th of a day: %v, %v", a.Verdict, r.Refused())
	}
	r.reopen()
	r.clock.add(day - 24*time.Minute - time.Second)
	if a := c.exchange(x)[0]; a.Verdict != wire.Later {
		t.Errorf("a second before the first is a day old: %v", a.Verdict)
	}
	r.clock.add(time.Second)
	if a := c.exchange(x)[0]; a.Verdict != wire.Durable {
		t.Errorf("when the first is a day old: %v", a.Verdict)
	}
	if a := c.exchange(m.m1(26, nil))[0]; a.Verdict != wire.Later {
		t.Errorf("the next before the second is a day old: %v", a.Verdict)
	}
	must(t, r.Maintain(t.Context()))
	if n := r.count("exchanges"); n != 24 {
		t.Errorf("%d exchanges are kept, want the last day's 24", n)
	}
	r.clock.add(2 * day)
	must(t, r.Maintain(t.Context()))
	if n := r.count("exchanges"); n != 0 {
		t.Errorf("%d exchanges are kept, want none of days before", n)
	}
}

func TestMaxExchangesIsASetting(t *testing.T) {
	r := newRig(t, func(cfg *Config) { cfg.MaxExchanges = 2; cfg.EpochLifetime = 3 * time.Hour })
	c := r.company("north.example")
	m := c.keyed(1)
	if got := m.offer(2, nil).answer.Lifetime; got != 3*60*60 {
		t.Errorf("M2 says a lifetime of %d s", got)
	}
	if a := c.exchange(m.m1(3, nil))[0]; a.Verdict != wire.Later {
		t.Errorf("the third exchange: %v", a.Verdict)
	}
}

func TestChainEpoch(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	m := c.meter(1)
	named := func(newest, older wattveil.Epoch) func(*wire.Offer) {
		return func(o *wire.Offer) { o.NewestChain, o.OlderChain = newest, older }
	}
	m.agree(1)
	m.agree(2)
	m.offer(3, named(2, 1)) // stays pending
	for _, tt := range []struct {
		epoch, newest, older, want wattveil.Epoch
	}{
		{4, 2, 1, 2},
		{5, 1, 0, 1},
		{6, 3, 2, 2}, // 3 is not active here
	} {
		if got := m.offer(tt.epoch, named(tt.newest, tt.older)).answer.Chain; got != tt.want {
			t.Errorf("M1 names %d and %d: chain epoch %d, want %d", tt.newest, tt.older, got, tt.want)
		}
	}
	if a := c.exchange(m.m3(6), m.m3(5), m.m3(4)); a[0].Verdict != wire.Durable || a[1].Verdict != wire.Durable || a[2].Verdict != wire.Durable {
		t.Fatal(a)
	}
	for _, tt := range []struct {
		epoch, newest, older, want wattveil.Epoch
	}{
		{7, 0, 0, 0},
		{8, 3, 0, 0}, // never active
		{9, 6, 5, 6},
	} {
		if got := m.offer(tt.epoch, named(tt.newest, tt.older)).answer.Chain; got != tt.want {
			t.Errorf("M1 names %d and %d: chain epoch %d, want %d", tt.newest, tt.older, got, tt.want)
		}
	}
}

func TestM3(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	m := c.meter(1)
	m.offer(1, nil)
	good := m.m3(1)
	wrong := good
	wrong.Body = bytes.Clone(good.Body)
	wrong.Body[0] ^= 1
	short := good
	short.Body = good.Body[:16]
	none := good
	none.Low = 9
	stranger := good
	stranger.Pseudonym = 2
	a := c.exchange(wrong, short, none, stranger)
	if a[0].Verdict != wire.Never || a[1].Verdict != wire.Never || a[2].Verdict != wire.Rekey || a[3].Verdict != wire.Rekey {
		t.Errorf("verdicts %v", a)
	}
	if n := r.count("sessions WHERE state = 'pending'"); n != 1 {
		t.Error("a wrong M3 made the epoch active")
	}
	if a := c.exchange(good, good); a[0].Verdict != wire.Durable || a[1].Verdict != wire.Durable {
		t.Errorf("M3 twice: %v", a)
	}
	r.reopen()
	if a := c.exchange(good); a[0].Verdict != wire.Durable {
		t.Errorf("M3 after a restart: %v", a)
	}
	if n := r.count("sessions WHERE state = 'active'"); n != 1 {
		t.Error("the epoch is not active")
	}
}

// The first message that opens makes an epoch active, as M3 does.
func TestFirstMessageActivates(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	m := c.keyed(1)
	m.offer(2, nil)
	forged := m.message(2, 0, steady(0, 1)...)
	forged[len(forged)-1] ^= 1
	if got := c.send(forged); got[0] != wire.Never {
		t.Fatal(got)
	}
	if n := r.count("sessions WHERE state = 'pending' AND epoch = 2"); n != 1 {
		t.Fatal("a forged message made the epoch active")
	}
	if got := c.send(m.message(2, 0, steady(0, 1)...)); got[0] != wire.Durable {
		t.Fatal(got)
	}
	if n := r.count("sessions WHERE state = 'active' AND epoch = 2"); n != 1 {
		t.Error("the epoch is not active")
	}
	if n := r.count("sessions WHERE epoch = 1 AND successor_at = ?", start.Unix()); n != 1 {
		t.Error("the epoch before does not know its successor")
	}
	if got := m.offer(3, nil).answer.Chain; got != 2 {
		t.Errorf("chain epoch %d, want 2", got)
	}
}

func TestConfirmedFlag(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	confirmed := func(m *smart) bool {
		return r.count("meters WHERE an_id = ? AND confirmed <> 0", int64(m.name.Pseudonym)) == 1
	}
	pin := func(o *wire.Offer) { o.Pinned = true }
	unchained := func(o *wire.Offer) { o.NewestChain, o.OlderChain = 0, 0 }
	activate := func(m *smart, e wattveil.Epoch, change func(*wire.Offer)) {
		t.Helper()
		m.offer(e, change)
		if a := c.exchange(m.m3(e))[0]; a.Verdict != wire.Durable {
			t.Fatal(a.Verdict)
		}
	}
	pinned, unpinned := c.meter(1), c.meter(2)
	pinned.offer(1, pin)
	if confirmed(pinned) {
		t.Error("confirmed by an exchange that is pending")
	}
	if a := c.exchange(pinned.m3(1))[0]; a.Verdict != wire.Durable {
		t.Fatal(a.Verdict)
	}
	if !confirmed(pinned) {
		t.Error("a pinned exchange does not confirm")
	}
	activate(pinned, 2, nil)
	if !confirmed(pinned) {
		t.Error("a chained exchange took the confirmation away")
	}
	activate(pinned, 3, unchained)
	if confirmed(pinned) {
		t.Error("an exchange that is neither chained nor pinned left the meter confirmed")
	}
	activate(unpinned, 1, nil)
	activate(unpinned, 2, pin)
	if confirmed(unpinned) {
		t.Error("a chained exchange confirmed a meter that was not")
	}
	activate(unpinned, 3, func(o *wire.Offer) { pin(o); unchained(o) })
	if !confirmed(unpinned) {
		t.Error("a pinned exchange without chain does not confirm")
	}
}

func TestNinthEpochRetiresTheOldest(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	m := c.meter(1)
	for e := range wattveil.Epoch(8) {
		m.agree(e + 1)
	}
	late := m.message(1, 0, steady(0, 1)...)
	if got := c.send(late); got[0] != wire.Durable {
		t.Fatalf("under the oldest of eight: %v", got)
	}
	m.agree(9)
	if got := c.send(late, m.message(2, 0, steady(1, 1)...)); join(got) != "rekey durable" {
		t.Errorf("under the retired and the oldest epoch: %v", join(got))
	}
	if n := r.count("sessions"); n != 8 {
		t.Errorf("%d live epochs, want 8", n)
	}
	if d, err := r.store.Digests(t.Context(), m.name, 1, 0); err != nil || len(d) != 0 {
		t.Errorf("digests of the retired epoch: %d, %v", len(d), err)
	}
	if n := len(m.stored().Runs[0].Readings); n != 2 {
		t.Errorf("%d readings, want those of both messages", n)
	}
}

// An epoch with the low byte of a live one takes its place, and no other's.
func TestLowByteClash(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	m := c.meter(1)
	for _, e := range []wattveil.Epoch{1, 2, 3, 4, 5, 6, 7, 8} {
		m.agree(e)
	}
	old := m.message(5, 0, steady(0, 1)...)
	if got := c.send(old); got[0] != wire.Durable {
		t.Fatal(got)
	}
	m.agree(256 + 5)
	if n := r.count("sessions"); n != 8 {
		t.Errorf("%d live epochs, want 8", n)
	}
	if n := r.count("sessions WHERE epoch IN (1, 261)"); n != 2 {
		t.Error("the oldest was retired beside the one with the same low byte")
	}
	// The header says epoch 261: what was sealed under 5 does not open.
	if got := c.send(m.message(256+5, 0, steady(1, 1)...)); got[0] != wire.Durable {
		t.Error(got)
	}
	if got := c.send(old); got[0] != wire.Never {
		t.Errorf("a message of the retired epoch: %v", got)
	}
}

func TestKeysAreDestroyed(t *testing.T) {
	r := newRig(t, nil)
	c, other := r.company("north.example"), r.company("south.example")
	m, neighbour := c.keyed(1), other.keyed(1)
	first := m.message(1, 0, steady(0, 1)...)
	if got := c.send(first); got[0] != wire.Durable {
		t.Fatal(got)
	}
	r.clock.add(7 * day)
	m.agree(2)
	r.clock.add(45*day - time.Second)
	must(t, r.Maintain(t.Context()))
	if got := other.send(neighbour.message(1, 0, steady(0, 1)...)); got[0] != wire.Durable { // it is not quiet
		t.Fatal(got)
	}
	late := m.message(1, 1, steady(1, 1)...)
	if got := c.send(late); got[0] != wire.Durable {
		t.Fatalf("a second before 45 days: %v", got)
	}
	r.clock.add(time.Second)
	must(t, r.Maintain(t.Context()))
	if n := r.count("sessions WHERE uc = ? AND epoch = 1", c.number); n != 0 {
		t.Error("the keys are still there")
	}
	if _, found, err := r.store.LastCounter(t.Context(), m.name, 1); err != nil || found {
		t.Errorf("the digests are still there: %v", err)
	}
	if got := c.send(first, m.message(2, 0, steady(2, 1)...)); join(got) != "rekey durable" {
		t.Errorf("under destroyed and present keys: %v", join(got))
	}
	if n := len(m.stored().Runs[0].Readings); n != 3 {
		t.Errorf("%d readings, want 3: they outlive the keys", n)
	}
	if got := other.send(neighbour.message(1, 1, steady(1, 1)...)); got[0] != wire.Durable {
		t.Errorf("another utility's meter without a successor: %v", got)
	}
}

func TestManyOldEpochsAreDestroyed(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	for p := range wattveil.Pseudonym(destroyedAtOnce + 3) {
		c.meter(p).offer(1, nil)
	}
	r.clock.add(48 * time.Hour)
	must(t, r.Maintain(t.Context()))
	if n := r.count("sessions"); n != 0 {
		t.Errorf("%d exchanges are left", n)
	}
}

// A store that is away keeps keys and digests together until the next round.
func TestDestroyFails(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	c.meter(1).offer(1, nil)
	r.clock.add(48 * time.Hour)
	r.faults.set(func(s *faultyStore) { s.drop = errDisk })
	if err := r.Maintain(t.Context()); err == nil || !strings.Contains(err.Error(), errDisk.Error()) {
		t.Errorf("Maintain: %v", err)
	}
	if n := r.count("sessions"); n != 1 {
		t.Error("the keys went before the digests")
	}
	r.faults.set(func(s *faultyStore) { s.drop = nil })
	must(t, r.Maintain(t.Context()))
	if n := r.count("sessions"); n != 0 {
		t.Error("the keys are still there")
	}
}

func TestPendingIsForgotten(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	m := c.meter(1)
	x := m.m1(1, nil)
	m.take(1, c.exchange(x)[0].M2)
	r.clock.add(48*time.Hour - time.Second)
	must(t, r.Maintain(t.Context()))
	if a := c.exchange(x)[0]; a.Verdict != wire.Durable {
		t.Fatalf("a second before 48 hours: %v", a.Verdict)
	}
	r.clock.add(time.Second)
	must(t, r.Maintain(t.Context()))
	if a := c.exchange(m.m3(1), x); a[0].Verdict != wire.Rekey || a[1].Verdict != wire.Never {
		t.Errorf("M3 and M1 of a forgotten exchange: %v", a)
	}
	m.agree(2)
}

// Exchanges of many meters in one batch are each answered in their place.
func TestExchangeBatch(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	var meters []*smart
	var batch []wire.ExchangeRequest
	for p := range wattveil.Pseudonym(8) {
		m := c.newMeter(p)
		if p%2 == 0 {
			c.mustEnrol(m)
		}
		meters, batch = append(meters, m), append(batch, m.m1(1, nil))
	}
	for i, a := range c.exchange(batch...) {
		if i%2 == 1 {
			if a.Verdict != wire.Later || len(a.M2) != 0 {
				t.Errorf("meter %d is not enrolled: %v", i, a.Verdict)
			}
			continue
		}
		meters[i].take(1, a.M2)
	}
}

// What is in the registry tells no key: it is sealed under the folder's.
func TestRegistryHoldsNoKey(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	m := c.keyed(1)
	var box, user, partial []byte
	must(t, r.db.QueryRowContext(t.Context(), `SELECT keys FROM sessions`).Scan(&box))
	must(t, r.db.QueryRowContext(t.Context(), `SELECT user_key FROM utilities`).Scan(&user))
	must(t, r.db.QueryRowContext(t.Context(), `SELECT partial_key FROM own_keys`).Scan(&partial))
	if bytes.Contains(box, m.epochs[1].keys.Up.Key[:]) {
		t.Error("the session's keys are in the clear")
	}
	z, err := r.userKey(t.Context(), c.number)
	must(t, err)
	if bytes.Contains(user, z.Bytes()) {
		t.Error("the user key is in the clear")
	}
	raw, err := r.seal.Open(partialKeyContext(c.number, 1), partial)
	must(t, err)
	if bytes.Contains(partial, raw[clpke.PointSize:]) {
		t.Error("the partial key is in the clear")
	}
	if _, err := r.openKeys(m.name, 2, box); err == nil {
		t.Error("keys open as those of another epoch")
	}
}
