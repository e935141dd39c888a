package pebble

import (
	"bytes"
	"encoding/binary"
	"io"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// mergerName is stored in the database, which opens under no other. It changes
// when the meaning of an operand does.
const mergerName = "wattveil.day.v1"

// mixedVersion is the first byte of a value that holds pieces which cannot be
// decoded beside what can be.
const mixedVersion = 2

// folder is a day or a page.
type folder interface {
	add(operand []byte) error // adds all of an operand, or nothing and an error
	fold()
	encode(dst []byte) []byte
	empty() bool
	large() bool
	reset()
}

// newMerger makes the operator that folds operands of one key into one value.
// It is called on flushes, on compactions and on reads. It never fails: an
// operand that cannot be decoded is kept as it is, beside the others.
func newMerger() *pebble.Merger {
	days := sync.Pool{New: func() any { return &merge{gather: gather{into: new(day)}} }}
	pages := sync.Pool{New: func() any { return &merge{gather: gather{into: new(page)}} }}
	return &pebble.Merger{
		Name: mergerName,
		Merge: func(key, operand []byte) (pebble.ValueMerger, error) {
			pool := &days
			if len(key) > 0 && key[0] == kindPage {
				pool = &pages
			}
			m := pool.Get().(*merge)
			m.pool = pool
			m.first = append(m.first[:0], operand...)
			return m, nil
		},
	}
}

// merge folds the operands of one key. It is a [pebble.ValueMerger], and the
// closer of the value that it returns.
type merge struct {
	gather
	first []byte // the first operand: if it is the only one, it is the result
	many  bool
	out   []byte
	pool  *sync.Pool
}

// MergeNewer adds an operand. Whether it is newer or older does not matter:
// stamps tell what was first.
func (m *merge) MergeNewer(operand []byte) error { return m.MergeOlder(operand) }

// MergeOlder adds an operand.
func (m *merge) MergeOlder(operand []byte) error {
	if !m.many {
		m.many = true
		m.take(m.first)
	}
	m.take(operand)
	return nil
}

// Finish folds. A part of the operands folds as well as all of them.
func (m *merge) Finish(bool) ([]byte, io.Closer, error) {
	if !m.many {
		return m.first, m, nil
	}
	m.into.fold()
	m.out = m.encode(m.out[:0])
	return m.out, m, nil
}

// Close gives the memory of the result back.
func (m *merge) Close() error {
	m.many, m.odd = false, nil
	m.into.reset()
	if !m.into.large() && cap(m.first) <= 1<<20 && cap(m.out) <= 1<<20 {
		m.pool.Put(m)
	}
	return nil
}

// gather collects operands, those that can be decoded and those that cannot.
type gather struct {
	into folder
	odd  [][]byte // what cannot be decoded
}

// take adds an operand, or each piece of it if it is a mixed value. It keeps no
// reference to it.
func (g *gather) take(operand []byte) {
	if g.into.add(operand) == nil {
		return
	}
	pieces, ok := split(operand)
	if !ok {
		g.odd = append(g.odd, bytes.Clone(operand))
	}
	for _, p := range pieces {
		g.take(p)
	}
}

// encode appends the value of all operands that were taken, once they are
// folded. Those that cannot be decoded follow in byte order, each once, so that
// the result does not depend on the order in which they came either.
func (g *gather) encode(dst []byte) []byte {
	if len(g.odd) == 0 {
		return g.into.encode(dst)
	}
	slices.SortFunc(g.odd, bytes.Compare)
	g.odd = slices.CompactFunc(g.odd, bytes.Equal)
	if g.into.empty() && len(g.odd) == 1 {
		return append(dst, g.odd[0]...)
	}
	var good []byte
	if !g.into.empty() {
		good = g.into.encode(nil)
	}
	dst = appendPiece(append(dst, mixedVersion), good)
	for _, p := range g.odd {
		dst = appendPiece(dst, p)
	}
	return dst
}

func appendPiece(dst, p []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(p))), p...)
}

// split takes a mixed value apart: what can be decoded, if there is any, and
// what cannot. The pieces are parts of value.
func split(value []byte) (pieces [][]byte, ok bool) {
	if len(value) == 0 || value[0] != mixedVersion {
		return nil, false
	}
	c := cursor{b: value[1:]}
	for first := true; len(c.b) > 0; first = false {
		n := c.uvarint()
		if n > uint64(len(c.b)) {
			return nil, false
		}
		if n > 0 || !first {
			pieces = append(pieces, c.b[:n])
		}
		c.b = c.b[n:]
	}
	if c.bad || len(pieces) < 2 {
		return nil, false
	}
	return pieces, true
}
