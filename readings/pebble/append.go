package pebble

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/readings"
)

// Append implements [readings.Store]. If background work on the folder failed
// since the last call, such as for want of space, it returns that error once
// and stores nothing. After a failure of the write-ahead log the store has to
// be opened again: until then Append returns that failure, and reads go on.
func (s *Store) Append(ctx context.Context, batch []readings.Block) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	for i := range batch {
		if err := batch[i].Check(); err != nil {
			return fmt.Errorf("append block %d of %d: %w", i, len(batch), err)
		}
	}
	if earlier := s.pending.Swap(nil); earlier != nil {
		return fmt.Errorf("append to the readings in %s: work in the background failed: %w", s.dir, *earlier)
	}
	if len(batch) == 0 {
		return nil
	}
	o := s.operands.Get().(*operands)
	o.add(batch)
	err := s.commit(o.size(), o.put)
	if !o.large() {
		s.operands.Put(o)
	}
	if err != nil {
		return fmt.Errorf("append to the readings in %s: %w", s.dir, err)
	}
	return nil
}

// Failed tells why the store takes nothing any more until it is opened again,
// or nil if it takes what comes.
func (s *Store) Failed() error {
	s.write.Lock()
	defer s.write.Unlock()
	if s.failed == nil {
		return nil
	}
	return fmt.Errorf("readings in %s: %w", s.dir, s.failed)
}

// commit writes a batch that put fills, and waits until it is durable. put gets
// the next free stamp and returns the next free one after it.
func (s *Store) commit(size int, put func(b *pebble.Batch, stamp uint64) (uint64, error)) error {
	b := s.db.NewBatchWithSize(size)
	if err := s.enqueue(b, put); err != nil {
		return err
	}
	if err := b.SyncWait(); err != nil {
		s.write.Lock()
		defer s.write.Unlock()
		s.failed = cmp.Or(s.failed, fmt.Errorf("the log could not be written; open the store again when its disk is sound: %w", err))
		return s.failed
	}
	return b.Close()
}

// enqueue fills a batch and puts it into the log. One batch does so at a time,
// so that the log holds stamps in rising order; the syncs are waited for
// together.
func (s *Store) enqueue(b *pebble.Batch, put func(b *pebble.Batch, stamp uint64) (uint64, error)) (err error) {
	s.write.Lock()
	defer s.write.Unlock()
	if s.failed != nil {
		return s.failed
	}
	// The engine panics if the log failed under a batch of which the sync is
	// not waited for yet.
	defer func() {
		if p := recover(); p != nil {
			s.wedged = true
			s.failed = fmt.Errorf("the engine stopped; start the process again when its disk is sound: %v", p)
			err = s.failed
		}
	}()
	next, err := put(b, s.next)
	if err != nil {
		return fmt.Errorf("fill a batch: %w", err)
	}
	if err := s.db.ApplyNoSyncWait(b, pebble.Sync); err != nil {
		return fmt.Errorf("apply a batch: %w", err)
	}
	s.next = next
	return nil
}

// operands is a batch of blocks, encoded but for the stamps, which are not
// known before the batch has its place in the log.
type operands struct {
	bytes []byte // keys and values in turn
	ops   []operand
	span  uint64 // how many stamps the batch uses

	day  day // scratch
	page page
	seen map[wattveil.Meter]uint64
}

// operand ends its key and its value at these places in operands.bytes. Its
// base stamp is relative to that of the batch.
type operand struct {
	keyEnd, valueEnd int
	base             uint64
}

// opOverhead is more than the engine adds to an operand.
const opOverhead = 16

// size is how large a batch of the operands is, or a little more.
func (o *operands) size() int { return len(o.bytes) + opOverhead*(len(o.ops)+2) }

// large tells whether the operands take up too much to keep them.
func (o *operands) large() bool { return cap(o.bytes) > 16<<20 }

