package queue

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/collector"
)

const meter = wattveil.MeterID(0x0123456789abcdef)

func open(t *testing.T, dir string, o Options) *Queue {
	t.Helper()
	q, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	return q
}

func put(t *testing.T, q *Queue, frames ...string) {
	t.Helper()
	for _, f := range frames {
		if err := q.Put(meter, []byte(f)); err != nil {
			t.Fatalf("Put(%q): %v", f, err)
		}
	}
}

// contents is the queue as "number:frame", oldest first.
func contents(t *testing.T, q *Queue) string {
	t.Helper()
	items, err := q.Items(0, 1<<20, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return text(items)
}

func text(items []collector.Item) string {
	var words []string
	for _, item := range items {
		words = append(words, fmt.Sprintf("%d:%s", item.Seq, item.Frame))
	}
	return strings.Join(words, " ")
}

func settle(t *testing.T, q *Queue, deleted, quarantined []uint64) {
	t.Helper()
	if err := q.Settle(deleted, quarantined); err != nil {
		t.Fatal(err)
	}
}

func TestItems(t *testing.T) {
	q := open(t, t.TempDir(), Options{})
	put(t, q, "aa", "bbb", "c", "dd")
	for _, test := range []struct {
		after         uint64
		max, maxBytes int
		want          string
	}{
		{0, 9, 100, "1:aa 2:bbb 3:c 4:dd"},
		{0, 2, 100, "1:aa 2:bbb"},
		{0, 0, 100, ""},
		{0, 9, 5, "1:aa 2:bbb"},
		{0, 9, 4, "1:aa"},
		{0, 9, 1, ""},
		{2, 9, 100, "3:c 4:dd"},
		{4, 9, 100, ""},
		{^uint64(0), 9, 100, ""},
	} {
		items, err := q.Items(test.after, test.max, test.maxBytes)
		if err != nil || text(items) != test.want {
			t.Errorf("Items(%d, %d, %d) = %q, %v; want %q", test.after, test.max, test.maxBytes, text(items), err, test.want)
		}
		for _, item := range items {
			if item.ID != meter {
				t.Errorf("item %d is of meter %v", item.Seq, item.ID)
			}
		}
	}
}

func TestPutRefusesWhatNoBodyCarries(t *testing.T) {
	q := open(t, t.TempDir(), Options{})
	for _, size := range []int{0, maxFrame + 1} {
		if err := q.Put(meter, make([]byte, size)); err == nil {
			t.Errorf("Put of %d bytes succeeds", size)
		}
	}
	if err := q.Put(meter, make([]byte, maxFrame)); err != nil {
		t.Errorf("Put of %d bytes: %v", maxFrame, err)
	}
}

func TestSettle(t *testing.T) {
	for _, test := range []struct {
		name                 string
		deleted, quarantined []uint64
		queue, quarantine    string
		bytes                int64
	}{
		{"nothing", nil, nil, "1:a 2:bb 3:ccc 4:dddd", "", 10},
		{"deleted", []uint64{3, 1}, nil, "2:bb 4:dddd", "", 6},
		{"quarantined", nil, []uint64{4, 2}, "1:a 3:ccc", "2:bb 4:dddd", 4},
		{"both kinds", []uint64{1, 2}, []uint64{3}, "4:dddd", "3:ccc", 4},
		{"named twice", []uint64{1, 1, 2}, []uint64{2, 2}, "3:ccc 4:dddd", "2:bb", 7},
		{"unknown", []uint64{0, 5, 99}, []uint64{7}, "1:a 2:bb 3:ccc 4:dddd", "", 10},
		{"all", []uint64{1, 2, 3, 4}, nil, "", "", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			q := open(t, dir, Options{})
			put(t, q, "a", "bb", "ccc", "dddd")
			settle(t, q, test.deleted, test.quarantined)
			settle(t, q, test.deleted, test.quarantined) // a repeat changes nothing
			for range 2 {
				quarantine, err := q.Quarantine(10)
				if err != nil {
					t.Fatal(err)
				}
				kept, _ := q.Quarantined()
				if got := contents(t, q); got != test.queue || text(quarantine) != test.quarantine {
					t.Errorf("queue %q and quarantine %q, want %q and %q", got, text(quarantine), test.queue, test.quarantine)
				}
				if q.Bytes() != test.bytes || q.Len() != len(strings.Fields(test.queue)) || kept != len(quarantine) {
					t.Errorf("counts %d frames, %d bytes, %d in quarantine", q.Len(), q.Bytes(), kept)
				}
				if err := q.Close(); err != nil {
					t.Fatal(err)
				}
				q = open(t, dir, Options{})
			}
		})
	}
}

