package collector_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/collector"
	"github.com/wattveil/wattveil/collector/queue"
	"github.com/wattveil/wattveil/wire"
)

const (
	meter    = wattveil.MeterID(0x0123456789abcdef)
	other    = wattveil.MeterID(0xfedcba9876543210)
	deadline = 30 * time.Second // for what comes sooner or later
)

var errAway = errors.New("the utility is away")

// utility stands in for the utility. Each post is answered by the next of
// answers, or by a default: every frame is durable.
type utility struct {
	mu      sync.Mutex
	bodies  [][]byte
	paths   []string
	answers []func(body []byte) ([]byte, error)
	serial  uint64
}

func (u *utility) Do(_ context.Context, method, path string, body []byte) ([]byte, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.bodies = append(u.bodies, body)
	u.paths = append(u.paths, method+" "+path)
	if len(u.answers) > 0 {
		next := u.answers[0]
		u.answers = u.answers[1:]
		return next(body)
	}
	return answer(func(a *wire.ForwardAnswer) { a.Roster = u.serial })(body)
}

func (u *utility) posts() [][]byte {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([][]byte(nil), u.bodies...)
}

func (u *utility) next(answers ...func([]byte) ([]byte, error)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.answers = append(u.answers, answers...)
}

func away([]byte) ([]byte, error) { return nil, errAway }

func literal(b []byte) func([]byte) ([]byte, error) {
	return func([]byte) ([]byte, error) { return b, nil }
}

// answer answers every frame `durable`, and what change makes of that.
func answer(change func(*wire.ForwardAnswer)) func([]byte) ([]byte, error) {
	return func(body []byte) ([]byte, error) {
		f, err := wire.ParseForward(body)
		if err != nil {
			return nil, err
		}
		a := wire.ForwardAnswer{Verdicts: make([]wire.Verdict, len(f.Frames)), Roster: f.Roster}
		for i := range a.Verdicts {
			a.Verdicts[i] = wire.Durable
		}
		change(&a)
		return a.Append(nil), nil
	}
}

// roster is an answer that lets meters in, or out with an empty password.
func roster(serial uint64, passwords map[wattveil.MeterID]string) func([]byte) ([]byte, error) {
	return answer(func(a *wire.ForwardAnswer) {
		a.Roster = serial
		for id, p := range passwords {
			e := wire.RosterEntry{ID: id}
			if p != "" {
				e.Hash = sha256.Sum256([]byte(p))
			}
			a.Changes = append(a.Changes, e)
		}
	})
}

// fixture is a collector with a queue in memory and a utility that is not one.
type fixture struct {
	*collector.Collector
	queue   *queue.Queue
	utility *utility
	cfg     collector.Config
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func open(t *testing.T, change func(*collector.Config)) *fixture {
	t.Helper()
	q, err := queue.Open("queue", queue.Options{FS: vfs.NewMem(), MaxFrames: 100, MaxQuarantine: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	f := &fixture{queue: q, utility: new(utility)}
	f.cfg = collector.Config{
		Queue: q, Utility: f.utility, Now: func() time.Time { return noon },
		RosterFile: filepath.Join(t.TempDir(), "roster"),
	}
	if change != nil {
		change(&f.cfg)
	}
	f.reopen(t)
	return f
}

// reopen stops the collector and starts it again with the same files.
func (f *fixture) reopen(t *testing.T) {
	t.Helper()
	if f.Collector != nil {
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	c, err := collector.Open(f.cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	f.Collector = c
}

func (f *fixture) forward(t *testing.T) collector.Forwarded {
	t.Helper()
	done, err := f.Forward(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// hold queues frames that end with the texts given.
func (f *fixture) hold(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if err := f.queue.Put(meter, frame(meter, text)); err != nil {
			t.Fatal(err)
		}
	}
}

// held is the texts of the queue's frames, oldest first.
func (f *fixture) held(t *testing.T) string {
	t.Helper()
	items, err := f.queue.Items(0, 1<<20, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return texts(items)
}

func (f *fixture) quarantined(t *testing.T) string {
	t.Helper()
	items, err := f.queue.Quarantine(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	return texts(items)
}

func texts(items []collector.Item) string {
	var words []string
	for _, item := range items {
		words = append(words, strings.TrimLeft(string(item.Frame[9:]), "\x00"))
	}
	return strings.Join(words, " ")
}

// frame is a data message of one reading as far as a collector looks.
func frame(id wattveil.MeterID, text string) []byte {
	b := make([]byte, 70)
	b[0] = byte(wire.TypeData)
	binary.BigEndian.PutUint64(b[1:], uint64(id))
	copy(b[len(b)-len(text):], text)
	return b
}

// notice is a rekey notice as far as a collector looks.
func notice(id wattveil.MeterID) []byte {
	b := make([]byte, 42)
	b[0] = byte(wire.TypeRekeyNotice)
	binary.BigEndian.PutUint64(b[1:], uint64(id))
	return b
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	end := time.After(deadline)
	for !ok() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("never: %s", what)
		}
	}
}

func ExampleCollector_Forward() {
	q, err := queue.Open("queue", queue.Options{FS: vfs.NewMem()})
	if err != nil {
		panic(err)
	}
	defer func() { _ = q.Close() }()
	c, err := collector.Open(collector.Config{
		Queue:      q,
		Utility:    new(utility), // a *peer.Client
		RosterFile: filepath.Join(os.TempDir(), "no-such-roster"),
	})
	if err != nil {
		panic(err)
	}
	if err := q.Put(meter, frame(meter, "")); err != nil { // meters do this, once it serves
		panic(err)
	}
	done, err := c.Forward(context.Background())
	fmt.Printf("%+v %v\n", done, err)
	fmt.Println(q.Len(), "frames left")
	// Output:
	// {Frames:1 Durable:1 Later:0 Rekey:0 Never:0 Downlinks:0} <nil>
	// 0 frames left
}
