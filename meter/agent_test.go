package meter

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/wire"
)

func TestNormalRun(t *testing.T) {
	r := newRig(t)
	r.want(Unregistered)
	r.step() // registration request
	r.want(Unregistered)
	r.step() // answer, M1
	r.want(Exchanging)
	r.step() // M2, M3
	r.want(Keyed)
	if _, ok := r.agent.ClaimCode(); !ok {
		t.Error("no claim code after the exchange")
	}
	r.run(24 * time.Hour)
	r.checkAll()

	s := r.agent.Status()
	if s.Meter != r.double.meter || s.Epoch != masterBase+1 {
		t.Errorf("status names %v, epoch %d", s.Meter, s.Epoch)
	}
	if s.ReadingsTaken != 96 || s.ReadingsSent != 96 || s.MessagesSent != 96 || s.Pending != 0 {
		t.Errorf("taken %d, sent %d in %d messages, pending %d; want 96, 96, 96, 0", s.ReadingsTaken, s.ReadingsSent, s.MessagesSent, s.Pending)
	}
	if s.FirstMessageBytes != 70 || s.BytesSent != 96*70 {
		t.Errorf("first message %d bytes, all %d; want 70 and %d", s.FirstMessageBytes, s.BytesSent, 96*70)
	}
	if len(s.Refused) != 0 {
		t.Errorf("refused %v", s.Refused)
	}
	if r.double.m3s != 1 || !r.double.epochs[masterBase+1].active {
		t.Error("M3 did not arrive once")
	}
	for i, r := range r.double.got {
		if r.Status != 0 {
			t.Errorf("reading at %d has status %#x", i, uint16(r.Status))
		}
	}
}

func TestClaimCodeIsWhatTheTTPComputes(t *testing.T) {
	r := newRig(t)
	r.keyed()
	code, _ := r.agent.ClaimCode()
	want := wire.NewClaimCode(r.double.meter, r.double.epochs[masterBase+1].keys.Claim).Text()
	if code != want {
		t.Errorf("claim code differs from the TTP's")
	}
	r.restart()
	if again, ok := r.agent.ClaimCode(); !ok || again != want {
		t.Error("claim code is gone after a stop")
	}
}

func TestRegistersAreHidden(t *testing.T) {
	const importBase, exportBase = 0x0102030405, 0xfffefdfcfb
	r := newRig(t, func(r *rig) {
		r.cfg.Rand = bytes.NewReader([]byte{1, 2, 3, 4, 5, 0xff, 0xfe, 0xfd, 0xfc, 0xfb})
		r.source.base = 0x0102030400 // below the base: the difference wraps
		r.source.step = 1
	})
	r.keyed()
	r.run(time.Hour)
	got := r.double.got[start+quarter]
	if uint64(got.Import) != 1<<40-4 {
		t.Errorf("import register wrong")
	}
	if want := (uint64(r.source.taken[start+quarter].Export) + 1<<40 - exportBase) % (1 << 40); uint64(got.Export) != want {
		t.Errorf("export register wrong")
	}
	r.checkAll()
}

func TestReadingsWaitForKeysThenGoInBlocks(t *testing.T) {
	r := newRig(t, func(r *rig) { r.double.mute = true })
	r.run(50 * time.Hour) // 200 readings
	if s := r.agent.Status(); s.Pending != 200 || s.MessagesSent != 0 {
		t.Fatalf("pending %d, messages %d; want 200 and 0", s.Pending, s.MessagesSent)
	}
	r.double.mute = false
	r.run(time.Hour)
	r.checkAll()
	if want := []int{454, 454, 70}; len(r.double.sizes) < 3 || !equal(r.double.sizes[:2], want[:2]) {
		t.Errorf("sizes of messages %v, want first two of 454", r.double.sizes)
	}
}

func equal(a, b []int) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return len(a) == len(b)
}

