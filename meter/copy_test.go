package meter

import (
	"bytes"
	"testing"
	"time"

	"github.com/wattveil/wattveil/wire"
)

// The double fails a test as soon as a counter stands for two messages, so
// these tests only need to let copies of a vault loose.

// A vault that is put back from a copy asks for epochs that were used, until
// it comes to a new one. It seals nothing before.
func TestVaultCopiedUsedRestoredUsed(t *testing.T) {
	r := newRig(t, onDisk, func(r *rig) { r.double.refuses = true })
	r.keyed()
	copied := bytes.Clone(r.vault.content)
	for range 3 {
		r.run(5 * time.Hour)
		r.restart()
	}
	r.run(5 * time.Hour)
	used := r.double.last
	r.vault.content = copied
	frames := len(r.net.frames)
	r.restart()
	r.run(20 * time.Hour)
	r.want(Exchanging)
	for _, f := range r.net.frames[frames:] {
		if wire.Type(f[0]) == wire.TypeData {
			t.Fatal("sealed under an epoch that was used")
		}
	}
	if r.double.never == 0 {
		t.Error("no M1 was refused")
	}
	r.run(5 * 24 * time.Hour) // a new M1 each day
	if s := r.agent.Status(); s.Epoch != used+1 || s.Pending != 0 || s.ReadingsDropped != 0 {
		t.Errorf("epoch %d, want %d; pending %d, dropped %d", s.Epoch, used+1, s.Pending, s.ReadingsDropped)
	}
	r.checkAll()
}

// Two devices with one vault never share an epoch: who comes second is refused.
func TestClonedVault(t *testing.T) {
	r := newRig(t, func(r *rig) { r.double.refuses = true })
	r.keyed()
	r.run(5 * time.Hour)
	cfg := r.cfg
	cfg.Vault = &memory{content: bytes.Clone(r.vault.content)}
	cfg.First = r.agent.Status().NextReading
	cfg.Source = endless{}
	cfg.Link = &network{double: r.double, down: make(chan []byte, 256), check: func([]byte) {}}
	clone, err := New(cfg)
	must(t, err)
	r.restart()
	r.step()
	r.step() // the meter has M2 of the epoch that both want
	never := r.double.never
	for range 10 {
		r.now = r.now.Add(quarter * time.Second)
		r.step()
		must(t, clone.Step(t.Context()))
	}
	if r.want(Keyed); r.double.never == never {
		t.Error("the clone's M1 was not refused")
	}
	if s := clone.Status(); s.State != Exchanging || s.MessagesSent != 0 {
		t.Errorf("the clone is %s and has sent %d messages", s.State, s.MessagesSent)
	}
	r.checkAll()
}
