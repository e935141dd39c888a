package pebble

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/readings"
)

// wantText checks that an error says something.
func wantText(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want one with %q", parts)
		return
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("got error %q, want one with %q", err, p)
		}
	}
}

// folderVariable names the folder to a second process of the test.
const folderVariable = "WATTVEIL_TEST_FOLDER"

func TestOneProcessAtATime(t *testing.T) {
	if dir := os.Getenv(folderVariable); dir != "" { // the second process
		_, err := Open(dir, Options{})
		fmt.Println(err)
		return
	}
	dir := t.TempDir()
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(dir, Options{})
	wantText(t, err, dir, "another process")

	second := exec.Command(os.Args[0], "-test.run=^TestOneProcessAtATime$", "-test.v")
	second.Env = append(os.Environ(), folderVariable+"="+dir)
	out, err := second.CombinedOutput()
	if err != nil {
		t.Fatalf("second process: %v\n%s", err, out)
	}
	if !strings.Contains(string(out), "is another process using it") {
		t.Errorf("the second process said:\n%s", out)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(dir, Options{}); err != nil {
		t.Fatalf("open after close: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestFolderThatCannotBe(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(file, "store")
	_, err := Open(dir, Options{})
	wantText(t, err, "make the folder", dir)
}

func TestReadOnlyFolder(t *testing.T) {
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpLock {
			return syscall.EACCES
		}
		return nil
	}))
	_, err := Open("store", Options{FS: fs})
	wantText(t, err, "lock the folder", "may this one write to it", "permission denied")
}

func TestFolderIsPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "store")
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o700 {
		t.Errorf("the folder has mode %o, want 700", got)
	}
}

