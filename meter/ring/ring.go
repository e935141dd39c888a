// Package ring keeps a meter's readings in a folder, so that a stop loses none
// that was not sent yet.
//
// Readings are numbered as they come and lie in segments, files that are named
// by the number of their first reading, as records of 20 bytes:
//
//	0         4            9            14       16          20
//	+---------+------------+------------+--------+-----------+
//	| time    | import     | export     | status | CRC-32C   |
//	+---------+------------+------------+--------+-----------+
//	             registers as the meter shows them, Wh
//
// all big-endian; the checksum covers the reading's number (8 bytes) and the 16
// bytes before it, so a record that was torn, or that belongs elsewhere, does
// not read. Beside them state.0 and state.1 hold what the agent knows of the
// readings' way:
//
//	magic "wvr1" ‖ generation 8 ‖ length 4 ‖ CRC-32C 4 of generation, length and state ‖ state
//
// # What is durable, and when
//
// A record is written before [Disk.Push] returns, so what ends the process
// alone loses nothing. Flash wears out by syncs, so [Disk.Save] makes one only
// when the last is [Options.SyncEvery] old: readings every quarter of an hour
// are synced one by one, readings every second all 5 minutes. A power cut loses
// what came since, and of registers that costs no energy. Between two syncs states
// overwrite one of the two files, so that the other holds the one that was
// synced last; without the newest state readings are sent twice, which is
// harmless.
//
// The folder is bounded: the oldest segment goes when all of its readings are
// older than the newest [Options.Readings].
package ring

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/wattveil/wattveil"
)

const (
	recordSize = 20
	fieldsSize = 16
	suffix     = ".readings"
	digits     = 20 // of a segment's name: any 64-bit number

	defaultSync   = 5 * time.Minute
	minSegment    = 64
	maxSegment    = 4096
	segmentsKept  = 8 // of a full ring, about
	folderMode    = 0o700
	fileMode      = 0o600
	maxStateBytes = 16 << 20
)

// Options says how much a ring holds.
type Options struct {
	Readings  int           // that are kept; required
	SyncEvery time.Duration // 5 minutes if zero
	Now       func() time.Time
}

// Disk is a ring in a folder. It implements meter.Ring and is used by one
// goroutine of one process at a time; [Each] may read beside it. It redacts
// itself.
type Disk struct {
	redacted
	dir  string
	opts Options
	per  int // readings in a segment

	segments []segment // by rising number; never empty
	file     *os.File  // the last one
	head     uint64
	tail     uint64
	buf      []byte

	state      []byte // as it was at the start
	generation uint64
	slot       int  // that states are written to until the next sync
	stale      bool // the slot holds one that is not synced
	synced     time.Time
}

// segment is a file of readings.
type segment struct {
	first uint64 // number of its first reading
	count uint64 // records in it
}

func (s segment) end() uint64 { return s.first + s.count }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Open opens the ring in a folder, which it makes if it is missing. What a stop
// tore off at the end is cut away.
func Open(dir string, o Options) (*Disk, error) {
	d, err := open(dir, o)
	if err != nil {
		return nil, fmt.Errorf("open ring %s: %w", dir, err)
	}
	return d, nil
}

func open(dir string, o Options) (*Disk, error) {
	if o.Readings < 1 {
		return nil, fmt.Errorf("for %d readings, want 1 or more", o.Readings)
	}
	if o.SyncEvery == 0 {
		o.SyncEvery = defaultSync
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	d := &Disk{dir: dir, opts: o, per: min(max(o.Readings/segmentsKept, minSegment), maxSegment)}
	if err := os.MkdirAll(dir, folderMode); err != nil {
		return nil, err
	}
	var err error
	if d.segments, err = list(dir); err != nil {
		return nil, err
	}
	if len(d.segments) == 0 {
		if err := d.begin(0); err != nil {
			return nil, err
		}
	} else if err := d.repair(); err != nil {
		return nil, err
	}
	d.advance()
	if err := d.loadState(); err != nil {
		return nil, errors.Join(err, d.file.Close())
	}
	return d, nil
}

// list finds the segments of a folder.
func list(dir string) ([]segment, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var found []segment
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), suffix)
		if !ok || len(name) != digits || !e.Type().IsRegular() {
			continue
		}
		first, err := strconv.ParseUint(name, 10, 64)
		if err != nil {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // the ring in use has just dropped it
		}
		if err != nil {
			return nil, err
		}
		found = append(found, segment{first: first, count: uint64(info.Size()) / recordSize})
	}
	sort.Slice(found, func(i, j int) bool { return found[i].first < found[j].first })
	for i := 1; i < len(found); i++ {
		found[i-1].count = min(found[i-1].count, found[i].first-found[i-1].first)
	}
	return found, nil
}

