package export

import (
	"io"
	"strconv"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/consumer"
)

// csv is the intervals' form of spec/bill.md section 10.
type csv struct {
	w   io.Writer
	row []byte
}

func newCSV(w io.Writer) (*csv, error) {
	_, err := io.WriteString(w, "start,seconds,import_wh,export_wh,quality\n")
	return &csv{w: w}, err
}

func (c *csv) Write(i *consumer.Interval) error {
	b := appendTime(c.row[:0], i.Start)
	for _, n := range [...]int64{i.End - i.Start, int64(i.Import), int64(i.Export), int64(i.Quality)} {
		b = strconv.AppendInt(append(b, ','), n, 10)
	}
	c.row = append(b, '\n')
	_, err := c.w.Write(c.row)
	return err
}

func (c *csv) Close() error { return nil }

// Registers writes readings as they came, in the TTP's form of spec/bill.md
// section 10.
type Registers struct{ csv }

// NewRegisters begins an export of registers.
func NewRegisters(w io.Writer) (*Registers, error) {
	_, err := io.WriteString(w, "series,time,import_register_wh,export_register_wh,flags\n")
	return &Registers{csv{w: w}}, err
}

// Write writes a reading of a series.
func (r *Registers) Write(s wattveil.Series, v wattveil.Reading) error {
	b := strconv.AppendUint(r.row[:0], uint64(s), 10)
	b = appendTime(append(b, ','), v.Time)
	b = strconv.AppendUint(append(b, ','), uint64(v.Import), 10)
	b = strconv.AppendUint(append(b, ','), uint64(v.Export), 10)
	r.row = append(appendFlags(append(b, ','), v.Status), '\n')
	_, err := r.w.Write(r.row)
	return err
}

// appendFlags writes the names of the bits that are set, and the numbers of
// those without a name, rising.
func appendFlags(b []byte, s wattveil.Status) []byte {
	names := [...]string{"clock", "restart", "tamper"}
	first := true
	for bit := range 16 {
		if s&(1<<bit) == 0 {
			continue
		}
		if !first {
			b = append(b, ' ')
		}
		first = false
		if bit < len(names) {
			b = append(b, names[bit]...)
		} else {
			b = strconv.AppendInt(b, int64(bit), 10)
		}
	}
	return b
}
