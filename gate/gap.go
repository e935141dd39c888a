package gate

import (
	"errors"
	"fmt"
	"math/big"
	"sort"

	"github.com/wattveil/wattveil"
)

// Gap is a stretch between two registers in which intervals were estimated. A
// quantity then counts the registers' difference by the part of it that was
// estimated where the quantity counts: with other registers in between, the
// next bill would show the difference.
type Gap struct {
	From, To int64 // times of the two readings
	// Import and Export are the differences of their registers.
	Import, Export wattveil.Wh
	// Parts are the estimated intervals of the gap that are in the period,
	// rising. Where the period ends in the gap, they are not all of it.
	Parts []wattveil.Interval
	// Hole: no registers enclose it and the bill has no energy in it, so
	// nothing of it is told. It lies within the period; the fields above but
	// From and To are zero.
	Hole bool
}

// WithGaps is the shape of a meter with gaps, which must be rising and not
// overlap. A gap that lies in one class changes nothing; if none does, it
// returns s itself.
func (g *Gate) WithGaps(s *Shape, gaps []Gap) (*Shape, error) {
	if s.gate != g {
		return nil, errForeign
	}
	if s.lo != s.from || s.hi() != s.to {
		return nil, errors.New("gate: the shape has gaps already: add them all to the one without")
	}
	var mixing []Gap
	for i := range gaps {
		if err := s.fits(gaps, i); err != nil {
			return nil, fmt.Errorf("gate: gap %d: %w", i, err)
		}
		if s.mixes(&gaps[i]) {
			mixing = append(mixing, gaps[i])
		}
	}
	if len(mixing) == 0 {
		return s, nil
	}
	out := &Shape{gate: g, from: s.from, to: s.to, lo: min(s.from, mixing[0].From), decimals: s.decimals, quantities: s.quantities}
	weights, runs := s.mix(mixing)
	if err := out.settle(weights, runs); err != nil {
		return nil, err
	}
	out.alone = g.judge(out, nil)
	return out, nil
}

func (s *Shape) fits(gaps []Gap, i int) error {
	p := &gaps[i]
	if p.From < 0 || p.To > maxTime || p.To <= p.From || p.From >= s.to || p.To <= s.from {
		return fmt.Errorf("%s to %s is empty or outside of the period", stamp(p.From), stamp(p.To))
	}
	if p.To-p.From > maxPeriod {
		return fmt.Errorf("it is longer than %d days", maxPeriod/secondsPerDay)
	}
	if i > 0 && p.From < gaps[i-1].To {
		return fmt.Errorf("it begins at %s, before the one before ends", stamp(p.From))
	}
	if p.Import < 0 || p.Export < 0 {
		return errors.New("its registers fall")
	}
	if p.Hole {
		if p.From < s.from || p.To > s.to || p.Import|p.Export != 0 || len(p.Parts) > 0 {
			return errors.New("it is a hole with energy, or beyond the period")
		}
		return nil
	}
	at := max(p.From, s.from)
	var in, out wattveil.Wh
	for _, iv := range p.Parts {
		if iv.Start != at || iv.End <= iv.Start || iv.Import < 0 || iv.Export < 0 {
			return fmt.Errorf("its intervals do not follow each other from %s, or are negative", stamp(at))
		}
		at = iv.End
		in, out = in+iv.Import, out+iv.Export
	}
	if at != min(p.To, s.to) || in > p.Import || out > p.Export ||
		(p.From >= s.from && p.To <= s.to && (in != p.Import || out != p.Export)) {
		return errors.New("its intervals do not cover it, or do not sum to its registers")
	}
	return nil
}

// at is the run that a time of the period is in.
func (s *Shape) at(t int64) int {
	return sort.Search(len(s.runs), func(i int) bool { return s.runs[i].end > t })
}

// mixes tells whether a gap leaves the period or touches several classes.
func (s *Shape) mixes(p *Gap) bool {
	return p.Hole || p.From < s.from || p.To > s.to || s.at(p.From) != s.at(p.To-1)
}

// mix replaces each gap by a run of a class of its own.
func (s *Shape) mix(gaps []Gap) ([]class, []run) {
	weights := append([]class(nil), s.classes...)
	var runs []run
	k := 0
	add := func(end int64, class int) {
		if n := len(runs); n == 0 || end > runs[n-1].end {
			runs = append(runs, run{end, class})
		}
	}
	for i := range gaps {
		p := &gaps[i]
		for ; k < len(s.runs) && s.runs[k].end <= p.From; k++ {
			add(s.runs[k].end, s.runs[k].class)
		}
		if p.From > s.from {
			add(p.From, s.runs[k].class)
		}
		add(p.To, len(weights))
		weights = append(weights, s.mean(p))
		for k < len(s.runs) && s.runs[k].end <= p.To {
			k++
		}
	}
	for ; k < len(s.runs); k++ {
		add(s.runs[k].end, s.runs[k].class)
	}
	return weights, runs
}

// mean is the class of a gap: the mean of the weights in it by energy, or by
// time where no energy passed.
func (s *Shape) mean(p *Gap) class {
	var out class
	for ch := range out {
		total := int64([...]wattveil.Wh{p.Import, p.Export}[ch])
		byTime := total == 0
		if byTime {
			total = p.To - p.From
		}
		parts := make(map[int]int64) // by class
		for _, iv := range p.Parts {
			part := int64([...]wattveil.Wh{iv.Import, iv.Export}[ch])
			if byTime {
				part = iv.End - iv.Start
			}
			parts[s.runs[s.at(iv.Start)].class] += part
		}
		out[ch] = rats(nil, len(s.quantities))
		for class, part := range parts { // sums are exact, so their order is free
			share := big.NewRat(part, total)
			for q, w := range s.classes[class][ch] {
				if w.Sign() != 0 {
					out[ch][q].Add(out[ch][q], new(big.Rat).Mul(w, share))
				}
			}
		}
	}
	return out
}
