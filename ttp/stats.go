package ttp

import (
	"sync/atomic"

	"github.com/wattveil/wattveil/wire"
)

// Stats is what a TTP has done since it was opened.
type Stats struct {
	Batches  uint64 // of messages
	Readings uint64 // made durable, repeats left out
	Bills    uint64 // made or given again
	NoBills  uint64 // asked for and refused
	Verdicts map[wire.Verdict]uint64
}

type stats struct {
	batches, readings, bills, noBills atomic.Uint64
	verdicts                          [wire.Never + 1]atomic.Uint64
}

func (s *stats) count(verdicts []wire.Verdict) {
	var n [wire.Never + 1]uint64
	for _, v := range verdicts {
		if v.Valid() {
			n[v]++
		}
	}
	for v := range n {
		s.verdicts[v].Add(n[v])
	}
}

// Stats is a snapshot. It is cheap.
func (t *TTP) Stats() Stats {
	s := Stats{
		Batches: t.stats.batches.Load(), Readings: t.stats.readings.Load(),
		Bills: t.stats.bills.Load(), NoBills: t.stats.noBills.Load(),
		Verdicts: make(map[wire.Verdict]uint64),
	}
	for v := wire.Durable; v.Valid(); v++ {
		s.Verdicts[v] = t.stats.verdicts[v].Load()
	}
	return s
}
