package utility

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/wattveil/wattveil/wire"
)

// Stats is what a utility has done since it was opened.
type Stats struct {
	Posts     uint64 // of collectors
	LatePosts uint64 // for an interval that was sent on already
	Verdicts  map[wire.Verdict]uint64
}

type stats struct {
	posts, latePosts atomic.Uint64
	verdicts         [wire.Never + 1]atomic.Uint64
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
func (u *Utility) Stats() Stats {
	s := Stats{
		Posts: u.stats.posts.Load(), LatePosts: u.stats.latePosts.Load(),
		Verdicts: make(map[wire.Verdict]uint64),
	}
	for v := wire.Durable; v.Valid(); v++ {
		s.Verdicts[v] = u.stats.verdicts[v].Load()
	}
	return s
}

// MeterCounts is how far the utility's meters have come.
type MeterCounts struct {
	Added      int // known, each with its secret
	Registered int // have a pseudonym and a key
	Enrolled   int // at their TTP
	Refused    int // by their TTP
	Draining   int // take nothing new
	Ended      int // have drained
}

// MeterCounts counts the meters in the registry.
func (u *Utility) MeterCounts(ctx context.Context) (n MeterCounts, err error) {
	err = u.db.QueryRowContext(ctx, `
		SELECT (SELECT count(*) FROM meters),
			(SELECT count(DISTINCT id_sm) FROM pseudonyms),
			(SELECT count(DISTINCT an_id) FROM statements WHERE enrolled = ?),
			(SELECT count(DISTINCT an_id) FROM statements WHERE enrolled = ?),
			(SELECT count(*) FROM meters WHERE drained IS NOT NULL AND gone = 0),
			(SELECT count(*) FROM meters WHERE gone = 1)`, stateEnrolled, stateRefused).
		Scan(&n.Added, &n.Registered, &n.Enrolled, &n.Refused, &n.Draining, &n.Ended)
	if err != nil {
		return n, fmt.Errorf("count meters: %w", err)
	}
	return n, nil
}