func (d *Disk) path(first uint64) string { return segmentPath(d.dir, first) }

func segmentPath(dir string, first uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%0*d%s", digits, first, suffix))
}

// begin starts a segment. Its name is durable before it is used.
func (d *Disk) begin(first uint64) error {
	f, err := os.OpenFile(d.path(first), os.O_CREATE|os.O_RDWR|os.O_TRUNC, fileMode)
	if err != nil {
		return err
	}
	if err := syncFolder(d.dir); err != nil {
		return errors.Join(err, f.Close())
	}
	if d.file != nil {
		_ = d.file.Close() // synced
	}
	d.file, d.tail = f, first
	d.segments = append(d.segments, segment{first: first})
	return nil
}

// repair opens the last segment and cuts off what does not read at its end.
func (d *Disk) repair() error {
	s := &d.segments[len(d.segments)-1]
	f, err := os.OpenFile(d.path(s.first), os.O_RDWR, fileMode)
	if err != nil {
		return err
	}
	records := make([]byte, s.count*recordSize)
	if _, err := f.ReadAt(records, 0); err != nil {
		return errors.Join(err, f.Close())
	}
	for s.count > 0 {
		if _, ok := decode(s.end()-1, records[(s.count-1)*recordSize:]); ok {
			break
		}
		s.count--
	}
	if err := f.Truncate(int64(s.count * recordSize)); err != nil {
		return errors.Join(err, f.Close())
	}
	d.file, d.tail = f, s.end()
	return nil
}

// advance moves the head to where the newest readings begin.
func (d *Disk) advance() {
	if kept := uint64(d.opts.Readings); d.tail-d.segments[0].first > kept {
		d.head = max(d.head, d.tail-kept)
	}
	d.head = max(d.head, d.segments[0].first)
}

// Load gives the state saved last and the numbers of the readings that are
// kept.
func (d *Disk) Load() (state []byte, head, tail uint64, err error) {
	state, d.state = d.state, nil
	return state, d.head, d.tail, nil
}

// Newest is the newest reading that reads, false if there is none.
func (d *Disk) Newest() (wattveil.Reading, bool, error) {
	var one [1]wattveil.Reading
	for n := d.tail; n > d.head; n-- {
		got, err := d.Read(one[:0], n-1)
		if err != nil {
			return wattveil.Reading{}, false, err
		}
		if len(got) > 0 {
			return got[0], true, nil
		}
	}
	return wattveil.Reading{}, false, nil
}

// Push writes a reading and gives the number of the oldest that is kept then.
func (d *Disk) Push(r wattveil.Reading) (head uint64, err error) {
	if err := d.push(r); err != nil {
		return d.head, fmt.Errorf("ring %s: keep a reading: %w", d.dir, err)
	}
	return d.head, nil
}

func (d *Disk) push(r wattveil.Reading) error {
	last := &d.segments[len(d.segments)-1]
	if last.count >= uint64(d.per) {
		if err := d.rotate(); err != nil {
			return err
		}
		last = &d.segments[len(d.segments)-1]
	}
	if r.Time < 0 || r.Time > math.MaxUint32 {
		return fmt.Errorf("time %d is not one that a reading can have", r.Time)
	}
	d.buf = encode(d.buf[:0], d.tail, r)
	if _, err := d.file.WriteAt(d.buf, int64(last.count*recordSize)); err != nil {
		return err // the next one overwrites what was written of it
	}
	last.count++
	d.tail++
	d.advance()
	_ = d.remove() // tried again with the next
	return nil
}

// rotate ends the last segment durably and begins the next.
func (d *Disk) rotate() error {
	if err := d.file.Sync(); err != nil {
		return err
	}
	return d.begin(d.tail)
}

// remove removes the segments below the head.
func (d *Disk) remove() error {
	n := 0
	for n+1 < len(d.segments) && d.segments[n+1].first <= d.head {
		if err := os.Remove(d.path(d.segments[n].first)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			d.segments = d.segments[n:]
			return err
		}
		n++
	}
	d.segments = d.segments[n:]
	return nil
}

