package queue

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/collector"
)

// The first byte of a key tells what it names.
const (
	kindMeta       = 0
	kindItem       = 1
	kindQuarantine = 2
)

const (
	keyLen   = 1 + 8
	itemTime = 8
	itemHead = itemTime + 8 // and ID_SM
)

// errCorrupt marks an error about stored bytes that cannot be decoded.
var errCorrupt = errors.New("stored bytes are damaged; move the folder away, the meters send again what they still have")

func itemKey(kind byte, seq uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{kind}, seq)
}

func appendItem(dst []byte, now time.Time, id wattveil.MeterID, frame []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(now.Unix()))
	dst = binary.BigEndian.AppendUint64(dst, uint64(id))
	return append(dst, frame...)
}

// parseItem reads an item. The frame points into value.
func parseItem(value []byte) (id wattveil.MeterID, frame []byte, err error) {
	if len(value) <= itemHead || len(value) > itemHead+maxFrame {
		return 0, nil, fmt.Errorf("item of %d bytes: %w", len(value), errCorrupt)
	}
	return wattveil.MeterID(binary.BigEndian.Uint64(value[8:])), value[itemHead:], nil
}

// scan calls each with the items of a kind from a number on, until it returns
// false. The value is valid during the call only.
func (q *Queue) scan(kind byte, from uint64, each func(seq uint64, value []byte) (bool, error)) (err error) {
	it, err := q.db.NewIter(&pebble.IterOptions{LowerBound: itemKey(kind, from), UpperBound: []byte{kind + 1}})
	if err != nil {
		return fmt.Errorf("read the queue in %s: %w", q.dir, err)
	}
	defer func() {
		if err = errors.Join(err, it.Close()); err != nil {
			err = fmt.Errorf("read the queue in %s: %w", q.dir, err)
		}
	}()
	for ok := it.First(); ok; ok = it.Next() {
		seq, value, err := current(it)
		if err != nil {
			return err
		}
		if more, err := each(seq, value); err != nil || !more {
			return err
		}
	}
	return it.Error()
}

// current is the item that an iterator stands on, of a length that holds one.
func current(it *pebble.Iterator) (uint64, []byte, error) {
	key := it.Key()
	if len(key) != keyLen {
		return 0, nil, fmt.Errorf("key of %d bytes: %w", len(key), errCorrupt)
	}
	value, err := it.ValueAndErr()
	if err != nil {
		return 0, nil, err
	}
	if _, _, err := parseItem(value); err != nil {
		return 0, nil, err
	}
	return binary.BigEndian.Uint64(key[1:]), value, nil
}

func (q *Queue) list(kind byte, from uint64, max, maxBytes int) ([]collector.Item, error) {
	if max <= 0 {
		return nil, nil
	}
	var items []collector.Item
	err := q.scan(kind, from, func(seq uint64, value []byte) (bool, error) {
		id, frame, err := parseItem(value)
		if err != nil {
			return false, err
		}
		if len(frame) > maxBytes {
			return false, nil
		}
		maxBytes -= len(frame)
		items = append(items, collector.Item{Seq: seq, ID: id, Frame: append([]byte(nil), frame...)})
		return len(items) < max, nil
	})
	if err != nil {
		return nil, err
	}
	return items, nil
}
