package meter

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/wire"
)

// With a ring on disk stops lose nothing, whatever else happens.
func TestRandomFaultsAndStopsOnDisk(t *testing.T) {
	seeds := uint64(8)
	if testing.Short() {
		seeds = 2
	}
	for seed := range seeds {
		c := newChaos(t, 200+seed, onDisk)
		for range 12 {
			for range 50 + c.rng.IntN(50) {
				c.tick()
			}
			c.restart()
		}
		c.on = false
		for range 3 * 96 {
			c.tick()
		}
		c.checkAll()
		if s := c.agent.Status(); s.Pending != 0 || s.ReadingsDropped != 0 {
			t.Errorf("seed %d: pending %d, dropped %d", seed, s.Pending, s.ReadingsDropped)
		}
	}
}

// A message that was on its way at a stop is sent again with the same bytes,
// and what was acknowledged is not sent again.
func TestMessageOutlivesAStop(t *testing.T) {
	r := newRig(t, onDisk)
	r.keyed()
	r.run(24 * time.Hour)
	r.net.publish = func(f []byte) (bool, error) { return wire.Type(f[0]) != wire.TypeData, errFault }
	r.now = r.now.Add(quarter * time.Second)
	if err := r.agent.Step(t.Context()); !errors.Is(err, errFault) {
		t.Fatalf("step gave %v", err)
	}
	want := bytes.Clone(r.agent.out.frame)
	r.net.publish = nil
	r.double.mute = true // no M2: it is sent without an epoch
	frames := len(r.net.frames)
	r.restart()
	r.run(quarter * time.Second)
	var data [][]byte
	for _, f := range r.net.frames[frames:] {
		if wire.Type(f[0]) == wire.TypeData {
			data = append(data, f)
		}
	}
	if len(data) != 1 || !bytes.Equal(data[0], want) {
		t.Fatalf("%d data messages before there is an epoch, want the one of the start before", len(data))
	}
	r.double.mute = false
	r.run(time.Hour)
	for _, n := range r.sentAgain(frames)[1:] {
		if n > 46+wire.BlockSize(4) {
			t.Errorf("a message of %d bytes: readings are sent again", n)
		}
	}
	r.checkAll()
	if s := r.agent.Status(); s.Pending != 0 {
		t.Errorf("pending %d", s.Pending)
	}
}

// Without the state of the ring all of it is sent again, and harms nobody.
func TestLostState(t *testing.T) {
	r := newRig(t, onDisk)
	r.keyed()
	r.run(24 * time.Hour)
	for _, name := range []string{"state.0", "state.1"} {
		must(t, os.RemoveAll(filepath.Join(r.disk, name)))
	}
	r.restart()
	r.run(2 * time.Hour)
	r.checkAll()
	if s := r.agent.Status(); s.ReadingsSent != 96+8 || s.Pending != 0 {
		t.Errorf("sent %d, pending %d", s.ReadingsSent, s.Pending)
	}
}

// The ring goes on behind its newest reading, whatever First says.
func TestFirstIsBehindTheRing(t *testing.T) {
	r := newRig(t, onDisk)
	r.keyed()
	r.run(2 * time.Hour)
	for _, tt := range []struct{ resolution, first, want int64 }{
		{quarter, start + quarter, r.now.Unix() + quarter},
		{quarter, start + 100, r.now.Unix() + 100},
		{quarter, r.now.Unix() + 5*quarter, r.now.Unix() + 5*quarter},
		{60, start, r.now.Unix() + 60},
		{3600, start + 1800, r.now.Unix() + 1800},
	} {
		r.cfg.First, r.cfg.Resolution = tt.first, wattveil.Resolution(tt.resolution)
		r.start()
		if got := r.agent.Status().NextReading; got != tt.want {
			t.Errorf("first at start + %d every %d s: next at start + %d, want %d", tt.first-start, tt.resolution, got-start, tt.want-start)
		}
	}
}

// A ring that cannot take a reading holds up the next ones, and none is lost.
func TestRingThatFails(t *testing.T) {
	r := newRig(t, onDisk)
	r.keyed()
	r.run(24 * time.Hour)
	away := r.disk + ".away"
	must(t, os.Rename(r.disk, away))
	failed := 0
	for range 500 { // a segment has 480
		r.now = r.now.Add(quarter * time.Second)
		if err := r.agent.Step(t.Context()); err != nil {
			failed++
		}
	}
	if failed == 0 {
		t.Fatal("nothing failed")
	}
	must(t, os.Rename(away, r.disk))
	r.run(time.Hour)
	r.checkAll()
	if s := r.agent.Status(); s.ReadingsTaken != 96+500+4 || s.Pending != 0 || s.ReadingsMissing != 0 {
		t.Errorf("taken %d, pending %d, missing %d", s.ReadingsTaken, s.Pending, s.ReadingsMissing)
	}
}

// full is a ring on a disk that takes no more until something is dropped.
type full struct {
	Ring
	dropped uint64
}

func (f *full) Push(r wattveil.Reading) (uint64, error) {
	if f.dropped == 0 {
		return 0, errFault
	}
	return f.Ring.Push(r)
}

func (f *full) Drop(below uint64) error {
	f.dropped = below
	return f.Ring.Drop(below)
}

