package meter

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/wattveil/wattveil/wire"
)

func TestRestartTakesANewEpochFirst(t *testing.T) {
	r := newRig(t)
	r.keyed()
	r.run(3 * time.Hour)
	registrations := r.double.requests
	frames := len(r.net.frames)
	r.double.mute = true
	r.restart()
	r.want(Registered)
	r.run(3 * time.Hour)
	r.want(Exchanging)
	for _, f := range r.net.frames[frames:] {
		if wire.Type(f[0]) == wire.TypeData {
			t.Fatal("sealed under an epoch of the start before")
		}
	}
	r.double.mute = false
	r.run(time.Hour)
	if s := r.agent.Status(); s.Epoch != masterBase+2 || s.Pending != 0 {
		t.Errorf("epoch %d, pending %d", s.Epoch, s.Pending)
	}
	if o := r.double.offers[1]; o.NewestChain != masterBase+1 {
		t.Errorf("M1 after a start names chain epoch %d", o.NewestChain)
	}
	if r.double.requests != registrations {
		t.Error("a registered meter asked again")
	}
	r.checkAll() // same bases as before
}

// A stop after M1 loses e: the meter takes yet another epoch.
func TestRestartDuringAnExchange(t *testing.T) {
	r := exchanging(t)
	r.net.deliver = nil
	r.restart()
	r.run(time.Hour)
	r.want(Keyed)
	if s := r.agent.Status(); s.Epoch != masterBase+2 {
		t.Errorf("epoch %d, want %d", s.Epoch, masterBase+2)
	}
	r.checkAll()
}

func TestRestartBeforeRegistrationKeepsTheUserKey(t *testing.T) {
	r := newRig(t, func(r *rig) { r.double.mute = true })
	r.step()
	before := r.agent.state.user
	r.restart()
	if !r.agent.state.user.Equal(before) {
		t.Error("user key changed")
	}
}

func TestManyRestarts(t *testing.T) {
	r := newRig(t)
	for range 12 {
		r.run(5 * time.Hour)
		r.restart()
	}
	r.run(time.Hour)
	r.checkAll()
	if n := len(r.double.offers); n != 13 {
		t.Errorf("%d exchanges for 13 starts", n)
	}
}

func TestCountersAreReservedInBlocks(t *testing.T) {
	r := newRig(t)
	r.keyed()
	before := r.vault.saves
	r.run(reserveBlock * quarter * time.Second / 2)
	if n := r.vault.saves - before; n != 1 {
		t.Errorf("%d saves for %d messages, want 1", n, reserveBlock/2)
	}
	if n := r.agent.state.reserved; n != reserveBlock {
		t.Errorf("%d counters reserved, want %d", n, reserveBlock)
	}
}

// Without a reserved counter nothing is sealed, and what is reserved is used
// before anything is asked of the vault.
func TestVaultFailsToReserve(t *testing.T) {
	r := newRig(t)
	r.keyed()
	r.run(time.Hour)
	r.agent.session.next = reserveBlock - 1
	r.vault.fail = func() bool { return true }
	r.run(quarter * time.Second) // the last reserved counter
	frames := len(r.net.frames)
	for range 4 {
		r.now = r.now.Add(quarter * time.Second)
		err := r.agent.Step(t.Context())
		if !errors.Is(err, errFault) {
			t.Fatalf("step gave %v", err)
		}
		if want := "reserve counters, nothing is sealed: save vault: disk: fault on purpose"; err.Error() != want {
			t.Errorf("error %q, want %q", err, want)
		}
	}
	if len(r.net.frames) != frames || r.agent.session.next != reserveBlock {
		t.Error("sealed beyond the reserve")
	}
	r.vault.fail = nil
	r.step()
	r.checkAll()
}

