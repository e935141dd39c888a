package meter

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/clpke"
	"github.com/wattveil/wattveil/wire"
)

const newTenant wattveil.Pseudonym = 0xabcdef

// tell gives the meter the notice of a move.
func (r *rig) tell(at int64) {
	r.Helper()
	r.double.moveTo = newTenant
	r.net.down <- r.double.secret.MoveNotice(testMeter, at)
}

// wantSplit demands that the TTP has every reading up to a boundary under the
// one pseudonym, every one from it on under the other, and no reading besides.
func (r *rig) wantSplit(before registration, boundary int64) {
	r.Helper()
	after := r.agent.state.registration
	if after.meter.Pseudonym != newTenant {
		r.Fatalf("pseudonym %v, want %v", after.meter.Pseudonym, newTenant)
	}
	if after.importBase == before.importBase || after.exportBase == before.exportBase {
		r.Error("the new pseudonym has the bases of the old one")
	}
	old, own := map[int64]wattveil.Reading{}, map[int64]wattveil.Reading{}
	for at, raw := range r.source.taken {
		if at <= boundary {
			old[at] = before.hide(raw)
		}
		if at >= boundary {
			own[at] = after.hide(raw)
		}
	}
	for what, pair := range map[string][2]map[int64]wattveil.Reading{
		"old": {r.double.gotOld, old}, "new": {r.double.got, own},
	} {
		got := maps.Clone(pair[0])
		for at, reading := range got {
			reading.Status &^= wattveil.StatusClock | wattveil.StatusRestart
			got[at] = reading
		}
		if !maps.Equal(got, pair[1]) {
			r.Errorf("under the %s pseudonym the TTP has %d readings, want %d; boundary at %d, times %v",
				what, len(got), len(pair[1]), (boundary-start)/quarter, intervalsOf(got))
		}
	}
}

func intervalsOf(m map[int64]wattveil.Reading) (list []int64) {
	for at := range m {
		list = append(list, (at-start)/quarter)
	}
	slices.Sort(list)
	return list
}

// losing loses all data messages while it is set.
func (r *rig) losing(on bool) {
	r.net.publish = nil
	if on {
		r.net.publish = func(frame []byte) (bool, error) {
			if wire.Type(frame[0]) == wire.TypeData {
				return false, errFault
			}
			return true, nil
		}
	}
}

// A new tenant gets a new pseudonym. What was read before, and could not be
// sent in time, still goes under the old one.
func TestMove(t *testing.T) {
	r := newRig(t)
	r.keyed()
	r.run(5 * time.Hour)
	before, mu := *r.agent.state.registration, r.double.mu
	at := int64(start + 8*3600)
	r.tell(at)
	r.run(2 * time.Hour)
	if got := r.agent.Status().MoveAt; got != at {
		t.Fatalf("move at %d, want %d", got, at)
	}
	r.losing(true)
	for r.now.Unix() < at+7200 {
		r.now = r.now.Add(quarter * time.Second)
		if err := r.agent.Step(t.Context()); err != nil && !errors.Is(err, errFault) {
			t.Fatal(err)
		}
	}
	if r.agent.state.registration.meter != before.meter {
		t.Fatal("it has gone over with readings on its hands")
	}
	r.losing(false)
	r.run(3 * time.Hour)
	r.wantSplit(before, at)
	if s := r.agent.Status(); s.MoveAt != 0 || s.Pending != 0 || s.ReadingsDropped != 0 {
		t.Errorf("move at %d, %d pending, %d dropped", s.MoveAt, s.Pending, s.ReadingsDropped)
	}
	if r.double.mu == mu {
		t.Error("the new statement has the user value of the old one")
	}
	if o := r.double.offers[len(r.double.offers)-1]; o.NewestChain != 0 || o.Epoch <= masterBase+20 {
		t.Errorf("epoch %d names chain %d", o.Epoch, o.NewestChain)
	}
	r.net.down <- r.double.secret.MoveNotice(testMeter, at)
	r.run(time.Hour)
	r.wantRefused(wire.Replayed, 1)
	r.wantSplit(before, at)
}

// A meter that stops after every step goes over all the same, and so does one
// whose ring is behind its vault when it stops.
func TestMoveAcrossStops(t *testing.T) {
	for name, behind := range map[string]bool{"every step": false, "ring behind the vault": true} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(r *rig) { r.disk = t.TempDir() })
			r.keyed()
			r.run(3 * time.Hour)
			before := *r.agent.state.registration
			at := int64(start + 4*3600)
			r.tell(at)
			for r.now.Unix() < at+3*3600 {
				r.now = r.now.Add(quarter * time.Second)
				if behind {
					r.agent.ring = forgetfulRing{r.agent.ring}
				}
				r.step()
				if !behind || r.agent.state.registration.meter != before.meter {
					must(t, r.ring.Close())
					r.restart()
					behind = false
				}
			}
			r.run(2 * time.Hour)
			r.wantSplit(before, at)
			must(t, r.ring.Close())
		})
	}
}

