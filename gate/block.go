package gate

import (
	"math/big"
	"slices"
	"strconv"
)

// block is answers that overlap, on one line of time. Blocks that do not
// overlap span orthogonal row spaces, so each is judged by itself
// (spec/gate.md section 4.2).
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

// thin marks the classes that belong, in a channel, to a cell that is not
// ample. A cell is all time that counts equally in every answer; it is ample
// if it lasts so long that a window within ample cells passes the bound even if
// the sums of all cells were told (spec/gate.md section 4.3). Usually no class
// is thin, and no algebra is needed.
func (b *block) thin(g *Gate) []bool {
	seconds := make([]int64, len(b.cells))
	for _, p := range b.pieces {
		seconds[p.class] += p.to - p.from
	}
	need, num := g.window()*g.s.RevealDen, g.s.RevealNum
	out := make([]bool, len(b.cells))
	for ch := range channels {
		cells := b.cellsIn(ch)
		sums := make([]int64, len(seconds)+1)
		for class, n := range seconds {
			sums[cells[class]] += n
		}
		for class, cell := range cells {
			out[class] = out[class] || cell != 0 && sums[cell]*num < need
		}
	}
	return out
}

// cellsIn numbers the cells of a channel and gives that of each class; 0 is
// that of no weight at all.
func (b *block) cellsIn(ch int) []int {
	if len(b.members) == 1 {
		return b.members[0].group[ch]
	}
	out := make([]int, len(b.cells))
	place := make(map[string]int)
	ids := make([]int, len(b.members))
	for class, cell := range b.cells {
		counts := false
		for k, s := range b.members {
			ids[k] = 0
			if cell[k] >= 0 {
				ids[k] = s.group[ch][cell[k]]
			}
			counts = counts || ids[k] != 0
		}
		if !counts {
			continue
		}
		key := tuple(ids)
		if place[key] == 0 {
			place[key] = len(place) + 1
		}
		out[class] = place[key]
	}
	return out
}

// reveals is a time of which the answers of the block would tell too much, if
// there is one.
func (b *block) reveals(g *Gate) (from, to int64, found bool) {
	thin := b.thin(g)
	if !slices.Contains(thin, true) {
		return 0, 0, false
	}
	return newProjector(b).worst(b.pieces, thin, g.window(), g.s.RevealNum, g.s.RevealDen)
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
