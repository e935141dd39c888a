package gate

import (
	"errors"
	"fmt"
	"math/big"
)

// Carry is the shape of a bill that takes up what late readings changed in an
// earlier one: each of its quantities is told with the difference added, so
// that the difference is not told alone. s is what the bill would tell without
// it, before what the earlier bill told, after what it would tell now. All
// three have the same quantities in the same order.
func (g *Gate) Carry(s, before, after *Shape) (*Shape, error) {
	if s.gate != g {
		return nil, errForeign
	}
	if n := len(s.quantities); len(before.quantities) != n || len(after.quantities) != n {
		return nil, fmt.Errorf("gate: a difference in %d and %d quantities cannot be carried into %d", len(before.quantities), len(after.quantities), n)
	}
	if before.from != after.from || before.to != after.to || before.to > s.from {
		return nil, errors.New("gate: what is carried is not of one earlier period")
	}
	b := newBlock(s, after, before)
	weights := make([]class, len(b.cells))
	for i, cell := range b.cells {
		weights[i] = b.difference(cell)
	}
	pieces := b.pieces
	for len(pieces) > 0 && pieces[0].to <= s.from && weights[pieces[0].class].zero() {
		pieces = pieces[1:]
	}
	for n := len(pieces); n > 0 && pieces[n-1].from >= s.to && weights[pieces[n-1].class].zero(); n-- {
		pieces = pieces[:n-1]
	}
	runs := make([]run, len(pieces))
	for i, p := range pieces {
		runs[i] = run{p.to, p.class}
	}
	out := &Shape{gate: g, from: s.from, to: s.to, lo: pieces[0].from, decimals: s.decimals, quantities: s.quantities}
	if err := out.settle(weights, runs); err != nil {
		return nil, err
	}
	out.alone = g.judge(out, nil)
	return out, nil
}

// difference is the weights of the first member of a cell, plus those of the
// second, less those of the third.
func (b *block) difference(cell []int) class {
	var out class
	for ch := range out {
		out[ch] = rats(nil, len(b.members[0].quantities))
		for k, s := range b.members {
			if cell[k] < 0 {
				continue
			}
			for q, w := range s.classes[cell[k]][ch] {
				if k == 2 {
					w = new(big.Rat).Neg(w)
				}
				out[ch][q].Add(out[ch][q], w)
			}
		}
	}
	return out
}

func (c class) zero() bool { return zero(c[imports]) && zero(c[exports]) }
