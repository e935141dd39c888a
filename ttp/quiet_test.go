package ttp

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/consumer"
	"github.com/wattveil/wattveil/wire"
)

// quietAfter is when a meter's first epoch of these tests is quiet for long
// enough.
const quietAfter = 7*day + 45*day

// left are the keys that the TTP has of a meter's epoch; nil if none.
func (m *smart) left(epoch wattveil.Epoch) *wire.SessionKeys {
	m.c.r.t.Helper()
	var box []byte
	if m.c.r.count("sessions WHERE an_id = ? AND epoch = ?", int64(m.name.Pseudonym), epoch) == 0 {
		return nil
	}
	must(m.c.r.t, m.c.r.db.QueryRow(`SELECT keys FROM sessions WHERE an_id = ? AND epoch = ?`, int64(m.name.Pseudonym), epoch).Scan(&box))
	keys, err := m.c.r.openKeys(m.name, epoch, box)
	must(m.c.r.t, err)
	return keys
}

// onDisk tells whether a file of the registry holds something.
func (r *rig) onDisk(what []byte) bool {
	r.t.Helper()
	files, err := filepath.Glob(filepath.Join(r.dir, "*.db*"))
	if err != nil || len(files) == 0 {
		r.t.Fatalf("%d files of the registry, %v", len(files), err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		must(r.t, err)
		if bytes.Contains(content, what) {
			return true
		}
	}
	return false
}

// A meter that is not heard of for two months: nothing that it has sent can be
// opened any more, and when it comes again it is the same meter.
func TestQuietEpoch(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	m := c.keyed(1)
	first := m.message(1, 0, steady(0, 1)...)
	if got := c.send(first); got[0] != wire.Durable {
		t.Fatal(got)
	}
	r.wantProved(m.code(1), m) // confirmed from here on
	m3 := m.m3(1)
	r.clock.add(quietAfter - time.Second)
	must(t, r.Maintain(t.Context()))
	if m.left(1).Up != m.epochs[1].keys.Up {
		t.Fatal("the keys are gone a second before")
	}
	var sealed []byte
	must(t, r.db.QueryRow(`SELECT keys FROM sessions`).Scan(&sealed))
	if !r.onDisk(sealed) {
		t.Fatal("the keys are not where they are looked for")
	}
	r.clock.add(time.Second)
	must(t, r.Maintain(t.Context()))
	if r.onDisk(sealed) {
		t.Error("the sealed keys are still on the disk")
	}
	want := wire.SessionKeys{Claim: m.epochs[1].keys.Claim, Chain: m.epochs[1].keys.Chain}
	if got := m.left(1); *got != want {
		t.Error("other keys are left than claim and chain key")
	}
	if _, found, err := r.store.LastCounter(t.Context(), m.name, 1); err != nil || found {
		t.Errorf("the digests are still there: %v", err)
	}
	if u, err := r.Utilities(t.Context()); err != nil || u[0].Meters.Keyed != 0 || u[0].Meters.Unconfirmed != 0 {
		t.Errorf("%+v, %v", u, err)
	}

	// It comes again: with what it sealed before, its M3, and its M1 of then.
	r.wantProved(m.code(1), m)
	if got := c.send(first, m.message(1, 1, steady(1, 1)...)); join(got) != "rekey rekey" {
		t.Errorf("sealed under the keys that are gone: %v", join(got))
	}
	again := wire.ExchangeRequest{Pseudonym: m.name.Pseudonym, Exchange: wire.Exchange{Type: wire.TypeM1, Low: 1, Body: m.epochs[1].m1}}
	if a := c.exchange(m3, again); a[0].Verdict != wire.Rekey || a[1].Verdict != wire.Never || len(a[1].M2) != 0 {
		t.Errorf("M3 and M1 of then: %v, %v", a[0].Verdict, a[1].Verdict)
	}
	m.agree(2)
	if m.epochs[2].answer.Chain != 1 || !m.confirmed() {
		t.Errorf("chained to epoch %d, confirmed %v", m.epochs[2].answer.Chain, m.confirmed())
	}
	if got := c.send(m.message(2, 0, steady(1, 1)...)); got[0] != wire.Durable {
		t.Errorf("under the next epoch: %v", got)
	}
	r.wantRefused(m.code(1), consumer.EarlierEpoch)
	r.clock.add(45 * day)
	must(t, r.Maintain(t.Context()))
	if m.left(1) != nil {
		t.Error("the rest is there 45 days after the successor")
	}
	r.wantRefused(m.code(1), consumer.EarlierEpoch)
	if n := r.count("claim_flags"); n != 0 {
		t.Error("a code raised a flag")
	}
}

// Something new that opens after the lifetime puts the end off; a repeat does
// not, so nobody who recorded a message can keep the keys alive.
func TestLateMessagesPutQuietOff(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	used, repeated := c.keyed(1), c.keyed(2)
	send := func(messages ...[]byte) {
		t.Helper()
		for _, v := range c.send(messages...) {
			if v != wire.Durable {
				t.Fatal(v)
			}
		}
	}
	first := repeated.message(1, 0, steady(0, 1)...)
	send(used.message(1, 0, steady(0, 1)...), first)
	r.clock.add(quietAfter - day)
	send(used.message(1, 1, steady(1, 1)...), first)
	r.reopen() // it is durable
	r.clock.add(day)
	must(t, r.Maintain(t.Context()))
	if used.left(1).Up != used.epochs[1].keys.Up || repeated.left(1).Up == repeated.epochs[1].keys.Up {
		t.Fatal("want the keys of the one that sent something new, and not of the other")
	}
	r.clock.add(44 * day)
	must(t, r.Maintain(t.Context()))
	if used.left(1).Up == used.epochs[1].keys.Up {
		t.Error("the keys are there 45 days after the last message")
	}
}

// A closed epoch has nothing that anybody needs again.
func TestQuietClosedEpoch(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	m := c.keyed(1)
	c.send(m.message(1, 5, reading(1, 100)))
	c.send(m.message(1, 5, reading(2, 200)))
	r.clock.add(quietAfter)
	must(t, r.Maintain(t.Context()))
	if m.left(1) != nil {
		t.Error("keys of a closed epoch are left")
	}
	r.wantRefused(m.code(1), consumer.EarlierEpoch)
}

func TestManyQuietEpochs(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	for p := range wattveil.Pseudonym(destroyedAtOnce + 3) {
		c.keyed(p)
	}
	r.clock.add(quietAfter)
	r.faults.set(func(s *faultyStore) { s.drop = errDisk })
	if err := r.Maintain(t.Context()); err == nil || !strings.Contains(err.Error(), errDisk.Error()) {
		t.Errorf("Maintain: %v", err)
	}
	if n := r.count("sessions WHERE spent <> 0"); n != 0 {
		t.Error("the keys went before the digests")
	}
	r.faults.set(func(s *faultyStore) { s.drop = nil })
	must(t, r.Maintain(t.Context()))
	if n := r.count("sessions WHERE spent = 0"); n != 0 {
		t.Errorf("%d epochs are left", n)
	}
}
