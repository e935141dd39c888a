package ttp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/gate"
	"github.com/wattveil/wattveil/rating"
	"github.com/wattveil/wattveil/readings"
	"github.com/wattveil/wattveil/tariff"
	"github.com/wattveil/wattveil/vee"
	"github.com/wattveil/wattveil/wire"
)

// metered is what readings say of a meter's period. It is valid until its
// workspace is used again.
type metered struct {
	resolution wattveil.Resolution
	all        []wattveil.Interval // of the period; those in holes have no energy
	known      []wattveil.Interval // without those in holes
	quality    []vee.Quality       // of the known
	estimated  int
	unbilled   int64 // seconds in holes
	gaps       []gate.Gap
}

// workspace is the memory in which one goroutine measures meter after meter.
type workspace struct {
	read    readings.Folded
	edit    vee.Editor
	all     []wattveil.Interval
	known   []wattveil.Interval
	quality []vee.Quality
	root    bill.Intervals
}

// around is how far outside of a period complete readings are read: no
// resolution is longer.
const around = 60 * 60

// measure finds the intervals of a meter's period. Most meters have a reading
// for each, which takes no editing. newest is the meter's newest series. Where
// it is refused as incomplete, what is known is there all the same.
func (t *TTP) measure(ctx context.Context, w *workspace, m wattveil.Meter, newest wattveil.Series, p *period) (metered, error) {
	if err := t.cfg.Readings.ReadInto(ctx, m, p.from.Unix()-around, p.to.Unix()+around, &w.read); err != nil {
		return metered{}, fmt.Errorf("readings of %v: %w", m, err)
	}
	if len(w.read.Runs) == 1 && w.read.Runs[0].Series == newest {
		if out, ok := w.complete(w.read.Runs[0].Readings, p); ok {
			return out, nil
		}
	}
	margin := int64(vee.Margin.Seconds())
	if err := t.cfg.Readings.ReadInto(ctx, m, max(p.from.Unix()-margin, 0), p.to.Unix()+margin, &w.read); err != nil {
		return metered{}, fmt.Errorf("readings of %v: %w", m, err)
	}
	out, err := w.estimate(w.read.Runs, p)
	if err != nil {
		return out, fmt.Errorf("%w: %v: %w", wire.Incomplete, m, err)
	}
	return out, nil
}

// complete takes readings that need no editing.
func (w *workspace) complete(rs []wattveil.Reading, p *period) (metered, bool) {
	from := p.from.Unix()
	i := sort.Search(len(rs), func(i int) bool { return rs[i].Time >= from })
	if i+1 >= len(rs) {
		return metered{}, false
	}
	out := metered{resolution: wattveil.Resolution(rs[i+1].Time - rs[i].Time)}
	var ok bool
	w.all, w.quality, ok = vee.Complete(rs, out.resolution, from, p.to.Unix(), p.options, w.all[:0], w.quality[:0])
	out.all, out.known, out.quality = w.all, w.all, w.quality
	return out, ok
}

// estimate edits readings as spec/vee.md says.
func (w *workspace) estimate(runs []readings.Run, p *period) (metered, error) {
	from, to := p.from.Unix(), p.to.Unix()
	out := metered{resolution: billedResolution(runs, from, to)}
	if out.resolution == 0 {
		return out, errors.New("there are no readings")
	}
	list := make([]vee.Run, len(runs))
	for i, run := range runs {
		list[i] = vee.Run(run)
	}
	r, err := w.edit.Edit(list, out.resolution, from, to, p.options)
	if err != nil {
		return out, err
	}
	w.known, w.quality = w.known[:0], w.quality[:0]
	for i := range r.Intervals {
		w.known, w.quality = append(w.known, r.Intervals[i].Interval), append(w.quality, r.Intervals[i].Quality)
	}
	out.known, out.quality, out.estimated = w.known, w.quality, r.Estimated.Intervals
	if w.all, err = r.ForBill(w.all[:0], out.resolution); err != nil {
		return out, err
	}
	out.all = w.all
	for _, g := range r.Gaps {
		out.gaps = append(out.gaps, gate.Gap{
			From: g.From, To: g.To, Import: g.Import, Export: g.Export, Parts: slices.Clone(w.known[g.First : g.First+g.Count]),
		})
	}
	for _, h := range r.Holes {
		out.gaps = append(out.gaps, gate.Gap{From: h.From, To: h.To, Hole: true})
		out.unbilled += h.To - h.From
	}
	slices.SortFunc(out.gaps, func(a, b gate.Gap) int { return int(a.From - b.From) })
	return out, nil
}

// billedResolution is the resolution at which a period is edited: the longest step
// between readings that a meter kept for a day, so that a change within the
// period is edited at the longer one (spec/vee.md section 2); where no step
// lasted so long, the most common one; 0 if there is none. Where the period
// itself has no step, those around it count.
func billedResolution(runs []readings.Run, from, to int64) wattveil.Resolution {
	for _, span := range [...][2]int64{{from, to}, {0, readings.MaxTime}} {
		if r := resolutionWithin(runs, span[0], span[1]); r != 0 {
			return r
		}
	}
	return 0
}

func resolutionWithin(runs []readings.Run, from, to int64) wattveil.Resolution {
	const lasting = 24 * 60 * 60
	var longest int64
	often := make(map[int64]int)
	for _, run := range runs {
		var last, held int64
		for i := 1; i < len(run.Readings); i++ {
			a, b := run.Readings[i-1].Time, run.Readings[i].Time
			step := b - a
			if a < from || b > to || wattveil.Resolution(step).Code() == 0 {
				last = 0
				continue
			}
			often[step]++
			if step != last {
				last, held = step, 0
			}
			if held += step; held >= lasting {
				longest = max(longest, step)
			}
		}
	}
	if longest > 0 {
		return wattveil.Resolution(longest)
	}
	for step, n := range often {
		if longest == 0 || n > often[longest] || n == often[longest] && step > longest {
			longest = step
		}
	}
	return wattveil.Resolution(longest)
}

// rate prices what was measured.
func (p *period) rate(m *metered, peaks []rating.Peak, carried []rating.Energy, figures rating.Figures) (rating.Rated, error) {
	rated, err := rating.Request{
		Tariff: p.terms.Tariff, Intervals: m.all, From: p.from, To: p.to, Resolution: m.resolution,
		Series: p.series, Peaks: peaks, DemandStep: tariff.NewDecimal(1, 1), Carry: carried, Figures: figures,
	}.Rate()
	return rated, classed(err)
}

// classed gives a refusal to rate the class that says what a utility can do
// about it.
func classed(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, rating.ErrNoSeries), errors.Is(err, rating.ErrNoPrice), errors.Is(err, rating.ErrSteps):
		return fmt.Errorf("%w: %w", wire.NoPrice, err)
	case errors.Is(err, rating.ErrNotValid), errors.Is(err, rating.ErrExpired):
		return fmt.Errorf("%w: %w", wire.NoTariff, err)
	default:
		return fmt.Errorf("%w: %w", wire.Incomplete, err)
	}
}

// rootOf is the readings_root of what was measured.
func (w *workspace) rootOf(m *metered, days bill.Days, secret bill.Secret) (string, error) {
	w.root.Start(days, secret)
	for i := range m.known {
		w.root.Add(m.known[i], uint8(m.quality[i]))
	}
	root, err := w.root.Root()
	return root.String(), err
}

// wholeSeconds tells whether a time has no fraction of a second.
func wholeSeconds(t time.Time) bool { return t.Nanosecond() == 0 }
