package collector

import (
	"errors"

	"github.com/wattveil/wattveil"
)

// ErrFull is what [Queue.Put] returns when the queue has no room. The meter
// keeps the frame and publishes it again later.
var ErrFull = errors.New("queue is full")

// Item is a frame in the queue.
type Item struct {
	Seq   uint64 // rises from one Put to the next, from 1
	ID    wattveil.MeterID
	Frame []byte
}

// Queue keeps frames until the utility answers for them. Package
// collector/queue is the durable one. All methods are called from many
// goroutines at once.
type Queue interface {
	// Put is durable when it returns nil: the meter is told that its frame is
	// held, and forgets it. Of a frame that the queue has from this meter it
	// keeps no other. It returns [ErrFull] when there is no room.
	Put(id wattveil.MeterID, frame []byte) error
	// Items returns the oldest items with a number above after: at most max,
	// of which the frames have at most maxBytes bytes together.
	Items(after uint64, max, maxBytes int) ([]Item, error)
	// Settle removes items and moves others to the quarantine. Numbers that
	// the queue does not hold are ignored.
	Settle(deleted, quarantined []uint64) error
	// Len is the number of items, without the quarantine.
	Len() int
}
