package utility

import (
	"database/sql"
	"encoding/binary"
	"errors"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/clpke"
	"github.com/wattveil/wattveil/internal/registry"
	"github.com/wattveil/wattveil/provision"
	"github.com/wattveil/wattveil/wire"
)

// under is the pseudonym under which the TTP gets a frame.
func (r *rig) under(frame []byte) wattveil.Pseudonym {
	r.t.Helper()
	n := len(r.ttp.messages())
	if v := r.send(frame).Verdicts[0]; v != wire.Durable {
		r.t.Fatalf("verdict %v", v)
	}
	return wattveil.Pseudonym(binary.BigEndian.Uint64(r.ttp.messages()[n][0][1:]))
}

// verdict is that on one frame.
func (r *rig) verdictOn(frame []byte) wire.Verdict {
	r.t.Helper()
	return r.send(frame).Verdicts[0]
}

// rekeyed gives a meter another user value.
func (m *smart) rekeyed() {
	var err error
	m.user, err = clpke.NewUserKey()
	must(m.r.t, err)
}

// register registers a meter, which must be accepted.
func (m *smart) register() {
	m.r.t.Helper()
	m.last = max(m.last, m.r.clock.Now().Unix()-60)
	frame := m.request(m.next())
	answer := m.r.send(frame)
	if answer.Verdicts[0] != wire.Durable {
		m.r.t.Fatalf("registration: %v, refused %v", answer.Verdicts[0], m.r.Refused())
	}
	for _, d := range answer.Downlinks {
		if wire.Type(d.Frame[0]) == wire.TypeRegistered {
			m.open(frame, d)
			return
		}
	}
	m.r.t.Fatal("no registration answer")
}

func (m *smart) statement() clpke.Statement {
	m.r.t.Helper()
	st, err := clpke.VerifyStatement(m.answer.Statement, &m.r.signer.PublicKey)
	must(m.r.t, err)
	return st
}

// advance has the utility see the M1 of an epoch.
func (m *smart) advance(epoch wattveil.Epoch) {
	m.r.t.Helper()
	if v := m.r.verdictOn(m.m1(epoch, "M1")); v != wire.Durable {
		m.r.t.Fatalf("M1 of epoch %d: %v", epoch, v)
	}
}

func (r *rig) device(record provision.Record) *smart {
	r.t.Helper()
	m := &smart{r: r, record: record, tag: record.Secret.DataTagKey(), last: start.Unix()}
	m.rekeyed()
	return m
}

// successorOf makes the device that replaces a meter.
func (r *rig) successorOf(m *smart) *smart {
	r.t.Helper()
	record, err := r.ReplaceMeter(r.t.Context(), m.id(), m.record.Collectors, nil)
	must(r.t, err)
	return r.device(record)
}

func (r *rig) meter(m *smart) Meter {
	r.t.Helper()
	got, err := r.Meter(r.t.Context(), m.id())
	must(r.t, err)
	return got
}

// notices are the times in a post's move notices for a meter.
func (m *smart) notices(answer wire.ForwardAnswer) (times []int64) {
	m.r.t.Helper()
	for _, d := range answer.Downlinks {
		if wire.Type(d.Frame[0]) == wire.TypeMoveNotice {
			at, err := m.record.Secret.OpenMoveNotice(m.id(), d.Frame)
			must(m.r.t, err)
			times = append(times, at)
		}
	}
	return times
}

