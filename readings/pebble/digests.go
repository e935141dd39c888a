package pebble

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/readings"
)

// Digests implements [readings.Store].
func (s *Store) Digests(ctx context.Context, m wattveil.Meter, e wattveil.Epoch, c wattveil.Counter) ([]readings.Digest, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	stored, closer, err := s.db.Get(appendPageKey(nil, m, e, c))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read digests of meter %v, epoch %d: %w", m, e, engineError(err))
	}
	marks, damage := decodePage(stored, m, e)
	if err := closer.Close(); err != nil {
		return nil, fmt.Errorf("read digests of meter %v, epoch %d: %w", m, e, err)
	}
	var found []readings.Digest
	for _, k := range marks {
		if k.counter == uint32(c)%pageCounters {
			found = append(found, k.digest)
		}
	}
	return found, damage
}

// LastCounter implements [readings.Store].
func (s *Store) LastCounter(ctx context.Context, m wattveil.Meter, e wattveil.Epoch) (wattveil.Counter, bool, error) {
	if err := s.enter(ctx); err != nil {
		return 0, false, err
	}
	defer s.leave()
	c, found, err := s.lastCounter(ctx, m, e)
	if err != nil {
		return 0, false, fmt.Errorf("read the last counter of meter %v, epoch %d: %w", m, e, engineError(err))
	}
	return c, found, nil
}

func (s *Store) lastCounter(ctx context.Context, m wattveil.Meter, e wattveil.Epoch) (c wattveil.Counter, found bool, err error) {
	it, err := s.pages(ctx, m, e)
	if err != nil {
		return 0, false, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	if !it.Last() {
		return 0, false, it.Error()
	}
	stored, err := it.ValueAndErr()
	if err != nil {
		return 0, false, err
	}
	marks, damage := decodePage(stored, m, e)
	if damage != nil {
		return 0, false, damage
	}
	number := binary.BigEndian.Uint32(it.Key()[epochKeyLen:])
	return wattveil.Counter(number<<pageBits | marks[len(marks)-1].counter), true, nil
}

// DropEpoch implements [readings.Store].
func (s *Store) DropEpoch(ctx context.Context, m wattveil.Meter, e wattveil.Epoch) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	keys, err := s.pageKeys(ctx, m, e)
	if err == nil && len(keys) > 0 {
		err = s.commit(len(keys)*(pageKeyLen+opOverhead), func(b *pebble.Batch, stamp uint64) (uint64, error) {
			for _, k := range keys {
				if err := b.Delete(k, nil); err != nil {
					return 0, err
				}
			}
			return stamp, nil
		})
	}
	if err != nil {
		return fmt.Errorf("drop epoch %d of meter %v: %w", e, m, engineError(err))
	}
	return nil
}

// pageKeys is the keys of an epoch's pages. There are few, so that deleting
// each costs the engine less than a range would.
func (s *Store) pageKeys(ctx context.Context, m wattveil.Meter, e wattveil.Epoch) (keys [][]byte, err error) {
	it, err := s.pages(ctx, m, e)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		keys = append(keys, append([]byte(nil), it.Key()...))
	}
	return keys, it.Error()
}

// pages iterates over the pages of an epoch.
func (s *Store) pages(ctx context.Context, m wattveil.Meter, e wattveil.Epoch) (*pebble.Iterator, error) {
	prefix := appendEpochKey(nil, m, e)
	return s.db.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
}

// decodePage decodes what it can of a stored page. damage tells if that is not
// all of it.
func decodePage(stored []byte, m wattveil.Meter, e wattveil.Epoch) (marks []mark, damage error) {
	p := new(page)
	g := gather{into: p}
	g.take(stored)
	p.fold()
	if len(g.odd) > 0 {
		damage = fmt.Errorf("some digests of meter %v, epoch %d cannot be decoded: %w; close the epoch and drop it", m, e, readings.ErrCorrupt)
	}
	return p.marks, damage
}
