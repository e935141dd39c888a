// Package queue keeps a collector's frames in a folder of the local disk until
// the utility answers for them, with the engine cockroachdb/pebble. A frame
// that [Queue.Put] took is there after any stop of the process or the machine.
//
// # Layout, version 1
//
// Integers are big-endian.
//
//	key                    value
//	0x00 'v'               version of the layout, 4
//	0x00 'n'               next free number 8, quarantined frames that fell out 8
//	0x01, number 8         an item of the queue
//	0x02, number 8         an item of the quarantine
//
// An item is: Unix seconds when it came 8, ID_SM 8, the frame.
//
// Numbers begin at 1 and never restart: the batch that removes items also
// stores the next free number, so that either both or neither survive a crash,
// and the highest number in use tells the rest.
//
// A meter publishes a frame again until it has its answer. The queue keeps one
// of each: an index in memory, made anew by [Open], finds it.
package queue

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/collector"
)

// ErrClosed is what every method of a closed queue returns.
var ErrClosed = errors.New("the queue is closed")

// Options are the settings of a queue. The zero value is a good one.
type Options struct {
	FS            vfs.FS           // where the folder is; the local disk if nil
	MaxFrames     int              // in the queue; 1,000,000 if zero
	MaxBytes      int64            // of frames in the queue; 256 MiB if zero
	MaxQuarantine int              // frames; 1,000 if zero
	Now           func() time.Time // for [Queue.Oldest]; time.Now if nil
	Log           *slog.Logger     // discards if nil; it never sees a frame
}

const (
	defaultMaxFrames     = 1_000_000
	defaultMaxBytes      = 256 << 20
	defaultMaxQuarantine = 1000
	maxFrame             = math.MaxUint16 // what a forwarded body can carry
)

func (o *Options) setDefaults() {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.MaxFrames == 0 {
		o.MaxFrames = defaultMaxFrames
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = defaultMaxBytes
	}
	if o.MaxQuarantine == 0 {
		o.MaxQuarantine = defaultMaxQuarantine
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// Queue is a [collector.Queue] in a folder. It is safe for concurrent use.
type Queue struct {
	dir  string
	opts Options
	db   *pebble.DB
	lock *pebble.Lock

	frames      atomic.Int64
	bytes       atomic.Int64
	quarantined atomic.Int64
	discarded   atomic.Uint64

	use    sync.RWMutex // held for reading by every call, for writing by Close
	closed bool         // guarded by use

	settling sync.Mutex // one Settle at a time; taken before write
	write    sync.Mutex // gives numbers and log the same order
	next     uint64     // the next free number; guarded by write
	synced   uint64     // the highest number whose item is durable, and so are all below; guarded by write
	index    index      // of the items; guarded by write
	failed   error      // why nothing can be written any more; guarded by write
	wedged   bool       // the engine stopped in the middle of a write; guarded by write
}

var _ collector.Queue = (*Queue)(nil)

// Open opens the queue in a folder, and makes the folder (mode 0700) if there
// is none. One process at a time can have a folder open.
func Open(dir string, o Options) (*Queue, error) {
	o.setDefaults()
	q := &Queue{dir: dir, opts: o, index: newIndex()}
	if err := q.open(); err != nil {
		return nil, fmt.Errorf("open the queue in %s: %w", dir, err)
	}
	return q, nil
}

func (q *Queue) open() (err error) {
	if err := q.opts.FS.MkdirAll(q.dir, 0o700); err != nil {
		return fmt.Errorf("make the folder: %w", err)
	}
	q.lock, err = pebble.LockDirectory(q.dir, q.opts.FS)
	if err != nil {
		return fmt.Errorf("lock the folder (is another process using it, and may this one write to it?): %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, q.lock.Close())
		}
	}()
	if q.db, err = openEngine(q.dir, q.engineOptions()); err != nil {
		return err
	}
	if err := q.load(); err != nil {
		return errors.Join(err, q.db.Close())
	}
	return nil
}

// Put implements [collector.Queue]. Puts that run at once share one sync of
// the disk, and a frame that is durable already costs none. After a failure of the disk's log every call returns that failure
// until the queue is opened again.
func (q *Queue) Put(id wattveil.MeterID, frame []byte) error {
	if err := q.enter(); err != nil {
		return err
	}
	defer q.leave()
	if len(frame) == 0 || len(frame) > maxFrame {
		return fmt.Errorf("queue a frame of %d bytes: want 1 to %d", len(frame), maxFrame)
	}
	b := q.db.NewBatch()
	seq, err := q.append(b, appendItem(make([]byte, 0, itemHead+len(frame)), q.opts.Now(), id, frame))
	if err != nil {
		return err
	}
	if b.Empty() {
		return b.Close() // a repeat of what is durable
	}
	err = b.SyncWait()
	q.write.Lock()
	defer q.write.Unlock()
	if err != nil {
		return q.fail(err)
	}
	q.synced = max(q.synced, seq)
	return b.Close()
}

// append gives an item its number and its place in the log, or finds that it
// has them. The sync is waited for outside, where other items are appended
// meanwhile.
func (q *Queue) append(b *pebble.Batch, value []byte) (seq uint64, err error) {
	hash := q.index.hash(value)
	q.write.Lock()
	defer q.write.Unlock()
	if q.failed != nil {
		return 0, q.failed
	}
	if seq, err = q.find(hash, value); err != nil {
		return 0, err
	}
	if seq != 0 {
		return seq, q.repeat(b, seq)
	}
	size := int64(len(value) - itemHead)
	if q.frames.Load() >= int64(q.opts.MaxFrames) || q.bytes.Load()+size > q.opts.MaxBytes {
		return 0, collector.ErrFull
	}
	seq = q.next
	if err := b.Set(itemKey(kindItem, seq), value, nil); err != nil {
		return 0, fmt.Errorf("queue a frame: %w", err)
	}
	if err := q.guard(func() error { return q.db.ApplyNoSyncWait(b, pebble.Sync) }); err != nil {
		return 0, err
	}
	q.next++
	q.frames.Add(1)
	q.bytes.Add(size)
	q.index.add(entry{hash, seq})
	return seq, nil
}

// guard runs a write and turns the engine's panic into an error: it panics if
// its log failed under a batch of which the sync is not waited for yet. The
// caller holds q.write.
func (q *Queue) guard(write func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			q.wedged = true
			err = q.fail(fmt.Errorf("the engine stopped: %v", p))
		}
	}()
	if err := write(); err != nil {
		return q.fail(err)
	}
	return nil
}

