package meter

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/wire"
)

// realTime makes a rig whose clock is that of the bubble.
func realTime(r *rig) {
	first := time.Now().Unix()/quarter*quarter + quarter
	r.cfg.Now, r.cfg.First = time.Now, first
	r.double.clock = func() int64 { return time.Now().Unix() }
}

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, realTime)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- r.agent.Run(ctx) }()
		synctest.Wait()
		if s := r.agent.Status(); s.State != Keyed { // downlinks wake it
			t.Errorf("state %q before any time has passed, want keyed", s.State)
		}
		time.Sleep(24 * time.Hour) // of the bubble
		synctest.Wait()
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Run gave %v, want the context's error", err)
		}
		if s := r.agent.Status(); s.ReadingsSent != 96 || s.MessagesSent != 96 {
			t.Errorf("sent %d readings in %d messages, want 96 in 96", s.ReadingsSent, s.MessagesSent)
		}
		r.checkAll()
	})
}

func TestRunBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		r := newRig(t, realTime, func(r *rig) { r.cfg.Log = slog.New(slog.NewJSONHandler(&log, nil)) })
		var up atomic.Bool
		var published atomic.Int64
		r.net.publish = func([]byte) (bool, error) {
			published.Add(1)
			if up.Load() {
				return true, nil
			}
			return false, errFault
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- r.agent.Run(ctx) }()
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if n := published.Load(); n < 24*60/8 || n > 24*60/2 {
			t.Errorf("published %d times in a day without acknowledgement, want one each 2.5 to 7.5 minutes", n)
		}
		if s := r.agent.Status(); s.Pending != 96 {
			t.Errorf("pending %d, want 96: readings are taken on time all the same", s.Pending)
		}
		up.Store(true)
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		if s := r.agent.Status(); s.State != Keyed || s.Pending != 0 {
			t.Errorf("state %q, pending %d after the outage", s.State, s.Pending)
		}
		cancel()
		<-ended
		if !strings.Contains(log.String(), "publish registration request: fault on purpose") {
			t.Error("errors are not logged")
		}
	})
}

func TestRunWithAClosedLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, realTime)
		close(r.net.down)
		r.double.mute = true
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Hour)
		defer cancel()
		if err := r.agent.Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Run gave %v", err)
		}
	})
}

func TestRunAfterTheSourceHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, realTime, func(r *rig) { r.source.end = 1 })
		ctx, cancel := context.WithTimeout(t.Context(), 20*24*time.Hour)
		defer cancel()
		_ = r.agent.Run(ctx)
		if s := r.agent.Status(); !s.Ended || s.Exchanges != 3 {
			t.Errorf("ended %v, %d exchanges in 20 days; want true and 3", s.Ended, s.Exchanges)
		}
	})
}

func TestBackoff(t *testing.T) {
	for failures := range 100 {
		if d := backoff(failures); d < minBackoff/2 || d > maxBackoff*3/2 {
			t.Errorf("back-off after %d failures is %v", failures, d)
		}
	}
}

