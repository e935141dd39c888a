package peer

import (
	"math"
	"testing"
	"time"
)

func TestWaits(t *testing.T) {
	for n, average := range map[int]time.Duration{
		0: 200 * time.Millisecond, 1: 400 * time.Millisecond, 5: 6400 * time.Millisecond, 6: 10 * time.Second, math.MaxInt: 10 * time.Second,
	} {
		least, middle, most := backoff(n, 0), backoff(n, 1<<31), backoff(n, math.MaxUint32)
		if least != average/2 || middle != average || most > average*3/2 || most < average*3/2-time.Microsecond {
			t.Errorf("wait %d: %v, %v and %v, want about %v", n, least, middle, most, average)
		}
	}
}
