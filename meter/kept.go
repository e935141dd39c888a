package meter

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/wire"
)

// What the ring keeps beside the readings is encoded as
//
//	version 1 ‖ UC number 4 ‖ an-ID 8 ‖ next reading 8
//	first sent 8 ‖ last receipt 8 ‖ durable through 8
//	head 8 ‖ done 8 ‖ count 4 ‖ count × (end 8 ‖ epoch 4 ‖ flags 1)
//	message: from 8 ‖ readings 1 ‖ epoch 4 ‖ u16(frame)
//
// all big-endian. The name is that of the pseudonym whose readings the ring
// holds, zeros before registration. Without a message the last line is zeros.
const (
	keptVersion = 1
	extentSize  = 8 + 4 + 1

	flagSealed = 1 << 0
	flagSent   = 1 << 1
)

// keep gives the ring what has changed. It need not be durable at once: what
// is lost of it makes the agent send readings again.
func (a *Agent) keep() error {
	if !a.unkept {
		return nil
	}
	a.kept = a.encodeKept(a.kept[:0])
	if err := a.ring.Save(a.kept); err != nil {
		return fmt.Errorf("save the state of the ring: %w", err)
	}
	a.unkept = false
	return nil
}

func (a *Agent) encodeKept(b []byte) []byte {
	be := binary.BigEndian
	m := a.owner()
	b = append(b, keptVersion)
	b = be.AppendUint32(b, uint32(m.UC))
	for _, n := range []uint64{
		uint64(m.Pseudonym), uint64(a.next), uint64(a.receipts.first), uint64(a.receipts.last), uint64(a.receipts.through),
		a.ledger.head, a.ledger.done,
	} {
		b = be.AppendUint64(b, n)
	}
	b = be.AppendUint32(b, uint32(len(a.ledger.extents)))
	for _, e := range a.ledger.extents {
		b = be.AppendUint64(b, e.end)
		b = be.AppendUint32(b, uint32(e.epoch))
		b = append(b, e.flags())
	}
	o := outgoing{}
	if a.out.n > 0 {
		o = a.out
	}
	b = append(be.AppendUint64(b, o.from), byte(o.n))
	b = be.AppendUint32(b, uint32(o.epoch))
	return appendU16(b, o.frame)
}

func (e extent) flags() (f byte) {
	if e.sealed {
		f |= flagSealed
	}
	if e.sent {
		f |= flagSent
	}
	return f
}

// owner is the pseudonym whose readings the ring holds; zero before
// registration.
func (a *Agent) owner() wattveil.Meter {
	if a.state.registration == nil {
		return wattveil.Meter{}
	}
	return a.state.registration.meter
}

// kept is what parseKept reads.
type kept struct {
	redacted
	owner    wattveil.Meter
	next     int64
	receipts receipts
	ledger   ledger
	out      outgoing
}

var errKept = errors.New("state is of another version or damaged; remove the ring's folder, what was not sent yet is lost with it")

// parseKept reads what encodeKept gives and nothing else.
func parseKept(b []byte) (kept, error) {
	r := reader{b: b}
	var k kept
	version := r.u8()
	k.owner = wattveil.Meter{UC: wattveil.UCNumber(r.u32()), Pseudonym: wattveil.Pseudonym(r.u64())}
	k.next = int64(r.u64())
	k.receipts = receipts{first: int64(r.u64()), last: int64(r.u64()), through: int64(r.u64())}
	k.ledger.head, k.ledger.done = r.u64(), r.u64()
	n := int(r.u32())
	if version != keptVersion || r.bad || n*extentSize > len(r.b) {
		return kept{}, errKept
	}
	k.ledger.extents = make([]extent, n)
	before := extent{end: k.ledger.head}
	for i := range k.ledger.extents {
		e := extent{end: r.u64(), epoch: wattveil.Epoch(r.u32())}
		flags := r.u8()
		e.sealed, e.sent = flags&flagSealed != 0, flags&flagSent != 0
		if e.flags() != flags || e.end <= before.end || i > 0 && e.alike(before) || !e.sealed && e.epoch != 0 {
			r.bad = true
		}
		k.ledger.extents[i], before = e, e
	}
	k.ledger.tail = before.end
	k.out.from, k.out.n = r.u64(), int(r.u8())
	k.out.epoch, k.out.frame = wattveil.Epoch(r.u32()), r.u16bytes()
	if r.bad || len(r.b) != 0 || !k.consistent() {
		return kept{}, errKept
	}
	return k, nil
}

