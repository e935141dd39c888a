package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/wattveil/wattveil/internal/grid"
)

// writeBills prints the table of bills.
func writeBills(w io.Writer, r *grid.Report) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "household\tpseudonym\timport kWh\texport kWh\ttotal\t\tbill\t")
	for _, b := range r.Bills {
		state := "verified"
		if !b.Verified {
			state = "NOT VERIFIED"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", b.Column, b.Pseudonym, b.ImportKWh, b.ExportKWh, b.Total, b.Currency, state)
	}
	_ = t.Flush()
}

// writeKnowledge prints one line a party, and the run in figures.
func writeKnowledge(w io.Writer, r *grid.Report) {
	var readings int64
	for _, m := range r.Meters {
		readings += m.ReadingsStored
	}
	if len(r.Bills) > 0 && r.Bills[0].From != "" {
		fmt.Fprintf(w, "\nbilled from %s to %s\n", r.Bills[0].From, r.Bills[0].To)
	}
	fmt.Fprintf(w, `
meter      knows its own readings and keys; it does not know the TTP's view of others
collector  carried %d messages (%d bytes with one reading); it knows which meters sent, not what
utility    knows %d meters and their customers, and %d bills; it has seen no reading
TTP        holds %d readings under %d pseudonyms; it does not know whose they are
consumer   knows the bill is the TTP's, since its signature and sums hold

lost %d, stored twice %d, %v
`, r.Wire.Messages, r.Wire.ReadingMessageBytes, len(r.Meters), len(r.Bills), readings, len(r.Meters),
		r.Lost, r.Duplicates, time.Duration(r.Seconds*float64(time.Second)).Round(100*time.Millisecond))
}