func TestNumbersNeverRestart(t *testing.T) {
	dir := t.TempDir()
	q := open(t, dir, Options{})
	put(t, q, "a", "b", "c")
	settle(t, q, []uint64{1, 2, 3}, nil)
	for i := range 3 {
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
		q = open(t, dir, Options{})
		put(t, q, "d")
		if got, want := contents(t, q), fmt.Sprintf("%d:d", 4+i); got != want {
			t.Errorf("after reopening, the queue is %q, want %q", got, want)
		}
		settle(t, q, []uint64{uint64(4 + i)}, nil)
	}
}

func TestFull(t *testing.T) {
	for name, o := range map[string]Options{
		"frames": {MaxFrames: 3},
		"bytes":  {MaxBytes: 8},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			q := open(t, dir, o)
			put(t, q, "aa", "bb", "ccc")
			for range 2 {
				if err := q.Put(meter, []byte("dd")); !errors.Is(err, collector.ErrFull) {
					t.Fatalf("Put into a full queue: %v", err)
				}
				if err := q.Close(); err != nil {
					t.Fatal(err)
				}
				q = open(t, dir, o)
			}
			settle(t, q, nil, []uint64{1}) // what is in quarantine takes no room
			put(t, q, "dd")
			if got := contents(t, q); got != "2:bb 3:ccc 4:dd" {
				t.Errorf("the queue is %q", got)
			}
		})
	}
}

func TestFullUnderConcurrency(t *testing.T) {
	q := open(t, "queue", Options{FS: vfs.NewMem(), MaxFrames: 100})
	var full, taken sync.Map
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 25 {
				switch err := q.Put(meter, []byte{byte(i), byte(j)}); {
				case err == nil:
					taken.Store([2]int{i, j}, true)
				case errors.Is(err, collector.ErrFull):
					full.Store([2]int{i, j}, true)
				default:
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if q.Len() != 100 || size(&taken) != 100 || size(&full) != 100 {
		t.Errorf("the queue has %d frames, %d were taken, %d refused; want 100 each", q.Len(), size(&taken), size(&full))
	}
}

func size(m *sync.Map) (n int) {
	m.Range(func(any, any) bool { n++; return true })
	return n
}

func TestQuarantineIsBounded(t *testing.T) {
	dir := t.TempDir()
	q := open(t, dir, Options{MaxQuarantine: 3})
	put(t, q, "a", "b", "c", "d", "e", "f", "g")
	settle(t, q, nil, []uint64{2, 3})
	settle(t, q, nil, []uint64{1, 6, 7})
	want := "3:c 6:f 7:g"
	for range 2 {
		items, err := q.Quarantine(10)
		if err != nil || text(items) != want {
			t.Errorf("the quarantine is %q, %v; want %q", text(items), err, want)
		}
		if kept, discarded := q.Quarantined(); kept != 3 || discarded != 2 {
			t.Errorf("Quarantined() = %d, %d; want 3, 2", kept, discarded)
		}
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
		q = open(t, dir, Options{MaxQuarantine: 3})
	}
}

func TestOldest(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	q := open(t, t.TempDir(), Options{Now: func() time.Time { return now }})
	oldest := func() time.Time {
		t.Helper()
		at, err := q.Oldest()
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	if !oldest().IsZero() {
		t.Errorf("an empty queue's oldest frame is of %v", oldest())
	}
	put(t, q, "a")
	now = now.Add(time.Minute)
	put(t, q, "b")
	if want := now.Add(-time.Minute); !oldest().Equal(want) {
		t.Errorf("the oldest frame is of %v, want %v", oldest(), want)
	}
	settle(t, q, []uint64{1}, nil)
	if !oldest().Equal(now) {
		t.Errorf("the oldest frame is of %v, want %v", oldest(), now)
	}
}

// TestCrash stops the machine at a random moment of a busy queue, with a random
// part of what was not synced, and looks for every frame that Put took.
func TestCrash(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			fs := vfs.NewCrashableMem()
			q := open(t, "queue", Options{FS: fs})
			held, settled, clone := busy(t, q, fs, rng)
			after := open(t, "queue", Options{FS: clone})
			there := map[string]uint64{}
			items, err := after.Items(0, 1<<20, 1<<30)
			if err != nil {
				t.Fatal(err)
			}
			highest := uint64(0)
			for _, item := range items {
				there[string(item.Frame)] = item.Seq
				highest = item.Seq
			}
			for _, frame := range held {
				if _, ok := there[frame]; !ok && !settled[frame] {
					t.Errorf("frame %q was held and is gone", frame)
				}
			}
			put(t, after, "after the crash")
			last, err := after.Items(highest, 10, 100)
			if err != nil || len(last) != 1 || string(last[0].Frame) != "after the crash" {
				t.Errorf("behind number %d is %q, %v", highest, text(last), err)
			}
		})
	}
}