func TestOutage(t *testing.T) {
	r := newRig(t)
	r.keyed()
	r.run(time.Hour)
	r.net.publish = func([]byte) (bool, error) { return false, errFault }
	before := len(r.net.frames)
	for range 96 {
		r.now = r.now.Add(quarter * time.Second)
		if err := r.agent.Step(t.Context()); !errors.Is(err, errFault) {
			t.Fatalf("step during an outage gave %v", err)
		}
	}
	for _, f := range r.net.frames[before:] {
		if !bytes.Equal(f, r.net.frames[before]) {
			t.Fatal("an unacknowledged message was published with other bytes")
		}
	}
	r.net.publish = nil
	r.double.sizes = nil
	r.step()
	r.checkAll()
	if want := []int{70, 454}; !equal(r.double.sizes, want) {
		t.Errorf("after the outage messages of %v bytes, want %v", r.double.sizes, want) // the one sealed at first, then 95
	}
	if s := r.agent.Status(); s.Pending != 0 || s.ReadingsSent != 100 {
		t.Errorf("pending %d, sent %d", s.Pending, s.ReadingsSent)
	}
}

func TestLargeStepsAndRollover(t *testing.T) {
	tests := []struct {
		name     string
		step     uint64 // Wh an interval
		base     uint64
		messages int // for 8 pending readings
	}{
		{"delta of 65,535 stays in a block", 65_535, 0, 1},
		{"delta over 65,535 starts a message", 65_536, 0, 8},
		{"register rolls over inside a block", 250, wattveil.RegisterModulus - 1000, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, func(r *rig) { r.source.step, r.source.base = tt.step, tt.base })
			r.keyed()
			r.now = r.now.Add(2 * time.Hour)
			r.step()
			r.checkAll()
			if got := len(r.double.sizes); got != tt.messages {
				t.Errorf("%d messages, want %d", got, tt.messages)
			}
		})
	}
}

func TestGapStartsAMessage(t *testing.T) {
	r := newRig(t, func(r *rig) { r.source.fails = map[int64]error{start + 3*quarter: errFault} })
	r.keyed()
	r.now = r.now.Add(2 * time.Hour)
	if err := r.agent.Step(t.Context()); !errors.Is(err, errFault) {
		t.Fatalf("step gave %v, want the source's error", err)
	}
	r.step() // the error is given once
	r.checkAll()
	if len(r.double.sizes) != 2 {
		t.Errorf("%d messages, want one on each side of the gap", len(r.double.sizes))
	}
	if s := r.agent.Status(); s.ReadingsTaken != 7 || s.ReadingsMissing != 1 {
		t.Errorf("taken %d, missing %d; want 7 and 1", s.ReadingsTaken, s.ReadingsMissing)
	}
}

func TestSourceEnds(t *testing.T) {
	r := newRig(t, func(r *rig) { r.source.end = start + 5*quarter })
	r.run(8 * time.Hour)
	s := r.agent.Status()
	if !s.Ended || s.ReadingsTaken != 4 || s.ReadingsSent != 4 || s.State != Keyed {
		t.Errorf("ended %v, taken %d, sent %d, state %q; want true, 4, 4, keyed", s.Ended, s.ReadingsTaken, s.ReadingsSent, s.State)
	}
	r.checkAll()
}

func TestFailingSourceDoesNotStopRegistration(t *testing.T) {
	r := newRig(t, func(r *rig) {
		r.source.fails = map[int64]error{}
		for n := int64(1); n < 10; n++ {
			r.source.fails[start+n*quarter] = errFault
		}
	})
	for range 8 {
		r.now = r.now.Add(quarter * time.Second)
		if err := r.agent.Step(t.Context()); !errors.Is(err, errFault) {
			t.Fatalf("step gave %v", err)
		}
	}
	r.want(Keyed)
}

func TestStatusFlags(t *testing.T) {
	r := newRig(t, func(r *rig) {
		r.source.flags = map[int64]wattveil.Status{start + 2*quarter: wattveil.StatusTamper}
	})
	r.keyed()
	r.run(time.Hour)
	r.now = r.now.Add(7 * time.Minute)
	r.restart()
	r.run(time.Hour)
	r.checkAll()
	for n, want := range map[int64]wattveil.Status{1: 0, 2: wattveil.StatusTamper, 4: 0, 5: wattveil.StatusRestart, 6: 0} {
		if got := r.double.got[start+n*quarter].Status; got != want {
			t.Errorf("reading %d has status %#x, want %#x", n, uint16(got), uint16(want))
		}
	}
}

func TestReadingsOfBeforeTheStartAreNotFlagged(t *testing.T) {
	r := newRig(t)
	r.keyed()
	r.run(time.Hour)
	r.source.last = 0 // a file: it shows the same registers again
	r.start()         // First is the first reading of all
	r.run(time.Hour)
	r.checkAll() // the double refuses another value for a reading that it has
	for n := int64(1); n <= 8; n++ {
		want := wattveil.Status(0)
		if n == 5 {
			want = wattveil.StatusRestart
		}
		if got := r.double.got[start+n*quarter].Status; got != want {
			t.Errorf("reading %d has status %#x, want %#x", n, uint16(got), uint16(want))
		}
	}
}