// Drop forgets the readings below a number. Whole segments are removed, and
// durably so: below everything when all is dropped.
func (d *Disk) Drop(below uint64) error {
	below = min(below, d.tail)
	if last := d.segments[len(d.segments)-1]; below == d.tail && last.count > 0 {
		// An empty segment keeps the numbers going.
		if err := d.rotate(); err != nil {
			return fmt.Errorf("ring %s: drop readings: %w", d.dir, err)
		}
	}
	d.head = max(d.head, below)
	if err := errors.Join(d.remove(), syncFolder(d.dir)); err != nil {
		return fmt.Errorf("ring %s: drop readings: %w", d.dir, err)
	}
	return nil
}

// Read appends to dst, as far as it has room, the readings from a number on,
// and stops before one that does not read.
func (d *Disk) Read(dst []wattveil.Reading, from uint64) ([]wattveil.Reading, error) {
	for from = max(from, d.head); from < d.tail && len(dst) < cap(dst); {
		i := sort.Search(len(d.segments), func(i int) bool { return d.segments[i].first > from }) - 1
		n := len(dst)
		var err error
		if dst, err = d.readSegment(dst, i, from); err != nil {
			return dst, fmt.Errorf("ring %s: read: %w", d.dir, err)
		}
		from += uint64(len(dst) - n)
		if from < d.segments[i].end() || i+1 < len(d.segments) && from < d.segments[i+1].first {
			break // full, or damaged
		}
	}
	return dst, nil
}

func (d *Disk) readSegment(dst []wattveil.Reading, i int, from uint64) ([]wattveil.Reading, error) {
	s := d.segments[i]
	if from >= s.end() {
		return dst, nil
	}
	f := d.file
	if i+1 < len(d.segments) {
		var err error
		if f, err = os.Open(d.path(s.first)); errors.Is(err, fs.ErrNotExist) {
			return dst, nil
		} else if err != nil {
			return dst, err
		}
		defer func() { _ = f.Close() }()
	}
	n := min(uint64(cap(dst)-len(dst)), s.end()-from)
	if cap(d.buf) < int(n)*recordSize {
		d.buf = make([]byte, n*recordSize)
	}
	records := d.buf[:n*recordSize]
	if _, err := f.ReadAt(records, int64((from-s.first)*recordSize)); err != nil {
		return dst, err
	}
	for ; len(records) > 0; records, from = records[recordSize:], from+1 {
		r, ok := decode(from, records)
		if !ok {
			break
		}
		dst = append(dst, r)
	}
	return dst, nil
}

// Sync makes all that was written durable.
func (d *Disk) Sync() error {
	if err := d.file.Sync(); err != nil {
		return fmt.Errorf("ring %s: sync: %w", d.dir, err)
	}
	if err := d.syncState(); err != nil {
		return fmt.Errorf("ring %s: sync: %w", d.dir, err)
	}
	d.synced = d.opts.Now()
	return nil
}

// Close makes all durable and lets go of the folder.
func (d *Disk) Close() error { return errors.Join(d.Sync(), d.file.Close()) }

func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// encode appends a record.
func encode(b []byte, number uint64, r wattveil.Reading) []byte {
	start := len(b)
	b = binary.BigEndian.AppendUint32(b, uint32(r.Time))
	b = appendRegister(b, r.Import)
	b = appendRegister(b, r.Export)
	b = binary.BigEndian.AppendUint16(b, uint16(r.Status))
	return binary.BigEndian.AppendUint32(b, checksum(number, b[start:]))
}

func appendRegister(b []byte, r wattveil.Register) []byte {
	n := uint64(r)
	return append(b, byte(n>>32), byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
}

func checksum(number uint64, fields []byte) uint32 {
	var prefix [8]byte
	binary.BigEndian.PutUint64(prefix[:], number)
	return crc32.Update(crc32.Checksum(prefix[:], castagnoli), castagnoli, fields)
}

// decode reads the record of a number at the beginning of b, or gives false.
func decode(number uint64, b []byte) (wattveil.Reading, bool) {
	if binary.BigEndian.Uint32(b[fieldsSize:]) != checksum(number, b[:fieldsSize]) {
		return wattveil.Reading{}, false
	}
	register := func(b []byte) wattveil.Register {
		return wattveil.Register(uint64(b[0])<<32 | uint64(binary.BigEndian.Uint32(b[1:])))
	}
	return wattveil.Reading{
		Time:   int64(binary.BigEndian.Uint32(b)),
		Import: register(b[4:]),
		Export: register(b[9:]),
		Status: wattveil.Status(binary.BigEndian.Uint16(b[14:])),
	}, true
}
