package ttp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/readings"
	"github.com/wattveil/wattveil/wire"
)

func TestMessageVerdicts(t *testing.T) {
	r := newRig(t, nil)
	c, other := r.company("north.example"), r.company("south.example")
	m, keyless, stranger := c.keyed(1), c.meter(2), c.newMeter(3)
	twin := other.keyed(1) // equal an-ID
	for _, of := range []*smart{keyless, stranger} {
		of.epochs[1] = m.epochs[1]
	}
	good := m.message(1, 0, steady(0, 4)...)
	change := func(f func([]byte) []byte) []byte { return f(bytes.Clone(good)) }
	for _, tt := range []struct {
		name  string
		msg   []byte
		want  wire.Verdict
		class wire.Class
	}{
		{"good", good, wire.Durable, ""},
		{"again", good, wire.Durable, ""},
		{"a counter far ahead", m.message(1, 1<<32-1, steady(4, 1)...), wire.Durable, ""},
		{"a counter between, late", m.message(1, 77, steady(5, 1)...), wire.Durable, ""},
		{"an epoch that was never agreed on", func() []byte {
			m.epochs[9] = m.epochs[1]
			return m.message(9, 0, steady(0, 1)...)
		}(), wire.Rekey, wire.NoKey},
		{"of a meter without keys", keyless.message(1, 0, steady(0, 1)...), wire.Rekey, wire.NoKey},
		{"of a meter that is not enrolled", stranger.message(1, 0, steady(0, 1)...), wire.Later, wire.Unenrolled},
		{"of another utility's meter with this an-ID", twin.message(1, 0, steady(0, 1)...), wire.Never, wire.Forged},
		{"another counter in the header", change(func(b []byte) []byte { b[13]++; return b }), wire.Never, wire.Forged},
		{"a bit of the ciphertext", change(func(b []byte) []byte { b[14] ^= 1; return b }), wire.Never, wire.Forged},
		{"a bit of the tag", change(func(b []byte) []byte { b[len(b)-1] ^= 1; return b }), wire.Never, wire.Forged},
		{"with its UC tag", change(func(b []byte) []byte { return append(b, make([]byte, wire.TagSize)...) }), wire.Never, wire.Malformed},
		{"a byte less", change(func(b []byte) []byte { return b[:len(b)-1] }), wire.Never, wire.Malformed},
		{"a block less", change(func(b []byte) []byte { return b[:len(b)-wire.BlockUnit] }), wire.Never, wire.Forged},
		{"the header alone", good[:wire.HeaderSize], wire.Never, wire.Malformed},
		{"half a header", good[:9], wire.Never, wire.Malformed},
		{"empty", nil, wire.Never, wire.Malformed},
		{"another type", change(func(b []byte) []byte { b[0] = byte(wire.TypeM1); return b }), wire.Never, wire.Malformed},
		{"longer than any message", m.seal(1, 5, make([]byte, 45*wire.BlockUnit)), wire.Never, wire.Malformed},
		{"sealed, but no block", m.seal(1, 6, make([]byte, wire.BlockUnit)), wire.Never, wire.Malformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := maps.Clone(r.Refused())
			if got := c.send(tt.msg); got[0] != tt.want {
				t.Errorf("verdict %v, want %v", got[0], tt.want)
			}
			if tt.class != "" {
				before[tt.class]++
			}
			if !maps.Equal(before, r.Refused()) {
				t.Errorf("counted %v, want %v", r.Refused(), before)
			}
		})
	}
	f := m.stored()
	if len(f.Runs) != 1 || !slices.Equal(f.Runs[0].Readings, steady(0, 6)) || len(f.Conflicts) != 0 {
		t.Errorf("stored %d runs, %d conflicts", len(f.Runs), len(f.Conflicts))
	}
	for _, of := range []*smart{keyless, stranger, twin} {
		if n := len(of.stored().Runs); n != 0 {
			t.Errorf("meter %v has %d runs", of.name, n)
		}
	}
	if n := r.count("events"); n != 0 {
		t.Errorf("%d events", n)
	}
}

