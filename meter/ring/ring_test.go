package ring_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/meter"
	"github.com/wattveil/wattveil/meter/ring"
)

var _ meter.Ring = (*ring.Disk)(nil)

const start = 1_767_225_600 // 2026-01-01 00:00 UTC

// reading is what the tests push as the n-th.
func reading(n uint64) wattveil.Reading {
	return wattveil.Reading{
		Time:   start + int64(n),
		Import: wattveil.Register((n*0x123456789 + 5) % wattveil.RegisterModulus),
		Export: wattveil.Register(n % 7),
		Status: wattveil.Status(n % 3),
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func openRing(t testing.TB, dir string, readings int) *ring.Disk {
	t.Helper()
	d, err := ring.Open(dir, ring.Options{Readings: readings})
	must(t, err)
	return d
}

func fill(t testing.TB, d *ring.Disk, from, to uint64) {
	t.Helper()
	for n := from; n < to; n++ {
		_, err := d.Push(reading(n))
		must(t, err)
	}
}

func span(t testing.TB, d *ring.Disk) (head, tail uint64) {
	t.Helper()
	_, head, tail, err := d.Load()
	must(t, err)
	return head, tail
}

// check holds the readings of two numbers and all between to what was pushed,
// read in pieces of several sizes.
func check(t testing.TB, d *ring.Disk, from, to uint64) {
	t.Helper()
	for _, size := range []int{1, 7, 96, 5000} {
		for n := from; n < to; {
			got, err := d.Read(make([]wattveil.Reading, 0, size), n)
			must(t, err)
			if len(got) == 0 {
				t.Fatalf("reading %d does not read", n)
			}
			for _, r := range got {
				if r != reading(n) {
					t.Fatalf("reading %d has another value", n)
				}
				n++
			}
		}
	}
}

func TestReadingsOutliveAStop(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ring")
	d := openRing(t, dir, 1000)
	if state, head, tail, err := d.Load(); state != nil || head != 0 || tail != 0 || err != nil {
		t.Fatalf("a new ring has state %v, readings %d to %d, %v", state, head, tail, err)
	}
	var at uint64
	for _, n := range []uint64{1, 63, 64, 65, 500, 999, 1000} {
		fill(t, d, at, n)
		at = n
		must(t, d.Save([]byte{byte(n)}))
		check(t, d, 0, n)
		d = openRing(t, dir, 1000) // without Close, as after a kill
		state, head, tail, err := d.Load()
		if !bytes.Equal(state, []byte{byte(n)}) || head != 0 || tail != n || err != nil {
			t.Fatalf("state %v, readings %d to %d, %v; want those of %d readings", state, head, tail, err, n)
		}
		check(t, d, 0, n)
		if newest, ok, err := d.Newest(); newest != reading(n-1) || !ok || err != nil {
			t.Fatalf("newest of %d readings is another: %v, %v", n, ok, err)
		}
	}
	must(t, d.Close())
	if _, ok, err := openRing(t, t.TempDir(), 10).Newest(); ok || err != nil {
		t.Errorf("an empty ring has a newest reading: %v, %v", ok, err)
	}
}

// The folder holds what it must and little more, however much passes through.
func TestRingIsBounded(t *testing.T) {
	for _, limit := range []uint64{1, 50, 96, 1000, 40_000} {
		dir := t.TempDir()
		d := openRing(t, dir, int(limit))
		total := 3*limit + 17
		for n := range total {
			head, err := d.Push(reading(n))
			must(t, err)
			if want := max(n+1, limit) - limit; head != want {
				t.Fatalf("limit %d: head %d after %d readings, want %d", limit, head, n+1, want)
			}
		}
		must(t, d.Close())
		d = openRing(t, dir, int(limit))
		head, tail := span(t, d)
		if head != total-limit || tail != total {
			t.Errorf("limit %d: readings %d to %d after a stop, want %d to %d", limit, head, tail, total-limit, total)
		}
		check(t, d, head, tail)
		if got, err := d.Read(make([]wattveil.Reading, 0, 1), 0); err != nil || len(got) != 1 || got[0] != reading(head) {
			t.Errorf("limit %d: reading from below the head gives %d readings, %v", limit, len(got), err)
		}
		size := folderSize(t, dir)
		if most := 20 * (limit + limit/8 + 64); uint64(size) > most {
			t.Errorf("limit %d: %d bytes on disk, want at most %d", limit, size, most)
		}
	}
}

func folderSize(t testing.TB, dir string) (n int64) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		info, err := e.Info()
		must(t, err)
		n += info.Size()
	}
	return n
}

