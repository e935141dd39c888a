package ttp

import (
	"fmt"
	"testing"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/clpke"
	"github.com/wattveil/wattveil/wire"
)

// replacedBy is another device under a meter's pseudonym, with the next serial.
func (m *smart) replacedBy(serial uint32) *smart {
	m.c.r.t.Helper()
	next := &smart{c: m.c, name: m.name, tag: wire.NewSecret().DataTagKey(), epochs: map[wattveil.Epoch]*agreed{}}
	var err error
	next.user, err = clpke.NewUserKey()
	must(m.c.r.t, err)
	next.issue(serial)
	m.c.mustEnrol(next)
	return next
}

// A device replaces another: what the old one sealed still comes, in its own
// series, while the new one sends. One bill covers both, since the new device
// has a reading at the end of the old one's last interval.
func TestReplacedDevice(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	must(t, c.putTariff(flat))
	confirmed := func(m *smart) bool {
		return r.count("meters WHERE an_id = ? AND confirmed <> 0", int64(m.name.Pseudonym)) == 1
	}
	pin := func(o *wire.Offer) { o.Pinned = true }
	old := c.meter(1)
	old.offer(1, pin)
	if a := c.exchange(old.m3(1))[0]; a.Verdict != wire.Durable || !confirmed(old) {
		t.Fatalf("%v, confirmed %v", a.Verdict, confirmed(old))
	}
	oldRegister, newRegister := perQuarter(100), func(i int) uint64 { return uint64(i-40) * 100 }
	old.fill(-4, 20, oldRegister)

	next := old.replacedBy(2)
	if a := c.exchange(next.m1(1, nil))[0]; a.Verdict != wire.Never {
		t.Errorf("M1 of the new device for an epoch of the old one: %v", a.Verdict)
	}
	next.agree(17)
	if confirmed(next) {
		t.Error("an unpinned device is confirmed in the place of a pinned one")
	}
	for i := 21; i <= 44; i++ { // by turns
		late, present := reading(i, oldRegister(i)), reading(i+23, newRegister(i+23))
		got := c.send(old.message(1, wattveil.Counter(i), late), next.message(17, wattveil.Counter(i), present))
		if join(got) != "durable durable" {
			t.Fatal(join(got))
		}
	}
	for i := 68; i <= 92; i++ {
		if got := c.send(next.message(17, wattveil.Counter(1000+i), reading(i, newRegister(i)))); got[0] != wire.Durable {
			t.Fatal(got)
		}
	}
	runs := old.stored().Runs
	if len(runs) != 2 || runs[0].Series != 1 || runs[1].Series != 2 || len(runs[0].Readings) != 49 || len(runs[1].Readings) != 49 {
		t.Fatalf("%d series; %d and %d readings", len(runs), len(runs[0].Readings), len(runs[len(runs)-1].Readings))
	}
	if n := len(old.stored().Conflicts); n != 0 {
		t.Errorf("%d conflicts", n)
	}
	r.clock.add(day)
	a, _, err := c.bills("flat", billFrom, billTo, old.name.Pseudonym.String())
	if err != nil || a[0].Class != "" {
		t.Fatalf("%v, %v", a, err)
	}
	// 96 intervals of 100 Wh: 48 of each device, none across.
	if got, want := c.verified(a[0], old.name).ImportKWh, fmt.Sprintf("%.3f", 96*0.1); got != want {
		t.Errorf("%s kWh, want %s", got, want)
	}
	pinned := old.replacedBy(3)
	pinned.offer(33, pin)
	if a := c.exchange(pinned.m3(33))[0]; a.Verdict != wire.Durable || !confirmed(pinned) {
		t.Errorf("a pinned replacement: %v, confirmed %v", a.Verdict, confirmed(pinned))
	}
}
