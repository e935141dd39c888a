package queue

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// Settle implements [collector.Queue]. It does not wait for the disk: a
// removal that a crash undoes makes the collector forward the frame once more,
// which is answered as a duplicate. A number in both lists is quarantined.
func (q *Queue) Settle(deleted, quarantined []uint64) error {
	if err := q.enter(); err != nil {
		return err
	}
	defer q.leave()
	q.settling.Lock()
	defer q.settling.Unlock()
	if err := q.remove(deleted, quarantined); err != nil {
		return fmt.Errorf("settle frames of the queue in %s: %w", q.dir, err)
	}
	if err := q.trim(); err != nil {
		return fmt.Errorf("trim the quarantine of the queue in %s: %w", q.dir, err)
	}
	return nil
}

// settlement is a batch of removals and what it changes.
type settlement struct {
	batch         *pebble.Batch
	frames, bytes int64 // that leave the queue
	quarantined   int64 // of which these go to the quarantine
	discarded     int64 // that fall out of the quarantine
	gone          []entry
}

// remove takes what the queue holds of the numbers given out of it.
func (q *Queue) remove(deleted, quarantined []uint64) (err error) {
	it, err := q.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kindItem}, UpperBound: []byte{kindItem + 1}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	s := settlement{batch: q.db.NewBatch()}
	never := sorted(quarantined)
	for _, seq := range never {
		if err := q.take(&s, it, seq, true); err != nil {
			return err
		}
	}
	for _, seq := range sorted(deleted) {
		if _, both := slices.BinarySearch(never, seq); both {
			continue
		}
		if err := q.take(&s, it, seq, false); err != nil {
			return err
		}
	}
	return q.commit(&s)
}

// take adds the removal of an item to a settlement.
func (q *Queue) take(s *settlement, it *pebble.Iterator, seq uint64, keep bool) error {
	key := itemKey(kindItem, seq)
	if !it.SeekGE(key) {
		return it.Error()
	}
	found, value, err := current(it)
	if err != nil || found != seq {
		return err
	}
	s.frames++
	s.bytes += int64(len(value) - itemHead)
	s.gone = append(s.gone, entry{q.index.hash(value), seq})
	if keep {
		s.quarantined++
		if err := s.batch.Set(itemKey(kindQuarantine, seq), value, nil); err != nil {
			return err
		}
	}
	return s.batch.Delete(key, nil)
}

// sorted is a rising copy without repetition, so that the iterator goes one way.
func sorted(seqs []uint64) []uint64 {
	seqs = slices.Clone(seqs)
	slices.Sort(seqs)
	return slices.Compact(seqs)
}

// trim lets the oldest frames fall out of a quarantine that is over its bound.
func (q *Queue) trim() error {
	over := q.quarantined.Load() - int64(q.opts.MaxQuarantine)
	if over <= 0 {
		return nil
	}
	s := settlement{batch: q.db.NewBatch()}
	err := q.scan(kindQuarantine, 0, func(seq uint64, _ []byte) (bool, error) {
		s.discarded++
		return s.discarded < over, s.batch.Delete(itemKey(kindQuarantine, seq), nil)
	})
	if err != nil {
		return err
	}
	return q.commit(&s)
}

// commit writes a batch of removals together with the state that must be
// neither kept nor lost without them.
func (q *Queue) commit(s *settlement) error {
	if s.batch.Empty() {
		return s.batch.Close()
	}
	q.write.Lock()
	defer q.write.Unlock()
	if q.failed != nil {
		return q.failed
	}
	discarded := q.discarded.Load() + uint64(s.discarded)
	if err := s.batch.Set(stateKey(), appendState(nil, q.next, discarded), nil); err != nil {
		return err
	}
	if err := q.guard(func() error { return q.db.Apply(s.batch, pebble.NoSync) }); err != nil {
		return err
	}
	q.frames.Add(-s.frames)
	q.bytes.Add(-s.bytes)
	q.quarantined.Add(s.quarantined - s.discarded)
	q.discarded.Store(discarded)
	q.index.remove(s.gone)
	return s.batch.Close()
}

func appendState(dst []byte, next, discarded uint64) []byte {
	dst = binary.BigEndian.AppendUint64(dst, next)
	return binary.BigEndian.AppendUint64(dst, discarded)
}