func TestDrop(t *testing.T) {
	dir := t.TempDir()
	d := openRing(t, dir, 1000)
	fill(t, d, 0, 700)
	must(t, d.Drop(300))
	if head, tail := span(t, d); head != 300 || tail != 700 {
		t.Errorf("readings %d to %d, want 300 to 700", head, tail)
	}
	check(t, d, 300, 700)
	must(t, d.Drop(10)) // they are gone already
	must(t, d.Drop(5000))
	d = openRing(t, dir, 1000)
	if head, tail := span(t, d); head != 700 || tail != 700 {
		t.Errorf("readings %d to %d after all were dropped, want 700 to 700", head, tail)
	}
	if n := folderSize(t, dir); n != 0 {
		t.Errorf("%d bytes are left", n)
	}
	fill(t, d, 700, 800)
	check(t, d, 700, 800)
}

// lastSegment is the file with the newest readings.
func lastSegment(t testing.TB, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.readings"))
	must(t, err)
	return files[len(files)-1]
}

// A stop may cut the last segment at any byte.
func TestTornAtEveryByte(t *testing.T) {
	whole := t.TempDir()
	d := openRing(t, whole, 1000)
	fill(t, d, 0, 130)
	must(t, d.Close())
	name := filepath.Base(lastSegment(t, whole)) // from reading 125 on
	first, err := strconv.ParseUint(strings.TrimSuffix(name, ".readings"), 10, 64)
	must(t, err)
	content, err := os.ReadFile(filepath.Join(whole, name))
	must(t, err)
	for cut := range len(content) + 1 {
		for _, garbage := range [][]byte{nil, make([]byte, 33), bytes.Repeat([]byte{0xff}, 20)} {
			dir := copied(t, whole)
			must(t, os.WriteFile(filepath.Join(dir, name), append(bytes.Clone(content[:cut]), garbage...), 0o600))
			d := openRing(t, dir, 1000)
			kept := first + uint64(cut/20)
			if head, tail := span(t, d); head != 0 || tail != kept {
				t.Fatalf("cut at %d: readings %d to %d, want 0 to %d", cut, head, tail, kept)
			}
			check(t, d, 0, kept)
			fill(t, d, kept, 200)
			check(t, d, 0, 200)
			must(t, d.Close())
		}
	}
}

func copied(t testing.TB, from string) string {
	t.Helper()
	dir := t.TempDir()
	must(t, os.CopyFS(dir, os.DirFS(from)))
	return dir
}

// A reading whose bytes have changed does not read, and all others do.
func TestEveryByteIsChecked(t *testing.T) {
	whole := t.TempDir()
	d := openRing(t, whole, 1000)
	fill(t, d, 0, 250)
	must(t, d.Close())
	files, err := filepath.Glob(filepath.Join(whole, "*.readings"))
	must(t, err)
	for _, file := range []string{files[0], files[len(files)-1]} {
		name := filepath.Base(file)
		first, err := strconv.ParseUint(strings.TrimSuffix(name, ".readings"), 10, 64)
		must(t, err)
		content, err := os.ReadFile(file)
		must(t, err)
		content = content[:min(len(content), 100)]
		for at := range content {
			dir := copied(t, whole)
			flipByte(t, filepath.Join(dir, name), at)
			d := openRing(t, dir, 1000)
			bad := first + uint64(at/20)
			if got, err := d.Read(make([]wattveil.Reading, 0, 10), bad); err != nil || len(got) != 0 {
				t.Fatalf("byte %d of %s: %d readings from the damaged one on, %v", at, name, len(got), err)
			}
			check(t, d, 0, bad)
			if got, err := d.Read(make([]wattveil.Reading, 0, 1000), bad-min(bad, 20)); err != nil || len(got) != int(min(bad, 20)) {
				t.Fatalf("byte %d of %s: reading across the damaged one gives %d readings, %v", at, name, len(got), err)
			}
			_, tail := span(t, d)
			check(t, d, bad+1, tail)
			must(t, d.Close())
		}
	}
}

func flipByte(t testing.TB, path string, at int) {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	b[at] ^= 0x10
	must(t, os.WriteFile(path, b, 0o600))
}

// clock lets a test say when a sync is due.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

