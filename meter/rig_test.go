package meter

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/clpke"
	"github.com/wattveil/wattveil/meter/ring"
	"github.com/wattveil/wattveil/meter/source"
	"github.com/wattveil/wattveil/provision"
	"github.com/wattveil/wattveil/wire"
)

func (n *network) Publish(_ context.Context, frame []byte) error {
	n.frames = append(n.frames, bytes.Clone(frame))
	n.check(frame)
	take, err := true, error(nil)
	if n.publish != nil {
		take, err = n.publish(frame)
	}
	if take {
		n.queue = append(n.queue, bytes.Clone(frame))
	}
	if !n.held {
		n.pump()
	}
	return err
}

// checkReserved holds a data message to the vault: what it shows was durable
// before the message was sealed.
func (r *rig) checkReserved(frame []byte) {
	r.Helper()
	if wire.Type(frame[0]) != wire.TypeData {
		return
	}
	h, err := wire.ParseHeader(frame)
	must(r, err)
	s, err := parseState(r.vault.content)
	must(r, err)
	if s.confirmed == nil {
		r.Fatal("sealed under keys that are not in the vault")
	}
	if s.confirmed.epoch.Low() == h.Low && h.Counter >= s.reserved {
		r.Fatalf("sealed under counter %d, the vault has %d reserved", h.Counter, s.reserved)
	}
}

func (n *network) Receive() <-chan []byte { return n.down }

// pump forwards what is queued.
func (n *network) pump() {
	queue := n.queue
	n.queue = nil
	for _, frame := range queue {
		for _, answer := range n.double.take(frame) {
			n.send(answer)
		}
	}
}

func (n *network) send(frame []byte) {
	times := 1
	if n.deliver != nil {
		times = n.deliver(frame)
	}
	for range times {
		select {
		case n.down <- bytes.Clone(frame):
		default: // a busy meter drops it, as link.Client does
		}
	}
}

// memory is a vault whose saves can fail.
type memory struct {
	content []byte
	saves   int
	fail    func() bool
}

func (m *memory) Load() ([]byte, error) { return bytes.Clone(m.content), nil }

func (m *memory) Save(b []byte) error {
	if m.fail != nil && m.fail() {
		return fmt.Errorf("disk: %w", errFault)
	}
	m.saves++
	m.content = bytes.Clone(b)
	return nil
}

// registers is a source that remembers what it was asked.
type registers struct {
	t     testing.TB
	step  uint64 // Wh of import an interval
	base  uint64
	end   int64 // first time that it has no reading for; 0: never
	fails map[int64]error
	taken map[int64]wattveil.Reading
	last  int64
	flags map[int64]wattveil.Status
}

func (s *registers) At(t int64) (wattveil.Reading, error) {
	if t <= s.last {
		s.t.Fatalf("source asked for %d after %d", t, s.last)
	}
	s.last = t
	if s.end != 0 && t >= s.end {
		return wattveil.Reading{}, fmt.Errorf("at %d: %w", t, source.ErrEnded)
	}
	if err := s.fails[t]; err != nil {
		return wattveil.Reading{}, err
	}
	n := uint64(t-start) / quarter
	r := wattveil.Reading{
		Time:   t,
		Import: wattveil.Register((s.base + n*s.step) % wattveil.RegisterModulus),
		Export: wattveil.Register((n*n%50 + 100*n) % wattveil.RegisterModulus),
		Status: s.flags[t],
	}
	s.taken[t] = r
	return r, nil
}

// rig is a meter with the other side of its network.
type rig struct {
	testing.TB
	now    time.Time // the device's clock
	ahead  int64     // utility's clock less the device's, seconds
	double *double
	net    *network
	vault  *memory
	source *registers
	disk   string // folder of the ring; in memory if empty
	ring   *ring.Disk
	cfg    Config
	agent  *Agent
}

// onDisk gives a meter a ring that outlives its stops.
func onDisk(r *rig) { r.disk = r.TempDir() }

