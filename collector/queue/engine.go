package queue

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
)

// layoutVersion numbers what the package comment describes.
const layoutVersion = 1

// Sizes that suit a small machine: the engine takes up about 16 MiB.
const (
	cacheBytes    = 2 << 20
	memTableBytes = 2 << 20
	baseBytes     = 16 << 20
	blockBytes    = 32 << 10
	openFiles     = 64
)

// engineOptions sets the engine up. Frames are ciphertext, so nothing is
// compressed.
func (q *Queue) engineOptions() *pebble.Options {
	comparer := *pebble.DefaultComparer
	comparer.FormatKey = func([]byte) fmt.Formatter { return hidden{} }
	e := &pebble.Options{
		FS:                          q.opts.FS,
		Lock:                        q.lock,
		Comparer:                    &comparer,
		FormatMajorVersion:          pebble.FormatValueSeparation,
		CacheSize:                   cacheBytes,
		MemTableSize:                memTableBytes,
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       4,
		LBaseMaxBytes:               baseBytes,
		MaxOpenFiles:                openFiles,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 1 },
		EventListener:               q.events(),
		Logger:                      engineLog{q.opts.Log},
	}
	for i := range e.Levels {
		e.Levels[i].BlockSize = blockBytes
		e.Levels[i].Compression = func() *sstable.CompressionProfile { return sstable.NoCompression }
	}
	return e
}

// hidden is what a key prints as in the engine's own words.
type hidden struct{}

// Format prints nothing of the key.
func (hidden) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[key]")) }

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

// events logs what fails behind the queue's back. The engine tries again by
// itself; frames stay durable in its log meanwhile.
func (q *Queue) events() *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: func(err error) { q.opts.Log.Error("the queue's disk fails", "error", err) },
		WriteStallBegin: func(info pebble.WriteStallBeginInfo) {
			q.opts.Log.Warn("queueing frames waits for the disk", "reason", info.Reason)
		},
		WriteStallEnd: func() { q.opts.Log.Info("queueing frames goes on") },
	}
}

// engineLog passes what the engine says of itself to slog, at debug level.
type engineLog struct{ log *slog.Logger }

// Infof logs at debug level.
func (l engineLog) Infof(format string, args ...any) { l.debug(format, args) }

// Errorf logs at debug level: what matters also comes as an event.
func (l engineLog) Errorf(format string, args ...any) { l.debug(format, args) }

func (l engineLog) debug(format string, args []any) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.log.Debug("engine of the queue", "message", fmt.Sprintf(format, args...))
	}
}

// Fatalf panics. The engine calls it when it cannot go on and may not return
// to it. In a goroutine of the engine that ends the process, after which no
// held frame is lost; in a call of the queue it becomes that call's error.
func (l engineLog) Fatalf(format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	l.log.Error("the queue's engine cannot go on", "cause", message)
	panic("queue of frames: " + message)
}

func versionKey() []byte { return []byte{kindMeta, 'v'} }
func stateKey() []byte   { return []byte{kindMeta, 'n'} }

// load checks the layout's version and counts what is there. It begins a queue
// in an empty database. All that is there is durable: the engine writes what it
// finds in its log to its tables before it is open.
func (q *Queue) load() error {
	version, err := q.meta(versionKey())
	if err != nil {
		return fmt.Errorf("read the layout's version: %w", err)
	}
	if version == nil {
		if err := q.begin(); err != nil {
			return err
		}
	} else if len(version) != 4 || binary.BigEndian.Uint32(version) != layoutVersion {
		return fmt.Errorf("its layout has version %x, and this program knows version %d: use the program that wrote it", version, layoutVersion)
	}
	if err := q.loadState(); err != nil {
		return err
	}
	err = q.scan(kindItem, 0, func(seq uint64, value []byte) (bool, error) {
		q.frames.Add(1)
		q.bytes.Add(int64(len(value) - itemHead))
		q.index.add(entry{q.index.hash(value), seq})
		q.next = max(q.next, seq+1)
		return true, nil
	})
	if err != nil {
		return err
	}
	err = q.scan(kindQuarantine, 0, func(seq uint64, _ []byte) (bool, error) {
		q.quarantined.Add(1)
		q.next = max(q.next, seq+1)
		return true, nil
	})
	q.synced = q.next - 1
	return err
}

func (q *Queue) loadState() error {
	q.next = 1
	state, err := q.meta(stateKey())
	if err != nil || state == nil {
		return err
	}
	if len(state) != 16 {
		return fmt.Errorf("state of %d bytes: %w", len(state), errCorrupt)
	}
	q.next = max(1, binary.BigEndian.Uint64(state))
	q.discarded.Store(binary.BigEndian.Uint64(state[8:]))
	return nil
}

// begin writes the version into a database without keys.
func (q *Queue) begin() error {
	it, err := q.db.NewIter(nil)
	if err != nil {
		return fmt.Errorf("look for keys: %w", err)
	}
	found := it.First()
	if err := it.Close(); err != nil {
		return fmt.Errorf("look for keys: %w", err)
	}
	if found {
		return errors.New("the folder holds a database that is not a queue")
	}
	version := binary.BigEndian.AppendUint32(nil, layoutVersion)
	if err := q.db.Set(versionKey(), version, pebble.Sync); err != nil {
		return fmt.Errorf("write the layout's version: %w", err)
	}
	return nil
}

// meta is a copy of one of the queue's own values, nil if there is none.
func (q *Queue) meta(key []byte) ([]byte, error) {
	v, closer, err := q.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	v = append([]byte{}, v...)
	return v, closer.Close()
}