// Between two syncs the state that was synced last stays whole.
func TestStateTornAtEveryByte(t *testing.T) {
	whole := t.TempDir()
	c := &clock{now: time.Unix(start, 0)}
	d, err := ring.Open(whole, ring.Options{Readings: 10, SyncEvery: time.Minute, Now: c.Now})
	must(t, err)
	synced, newest := []byte("synced state, the longer of the two"), []byte("newest state")
	must(t, d.Save(synced)) // the first is synced
	for range 3 {
		must(t, d.Save([]byte("not synced")))
	}
	must(t, d.Save(newest))
	torn := 0
	for slot := range 2 {
		name := fmt.Sprintf("state.%d", slot)
		content, err := os.ReadFile(filepath.Join(whole, name))
		must(t, err)
		if !bytes.Contains(content, newest) {
			continue
		}
		for at := range len(content) - len("newest state") + len(newest) {
			for _, tear := range []func(path string){
				func(path string) { flipByte(t, path, at) },
				func(path string) { must(t, os.Truncate(path, int64(at))) },
			} {
				dir := copied(t, whole)
				tear(filepath.Join(dir, name))
				state, _, _, err := openRing(t, dir, 10).Load()
				must(t, err)
				if !bytes.Equal(state, synced) && !bytes.Equal(state, newest) {
					t.Fatalf("byte %d: state %q", at, state)
				}
				if bytes.Equal(state, synced) {
					torn++
				}
			}
		}
	}
	if torn == 0 {
		t.Error("no state was torn")
	}
	c.now = c.now.Add(time.Minute)
	must(t, d.Save(newest))
	must(t, d.Save([]byte("after the sync")))
	for slot := range 2 {
		dir := copied(t, whole)
		must(t, os.Remove(filepath.Join(dir, fmt.Sprintf("state.%d", slot))))
		state, _, _, err := openRing(t, dir, 10).Load()
		if err != nil || state == nil {
			t.Errorf("without state.%d: %q, %v", slot, state, err)
		}
	}
}

func TestStatesGoOnAfterManyStops(t *testing.T) {
	dir := t.TempDir()
	for n := range byte(20) {
		d := openRing(t, dir, 10)
		state, _, _, err := d.Load()
		must(t, err)
		if n > 0 && !bytes.Equal(state, []byte{n - 1, 1}) {
			t.Fatalf("start %d has state %v", n, state)
		}
		must(t, d.Save([]byte{n, 0}))
		must(t, d.Save([]byte{n, 1}))
	}
}

// Each sees what is written, changes nothing, and tells what is damaged.
func TestEachBesideAWriter(t *testing.T) {
	dir := t.TempDir()
	d := openRing(t, dir, 1000)
	fill(t, d, 0, 300)
	f, err := os.OpenFile(lastSegment(t, dir), os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = f.Write([]byte{1, 2, 3, 4, 5, 6, 7}) // half a record is being written
	must(t, err)
	must(t, f.Close())
	flipByte(t, filepath.Join(dir, fmt.Sprintf("%020d.readings", 0)), 45)
	var n uint64
	damaged, err := ring.Each(dir, func(r wattveil.Reading) error {
		if n == 2 {
			n++
		}
		if r != reading(n) {
			t.Fatalf("reading %d has another value", n)
		}
		n++
		return nil
	})
	if err != nil || n != 300 || damaged != 1 {
		t.Errorf("%d readings, %d damaged, %v", n, damaged, err)
	}
	if _, err := ring.Each(filepath.Join(dir, "none"), nil); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("no folder: %v", err)
	}
	stop := fmt.Errorf("enough")
	if _, err := ring.Each(dir, func(wattveil.Reading) error { return stop }); err != stop {
		t.Errorf("a stopped walk gives %v", err)
	}
}

func TestRefusals(t *testing.T) {
	if _, err := ring.Open(t.TempDir(), ring.Options{}); err == nil {
		t.Error("a ring for no readings opens")
	}
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	if _, err := ring.Open(file, ring.Options{Readings: 1}); err == nil {
		t.Error("a file opens as a ring")
	}
	d := openRing(t, t.TempDir(), 10)
	for _, at := range []int64{-1, 1 << 32} {
		if _, err := d.Push(wattveil.Reading{Time: at}); err == nil {
			t.Errorf("a reading at %d is kept", at)
		}
	}
	if err := d.Save(make([]byte, 17<<20)); err == nil {
		t.Error("a state of 17 MiB is saved")
	}
}

// A disk that fails costs no number: what could not be written is written
// later.
func TestFailedDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ring")
	d := openRing(t, dir, 1000)
	fill(t, d, 0, 125) // the segment is full
	away := dir + ".away"
	must(t, os.Rename(dir, away))
	for range 3 {
		if _, err := d.Push(reading(125)); err == nil {
			t.Fatal("kept in a folder that is not there")
		}
		if err := d.Save([]byte("state")); err == nil {
			t.Fatal("saved in a folder that is not there")
		}
		if err := d.Drop(130); err == nil {
			t.Fatal("dropped in a folder that is not there")
		}
	}
	must(t, os.Rename(away, dir))
	fill(t, d, 125, 300)
	must(t, d.Save([]byte("state")))
	head, tail := span(t, openRing(t, dir, 1000))
	if head != 0 || tail != 300 {
		t.Errorf("readings %d to %d, want 0 to 300", head, tail)
	}
	check(t, d, 0, 300)
}

