package ttp

import (
	"context"
	"fmt"
	"sync"

	"github.com/wattveil/wattveil"
)

// turns lets requests that touch the sessions of one utility's meters run one
// after the other: what a request finds out about a counter or an epoch holds
// until it is durable. A utility sends them so anyway; those of different
// utilities run at the same time.
type turns struct {
	mu sync.Mutex
	of map[wattveil.UCNumber]chan struct{}
}

// take waits for the utility's turn. The caller calls release at the end.
func (t *turns) take(ctx context.Context, uc wattveil.UCNumber) (release func(), err error) {
	t.mu.Lock()
	if t.of == nil {
		t.of = make(map[wattveil.UCNumber]chan struct{})
	}
	turn, ok := t.of[uc]
	if !ok {
		turn = make(chan struct{}, 1)
		t.of[uc] = turn
	}
	t.mu.Unlock()
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the requests of utility %v before: %w", uc, ctx.Err())
	}
}
