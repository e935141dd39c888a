package collector

import (
	"sync/atomic"
	"time"
)

// Stats is what a collector has done since it was opened, and what it has now.
type Stats struct {
	Held   uint64 // frames acknowledged, each time that they came
	Queued int    // frames in the queue now

	// Frames refused, by reason.
	Malformed uint64 // type, length or ID_SM
	Full      uint64 // no room in the queue
	Failed    uint64 // the queue's disk

	Strangers uint64 // connections with a password that is not on the roster
	TakenOver uint64 // connections that another one of the same meter ended
	Connected int    // meters connected now
	Meters    int    // on the roster

	Posts, FailedPosts           uint64
	LastPost                     time.Time // that was answered; zero if there was none
	Durable, Later, Rekey, Never uint64    // verdicts
	Downlinks                    uint64    // sent to meters
	LostDownlinks                uint64    // for meters that are not connected here, or malformed
	FailedRenewals               uint64    // of the collector's certificate
}

type counts struct {
	lastPost atomic.Pointer[time.Time]

	held, malformed, full, failed, strangers        atomic.Uint64
	posts, failedPosts, durable, later, rekey       atomic.Uint64
	never, downlinks, lostDownlinks, failedRenewals atomic.Uint64
}

// Stats is a snapshot. It is cheap.
func (c *Collector) Stats() Stats {
	s := Stats{
		Held:           c.counts.held.Load(),
		Queued:         c.cfg.Queue.Len(),
		Malformed:      c.counts.malformed.Load(),
		Full:           c.counts.full.Load(),
		Failed:         c.counts.failed.Load(),
		Strangers:      c.counts.strangers.Load(),
		Meters:         len(c.roster.Load().hashes),
		Posts:          c.counts.posts.Load(),
		FailedPosts:    c.counts.failedPosts.Load(),
		Durable:        c.counts.durable.Load(),
		Later:          c.counts.later.Load(),
		Rekey:          c.counts.rekey.Load(),
		Never:          c.counts.never.Load(),
		Downlinks:      c.counts.downlinks.Load(),
		LostDownlinks:  c.counts.lostDownlinks.Load(),
		FailedRenewals: c.counts.failedRenewals.Load(),
	}
	if at := c.counts.lastPost.Load(); at != nil {
		s.LastPost = *at
	}
	if b := c.serving(); b != nil {
		s.Connected, s.TakenOver = b.Connected(), b.TakenOver()
	}
	return s
}
