package gate

import (
	"fmt"
	"math/big"
	"slices"
)

// verdict is which quantities of a shape may be told.
type verdict struct {
	tell     []int  // places of quantities, rising
	shape    *Shape // of these alone
	withheld []*Refusal
	refused  *Refusal // if nothing may be told, or a required quantity may not
}

// judge says how much of a shape may be told beside answers that overlap it.
// Where all is too much, it takes the required quantities and then each of the
// others that still fits, in their order (spec/gate.md section 5).
func (g *Gate) judge(s *Shape, others []*Shape) verdict {
	why := g.admits(s, others)
	if why == nil {
		return verdict{tell: all(len(s.quantities)), shape: s}
	}
	v := verdict{}
	var order []int
	for _, required := range [...]bool{true, false} {
		for q := range s.quantities {
			if s.quantities[q].Required == required {
				order = append(order, q)
			}
		}
	}
	for _, q := range order {
		tell := append(slices.Clone(v.tell), q)
		slices.Sort(tell)
		part := s.keep(tell)
		r := g.admits(part, others)
		switch {
		case r == nil:
			v.tell, v.shape = tell, part
			continue
		case s.quantities[q].Required:
			r.Quantity = s.quantities[q].Name
			return verdict{refused: r}
		}
		r.Quantity = s.quantities[q].Name
		v.withheld = append(v.withheld, r)
	}
	if len(v.tell) == 0 {
		return verdict{refused: why}
	}
	return v
}

// admits checks all quantities of a shape together.
func (g *Gate) admits(s *Shape, others []*Shape) *Refusal {
	if len(s.quantities) > g.s.Quantities {
		if n := s.rank(all(len(s.quantities))); n > g.s.Quantities {
			return &Refusal{Rule: Quantities, From: s.from, To: s.to, Detail: fmt.Sprintf("%d, at most %d", n, g.s.Quantities)}
		}
	}
	for q := range s.quantities {
		if s.quantities[q].Priced && g.dear(s, q) {
			return &Refusal{Rule: Price, Quantity: s.quantities[q].Name, From: s.from, To: s.to}
		}
	}
	from, to, found := newBlock(append(slices.Clone(others), s)...).reveals(g)
	if !found {
		return nil
	}
	return &Refusal{Rule: Reveal, From: from, To: to, Detail: fmt.Sprintf("more than %d/%d", g.s.RevealNum, g.s.RevealDen)}
}

// rank is how many of some quantities are independent of each other.
func (s *Shape) rank(quantities []int) int {
	b := newBlock(s)
	return len(independent(pick(gramOf(b.vectors(), b.pieces), quantities)))
}

// dear tells whether a priced sum could spell out the parts that it adds up: a
// price is above the limit, and the energies at each price are not told beside
// it, from which the sum would follow (spec/gate.md section 3).
func (g *Gate) dear(s *Shape, q int) bool {
	limit := new(big.Rat).SetInt64(g.s.PriceLimit)
	for range 11 - s.decimals {
		limit.Mul(limit, big.NewRat(10, 1))
	}
	var first *big.Rat
	above, several := false, false
	for _, c := range s.classes {
		for ch := range c {
			w := new(big.Rat).Abs(c[ch][q])
			if w.Sign() == 0 {
				continue
			}
			if first == nil {
				first = w
			}
			several = several || w.Cmp(first) != 0
			above = above || w.Cmp(limit) > 0
		}
	}
	if !above || !several {
		return false
	}
	var plain []int
	for k := range s.quantities {
		if !s.quantities[k].Priced {
			plain = append(plain, k)
		}
	}
	return s.rank(append(plain, q)) > s.rank(plain)
}