// On a full disk the readings make room that a receipt covers, and no other.
func TestFullDiskDropsWhatIsDurable(t *testing.T) {
	r := reported(t, wire.Span{First: start + 50*quarter, Last: start + 51*quarter})
	r.net.publish = func([]byte) (bool, error) { return false, errFault }
	disk := &full{Ring: r.agent.ring}
	r.agent.ring = disk
	r.now = r.now.Add(quarter * time.Second)
	_ = r.agent.Step(t.Context()) // nothing is acknowledged
	if disk.dropped != 49 || r.agent.ledger.head != 49 {
		t.Errorf("dropped below %d, head %d, want 49: reading 50 is missing at the TTP", disk.dropped, r.agent.ledger.head)
	}
	r.net.publish = nil
	r.run(time.Hour)
	r.checkAll()
}

// A damaged reading is lost, alone.
func TestDamagedReading(t *testing.T) {
	r := newRig(t, onDisk, func(r *rig) { r.double.mute = true })
	r.run(6 * time.Hour)
	file, err := filepath.Glob(filepath.Join(r.disk, "*.readings"))
	must(t, err)
	content, err := os.ReadFile(file[0])
	must(t, err)
	content[20*5+3] ^= 1
	must(t, os.WriteFile(file[0], content, 0o600))
	r.double.mute = false
	r.restart()
	r.run(2 * time.Hour)
	damaged := int64(start + 6*quarter)
	if _, ok := r.double.got[damaged]; ok {
		t.Error("the damaged reading was sent")
	}
	delete(r.source.taken, damaged)
	r.checkAll()
	if s := r.agent.Status(); s.ReadingsDropped != 1 || s.Pending != 0 {
		t.Errorf("dropped %d, pending %d", s.ReadingsDropped, s.Pending)
	}
}

// The readings of one pseudonym never go out under another.
func TestRingOfAnotherPseudonym(t *testing.T) {
	r := newRig(t, onDisk)
	r.keyed()
	r.run(6 * time.Hour)
	vault := bytes.Clone(r.vault.content)
	s, err := parseState(vault)
	must(t, err)
	s.registration.meter.Pseudonym++
	r.agent.state = s // as if the ring were that of the pseudonym before
	r.agent.unkept = true
	must(t, r.agent.keep())
	frames := len(r.net.frames)
	taken := len(r.source.taken)
	r.restart()
	if head, tail := r.agent.ledger.head, r.agent.ledger.tail; head != tail || tail != uint64(taken) {
		t.Errorf("the ring holds readings %d to %d", head, tail)
	}
	r.run(time.Hour)
	for _, n := range r.sentAgain(frames) {
		if n > 46+wire.BlockSize(4) {
			t.Errorf("a message of %d bytes", n)
		}
	}
}

// A ring whose readings were lost at a power cut, with a state that was not.
func TestRingShorterThanItsState(t *testing.T) {
	r := newRig(t, onDisk)
	r.keyed()
	r.run(6 * time.Hour)
	file, err := filepath.Glob(filepath.Join(r.disk, "*.readings"))
	must(t, err)
	must(t, os.Truncate(file[0], 20*20))
	r.source.last = start + 20*quarter // it can show them once more
	r.restart()
	if s := r.agent.Status(); s.NextReading != start+21*quarter {
		t.Errorf("next reading at start + %d intervals, want 21", (s.NextReading-start)/quarter)
	}
	r.run(2 * time.Hour)
	r.checkAll()
}

func keptOf(t testing.TB, r *rig) []byte {
	t.Helper()
	state, _, _, err := r.ring.Load()
	must(t, err)
	if state == nil {
		state = r.agent.encodeKept(nil)
	}
	return state
}

// keptRigs are meters whose rings keep each kind of state.
func keptRigs(t testing.TB) map[string][]byte {
	fresh := newRig(t, onDisk, func(r *rig) { r.double.mute = true })
	fresh.run(time.Hour)
	sent := newRig(t, onDisk)
	sent.keyed()
	sent.run(6 * time.Hour)
	asked := newRig(t, onDisk)
	asked.keyed()
	asked.run(6 * time.Hour)
	asked.restart()
	asked.net.publish = func(f []byte) (bool, error) { return true, failData(f) }
	asked.now = asked.now.Add(time.Hour)
	for range 3 {
		_ = asked.agent.Step(t.Context())
	}
	return map[string][]byte{"fresh": keptOf(t, fresh), "sent": keptOf(t, sent), "on its way": keptOf(t, asked)}
}

func failData(f []byte) error {
	if wire.Type(f[0]) == wire.TypeData {
		return errFault
	}
	return nil
}

func (k *kept) encode() []byte {
	a := Agent{next: k.next, receipts: k.receipts, ledger: k.ledger, out: k.out}
	if k.owner != (wattveil.Meter{}) {
		a.state.registration = &registration{meter: k.owner}
	}
	return a.encodeKept(nil)
}

func TestKeptRoundTrip(t *testing.T) {
	for name, b := range keptRigs(t) {
		k, err := parseKept(b)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !bytes.Equal(k.encode(), b) {
			t.Errorf("%s: encodes to other bytes", name)
		}
		if name == "on its way" && (k.out.n == 0 || len(k.ledger.extents) < 2) {
			t.Errorf("%s: %d readings in a message, %d extents", name, k.out.n, len(k.ledger.extents))
		}
		for n := range b {
			if _, err := parseKept(b[:n]); err == nil {
				t.Fatalf("%s: %d bytes of it are accepted", name, n)
			}
		}
		if _, err := parseKept(append(bytes.Clone(b), 0)); err == nil {
			t.Errorf("%s: one byte more is accepted", name)
		}
	}
}

func FuzzParseKept(f *testing.F) {
	for _, b := range keptRigs(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := parseKept(b)
		if err == nil && !bytes.Equal(k.encode(), b) {
			t.Error("accepted content encodes to other bytes")
		}
	})
}
