package analytics

import "github.com/wattveil/wattveil"

// Collector gathers measured intervals, which rise, as whole quarters of an
// hour, or as they are where they are longer. So a quarter of a year by the
// second takes no more room than one by the quarter. Its zero value is ready.
type Collector struct {
	list    []wattveil.Interval
	open    wattveil.Interval
	covered int64
}

// Add adds an interval.
func (c *Collector) Add(i wattveil.Interval) {
	if i.End-i.Start >= quarter {
		c.list = append(c.list, i)
		return
	}
	start := i.Start - i.Start%quarter
	if c.covered == 0 || c.open.Start != start {
		c.open, c.covered = wattveil.Interval{Start: start, End: start + quarter}, 0
	}
	c.open.Import, c.open.Export = c.open.Import+i.Import, c.open.Export+i.Export
	if c.covered += i.End - i.Start; c.covered == quarter {
		c.list = append(c.list, c.open)
		c.covered = 0
	}
}

// Intervals are the whole ones that were added.
func (c *Collector) Intervals() []wattveil.Interval { return c.list }