// A move gives another pseudonym under another user value, when it is time, and
// what was sealed before goes to the old one however late it comes.
func TestMove(t *testing.T) {
	r := enrolled(t, "a")
	m := r.meters(1)[0]
	m.advance(5)
	first, firstMu := m.answer, m.user
	at := start.Add(100 * time.Hour)
	must(t, r.MoveMeter(t.Context(), m.id(), at))
	if got := m.notices(r.send(m.data(5, 0))); len(got) != 0 {
		t.Errorf("%d notices four days before", len(got))
	}
	r.clock.add(30 * time.Hour)
	r.reopen()
	answer := r.send(m.data(5, 1), m.data(5, 2))
	if got := m.notices(answer); len(got) != 1 || got[0] != at.Unix() {
		t.Errorf("notices %v, want one of %d", got, at.Unix())
	}
	m.rekeyed()
	m.last = r.clock.Now().Unix()
	if v := r.verdictOn(m.request(m.next())); v != wire.Never || r.Refused()[wire.Rebound] != 1 {
		t.Errorf("another key before the move: %v, refused %v", v, r.Refused())
	}
	r.clock.add(70*time.Hour - 4*time.Minute)
	m.register()
	if m.answer.Meter.Pseudonym == first.Meter.Pseudonym || m.statement().Serial != 1 || m.statement().Mu == firstMu.Public() {
		t.Errorf("the answer is of %v with serial %d", m.answer.Meter.Pseudonym, m.statement().Serial)
	}
	base := m.answer.EpochBase
	if base < 5+epochStep || base >= 5+epochStep+moveSpread {
		t.Errorf("base %d after epoch 5", base)
	}
	for range 2 {
		if p := r.under(m.data(5, 3)); p != first.Meter.Pseudonym {
			t.Errorf("epoch 5 goes under %v, want %v", p, first.Meter.Pseudonym)
		}
		m.advance(base + 1)
		if p := r.under(m.data(base+1, 0)); p != m.answer.Meter.Pseudonym {
			t.Errorf("epoch %d goes under %v, want %v", base+1, p, m.answer.Meter.Pseudonym)
		}
		r.reopen()
	}
	if got := m.notices(r.send(m.data(base+1, 1))); len(got) != 0 {
		t.Error("a notice after the move")
	}
	again := m.answer
	m.register()
	if m.answer.Meter != again.Meter || m.answer.EpochBase != base || m.answer.D != again.D {
		t.Error("the same request again got another content")
	}
	if got := r.meter(m); !got.MovedAt.Equal(at) || !got.MoveAt.IsZero() || got.Pseudonym != again.Meter.Pseudonym {
		t.Errorf("%+v", got)
	}
}