func TestRing(t *testing.T) {
	r := newRig(t, func(r *rig) { r.cfg.RingDays, r.double.mute = 1, true })
	r.run(30 * time.Hour)
	s := r.agent.Status()
	if s.Pending != 96 || s.ReadingsDropped != 24 || s.ReadingsTaken != 120 {
		t.Fatalf("pending %d, dropped %d, taken %d; want 96, 24, 120", s.Pending, s.ReadingsDropped, s.ReadingsTaken)
	}
	r.now = r.now.Add(72 * time.Hour)
	r.step()
	if s := r.agent.Status(); s.ReadingsMissing != 288-96 || s.Pending != 96 {
		t.Errorf("missing %d, pending %d; want %d and 96", s.ReadingsMissing, s.Pending, 288-96)
	}
	r.double.mute = false
	r.run(2 * time.Hour)
	if s := r.agent.Status(); s.Pending != 0 || len(r.double.got) != int(s.ReadingsTaken-s.ReadingsDropped) {
		t.Errorf("pending %d, TTP has %d", s.Pending, len(r.double.got))
	}
}

func TestNewRefusesWhatItCannotUse(t *testing.T) {
	good := newRig(t).cfg
	tests := map[string]func(*Config){
		"no link":              func(c *Config) { c.Link = nil },
		"no source":            func(c *Config) { c.Source = nil },
		"no vault":             func(c *Config) { c.Vault = nil },
		"odd resolution":       func(c *Config) { c.Resolution = 7 },
		"first before 1970":    func(c *Config) { c.First = -1 },
		"256 readings":         func(c *Config) { c.MaxReadings = 256 },
		"ring of 401 days":     func(c *Config) { c.RingDays = 401 },
		"negative retry":       func(c *Config) { c.Retry = -1 },
		"no KGC key":           func(c *Config) { c.Provision.KGC = [wire.PointSize]byte{} },
		"vault does not load":  func(c *Config) { c.Vault = badVault{} },
		"vault is damaged":     func(c *Config) { c.Vault = &memory{content: []byte("vault")} },
		"vault does not save":  func(c *Config) { c.Vault = &memory{fail: func() bool { return true }} },
		"vault of other meter": func(c *Config) { c.Provision.Meter++ },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := good
			change(&cfg)
			if _, err := New(cfg); err == nil {
				t.Error("configuration was accepted")
			}
		})
	}
}

type badVault struct{}

func (badVault) Load() ([]byte, error) { return nil, errFault }
func (badVault) Save([]byte) error     { return errFault }

func TestBadDownlinksAreCounted(t *testing.T) {
	r := newRig(t)
	r.keyed()
	other := wattveil.MeterID(testMeter + 1)
	for _, frame := range [][]byte{
		nil, {0x46}, bytes.Repeat([]byte{0x46}, 42),
		r.double.secret.RekeyNotice(other, 1),
		bytes.Repeat([]byte{0x01}, 70),
	} {
		r.net.send(frame)
	}
	forged := r.double.secret.RekeyNotice(testMeter, 41)
	forged[41] ^= 1
	r.net.send(forged)
	up := r.double.secret.Tagged(testMeter, wire.Exchange{Type: wire.TypeM3, Low: 41, Body: make([]byte, 32)})
	r.net.send(up)
	r.step()
	r.wantRefused(wire.Malformed, 3) // two that do not parse, one that goes up
	r.wantRefused(wire.Unknown, 3)
	r.wantRefused(wire.Forged, 1)
	r.want(Keyed)
}

func TestFloodOfDownlinksIsBounded(t *testing.T) {
	r := newRig(t)
	r.keyed()
	for range 200 {
		r.net.send([]byte{0})
	}
	r.step()
	if left := len(r.net.down); left != 200-maxDrain {
		t.Errorf("%d downlinks left after a step, want %d", left, 200-maxDrain)
	}
}

func TestClosedDownlinkChannel(t *testing.T) {
	r := newRig(t)
	r.keyed()
	close(r.net.down)
	r.run(time.Hour)
	r.checkAll()
}
