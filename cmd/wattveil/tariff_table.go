package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/wattveil/wattveil/tariff"
)

// writePriced prints a table for each home, with a column for each tariff, and
// with several homes one table of all totals.
func writePriced(w io.Writer, results []priced, columns []string, lines bool) error {
	var s strings.Builder
	for _, column := range columns {
		of := slices.DeleteFunc(slices.Clone(results), func(p priced) bool { return p.Column != column })
		writeHome(&s, of)
		if lines {
			for _, p := range of {
				writeLines(&s, p)
			}
		}
	}
	if len(columns) > 1 {
		writeTotals(&s, results, columns)
	}
	writeNotes(&s, results)
	if _, err := io.WriteString(w, s.String()); err != nil {
		return fmt.Errorf("print prices: %w", err)
	}
	return nil
}

// table aligns cells to the right, the first of each row to the left.
func table(s *strings.Builder, rows [][]string) {
	width := 0
	for _, row := range rows {
		width = max(width, len(row[0]))
	}
	t := tabwriter.NewWriter(s, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, row := range rows {
		fmt.Fprintf(t, "%-*s\t%s\t\n", width, row[0], strings.Join(row[1:], "\t"))
	}
	_ = t.Flush() // a strings.Builder takes everything
}

// writeHome prints the months of one home. Rows follow the first tariff's
// months; tariffs of other time zones may have others.
func writeHome(s *strings.Builder, of []priced) {
	first := of[0]
	fmt.Fprintf(s, "%s: %s to %s\n", first.Column, first.Months[0].From, first.Months[len(first.Months)-1].To)
	rows := [][]string{{"month", "kWh in", "kWh out"}}
	for _, p := range of {
		rows[0] = append(rows[0], p.Tariff+" "+p.Currency)
	}
	var months []string
	for _, p := range of {
		for _, m := range p.Months {
			if !slices.Contains(months, m.Month) {
				months = append(months, m.Month)
			}
		}
	}
	slices.Sort(months)
	for _, month := range months {
		imported, exported, _ := first.sum(month)
		row := []string{month, imported.String(), exported.String()}
		for _, p := range of {
			_, _, total := p.sum(month)
			row = append(row, total.String())
		}
		rows = append(rows, row)
	}
	row := []string{"total", first.ImportKWh, first.ExportKWh}
	for _, p := range of {
		row = append(row, p.Total)
	}
	table(s, append(rows, row))
	if least := cheapest(of); least != "" {
		fmt.Fprintf(s, "least: %s\n", least)
	}
	s.WriteString("\n")
}

// sum adds up the parts of a month.
func (p priced) sum(month string) (imported, exported, total tariff.Decimal) {
	currency, _ := tariff.ParseCurrency(p.Currency)
	imported, exported, total = tariff.NewDecimal(0, 3), tariff.NewDecimal(0, 3), currency.Zero()
	for _, m := range p.Months {
		if m.Month != month {
			continue
		}
		for _, part := range []struct {
			to   *tariff.Decimal
			text string
		}{{&imported, m.ImportKWh}, {&exported, m.ExportKWh}, {&total, m.Total}} {
			if d, err := tariff.ParseDecimal(part.text); err == nil {
				*part.to = part.to.Add(d)
			}
		}
	}
	return imported, exported, total
}

// cheapest names the tariff with the least total; none if there is one only or
// their currencies differ.
func cheapest(of []priced) string {
	if len(of) < 2 {
		return ""
	}
	least, name := tariff.Decimal{}, ""
	for _, p := range of {
		total, err := tariff.ParseDecimal(p.Total)
		if err != nil || p.Currency != of[0].Currency {
			return ""
		}
		if name == "" || total.Cmp(least) < 0 {
			least, name = total, p.Tariff
		}
	}
	return name
}

// writeLines prints the lines of one tariff's months.
func writeLines(s *strings.Builder, p priced) {
	for _, m := range p.Months {
		fmt.Fprintf(s, "%s, %s by %s: %s %s\n", p.Column, m.Month, m.Tariff, m.Total, p.Currency)
		rows := [][]string{{"item", "quantity", "unit", "price", p.Currency}}
		for _, l := range m.Lines {
			price := l.Price
			if l.Series != "" {
				price = "series"
			}
			rows = append(rows, []string{strings.TrimSpace(l.Kind + " " + l.Label()), l.Quantity, l.Unit, price, l.Amount})
		}
		table(s, rows)
		s.WriteString("\n")
	}
}

// writeTotals prints what all homes come to.
func writeTotals(s *strings.Builder, results []priced, columns []string) {
	rows := [][]string{{"total", "kWh in", "kWh out"}}
	for _, p := range results {
		if p.Column == columns[0] {
			rows[0] = append(rows[0], p.Tariff+" "+p.Currency)
		}
	}
	for _, column := range columns {
		var row []string
		for _, p := range results {
			if p.Column != column {
				continue
			}
			if row == nil {
				row = []string{column, p.ImportKWh, p.ExportKWh}
			}
			row = append(row, p.Total)
		}
		rows = append(rows, row)
	}
	table(s, rows)
}

// writeNotes prints each note once.
func writeNotes(s *strings.Builder, results []priced) {
	var seen []string
	for _, p := range results {
		for _, n := range p.Notes {
			if !slices.Contains(seen, n) {
				seen = append(seen, n)
				fmt.Fprintf(s, "note: %s\n", n)
			}
		}
	}
}
