package portal

import (
	"fmt"
	"strings"

	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/tariff"
)

// lineRow is a line of a bill in words.
type lineRow struct{ What, Quantity, Price, Amount string }

// lineRows are the lines of a bill in words.
func (v *visit) lineRows(lines []bill.Line, currency string) (rows []lineRow) {
	for _, l := range lines {
		row := lineRow{What: v.lineName(l), Amount: v.amount(l.Amount, currency)}
		switch {
		case l.Withheld != "":
			row.Quantity = lineTexts["withheld"].in(v.locale.lang)
		case l.Kind == "tax":
		case l.Quantity != "":
			row.Quantity = v.locale.number(l.Quantity) + " " + v.unit(l.Unit, l.Quantity)
		}
		switch price, err := tariff.ParseDecimal(l.Price); {
		case l.Series != "":
			row.Price = lineTexts["by-series"].in(v.locale.lang)
		case err != nil:
		case l.Kind == "tax":
			row.Price = v.locale.fraction(price)
		default:
			row.Price = v.locale.unitPrice(price, currency)
		}
		rows = append(rows, row)
	}
	return rows
}

// lineName is what a line is called.
func (v *visit) lineName(l bill.Line) string {
	parts := []string{v.lineKind(l.Kind), l.Band + l.Name}
	if l.Tier > 0 {
		parts = append(parts, fmt.Sprintf(lineTexts["tier"].in(v.locale.lang), l.Tier))
	}
	if l.Month != "" {
		parts = append(parts, l.Month)
	}
	if l.On != "" {
		parts = append(parts, "("+strings.Join(v.kinds(strings.Split(l.On, ",")), ", ")+")")
	}
	return strings.Join(strings.Fields(strings.Join(parts, " ")), " ")
}

// amount writes an amount of a bill, which has the currency's decimals already.
func (v *visit) amount(amount, currency string) string {
	d, err := tariff.ParseDecimal(amount)
	if err != nil {
		return amount
	}
	return v.locale.money(d, currency, d.Decimals())
}

// unit is what a line counts in: one day, several days.
func (v *visit) unit(unit, quantity string) string {
	if n, err := tariff.ParseDecimal(quantity); err == nil && n.Cmp(tariff.NewDecimal(1, 0)) == 0 {
		if one, ok := lineTexts["one-"+unit]; ok {
			return one.in(v.locale.lang)
		}
	}
	if known, ok := lineTexts["unit-"+unit]; ok {
		return known.in(v.locale.lang)
	}
	return unit
}

// kinds names kinds of lines.
func (v *visit) kinds(list []string) (names []string) {
	for _, kind := range list {
		names = append(names, v.lineKind(kind))
	}
	return names
}

// lineKind is what a kind of a bill's lines is called.
func (v *visit) lineKind(kind string) string {
	if known, ok := lineTexts[kind]; ok {
		return known.in(v.locale.lang)
	}
	return kind
}

// lineTexts are what the kinds of a bill's lines are called.
var lineTexts = texts{
	"import":   {"From the grid", "Bezug"},
	"export":   {"To the grid", "Einspeisung"},
	"standing": {"Standing charge", "Grundpreis"},
	"grid":     {"Grid fee", "Netzentgelt"},
	"levy":     {"Levy", "Abgabe"},
	"demand":   {"Highest power", "Höchste Leistung"},
	"minimum":  {"Minimum charge", "Mindestbetrag"},
	"credit":   {"Credit", "Gutschrift"},
	"tax":      {"Tax", "Steuer"},

	"tier":       {"tier %d", "Stufe %d"},
	"unit-day":   {"days", "Tage"},
	"unit-month": {"months", "Monate"},
	"one-day":    {"day", "Tag"},
	"one-month":  {"month", "Monat"},
	"withheld":   {"not told", "nicht mitgeteilt"},
	"sum":        {"the sum of money", "der Geldbetrag"},
	"by-series":  {"hour by hour", "stündlich"},
}
