package ttp

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/consumer"
	"github.com/wattveil/wattveil/wire"
)

// code is the claim code that the meter shows under an epoch.
func (m *smart) code(epoch wattveil.Epoch) string {
	return wire.NewClaimCode(m.name, m.epochs[epoch].keys.Claim).Text()
}

// claim checks a code and gives the class of its refusal.
func (r *rig) claim(code string) (wattveil.Meter, consumer.Class) {
	r.t.Helper()
	m, err := r.Consumers().CheckClaim(r.t.Context(), code)
	var class consumer.Class
	if err != nil && !errors.As(err, &class) {
		r.t.Fatal(err)
	}
	return m, class
}

func (r *rig) wantRefused(code string, want consumer.Class) {
	r.t.Helper()
	if m, class := r.claim(code); class != want || m != (wattveil.Meter{}) {
		r.t.Errorf("claim answered %q, want %q", class, want)
	}
}

func (r *rig) wantProved(code string, want *smart) {
	r.t.Helper()
	if m, class := r.claim(code); class != "" || m != want.name {
		r.t.Errorf("claim answered %q, want a proof", class)
	}
}

func (m *smart) confirmed() bool {
	return m.c.r.count(`meters WHERE uc = ? AND an_id = ? AND confirmed`, m.name.UC, int64(m.name.Pseudonym)) == 1
}

func TestClaimProvesAndConfirms(t *testing.T) {
	r := newRig(t, nil)
	m := r.company("energy.example").keyed(7)
	if m.confirmed() {
		t.Fatal("an unpinned meter is confirmed before any claim")
	}
	r.wantProved(m.code(1), m)
	if !m.confirmed() {
		t.Error("a proof did not confirm the meter")
	}
	r.wantProved(strings.ToLower(strings.ReplaceAll(m.code(1), "-", " ")), m)
	r.reopen()
	r.wantProved(m.code(1), m)
}

func TestClaimRefusals(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("energy.example")
	m, other := c.keyed(7), c.keyed(8)
	c.meter(9) // enrolled, without keys
	nobody := wattveil.Meter{UC: c.number, Pseudonym: 1 << 40}
	unkeyed := wattveil.Meter{UC: c.number, Pseudonym: 9}

	text := m.code(1)
	last := "0"
	if strings.HasSuffix(text, last) {
		last = "1"
	}
	for _, malformed := range []string{"", "0", text + "0", text[:len(text)-1] + last, strings.Repeat("!", 21)} {
		r.wantRefused(malformed, consumer.Malformed)
	}
	r.wantRefused(wire.NewClaimCode(nobody, m.epochs[1].keys.Claim).Text(), consumer.Unknown)
	r.wantRefused(wire.NewClaimCode(unkeyed, m.epochs[1].keys.Claim).Text(), consumer.Unknown)
	if n := r.count("claim_flags"); n != 0 {
		t.Errorf("%d meters flagged by codes that are malformed or of an unknown locator", n)
	}
	// One's own secret under another meter's locator.
	r.wantRefused(wire.NewClaimCode(other.name, m.epochs[1].keys.Claim).Text(), consumer.Interception)
	if other.confirmed() || m.confirmed() {
		t.Error("a failed claim confirmed a meter")
	}
	if n := r.count("claim_flags WHERE an_id = 8 AND times = 1"); n != 1 || r.count("claim_flags") != 1 {
		t.Error("the failed claim did not flag the one meter that has the locator")
	}
}

func TestClaimOfEarlierEpochs(t *testing.T) {
	r := newRig(t, nil)
	m := r.company("energy.example").keyed(7)
	for epoch := wattveil.Epoch(2); epoch <= 12; epoch++ {
		r.clock.add(7 * day)
		m.agree(epoch)
		must(t, r.Maintain(t.Context()))
	}
	if n := r.count("sessions"); n >= 12 {
		t.Fatalf("%d sessions are kept: no epoch's keys were destroyed, which this test is about", n)
	}
	for epoch := wattveil.Epoch(1); epoch < 12; epoch++ {
		r.wantRefused(m.code(epoch), consumer.EarlierEpoch)
	}
	r.wantProved(m.code(12), m)
	// The meter has M2, and M3 is still on its way.
	m.offer(13, nil)
	r.wantProved(m.code(13), m)
	r.wantProved(m.code(12), m)
	if n := r.count("claim_flags"); n != 0 {
		t.Error("codes of earlier epochs raised a flag")
	}
}

func TestClaimOfClosedEpoch(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("energy.example")
	m := c.keyed(7)
	c.send(m.message(1, 5, reading(1, 100)))
	c.send(m.message(1, 5, reading(2, 200))) // closes the epoch
	if n := r.count("sessions WHERE state = 'closed'"); n != 1 {
		t.Fatal("the epoch is not closed")
	}
	r.wantRefused(m.code(1), consumer.EarlierEpoch)
}

