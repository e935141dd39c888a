package export

import (
	"io"
	"strconv"
	"time"

	"github.com/wattveil/wattveil/consumer"
)

// jsonForm is the form of section 3. Rows are written by hand: none of their
// values needs escaping, and a year has many.
type jsonForm struct {
	w     io.Writer
	costs bool
	any   bool
	row   []byte
}

func newJSON(w io.Writer, h Header) (*jsonForm, error) {
	b := append([]byte(`{"format":"wattveil export 1","zone":`), strconv.Quote(h.Zone.String())...)
	b = append(appendTime(append(b, `,"from":"`...), h.From.Unix()), '"')
	b = append(appendTime(append(b, `,"to":"`...), h.To.Unix()), '"')
	b = strconv.AppendInt(append(b, `,"seconds":`...), h.Seconds, 10)
	if h.Currency != "" {
		b = append(append(b, `,"currency":`...), strconv.Quote(h.Currency)...)
	}
	_, err := w.Write(append(b, `,"intervals":[`...))
	return &jsonForm{w: w, costs: h.Currency != ""}, err
}

func (j *jsonForm) Write(i *consumer.Interval) error {
	b := j.row[:0]
	if j.any {
		b = append(b, ',')
	}
	j.any = true
	b = append(b, "\n{\"start\":\""...)
	b = time.Unix(i.Start, 0).UTC().AppendFormat(b, time.RFC3339)
	b = strconv.AppendInt(append(b, `","seconds":`...), i.End-i.Start, 10)
	b = strconv.AppendInt(append(b, `,"import_wh":`...), int64(i.Import), 10)
	b = strconv.AppendInt(append(b, `,"export_wh":`...), int64(i.Export), 10)
	b = strconv.AppendUint(append(b, `,"quality":`...), uint64(i.Quality), 10)
	if j.costs && i.Costed {
		b = append(append(append(b, `,"import_cost":"`...), i.ImportCost.String()...), '"')
		b = append(append(append(b, `,"export_cost":"`...), i.ExportCost.String()...), '"')
	}
	j.row = append(b, '}')
	_, err := j.w.Write(j.row)
	return err
}

func (j *jsonForm) Close() error {
	_, err := io.WriteString(j.w, "\n]}\n")
	return err
}