// fail keeps the first failure for every later call. The caller holds q.write.
func (q *Queue) fail(err error) error {
	if q.failed == nil {
		q.failed = fmt.Errorf("the queue in %s cannot be written; start again when its disk is sound and has room: %w", q.dir, err)
		q.opts.Log.Error("the queue cannot go on", "error", err)
	}
	return q.failed
}

// Items implements [collector.Queue]. It may return frames that Put has not
// returned for yet; to forward one twice is harmless.
func (q *Queue) Items(after uint64, max, maxBytes int) ([]collector.Item, error) {
	if err := q.enter(); err != nil {
		return nil, err
	}
	defer q.leave()
	if after == math.MaxUint64 {
		return nil, nil
	}
	return q.list(kindItem, after+1, max, maxBytes)
}

// Quarantine lists what is in the quarantine, oldest first, at most max.
func (q *Queue) Quarantine(max int) ([]collector.Item, error) {
	if err := q.enter(); err != nil {
		return nil, err
	}
	defer q.leave()
	return q.list(kindQuarantine, 0, max, math.MaxInt)
}

// Len is the number of frames in the queue.
func (q *Queue) Len() int { return int(q.frames.Load()) }

// Bytes is the length of the frames in the queue together.
func (q *Queue) Bytes() int64 { return q.bytes.Load() }

// Quarantined is the number of frames in the quarantine, and how many have
// fallen out of it since the folder was made.
func (q *Queue) Quarantined() (kept int, discarded uint64) {
	return int(q.quarantined.Load()), q.discarded.Load()
}

// Oldest is when the frame came that is in the queue for the longest, to the
// second; the zero time if there is none.
func (q *Queue) Oldest() (time.Time, error) {
	if err := q.enter(); err != nil {
		return time.Time{}, err
	}
	defer q.leave()
	var oldest time.Time
	err := q.scan(kindItem, 0, func(_ uint64, value []byte) (bool, error) {
		oldest = time.Unix(int64(binary.BigEndian.Uint64(value)), 0)
		return false, nil
	})
	return oldest, err
}

// Close waits for the calls under way and closes the folder.
func (q *Queue) Close() error {
	q.use.Lock()
	defer q.use.Unlock()
	if q.closed {
		return nil
	}
	q.closed = true
	if q.wedged {
		return fmt.Errorf("close the queue in %s: the engine hangs after an earlier failure and stays open until the process ends: %w", q.dir, q.failed)
	}
	if err := errors.Join(q.db.Close(), q.lock.Close()); err != nil {
		return fmt.Errorf("close the queue in %s: %w", q.dir, err)
	}
	return nil
}

// enter begins a call. The caller must leave if it returns nil.
func (q *Queue) enter() error {
	q.use.RLock()
	if q.closed {
		q.use.RUnlock()
		return ErrClosed
	}
	return nil
}

func (q *Queue) leave() { q.use.RUnlock() }
