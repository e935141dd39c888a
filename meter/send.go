package meter

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/meter/source"
	"github.com/wattveil/wattveil/wire"
)

// reserveBlock is how many counters are reserved at once: one write to the
// vault for that many messages.
const reserveBlock = 1024

// outgoing is the one sealed data message that is not acknowledged.
type outgoing struct {
	redacted
	frame []byte
	from  uint64 // place in the ring
	n     int    // readings in it; 0: no message
	fresh int    // of them, those that were never acknowledged
	epoch wattveil.Epoch
}

func (o *outgoing) drop() { o.frame, o.n, o.fresh = o.frame[:0], 0, 0 }

// read takes the due readings from the source into the ring. It gives the
// first error of the source, which has cost that one reading.
func (a *Agent) read() error {
	now := min(a.clock(), math.MaxUint32)
	a.skip(now)
	var first error
	for ; !a.ended && a.next <= now; a.next += int64(a.cfg.Resolution) {
		r, err := a.cfg.Source.At(a.next)
		switch {
		case errors.Is(err, source.ErrEnded):
			a.ended = true
			return first
		case err != nil:
			a.counts.ReadingsMissing++
			if first == nil {
				first = fmt.Errorf("take reading: %w", err)
			}
		default:
			a.take(r)
		}
	}
	return first
}

// skip passes over what the ring could not hold anyway.
func (a *Agent) skip(now int64) {
	due := (now-a.next)/int64(a.cfg.Resolution) + 1
	if over := due - int64(a.ring.limit); over > 0 && !a.ended {
		a.next += over * int64(a.cfg.Resolution)
		a.counts.ReadingsMissing += uint64(over)
	}
}

func (a *Agent) take(r wattveil.Reading) {
	r.Time = a.next
	if a.state.suspect {
		r.Status |= wattveil.StatusClock
	}
	if a.restarted && r.Time > a.started {
		r.Status |= wattveil.StatusRestart
		a.restarted = false
	}
	a.counts.ReadingsTaken++
	if a.ring.push(r) {
		a.counts.ReadingsDropped++
	}
}

// sendReadings seals what is pending, a message at a time, and publishes it. A
// message that is not acknowledged stays the next one, unchanged.
func (a *Agent) sendReadings(ctx context.Context) error {
	for {
		if a.out.n == 0 {
			if more, err := a.seal(); err != nil || !more {
				return err
			}
		}
		if err := a.publish(ctx, a.out.frame); err != nil {
			return err
		}
		a.acknowledged()
	}
}

func (a *Agent) acknowledged() {
	o, c := &a.out, &a.counts
	a.ring.acknowledge(o.from, o.n)
	if c.MessagesSent == 0 {
		c.FirstMessageBytes = len(o.frame)
	}
	c.MessagesSent++
	c.BytesSent += uint64(len(o.frame))
	c.ReadingsSent += uint64(o.fresh)
	o.drop()
	a.show()
}

// seal makes the next data message, and tells whether there is one.
func (a *Agent) seal() (bool, error) {
	s := a.session
	if s == nil || s.refused || s.next >= maxMessages {
		return false, nil
	}
	from, readings := a.ring.pending(a.candidates[:0])
	if len(readings) == 0 {
		return false, nil
	}
	for i, r := range readings {
		readings[i] = a.state.registration.hide(r)
	}
	n := wire.Fit(a.cfg.Resolution, readings, a.cfg.MaxReadings)
	block, err := wire.AppendBlock(a.block[:0], a.cfg.Resolution, readings[:n])
	if err != nil {
		return false, fmt.Errorf("pack readings: %w", err)
	}
	if err := a.reserve(s); err != nil {
		return false, err
	}
	o := &a.out
	o.frame = s.sealer.Append(o.frame[:0], s.next, block)
	s.next++
	o.from, o.n, o.epoch = from, n, s.epoch
	o.fresh = a.ring.seal(from, n, s.epoch)
	return true, nil
}

// reserve sees to it that the session's next counter is reserved durably.
func (a *Agent) reserve(s *session) error {
	if s.next < a.state.reserved {
		return nil
	}
	next := a.state
	next.reserved = min(s.next+reserveBlock, maxMessages)
	if err := a.save(next); err != nil {
		return fmt.Errorf("reserve counters, nothing is sealed: %w", err)
	}
	return nil
}