func TestRingRedacts(t *testing.T) {
	d := openRing(t, t.TempDir(), 10)
	_, err := d.Push(wattveil.Reading{Time: start, Import: 987654321})
	must(t, err)
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("ring", "ring", d)
	asJSON, err := json.Marshal(d)
	must(t, err)
	for _, out := range []string{fmt.Sprintf("%v %+v %#v %d %s", d, d, d, d, d), log.String(), string(asJSON)} {
		if !strings.Contains(out, "[redacted]") || strings.Contains(out, "987654321") {
			t.Errorf("shown as %s", out)
		}
	}
}

// A process that is killed at any moment loses nothing that Push took. The
// test runs itself as that process.
func TestKilledAtAnyMoment(t *testing.T) {
	if dir := os.Getenv("RING_KILLED_DIR"); dir != "" {
		pushForever(t, dir)
		return
	}
	dir := t.TempDir()
	taken := uint64(0)
	for round := range 12 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilledAtAnyMoment$")
		cmd.Env = append(os.Environ(), "RING_KILLED_DIR="+dir)
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		lines := bufio.NewScanner(out)
		for enough := taken + uint64(150+round*37); taken < enough && lines.Scan(); {
			if n, err := strconv.ParseUint(lines.Text(), 10, 64); err == nil {
				taken = n + 1
			}
		}
		must(t, cmd.Process.Kill())
		for lines.Scan() { // what it said before it died
			if n, err := strconv.ParseUint(lines.Text(), 10, 64); err == nil {
				taken = n + 1
			}
		}
		_ = cmd.Wait() // killed
		d := openRing(t, dir, 1<<20)
		state, head, tail, err := d.Load()
		must(t, err)
		if head != 0 || tail < taken {
			t.Fatalf("round %d: readings %d to %d, the process had %d", round, head, tail, taken)
		}
		if n, err := strconv.ParseUint(string(state), 10, 64); taken > 0 && (err != nil || n > tail) {
			t.Fatalf("round %d: state %q of %d readings", round, state, tail)
		}
		check(t, d, 0, tail)
		must(t, d.Close())
	}
}

// pushForever goes on where the ring ends and says each number that it holds.
func pushForever(t *testing.T, dir string) {
	d := openRing(t, dir, 1<<20)
	_, n := span(t, d)
	for ; ; n++ {
		_, err := d.Push(reading(n))
		must(t, err)
		must(t, d.Save(strconv.AppendUint(nil, n, 10)))
		fmt.Println(n)
	}
}

// Whatever lies in a folder, a ring opens and gives only readings whose records
// are whole.
func FuzzOpen(f *testing.F) {
	whole := f.TempDir()
	d := openRing(f, whole, 10)
	fill(f, d, 0, 5)
	must(f, d.Save([]byte("state")))
	segment, err := os.ReadFile(lastSegment(f, whole))
	must(f, err)
	state, err := os.ReadFile(filepath.Join(whole, "state.0"))
	must(f, err)
	f.Add(segment, state)
	f.Add(segment[:50], state[:10])
	f.Add([]byte{}, []byte{})
	f.Fuzz(func(t *testing.T, segment, state []byte) {
		dir := t.TempDir()
		name := filepath.Join(dir, fmt.Sprintf("%020d.readings", 0))
		must(t, os.WriteFile(name, segment, 0o600))
		must(t, os.WriteFile(filepath.Join(dir, "state.1"), state, 0o600))
		d := openRing(t, dir, 1000)
		_, head, tail, err := d.Load()
		must(t, err)
		for n := head; n < tail; n++ {
			got, err := d.Read(make([]wattveil.Reading, 0, 1), n)
			must(t, err)
			if len(got) == 1 {
				again := t.TempDir()
				e := openRing(t, again, 1000)
				fill(t, e, 0, n)
				_, err := e.Push(got[0])
				must(t, err)
				written, err := os.ReadFile(filepath.Join(again, fmt.Sprintf("%020d.readings", 0)))
				if err == nil && n < 64 && !bytes.Equal(written[20*n:20*n+20], segment[20*n:20*n+20]) {
					t.Fatalf("record %d is read and written as other bytes", n)
				}
				must(t, e.Close())
			}
		}
		fill(t, d, tail, tail+3)
		check(t, d, tail, tail+3)
		must(t, d.Close())
	})
}
