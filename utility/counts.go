package utility

import "github.com/wattveil/wattveil/wire"

// Refused is the number of frames refused since the start, by class.
func (u *Utility) Refused() map[wire.Class]int64 { return u.counts.Counts() }
