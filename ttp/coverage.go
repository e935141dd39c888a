package ttp

import (
	"cmp"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/wattveil/wattveil/wire"
)

// coverage is what the TTP can say of a meter's readings: every one from since
// to through is durable, but for those in the gaps. Times are Unix seconds.
type coverage struct {
	since, through int64
	gaps           []gap // rising
}

// gap is a span in which readings are missing. Before and behind it are
// readings that are durable.
type gap struct {
	wire.Span
	named byte // receipts that named it
}

const (
	gapSize  = 4 + 4 + 1
	maxNamed = 7 // receipts that name a gap before it is given up
)

var errCoverage = errors.New("kept coverage is damaged")

// encodeGaps is what the registry keeps of them.
func encodeGaps(gaps []gap) []byte {
	b := make([]byte, 0, len(gaps)*gapSize)
	for _, g := range gaps {
		b = binary.BigEndian.AppendUint32(b, uint32(g.First))
		b = binary.BigEndian.AppendUint32(b, uint32(g.Last))
		b = append(b, g.named)
	}
	return b
}

func parseGaps(b []byte) ([]gap, error) {
	if len(b)%gapSize != 0 || len(b) > wire.MaxMissing*gapSize {
		return nil, errCoverage
	}
	gaps := make([]gap, 0, len(b)/gapSize)
	for ; len(b) > 0; b = b[gapSize:] {
		gaps = append(gaps, gap{named: b[8], Span: wire.Span{
			First: int64(binary.BigEndian.Uint32(b)), Last: int64(binary.BigEndian.Uint32(b[4:])),
		}})
	}
	return gaps, nil
}

// extend adds readings behind through, whose times rise. step is the time
// between two readings that follow each other.
func (c *coverage) extend(times []int64, step int64) {
	for _, t := range times {
		if t <= c.through {
			continue
		}
		if t-c.through > step {
			c.gaps = append(c.gaps, gap{Span: wire.Span{First: c.through + 1, Last: t - 1}})
		}
		c.through = t
	}
	c.join()
}

// join makes one of gaps until a receipt has room for all: those stay apart
// that have most between them. One that was joined counts as named as often as
// the one that was named least, so that none is given up too soon.
func (c *coverage) join() {
	n := len(c.gaps)
	if n <= wire.MaxMissing {
		return
	}
	byDistance := make([]int, n-1) // places that have a gap before them
	for i := range byDistance {
		byDistance[i] = i + 1
	}
	distance := func(i int) int64 { return c.gaps[i].First - c.gaps[i-1].Last }
	slices.SortStableFunc(byDistance, func(a, b int) int { return cmp.Compare(distance(b), distance(a)) })
	apart := byDistance[:wire.MaxMissing-1]
	slices.Sort(apart)
	joined := make([]gap, 0, wire.MaxMissing)
	from := 0
	for _, to := range append(apart, n) {
		g := gap{Span: wire.Span{First: c.gaps[from].First, Last: c.gaps[to-1].Last}, named: c.gaps[from].named}
		for _, one := range c.gaps[from:to] {
			g.named = min(g.named, one.named)
		}
		joined, from = append(joined, g), to
	}
	c.gaps = joined
}

// name counts that a receipt names the gaps, after giving up those that enough
// have named and what lies before the oldest second that receipts speak of.
func (c *coverage) name(oldest int64) {
	c.since = max(c.since, oldest)
	for _, g := range c.gaps {
		if g.named >= maxNamed {
			c.since = max(c.since, g.Last+1)
		}
	}
	c.gaps = slices.DeleteFunc(c.gaps, func(g gap) bool { return g.Last < c.since })
	for i := range c.gaps {
		g := &c.gaps[i]
		g.First = max(g.First, c.since)
		g.named++
	}
}

// receipt says what is covered.
func (c *coverage) receipt(now int64) wire.Receipt {
	r := wire.Receipt{Time: now, From: c.since, Through: c.through}
	for _, g := range c.gaps {
		r.Missing = append(r.Missing, g.Span)
	}
	return r
}