// What is reserved can be sent while a vault that fails holds up the next keys.
func TestVaultFailsAtRekey(t *testing.T) {
	r := newRig(t)
	r.keyed()
	r.run(time.Hour)
	r.agent.session.expires = r.now
	r.vault.fail = func() bool { return true }
	for range 4 {
		r.now = r.now.Add(quarter * time.Second)
		if err := r.agent.Step(t.Context()); !errors.Is(err, errFault) {
			t.Fatalf("step gave %v", err)
		}
	}
	r.checkAll()
	if n := len(r.double.offers); n != 1 {
		t.Errorf("%d exchanges, want none whose epoch is not saved", n-1)
	}
	r.vault.fail = nil
	r.run(time.Hour)
	r.checkAll()
	if s := r.agent.Status(); s.Epoch != masterBase+2 {
		t.Errorf("epoch %d, want %d", s.Epoch, masterBase+2)
	}
}

// The pin of a record that was changed is held against what the vault has.
func TestVaultOfAnotherRecord(t *testing.T) {
	r := newRig(t)
	r.keyed()
	for name, change := range map[string]func(*Config){
		"another KGC key": func(c *Config) {
			c.Provision.KGC = r.agent.cfg.Provision.KGC
			c.Provision.KGC[0] ^= 1
		},
		"another pin": func(c *Config) { c.Provision.Root = new([32]byte) },
	} {
		cfg := r.cfg
		change(&cfg)
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: vault was accepted", name)
		}
	}
}

func TestStateRoundTrip(t *testing.T) {
	for name, r := range stateRigs(t) {
		content := r.vault.content
		s, err := parseState(content)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !bytes.Equal(s.encode(), content) {
			t.Errorf("%s: encodes to other bytes", name)
		}
		for i := range content {
			damaged := bytes.Clone(content)
			damaged[i] ^= 1 << (i % 8)
			if _, err := parseState(damaged); err == nil {
				t.Fatalf("%s: damage at byte %d is not noticed", name, i)
			}
		}
		for n := range content {
			if _, err := parseState(content[:n]); err == nil {
				t.Fatalf("%s: %d bytes of it are accepted", name, n)
			}
		}
	}
}

// stateRigs are meters whose vaults hold each combination of parts that comes
// about.
func stateRigs(t testing.TB) map[string]*rig {
	fresh := newRig(t)
	registered := newRig(t, func(r *rig) { r.ahead = 600 })
	registered.step()
	registered.step()
	keyed := newRig(t)
	keyed.keyed()
	chained := newRig(t)
	chained.keyed()
	chained.run(time.Hour)
	chained.restart()
	chained.run(time.Hour)
	return map[string]*rig{"fresh": fresh, "registered": registered, "keyed": keyed, "chained": chained}
}

func TestStateThatNoAgentSaves(t *testing.T) {
	r := stateRigs(t)["chained"]
	tests := map[string]func(*state){
		"epoch below the confirmed one": func(s *state) { s.epoch = s.confirmed.epoch - 1 },
		"chains do not rise":            func(s *state) { s.before.epoch = s.confirmed.epoch },
		"keys without registration":     func(s *state) { s.registration = nil },
		"chain without keys":            func(s *state) { s.confirmed = nil },
		"too many counters":             func(s *state) { s.reserved = maxMessages + 1 },
		"offset of ages":                func(s *state) { s.offset = maxTime + 1 },
		"saved before 1970":             func(s *state) { s.saved = -1 },
		"move before registration":      func(s *state) { *s = state{meter: s.meter, user: s.user, move: start} },
		"move in ages":                  func(s *state) { s.move = maxTime + 1 },
		"next key without a move":       func(s *state) { s.nextUser = s.user },
	}
	for name, change := range tests {
		s := r.agent.state
		change(&s)
		if _, err := parseState(s.encode()); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func FuzzParseState(f *testing.F) {
	for _, r := range stateRigs(f) {
		f.Add(r.vault.content[:len(r.vault.content)-32])
		if r.agent.state.registration != nil {
			moving := r.agent.state
			moving.move, moving.first, moving.nextUser = start, start-week, moving.user
			b := moving.encode()
			f.Add(b[:len(b)-32])
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseContent(b)
		if err != nil {
			return
		}
		if again := s.encode(); !bytes.Equal(again[:len(again)-32], b) {
			t.Error("accepted content encodes to other bytes")
		}
	})
}