// consistent tells whether an agent can have saved it.
func (k *kept) consistent() bool {
	l, o, r := &k.ledger, &k.out, &k.receipts
	times := min(k.next, r.first, r.last, r.through) >= 0 && max(k.next, r.first, r.last, r.through) <= maxTime
	if !times || l.tail-l.head > maxKept || l.done < l.head || l.done > l.tail {
		return false
	}
	if o.n == 0 {
		return o.from == 0 && o.epoch == 0 && len(o.frame) == 0
	}
	t, _, err := wire.ParsePrefix(o.frame)
	return err == nil && t == wire.TypeData && o.from >= l.head && o.from+uint64(o.n) <= l.tail
}

// maxKept is above what any ring holds.
const maxKept = maxRingDays * secondsPerDay

// loadRing takes over what the ring holds from a start before.
func (a *Agent) loadRing() error {
	state, head, tail, err := a.ring.Load()
	if err != nil {
		return fmt.Errorf("load ring: %w", err)
	}
	var k kept
	if state != nil {
		if k, err = parseKept(state); err != nil {
			return fmt.Errorf("load ring: %w", err)
		}
	}
	newest, err := a.newest(head, tail)
	if err != nil {
		return fmt.Errorf("load ring: %w", err)
	}
	if newest < 0 { // all was dropped
		newest = k.next - 1
	}
	a.follow(newest)
	if owner := a.owner(); state != nil && k.owner != owner && k.owner != (wattveil.Meter{}) {
		// Sealed under this pseudonym, the readings would tell the TTP whose
		// they were under the other.
		a.cfg.Log.Warn("the ring holds the readings of another pseudonym, they are dropped", "meter", a.cfg.Provision.Meter)
		own, err := a.keepFrom(head, tail)
		if err == nil {
			err = a.ring.Drop(own)
		}
		if err != nil {
			return fmt.Errorf("drop the readings of another pseudonym: %w", err)
		}
		k, head, a.unkept = kept{}, own, true
	}
	a.receipts = k.receipts
	a.ledger = k.ledger.within(head, tail)
	a.resume(k.out)
	return nil
}

// within is the ledger of what a ring holds: a stop may have lost the newest
// readings or the newest state.
func (l ledger) within(head, tail uint64) ledger {
	head = max(head, min(l.head, tail))
	out := ledger{head: head, tail: head}
	for _, e := range l.extents {
		if e.end = min(e.end, tail); e.end > out.tail {
			out.extents = append(out.extents, e)
			if !e.sealed {
				out.unsealed += int(e.end - out.tail)
			}
			out.tail = e.end
		}
	}
	for out.tail < tail {
		out.push()
	}
	out.done = min(max(l.done, head), tail)
	return out
}

// resume goes on with the message that was on its way. It is sent with the
// same bytes, under whatever epoch it was sealed.
func (a *Agent) resume(o outgoing) {
	if o.n > 0 && o.from >= a.ledger.head && o.from+uint64(o.n) <= a.ledger.tail {
		a.ledger.change(o.from, o.from+uint64(o.n), func(e *extent, size int) {
			if !e.sent {
				o.fresh += size
			}
		})
		a.out = o
	}
	a.out.frame = slices.Grow(a.out.frame, wire.DataOverhead+wire.BlockSize(a.cfg.MaxReadings)-len(a.out.frame))
}

// newest is the time of the newest reading in the ring, -1 if there is none.
func (a *Agent) newest(head, tail uint64) (int64, error) {
	for n := tail; n > head; n-- {
		at, r, err := a.readable(n-1, n)
		if err != nil {
			return 0, err
		}
		if at < n {
			return r.Time, nil
		}
	}
	return -1, nil
}

// follow makes the next reading the first one due after a time.
func (a *Agent) follow(t int64) {
	if step := int64(a.cfg.Resolution); t >= a.next {
		a.next += ((t-a.next)/step + 1) * step
	}
}
