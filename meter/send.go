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

// outgoing is the one sealed data message that is not acknowledged. The ring
// keeps it over a stop, so that it is sent again with the same bytes.
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
	if err := a.pushHeld(); err != nil {
		return err
	}
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
			if err := a.take(r); err != nil {
				a.next += int64(a.cfg.Resolution)
				return errors.Join(first, err)
			}
		}
	}
	return first
}

// skip passes over what the ring could not hold anyway.
func (a *Agent) skip(now int64) {
	due := (now-a.next)/int64(a.cfg.Resolution) + 1
	if over := due - int64(a.limit); over > 0 && !a.ended {
		a.next += over * int64(a.cfg.Resolution)
		a.counts.ReadingsMissing += uint64(over)
	}
}

func (a *Agent) take(r wattveil.Reading) error {
	r.Time = a.next
	if a.state.suspect || a.receipts.apart {
		r.Status |= wattveil.StatusClock
	}
	if a.restarted && r.Time > a.started {
		r.Status |= wattveil.StatusRestart
		a.restarted = false
	}
	a.counts.ReadingsTaken++
	a.held, a.holds = r, true
	return a.pushHeld()
}

// pushHeld gives the ring the reading that was taken last. While a full or
// failed disk keeps it from that, no other is taken. What the TTP has by its
// own word makes room.
func (a *Agent) pushHeld() error {
	if !a.holds {
		return nil
	}
	head, err := a.ring.Push(a.held)
	if err != nil && a.ledger.done > a.ledger.head {
		if err = a.ring.Drop(a.ledger.done); err == nil {
			head, err = a.ring.Push(a.held)
		}
	}
	if err != nil {
		return fmt.Errorf("keep reading: %w", err)
	}
	a.holds = false
	a.ledger.push()
	a.unkept = true
	a.counts.ReadingsDropped += uint64(a.ledger.advance(head))
	return nil
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
	a.ledger.acknowledge(o.from, o.n)
	a.receipts.sent(a.clock())
	a.unkept = true
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
	from, readings, err := a.pending()
	if err != nil || len(readings) == 0 {
		return false, err
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
	o.fresh = a.ledger.seal(from, n, s.epoch)
	a.unkept = true
	_ = a.keep() // tried again at the end of the step
	return true, nil
}

// pending gives the oldest readings that are to be sealed and follow each other
// in the ring, as many as a message may hold, and where they begin. What the
// ring cannot read any more is lost.
func (a *Agent) pending() (from uint64, readings []wattveil.Reading, err error) {
	for {
		from, to := a.ledger.pending()
		room := min(to-from, uint64(cap(a.candidates)))
		if room == 0 {
			return from, nil, nil
		}
		readings, err := a.ring.Read(a.candidates[:0:room], from)
		if err != nil {
			return from, nil, fmt.Errorf("read the ring: %w", err)
		}
		if len(readings) > 0 {
			return from, a.beforeBoundary(readings), nil
		}
		a.ledger.lose(from)
		a.counts.ReadingsDropped++
		a.cfg.Log.Warn("a damaged reading of the ring is lost", "meter", a.cfg.Provision.Meter)
	}
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
