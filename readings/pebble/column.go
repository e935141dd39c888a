package pebble

import (
	"encoding/binary"
	"errors"
	"math/bits"

	"github.com/wattveil/wattveil/readings"
)

// errMalformed is why a decoder refuses bytes. Which rule they break helps
// nobody who reads the error, so that there is one.
var errMalformed = errors.New("malformed value")

// valueVersion is the first byte of a day and of a page.
const valueVersion = 1

// headerLen is the length of what every day and page begins with: the version
// and the base stamp. The base has a fixed width and place because Append
// encodes first and learns its stamp later.
const headerLen = 1 + 8

// appendHeader begins a value.
func appendHeader(dst []byte, base uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, valueVersion), base)
}

// setBase writes the base stamp into an encoded value.
func setBase(value []byte, base uint64) {
	binary.BigEndian.PutUint64(value[1:headerLen], base)
}

// sparse appends a column of numbers of which many are zero: a number that is
// not zero stands for itself, and a row of zeros is a zero and its length.
type sparse struct {
	dst   []byte
	zeros uint64
}

func (s *sparse) put(v uint64) {
	if v == 0 {
		s.zeros++
		return
	}
	s.flush()
	s.dst = binary.AppendUvarint(s.dst, v)
}

// flush ends a row of zeros. It also ends the column.
func (s *sparse) flush() {
	if s.zeros == 0 {
		return
	}
	s.dst = append(s.dst, 0)
	s.dst = binary.AppendUvarint(s.dst, s.zeros)
	s.zeros = 0
}

// runs appends a column of numbers that change seldom, as pairs of a number
// and how often it comes in a row.
type runs struct {
	dst   []byte
	value uint64
	count uint64
}

func (r *runs) put(v uint64) {
	if r.count > 0 && v == r.value {
		r.count++
		return
	}
	r.flush()
	r.value, r.count = v, 1
}

// flush ends a run. It also ends the column.
func (r *runs) flush() {
	if r.count == 0 {
		return
	}
	r.dst = binary.AppendUvarint(r.dst, r.value)
	r.dst = binary.AppendUvarint(r.dst, r.count)
	r.count = 0
}

// appendPlaces appends n rising places, as the first one and runs of steps.
func appendPlaces(dst []byte, n int, place func(i int) uint32) []byte {
	last := place(0)
	r := runs{dst: binary.AppendUvarint(dst, uint64(last))}
	for i := 1; i < n; i++ {
		at := place(i)
		r.put(uint64(at - last))
		last = at
	}
	r.flush()
	return r.dst
}

// cursor reads what the functions above append. It accepts only the shortest
// form of a number and the longest runs, so that no two strings of bytes mean
// the same. After the first fault every number is zero and bad stays set, which
// spares the callers a check for each number.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) fail() uint64 {
	c.b, c.bad = nil, true
	return 0
}

func (c *cursor) uvarint() uint64 {
	if len(c.b) > 0 && c.b[0] < 0x80 { // most are this short
		v := uint64(c.b[0])
		c.b = c.b[1:]
		return v
	}
	v, n := binary.Uvarint(c.b)
	if n <= 0 || c.b[n-1] == 0 {
		return c.fail()
	}
	c.b = c.b[n:]
	return v
}

// upTo is a number of at most limit.
func (c *cursor) upTo(limit uint64) uint64 {
	v := c.uvarint()
	if v > limit {
		return c.fail()
	}
	return v
}

// header reads the version and returns the base stamp.
func (c *cursor) header() uint64 {
	if len(c.b) < headerLen || c.b[0] != valueVersion {
		return c.fail()
	}
	base := binary.BigEndian.Uint64(c.b[1:headerLen])
	c.b = c.b[headerLen:]
	return base
}

// sparseColumn reads count numbers that a sparse appended and hands each to
// put with its place. Numbers above limit, which is at least 127, are refused.
func (c *cursor) sparseColumn(count int, limit uint64, put func(i int, v uint64)) {
	afterZeros := false
	for i := 0; i < count; {
		b := c.b // kept apart from the cursor while numbers are short, as most are
		for ; i < count && len(b) > 0 && b[0]-1 < 0x7f; i++ {
			put(i, uint64(b[0]))
			b = b[1:]
			afterZeros = false
		}
		if c.bad { // put failed it
			return
		}
		if c.b = b; i == count {
			return
		}
		v := c.upTo(limit)
		if c.bad {
			return
		}
		if v != 0 {
			put(i, v)
			i++
			afterZeros = false
			continue
		}
		zeros := c.upTo(uint64(count - i))
		if zeros == 0 || afterZeros {
			c.fail()
			return
		}
		for end := i + int(zeros); i < end; i++ {
			put(i, 0)
		}
		afterZeros = true
	}
}

// runColumn reads count numbers that a runs appended and hands each run to put
// with the place of its first number. Numbers above limit are refused.
func (c *cursor) runColumn(count int, limit uint64, put func(i int, v uint64, n int)) {
	for i, last := 0, uint64(0); i < count; {
		v := c.upTo(limit)
		n := int(c.upTo(uint64(count - i)))
		if n == 0 || i > 0 && v == last {
			c.fail()
			return
		}
		put(i, v, n)
		i, last = i+n, v
	}
}

// places reads count rising places below end, as the first one and runs of
// steps, and hands each run to put. A place may come several times, but not
// more often than a slot has rivals. That, and the rise, bound what few bytes
// can stand for, before anything is made of them.
func (c *cursor) places(count int, end uint32, put func(first, step uint32, n int)) {
	at := uint32(c.upTo(uint64(end - 1)))
	if c.bad {
		return
	}
	put(at, 0, 1)
	c.runColumn(count-1, uint64(end-1), func(_ int, v uint64, n int) {
		if v == 0 && n >= readings.MaxRivals || v*uint64(n) >= uint64(end-at) {
			c.fail()
			return
		}
		put(at+uint32(v), uint32(v), n)
		at += uint32(v) * uint32(n)
	})
}

// zigzag maps numbers near zero, of either sign in two's complement, to small
// numbers.
func zigzag(v uint64) uint64 { return v<<1 ^ uint64(int64(v)>>63) }

// unzigzag undoes zigzag.
func unzigzag(v uint64) uint64 { return v>>1 ^ -(v & 1) }

// appendStamps appends a column of stamps that rise regularly, as the change
// of their steps. first to last are relative to the base.
func appendStamps(dst []byte, n int, stamp func(i int) uint64) []byte {
	dst = binary.AppendUvarint(dst, stamp(0))
	s := sparse{dst: dst}
	last, step := stamp(0), uint64(0)
	for i := 1; i < n; i++ {
		v := stamp(i)
		s.put(zigzag(v - last - step))
		last, step = v, v-last
	}
	s.flush()
	return s.dst
}

// stamps reads n stamps and hands each to put with its place.
func (c *cursor) stamps(n int, put func(i int, v uint64)) {
	last, step := c.uvarint(), uint64(0)
	put(0, last)
	c.sparseColumn(n-1, 1<<64-1, func(i int, v uint64) {
		step += unzigzag(v)
		last += step
		put(i+1, last)
	})
}

// addStamp is base + stamp, and false if that does not fit into 64 bits.
func addStamp(base, stamp uint64) (uint64, bool) {
	sum, carry := bits.Add64(base, stamp, 0)
	return sum, carry == 0
}