// set writes keys into the database of a closed store.
func set(t *testing.T, fs vfs.FS, merger *pebble.Merger, pairs ...[]byte) {
	t.Helper()
	db, err := pebble.Open("store", &pebble.Options{FS: fs, Merger: merger, FormatMajorVersion: pebble.FormatValueSeparation, Logger: engineLog{slog.New(slog.DiscardHandler)}})
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(pairs); i += 2 {
		if err := db.Set(pairs[i], pairs[i+1], pebble.Sync); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestForeignFolders(t *testing.T) {
	stamp := make([]byte, 8)
	tests := []struct {
		name   string
		merger *pebble.Merger
		pairs  [][]byte
		want   string
	}{
		{"later layout", newMerger(), [][]byte{versionKey(), {0, 0, 0, 2}, stampKey(), stamp}, "layout has version 00000002, and this program knows version 1"},
		{"malformed version", newMerger(), [][]byte{versionKey(), {1}, stampKey(), stamp}, "layout has version 01"},
		{"no stamp", newMerger(), [][]byte{versionKey(), {0, 0, 0, 1}}, "next stamp is missing"},
		{"other keys", newMerger(), [][]byte{{1}, {2}}, "not a store of readings"},
		{"other operator", &pebble.Merger{Name: "wattveil.day.v2", Merge: newMerger().Merge}, nil, "merger name"},
	}
	for _, tt := range tests {
		fs := vfs.NewMem()
		set(t, fs, tt.merger, tt.pairs...)
		for range 2 { // the folder is let go of
			_, err := Open("store", Options{FS: fs})
			wantText(t, err, tt.want)
		}
	}
}

// TestEmptyDatabase opens a folder whose first process ended before it wrote
// the version.
func TestEmptyDatabase(t *testing.T) {
	fs := vfs.NewMem()
	set(t, fs, newMerger())
	openIn(t, fs)
}

// TestDamagedOperand plants bytes that cannot be decoded beside sound ones.
func TestDamagedOperand(t *testing.T) {
	fs := vfs.NewMem()
	s := openIn(t, fs)
	ctx := context.Background()
	m := crashBatch(0)[0].Meter
	junk := []byte{0xde, 0xad}
	for n := range 200 { // two days and a bit
		if err := s.Append(ctx, crashBatch(n)); err != nil {
			t.Fatal(err)
		}
		if n == 50 {
			err := errors.Join(
				s.db.Merge(appendDayKey(nil, m, 0), junk, pebble.Sync),
				s.db.Merge(appendDayKey(nil, m, 2), nil, pebble.Sync),
				s.db.Merge(appendDayKey(nil, m, 9), junk, pebble.Sync),
				s.db.Merge(appendPageKey(nil, m, 1, 0), junk, pebble.Sync),
			)
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	check := func(s *Store) {
		t.Helper()
		got, err := s.Read(ctx, m, 0, readings.MaxTime)
		if !errors.Is(err, readings.ErrCorrupt) {
			t.Fatalf("got error %v", err)
		}
		wantText(t, err, m.String(), "1970-01-01", "1970-01-03", "1970-01-10")
		if damaged := new(readings.CorruptError); !errors.As(err, &damaged) || damaged.Meter != m || !damaged.Day.Equal(time.Unix(0, 0)) {
			t.Errorf("got %v", damaged)
		}
		if len(got.Runs) != 1 || len(got.Runs[0].Readings) != 200 {
			t.Errorf("the sound readings are gone: %d runs", len(got.Runs))
		}
		if _, err := s.Read(ctx, m, secondsPerDay, 2*secondsPerDay-1); err != nil {
			t.Errorf("the day between: %v", err)
		}
		if _, err := s.Read(ctx, crashBatch(0)[1].Meter, 0, readings.MaxTime); err != nil {
			t.Errorf("another meter: %v", err)
		}
		digests, err := s.Digests(ctx, m, 1, 7)
		if !errors.Is(err, readings.ErrCorrupt) || len(digests) != 1 {
			t.Errorf("got digests %x, error %v", digests, err)
		}
		_, _, err = s.LastCounter(ctx, m, 1)
		wantText(t, err, m.String(), "epoch 1", readings.ErrCorrupt.Error())
	}
	check(s)
	for range 2 {
		if err := s.Compact(ctx); err != nil {
			t.Fatal(err)
		}
		check(s)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openIn(t, fs)
	check(s)
	if err := s.DropEpoch(ctx, m, 1); err != nil {
		t.Fatal(err)
	}
	if digests, err := s.Digests(ctx, m, 1, 7); err != nil || len(digests) != 0 {
		t.Errorf("after the epoch is dropped: digests %x, error %v", digests, err)
	}
}

// faulty is a file system of which writes can be made to fail.
type faulty struct {
	failures atomic.Int64 // how many are still to fail
	suffix   string       // of the files concerned
	err      error
}

func (f *faulty) wrap(fs vfs.FS) vfs.FS {
	return errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		concerned := op.Kind.ReadOrWrite() == errorfs.OpIsWrite && strings.HasSuffix(op.Path, f.suffix)
		if concerned && f.failures.Load() > 0 && f.failures.Add(-1) >= 0 {
			return f.err
		}
		return nil
	}))
}

// TestFullDisk fills the disk under the log. Appends fail and say why, reads
// go on, and once there is room a new Open finds all that was acknowledged.
func TestFullDisk(t *testing.T) {
	for _, writers := range []int{1, 4} {
		t.Run(fmt.Sprintf("%d writers", writers), func(t *testing.T) {
			disk := vfs.NewCrashableMem()
			f := &faulty{suffix: ".log", err: syscall.ENOSPC}
			s, err := Open("store", Options{FS: f.wrap(disk)})
			if err != nil {
				t.Fatal(err)
			}
			const acknowledged = 50
			for n := range acknowledged {
				if err := s.Append(context.Background(), crashBatch(n)); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Failed(); err != nil {
				t.Errorf("before: %v", err)
			}
			f.failures.Store(math.MaxInt64)
			var wg sync.WaitGroup
			for range writers {
				wg.Go(func() {
					for range 5 {
						wantText(t, s.Append(context.Background(), crashBatch(acknowledged)), "store", syscall.ENOSPC.Error())
					}
				})
			}
			wg.Wait()
			wantText(t, s.Failed(), "readings in store", syscall.ENOSPC.Error())
			if n := stored(t, s); n < acknowledged {
				t.Errorf("%d batches can be read, want %d", n, acknowledged)
			}
			after := disk.CrashClone(vfs.CrashCloneCfg{})
			_ = s.Close() // whether the engine finds something to complain of is its affair
			if n := stored(t, openIn(t, after)); n != acknowledged {
				t.Errorf("%d batches are left, want %d", n, acknowledged)
			}
		})
	}
}

// TestEnginePanics stops the engine in the middle of a write, as it does when
// the log fails under a batch of which the sync is not waited for yet.
func TestEnginePanics(t *testing.T) {
	s := openIn(t, vfs.NewMem())
	err := s.commit(0, func(*pebble.Batch, uint64) (uint64, error) { panic("no space left") })
	wantText(t, err, "no space left")
	wantText(t, s.Append(context.Background(), crashBatch(0)), "no space left", "start the process again")
	if n := stored(t, s); n != 0 {
		t.Errorf("%d batches", n)
	}
	wantText(t, s.Close(), "stays open until the process ends")
}

// TestBackgroundError lets a flush fail once: the next Append says so, and the
// one after it is well again.
func TestBackgroundError(t *testing.T) {
	f := &faulty{suffix: ".sst", err: syscall.ENOSPC}
	s := openIn(t, f.wrap(vfs.NewMem()))
	if err := s.Append(context.Background(), crashBatch(0)); err != nil {
		t.Fatal(err)
	}
	f.failures.Store(1)
	if err := s.db.Flush(); err != nil { // the engine tries again by itself
		t.Fatal(err)
	}
	wantText(t, s.Append(context.Background(), crashBatch(1)), "background", syscall.ENOSPC.Error())
	if err := s.Append(context.Background(), crashBatch(1)); err != nil {
		t.Errorf("append after the flush worked: %v", err)
	}
	if n := stored(t, s); n != 2 {
		t.Errorf("%d batches, want 2", n)
	}
}

// TestLogsShowNobody looks for planted pseudonyms and registers in all that is
// logged while a store is written, compacted, read and opened again.
func TestLogsShowNobody(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	const pseudonym, register = 0x5a5b5c5d5e5f6a6b, 0x7172737475
	dir := t.TempDir()
	for n := range 3 {
		s, err := Open(dir, Options{Logger: log})
		if err != nil {
			t.Fatal(err)
		}
		b := crashBatch(n)
		for i := range b {
			b[i].Meter.Pseudonym = pseudonym
			b[i].Readings[0].Import = register
		}
		if err := s.Append(context.Background(), b); err != nil {
			t.Fatal(err)
		}
		if err := s.Compact(context.Background()); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Read(context.Background(), b[0].Meter, 0, readings.MaxTime); err != nil {
			t.Fatal(err)
		}
		events := s.events()
		events.DataCorruption(pebble.DataCorruptionInfo{Path: "000004.sst", Bounds: pebble.KeyRange{
			Start: appendDayKey(nil, b[0].Meter, 0), End: appendDayKey(nil, b[0].Meter, 1),
		}.UserKeyBounds()})
		s.log.Debug("what the engine formats", "key", fmt.Sprint(s.engineOptions(Options{}).Comparer.FormatKey(appendDayKey(nil, b[0].Meter, 0))))
		err = s.Append(context.Background(), b)
		wantText(t, err, "000004.sst")
		log.Error("append", "error", err)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	raw := binary.BigEndian.AppendUint64(nil, pseudonym)
	for _, planted := range []string{
		wattveil.Pseudonym(pseudonym).String(), string(raw), fmt.Sprintf("%X", raw), fmt.Sprintf("% x", raw),
		fmt.Sprintf("%q", raw), fmt.Sprint(uint64(pseudonym)), fmt.Sprint(register), fmt.Sprintf("%x", register),
	} {
		if strings.Contains(out.String(), strings.Trim(planted, `"`)) {
			t.Errorf("the log shows %q", planted)
		}
	}
	if !strings.Contains(out.String(), "engine of the readings") {
		t.Errorf("the engine logged nothing:\n%s", out.String())
	}
}

// TestOpenFails lets each write that Open makes fail in turn. Open says so, or
// does without; it neither panics nor hangs.
func TestOpenFails(t *testing.T) {
	for n := int64(0); ; n++ {
		var writes atomic.Int64
		fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && writes.Add(1) == n+1 {
				return syscall.ENOSPC
			}
			return nil
		}))
		s, err := Open("store", Options{FS: fs})
		if err != nil {
			wantText(t, err, "open the readings in store", syscall.ENOSPC.Error())
			continue
		}
		if s.Close() == nil && writes.Load() <= n {
			return // all writes were tried
		}
	}
}

func TestUsage(t *testing.T) {
	s := openIn(t, vfs.NewMem())
	ctx := context.Background()
	for n := range 100 {
		if err := s.Append(ctx, crashBatch(n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Compact(ctx); err != nil {
		t.Fatal(err)
	}
	u, err := s.Usage(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if u.Readings == 0 || u.Digests == 0 {
		t.Errorf("got %+v", u)
	}
	if n := stored(t, s); n != 100 {
		t.Errorf("%d batches, want 100", n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Usage(ctx); !errors.Is(err, readings.ErrClosed) {
		t.Errorf("usage of a closed store: %v", err)
	}
	if err := s.Compact(ctx); !errors.Is(err, readings.ErrClosed) {
		t.Errorf("compact a closed store: %v", err)
	}
}

// TestFatal is what the engine gets when it cannot go on: a panic, which names
// the cause.
func TestFatal(t *testing.T) {
	defer func() {
		if p := recover(); p == nil || !strings.Contains(fmt.Sprint(p), "MANIFEST flush failed") {
			t.Errorf("got %v", p)
		}
	}()
	engineLog{slog.New(slog.DiscardHandler)}.Fatalf("MANIFEST %s failed", "flush")
}