// forgetfulRing keeps no state.
type forgetfulRing struct{ Ring }

func (forgetfulRing) Save([]byte) error { return nil }

// A meter that hears of the move late has sealed readings behind the time.
// These stay where they are.
func TestMoveHeardOfLate(t *testing.T) {
	r := newRig(t)
	r.keyed()
	r.run(5 * time.Hour)
	before := *r.agent.state.registration
	newest := r.now.Unix()
	r.tell(start + 3600)
	r.run(3 * time.Hour)
	r.wantSplit(before, newest)
}

// The boundary is between two readings: the one before it goes under both.
func TestMoveBetweenReadings(t *testing.T) {
	r := newRig(t, func(r *rig) { r.cfg.Resolution, r.cfg.First = 3600, start+3600 })
	r.source.step = 1000
	r.keyed()
	r.run(5 * time.Hour)
	before := *r.agent.state.registration
	r.tell(start + 6*3600 + quarter)
	r.run(4 * time.Hour)
	r.wantSplit(before, start+6*3600)
}

// What cannot be handed over for a week is given up.
func TestMoveGivesUp(t *testing.T) {
	r := newRig(t)
	r.keyed()
	r.run(time.Hour)
	before := r.agent.state.registration.meter
	at := int64(start + 2*3600)
	r.tell(at)
	r.losing(true)
	for r.agent.state.registration.meter == before {
		if r.now.Unix() > at+movePatience+3600 {
			t.Fatal("it never goes over")
		}
		r.now = r.now.Add(quarter * time.Second)
		_ = r.agent.Step(t.Context())
	}
	if r.now.Unix() < at+movePatience {
		t.Errorf("it goes over after %d s", r.now.Unix()-at)
	}
	if r.agent.Status().ReadingsDropped == 0 {
		t.Error("nothing is counted as lost")
	}
	r.losing(false)
	r.run(2 * time.Hour)
	for at := range r.double.got {
		if at < start+2*3600 {
			t.Errorf("reading at %d goes under the new pseudonym", (at-start)/quarter)
		}
	}
	if len(r.double.got) == 0 {
		t.Error("no reading goes under the new pseudonym")
	}
}

// Another pseudonym under the same user value, or the same under another one,
// is not taken.
func TestMoveRefusesHalves(t *testing.T) {
	r := newRig(t)
	r.keyed()
	r.run(time.Hour)
	kept := r.agent.state.registration.meter
	at := int64(start + 2*3600)
	r.tell(at)
	r.double.moveTo = kept.Pseudonym
	r.run(3 * time.Hour)
	if r.agent.Status().Refused[wire.Rebound] == 0 || r.agent.state.registration.meter != kept || r.agent.state.nextUser == nil {
		t.Errorf("refused %v", r.agent.Status().Refused)
	}

	r = newRig(t, expire)
	r.keyed()
	kept = r.agent.state.registration.meter
	r.run(6 * 24 * time.Hour)
	r.double.register = func(a *wire.Registered) {
		a.Meter.Pseudonym = newTenant
		a.Statement, a.D = r.double.issueMeter(clpke.MeterIdentity(a.Meter), r.double.mu, 1, forever)
	}
	for range 48 * 4 {
		r.now = r.now.Add(quarter * time.Second)
		_ = r.agent.Step(t.Context())
	}
	if r.agent.Status().Refused[wire.Rebound] == 0 || r.agent.state.registration.meter != kept {
		t.Errorf("refused %v", r.agent.Status().Refused)
	}
}

// A device that has lost its vault is given another key of the same pseudonym,
// with the next serial and a base above its epochs. It begins anew.
func TestVaultLostThenReplaced(t *testing.T) {
	r := newRig(t)
	r.keyed()
	r.run(5 * time.Hour)
	kept, last := r.agent.state.registration.meter, r.double.last
	r.vault = new(memory)
	r.cfg.Vault = r.vault
	r.double.moveTo = kept.Pseudonym // the operator says replace
	r.double.issue = func(mu clpke.Point) (clpke.SignedStatement, [32]byte) {
		return r.double.issueMeter(clpke.MeterIdentity(kept), mu, 2, forever)
	}
	r.source.taken = map[int64]wattveil.Reading{}
	r.restart()
	r.run(5 * time.Hour)
	r.want(Keyed)
	r.checkAll()
	if o := r.double.offers[len(r.double.offers)-1]; o.Epoch <= last || o.NewestChain != 0 {
		t.Errorf("epoch %d after %d, chain %d", o.Epoch, last, o.NewestChain)
	}
	if s := r.agent.keys.own; s.Serial != 2 {
		t.Errorf("serial %d", s.Serial)
	}
}
