// Package export writes a consumer's energy in the forms that others read: CSV,
// JSON, Parquet and Green Button (spec/export.md). It is pure: intervals go in,
// rising in time, and bytes come out as they go. What it keeps in memory does
// not grow with the number of intervals, and nothing in the bytes tells whose
// they are.
package export

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/wattveil/wattveil/consumer"
	"github.com/wattveil/wattveil/tariff"
)

// Format is a form of section 2.
type Format string

// The forms of intervals. [Registers] is a form of its own.
const (
	FormatCSV         Format = "csv"
	FormatJSON        Format = "json"
	FormatParquet     Format = "parquet"
	FormatGreenButton Format = "green-button"
)

// Header is what an export says beside its intervals.
type Header struct {
	From, To time.Time
	Zone     *time.Location // of local days
	Seconds  int64          // the meter's resolution
	Currency string         // ISO 4217 code of the costs; empty without costs
	Feeds    bool           // the meter fed in between From and To
	Made     time.Time
	Bills    []Bill // of periods within From and To, by their start; Green Button has them
}

// Bill is a bill as far as an export tells of it.
type Bill struct {
	From, To time.Time
	Total    tariff.Decimal
	Currency string         // ISO 4217 code
	Import   tariff.Decimal // kWh
	Told     bool           // Import is known
}

// Writer writes intervals. Close ends the form; it does not close what is
// written to. After an error nothing more may be written.
type Writer interface {
	Write(i *consumer.Interval) error
	Close() error
}

// New begins an export.
func New(f Format, w io.Writer, h Header) (Writer, error) {
	if h.Zone == nil || h.Seconds < 1 || !h.From.Before(h.To) {
		return nil, errors.New("export: period, zone or resolution is missing")
	}
	var out Writer
	var err error
	switch f {
	case FormatCSV:
		out, err = NewIntervals(w)
	case FormatJSON:
		out, err = newJSON(w, h)
	case FormatParquet:
		out = newParquet(w, h)
	case FormatGreenButton:
		out, err = newGreenButton(w, h)
	default:
		err = fmt.Errorf("export: no form %.20q", string(f))
	}
	if err != nil {
		return nil, err
	}
	return &ordered{Writer: out, at: h.From.Unix(), to: h.To.Unix()}, nil
}

// ordered refuses intervals that do not rise or are outside of the period.
type ordered struct {
	Writer
	at, to int64
}

func (o *ordered) Write(i *consumer.Interval) error {
	if i.Start < o.at || i.End <= i.Start || i.End > o.to {
		return fmt.Errorf("export: interval from %d to %d follows %d, and the export ends at %d", i.Start, i.End, o.at, o.to)
	}
	if i.Import < 0 || i.Export < 0 {
		return fmt.Errorf("export: interval from %d has a negative energy", i.Start)
	}
	o.at = i.End
	return o.Writer.Write(i)
}

// appendTime writes a time as the text forms have it.
func appendTime(b []byte, at int64) []byte {
	return time.Unix(at, 0).UTC().AppendFormat(b, time.RFC3339)
}
