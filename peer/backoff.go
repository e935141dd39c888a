package peer

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"math/bits"
	"time"
)

const (
	firstBackoff = 200 * time.Millisecond
	lastBackoff  = 10 * time.Second
)

// Backoff waits before a request is repeated that got no answer; n, from 0,
// counts the waits. They double up to 10 s and vary by a half either way, so
// that parties that lost a server together do not come back together. It
// returns early, with the error of ctx, when ctx ends.
func Backoff(ctx context.Context, n int) error {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	timer := time.NewTimer(backoff(n, binary.BigEndian.Uint32(b[:])))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// backoff is the n-th wait, from half to one and a half of what it is on
// average, by a random number.
func backoff(n int, random uint32) time.Duration {
	d := lastBackoff
	if n < 6 {
		d = firstBackoff << n
	}
	part, _ := bits.Mul64(uint64(d), uint64(random)<<32) // of 2^64: the product does not fit one word
	return d/2 + time.Duration(part)
}
