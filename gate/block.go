package gate

import (
	"math/big"
	"slices"
	"strconv"
)

// block is answers that overlap, on one line of time. Blocks that do not
// overlap span orthogonal row spaces, so each is judged by itself
// (spec/gate.md section 4.3).
type block struct {
	members []*Shape
	pieces  []piece
	cells   [][]int // of each class of pieces, the class of each member or -1
}

// piece is a stretch in which no member changes its class.
type piece struct {
	from, to int64
	class    int
}

func newBlock(members ...*Shape) *block {
	b := &block{members: members}
	if len(members) == 1 {
		s := members[0]
		at := s.lo
		b.pieces = make([]piece, len(s.runs))
		for i, r := range s.runs {
			b.pieces[i] = piece{at, r.end, r.class}
			at = r.end
		}
		b.cells = make([][]int, len(s.classes))
		for i := range b.cells {
			b.cells[i] = []int{i}
		}
		return b
	}
	b.merge()
	return b
}

// merge cuts the line wherever a member changes its class.
func (b *block) merge() {
	var cuts []int64
	for _, s := range b.members {
		cuts = append(cuts, s.lo)
		for _, r := range s.runs {
			cuts = append(cuts, r.end)
		}
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	next := make([]int, len(b.members)) // first run of each member that ends after the cut
	place := make(map[string]int)
	for i := 0; i+1 < len(cuts); i++ {
		at := cuts[i]
		cell := make([]int, len(b.members))
		for k, s := range b.members {
			for next[k] < len(s.runs) && s.runs[next[k]].end <= at {
				next[k]++
			}
			cell[k] = -1
			if at >= s.lo && next[k] < len(s.runs) {
				cell[k] = s.runs[next[k]].class
			}
		}
		key := tuple(cell)
		class, ok := place[key]
		if !ok {
			class = len(b.cells)
			place[key] = class
			b.cells = append(b.cells, cell)
		}
		b.pieces = append(b.pieces, piece{at, cuts[i+1], class})
	}
}

func tuple(numbers []int) string {
	var key []byte
	for _, n := range numbers {
		key = append(strconv.AppendInt(key, int64(n), 10), ' ')
	}
	return string(key)
}

// ample tells whether every cell, that is, all time that counts equally in
// every answer, lasts so long that even the sums over all cells pass the bound
// (spec/gate.md section 4.2). It takes no algebra, and is the usual case.
func (b *block) ample(g *Gate) bool {
	seconds := make([]int64, len(b.cells))
	for _, p := range b.pieces {
		seconds[p.class] += p.to - p.from
	}
	for ch := range channels {
		if !b.ampleIn(ch, seconds, g.window()*g.s.RevealDen, g.s.RevealNum) {
			return false
		}
	}
	return true
}

func (b *block) ampleIn(ch int, seconds []int64, need, num int64) bool {
	if len(b.members) == 1 {
		s := b.members[0]
		sums := make([]int64, s.groups[ch])
		for class, n := range seconds {
			sums[s.group[ch][class]] += n
		}
		return !slices.ContainsFunc(sums[1:], func(n int64) bool { return n*num < need })
	}
	sums := make(map[string]int64)
	ids := make([]int, len(b.members))
	for class, n := range seconds {
		counts := false
		for k, s := range b.members {
			ids[k] = 0
			if own := b.cells[class][k]; own >= 0 {
				ids[k] = s.group[ch][own]
			}
			counts = counts || ids[k] != 0
		}
		if counts {
			sums[tuple(ids)] += n
		}
	}
	for _, n := range sums {
		if n*num < need {
			return false
		}
	}
	return true
}

// reveals is a time of which the answers of the block would tell too much, if
// there is one.
func (b *block) reveals(g *Gate) (from, to int64, found bool) {
	if b.ample(g) {
		return 0, 0, false
	}
	return newProjector(b).worst(b.pieces, g.window(), g.s.RevealNum, g.s.RevealDen)
}

// vectors are, for each class of pieces and channel, the weights of all rows
// as integers: each row is scaled by its common denominator, which leaves the
// row space as it is.
func (b *block) vectors() [][channels][]*big.Int {
	out := make([][channels][]*big.Int, len(b.cells))
	for k, s := range b.members {
		scales := s.scales()
		for i, cell := range b.cells {
			for ch := range channels {
				for q := range s.quantities {
					w := new(big.Int)
					if own := cell[k]; own >= 0 {
						r := s.classes[own][ch][q]
						w.Quo(scales[q], r.Denom())
						w.Mul(w, r.Num())
					}
					out[i][ch] = append(out[i][ch], w)
				}
			}
		}
	}
	return out
}

// scales is the least common denominator of each row.
func (s *Shape) scales() []*big.Int {
	out := make([]*big.Int, len(s.quantities))
	var gcd big.Int
	for q := range out {
		out[q] = big.NewInt(1)
		for _, c := range s.classes {
			for ch := range c {
				if d := c[ch][q]; !d.IsInt() {
					gcd.GCD(nil, nil, out[q], d.Denom())
					out[q].Mul(out[q], new(big.Int).Quo(d.Denom(), &gcd))
				}
			}
		}
	}
	return out
}
