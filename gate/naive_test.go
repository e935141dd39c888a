package gate

import (
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
)

// dense holds the rows of a block over single atoms of time, imports first,
// exports after them, and an orthogonal basis of their space: Gram and Schmidt,
// in rational numbers. It shares with the package the shapes' runs and nothing
// of the algebra.
type dense struct {
	atoms int
	basis [][]*big.Rat
}

func newDense(members []*Shape, lo, hi, atom int64) dense {
	d := dense{atoms: int((hi - lo) / atom)}
	for _, s := range members {
		for q := range s.quantities {
			row := make([]*big.Rat, 2*d.atoms)
			for i := range row {
				row[i] = new(big.Rat)
			}
			at := s.lo
			for _, r := range s.runs {
				for ; at < r.end; at += atom {
					k := int((at - lo) / atom)
					row[k].Set(s.classes[r.class][imports][q])
					row[d.atoms+k].Set(s.classes[r.class][exports][q])
				}
			}
			for _, b := range d.basis {
				f := new(big.Rat).Quo(dot(row, b), dot(b, b))
				for i := range row {
					row[i].Sub(row[i], new(big.Rat).Mul(f, b[i]))
				}
			}
			if dot(row, row).Sign() != 0 {
				d.basis = append(d.basis, row)
			}
		}
	}
	return d
}

func dot(a, b []*big.Rat) *big.Rat {
	sum := new(big.Rat)
	for i := range a {
		sum.Add(sum, new(big.Rat).Mul(a[i], b[i]))
	}
	return sum
}

// share is ‖Pu‖²/‖u‖².
func (d dense) share(u []*big.Rat) *big.Rat {
	sum := new(big.Rat)
	for _, b := range d.basis {
		ub := dot(u, b)
		sum.Add(sum, ub.Quo(ub.Mul(ub, ub), dot(b, b)))
	}
	return sum.Quo(sum, dot(u, u))
}

// worst is the largest share of any window of at most width atoms: its import,
// its export, its net.
func (d dense) worst(width int) *big.Rat {
	most := new(big.Rat)
	for from := range d.atoms {
		for to := from + 1; to <= min(d.atoms, from+width); to++ {
			for _, signs := range [...][2]int64{{1, 0}, {0, 1}, {1, -1}} {
				u := rats(nil, 2*d.atoms)
				for i := from; i < to; i++ {
					u[i].SetInt64(signs[0])
					u[d.atoms+i].SetInt64(signs[1])
				}
				if s := d.share(u); s.Cmp(most) > 0 {
					most = s
				}
			}
		}
	}
	return most
}

const atom = 900

// randomShape is a shape of up to 24 atoms with a few classes, some of them
// with fractions.
func randomShape(rnd *rand.Rand, g *Gate, from int64) *Shape {
	quantities := 1 + rnd.IntN(3)
	var weights []class
	for range 1 + rnd.IntN(4) {
		var c class
		for ch := range c {
			for range quantities {
				w := big.NewRat(int64(rnd.IntN(4)-1), 1)
				switch rnd.IntN(12) {
				case 0:
					w = big.NewRat(int64(rnd.IntN(100_000_000)), 1)
				case 1:
					w = big.NewRat(int64(rnd.IntN(50)), int64(1+rnd.IntN(7)))
				}
				if ch == exports && rnd.IntN(2) == 0 {
					w = new(big.Rat)
				}
				c[ch] = append(c[ch], w)
			}
		}
		weights = append(weights, c)
	}
	var runs []run
	at := from
	for range 1 + rnd.IntN(4) {
		at += atom * int64(1+rnd.IntN(7))
		runs = append(runs, run{at, rnd.IntN(len(weights))})
	}
	s := &Shape{gate: g, from: from, to: at, lo: from, quantities: make([]Quantity, quantities)}
	if err := s.settle(weights, runs); err != nil {
		panic(err)
	}
	return s
}

