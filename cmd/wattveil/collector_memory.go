package main

import (
	"context"
	"os"
	"runtime/debug"
	"time"

	"github.com/wattveil/wattveil/collector"
)

// What a collector has meters for costs it their connections and little else.
// Measured with 10,000 of them, one needs about 33 kB: 24 of stacks, the rest
// for the broker's state. The runtime by itself would hold twice that after a
// burst, such as all readings of a quarter of an hour at once, since stacks grow
// for a frame and shrink in a garbage collection.
const (
	gcPercent     = 25 // what lives long needs little room to grow
	memoryAnyway  = 64 << 20
	memoryOfMeter = 34 << 10
	memoryOfTLS   = 12 << 10 // of a connection over TLS, besides
	memoryOfEntry = 256      // of the roster, which is copied when it changes
	boundEvery    = 2 * time.Second
)

// boundMemory has the runtime collect garbage and give back memory before it
// has more than connected meters need, until ctx ends. GOGC and GOMEMLIMIT in
// the environment override it.
func boundMemory(ctx context.Context, overTLS bool, stats func() collector.Stats) error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") != "" {
		return nil
	}
	tick := time.NewTicker(boundEvery)
	defer tick.Stop()
	for {
		debug.SetMemoryLimit(memoryLimit(stats(), overTLS))
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// memoryLimit is what a collector needs for its meters, bytes.
func memoryLimit(s collector.Stats, overTLS bool) int64 {
	each := int64(memoryOfMeter)
	if overTLS {
		each += memoryOfTLS
	}
	return memoryAnyway + int64(s.Meters)*memoryOfEntry + int64(s.Connected)*each
}
