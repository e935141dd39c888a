package pebble

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/wattveil/wattveil"
)

const (
	secondsPerDay = 86_400

	// maxDayValues is how many values one day of one meter holds: 24 series of
	// one reading a second. Nothing but a meter that contradicts itself without
	// end comes near. It bounds what decoding takes up.
	maxDayValues = 1 << 21
)

// value is one value that was appended for one reading of a day.
type value struct {
	series uint32
	second uint32 // since midnight UTC
	status uint16
	imp    uint64
	exp    uint64
	stamp  uint64 // of the first Append that brought it
}

// order is the one order in which a day keeps its values: those of one reading
// stand together, the one that counts before the others. Values with one stamp
// do not occur unless bytes were made up; they still need an order.
func (v *value) order(w *value) int {
	if c := v.slot(w); c != 0 {
		return c
	}
	return cmp.Or(cmp.Compare(v.stamp, w.stamp), cmp.Compare(v.imp, w.imp),
		cmp.Compare(v.exp, w.exp), cmp.Compare(v.status, w.status))
}

// slot orders by what names a reading within a day.
func (v *value) slot(w *value) int {
	if v.series != w.series {
		return cmp.Compare(v.series, w.series)
	}
	return cmp.Compare(v.second, w.second)
}

// same tells whether both say the same of a reading.
func (v *value) same(w *value) bool {
	return v.imp == w.imp && v.exp == w.exp && v.status == w.status
}

// reading is the value with its time.
func (v *value) reading(midnight int64) wattveil.Reading {
	return wattveil.Reading{
		Time:   midnight + int64(v.second),
		Import: wattveil.Register(v.imp),
		Export: wattveil.Register(v.exp),
		Status: wattveil.Status(v.status),
	}
}

// day is the values of one meter and day. Its methods fold: see FORMAT.md.
type day struct {
	values  []value
	scratch []value
}

func (d *day) reset() { d.values = d.values[:0] }

func (d *day) empty() bool { return len(d.values) == 0 }

// large tells whether the day has taken up so much memory that it is better
// given back than used again.
func (d *day) large() bool { return cap(d.values) > 1<<14 }

func (d *day) fold() { d.values = fold(d.values, maxDayValues, &d.scratch) }

// encode appends the folded day, which may not be empty.
func (d *day) encode(dst []byte) []byte {
	base := d.values[0].stamp
	for i := range d.values {
		base = min(base, d.values[i].stamp)
	}
	dst = appendHeader(dst, base)
	last := uint32(0)
	for rest := d.values; len(rest) > 0; {
		series := rest[0].series
		n := 1
		for n < len(rest) && rest[n].series == series {
			n++
		}
		dst = binary.AppendUvarint(dst, uint64(series-last))
		dst = appendSection(dst, rest[:n], base)
		rest, last = rest[n:], series
	}
	return dst
}

// appendSection appends the values of one series, column by column.
func appendSection(dst []byte, values []value, base uint64) []byte {
	first := &values[0]
	dst = binary.AppendUvarint(dst, uint64(len(values)))

	dst = appendPlaces(dst, len(values), func(i int) uint32 { return values[i].second })

	imports := sparse{dst: binary.AppendUvarint(dst, first.imp)}
	for i := 1; i < len(values); i++ {
		imports.put((values[i].imp - values[i-1].imp) % wattveil.RegisterModulus)
	}
	imports.flush()

	exports := sparse{dst: binary.AppendUvarint(imports.dst, first.exp)}
	for i := 1; i < len(values); i++ {
		exports.put((values[i].exp - values[i-1].exp) % wattveil.RegisterModulus)
	}
	exports.flush()

	statuses := runs{dst: exports.dst}
	for i := range values {
		statuses.put(uint64(values[i].status))
	}
	statuses.flush()

	return appendStamps(statuses.dst, len(values), func(i int) uint64 { return values[i].stamp - base })
}

// add decodes an operand and adds its values, or none if it is malformed.
func (d *day) add(operand []byte) error {
	start := len(d.values)
	c := cursor{b: operand}
	base := c.header()
	least := uint64(1<<64 - 1) // stamp of the operand, relative to base
	series := uint64(0)
	for first := true; first || len(c.b) > 0; first = false {
		step := c.upTo(1<<32 - 1 - series)
		if step == 0 && !first {
			c.fail()
		}
		series += step
		least = min(least, d.section(&c, uint32(series), base, maxDayValues-(len(d.values)-start)))
	}
	if c.bad || least != 0 {
		d.values = d.values[:start]
		return errMalformed
	}
	return nil
}

// section decodes the values of one series, at most limit, and returns their
// least stamp relative to base.
func (d *day) section(c *cursor, series uint32, base uint64, limit int) (least uint64) {
	n := int(c.upTo(uint64(limit)))
	if n == 0 {
		c.fail()
		return 0
	}
	start := len(d.values)
	c.places(n, secondsPerDay, func(second, step uint32, n int) {
		at := len(d.values)
		d.values = slices.Grow(d.values, n)[:at+n]
		for i := range d.values[at:] {
			d.values[at+i] = value{series: series, second: second}
			second += step
		}
	})
	if c.bad {
		return 0
	}
	values := d.values[start:]
	columns(c, values)
	least = 1<<64 - 1
	c.stamps(n, func(i int, v uint64) {
		least = min(least, v)
		stamp, ok := addStamp(base, v)
		if !ok {
			c.fail()
		}
		values[i].stamp = stamp
	})
	if c.bad || !folded(values) {
		c.fail()
	}
	return least
}

// columns decodes the columns of a section between seconds and stamps.
func columns(c *cursor, values []value) {
	rest := len(values) - 1
	values[0].imp = c.upTo(wattveil.RegisterModulus - 1)
	c.sparseColumn(rest, wattveil.RegisterModulus-1, func(i int, v uint64) {
		values[i+1].imp = (values[i].imp + v) % wattveil.RegisterModulus
	})
	values[0].exp = c.upTo(wattveil.RegisterModulus - 1)
	c.sparseColumn(rest, wattveil.RegisterModulus-1, func(i int, v uint64) {
		values[i+1].exp = (values[i].exp + v) % wattveil.RegisterModulus
	})
	c.runColumn(len(values), 1<<16-1, func(i int, v uint64, n int) {
		for end := i + n; i < end; i++ {
			values[i].status = uint16(v)
		}
	})
}
