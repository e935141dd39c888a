package gate

import "math/big"

// projector measures how much of a sum over a window the rows of a block
// determine, in whole numbers only: with G the Gram matrix of independent rows
// and s their weights summed over the window, ‖Pu‖² = sᵀ G⁻¹ s = sᵀ H s / D,
// where D = det G > 0 and H = D·G⁻¹ is the adjugate, both integer
// (spec/gate.md section 4.4).
type projector struct {
	vectors [][channels][]*big.Int // by class, of the independent rows
	used    [channels]bool         // whether any weight of a channel is not zero
	h       [][]*big.Int
	det     *big.Int
}

func newProjector(b *block) *projector {
	vectors := b.vectors()
	gram := gramOf(vectors, b.pieces)
	rows := independent(gram)
	p := &projector{vectors: make([][channels][]*big.Int, len(vectors))}
	for i, v := range vectors {
		for ch := range channels {
			for _, r := range rows {
				p.vectors[i][ch] = append(p.vectors[i][ch], v[ch][r])
				p.used[ch] = p.used[ch] || v[ch][r].Sign() != 0
			}
		}
	}
	p.h, p.det = adjugate(pick(gram, rows))
	return p
}

// gramOf is the inner products of all rows: over every second of every
// channel, the product of two rows' weights.
func gramOf(vectors [][channels][]*big.Int, pieces []piece) [][]*big.Int {
	seconds := make([]int64, len(vectors))
	for _, p := range pieces {
		seconds[p.class] += p.to - p.from
	}
	m := len(vectors[0][imports])
	gram := matrix(m)
	var n, t big.Int
	for i, v := range vectors {
		n.SetInt64(seconds[i])
		for ch := range channels {
			for j := range m {
				if v[ch][j].Sign() == 0 {
					continue
				}
				t.Mul(v[ch][j], &n)
				for k := range j + 1 {
					gram[j][k].Add(gram[j][k], new(big.Int).Mul(&t, v[ch][k]))
				}
			}
		}
	}
	for j := range m {
		for k := range j {
			gram[k][j].Set(gram[j][k])
		}
	}
	return gram
}

func matrix(n int) [][]*big.Int {
	m := make([][]*big.Int, n)
	for i := range m {
		m[i] = make([]*big.Int, n)
		for j := range m[i] {
			m[i][j] = new(big.Int)
		}
	}
	return m
}

// pick is the part of a matrix with some rows and the same columns.
func pick(m [][]*big.Int, rows []int) [][]*big.Int {
	out := matrix(len(rows))
	for i, r := range rows {
		for j, c := range rows {
			out[i][j].Set(m[r][c])
		}
	}
	return out
}

// independent is the places of a largest set of independent rows, given their
// Gram matrix: those that do not follow from rows before them. It eliminates
// without fractions (Bareiss). A Gram matrix is positive semidefinite, so a row
// follows from those before it if and only if its diagonal entry becomes zero.
func independent(gram [][]*big.Int) []int {
	m := pick(gram, all(len(gram)))
	var rows []int
	prev := big.NewInt(1)
	for i := range m {
		p := m[i][i]
		if p.Sign() == 0 {
			continue
		}
		rows = append(rows, i)
		for j := i + 1; j < len(m); j++ {
			for k := i + 1; k < len(m); k++ {
				bareiss(m[j][k], p, m[j][i], m[i][k], prev)
			}
		}
		prev = p
	}
	return rows
}

// bareiss sets x to (p·x − a·b) / prev, which divides without a rest.
func bareiss(x, p, a, b, prev *big.Int) {
	var t big.Int
	t.Mul(a, b)
	x.Mul(x, p)
	x.Sub(x, &t)
	x.Quo(x, prev)
}

// adjugate is det(m)·m⁻¹ and det(m) of a positive definite matrix, by Gauss
// and Jordan without fractions. Its leading minors are positive, so no pivot
// is zero.
func adjugate(m [][]*big.Int) ([][]*big.Int, *big.Int) {
	n := len(m)
	h := matrix(n)
	for i := range n {
		h[i][i].SetInt64(1)
	}
	prev := big.NewInt(1)
	for k := range n {
		p := new(big.Int).Set(m[k][k])
		for i := range n {
			if i == k {
				continue
			}
			f := new(big.Int).Set(m[i][k])
			for j := range n {
				bareiss(m[i][j], p, f, m[k][j], prev)
				bareiss(h[i][j], p, f, h[k][j], prev)
			}
		}
		prev = p
	}
	return h, prev
}

