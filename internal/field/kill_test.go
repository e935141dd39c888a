package field

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

const (
	seedVariable = "WATTVEIL_SEED"
	killEvery    = 1500 * time.Millisecond // on average
	longestDown  = 300 * time.Millisecond
	againIn      = 4 // of so many kills one is followed by another at once
	coming       = 400 * time.Millisecond
	look         = 20 * time.Millisecond
)

// seed is the one that is asked for, or a new one.
func seed(t *testing.T) uint64 {
	t.Helper()
	n := uint64(time.Now().UnixNano())
	if text := os.Getenv(seedVariable); text != "" {
		var err error
		if n, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("%s: %v", seedVariable, err)
		}
	}
	t.Logf("%s=%d", seedVariable, n)
	return n
}

// Processes that are killed at any moment, also while they start, lose nothing
// that they held and double nothing.
func TestKills(t *testing.T) {
	kills := 24
	if full() {
		kills = 200
	}
	rng := rand.New(rand.NewPCG(seed(t), 0))
	f := New(t, Config{Fleets: fleets(10, "10m")})
	f.Start(f.Fleets...)
	watch := newWatch(t)
	all := f.processes()
	for _, p := range all {
		watch.begin(p)
	}
	for done := 0; done < kills; {
		rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		for _, p := range all {
			done += watch.again(f, p, rng, 2*killEvery)
			if rng.IntN(againIn) == 0 {
				done += watch.again(f, p, rng, coming) // while it comes up
			}
			if done >= kills {
				break
			}
		}
	}
	through := time.Now()
	f.Drain(through, 2*patience)
	watch.report()
	f.audit(through)
}

// watch measures how long processes take from their start until they are ready,
// and until they have done a piece of their work.
type watch struct {
	t     *testing.T
	mu    sync.Mutex
	kills map[string]int
	ready map[string][]time.Duration // by role
	work  map[string][]time.Duration
	early map[string]int // ends before the work
	wait  sync.WaitGroup
}

func newWatch(t *testing.T) *watch {
	return &watch{
		t: t, kills: make(map[string]int), ready: make(map[string][]time.Duration),
		work: make(map[string][]time.Duration), early: make(map[string]int),
	}
}

// role is what a process is one of.
func role(p *Process) string {
	switch p.Name {
	case "ttp", "utility":
		return p.Name
	case "north", "south":
		return "collector"
	default:
		return "meters"
	}
}

// again kills a process at a random moment and starts it after another one. It
// counts the kill.
func (w *watch) again(f *Field, p *Process, rng *rand.Rand, within time.Duration) int {
	w.t.Helper()
	time.Sleep(time.Duration(rng.Int64N(int64(within)))) // a moment, not a wait for something
	w.kill(p)
	time.Sleep(time.Duration(rng.Int64N(int64(longestDown))))
	f.Start(p)
	w.begin(p)
	return 1
}

func (w *watch) kill(p *Process) {
	w.t.Helper()
	if err := p.Kill(); err != nil {
		w.t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.kills[role(p)]++
}

// begin watches the life of a process that has just started.
func (w *watch) begin(p *Process) {
	w.t.Helper()
	life := p.Life()
	w.wait.Go(func() {
		if !w.reach(p, life, answers, w.ready) || !w.reach(p, life, works, w.work) {
			w.mu.Lock()
			w.early[role(p)]++
			w.mu.Unlock()
		}
	})
}

// reach waits until a process has come so far in one of its lives, and tells
// whether it has.
func (w *watch) reach(p *Process, life time.Time, far func(*Process) error, times map[string][]time.Duration) bool {
	for p.Running() && p.Life().Equal(life) {
		if far(p) != nil {
			time.Sleep(look)
			continue
		}
		took := time.Since(life)
		if !p.Life().Equal(life) {
			return false // another life has answered
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		times[role(p)] = append(times[role(p)], took)
		return true
	}
	return false
}

// answers tells whether a process has come up: servers are ready, meters answer
// the commands of their machine.
func answers(p *Process) error {
	if role(p) == "meters" {
		_, err := p.Meters()
		return err
	}
	return p.Ready()
}

// works tells whether a process has done some of its work: a batch or a post
// that is answered, a message that is acknowledged.
func works(p *Process) error {
	var done float64
	var err error
	switch role(p) {
	case "ttp":
		done, err = p.Metric("batches_total", "")
	case "meters":
		var list []MeterStatus
		list, err = p.Meters()
		for _, m := range list {
			done += float64(m.Messages)
		}
	default:
		done, err = p.Metric("posts_total", "")
	}
	if err == nil && done == 0 {
		err = fmt.Errorf("%s has done nothing yet", p.Name)
	}
	return err
}

// report prints the figures, when all has come back.
func (w *watch) report() {
	w.t.Helper()
	w.wait.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, role := range []string{"ttp", "utility", "collector", "meters"} {
		w.t.Logf("%-9s killed %2d times, of them %d before it worked again; ready after %s, working after %s",
			role, w.kills[role], w.early[role], spread(w.ready[role]), spread(w.work[role]))
		if len(w.work[role]) == 0 {
			w.t.Errorf("no %s has worked after a start", role)
		}
	}
}

// spread is the median and the maximum.
func spread(times []time.Duration) string {
	if len(times) == 0 {
		return "-"
	}
	slices.Sort(times)
	const unit = 10 * time.Millisecond
	return fmt.Sprintf("%v (median), %v (longest)", times[len(times)/2].Round(unit), times[len(times)-1].Round(unit))
}
