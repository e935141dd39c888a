package utility

import (
	"testing"
	"time"

	"github.com/wattveil/wattveil/wire"
)

// inBackground posts and tells the answer when it comes.
func (r *rig) inBackground(collector string, interval uint64, frames ...[]byte) <-chan wire.ForwardAnswer {
	answers := make(chan wire.ForwardAnswer, 1)
	go func() {
		defer close(answers)
		answer, err := r.post(collector, interval, frames...)
		if err != nil {
			r.t.Error(err)
			return
		}
		answers <- answer
	}()
	return answers
}

// until waits for a condition under the pool's lock.
func (r *rig) until(what string, holds func(*pool) bool) {
	r.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		r.pool.mu.Lock()
		ok := holds(r.pool)
		r.pool.mu.Unlock()
		if ok {
			return
		}
	}
	r.t.Fatalf("waited in vain: %s", what)
}

func posted(interval uint64, collectors ...string) func(*pool) bool {
	return func(p *pool) bool {
		if p.open == nil || p.open.interval != interval {
			return false
		}
		for _, c := range collectors {
			if !p.open.posted[c] {
				return false
			}
		}
		return true
	}
}

// A round waits for all collectors, and goes as one.
func TestPoolWaitsForAll(t *testing.T) {
	r := enrolled(t, "a")
	meters := r.meters(3)
	r.addCollectors("b", "c")
	first := r.inBackground("a", 10, meters[0].data(1, 0))
	second := r.inBackground("b", 10, meters[1].data(1, 0))
	r.until("both posts are in the round", posted(10, "a", "b"))
	if n := len(r.ttp.messages()); n != 0 {
		t.Errorf("%d batches before the last collector posted", n)
	}
	answer, err := r.post("c", 10, meters[2].data(1, 0))
	must(t, err)
	for _, a := range []wire.ForwardAnswer{<-first, <-second, answer} {
		if join(a.Verdicts) != "durable" {
			t.Errorf("verdicts %v", join(a.Verdicts))
		}
	}
	if batches := r.ttp.messages(); len(batches) != 1 || len(batches[0]) != 3 {
		t.Errorf("%d batches", len(batches))
	}
}

// A collector that does not post is waited for until the window is over, once;
// when it posts again it counts again.
func TestPoolWindow(t *testing.T) {
	r := newRig(t, func(cfg *Config) { cfg.PoolWindow = 20 * time.Millisecond })
	must(t, r.EnrolTTP(t.Context()))
	r.addCollectors("a")
	m := r.meters(1)[0]
	r.addCollectors("gone")
	if answer, err := r.post("a", 10, m.data(1, 0)); err != nil || join(answer.Verdicts) != "durable" {
		t.Fatalf("after the window: %v, %v", join(answer.Verdicts), err)
	}
	r.pool.mu.Lock()
	r.pool.window = time.Hour
	expected := r.pool.members["gone"]
	r.pool.mu.Unlock()
	if expected {
		t.Error("the collector that missed a round is still waited for")
	}
	if answer, err := r.post("a", 11, m.data(1, 1)); err != nil || join(answer.Verdicts) != "durable" {
		t.Fatalf("without waiting: %v, %v", join(answer.Verdicts), err)
	}

	// It comes back: late for the round that was sent on, in time for the next.
	if answer, err := r.post("gone", 11, m.data(1, 2)); err != nil || join(answer.Verdicts) != "later" {
		t.Fatalf("late: %v, %v", join(answer.Verdicts), err)
	}
	back := r.inBackground("gone", 12, m.data(1, 2))
	r.until("the post is in the round", posted(12, "gone"))
	other := r.inBackground("a", 12)
	if a := <-back; join(a.Verdicts) != "durable" {
		t.Errorf("back again: %v", join(a.Verdicts))
	}
	<-other
	waits := r.inBackground("a", 13, m.data(1, 3))
	r.until("the round waits for it again", posted(13, "a"))
	if _, err := r.post("gone", 13); err != nil {
		t.Error(err)
	}
	<-waits
}