func all(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// worst looks for a window of at most width seconds of which more than num/den
// is determined. The share is convex in where the window begins and ends, so
// only windows that begin and end where a piece does, or begin or end there and
// have the full width, can be the worst (spec/gate.md section 4.5). Windows
// without a thin class pass.
func (p *projector) worst(pieces []piece, thin []bool, width, num, den int64) (from, to int64, found bool) {
	w := p.newWindow(thin, num, den)
	for i := range pieces {
		if !near(pieces, thin, i, width) {
			continue
		}
		w.clear()
		for j := i; j < len(pieces) && w.length < width; j++ {
			w.add(pieces[j].class, min(pieces[j].to-pieces[j].from, width-w.length))
			if w.exceeds() {
				return pieces[i].from, pieces[i].from + w.length, true
			}
		}
		w.clear()
		for j := i; j >= 0 && w.length < width; j-- {
			n := pieces[j].to - pieces[j].from
			cut := n > width-w.length
			w.add(pieces[j].class, min(n, width-w.length))
			if cut && w.exceeds() {
				return pieces[i].to - w.length, pieces[i].to, true
			}
		}
	}
	return 0, 0, false
}

// near tells whether a thin class is within width of either end of a piece.
func near(pieces []piece, thin []bool, i int, width int64) bool {
	for j := i; j < len(pieces) && pieces[j].from < pieces[i].from+width; j++ {
		if thin[pieces[j].class] {
			return true
		}
	}
	for j := i; j >= 0 && pieces[j].to > pieces[i].to-width; j-- {
		if thin[pieces[j].class] {
			return true
		}
	}
	return false
}

// window is the weights of the rows summed over a stretch of time.
type window struct {
	p        *projector
	num, den big.Int
	length   int64
	thin     []bool // classes
	touches  bool   // a thin class
	sums     [channels][]*big.Int
	net      []*big.Int
	// scratch
	n, t, row, form big.Int
}

func (p *projector) newWindow(thin []bool, num, den int64) *window {
	w := &window{p: p, thin: thin}
	w.num.SetInt64(num)
	w.num.Mul(&w.num, p.det)
	w.den.SetInt64(den)
	for range p.h {
		for ch := range channels {
			w.sums[ch] = append(w.sums[ch], new(big.Int))
		}
		w.net = append(w.net, new(big.Int))
	}
	return w
}

func (w *window) clear() {
	w.length, w.touches = 0, false
	for ch := range w.sums {
		for _, s := range w.sums[ch] {
			s.SetInt64(0)
		}
	}
}

func (w *window) add(class int, seconds int64) {
	w.length += seconds
	w.touches = w.touches || w.thin[class]
	w.n.SetInt64(seconds)
	for ch := range w.sums {
		for i, s := range w.sums[ch] {
			s.Add(s, w.t.Mul(&w.n, w.p.vectors[class][ch][i]))
		}
	}
}

// exceeds tells whether too much of the import, the export or the net of the
// window is determined. The net u has twice the squared length.
func (w *window) exceeds() bool {
	if !w.touches {
		return false
	}
	if w.p.used[imports] && w.over(w.sums[imports], w.length) || w.p.used[exports] && w.over(w.sums[exports], w.length) {
		return true
	}
	if !w.p.used[imports] || !w.p.used[exports] {
		return false
	}
	for i, n := range w.net {
		n.Sub(w.sums[imports][i], w.sums[exports][i])
	}
	return w.over(w.net, 2*w.length)
}

// over tells whether den · sᵀHs > num · D · length.
func (w *window) over(s []*big.Int, length int64) bool {
	w.form.SetInt64(0)
	for i := range s {
		if s[i].Sign() == 0 {
			continue
		}
		w.row.SetInt64(0)
		for j := range s {
			w.row.Add(&w.row, w.t.Mul(w.p.h[i][j], s[j]))
		}
		w.form.Add(&w.form, w.t.Mul(&w.row, s[i]))
	}
	w.form.Mul(&w.form, &w.den)
	w.n.SetInt64(length)
	return w.form.Cmp(w.t.Mul(&w.n, &w.num)) > 0
}
