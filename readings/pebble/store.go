// Package pebble keeps readings in a folder of the local disk, with the engine
// cockroachdb/pebble. It is the embedded driver of package readings.
//
// A key names a meter and a UTC day, and a value holds the day's readings of
// all series. [Store.Append] writes small days and never reads; the engine
// folds them into one, with the operator in this package, whenever it flushes,
// compacts or reads. FORMAT.md gives every byte.
//
// # What was first
//
// Every value carries a stamp, which rises from one Append to the next and
// never restarts: the next stamp is stored in the batch that uses it. Stamps
// are given in the order in which batches enter the write-ahead log, so that
// the lesser stamp is what was durable first. That is why the order in which
// the engine folds does not matter.
package pebble

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/wattveil/wattveil/readings"
)

// layoutVersion numbers what FORMAT.md describes.
const layoutVersion = 1

// Options are the settings of a store. The zero value is a good one.
type Options struct {
	// FS is where the folder is; the local disk if nil.
	FS vfs.FS
	// Logger takes what the store has to say. It never sees a pseudonym, a
	// reading or a key. Nil discards it.
	Logger *slog.Logger
	// CacheBytes bounds the cache of blocks that were read; 64 MiB if zero.
	CacheBytes int64
}

// Store is a [readings.Store] in a folder.
type Store struct {
	dir  string
	db   *pebble.DB
	lock *pebble.Lock
	log  *slog.Logger

	operands sync.Pool // *operands
	days     sync.Pool // *day

	pending atomic.Pointer[error] // of background work, for the next Append

	use    sync.RWMutex // held for reading by every call, for writing by Close
	closed bool         // guarded by use

	write  sync.Mutex // gives stamps and log the same order
	next   uint64     // the next free stamp; guarded by write
	failed error      // why nothing can be written any more; guarded by write
	wedged bool       // the engine stopped in the middle of a write; guarded by write
}

var _ readings.Store = (*Store)(nil)

// Open opens the store in a folder, and makes the folder if there is none. One
// process at a time can have a folder open.
func Open(dir string, o Options) (*Store, error) {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = 64 << 20
	}
	s := &Store{dir: dir, log: o.Logger}
	s.operands.New = func() any { return new(operands) }
	s.days.New = func() any { return new(day) }
	if err := s.open(o); err != nil {
		return nil, fmt.Errorf("open the readings in %s: %w", dir, err)
	}
	return s, nil
}

func (s *Store) open(o Options) (err error) {
	if err := o.FS.MkdirAll(s.dir, 0o700); err != nil {
		return fmt.Errorf("make the folder: %w", err)
	}
	s.lock, err = pebble.LockDirectory(s.dir, o.FS)
	if err != nil {
		return fmt.Errorf("lock the folder (is another process using it, and may this one write to it?): %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.lock.Close())
		}
	}()
	if s.db, err = openEngine(s.dir, s.engineOptions(o)); err != nil {
		return err
	}
	if err := s.load(); err != nil {
		if !s.wedged {
			err = errors.Join(err, s.db.Close())
		}
		return err
	}
	return nil
}

// openEngine turns the panic of an engine that cannot go on into an error.
func openEngine(dir string, o *pebble.Options) (db *pebble.DB, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("start the engine: %v", p)
		}
	}()
	if db, err = pebble.Open(dir, o); err != nil {
		return nil, fmt.Errorf("start the engine: %w", err)
	}
	return db, nil
}

// engineOptions sets the engine up. Blocks are larger than its default, and
// compressed harder the longer they stay.
func (s *Store) engineOptions(o Options) *pebble.Options {
	comparer := *pebble.DefaultComparer
	comparer.FormatKey = func([]byte) fmt.Formatter { return hidden{} }
	e := &pebble.Options{
		FS:                          o.FS,
		Lock:                        s.lock,
		Comparer:                    &comparer,
		Merger:                      newMerger(),
		FormatMajorVersion:          pebble.FormatValueSeparation,
		CacheSize:                   o.CacheBytes,
		MemTableSize:                32 << 20,
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       4,
		LBaseMaxBytes:               128 << 20,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 2 },
		EventListener:               s.events(),
		Logger:                      engineLog{o.Logger},
	}
	last := len(e.Levels) - 1
	for i := range e.Levels {
		e.Levels[i].BlockSize = 32 << 10
		e.Levels[i].Compression = func() *sstable.CompressionProfile { return sstable.FastestCompression }
	}
	e.Levels[last].Compression = func() *sstable.CompressionProfile { return sstable.ZstdCompression }
	return e
}

