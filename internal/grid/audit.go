package grid

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/readings"
	"github.com/wattveil/wattveil/wire"
)

// audit compares what collectors hold with what the TTP has stored. It is
// nobody's role: it sees both sides, which no party does.
type audit struct {
	mu   sync.Mutex
	open map[wattveil.MeterID]map[heldMessage]held // not seen in the store yet
	wire WireCount
}

// heldMessage names a data message of a meter.
type heldMessage struct {
	low     byte
	counter wattveil.Counter
}

// held is a message that a collector acknowledged.
type held struct {
	at     int64 // platform's time, Unix seconds: its readings are not later
	size   int
	digest readings.Digest
}

// WireCount is what meters sent.
type WireCount struct {
	ReadingMessageBytes int   // of a message with one reading
	Messages            int64 // data messages, repeats too
	Bytes               int64 // of all frames
}

func newAudit() *audit {
	return &audit{open: make(map[wattveil.MeterID]map[heldMessage]held)}
}

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
func (a *audit) held(id wattveil.MeterID, frame []byte, now time.Time) {
	h, err := wire.ParseHeader(frame)
	if err != nil {
		return // not a data message
	}
	gcmTag := frame[len(frame)-2*wire.TagSize:]
	a.mu.Lock()
	defer a.mu.Unlock()
	of := a.open[id]
	if of == nil {
		of = make(map[heldMessage]held)
		a.open[id] = of
	}
	of[heldMessage{h.Low, h.Counter}] = held{at: now.Unix(), size: len(frame), digest: readings.Digest(gcmTag[:8])}
}

// settled strikes off a meter's messages that were held up to a time by which
// the store has all of its readings.
func (a *audit) settled(id wattveil.MeterID, upTo int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for name, h := range a.open[id] {
		if h.at <= upTo {
			delete(a.open[id], name)
		}
	}
}

func (a *audit) openOf(id wattveil.MeterID) map[heldMessage]held {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make(map[heldMessage]held, len(a.open[id]))
	for name, h := range a.open[id] {
		out[name] = h
	}
	return out
}

func (a *audit) count() WireCount {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.wire
}

// auditHeld strikes off the held messages whose readings the TTP's store has.
// It runs every day, so that it comes before the epochs' digests are forgotten.
func (g *Grid) auditHeld(ctx context.Context) error {
	names, err := g.utilityRole().Meters(ctx)
	if err != nil {
		return err
	}
	for _, m := range g.meters {
		p, ok := names[m.id]
		if !ok {
			continue
		}
		folded, err := g.store().Read(ctx, g.meterAtTTP(p), m.complete+1, g.clock.Now().Unix())
		if err != nil {
			return fmt.Errorf("compare held messages with the store: %w", err)
		}
		for _, run := range folded.Runs {
			for _, r := range run.Readings {
				if r.Time == m.complete+int64(g.cfg.Resolution) {
					m.complete = r.Time
				}
			}
		}
		g.audit.settled(m.id, m.complete)
	}
	return nil
}

func (g *Grid) meterAtTTP(p wattveil.Pseudonym) wattveil.Meter {
	return wattveil.Meter{UC: g.ttpRole().NumberOf(UtilityOrg), Pseudonym: p}
}

// lost is how many readings, at the least, are in messages of a meter that a
// collector held and the TTP's store does not have.
func (g *Grid) lost(ctx context.Context, m *meterNode, p wattveil.Pseudonym) (int64, error) {
	var lost int64
	last := m.agent.Status().Epoch
	for name, h := range g.audit.openOf(m.id) {
		epoch := last - wattveil.Epoch(last.Low()-name.low)
		stored, err := g.store().Digests(ctx, g.meterAtTTP(p), epoch, name.counter)
		if err != nil {
			return 0, fmt.Errorf("compare held messages with the store: %w", err)
		}
		if !slices.Contains(stored, h.digest) {
			least, _ := wire.ReadingsIn(h.size)
			lost += int64(least)
		}
	}
	return lost, nil
}