// A post for a later interval closes the round before, with whom it has.
func TestPoolNextInterval(t *testing.T) {
	r := enrolled(t, "a")
	m := r.meters(1)[0]
	r.addCollectors("b")
	first := r.inBackground("a", 10, m.data(1, 0))
	r.until("the post is in the round", posted(10, "a"))
	second := r.inBackground("b", 11, m.data(1, 1))
	if a := <-first; join(a.Verdicts) != "durable" {
		t.Errorf("the round before: %v", join(a.Verdicts))
	}
	r.until("the next round is open", posted(11, "b"))
	if a, err := r.post("a", 10, m.data(1, 2)); err != nil || join(a.Verdicts) != "later" {
		t.Errorf("the interval before, while the next is open: %v, %v", join(a.Verdicts), err)
	}
	third := r.inBackground("a", 11, m.data(1, 3))
	if a, b := <-second, <-third; join(a.Verdicts) != "durable" || join(b.Verdicts) != "durable" {
		t.Errorf("verdicts %v and %v", join(a.Verdicts), join(b.Verdicts))
	}
}

// A collector posts twice in an open interval: both are in the round.
func TestPoolSecondPost(t *testing.T) {
	r := enrolled(t, "a")
	m := r.meters(1)[0]
	r.addCollectors("b")
	first := r.inBackground("a", 10, m.data(1, 0))
	r.until("the first post is in the round", posted(10, "a"))
	second := r.inBackground("a", 10, m.data(1, 1))
	r.until("the second post is in the round", func(p *pool) bool { return p.open != nil && len(p.open.messages) == 2 })
	_, err := r.post("b", 10)
	must(t, err)
	if a, b := <-first, <-second; join(a.Verdicts) != "durable" || join(b.Verdicts) != "durable" {
		t.Errorf("verdicts %v and %v", join(a.Verdicts), join(b.Verdicts))
	}
}

// What arrives while a round is on its way goes with the next.
func TestPoolWhileRelaying(t *testing.T) {
	r := enrolled(t, "a")
	m := r.meters(1)[0]
	wait, waiting := make(chan struct{}), make(chan string, 9)
	r.ttp.set(func(f *fakeTTP) { f.wait, f.waiting = wait, waiting })
	first := r.inBackground("a", 10, m.data(1, 0))
	<-waiting
	second := r.inBackground("a", 11, m.data(1, 1))
	<-waiting
	close(wait)
	if a, b := <-first, <-second; join(a.Verdicts) != "durable" || join(b.Verdicts) != "durable" {
		t.Errorf("verdicts %v and %v", join(a.Verdicts), join(b.Verdicts))
	}
}

// A collector whose clock runs ahead is put off: it would close the rounds of
// all others. One that is ahead by less than a round waits is not.
func TestPoolAhead(t *testing.T) {
	r := newRig(t, func(cfg *Config) { cfg.Interval, cfg.PoolWindow = 15*time.Minute, time.Minute })
	must(t, r.EnrolTTP(t.Context()))
	now := uint64(start.Unix() / 900)
	r.interval = now - 2
	r.addCollectors("a")
	m := r.meters(1)[0]
	for _, interval := range []uint64{now + 1, now + 100, 1<<64 - 1} {
		if a, err := r.post("a", interval, m.data(1, 0)); err != nil || join(a.Verdicts) != "later" {
			t.Errorf("interval %d: %v, %v", interval, join(a.Verdicts), err)
		}
	}
	if a, err := r.post("a", now, m.data(1, 0)); err != nil || join(a.Verdicts) != "durable" {
		t.Errorf("the present interval after that: %v, %v", join(a.Verdicts), err)
	}
	r.clock.add(14*time.Minute + 1*time.Second)
	if a, err := r.post("a", now+1, m.data(1, 1)); err != nil || join(a.Verdicts) != "durable" {
		t.Errorf("an interval that begins within a minute: %v, %v", join(a.Verdicts), err)
	}
}
