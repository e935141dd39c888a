package utility

import (
	"maps"
	"sync"

	"github.com/wattveil/wattveil/wire"
)

// counts counts refusals by class.
type counts struct {
	mu      sync.Mutex
	byClass map[wire.Class]int64
}

func newCounts() counts { return counts{byClass: make(map[wire.Class]int64)} }

func (c *counts) add(class wire.Class) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.byClass[class]++
}

// Refused is the number of frames refused since the start, by class.
func (u *Utility) Refused() map[wire.Class]int64 {
	u.counts.mu.Lock()
	defer u.counts.mu.Unlock()
	return maps.Clone(u.counts.byClass)
}
