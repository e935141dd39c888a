package meter

import (
	"slices"

	"github.com/wattveil/wattveil"
)

// extent is a run of readings that stand alike on their way to the TTP:
//
//	pending  to be sealed: not sealed
//	sealed   in a message under epoch
//	done     durable at the TTP, or lost: sealed, and epoch 0
type extent struct {
	end    uint64 // number behind its last reading
	epoch  wattveil.Epoch
	sealed bool
	sent   bool // a collector has acknowledged a message with it, if not the last one
}

// ledger knows where each reading of a ring stands. Readings mostly go their
// way one after the other, so a few extents tell it of any number.
type ledger struct {
	head, tail uint64
	done       uint64   // everything below is durable at the TTP
	extents    []extent // from head to tail, by rising end, neighbours differ
	unsealed   int      // readings that are pending
}

// start is the number of the first reading of an extent.
func (l *ledger) start(i int) uint64 {
	if i == 0 {
		return l.head
	}
	return l.extents[i-1].end
}

// push takes a new reading.
func (l *ledger) push() {
	l.tail++
	l.unsealed++
	if n := len(l.extents); n > 0 && l.extents[n-1].alike(extent{}) {
		l.extents[n-1].end = l.tail
		return
	}
	l.extents = append(l.extents, extent{end: l.tail})
}

func (e extent) alike(o extent) bool {
	return e.epoch == o.epoch && e.sealed == o.sealed && e.sent == o.sent
}

// advance forgets what is below the ring's new head and tells how many
// readings of it were still to be sealed.
func (l *ledger) advance(head uint64) (dropped int) {
	head = min(head, l.tail)
	gone := 0
	for i := range l.extents {
		from, e := l.start(i), l.extents[i]
		if from >= head {
			break
		}
		if !e.sealed {
			dropped += int(min(e.end, head) - from)
		}
		if e.end > head {
			break
		}
		gone++
	}
	l.extents = slices.Delete(l.extents, 0, gone)
	l.head = max(l.head, head)
	l.done = max(l.done, l.head)
	l.unsealed -= dropped
	return dropped
}

// pending is the oldest run of readings that are to be sealed; it is empty if
// there is none.
func (l *ledger) pending() (from, to uint64) {
	if l.unsealed > 0 {
		for i, e := range l.extents {
			if !e.sealed {
				return l.start(i), e.end
			}
		}
	}
	return l.tail, l.tail
}

// change lets f change the extents of the numbers from 'from' to before 'to'.
func (l *ledger) change(from, to uint64, f func(e *extent, n int)) {
	from, to = max(from, l.head), min(to, l.tail)
	if from >= to {
		return
	}
	first, last := l.cut(from), l.cut(to)
	for i := first; i < last; i++ {
		f(&l.extents[i], int(l.extents[i].end-l.start(i)))
	}
	l.join(max(first-1, 0), min(last, len(l.extents)-1))
}

// cut makes an extent begin at a number and gives its place.
func (l *ledger) cut(at uint64) int {
	i, _ := slices.BinarySearchFunc(l.extents, at, func(e extent, at uint64) int {
		if e.end <= at {
			return -1
		}
		return 1
	})
	if i == len(l.extents) || l.start(i) == at {
		return i
	}
	left := l.extents[i]
	left.end = at
	l.extents = slices.Insert(l.extents, i, left)
	return i + 1
}

// join makes one of neighbours that are alike, among the extents from first to
// last.
func (l *ledger) join(first, last int) {
	kept := first
	for i := first + 1; i <= last; i++ {
		if l.extents[i].alike(l.extents[kept]) {
			l.extents[kept].end = l.extents[i].end
			continue
		}
		kept++
		l.extents[kept] = l.extents[i]
	}
	l.extents = slices.Delete(l.extents, kept+1, last+1)
}

// seal notes that pending readings were sealed under an epoch and tells how
// many of them were never acknowledged before.
func (l *ledger) seal(from uint64, n int, epoch wattveil.Epoch) (fresh int) {
	l.change(from, from+uint64(n), func(e *extent, size int) {
		if !e.sent {
			fresh += size
		}
		e.epoch, e.sealed = epoch, true
	})
	l.unsealed -= n
	return fresh
}

// acknowledge notes that a message with n readings was acknowledged.
func (l *ledger) acknowledge(from uint64, n int) {
	l.change(from, from+uint64(n), func(e *extent, _ int) { e.sent = true })
}

// refuse makes pending again what was sealed under an epoch with a low byte.
func (l *ledger) refuse(low byte) {
	l.change(l.head, l.tail, func(e *extent, size int) {
		if e.sealed && e.epoch != 0 && e.epoch.Low() == low {
			l.again(e, size)
		}
	})
}

// ask makes pending again what was sealed and sent of a run of readings, and
// tells how many they are.
func (l *ledger) ask(from, to uint64) (asked int) {
	l.change(from, to, func(e *extent, size int) {
		if e.sealed && e.sent {
			asked += size
			l.again(e, size)
		}
	})
	return asked
}

func (l *ledger) again(e *extent, size int) {
	e.epoch, e.sealed = 0, false
	l.unsealed += size
}

// settle notes that the readings below a number are durable at the TTP and
// tells how many of them no collector had acknowledged.
func (l *ledger) settle(below uint64) (fresh int) {
	l.change(l.head, below, func(e *extent, size int) {
		if !e.sent {
			fresh += size
		}
		if !e.sealed {
			l.unsealed -= size
		}
		*e = extent{end: e.end, sealed: true, sent: true}
	})
	l.done = max(l.done, min(below, l.tail))
	return fresh
}

// restart makes all readings pending, as if none had ever been sealed.
func (l *ledger) restart() {
	l.extents, l.done, l.unsealed = l.extents[:0], l.head, int(l.tail-l.head)
	if l.tail > l.head {
		l.extents = append(l.extents, extent{end: l.tail})
	}
}

// lose notes that a pending reading cannot be read.
func (l *ledger) lose(n uint64) {
	l.change(n, n+1, func(e *extent, size int) {
		l.unsealed -= size
		*e = extent{end: e.end, sealed: true, sent: true}
	})
}