// busy puts and settles from several goroutines and crashes meanwhile. It
// returns what Put had taken before the crash, and what was ever settled.
func busy(t *testing.T, q *Queue, fs *vfs.MemFS, rng *rand.Rand) (held []string, settled map[string]bool, clone *vfs.MemFS) {
	var mu sync.Mutex
	var taken []string
	settled = map[string]bool{}
	crashAt := 50 + rng.IntN(150)
	crash := make(chan struct{})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 60 {
				frame := fmt.Sprintf("%d-%d", i/2, j) // two put the same
				if err := q.Put(meter, []byte(frame)); err != nil {
					t.Error(err)
				}
				mu.Lock()
				if taken = append(taken, frame); len(taken) == crashAt {
					close(crash)
				}
				mu.Unlock()
			}
		})
	}
	wg.Go(func() {
		for range 20 {
			items, err := q.Items(0, 5, 1000)
			if err != nil {
				t.Error(err)
			}
			var seqs []uint64
			mu.Lock()
			for _, item := range items {
				seqs = append(seqs, item.Seq)
				settled[string(item.Frame)] = true
			}
			mu.Unlock()
			if err := q.Settle(seqs, nil); err != nil {
				t.Error(err)
			}
		}
	})
	<-crash
	mu.Lock()
	held = slices.Clone(taken)
	mu.Unlock()
	clone = fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
	wg.Wait()
	return held, settled, clone
}

// TestDiskFails: once the log cannot be written, no call succeeds or hangs.
func TestDiskFails(t *testing.T) {
	fails := errorfs.Toggle{Injector: errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && strings.HasSuffix(op.Path, ".log") {
			return errorfs.ErrInjected
		}
		return nil
	})}
	q, err := Open("queue", Options{FS: errorfs.Wrap(vfs.NewMem(), &fails)})
	if err != nil {
		t.Fatal(err)
	}
	put(t, q, "a")
	fails.On()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 5 {
				if err := q.Put(meter, []byte("b")); err == nil {
					t.Error("Put succeeds on a broken disk")
				}
			}
		})
	}
	wg.Wait()
	if err := q.Settle([]uint64{1}, nil); err == nil {
		t.Error("Settle succeeds on a broken disk")
	}
	_ = q.Close() // an error, or not: it returns
}

