package peer

import (
	"context"
	"crypto/rand"
	"encoding/binary"
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
	d := lastBackoff
	if n < 6 {
		d = firstBackoff << n
	}
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	d = d/2 + time.Duration(uint64(d)*uint64(binary.BigEndian.Uint32(b[:]))>>32)
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
