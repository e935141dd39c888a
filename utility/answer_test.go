package utility

import (
	"fmt"
	"testing"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/peer"
	"github.com/wattveil/wattveil/wire"
)

// postRoster posts nothing and says which roster the collector has.
func (r *rig) postRoster(have uint64) wire.ForwardAnswer {
	r.t.Helper()
	r.interval++
	answer, err := r.postBody("a", forwardBody(r.interval, have), 0)
	must(r.t, err)
	return answer
}

func TestRoster(t *testing.T) {
	r := enrolled(t, "a")
	first := r.newMeters(3)
	answer := r.postRoster(0)
	if len(answer.Changes) != 3 || answer.Roster != 3 {
		t.Fatalf("%d changes up to %d", len(answer.Changes), answer.Roster)
	}
	hashes := make(map[wattveil.MeterID][32]byte)
	for _, c := range answer.Changes {
		hashes[c.ID] = c.Hash
	}
	for _, m := range first {
		if hashes[m.id()] != wire.PasswordHash(m.record.LinkPassword()) {
			t.Errorf("meter %v has another password hash", m.id())
		}
	}
	if a := r.postRoster(answer.Roster); len(a.Changes) != 0 || a.Roster != answer.Roster {
		t.Errorf("nothing new: %d changes up to %d", len(a.Changes), a.Roster)
	}
	added := r.newMeters(2)
	if a := r.postRoster(answer.Roster); len(a.Changes) != 2 || a.Changes[0].ID != added[0].id() || a.Roster != 5 {
		t.Errorf("meters added: %d changes up to %d", len(a.Changes), a.Roster)
	}
	r.reopen()
	if a := r.postRoster(4); len(a.Changes) != 1 || a.Roster != 5 {
		t.Errorf("a collector that has all but one: %d changes up to %d", len(a.Changes), a.Roster)
	}
}

// addSilent adds meters that no test speaks for, faster than AddMeters does.
func (r *rig) addSilent(n int) {
	r.t.Helper()
	_, err := r.db.ExecContext(r.t.Context(), `
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
		INSERT INTO meters (id_sm, secret, password_hash, roster) SELECT 1000 + i, x'', zeroblob(32), i FROM n`, n)
	must(r.t, err)
}

// However many meters are added at once, a collector learns of them in parts
// that fit an answer.
func TestRosterInParts(t *testing.T) {
	r := enrolled(t, "a")
	const meters = 2*maxRosterChanges + 5
	r.addSilent(meters)
	seen := make(map[wattveil.MeterID]bool)
	var have uint64
	for _, want := range []int{maxRosterChanges, maxRosterChanges, 5, 0} {
		answer := r.postRoster(have)
		if len(answer.Changes) != want {
			t.Fatalf("%d changes after %d, want %d", len(answer.Changes), have, want)
		}
		for _, c := range answer.Changes {
			seen[c.ID] = true
		}
		have = answer.Roster
	}
	if len(seen) != meters {
		t.Errorf("%d meters, want %d", len(seen), meters)
	}
}

