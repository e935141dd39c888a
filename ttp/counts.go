package ttp

import "github.com/wattveil/wattveil/wire"

// Refused is the number of messages refused since the start, by class.
func (t *TTP) Refused() map[wire.Class]int64 { return t.counts.Counts() }
