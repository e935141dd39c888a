// Package readings is the contract between the TTP and the store that holds
// every reading of every meter. It speaks in blocks, days and conflicts rather
// than in keys and values, so that each engine can keep them in its own way.
//
// # What is stored
//
// A stored reading is named by (UC, pseudonym, series, time). Messages arrive
// late, twice and out of order, so a store takes whatever is appended, without
// looking at what it already holds, and folds it when it is read:
//
//   - the same name with the same value is a duplicate, and harmless;
//   - the same name with another value is a conflict: the value that became
//     durable first counts, and the others are kept beside it, as [Conflict].
//
// Beside the readings a store keeps one [Digest] for each message, under
// (UC, pseudonym, epoch, counter). Two digests under one counter prove that a
// meter used a counter twice (spec/protocol.md section 6).
//
// # Drivers
//
// Package readings/pebble is the embedded driver. A driver passes the suite in
// package readings/readingstest unmodified.
package readings

import (
	"context"

	"github.com/wattveil/wattveil"
)

// Digest stands for the bytes of one sealed message. It tells a message that
// is sent again from another message under the same counter.
type Digest [8]byte

// Block is what the TTP found in one message that it opened.
type Block struct {
	Meter    wattveil.Meter
	Epoch    wattveil.Epoch
	Counter  wattveil.Counter
	Digest   Digest
	Series   wattveil.Series
	Readings []wattveil.Reading // at least one; usually rising in time, which a store does not rely on
}

// Run is the readings of one series of one meter, rising in time, each time
// once. Differences of registers are never taken across runs.
type Run struct {
	Series   wattveil.Series
	Readings []wattveil.Reading
}

// Conflict is a reading that came with another value than the one that was
// durable before it. Kept and Refused have the same time.
type Conflict struct {
	Series  wattveil.Series
	Kept    wattveil.Reading // the value that stands in a Run
	Refused wattveil.Reading
}

// Folded is what a store holds of one meter in a span of time.
type Folded struct {
	Runs      []Run      // by rising series, none empty
	Conflicts []Conflict // by rising series and time, then in the order in which they became durable
}

// MaxTime is the last second that a reading may carry: the wire gives a time
// 32 bits.
const MaxTime = 1<<32 - 1

// MaxRivals is how many different values of one reading a store keeps: the one
// that counts, and as many refused ones as there is room for. It bounds what a
// meter that keeps contradicting itself can take up.
const MaxRivals = 16

// Store holds the readings of all meters. Every method is safe for concurrent
// use, and fails with [ErrClosed] after Close. Methods that take a context
// return its error if it is done before they begin to write.
type Store interface {
	// Append makes a whole batch durable, with one sync, before it returns
	// nil. It does not read. If it fails, the blocks may be stored or not, and
	// it is safe and right to append them again: a block that is appended
	// twice counts once. A batch that holds a block which [Block.Check]
	// refuses is refused as a whole, with [ErrInvalid].
	//
	// Batches become durable in the order in which their values count, and
	// within a batch the earlier block, and within a block the earlier
	// reading, is the first. Append keeps no reference to the batch.
	Append(ctx context.Context, batch []Block) error

	// Read folds the readings of a meter with from <= Time <= to. A meter
	// that is not known has none. It may show a batch whose Append has not
	// returned yet.
	//
	// If part of what is stored cannot be decoded, Read returns all that can
	// be, together with an error that matches [ErrCorrupt] and names the
	// meter and each damaged day. With any other error it returns nothing.
	Read(ctx context.Context, m wattveil.Meter, from, to int64) (Folded, error)

	// ReadInto is Read into the memory of what was read before, for whoever
	// reads meter after meter: it replaces what into holds.
	ReadInto(ctx context.Context, m wattveil.Meter, from, to int64, into *Folded) error

	// Digests returns the distinct digests of the messages stored under a
	// counter, the first durable one first, at most [MaxRivals]. Two or more
	// mean that the meter used the counter twice.
	Digests(ctx context.Context, m wattveil.Meter, e wattveil.Epoch, c wattveil.Counter) ([]Digest, error)

	// LastCounter returns the highest counter stored for an epoch, and false
	// if there is none.
	LastCounter(ctx context.Context, m wattveil.Meter, e wattveil.Epoch) (wattveil.Counter, bool, error)

	// DropEpoch forgets the digests of an epoch, which are of no use once its
	// keys are destroyed. The readings stay.
	DropEpoch(ctx context.Context, m wattveil.Meter, e wattveil.Epoch) error

	// Erase forgets what a meter has of all UTC days that are over at a second:
	// readings and conflicts, not digests, which tell nothing of them. The rest
	// of that second's day stays. When it returns nil, none of it comes back
	// and no file of the store has it, save for what was copied elsewhere; a
	// crash leaves all of it or nothing, and it is safe and right to erase
	// again. What is appended later for those days is stored like anything
	// else.
	Erase(ctx context.Context, m wattveil.Meter, before int64) error

	// Close waits for calls under way and releases the store. Closing twice
	// is harmless.
	Close() error
}