func TestClosed(t *testing.T) {
	q := open(t, t.TempDir(), Options{})
	for range 2 {
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
	}
	_, items := q.Items(0, 1, 1)
	_, quarantine := q.Quarantine(1)
	_, oldest := q.Oldest()
	for name, err := range map[string]error{
		"Put": q.Put(meter, []byte("a")), "Settle": q.Settle(nil, nil),
		"Items": items, "Quarantine": quarantine, "Oldest": oldest,
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s of a closed queue: %v", name, err)
		}
	}
}

func TestOneProcess(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, Options{})
	_, err := Open(dir, Options{})
	if err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("second Open: %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	set := func(key, value []byte) func(*testing.T, *pebble.DB) {
		return func(t *testing.T, db *pebble.DB) {
			if err := db.Set(key, value, pebble.Sync); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, test := range []struct {
		name  string
		spoil func(*testing.T, *pebble.DB)
		want  string
	}{
		{"another layout", set(versionKey(), []byte{0, 0, 0, 2}), "version 00000002"},
		{"a short state", set(stateKey(), []byte{1}), "damaged"},
		{"a short item", set(itemKey(kindItem, 1), make([]byte, itemHead)), "damaged"},
		{"a long key", set(append(itemKey(kindItem, 1), 0), make([]byte, itemHead+1)), "damaged"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "queue")
			q := open(t, dir, Options{})
			test.spoil(t, q.db)
			if err := q.Close(); err != nil {
				t.Fatal(err)
			}
			_, err := Open(dir, Options{})
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), dir) {
				t.Errorf("Open: %v, want %q", err, test.want)
			}
		})
	}
}

func TestOpenRefusesAnotherDatabase(t *testing.T) {
	dir := t.TempDir()
	db, err := pebble.Open(dir, &pebble.Options{FormatMajorVersion: pebble.FormatValueSeparation, Logger: engineLog{slog.New(slog.DiscardHandler)}})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Set([]byte("key"), nil, pebble.Sync), db.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, Options{}); err == nil || !strings.Contains(err.Error(), "not a queue") {
		t.Errorf("Open: %v", err)
	}
}

// TestLayout holds the package comment to the bytes on the disk.
func TestLayout(t *testing.T) {
	q := open(t, t.TempDir(), Options{Now: func() time.Time { return time.Unix(0x65432100, 0) }})
	put(t, q, "x", "yz")
	settle(t, q, nil, []uint64{2})
	want := "006e 00000000000000030000000000000000\n" +
		"0076 00000001\n" +
		"010000000000000001 00000000654321000123456789abcdef78\n" +
		"020000000000000002 00000000654321000123456789abcdef797a\n"
	it, err := q.db.NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	for ok := it.First(); ok; ok = it.Next() {
		fmt.Fprintf(&got, "%x %x\n", it.Key(), it.Value())
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	if got.String() != want {
		t.Errorf("the database holds\n%swant\n%s", &got, want)
	}
}

func FuzzParseItem(f *testing.F) {
	f.Add(appendItem(nil, time.Unix(1_700_000_000, 0), meter, []byte{1}))
	f.Add(make([]byte, itemHead))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, value []byte) {
		id, frame, err := parseItem(value)
		if err != nil {
			return
		}
		again := appendItem(nil, time.Unix(0, 0), id, frame)
		if !bytes.Equal(again[8:], value[8:]) {
			t.Errorf("%x becomes %x", value, again)
		}
	})
}

func BenchmarkPut(b *testing.B) {
	q, err := Open(b.TempDir(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = q.Close() }()
	var number atomic.Uint64
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		frame := make([]byte, 454)
		for pb.Next() {
			binary.BigEndian.PutUint64(frame, number.Add(1)) // each frame is another one
			if err := q.Put(meter, frame); err != nil && !errors.Is(err, collector.ErrFull) {
				b.Error(err)
			}
		}
	})
}