// newRig makes a meter at the start of 2026 that reads every quarter of an
// hour from then on.
func newRig(t testing.TB, change ...func(*rig)) *rig {
	t.Helper()
	r := &rig{TB: t, now: time.Unix(start, 0), vault: new(memory)}
	r.double = newDouble(t, func() int64 { return r.now.Unix() + r.ahead })
	r.net = &network{double: r.double, down: make(chan []byte, 256), check: r.checkReserved}
	r.source = &registers{t: t, step: 250, base: 1_000_000, taken: map[int64]wattveil.Reading{}}
	r.cfg = Config{
		Provision: provision.Record{
			Meter: testMeter, Secret: r.double.secret, Collectors: []string{"mqtt://collector.example"},
			KGC: clpke.PublicKeyPoint(&r.double.signer.PublicKey),
		},
		Link: r.net, Source: r.source, Vault: r.vault,
		Resolution: quarter, First: start + quarter,
		Now: func() time.Time { return r.now },
	}
	for _, c := range change {
		c(r)
	}
	r.start()
	return r
}

func pinned(r *rig) {
	print := clpke.RootFingerprint(&r.double.root.PublicKey)
	r.cfg.Provision.Root = &print
}

// start makes the agent from the vault, as after a stop.
func (r *rig) start() {
	r.Helper()
	var err error
	if r.disk != "" {
		r.ring, err = ring.Open(r.disk, ring.Options{Readings: defaultRingDays * secondsPerDay / quarter})
		must(r, err)
		r.cfg.Ring = r.ring
	}
	if r.agent, err = New(r.cfg); err != nil {
		r.Fatal(err)
	}
}

// restart is a stop and a start: the meter goes on with the next reading. A
// meter with a ring on disk finds it there.
func (r *rig) restart() {
	r.Helper()
	if r.disk == "" {
		r.cfg.First = r.agent.Status().NextReading
	}
	r.start()
}

func (r *rig) step() {
	r.Helper()
	if err := r.agent.Step(r.Context()); err != nil {
		r.Fatal(err)
	}
}

// run steps every quarter of an hour for a time.
func (r *rig) run(d time.Duration) {
	r.Helper()
	for end := r.now.Add(d); r.now.Before(end); {
		r.now = r.now.Add(quarter * time.Second)
		r.step()
	}
}

// keyed brings a new meter to where it seals.
func (r *rig) keyed() {
	r.Helper()
	for range 4 {
		r.step()
	}
	r.want(Keyed)
}

func (r *rig) want(s State) {
	r.Helper()
	if got := r.agent.Status().State; got != s {
		r.Fatalf("state %q, want %q", got, s)
	}
}

func (r *rig) wantRefused(class wire.Class, n uint64) {
	r.Helper()
	if got := r.agent.Status().Refused; got[class] != n {
		r.Fatalf("refused %v, want %d of class %q", got, n, class)
	}
}

// sent is a reading of the source as the TTP should have it, flags aside.
func (r *rig) sent(raw wattveil.Reading) wattveil.Reading {
	return r.agent.state.registration.hide(raw)
}

// check holds what the TTP has to what the source gave.
func (r *rig) check(times ...int64) {
	r.Helper()
	const own = wattveil.StatusClock | wattveil.StatusRestart
	for _, t := range times {
		got, ok := r.double.got[t]
		if !ok {
			r.Fatalf("reading at start + %d intervals is missing", (t-start)/quarter)
		}
		got.Status &^= own
		if got != r.sent(r.source.taken[t]) {
			r.Fatalf("reading at start + %d intervals has another value", (t-start)/quarter)
		}
	}
}

// checkAll checks every reading that was taken.
func (r *rig) checkAll() {
	r.Helper()
	for t := range r.source.taken {
		r.check(t)
	}
	if len(r.double.got) != len(r.source.taken) {
		r.Fatalf("TTP has %d readings, the source gave %d", len(r.double.got), len(r.source.taken))
	}
}
