package queue

import (
	"errors"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/wattveil/wattveil/collector"
)

// A frame takes one place while the queue has it, also over a restart and in a
// full queue; what has left the queue is put anew.
func TestRepeats(t *testing.T) {
	dir := t.TempDir()
	o := Options{MaxFrames: 4}
	q := open(t, dir, o)
	put(t, q, "a", "b", "a", "a")
	if err := q.Put(meter+1, []byte("a")); err != nil { // another meter's
		t.Fatal(err)
	}
	want := "1:a 2:b 3:a"
	for range 2 {
		put(t, q, "b", "a")
		if got := contents(t, q); got != want || q.Len() != 3 || q.Bytes() != 3 {
			t.Errorf("the queue is %q, %d frames and %d bytes; want %q", got, q.Len(), q.Bytes(), want)
		}
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
		q = open(t, dir, o)
	}
	put(t, q, "c", "a", "c")
	if err := q.Put(meter, []byte("d")); !errors.Is(err, collector.ErrFull) {
		t.Errorf("Put into a full queue: %v", err)
	}
	settle(t, q, []uint64{1}, []uint64{2})
	put(t, q, "b", "a", "b", "a")
	if got := contents(t, q); got != "3:a 4:c 5:b 6:a" {
		t.Errorf("after what left the queue came again, it is %q", got)
	}
	settle(t, q, []uint64{3, 4, 5, 6}, nil)
	if n := len(q.index.at); n != 0 {
		t.Errorf("the index of an empty queue has %d entries", n)
	}
}

// Frames that fall on one place of the index are two frames.
func TestIndexCollision(t *testing.T) {
	q := open(t, "queue", Options{FS: vfs.NewMem()})
	put(t, q, "a")
	q.index.add(entry{q.index.hash(appendItem(nil, q.opts.Now(), meter, []byte("b"))), 1})
	put(t, q, "b", "b", "a")
	if got := contents(t, q); got != "1:a 2:b" {
		t.Errorf("the queue is %q", got)
	}
}

// Of puts of one frame at once, one takes a place.
func TestRepeatsAtOnce(t *testing.T) {
	q := open(t, t.TempDir(), Options{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for _, frame := range []string{"a", "b", "c"} {
				if err := q.Put(meter, []byte(frame)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := contents(t, q); got != "1:a 2:b 3:c" {
		t.Errorf("the queue is %q", got)
	}
}
