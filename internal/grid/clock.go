package grid

import (
	"sync"
	"time"
)

// Clock is the platform's time: readings, timestamps, key lifetimes, intervals,
// certificates and bills go by it; keepalives and I/O timeouts do not. It
// stands still until it is set, or goes on at the wall clock's speed once it is
// let go.
type Clock struct {
	mu   sync.RWMutex
	at   time.Time // never shown earlier than this
	from time.Time // shown for the wall time base; zero while the clock stands
	base time.Time
}

// NewClock is a clock that stands at t.
func NewClock(t time.Time) *Clock { return &Clock{at: t} }

// Now is the platform's present time.
func (c *Clock) Now() time.Time {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.from.IsZero() {
		return c.at
	}
	if now := c.from.Add(time.Since(c.base)); now.After(c.at) {
		return now
	}
	return c.at
}

// Set moves a standing clock forward, never back.
func (c *Clock) Set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.After(c.at) {
		c.at = t
	}
}

// Run lets the clock go on from where it stands.
func (c *Clock) Run() { c.run(c.Now()) }

// Follow lets the clock show the wall clock's time. If it is ahead, it stands
// until the wall clock has caught up.
func (c *Clock) Follow() { c.run(time.Now()) }

func (c *Clock) run(from time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.from.IsZero() {
		c.from, c.base = from, time.Now()
	}
}
