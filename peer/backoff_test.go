package peer_test

import (
	"context"
	"errors"
	"testing"

	"github.com/wattveil/wattveil/peer"
)

func TestBackoff(t *testing.T) {
	if err := peer.Backoff(t.Context(), 0); err != nil {
		t.Error(err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	for _, n := range []int{0, 6, 1 << 40} {
		if err := peer.Backoff(ended, n); !errors.Is(err, context.Canceled) {
			t.Errorf("wait %d: %v", n, err)
		}
	}
}