// TestProjectorAgainstDense compares the verdict on random blocks with that of
// dense rational algebra, at every bound next to the exact worst share.
func TestProjectorAgainstDense(t *testing.T) {
	refused, ample := 0, 0
	for seed := range uint64(80) {
		rnd := rand.New(rand.NewPCG(seed, 4))
		width := 1 + rnd.IntN(4)
		base, err := New(Settings{Window: time.Duration(width) * atom * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		var members []*Shape
		var lo, hi int64
		for range 1 + rnd.IntN(3) {
			s := randomShape(rnd, base, atom*int64(10+rnd.IntN(8)))
			if len(members) == 0 {
				lo, hi = s.lo, s.hi()
			}
			lo, hi = min(lo, s.lo), max(hi, s.hi())
			members = append(members, s)
		}
		exact := newDense(members, lo, hi, atom).worst(width)
		for _, bound := range [...][2]int64{{1, 4}, {1, 2}, {1, 10}, {1, 1}, {999, 1000}} {
			g := &Gate{base.s}
			g.s.RevealNum, g.s.RevealDen = bound[0], bound[1]
			b := newBlock(members...)
			from, to, found := b.reveals(g)
			if want := exact.Cmp(big.NewRat(bound[0], bound[1])) > 0; found != want {
				t.Fatalf("seed %d: found %v, want %v: worst share is %v, bound %d/%d", seed, found, want, exact, bound[0], bound[1])
			}
			if found {
				refused++
				if (to-from)/atom > int64(width) || from < lo || to > hi {
					t.Fatalf("seed %d: names %d to %d", seed, from, to)
				}
			}
			if !slices.Contains(b.thin(g), true) {
				ample++
			}
		}
	}
	if refused < 50 || ample < 10 {
		t.Errorf("%d refused and %d ample: the cases say too little", refused, ample)
	}
}

// TestProjectorExact finds the largest bound that refuses: the share itself is
// met exactly, whatever its denominator.
func TestProjectorExact(t *testing.T) {
	for seed := range uint64(100) {
		rnd := rand.New(rand.NewPCG(seed, 5))
		g, err := New(Settings{Window: atom * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		s := randomShape(rnd, g, atom)
		exact := newDense([]*Shape{s}, s.lo, s.hi(), atom).worst(1)
		if exact.Sign() == 0 || !exact.Num().IsInt64() || !exact.Denom().IsInt64() {
			continue
		}
		p := newProjector(newBlock(s))
		pieces, every := newBlock(s).pieces, slices.Repeat([]bool{true}, len(s.classes))
		if _, _, found := p.worst(pieces, every, atom, exact.Num().Int64(), exact.Denom().Int64()); found {
			t.Errorf("seed %d: refuses at the share %v itself", seed, exact)
		}
		num, den := new(big.Int).Lsh(exact.Num(), 20), new(big.Int).Lsh(exact.Denom(), 20)
		if num.Sub(num, big.NewInt(1)); !num.IsInt64() || !den.IsInt64() {
			continue
		}
		if _, _, found := p.worst(pieces, every, atom, num.Int64(), den.Int64()); !found {
			t.Errorf("seed %d: passes just below the share %v", seed, exact)
		}
	}
}

// TestMixAgainstIntervals compares a shape with gaps with the weights that each
// atom must have.
func TestMixAgainstIntervals(t *testing.T) {
	g, err := New(Settings{})
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 6))
		var s *Shape
		for s == nil || (s.to-s.from)/atom < 3 {
			s = randomShape(rnd, g, 40*atom)
		}
		from := s.from + atom*int64(rnd.IntN(int((s.to-s.from)/atom)-1)) - atom*int64(rnd.IntN(3))
		p := Gap{From: from, To: max(from, s.from) + atom*int64(2+rnd.IntN(12))}
		for at := max(p.From, s.from); at < min(p.To, s.to); at += atom {
			iv := wattveil.Interval{Start: at, End: at + atom, Import: wattveil.Wh(rnd.IntN(9)), Export: wattveil.Wh(rnd.IntN(2))}
			p.Parts = append(p.Parts, iv)
			p.Import, p.Export = p.Import+iv.Import, p.Export+iv.Export
		}
		if p.From < s.from || p.To > s.to {
			p.Import += wattveil.Wh(rnd.IntN(5))
		}
		got, err := g.WithGaps(s, []Gap{p})
		if err != nil {
			t.Fatal(err)
		}
		class := s.mean(&p)
		for at := min(s.lo, p.From); at < max(s.to, p.To); at += atom {
			want := class
			if at < p.From || at >= p.To {
				want = s.classes[s.runs[s.at(at)].class]
			}
			if got.classes[got.runs[got.at(at)].class].key() != want.key() {
				t.Fatalf("seed %d: weights at %d differ", seed, at)
			}
		}
	}
}
