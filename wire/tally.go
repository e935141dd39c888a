package wire

import (
	"maps"
	"sync"
)

// Tally counts refusals by class. Its zero value is ready, and it is safe for
// concurrent use.
type Tally struct {
	mu      sync.Mutex
	byClass map[Class]int64
}

// Add counts one refusal.
func (t *Tally) Add(class Class) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byClass == nil {
		t.byClass = make(map[Class]int64)
	}
	t.byClass[class]++
}

// Counts is a copy of the counts so far; it is never nil.
func (t *Tally) Counts() map[Class]int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make(map[Class]int64, len(t.byClass))
	maps.Copy(out, t.byClass)
	return out
}
