package grid

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/readings"
	"github.com/wattveil/wattveil/wire"
)

// audit compares what collectors hold with what the TTP has stored, message by
// message. It is nobody's role: it sees both sides, which no party does.
type audit struct {
	mu   sync.Mutex
	open map[heldMessage]readings.Digest // held, and not seen in the store yet
	wire WireCount
}

// heldMessage names a data message on the meter network.
type heldMessage struct {
	meter   wattveil.MeterID
	low     byte
	counter wattveil.Counter
	size    int
}

// WireCount is what meters sent: data messages and their bytes.
type WireCount struct {
	ReadingMessageBytes int   // of a message with one reading
	Messages            int64 // data messages, repeats too
	Bytes               int64 // of all frames
}

func newAudit() *audit { return &audit{open: make(map[heldMessage]readings.Digest)} }

// sent counts a frame that a meter puts on the network.
func (a *audit) sent(frame []byte) {
	t, _, err := wire.ParsePrefix(frame)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.wire.Bytes += int64(len(frame))
	if err != nil || t != wire.TypeData {
		return
	}
	a.wire.Messages++
	if least, most := wire.ReadingsIn(len(frame)); least == 1 && most == 1 {
		a.wire.ReadingMessageBytes = len(frame)
	}
}

// held notes a frame that a collector made durable.
func (a *audit) held(id wattveil.MeterID, frame []byte) {
	h, err := wire.ParseHeader(frame)
	if err != nil {
		return // not a data message
	}
	gcmTag := frame[len(frame)-2*wire.TagSize:]
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open[heldMessage{id, h.Low, h.Counter, len(frame)}] = readings.Digest(gcmTag[:8])
}

// auditHeld strikes off the held messages that the TTP's store has.
func (g *Grid) auditHeld(ctx context.Context) error {
	names, err := g.utility.role.Meters(ctx)
	if err != nil {
		return err
	}
	number := g.ttp.role.NumberOf(UtilityOrg)
	epochs := make(map[wattveil.MeterID]wattveil.Epoch, len(g.meters))
	for _, m := range g.meters {
		epochs[m.id] = m.agent.Status().Epoch
	}
	for held, digest := range g.audit.snapshot() {
		p, ok := names[held.meter]
		if !ok {
			continue
		}
		last := epochs[held.meter]
		epoch := last - wattveil.Epoch(last.Low()-held.low)
		stored, err := g.ttp.store.Digests(ctx, wattveil.Meter{UC: number, Pseudonym: p}, epoch, held.counter)
		if err != nil {
			return fmt.Errorf("compare held messages with the store: %w", err)
		}
		if slices.Contains(stored, digest) {
			g.audit.strike(held)
		}
	}
	return nil
}

func (a *audit) snapshot() map[heldMessage]readings.Digest {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make(map[heldMessage]readings.Digest, len(a.open))
	for k, v := range a.open {
		out[k] = v
	}
	return out
}

func (a *audit) strike(h heldMessage) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.open, h)
}

// missing is how many readings, at the least, each meter's held messages have
// that are not in the store.
func (a *audit) missing() map[wattveil.MeterID]int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make(map[wattveil.MeterID]int64)
	for h := range a.open {
		least, _ := wire.ReadingsIn(h.size)
		out[h.meter] += int64(least)
	}
	return out
}

func (a *audit) count() WireCount {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.wire
}
