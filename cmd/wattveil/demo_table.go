package main

import (
	"fmt"
	"io"
	"math/big"
	"strings"
	"time"

	"github.com/wattveil/wattveil/internal/grid"
)

const (
	maxRows  = 30 // bills shown
	maxName  = 16 // characters of a household's name shown
	billLine = "%-*s  %-16s  %12s  %12s  %12s\n"
)

// print shows the bills and what each party knows, in lines of at most 80
// characters.
func (d *demo) print(r *grid.Report, in *input) error {
	var b strings.Builder
	writeBills(&b, r.Bills)
	writeGate(&b, in.gate, in.rule)
	writeKnowledge(&b, r)
	if _, err := io.WriteString(d.out, b.String()); err != nil {
		return fmt.Errorf("print the bills: %w", err)
	}
	return nil
}

// writeBills prints the table of bills and its sums.
func writeBills(w io.Writer, bills []grid.BillReport) {
	fmt.Fprintf(w, billLine, maxName, "household", "pseudonym", "import kWh", "export kWh", "total "+currency(bills))
	var imported, exported, total sum
	verified := 0
	for i, b := range bills {
		if b.Verified {
			verified++
			imported.add(b.ImportKWh)
			exported.add(b.ExportKWh)
			total.add(b.Total)
		}
		switch {
		case i >= maxRows:
		case b.Verified:
			fmt.Fprintf(w, billLine, maxName, cut(b.Column), b.Pseudonym, b.ImportKWh, b.ExportKWh, b.Total)
		default:
			fmt.Fprintf(w, "%-*s  %-16s  %s\n", maxName, cut(b.Column), b.Pseudonym, "NO VERIFIED BILL")
		}
	}
	if n := len(bills) - maxRows; n > 0 {
		fmt.Fprintf(w, "… and %d more; --report has them all\n", n)
	}
	if verified > 0 {
		fmt.Fprintf(w, billLine, maxName, "sum", "", imported.String(), exported.String(), total.String())
	}
	if len(bills) > 0 {
		fmt.Fprintf(w, "\nbilled from %s to %s\n%d of %s verified with the TTP's public keys\n",
			bills[0].From, bills[0].To, verified, count(len(bills), "bill"))
	}
}

// currency is that of the bills, of which some may not be there.
func currency(bills []grid.BillReport) string {
	for _, b := range bills {
		if b.Currency != "" {
			return b.Currency
		}
	}
	return ""
}

// cut shortens a household's name to what the table has room for.
func cut(name string) string {
	if r := []rune(name); len(r) > maxName {
		return string(r[:maxName-1]) + "…"
	}
	return name
}

// sum adds decimals up, exactly.
type sum struct {
	total    big.Rat
	decimals int
}

func (s *sum) add(decimal string) {
	var r big.Rat
	if _, ok := r.SetString(decimal); !ok {
		return // a verified bill has none such
	}
	s.total.Add(&s.total, &r)
	_, fraction, _ := strings.Cut(decimal, ".")
	s.decimals = max(s.decimals, len(fraction))
}

// String has as many decimals as the longest summand.
func (s *sum) String() string { return s.total.FloatString(s.decimals) }

// writeKnowledge prints one line a party, and the run in figures. What a party
// holds is counted in its own store.
func writeKnowledge(w io.Writer, r *grid.Report) {
	var readings int64
	registered, verified := 0, 0
	for _, m := range r.Meters {
		readings += m.ReadingsStored
		if m.Registered {
			registered++
		}
	}
	for _, b := range r.Bills {
		if b.Verified {
			verified++
		}
	}
	meters := count(registered, "meter")
	fmt.Fprintf(w, `
meter      knows its own readings and keys; does not know any other home's
collector  knows %s of %s; does not know what they say
utility    knows %s by name and %s; does not know any reading
TTP        knows %s of %s; does not know whose
consumer   knows the bill and that it adds up; does not know any other home's

%s lost, %d stored twice, %s a message with one reading, %v
`, count(r.Wire.Messages, "message"), meters, meters, count(verified, "bill"),
		count(readings, "reading"), count(registered, "pseudonym"),
		count(r.Lost, "reading"), r.Duplicates, count(r.Wire.ReadingMessageBytes, "byte"),
		time.Duration(r.Seconds*float64(time.Second)).Round(100*time.Millisecond))
}

// count is a number of things, in words.
func count[N int | int64](n N, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}
