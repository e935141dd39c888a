package pebble

import (
	"bytes"
	"cmp"
	"encoding/binary"

	"github.com/wattveil/wattveil/readings"
)

const (
	// pageBits is how many low bits of a counter a page covers. A page of an
	// epoch's counters is one value, so that an epoch of a million messages
	// does not become one value of eight megabytes.
	pageBits     = 10
	pageCounters = 1 << pageBits

	maxPageMarks = pageCounters * readings.MaxRivals
)

// mark is a digest that was appended under a counter.
type mark struct {
	counter uint32 // within the page
	stamp   uint64 // of the first Append that brought it
	digest  readings.Digest
}

// order is the one order in which a page keeps its marks.
func (m *mark) order(n *mark) int {
	if m.counter != n.counter {
		return cmp.Compare(m.counter, n.counter)
	}
	if m.stamp != n.stamp {
		return cmp.Compare(m.stamp, n.stamp)
	}
	return bytes.Compare(m.digest[:], n.digest[:])
}

// slot orders by what names a message within a page.
func (m *mark) slot(n *mark) int { return cmp.Compare(m.counter, n.counter) }

// same tells whether both are of one message.
func (m *mark) same(n *mark) bool { return m.digest == n.digest }

// page is the digests of a row of counters of one meter and epoch. It folds as
// a [day] does.
type page struct {
	marks   []mark
	scratch []mark
}

func (p *page) reset() { p.marks = p.marks[:0] }

func (p *page) empty() bool { return len(p.marks) == 0 }

// large tells whether the page has taken up so much memory that it is better
// given back than used again.
func (p *page) large() bool { return cap(p.marks) > 2*pageCounters }

func (p *page) fold() { p.marks = fold(p.marks, maxPageMarks, &p.scratch) }

// encode appends the folded page, which may not be empty.
func (p *page) encode(dst []byte) []byte {
	base := p.marks[0].stamp
	for i := range p.marks {
		base = min(base, p.marks[i].stamp)
	}
	dst = appendHeader(dst, base)
	dst = binary.AppendUvarint(dst, uint64(len(p.marks)))
	dst = appendPlaces(dst, len(p.marks), func(i int) uint32 { return p.marks[i].counter })
	dst = appendStamps(dst, len(p.marks), func(i int) uint64 { return p.marks[i].stamp - base })
	for i := range p.marks {
		dst = append(dst, p.marks[i].digest[:]...)
	}
	return dst
}

// add decodes an operand and adds its marks, or none if it is malformed.
func (p *page) add(operand []byte) error {
	start := len(p.marks)
	if !p.decode(operand) {
		p.marks = p.marks[:start]
		return errMalformed
	}
	return nil
}

// decode adds an operand's marks, and tells whether it is a folded page.
func (p *page) decode(operand []byte) bool {
	c := cursor{b: operand}
	base := c.header()
	n := int(c.upTo(maxPageMarks))
	if n == 0 {
		return false
	}
	start := len(p.marks)
	c.places(n, pageCounters, func(counter, step uint32, n int) {
		for range n {
			p.marks = append(p.marks, mark{counter: counter})
			counter += step
		}
	})
	if c.bad {
		return false
	}
	marks := p.marks[start:]
	least := uint64(1<<64 - 1)
	c.stamps(n, func(i int, v uint64) {
		least = min(least, v)
		stamp, ok := addStamp(base, v)
		if !ok {
			c.fail()
		}
		marks[i].stamp = stamp
	})
	if c.bad || least != 0 || len(c.b) != n*len(readings.Digest{}) {
		return false
	}
	for i := range marks {
		c.b = c.b[copy(marks[i].digest[:], c.b):]
	}
	return folded(marks)
}