// add encodes a batch.
func (o *operands) add(batch []readings.Block) {
	o.bytes, o.ops, o.span = o.bytes[:0], o.ops[:0], 0
	o.each(batch, o.mark)
	o.each(batch, o.readings) // apart, because the engine takes rows of rising keys faster
}

// each calls put with each block and the first stamp that it may use, counted
// within the batch and the block's meter. put returns the next free one.
func (o *operands) each(batch []readings.Block, put func(b *readings.Block, at uint64) uint64) {
	byMeter := func(a, b readings.Block) int {
		return cmp.Or(cmp.Compare(a.Meter.UC, b.Meter.UC), cmp.Compare(a.Meter.Pseudonym, b.Meter.Pseudonym))
	}
	if slices.IsSortedFunc(batch, byMeter) { // as a utility sends them
		at := uint64(0)
		for i := range batch {
			if i > 0 && batch[i].Meter != batch[i-1].Meter {
				at = 0
			}
			at = put(&batch[i], at)
		}
		return
	}
	if o.seen == nil {
		o.seen = make(map[wattveil.Meter]uint64, len(batch))
	}
	for i := range batch {
		m := batch[i].Meter
		o.seen[m] = put(&batch[i], o.seen[m])
	}
	clear(o.seen)
}

// mark encodes the digest of a block.
func (o *operands) mark(b *readings.Block, at uint64) uint64 {
	o.page.marks = append(o.page.marks[:0], mark{counter: uint32(b.Counter) % pageCounters, stamp: at, digest: b.Digest})
	o.bytes = appendPageKey(o.bytes, b.Meter, b.Epoch, b.Counter)
	o.end(&o.page, at)
	return at + 1
}

// readings encodes the readings of a block. A block that rises in time needs
// one stamp, since it names no reading twice, and any other one a stamp for
// each reading.
func (o *operands) readings(b *readings.Block, at uint64) uint64 {
	step := uint64(0)
	if !rising(b.Readings) {
		step = 1
	}
	for rest := b.Readings; len(rest) > 0; {
		today := rest[0].Time / secondsPerDay
		first, n := at, 0
		o.day.reset()
		for ; n < len(rest) && rest[n].Time/secondsPerDay == today; n++ {
			r := &rest[n]
			o.day.values = append(o.day.values, value{
				series: uint32(b.Series),
				second: uint32(r.Time % secondsPerDay),
				status: uint16(r.Status),
				imp:    uint64(r.Import),
				exp:    uint64(r.Export),
				stamp:  at,
			})
			at += step
		}
		if step != 0 {
			o.day.fold()
		}
		o.bytes = appendDayKey(o.bytes, b.Meter, uint32(today))
		o.end(&o.day, first)
		rest = rest[n:]
	}
	if step == 0 {
		at++
	}
	o.span = max(o.span, at)
	return at
}

// end appends the value of an operand of which the key was just appended.
func (o *operands) end(f folder, base uint64) {
	keyEnd := len(o.bytes)
	o.bytes = f.encode(o.bytes)
	o.ops = append(o.ops, operand{keyEnd: keyEnd, valueEnd: len(o.bytes), base: base})
}

// put fills a batch with the operands under the stamps that begin at stamp.
func (o *operands) put(b *pebble.Batch, stamp uint64) (uint64, error) {
	start := 0
	for _, op := range o.ops {
		key, value := o.bytes[start:op.keyEnd], o.bytes[op.keyEnd:op.valueEnd]
		setBase(value, stamp+op.base)
		if err := b.Merge(key, value, nil); err != nil {
			return 0, err
		}
		start = op.valueEnd
	}
	next := stamp + o.span
	if next < stamp {
		return 0, errors.New("the stamps are used up")
	}
	return next, b.Set(stampKey(), binary.BigEndian.AppendUint64(nil, next), nil)
}

// rising tells whether each reading is later than the one before it.
func rising(rs []wattveil.Reading) bool {
	for i := 1; i < len(rs); i++ {
		if rs[i].Time <= rs[i-1].Time {
			return false
		}
	}
	return true
}