// TestNothingLeaks plants values that are easy to find and looks for them in
// whatever a whole run prints and logs.
func TestNothingLeaks(t *testing.T) {
	var out bytes.Buffer
	r := newRig(t, pinned, func(r *rig) {
		r.cfg.Log = slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
		r.source.base, r.source.step = 987_654_321_000, 0
		r.ahead = 2 * secondsPerDay
	})
	r.cfg.Now = func() time.Time { return r.now }
	r.keyedSoon()
	r.run(time.Hour)
	r.net.send(r.double.secret.RekeyNotice(testMeter, 0))
	r.net.send([]byte{0x42})
	r.run(time.Hour)
	r.restart()
	r.run(time.Hour)
	if out.Len() == 0 {
		t.Fatal("nothing was logged")
	}
	a := r.agent
	show := []any{
		a, a.state, &a.state, a.state.registration, a.state.confirmed, a.state.before,
		a.keys, a.session, a.ring, a.ring.(*memoryRing).slots, a.held, a.ledger, a.out, a.requests, r.cfg.Provision, a.Status(), []any{a},
	}
	for _, v := range show {
		fmt.Fprintf(&out, "%v %+v %#v %s %d\n", v, v, v, v, v)
		b, err := json.Marshal(v)
		must(t, err)
		out.Write(b)
		r.cfg.Log.Info("show", "value", v)
	}
	code, _ := a.ClaimCode()
	for name, planted := range map[string]string{
		"register":   "987654321000",
		"claim code": code,
	} {
		if strings.Contains(out.String(), planted) {
			t.Errorf("%s is in the output", name)
		}
	}
	keys := a.state.confirmed.keys
	for name, secret := range map[string][]byte{
		"S_SM-UC": r.double.secret.Bytes(), "k_up": keys.Up.Key[:], "k_chain": keys.Chain[:],
		"d": a.state.registration.d[:], "z": a.state.user.Bytes(),
	} {
		for _, form := range []string{"%x", "%d", "%s"} {
			if strings.Contains(out.String(), strings.Trim(fmt.Sprintf(form, secret), "[]")) {
				t.Errorf("%s is in the output as %s", name, form)
			}
		}
	}
	for line := range strings.Lines(out.String()) {
		if strings.HasPrefix(line, "{") && strings.Contains(line, r.double.meter.Pseudonym.String()) && strings.Contains(line, testMeter.String()) {
			t.Errorf("ID_SM and an-ID in one line: %s", line)
		}
	}
}

// endless is a source and acked a link for the steady path alone.
type endless struct{}

func (endless) At(t int64) (wattveil.Reading, error) {
	return wattveil.Reading{Time: t, Import: wattveil.Register(t), Export: 7}, nil
}

type acked struct{ down chan []byte }

func (acked) Publish(context.Context, []byte) error { return nil }
func (a acked) Receive() <-chan []byte              { return a.down }

// steady is a keyed meter whose every step takes and sends one reading.
func steady(t testing.TB) (step func()) {
	r := newRig(t)
	for range 4 {
		r.step()
	}
	a := r.agent
	a.cfg.Link, a.cfg.Source, a.cfg.RingDays = acked{}, endless{}, 1
	a.ring, a.ledger, a.limit = newMemoryRing(96), ledger{}, 96
	a.session.expires = r.now.Add(100 * 365 * 24 * time.Hour)
	ctx := context.Background()
	return func() {
		r.now = r.now.Add(quarter * time.Second)
		a.next = r.now.Unix()
		if a.session.next == exchangeAt-1 {
			a.session.next = 0 // nobody receives these
			a.state.reserved = 0
		}
		if err := a.Step(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSteadyPathDoesNotAllocate(t *testing.T) {
	step := steady(t)
	for range 200 { // the ring is full, counters are reserved
		step()
	}
	if n := testing.AllocsPerRun(200, step); n != 0 {
		t.Errorf("%v allocations in a step that takes and sends one reading, want 0", n)
	}
}

func BenchmarkStep(b *testing.B) {
	step := steady(b)
	for range 200 {
		step()
	}
	b.ReportAllocs()
	b.SetBytes(int64(wire.DataOverhead + wire.BlockSize(1)))
	for b.Loop() {
		step()
	}
}

// TestStatusFromOtherGoroutines is for the race detector.
func TestStatusFromOtherGoroutines(t *testing.T) {
	r := newRig(t)
	done := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-done:
				return
			default:
				s := r.agent.Status()
				clear(s.Refused) // it is a copy
				_, _ = r.agent.ClaimCode()
				_ = r.agent.Evidence()
			}
		}
	}()
	r.net.send([]byte{1})
	r.run(6 * time.Hour)
	close(done)
	<-stopped
	r.checkAll()
}