func TestMoveRefused(t *testing.T) {
	r := enrolled(t, "a")
	m, fresh := r.meters(1)[0], r.newMeters(1)[0]
	hour := start.Add(time.Hour)
	for name, tt := range map[string]struct {
		id wattveil.MeterID
		at time.Time
	}{
		"not registered":  {fresh.id(), hour},
		"unknown":         {1, hour},
		"no full quarter": {m.id(), hour.Add(time.Minute)},
		"with a fraction": {m.id(), hour.Add(1)},
		"over":            {m.id(), start.Add(-time.Hour)},
		"far ahead":       {m.id(), start.Add(401 * 24 * time.Hour)},
	} {
		if err := r.MoveMeter(t.Context(), tt.id, tt.at); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	must(t, r.MoveMeter(t.Context(), m.id(), start.Add(73*time.Hour)))
	must(t, r.MoveMeter(t.Context(), m.id(), hour)) // nobody was told
	if err := r.MoveMeter(t.Context(), m.id(), start.Add(2*time.Hour)); !errors.Is(err, wire.Rebound) {
		t.Errorf("another time after the meter was told: %v", err)
	}
}

// A replacement takes the pseudonym over with its first registration. The old
// device drains and is then unknown.
func TestReplace(t *testing.T) {
	r := enrolled(t, "a")
	old := r.meters(1)[0]
	must(t, r.EnrolMeters(t.Context()))
	old.advance(9)
	next := r.successorOf(old)
	old.advance(10)
	if got := r.meter(old); got.State != MeterEnrolled || got.ReplacedBy != next.id() {
		t.Errorf("before the new device registers: %+v", got)
	}
	next.register()
	if next.answer.Meter != old.answer.Meter || next.statement().Serial != 2 || next.answer.EpochBase != 10+epochStep {
		t.Errorf("%v with serial %d and base %d", next.answer.Meter, next.statement().Serial, next.answer.EpochBase)
	}
	epoch := next.answer.EpochBase + 1
	if v := r.verdictOn(next.m1(epoch, "M1")); v != wire.Later {
		t.Errorf("M1 before the new statement is enrolled: %v", v)
	}
	must(t, r.EnrolMeters(t.Context()))
	next.advance(epoch)
	for what, frame := range map[string][]byte{"data": old.data(10, 0), "M3": old.m3(10)} {
		if v := r.verdictOn(frame); v != wire.Durable {
			t.Errorf("%s of the old device: %v", what, v)
		}
	}
	if p, q := r.under(old.data(9, 0)), r.under(next.data(epoch, 0)); p != q || p != old.answer.Meter.Pseudonym {
		t.Errorf("old device under %v, new one under %v", p, q)
	}
	old.last = r.clock.Now().Unix()
	for what, frame := range map[string][]byte{"M1": old.m1(11, "M1"), "registration": old.request(old.next())} {
		if v := r.verdictOn(frame); v != wire.Never {
			t.Errorf("%s of the old device: %v", what, v)
		}
	}
	if got := r.Refused()[wire.Retired]; got != 2 {
		t.Errorf("%d refusals, want 2", got)
	}
	if got := r.meter(old); got.State != MeterDraining || !got.DrainsUntil.Equal(start.Add(drainFor)) {
		t.Errorf("%+v", got)
	}
	r.ends(old, next, epoch)
}

// ends demands that an old device is unknown once it has drained, and that its
// successor is not.
func (r *rig) ends(old, next *smart, epoch wattveil.Epoch) {
	r.t.Helper()
	_, changes, err := r.rosterSince(r.t.Context(), 0)
	must(r.t, err)
	before := len(changes)
	r.clock.add(drainFor - time.Second)
	must(r.t, r.Maintain(r.t.Context()))
	if v := r.verdictOn(old.data(10, 1)); v != wire.Durable {
		r.t.Errorf("data on the last second: %v", v)
	}
	r.clock.add(time.Second)
	if v := r.verdictOn(old.data(10, 2)); v != wire.Never {
		r.t.Errorf("data after the drain: %v", v)
	}
	must(r.t, r.Maintain(r.t.Context()))
	for what, frame := range map[string][]byte{"data": old.data(10, 3), "M3": old.m3(10), "registration": old.request(r.clock.Now().Unix())} {
		if v := r.verdictOn(frame); v != wire.Never {
			r.t.Errorf("%s after the drain: %v", what, v)
		}
	}
	_, changes, err = r.rosterSince(r.t.Context(), 0)
	must(r.t, err)
	if last := changes[len(changes)-1]; len(changes) != before || last.ID != old.id() || last.Hash != ([32]byte{}) {
		r.t.Errorf("%d changes, the last of meter %v with hash %x", len(changes), last.ID, last.Hash)
	}
	if n := r.count(`meters WHERE id_sm = ? AND secret = x''`, int64(old.id())); n != 1 {
		r.t.Error("the secret is there still")
	}
	if got := r.meter(old); got.State != MeterEnded {
		r.t.Errorf("%+v", got)
	}
	if p := r.under(next.data(epoch, 1)); p != old.answer.Meter.Pseudonym {
		r.t.Errorf("new device under %v", p)
	}
	list, _, err := r.ListMeters(r.t.Context(), 0, 10)
	must(r.t, err)
	if len(list) != 2 || list[0].ID != old.id() || list[1].ID != next.id() || list[1].Replaces != old.id() {
		r.t.Errorf("list %+v", list)
	}
}

func TestReplaceRefused(t *testing.T) {
	r := enrolled(t, "a")
	m, fresh := r.meters(1)[0], r.newMeters(1)[0]
	if _, err := r.ReplaceMeter(t.Context(), fresh.id(), nil, nil); !errors.Is(err, wire.Unenrolled) {
		t.Errorf("not registered: %v", err)
	}
	if _, err := r.ReplaceMeter(t.Context(), 1, nil, nil); !errors.Is(err, wire.Unknown) {
		t.Errorf("unknown: %v", err)
	}
	failed := r.successorOf(m)
	if _, err := r.ReplaceMeter(t.Context(), m.id(), nil, nil); !errors.Is(err, wire.Rebound) {
		t.Errorf("a second replacement: %v", err)
	}
	must(t, r.RetireMeter(t.Context(), failed.id()))
	if got := r.meter(failed); got.State != MeterEnded {
		t.Errorf("a retired device that never registered: %+v", got)
	}
	if v := r.verdictOn(failed.request(failed.next())); v != wire.Never {
		t.Errorf("it registers: %v", v)
	}
	next := r.successorOf(m)
	next.register()
	for name, err := range map[string]error{
		"replace": errorOf(r.ReplaceMeter(t.Context(), m.id(), nil, nil)), "key": r.ReplaceKey(t.Context(), m.id()),
		"move": r.MoveMeter(t.Context(), m.id(), start.Add(time.Hour)), "retire": r.RetireMeter(t.Context(), m.id()),
	} {
		if !errors.Is(err, wire.Retired) {
			t.Errorf("%s what was replaced: %v", name, err)
		}
	}
}

func errorOf(_ provision.Record, err error) error { return err }

// A device that lost its vault keeps its name: its other key is accepted once.
func TestReplaceKey(t *testing.T) {
	r := enrolled(t, "a")
	m := r.meters(1)[0]
	must(t, r.EnrolMeters(t.Context()))
	m.advance(3)
	first := m.answer
	m.rekeyed()
	if v := r.verdictOn(m.request(m.next())); v != wire.Never {
		t.Fatalf("another key: %v", v)
	}
	must(t, r.ReplaceKey(t.Context(), m.id()))
	if !r.meter(m).AwaitsKey {
		t.Error("it does not await a key")
	}
	m.register()
	if m.answer.Meter != first.Meter || m.statement().Serial != 2 || m.answer.EpochBase != 3+epochStep || r.meter(m).AwaitsKey {
		t.Errorf("%v with serial %d and base %d", m.answer.Meter, m.statement().Serial, m.answer.EpochBase)
	}
	must(t, r.EnrolMeters(t.Context()))
	m.advance(m.answer.EpochBase + 1)
	for _, epoch := range []wattveil.Epoch{3, m.answer.EpochBase + 1} {
		if p := r.under(m.data(epoch, 0)); p != first.Meter.Pseudonym {
			t.Errorf("epoch %d goes under %v", epoch, p)
		}
	}
	m.rekeyed()
	if v := r.verdictOn(m.request(m.next())); v != wire.Never || r.Refused()[wire.Rebound] != 2 {
		t.Errorf("a third key: %v", v)
	}
}

// A replacement of a device that is to move: before the time the move becomes
// its own, behind it the device begins with the pseudonym of the new tenant.
func TestReplaceWhileMoving(t *testing.T) {
	for name, late := range map[string]bool{"before": false, "behind": true} {
		t.Run(name, func(t *testing.T) {
			r := enrolled(t, "a")
			old := r.meters(1)[0]
			at := start.Add(2 * time.Hour)
			must(t, r.MoveMeter(t.Context(), old.id(), at))
			next := r.successorOf(old)
			if late {
				r.clock.add(3 * time.Hour)
			}
			next.register()
			if got := next.answer.Meter == old.answer.Meter; got == late {
				t.Fatalf("it has the pseudonym of the old device: %v", got)
			}
			if !late {
				if got := next.notices(r.send(next.data(next.answer.EpochBase+1, 0))); len(got) != 1 {
					t.Errorf("%d notices to the new device", len(got))
				}
				r.clock.add(3 * time.Hour)
				next.rekeyed()
				next.register()
			}
			if next.answer.Meter == old.answer.Meter || next.statement().Serial != 1 {
				t.Errorf("%v with serial %d", next.answer.Meter, next.statement().Serial)
			}
			if got := len(old.notices(r.send(old.data(1, 0)))); got != 0 {
				t.Errorf("%d notices to the old device", got)
			}
			r.wantTenancies(next, start, start.Add(24*time.Hour), tenancies(late, old, next, at)...)
		})
	}
}

func tenancies(late bool, old, next *smart, at time.Time) []Tenancy {
	second := Tenancy{next.answer.Meter.Pseudonym, at, start.Add(24 * time.Hour)}
	if late {
		return []Tenancy{second}
	}
	return []Tenancy{{old.answer.Meter.Pseudonym, start, at}, second}
}

func (r *rig) wantTenancies(m *smart, from, to time.Time, want ...Tenancy) {
	r.t.Helper()
	got, err := r.Tenancies(r.t.Context(), m.id(), from, to)
	must(r.t, err)
	if len(got) != len(want) {
		r.t.Fatalf("tenancies %v, want %v", got, want)
	}
	for i := range got {
		if got[i].Pseudonym != want[i].Pseudonym || !got[i].From.Equal(want[i].From) || !got[i].To.Equal(want[i].To) {
			r.t.Errorf("tenancy %d is %v, want %v", i, got[i], want[i])
		}
	}
}

// Which pseudonyms are billed for a period, under which meter, and for how long.
func TestTenancies(t *testing.T) {
	r := enrolled(t, "a")
	m, fresh := r.meters(1)[0], r.newMeters(1)[0]
	a := m.answer.Meter.Pseudonym
	day := func(n int) time.Time { return start.AddDate(0, 0, n) }
	r.wantTenancies(m, day(-9), day(9), Tenancy{a, day(-9), day(9)})

	must(t, r.MoveMeter(t.Context(), m.id(), day(2)))
	r.clock.add(48 * time.Hour)
	r.wantTenancies(m, day(0), day(9), Tenancy{a, day(0), day(9)}) // it has not moved yet
	m.rekeyed()
	m.register()
	b := m.answer.Meter.Pseudonym
	r.wantTenancies(m, day(0), day(9), Tenancy{a, day(0), day(2)}, Tenancy{b, day(2), day(9)})
	r.wantTenancies(m, day(0), day(2), Tenancy{a, day(0), day(2)})
	r.wantTenancies(m, day(2), day(4), Tenancy{b, day(2), day(4)})

	next := r.successorOf(m)
	next.register()
	r.wantTenancies(next, day(0), day(9), Tenancy{b, day(2), day(9)})
	r.wantTenancies(m, day(0), day(9), Tenancy{a, day(0), day(2)})
	if _, err := r.Tenancies(t.Context(), m.id(), day(2), day(9)); !errors.Is(err, wire.Retired) {
		t.Errorf("after it was replaced: %v", err)
	}

	must(t, r.ReplaceKey(t.Context(), next.id()))
	next.rekeyed()
	next.register()
	r.wantTenancies(next, day(0), day(9), Tenancy{b, day(2), day(9)})

	r.clock.add(36*time.Hour + 20*time.Minute)
	must(t, r.RetireMeter(t.Context(), next.id()))
	r.wantTenancies(next, day(0), day(9), Tenancy{b, day(2), day(3).Add(12 * time.Hour)})
	if _, err := r.Tenancies(t.Context(), next.id(), day(4), day(9)); !errors.Is(err, wire.Retired) {
		t.Errorf("after it was retired: %v", err)
	}
	if _, err := r.Tenancies(t.Context(), fresh.id(), day(4), day(9)); !errors.Is(err, wire.Unenrolled) {
		t.Errorf("before it registers: %v", err)
	}
}

// A retired meter takes nothing new; what it has sealed passes while it drains.
func TestRetire(t *testing.T) {
	r := enrolled(t, "a")
	m := r.meters(1)[0]
	m.advance(1)
	must(t, r.MoveMeter(t.Context(), m.id(), start.Add(time.Hour)))
	must(t, r.RetireMeter(t.Context(), m.id()))
	answer := r.send(m.data(1, 0), m.m3(1), m.m1(2, "M1"), m.request(m.next()))
	if join(answer.Verdicts) != "durable durable never never" || len(m.notices(answer)) != 0 {
		t.Errorf("%s, notices %v", join(answer.Verdicts), m.notices(answer))
	}
	if n, err := r.MeterCounts(t.Context()); err != nil || n.Draining != 1 || n.Ended != 0 {
		t.Errorf("%+v, %v", n, err)
	}
	r.reopen()
	r.clock.add(drainFor)
	must(t, r.Maintain(t.Context()))
	if v := r.verdictOn(m.data(1, 1)); v != wire.Never {
		t.Errorf("after 45 days: %v", v)
	}
	if n, err := r.MeterCounts(t.Context()); err != nil || n.Draining != 0 || n.Ended != 1 {
		t.Errorf("%+v, %v", n, err)
	}
}

// openRegistryAt opens a registry as it was after its first migrations.
func openRegistryAt(t *testing.T, path string, first int) *sql.DB {
	t.Helper()
	all, err := migrations.ReadDir("migrations")
	must(t, err)
	old := make(fstest.MapFS)
	for _, file := range all[:first] {
		text, err := migrations.ReadFile("migrations/" + file.Name())
		must(t, err)
		old[file.Name()] = &fstest.MapFile{Data: text}
	}
	db, err := registry.Open(t.Context(), path, old)
	must(t, err)
	return db
}

// A registry of before moves has its meters and their pseudonyms afterwards.
func TestRegistryOfBeforeMoves(t *testing.T) {
	path := filepath.Join(t.TempDir(), "utility.db")
	db := openRegistryAt(t, path, 2)
	for _, statement := range []string{
		`INSERT INTO meters (id_sm, secret, password_hash, roster, ttp) VALUES (7, x'', zeroblob(32), 1, 'ttp.example'), (5, x'', zeroblob(32), 2, '')`,
		`INSERT INTO pseudonyms (id_sm, base, an_id) VALUES (7, 0, 70), (7, 9, 71)`,
		`INSERT INTO statements (an_id, serial, statement, partial_key, enrolled) VALUES (71, 1, x'', x'', 1)`,
	} {
		_, err := db.ExecContext(t.Context(), statement)
		must(t, err)
	}
	must(t, db.Close())
	r := newRig(t, func(cfg *Config) { cfg.Dir = filepath.Dir(path) })
	list, _, err := r.ListMeters(t.Context(), 0, 10)
	must(t, err)
	if len(list) != 2 || list[0].ID != 7 || list[1].ID != 5 || list[0].Pseudonym != 71 || list[0].State != MeterEnrolled || list[1].State != MeterAdded {
		t.Errorf("%+v", list)
	}
	if got, err := r.pseudonymsOf(t.Context(), 7); err != nil || len(got) != 2 || got[0].pseudonym != 70 || got[1].pseudonym != 71 {
		t.Errorf("%v, %v", got, err)
	}
}
