package meter

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/wire"
)

// chaos draws faults for a rig: frames that are lost, that arrive without
// acknowledgement, late, out of order or twice; downlinks likewise; a vault
// that fails; a TTP that loses the keys of an epoch.
type chaos struct {
	*rig
	rng  *rand.Rand
	late [][]byte // downlinks
	on   bool
}

func newChaos(t *testing.T, seed uint64, change ...func(*rig)) *chaos {
	c := &chaos{rng: rand.New(rand.NewPCG(seed, 1)), on: true}
	c.rig = newRig(t, append(change, func(r *rig) {
		r.net.held = true
		r.net.publish = func([]byte) (bool, error) {
			switch {
			case c.chance(10):
				return false, errFault
			case c.chance(10):
				return true, errFault
			default:
				return true, nil
			}
		}
		r.net.deliver = func(frame []byte) int {
			switch {
			case c.chance(20):
				return 0
			case c.chance(10):
				return 2
			case c.chance(10):
				c.late = append(c.late, frame)
				return 0
			default:
				return 1
			}
		}
		r.source.flags = map[int64]wattveil.Status{}
		for range 40 {
			r.source.flags[start+quarter*c.rng.Int64N(800)] = wattveil.StatusTamper
		}
		if seed%3 == 0 {
			r.source.step = 70_000
		}
	})...)
	c.vault.fail = func() bool { return c.chance(10) }
	return c
}

// chance is true in that many of 100 cases, while faults are on.
func (c *chaos) chance(percent int) bool { return c.on && c.rng.IntN(100) < percent }

// tick is a quarter of an hour.
func (c *chaos) tick() {
	c.now = c.now.Add(quarter * time.Second)
	if err := c.agent.Step(c.Context()); err != nil && !(c.on && errors.Is(err, errFault)) {
		c.Fatal(err)
	}
	if !c.chance(30) { // the collector posts
		c.rng.Shuffle(len(c.net.queue), func(i, j int) {
			if c.on {
				c.net.queue[i], c.net.queue[j] = c.net.queue[j], c.net.queue[i]
			}
		})
		if n := len(c.net.queue); n > 0 && c.chance(20) {
			if again := c.net.queue[c.rng.IntN(n)]; wire.Type(again[0]) != wire.TypeM1 {
				c.net.queue = append(c.net.queue, again)
			}
		}
		c.net.pump()
	}
	if c.chance(20) || !c.on {
		for _, frame := range c.late {
			c.net.send(frame)
		}
		c.late = nil
	}
	if c.rng.IntN(400) == 0 && c.on && c.double.last != 0 {
		c.double.refuse(c.double.last)
	}
}

// Whatever happens on the way, each reading that was taken arrives once by
// value, and the double has seen no counter twice.
func TestRandomFaults(t *testing.T) {
	seeds := uint64(20)
	if testing.Short() {
		seeds = 4
	}
	for seed := range seeds {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			c := newChaos(t, seed)
			for range 600 {
				c.tick()
			}
			c.on = false
			for range 3 * 96 { // two days and more, since a notice begins one exchange a day
				c.tick()
			}
			c.source.end = c.now.Unix() + 1
			for range 3 * 96 {
				c.tick()
			}
			c.checkAll()
			if s := c.agent.Status(); s.Pending != 0 || s.ReadingsSent != s.ReadingsTaken || s.ReadingsDropped != 0 {
				t.Errorf("taken %d, sent %d, pending %d, dropped %d", s.ReadingsTaken, s.ReadingsSent, s.Pending, s.ReadingsDropped)
			}
		})
	}
}

// With stops in between only what was in memory alone is lost; no value
// changes and no counter is used twice.
func TestRandomFaultsAndStops(t *testing.T) {
	seeds := uint64(10)
	if testing.Short() {
		seeds = 2
	}
	for seed := range seeds {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			c := newChaos(t, 100+seed)
			since := int64(0)
			for range 12 {
				for range 50 + c.rng.IntN(50) {
					c.tick()
				}
				since = c.now.Unix()
				c.restart()
			}
			c.on = false
			for range 3 * 96 {
				c.tick()
			}
			for at := range c.source.taken {
				if _, ok := c.double.got[at]; ok || at > since {
					c.check(at)
				}
			}
		})
	}
}