// hidden is what a key prints as in the engine's own words.
type hidden struct{}

// Format prints nothing of the key.
func (hidden) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[key]")) }

// load checks the layout's version and reads the next stamp. It begins a store
// in an empty database.
func (s *Store) load() error {
	version, err := s.meta(versionKey())
	if err != nil {
		return fmt.Errorf("read the layout's version: %w", err)
	}
	if version == nil {
		return s.begin()
	}
	if len(version) != 4 || binary.BigEndian.Uint32(version) != layoutVersion {
		return fmt.Errorf("its layout has version %x, and this program knows version %d: use the program that wrote it", version, layoutVersion)
	}
	stamp, err := s.meta(stampKey())
	if err != nil {
		return fmt.Errorf("read the next stamp: %w", err)
	}
	if len(stamp) != 8 {
		return fmt.Errorf("the next stamp is missing or malformed: %w", readings.ErrCorrupt)
	}
	s.next = binary.BigEndian.Uint64(stamp)
	return nil
}

// begin writes version and first stamp into a database without keys.
func (s *Store) begin() error {
	it, err := s.db.NewIter(nil)
	if err != nil {
		return fmt.Errorf("look for keys: %w", err)
	}
	found := it.First()
	if err := it.Close(); err != nil {
		return fmt.Errorf("look for keys: %w", err)
	}
	if found {
		return errors.New("the folder holds a database that is not a store of readings")
	}
	version := binary.BigEndian.AppendUint32(nil, layoutVersion)
	first := binary.BigEndian.AppendUint64(nil, 0)
	err = s.commit(64, func(b *pebble.Batch, stamp uint64) (uint64, error) {
		return stamp, errors.Join(b.Set(versionKey(), version, nil), b.Set(stampKey(), first, nil))
	})
	if err != nil {
		return fmt.Errorf("write the layout's version: %w", err)
	}
	return nil
}

// meta is a copy of one of the store's own values, nil if there is none.
func (s *Store) meta(key []byte) ([]byte, error) {
	v, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	v = append([]byte{}, v...)
	return v, closer.Close()
}

// enter begins a call. The caller must leave if it returns nil.
func (s *Store) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.use.RLock()
	if s.closed {
		s.use.RUnlock()
		return readings.ErrClosed
	}
	return nil
}

func (s *Store) leave() { s.use.RUnlock() }

// Close implements [readings.Store].
func (s *Store) Close() error {
	s.use.Lock()
	defer s.use.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	if s.wedged {
		return fmt.Errorf("close the readings in %s: the engine hangs after an earlier failure and stays open until the process ends: %w", s.dir, s.failed)
	}
	if err := errors.Join(s.db.Close(), s.lock.Close()); err != nil {
		return fmt.Errorf("close the readings in %s: %w", s.dir, err)
	}
	return nil
}

// Compact folds and compresses all that is stored. The engine does so by
// itself as it goes; calling it shortens the first reads after a large import,
// at the price of rewriting everything.
func (s *Store) Compact(ctx context.Context) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	err := s.db.Flush()
	if err == nil {
		err = s.db.Compact(ctx, []byte{kindMeta}, []byte{kindPage + 1}, true)
	}
	if err != nil {
		return fmt.Errorf("compact the readings in %s: %w", s.dir, err)
	}
	return nil
}

// Usage is an estimate of what a store takes up on disk, in bytes, without its
// write-ahead log.
type Usage struct {
	Readings uint64
	Digests  uint64
}

// Usage estimates what the store takes up.
func (s *Store) Usage(ctx context.Context) (Usage, error) {
	if err := s.enter(ctx); err != nil {
		return Usage{}, err
	}
	defer s.leave()
	days, err := s.db.EstimateDiskUsage([]byte{kindDay}, []byte{kindDay + 1})
	if err != nil {
		return Usage{}, fmt.Errorf("measure the readings in %s: %w", s.dir, err)
	}
	pages, err := s.db.EstimateDiskUsage([]byte{kindPage}, []byte{kindPage + 1})
	if err != nil {
		return Usage{}, fmt.Errorf("measure the digests in %s: %w", s.dir, err)
	}
	return Usage{Readings: days, Digests: pages}, nil
}
