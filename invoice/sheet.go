package invoice

import (
	"fmt"
	"slices"
	"strings"

	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/tariff"
)

// sheet is all that is printed, in the customer's language and in the order in
// which it stands. HTML and PDF only arrange it.
type sheet struct {
	Lang, Title      string
	Sender, Customer []string
	Facts            [][2]string
	TotalLabel       string // to pay, or a credit
	TotalMoney       string
	Heads            [4]string // item, quantity, price, amount
	Rows             []row
	SumLabel, Sum    string
	Lines, History   chart
	NotesTitle       string
	Notes            []string
	Check            check
	page             string // format of the page's number
}

// row is a line of the bill.
type row struct{ Item, Detail, Quantity, Price, Amount string }

// check is how the customer gets the bill to the page that checks it.
type check struct {
	Title, Text  string
	Address, URL string // where the page is
	Attached     string
	Open, Save   string
	Target       string
	File         []byte // the bill's document
	Code         []byte // PNG; none if the bill is too long for one
	modules      int    // of the code on a side
	CodeMM       float64
}

func (l *Language) sheet(v *Invoice) (*sheet, error) {
	p, err := periodOf(v.Bill)
	if err != nil {
		return nil, err
	}
	b, w := v.Bill, l.words
	s := &sheet{
		Lang: l.Tag, Title: w.bill, Sender: v.Sender, Customer: v.Customer,
		Facts: [][2]string{
			{w.period, l.span(p)}, {w.tariff, b.Tariff}, {w.issuer, b.Issuer}, {w.reference, bill.HashOf(v.Document.JWS).String()},
		},
		TotalLabel: w.pay,
		Heads:      [4]string{w.item, w.quantity, w.price, w.amount + " " + b.Currency},
		SumLabel:   w.total, Sum: l.number(b.Total), NotesTitle: w.notes, Notes: l.notes(v), page: w.page,
	}
	if v.Meter != 0 {
		s.Facts = slices.Insert(s.Facts, 1, [2]string{w.meter, v.Meter.String()})
	}
	due, err := v.due()
	if err != nil {
		return nil, err
	}
	if credit, ok := strings.CutPrefix(due, "-"); ok {
		s.TotalLabel, due = w.credit, credit
	}
	s.TotalMoney = l.money(due, b.Currency)
	if b.Corrects != "" {
		s.Title = w.correction
	}
	s.energies(l, b)
	for _, line := range b.Lines {
		s.Rows = append(s.Rows, l.row(line, b.Currency))
	}
	if s.Lines, err = l.lineChart(b); err != nil {
		return nil, err
	}
	if s.History, err = l.historyChart(v); err != nil {
		return nil, err
	}
	s.Check, err = l.check(v)
	return s, err
}

// due is what there is to pay: the total, less that of a bill which this one
// replaces, if it is known.
func (v *Invoice) due() (string, error) {
	i := v.find(v.Bill.Corrects)
	if i < 0 {
		return v.Bill.Total, nil
	}
	currency, err := tariff.ParseCurrency(v.Bill.Currency)
	if err != nil {
		return "", fmt.Errorf("currency of the bill: %w", err)
	}
	total, err := currency.ParseAmount(v.Bill.Total)
	if err != nil {
		return "", fmt.Errorf("total of the bill: %w", err)
	}
	replaced, err := currency.ParseAmount(v.Earlier[i].Total)
	if err != nil {
		return "", fmt.Errorf("total of the bill that it replaces: %w", err)
	}
	return total.Add(replaced.Neg()).String(), nil
}

// energies puts the sums of energy among the facts, but no export of nothing.
func (s *sheet) energies(l *Language, b bill.Bill) {
	for _, sum := range [][2]string{{l.words.imported, b.ImportKWh}, {l.words.exported, b.ExportKWh}} {
		if sum[1] != "" && (sum[1] != "0.000" || sum[0] == l.words.imported) {
			s.Facts = append(s.Facts, [2]string{sum[0], l.number(sum[1]) + " kWh"})
		}
	}
}

func (l *Language) money(amount, currency string) string { return l.number(amount) + " " + currency }

// item names a line: its kind, and what tells it from others of the kind.
func (l *Language) item(line bill.Line) string {
	name := line.Band + line.Name
	if name != "" && (line.Kind == "grid" || line.Kind == "levy" || line.Kind == "tax" || line.Kind == "credit") {
		return name // the tariff's own name says it all
	}
	if name == "" {
		return or(l.words.kinds, line.Kind)
	}
	return or(l.words.kinds, line.Kind) + ", " + name
}

// detail is what else there is to say of a line.
func (l *Language) detail(line bill.Line) string {
	var parts []string
	add := func(format string, value any) { parts = append(parts, fmt.Sprintf(format, value)) }
	if line.Tier > 0 {
		add(l.words.tier, line.Tier)
	}
	if line.Month != "" {
		parts = append(parts, line.Month)
	}
	if line.Minutes > 0 {
		add(l.words.minutes, line.Minutes)
	}
	if line.Share != "" {
		add(l.words.of, l.number(line.Share))
	}
	for _, note := range strings.FieldsFunc(line.Note, func(r rune) bool { return r == '+' }) {
		parts = append(parts, or(l.words.remarks, note))
	}
	if line.On != "" {
		var on []string
		for kind := range strings.SplitSeq(line.On, ",") {
			on = append(on, or(l.words.kinds, kind))
		}
		add(l.words.every, strings.Join(on, ", "))
	}
	return strings.Join(parts, "; ")
}

func (l *Language) row(line bill.Line, currency string) row {
	r := row{
		Item: l.item(line), Detail: l.detail(line), Amount: l.number(line.Amount),
		Quantity: l.number(line.Quantity) + " " + l.unit(line),
		Price:    l.number(line.Price) + " " + currency + "/" + or(l.words.perUnit, line.Unit),
	}
	if line.Quantity == "" {
		r.Quantity = l.words.withheld
	}
	if line.Series != "" {
		r.Price = l.words.perSeries
	}
	if line.Kind == "tax" {
		r.Price = l.percent(line.Price)
	}
	return r
}

// unit is that of a quantity: one day, several days.
func (l *Language) unit(line bill.Line) string {
	if line.Quantity == "1" {
		return or(l.words.perUnit, line.Unit)
	}
	return or(l.words.units, line.Unit)
}

// percent writes a fraction as so many of a hundred.
func (l *Language) percent(fraction string) string {
	d, err := tariff.ParseDecimal(fraction)
	if err != nil {
		return fraction // Verify has read it: it is a decimal
	}
	hundredths := d.Mul(tariff.NewDecimal(100, 0)).String()
	if strings.Contains(hundredths, ".") {
		hundredths = strings.TrimSuffix(strings.TrimRight(hundredths, "0"), ".")
	}
	return l.number(hundredths) + " %"
}
