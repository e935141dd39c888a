package wire

import (
	"encoding/binary"
	"fmt"
	"math"
)

// decoder reads fields in order and remembers that it ran out of bytes, so
// that a caller checks once, at the end.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) take(n int) []byte {
	if d.bad || n < 0 || len(d.b) < n {
		d.bad = true
		return nil
	}
	out := d.b[:n]
	d.b = d.b[n:]
	return out
}

func (d *decoder) u8() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) u16() uint16 {
	if b := d.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (d *decoder) u32() uint32 {
	if b := d.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (d *decoder) u64() uint64 {
	if b := d.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// time reads Unix seconds; what no clock shows is refused.
func (d *decoder) time() int64 {
	t := d.u64()
	if t > math.MaxInt64 {
		d.bad = true
		return 0
	}
	return int64(t)
}

func (d *decoder) fill(dst []byte) { copy(dst, d.take(len(dst))) }

// u16bytes reads a length and a copy of that many bytes.
func (d *decoder) u16bytes() []byte { return append([]byte(nil), d.u16view()...) }

// u16view is u16bytes without the copy: it points into the input.
func (d *decoder) u16view() []byte { return d.take(int(d.u16())) }

// end refuses what ran short and what is left over.
func (d *decoder) end(what string) error {
	if d.bad {
		return fmt.Errorf("%w: %s ends early or holds a value out of range", Malformed, what)
	}
	if len(d.b) != 0 {
		return fmt.Errorf("%w: %d bytes after the end of %s", Malformed, len(d.b), what)
	}
	return nil
}

// appendU16 appends a length and b. What is longer has no form on the wire, and
// no decoder gives it out: to cut its length would send another message.
func appendU16(dst, b []byte) []byte {
	if len(b) > math.MaxUint16 {
		panic(fmt.Sprintf("wire: field of %d bytes, want at most %d", len(b), math.MaxUint16))
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(b)))
	return append(dst, b...)
}
