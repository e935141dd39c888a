package source

import "github.com/wattveil/wattveil"

// dayCache holds the running sums of one local day at knots: the ends of its
// intervals, or of its minutes if intervals are shorter. It is a few hundred
// bytes for 15-minute intervals, so that a process can hold many households.
// Its zero value is a day without a second.
type dayCache struct {
	start, end int64 // of the local day, Unix seconds
	first      int64 // the first knot, at or after start
	step       int64 // seconds between knots
	imp, exp   []centi
	total      [2]centi // import and export at the day's end
}

// centi counts hundredths of a watt-hour since the day's beginning. 32 bits
// hold 42 MWh, more than a connection of 1 MW carries in a day.
type centi uint32

func (c centi) wh() wattveil.Wh { return wattveil.Wh(c / 100) }

// between is the sum at s seconds into a span of length seconds whose sum runs
// from c to next. All intervals use this one rule, which makes them agree.
func (c centi) between(next centi, s, length int64) centi {
	return c + centi(int64(next-c)*s/length)
}

// cut makes c the day from start to end, with watts at each of its minutes, and
// puts knots where intervals of res seconds meet if they meet at grid.
func (c *dayCache) cut(watts []float64, start, end, grid, res int64) {
	c.start, c.end = start, end
	c.first, c.step = start, minute
	if res > minute {
		c.first, c.step = start+floorMod(grid-start, res), res
	}
	c.imp, c.exp = c.imp[:0], c.exp[:0]
	var sumImp, sumExp float64 // Wh
	var imp, exp centi
	next := c.first - start
	for m, w := range watts {
		if w > 0 {
			sumImp += w / 60
		} else {
			sumExp -= w / 60
		}
		imp1, exp1 := centi(sumImp*100), centi(sumExp*100)
		from := int64(m) * minute
		for ; next < from+minute; next += c.step {
			c.imp = append(c.imp, imp.between(imp1, next-from, minute))
			c.exp = append(c.exp, exp.between(exp1, next-from, minute))
		}
		if last := end - start - from; last <= minute {
			c.total = [2]centi{imp.between(imp1, last, minute), exp.between(exp1, last, minute)}
		}
		imp, exp = imp1, exp1
	}
	if c.step == minute { // a second within the last minute lies before this knot
		c.imp, c.exp = append(c.imp, imp), append(c.exp, exp)
	}
}

// cuts tells whether intervals that meet at the Unix second grid meet at knots,
// or may meet between them because knots are minutes.
func (c *dayCache) cuts(grid int64) bool {
	return c.step == minute || floorMod(grid-c.first, c.step) == 0
}

// until is the energy from the day's beginning to the Unix second t of it.
func (c *dayCache) until(t int64) (imp, exp wattveil.Wh) {
	switch {
	case t <= c.start:
		return 0, 0
	case t >= c.end:
		return c.total[0].wh(), c.total[1].wh()
	}
	k, s := (t-c.first)/c.step, (t-c.first)%c.step
	if s == 0 {
		return c.imp[k].wh(), c.exp[k].wh()
	}
	return c.imp[k].between(c.imp[k+1], s, c.step).wh(), c.exp[k].between(c.exp[k+1], s, c.step).wh()
}

func floorMod(a, b int64) int64 { return a - floorDiv(a, b)*b }
