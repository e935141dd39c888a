package source

import (
	"fmt"
	"time"

	"github.com/wattveil/wattveil"
)

// A fit is one way to read the file's local times as regular steps of UTC.
type fit struct {
	start int64 // Unix seconds
	res   wattveil.Resolution
}

// at is the beginning of interval i, Unix seconds.
func (f fit) at(i int) int64 { return f.start + int64(i)*int64(f.res) }

// grid holds the local times of a file against regular steps of UTC. Clock
// changes need no rule of their own: a row is right if its wall time is what
// clocks show at the moment that is due. Two fits are possible only while every
// row lies in an hour that a clock change repeats; the first pass is taken
// until a row rules it out.
type grid struct {
	loc   *time.Location
	rows  int
	first int64 // wall time of row 0
	last  int64 // wall time of the row before
	fits  []fit // none before row 1
}

// add takes the wall time of the next row. Its errors say what is wrong with
// that time, and what to do.
func (g *grid) add(wall int64) error {
	if len(instants(g.loc, wall)) == 0 {
		return fmt.Errorf("%s does not exist in %v, whose clocks skip it; name the zone of the file's clock, such as Etc/GMT-1 for one that stays at UTC+1",
			clock(wall), g.loc)
	}
	var err error
	switch g.rows {
	case 0:
		g.first = wall
	case 1:
		err = g.fitSecond(wall)
	default:
		err = g.fitNext(wall)
	}
	if err != nil {
		return err
	}
	if g.rows > 0 && (g.fits[0].start < 0 || g.fits[0].at(g.rows+1) > maxTime) {
		return fmt.Errorf("%s is outside 1970 to 2106; correct the year", clock(wall))
	}
	g.last = wall
	g.rows++
	return nil
}

// fitSecond finds the length of the interval from the first two rows.
func (g *grid) fitSecond(wall int64) error {
	var wrong error
	for _, a := range instants(g.loc, g.first) {
		for _, b := range instants(g.loc, wall) {
			if b <= a {
				continue
			}
			res, err := wattveil.NewResolution(time.Duration(min(b-a, 2*day)) * time.Second)
			if err != nil {
				wrong = err
				continue
			}
			g.fits = append(g.fits, fit{start: a, res: res})
		}
	}
	switch {
	case len(g.fits) > 0:
		return nil
	case wall == g.first:
		return g.duplicate(wall)
	case wall < g.first:
		return g.disorder(wall, g.first)
	}
	return fmt.Errorf("%s follows %s: %w; give intervals of 15, 30 or 60 minutes, or another divisor of an hour",
		clock(wall), clock(g.first), wrong)
}

// fitNext keeps the fits that expect wall now.
func (g *grid) fitNext(wall int64) error {
	due := wallAt(g.loc, g.fits[0].at(g.rows))
	kept := g.fits[:0]
	for _, f := range g.fits {
		if wallAt(g.loc, f.at(g.rows)) == wall {
			kept = append(kept, f)
		}
	}
	res := g.fits[0].res
	g.fits = kept
	switch {
	case len(kept) > 0:
		return nil
	case due <= g.last && wall > g.last:
		return fmt.Errorf("gap: %s follows %s, but clocks in %v go back and %s is due a second time; add the rows of the repeated hour, or name the zone of a clock that does not change",
			clock(wall), clock(g.last), g.loc, clock(due))
	case wall == g.last:
		return g.duplicate(wall)
	case wall < g.last:
		return g.disorder(wall, g.last)
	case wall < due:
		return fmt.Errorf("%s is off the grid of %v: %s is due; give one row for each interval", clock(wall), res, clock(due))
	}
	return fmt.Errorf("gap: %s follows %s, but %s is due; add the missing rows", clock(wall), clock(g.last), clock(due))
}

func (g *grid) duplicate(wall int64) error {
	return fmt.Errorf("%s stands twice; delete one of the rows", clock(wall))
}

func (g *grid) disorder(wall, last int64) error {
	return fmt.Errorf("%s follows %s; sort the rows by time", clock(wall), clock(last))
}

// clock writes a wall time as files do.
func clock(wall int64) string {
	t := time.Unix(wall, 0).UTC()
	if t.Second() != 0 {
		return t.Format("2006-01-02T15:04:05")
	}
	return t.Format("2006-01-02T15:04")
}
