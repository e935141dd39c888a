package export

import (
	"io"
	"strconv"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/consumer"
)

// Intervals writes the intervals' form of spec/bill.md section 10.
type Intervals struct {
	w   io.Writer
	row []byte
}

// NewIntervals begins a file of intervals.
func NewIntervals(w io.Writer) (*Intervals, error) {
	_, err := io.WriteString(w, "start,seconds,import_wh,export_wh,quality\n")
	return &Intervals{w: w}, err
}

// Write implements [Writer].
func (c *Intervals) Write(i *consumer.Interval) error {
	b := appendTime(c.row[:0], i.Start)
	for _, n := range [...]int64{i.End - i.Start, int64(i.Import), int64(i.Export), int64(i.Quality)} {
		b = strconv.AppendInt(append(b, ','), n, 10)
	}
	c.row = append(b, '\n')
	_, err := c.w.Write(c.row)
	return err
}

// Close implements [Writer].
func (c *Intervals) Close() error { return nil }

// Registers writes readings as they came, in the TTP's form of spec/bill.md
// section 10.
type Registers struct {
	w   io.Writer
	row []byte
}

// NewRegisters begins a file of registers.
func NewRegisters(w io.Writer) (*Registers, error) {
	_, err := io.WriteString(w, "series,time,import_register_wh,export_register_wh,flags\n")
	return &Registers{w: w}, err
}

// Write writes a reading of a series.
func (r *Registers) Write(s wattveil.Series, v wattveil.Reading) error {
	b := strconv.AppendUint(r.row[:0], uint64(s), 10)
	b = appendTime(append(b, ','), v.Time)
	b = strconv.AppendUint(append(b, ','), uint64(v.Import), 10)
	b = strconv.AppendUint(append(b, ','), uint64(v.Export), 10)
	b = append(append(b, ','), v.Status.Text()...)
	r.row = append(b, '\n')
	_, err := r.w.Write(r.row)
	return err
}
