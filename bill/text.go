package bill

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// WriteText writes the bill as a plain table for people to read. The bill must
// have passed [Verify] or [Check]: only then is every string known to be
// printable.
func (b Bill) WriteText(w io.Writer) error {
	var s strings.Builder
	for _, row := range b.rows() {
		fmt.Fprintf(&s, "%-9s %s\n", row[0], row[1])
	}
	s.WriteByte('\n')
	b.writeTable(&s)
	_, err := io.WriteString(w, s.String())
	return err
}

// rows are what stands above the lines.
func (b Bill) rows() [][2]string {
	rows := [][2]string{
		{"Issuer", b.Issuer},
		{"Period", b.From + " to " + b.To + " (" + b.Timezone + ")"},
		{"Tariff", b.Tariff},
		{"Imported", energyText(b.ImportKWh)},
		{"Exported", energyText(b.ExportKWh)},
		{"Readings", b.readingsText()},
	}
	if b.UnbilledSeconds > 0 {
		rows = append(rows, [2]string{"Unbilled", fmt.Sprintf("%d s without registers around them", b.UnbilledSeconds)})
	}
	if b.Corrects != "" {
		rows = append(rows, [2]string{"Corrects", "bill " + b.Corrects})
	}
	if b.Carries != "" {
		rows = append(rows, [2]string{"Carries", "the difference of bill " + b.Carries})
	}
	return rows
}

func (b Bill) readingsText() string {
	if b.Estimated == 0 {
		return fmt.Sprintf("%d intervals, none of them estimated", b.Intervals)
	}
	return fmt.Sprintf("%d intervals, of which %d are estimated", b.Intervals, b.Estimated)
}

func energyText(kWh string) string {
	if kWh == "" {
		return "withheld"
	}
	return kWh + " kWh"
}

// columns is how many columns the table has; the first two are aligned to the
// left, the numbers to the right.
const columns = 6

func (b Bill) writeTable(s *strings.Builder) {
	rows := [][columns]string{{"Item", "Band", "Quantity", "Unit", "Price", b.Currency}}
	for _, l := range b.Lines {
		rows = append(rows, [columns]string{l.Kind, l.Label(), l.quantityText(), l.Unit, l.priceText(), l.Amount})
	}
	rows = append(rows, [columns]string{"total", "", "", "", "", b.Total})
	var width [columns]int
	for _, row := range rows {
		for i, cell := range row {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	for i, row := range rows {
		if i == 1 || i == len(rows)-1 {
			rule(s, width)
		}
		// Unit stands to the left, beside its quantity.
		fmt.Fprintf(s, "%-*s  %-*s  %*s %-*s  %*s  %*s\n",
			width[0], row[0], width[1], row[1], width[2], row[2],
			width[3], row[3], width[4], row[4], width[5], row[5])
	}
}

// Label tells a line from others of its kind, for people to read.
func (l Line) Label() string {
	parts := []string{l.Band + l.Name}
	if l.Tier > 0 {
		parts = append(parts, fmt.Sprintf("tier %d", l.Tier))
	}
	if l.Kind == kindDemand {
		parts = append(parts, l.Month, fmt.Sprintf("%d min", l.Minutes))
		if l.Note != "" {
			parts = append(parts, "("+l.Note+")")
		}
		if l.Share != "" {
			parts = append(parts, "x "+l.Share+" month")
		}
	}
	if l.On != "" {
		parts = append(parts, "on "+l.On)
	}
	return strings.TrimSpace(strings.Join(parts, " "))
}

// quantityText is the quantity, or that it is withheld.
func (l Line) quantityText() string {
	if l.Withheld != "" {
		return "withheld"
	}
	return l.Quantity
}

// priceText is the price, or that there is one for each step of a series.
func (l Line) priceText() string {
	if l.Series != "" {
		return "series"
	}
	return l.Price
}

// rule draws a line as wide as the table.
func rule(s *strings.Builder, width [columns]int) {
	n := 2*(columns-1) - 1 // the gaps, one of which is a single space
	for _, w := range width {
		n += w
	}
	s.WriteString(strings.Repeat("-", n) + "\n")
}