func TestMessageBodies(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	m := c.keyed(1)
	good := wire.AppendMessages(nil, [][]byte{m.message(1, 0, steady(0, 1)...)})
	for name, body := range map[string][]byte{
		"empty":           {},
		"another version": append([]byte{2}, good[1:]...),
		"cut":             good[:len(good)-1],
		"a byte more":     append(bytes.Clone(good), 0),
		"4,097 messages":  wire.AppendMessages(nil, make([][]byte, wire.MaxBatchMessages+1)),
	} {
		if _, err := r.handleMessages(t.Context(), c.number, body); classOf(err) != wire.Malformed {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := len(m.stored().Runs); n != 0 {
		t.Error("readings of a refused request are stored")
	}
	if got := c.send(); len(got) != 0 {
		t.Errorf("an empty batch: %v", got)
	}
}

// Replays are successes, in one batch, across batches and after a restart.
func TestReplays(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	m := c.keyed(1)
	a, b := m.message(1, 0, steady(0, 2)...), m.message(1, 1, steady(2, 2)...)
	if got := join(c.send(a, a, b, a, b)); got != "durable durable durable durable durable" {
		t.Error(got)
	}
	appends := r.faults.appends
	if got := join(c.send(b, a)); got != "durable durable" {
		t.Error(got)
	}
	if r.faults.appends != appends {
		t.Error("repeats are stored again")
	}
	r.reopen()
	if got := join(c.send(a, b)); got != "durable durable" {
		t.Error(got)
	}
	f := m.stored()
	if len(f.Runs[0].Readings) != 4 || len(f.Conflicts) != 0 {
		t.Errorf("%d readings, %d conflicts", len(f.Runs[0].Readings), len(f.Conflicts))
	}
}

// A counter that stands for two messages closes the epoch.
func TestCounterReuse(t *testing.T) {
	split := func(send func(...[]byte) []wire.Verdict, batches ...[][]byte) (words []string) {
		for _, b := range batches {
			words = append(words, join(send(b...)))
		}
		return words
	}
	for _, tt := range []struct {
		name    string
		batches func(a, b, next []byte) [][][]byte
		want    []string
		reopen  bool
	}{
		{"in one batch", func(a, b, next []byte) [][][]byte { return [][][]byte{{a, b, next}} }, []string{"durable rekey rekey"}, false},
		{"in one batch out of order", func(a, b, next []byte) [][][]byte { return [][][]byte{{b, next, a}} }, []string{"rekey rekey durable"}, false},
		{"across batches", func(a, b, next []byte) [][][]byte { return [][][]byte{{a}, {b}, {next}} }, []string{"durable", "rekey", "rekey"}, false},
		{"across batches, late", func(a, b, next []byte) [][][]byte { return [][][]byte{{a, next}, {b}, {a}} }, []string{"durable durable", "rekey", "rekey"}, false},
		{"across a restart", func(a, b, next []byte) [][][]byte { return [][][]byte{{a}, {b}, {next}} }, []string{"durable", "rekey", "rekey"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, nil)
			c := r.company("north.example")
			m := c.keyed(1)
			m.agree(2)
			a, b := m.message(1, 3, steady(0, 1)...), m.message(1, 3, steady(1, 1)...)
			if bytes.Compare(a, b) > 0 { // in the order of a batch, a is the first
				a, b = b, a
			}
			next := m.message(1, 4, steady(2, 1)...)
			send := c.send
			if tt.reopen {
				send = func(b ...[]byte) []wire.Verdict { r.reopen(); return c.send(b...) }
			}
			if got := split(send, tt.batches(a, b, next)...); !slices.Equal(got, tt.want) {
				t.Errorf("verdicts %q, want %q", got, tt.want)
			}
			if n := r.count("events WHERE uc = ? AND an_id = 1 AND kind = 'counter-reuse' AND epoch = 1 AND at = ?", c.number, start.Unix()); n != 1 {
				t.Errorf("%d events, want 1", n)
			}
			if got := c.send(m.message(2, 0, steady(3, 1)...)); got[0] != wire.Durable {
				t.Errorf("the next epoch: %v", got)
			}
			x := m.m3(1)
			if got := c.exchange(x)[0].Verdict; got != wire.Rekey {
				t.Errorf("M3 of the closed epoch: %v", got)
			}
			if got := m.offer(3, func(o *wire.Offer) { o.NewestChain, o.OlderChain = 1, 0 }).answer.Chain; got != 0 {
				t.Errorf("the closed epoch chains: %d", got)
			}
		})
	}
}

// Readings of a message whose counter was used before are not stored.
func TestCounterReuseStoresTheFirst(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	m := c.keyed(1)
	c.send(m.message(1, 0, reading(0, 10)))
	c.send(m.message(1, 0, reading(0, 99), reading(1, 100)))
	f := m.stored()
	if len(f.Runs[0].Readings) != 1 || f.Runs[0].Readings[0] != reading(0, 10) || len(f.Conflicts) != 0 {
		t.Errorf("%d readings, %d conflicts", len(f.Runs[0].Readings), len(f.Conflicts))
	}
}

// The same reading with another value, under a counter of its own, is kept as
// a conflict; the first durable one counts.
func TestConflictIsKept(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	m := c.keyed(1)
	if got := join(c.send(m.message(1, 0, reading(0, 10)))); got != "durable" {
		t.Fatal(got)
	}
	if got := join(c.send(m.message(1, 1, reading(0, 99)))); got != "durable" {
		t.Fatal(got)
	}
	f := m.stored()
	if f.Runs[0].Readings[0] != reading(0, 10) || len(f.Conflicts) != 1 || f.Conflicts[0].Refused != reading(0, 99) {
		t.Errorf("%d conflicts", len(f.Conflicts))
	}
}

func TestStoreFails(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	m, second := c.keyed(1), c.keyed(2)
	batch := [][]byte{
		m.message(1, 0, steady(0, 2)...), m.message(1, 1, steady(2, 2)...),
		second.message(1, 0, steady(0, 1)...),
		append(second.message(1, 1, steady(1, 1)...), 0),
	}
	r.faults.set(func(s *faultyStore) { s.append = errDisk })
	for range 2 {
		if got := join(c.send(batch...)); got != "later later later never" {
			t.Errorf("while the store fails: %v", got)
		}
	}
	if n := len(m.stored().Runs); n != 0 {
		t.Fatal("the store holds readings")
	}
	r.faults.set(func(s *faultyStore) { s.append = nil })
	if got := join(c.send(batch...)); got != "durable durable durable never" {
		t.Errorf("when it works again: %v", got)
	}
	if n := len(m.stored().Runs[0].Readings); n != 4 {
		t.Errorf("%d readings, want 4", n)
	}
}

// halfStore stores a batch and says that it did not.
type halfStore struct{ Readings }

func (s halfStore) Append(ctx context.Context, batch []readings.Block) error {
	return errors.Join(s.Readings.Append(ctx, batch), errDisk)
}

// After a failure the store may hold what it refused: the same counter with
// other bytes is seen all the same.
func TestStoreFailsAfterwards(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	m := c.keyed(1)
	a, b := m.message(1, 0, steady(0, 1)...), m.message(1, 0, steady(1, 1)...)
	r.cfg.Readings = halfStore{r.faults}
	if got := join(c.send(a)); got != "later" {
		t.Fatal(got)
	}
	r.cfg.Readings = r.faults
	if got := join(c.send(b)); got != "rekey" {
		t.Errorf("another message under the counter: %v", got)
	}
	if n := r.count("events"); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
}

func TestDigestsCannotBeRead(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	m := c.keyed(1)
	first, late, next := m.message(1, 5, steady(0, 1)...), m.message(1, 4, steady(1, 1)...), m.message(1, 6, steady(2, 1)...)
	c.send(first)
	r.faults.set(func(s *faultyStore) { s.digests = errDisk })
	if got := join(c.send(late, first, next)); got != "later later durable" {
		t.Errorf("while digests cannot be read: %v", got)
	}
	r.faults.set(func(s *faultyStore) { s.digests = nil })
	if got := join(c.send(late, first, next)); got != "durable durable durable" {
		t.Errorf("when they can: %v", got)
	}
}

// The registry is away: nothing is lost, nothing is decided.
func TestRegistryFails(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	m, cold := c.keyed(1), c.keyed(2)
	warm := m.message(1, 0, steady(0, 1)...)
	c.send(warm)
	pending := cold.message(1, 0, steady(0, 1)...)
	x := m.m1(2, nil)
	must(t, r.db.Close())
	if got := join(c.send(m.message(1, 1, steady(1, 1)...), pending)); got != "durable later" {
		t.Errorf("messages: %v", got)
	}
	if a := c.exchange(x)[0]; a.Verdict != wire.Later {
		t.Errorf("M1: %v", a.Verdict)
	}
	r.reopen()
	if got := join(c.send(pending)); got != "durable" {
		t.Errorf("messages after a restart: %v", got)
	}
	if a := c.exchange(x)[0]; a.Verdict != wire.Durable {
		t.Errorf("M1 after a restart: %v", a.Verdict)
	}
}

// fullBatch makes 4,096 messages of each kind and what becomes of them.
func fullBatch(t *testing.T, c *company) (batch [][]byte, want []wire.Verdict, meters []*smart) {
	const perMeter = 256
	t.Helper()
	stranger, keyless := c.newMeter(1_000), c.meter(1_001)
	for p := range wattveil.Pseudonym(wire.MaxBatchMessages / perMeter) {
		m := c.keyed(p)
		meters = append(meters, m)
		stranger.epochs, keyless.epochs = m.epochs, m.epochs
		for i := range perMeter {
			msg, verdict := m.message(1, wattveil.Counter(i), steady(i, 1)...), wire.Durable
			switch i % 8 {
			case 1:
				msg[20] ^= 1
				verdict = wire.Never
			case 2:
				msg = msg[:30]
				verdict = wire.Never
			case 3:
				msg = stranger.message(1, wattveil.Counter(i), steady(i, 1)...)
				verdict = wire.Later
			case 4:
				msg = keyless.message(1, wattveil.Counter(i), steady(i, 1)...)
				verdict = wire.Rekey
			case 5:
				msg = bytes.Clone(batch[len(batch)-5]) // a repeat of the good one before
			}
			batch, want = append(batch, msg), append(want, verdict)
		}
	}
	return batch, want, meters
}

func TestMixedFullBatch(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	batch, want, meters := fullBatch(t, c)
	appends := r.faults.appends
	rng := rand.New(rand.NewPCG(1, 2))
	rng.Shuffle(len(batch), func(i, j int) { batch[i], batch[j] = batch[j], batch[i]; want[i], want[j] = want[j], want[i] })
	if got := c.send(batch...); !slices.Equal(got, want) {
		t.Errorf("%d of %d verdicts are not as wanted", differ(got, want), len(want))
	}
	if r.faults.appends != appends+1 {
		t.Errorf("%d appends, want one for the batch", r.faults.appends-appends)
	}
	for _, m := range meters {
		if n := len(m.stored().Runs[0].Readings); n != 3*256/8 {
			t.Errorf("meter %v has %d readings, want %d", m.name, n, 3*256/8)
		}
	}
	slices.SortFunc(batch, bytes.Compare)
	if got := c.send(batch...); len(got) != len(batch) || r.faults.appends != appends+1 {
		t.Error("the repeat of a batch is stored again")
	}
}

func differ(a, b []wire.Verdict) (n int) {
	for i := range a {
		if a[i] != b[i] {
			n++
		}
	}
	return n
}

// Batches of the same meters at the same time, the same ones among them: every
// reading once, and one event for the counter that stands for two messages.
func TestBatchesInParallel(t *testing.T) {
	for _, cache := range []int{0, 1} {
		t.Run(fmt.Sprint("cache ", cache), func(t *testing.T) {
			r := newRig(t, func(cfg *Config) { cfg.SessionCache = cache })
			c, other := r.company("north.example"), r.company("south.example")
			const meters, batches, each = 6, 4, 5
			var all [2][]*smart
			for p := range wattveil.Pseudonym(meters) {
				all[0], all[1] = append(all[0], c.keyed(p)), append(all[1], other.keyed(p))
			}
			bad := c.keyed(99)
			a, b := bad.message(1, 0, steady(0, 1)...), bad.message(1, 0, steady(1, 1)...)
			done := make(chan error)
			jobs := 0
			for k := range batches {
				for i, of := range all {
					var batch [][]byte
					for _, m := range of {
						for j := range each {
							n := (k*each + j) % (batches * each / 2) // each batch is sent twice
							batch = append(batch, m.message(1, wattveil.Counter(n), steady(n, 1)...))
						}
					}
					if i == 0 {
						batch = append(batch, [][]byte{a, b}[k%2])
					}
					jobs++
					go func() {
						_, err := r.handleMessages(t.Context(), of[0].name.UC, wire.AppendMessages(nil, batch))
						done <- err
					}()
				}
			}
			for range jobs {
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
			for _, of := range all {
				for _, m := range of {
					f := m.stored()
					if len(f.Runs) != 1 || !slices.Equal(f.Runs[0].Readings, steady(0, batches*each/2)) || len(f.Conflicts) != 0 {
						t.Errorf("meter %v: %d runs, %d conflicts", m.name, len(f.Runs), len(f.Conflicts))
					}
				}
			}
			if n := r.count("events"); n != 1 {
				t.Errorf("%d events, want 1", n)
			}
		})
	}
}

// With room for one session every message of another meter loads one.
func TestSessionCacheOfOne(t *testing.T) {
	r := newRig(t, func(cfg *Config) { cfg.SessionCache = 1 })
	c := r.company("north.example")
	a, b := c.keyed(1), c.keyed(2)
	a.agree(2)
	for i := range 4 {
		n := wattveil.Counter(i)
		got := c.send(b.message(1, n, steady(i, 1)...), a.message(2, n, steady(i, 1)...), a.message(1, n, steady(i+10, 1)...))
		if join(got) != "durable durable durable" {
			t.Fatal(join(got))
		}
	}
	if got := join(c.send(a.message(1, 2, steady(50, 1)...), a.message(1, 1, steady(11, 1)...))); got != "rekey durable" {
		t.Errorf("a counter used again and a repeat: %v", got)
	}
	if n := len(a.stored().Runs[0].Readings); n != 8 {
		t.Errorf("%d readings, want 8", n)
	}
}

// A caller that leaves while it waits for its turn changes nothing.
func TestCallerLeaves(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	m := c.keyed(1)
	release, err := r.turns.take(t.Context(), c.number)
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	body := wire.AppendMessages(nil, [][]byte{m.message(1, 0, steady(0, 1)...)})
	if _, err := r.handleMessages(ctx, c.number, body); !errors.Is(err, context.Canceled) || classOf(err) != wire.Unavailable {
		t.Errorf("answered %v", err)
	}
	release()
	if n := len(m.stored().Runs); n != 0 {
		t.Error("readings are stored")
	}
	if _, err := r.handleMessages(t.Context(), c.number, body); err != nil {
		t.Error(err)
	}
}