// An answer never goes beyond a body. The downlinks that do not fit come with
// the answers after, oldest first and each once.
func TestDownlinksInParts(t *testing.T) {
	r := enrolled(t, "a")
	r.addSilent(maxRosterChanges) // the roster takes all of its room
	m := r.newMeters(1)[0]
	const each, frames = wire.MaxFrame - 42, 2_500
	r.ttp.set(func(f *fakeTTP) {
		f.exchange = func(x wire.ExchangeRequest) wire.ExchangeAnswer {
			return wire.ExchangeAnswer{Verdict: wire.Durable, M2: append(make([]byte, each-1), x.Low)}
		}
	})
	// Of many meters, since a newer M2 takes the place of one that waits.
	records, err := r.AddMeters(t.Context(), frames, nil, nil)
	must(t, err)
	_, err = r.db.ExecContext(t.Context(), `INSERT INTO pseudonyms (id_sm, base, an_id) SELECT id_sm, 0, random() FROM meters WHERE secret <> x'' AND id_sm <> ?`, int64(m.id()))
	must(t, err)
	offers := make([][]byte, frames)
	for i, record := range records {
		offers[i] = record.Secret.Tagged(record.Meter, wire.Exchange{Type: wire.TypeM1, Low: 1, Body: []byte("M1")})
	}
	seen := make(map[wattveil.MeterID]int)
	posts, got := 0, 0
	post := func(frames ...[]byte) {
		t.Helper()
		posts++
		r.interval++
		name := peer.Name{Org: utilityOrg, Role: peer.RoleCollector, Instance: "a"}
		body, err := r.handleForward(t.Context(), name, nil, forwardBody(r.interval, 0, frames...))
		must(t, err)
		if len(body) > wire.MaxBody {
			t.Fatalf("an answer of %d bytes", len(body))
		}
		answer, err := wire.ParseForwardAnswer(body, len(frames))
		must(t, err)
		if len(answer.Changes) != maxRosterChanges {
			t.Errorf("%d roster changes, want %d", len(answer.Changes), maxRosterChanges)
		}
		for i, v := range answer.Verdicts {
			if v != wire.Durable {
				t.Fatalf("position %d: %v", i, v)
			}
		}
		for _, d := range answer.Downlinks {
			seen[d.ID]++
			got++
		}
	}
	post(offers...)
	if got == 0 || got >= frames {
		t.Fatalf("%d of %d downlinks with the first answer", got, frames)
	}
	request := m.request(m.next())
	post(request) // what is new comes behind what waits
	for got < frames+1 {
		post()
	}
	post()
	if got != frames+1 || len(seen) != frames+1 || posts > 4 {
		t.Errorf("%d downlinks for %d meters in %d answers", got, len(seen), posts)
	}
}

// A newer answer for a meter takes the place of one that waits.
func TestReplaceDownlinks(t *testing.T) {
	frame := func(id wattveil.MeterID, what wire.Type, text string) wire.Downlink {
		return wire.Downlink{ID: id, Frame: append([]byte{byte(what)}, text...)}
	}
	words := func(list []wire.Downlink) (out []string) {
		for _, d := range list {
			out = append(out, fmt.Sprint(uint64(d.ID), string(d.Frame[1:])))
		}
		return out
	}
	got := replaceDownlinks(
		[]wire.Downlink{frame(1, wire.TypeM2, "a"), frame(2, wire.TypeRegistered, "b"), frame(1, wire.TypeRegistered, "c")},
		[]wire.Downlink{frame(1, wire.TypeM2, "d"), frame(3, wire.TypeM2, "e")})
	if want := "[2b 1c 1d 3e]"; fmt.Sprint(words(got)) != want {
		t.Errorf("%v, want %v", words(got), want)
	}
	if got := replaceDownlinks(nil, nil); len(got) != 0 {
		t.Errorf("of nothing: %v", words(got))
	}
}

// Notices beyond what an answer takes come with the answers after: each answer
// has as many as it may.
func TestManyNotices(t *testing.T) {
	r := enrolled(t, "a")
	m := r.meters(1)[0]
	r.mu.Lock()
	for i := range wattveil.MeterID(maxNotices + 10) {
		r.rekey[m.id()+1+i] = &rekeyDue{collector: "a", lows: []byte{1}}
	}
	due := &rekeyDue{collector: "a"}
	for low := range 256 {
		due.lows = append(due.lows, byte(low))
	}
	r.rekey[m.id()] = due
	r.mu.Unlock()
	if n := len(r.appendNotices(t.Context(), "a", nil, 100*(downlinkHead+taggedSize))); n > 100 {
		t.Errorf("%d notices in the room for 100", n)
	}
	if n := len(r.appendNotices(t.Context(), "a", nil, downlinkHead+taggedSize-1)); n != 0 {
		t.Errorf("%d notices in the room for none", n)
	}
	r.mu.Lock()
	for i := range wattveil.MeterID(maxNotices + 10) {
		delete(r.rekey, m.id()+1+i)
	}
	r.mu.Unlock()
	if n := len(r.send().Downlinks); n != 256 {
		t.Errorf("%d notices, want one for each epoch", n)
	}
}
