package queue

import (
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"

	"github.com/cockroachdb/pebble/v2"
)

// index finds the item that has the same ID_SM and frame as another. It takes
// about 30 bytes an item. The seed is random, so that nobody can choose frames
// that fall on one place; of two that do all the same, it has the newer.
type index struct {
	seed maphash.Seed
	at   map[uint64]uint64 // number by hash
}

// entry is an item in the index.
type entry struct{ hash, seq uint64 }

func newIndex() index {
	return index{seed: maphash.MakeSeed(), at: make(map[uint64]uint64)}
}

// hash is of all of an item but its time.
func (x *index) hash(value []byte) uint64 { return maphash.Bytes(x.seed, value[itemTime:]) }

func (x *index) add(e entry) { x.at[e.hash] = e.seq }

// remove gives the memory back with the last item, since a map does not shrink.
func (x *index) remove(gone []entry) {
	for _, e := range gone {
		if x.at[e.hash] == e.seq {
			delete(x.at, e.hash)
		}
	}
	if len(x.at) == 0 {
		x.at = make(map[uint64]uint64)
	}
}

// find is the number of an item that the queue has with the ID_SM and the
// frame of value, 0 if it has none. The caller holds q.write.
func (q *Queue) find(hash uint64, value []byte) (seq uint64, err error) {
	seq, ok := q.index.at[hash]
	if !ok {
		return 0, nil
	}
	kept, closer, err := q.db.Get(itemKey(kindItem, seq))
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("look for a frame: %w", err)
	}
	if _, _, err := parseItem(kept); err != nil || !bytes.Equal(kept[itemTime:], value[itemTime:]) {
		seq = 0
	}
	return seq, closer.Close()
}

// repeat acknowledges an item that the queue has. If its sync is still waited
// for, an empty record goes into the log behind it, to be waited for in turn.
// The caller holds q.write.
func (q *Queue) repeat(b *pebble.Batch, seq uint64) error {
	if seq <= q.synced {
		return nil
	}
	if err := b.LogData(nil, nil); err != nil {
		return fmt.Errorf("wait for a frame: %w", err)
	}
	return q.guard(func() error { return q.db.ApplyNoSyncWait(b, pebble.Sync) })
}
