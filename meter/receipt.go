package meter

import (
	"errors"
	"fmt"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/wire"
)

// receiptPatience is how long no receipt may come before the meter shows it, in
// seconds.
const (
	receiptPatience = 3 * secondsPerDay
	secondsPerHour  = 60 * 60
)

// receipts is what the agent knows of them. Times are the meter's, in Unix
// seconds; 0 is none.
type receipts struct {
	first   int64 // acknowledgement of a data message ever
	last    int64 // receipt
	through int64 // newest reading that the last one covers
	apart   bool  // the TTP's time was far from the meter's
	// takeover is when somebody else's claim on the meter takes effect. After a
	// start it is not known until the next receipt.
	takeover int64
}

// sent notes that a data message was acknowledged.
func (r *receipts) sent(now int64) {
	if r.first == 0 {
		r.first = now
	}
}

func (r *receipts) overdue(now int64) bool {
	since := max(r.first, r.last)
	return since != 0 && now-since > receiptPatience
}

// takeoverAfter is when a takeover takes effect that still waits; 0 if none
// does.
func (r *receipts) takeoverAfter(now int64) int64 {
	if r.takeover <= now {
		return 0
	}
	return r.takeover
}

// receipt acts on a receipt (spec/protocol.md section 6.4). Epochs of the start
// before are not held any more, so the counter need not outlive a stop.
func (a *Agent) receipt(frame []byte) error {
	x, err := a.cfg.Provision.Secret.OpenTagged(a.cfg.Provision.Meter, frame)
	if err != nil {
		return err
	}
	s := a.session
	if s == nil || x.Low != s.epoch.Low() {
		return fmt.Errorf("%w: receipt of an epoch that is not sealed under", wire.NoKey)
	}
	counter, r, err := wire.OpenReceipt(a.state.registration.meter, s.epoch, &s.down, x.Body)
	if err != nil {
		return err
	}
	if counter <= s.received {
		return fmt.Errorf("%w: receipt %d after %d", wire.Replayed, counter, s.received)
	}
	s.received = counter
	if err := a.heed(r); err != nil {
		return localError{fmt.Errorf("receipt: read the ring: %w", err)}
	}
	return nil
}

// heed asks for what is missing once more and notes what is durable.
func (a *Agent) heed(r wire.Receipt) error {
	now := a.clock()
	a.counts.Receipts++
	a.receipts.last, a.receipts.through = now, r.Through
	// It may have waited for this step, but did not come before the last one.
	a.receipts.apart = r.Time > now+clockTolerance || r.Time < a.came-clockTolerance
	a.receipts.takeover = 0
	if r.TakeoverHours > 0 {
		a.receipts.takeover = now + int64(r.TakeoverHours)*secondsPerHour
	}
	a.unkept = true
	for _, span := range r.Missing {
		from, errFrom := a.find(span.First)
		to, errTo := a.find(span.Last + 1)
		if err := errors.Join(errFrom, errTo); err != nil {
			return err
		}
		a.counts.ReadingsAsked += uint64(a.askBesides(from, to))
	}
	return a.settle(r)
}

// askBesides asks for a run of readings, but for those in the message that is
// on its way.
func (a *Agent) askBesides(from, to uint64) int {
	if a.out.n == 0 {
		return a.ledger.ask(from, to)
	}
	begin, end := a.out.from, a.out.from+uint64(a.out.n)
	return a.ledger.ask(from, min(to, begin)) + a.ledger.ask(max(from, end), to)
}

// settle notes which of the oldest readings are durable: from the oldest on, up
// to the first that is missing or on its way.
func (a *Agent) settle(r wire.Receipt) error {
	from, err := a.find(r.From)
	if err != nil || from > a.ledger.done {
		return err
	}
	end := r.Through + 1
	if len(r.Missing) > 0 {
		end = r.Missing[0].First
	}
	to, err := a.find(end)
	if err != nil {
		return err
	}
	if a.out.n > 0 {
		to = min(to, a.out.from)
	}
	if to > a.ledger.done {
		a.counts.ReadingsSent += uint64(a.ledger.settle(to))
	}
	return nil
}

// find is the number of the first reading in the ring at a time or after it.
func (a *Agent) find(t int64) (uint64, error) {
	low, high := a.ledger.head, a.ledger.tail
	for low < high {
		middle := low + (high-low)/2
		at, r, err := a.readable(middle, high)
		switch {
		case err != nil:
			return 0, err
		case at == high || r.Time >= t:
			high = middle
		default:
			low = at + 1
		}
	}
	return low, nil
}

// readable is the first reading from a number on that is not damaged, and
// 'before' if there is none before that.
func (a *Agent) readable(n, before uint64) (uint64, wattveil.Reading, error) {
	var one [1]wattveil.Reading
	for ; n < before; n++ {
		got, err := a.ring.Read(one[:0], n)
		if err != nil {
			return 0, wattveil.Reading{}, err
		}
		if len(got) > 0 {
			return n, got[0], nil
		}
	}
	return before, wattveil.Reading{}, nil
}