// TestClaimWithUtilityInTheMiddle: the utility took the meter's exchange and
// made one of its own with the TTP, so that each side shares other keys.
func TestClaimWithUtilityInTheMiddle(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("energy.example")
	utility := c.keyed(7) // what the TTP talks to
	victim := c.newMeter(7)
	other := c.keyed(8)
	victim.epochs[1] = &agreed{keys: other.epochs[1].keys} // what the real meter shares with the utility
	r.wantRefused(victim.code(1), consumer.Interception)
	if utility.confirmed() {
		t.Error("a meter with somebody in the middle is confirmed")
	}
	for range 2 {
		r.clock.add(flagEvery)
		r.wantRefused(victim.code(1), consumer.Interception)
	}
	r.wantCounts(2, 1)
	// The utility proves its sham with the sham's own code.
	r.wantProved(utility.code(1), utility)
	r.wantCounts(1, 1)
	r.clock.add(flagKept)
	r.wantCounts(1, 0)
}

// wantCounts demands what the operator sees of the first utility's meters.
func (r *rig) wantCounts(unconfirmed, failed int) {
	r.t.Helper()
	list, err := r.Utilities(r.t.Context())
	must(r.t, err)
	if got := list[0].Meters; got.Unconfirmed != unconfirmed || got.Failed != failed {
		r.t.Errorf("the operator sees %+v, want %d unconfirmed and %d with failed claims", got, unconfirmed, failed)
	}
}

func TestClaimFlags(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("energy.example")
	m, other := c.keyed(7), c.keyed(8)
	wrong := wire.NewClaimCode(m.name, other.epochs[1].keys.Claim).Text()
	times := func() (n int) {
		must(t, r.db.QueryRow(`SELECT coalesce(max(times), 0) FROM claim_flags`).Scan(&n))
		return n
	}
	for range failuresPerHour {
		r.wantRefused(wrong, consumer.Interception)
	}
	if times() != 1 {
		t.Errorf("flag raised %d times within an hour, want once", times())
	}
	r.wantRefused(wrong, consumer.Limited)
	r.wantProved(other.code(1), other) // another locator
	r.wantProved(m.code(1), m)         // a right code comes through
	if times() != 1 {
		t.Error("a proof lifted the flag")
	}
	r.clock.add(flagKept - time.Second)
	must(t, r.Maintain(t.Context()))
	if times() != 1 {
		t.Error("the flag is forgotten before its time")
	}
	r.clock.add(time.Second)
	must(t, r.Maintain(t.Context()))
	if times() != 0 {
		t.Error("the flag is not forgotten")
	}
}

func TestClaimsAreLimitedTogether(t *testing.T) {
	r := newRig(t, nil)
	m := r.company("energy.example").keyed(7)
	unknown := wire.NewClaimCode(wattveil.Meter{UC: 9, Pseudonym: 9}, m.epochs[1].keys.Claim).Text()
	for range claimsAtOnce {
		r.wantRefused(unknown, consumer.Unknown)
	}
	r.wantRefused(unknown, consumer.Busy)
	r.wantRefused(m.code(1), consumer.Busy)
	r.wantRefused("", consumer.Malformed) // not counted, and not held up
	r.clock.add(time.Second)
	r.wantProved(m.code(1), m)
}

// TestReceiptsTellOfATakeover: the meter hears of it within a day, and no more
// once it was refused.
func TestReceiptsTellOfATakeover(t *testing.T) {
	r := newRig(t, nil)
	m := newReporter(r.company("energy.example"), 7)
	c := r.Consumers()
	last := func(got []wire.Receipt) int {
		t.Helper()
		if len(got) == 0 {
			t.Fatal("no receipt came in a day")
		}
		return got[len(got)-1].TakeoverHours
	}
	if hours := last(m.sends(100)); hours != 0 {
		t.Errorf("a receipt tells of a takeover in %d hours, and none waits", hours)
	}
	owner, other := consumer.NewAccount(), consumer.NewAccount()
	for _, a := range []consumer.Account{owner, other} {
		_, err := c.NewAccount(t.Context(), consumer.Passkey{Account: a, ID: a[:], PublicKey: []byte{1}}, m.name, a == other)
		must(t, err)
	}
	if hours := last(m.sends(100)); hours < 6*24 || hours > wire.MaxTakeoverHours {
		t.Errorf("a receipt tells of the takeover in %d hours", hours)
	}
	meters, err := c.Meters(t.Context(), owner)
	must(t, err)
	must(t, c.RefuseTakeover(t.Context(), owner, meters[0].Ref))
	if hours := last(m.sends(100)); hours != 0 {
		t.Errorf("a receipt tells of a takeover in %d hours that was refused", hours)
	}
}
