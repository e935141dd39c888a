package bill

import (
	"slices"
	"strings"

	"github.com/wattveil/wattveil/tariff"
)

// Units of lines; a tax line has the currency.
const (
	unitEnergy = "kWh"
	unitDay    = "day"
	unitMonth  = "month"
	unitPower  = "kW"
)

// shareDecimals are those of a part of a month.
const shareDecimals = 8

// maxTier is how many tiers a tariff may have.
const maxTier = 10

// withholding are the rules of the gate by which a quantity is not told
// (spec/gate.md section 3).
func withholding() []string { return []string{"quantities", "price", "reveal"} }

// line checks a line by itself (spec/bill.md section 4) and keeps its numbers.
func (c *checker) line(where string, l Line) error {
	if !slices.Contains(kinds(), l.Kind) {
		return refuse(ErrField, "%s: kind %.20q is not known", where, l.Kind)
	}
	for _, step := range []func(string, Line) error{c.label, c.demandMembers, c.taxMembers, c.unit} {
		if err := step(where, l); err != nil {
			return err
		}
	}
	n, err := c.parse(where, l)
	if err != nil {
		return err
	}
	c.numbers = append(c.numbers, n)
	if err := c.ranges(where, l, n); err != nil {
		return err
	}
	return c.amount(where, l, n)
}

// label checks what tells a line from others of its kind.
func (c *checker) label(where string, l Line) error {
	energy := l.Kind == kindImport || l.Kind == kindExport
	if energy != (l.Band != "") || energy && !isName(l.Band) {
		return refuse(ErrField, "%s: band %.40q does not suit a line of kind %s", where, l.Band, l.Kind)
	}
	named := l.Kind == kindGrid || l.Kind == kindLevy || l.Kind == kindDemand || l.Kind == kindCredit
	mayBeNamed := named || l.Kind == kindTax
	if named && l.Name == "" || l.Name != "" && (!mayBeNamed || !isName(l.Name)) {
		return refuse(ErrField, "%s: name %.40q does not suit a line of kind %s", where, l.Name, l.Kind)
	}
	mayBeTiered := l.Kind == kindImport && l.Series == "" || l.Kind == kindDemand
	if l.Tier < 0 || l.Tier > maxTier || l.Tier > 0 && !mayBeTiered {
		return refuse(ErrField, "%s: tier %d does not suit it", where, l.Tier)
	}
	if l.Series != "" && (!energy || !isDigest(l.Series)) {
		return refuse(ErrField, "%s: series is not %d bytes in base64url, or does not suit a line of kind %s", where, digestSize, l.Kind)
	}
	return nil
}

// demandMembers checks what demand lines have and others have not.
func (c *checker) demandMembers(where string, l Line) error {
	if l.Kind != kindDemand {
		if l.Month != "" || l.Minutes != 0 || l.Note != "" || l.Share != "" {
			return refuse(ErrField, "%s: month, minutes, note and share are of demand lines only", where)
		}
		return nil
	}
	month, ok := tariff.ParseMonth(l.Month)
	if !ok || month.Last() < c.first || month.First() > c.last {
		return refuse(ErrField, "%s: month %.20q is not a month of the period", where, l.Month)
	}
	if l.Minutes < 1 || l.Minutes > 60 {
		return refuse(ErrField, "%s: minutes is %d, want 1 to 60", where, l.Minutes)
	}
	if !slices.Contains([]string{"", "longer-interval", "longer-interval+ratchet", "ratchet"}, l.Note) {
		return refuse(ErrField, "%s: note %.40q is not known", where, l.Note)
	}
	return nil
}

// taxMembers checks the kinds that a tax is on: known, in order, each once.
func (c *checker) taxMembers(where string, l Line) error {
	if l.On == "" {
		return nil
	}
	before := -1
	for _, kind := range strings.Split(l.On, ",") {
		place := slices.Index(kinds(), kind)
		if l.Kind != kindTax || l.Name == "" || kind == kindTax || place <= before {
			return refuse(ErrField, "%s: on %.80q is not a list of kinds in their order on a named tax", where, l.On)
		}
		before = place
	}
	return nil
}

// unit checks what a kind of line counts in.
func (c *checker) unit(where string, l Line) error {
	var want []string
	switch l.Kind {
	case kindImport, kindExport:
		want = []string{unitEnergy}
	case kindStanding, kindMinimum:
		want = []string{unitDay, unitMonth}
	case kindGrid, kindLevy, kindCredit:
		want = []string{unitEnergy, unitDay, unitMonth}
	case kindDemand:
		want = []string{unitPower}
	default:
		want = []string{c.currency.String()}
	}
	if !slices.Contains(want, l.Unit) {
		return refuse(ErrField, "%s: unit is %.20q, want %q", where, l.Unit, strings.Join(want, " or "))
	}
	return nil
}

// parse reads a line's numbers, each with the decimals that it has.
func (c *checker) parse(where string, l Line) (n numbers, err error) {
	if n.quantity, err = c.quantity(where, l); err != nil {
		return n, err
	}
	switch {
	case l.Series != "" && l.Price != "":
		return n, refuse(ErrField, "%s: price %.40q stands beside series", where, l.Price)
	case l.Series != "":
	default:
		if n.price, err = tariff.ParseDecimal(l.Price); err != nil || n.price.Sign() < 0 {
			return n, refuse(ErrField, "%s: price %.40q is not a number from 0 on", where, l.Price)
		}
	}
	n.share = tariff.NewDecimal(1, 0)
	if l.Share != "" {
		n.share, err = tariff.ParseDecimal(l.Share)
		if err != nil || n.share.Decimals() != shareDecimals || n.share.Sign() <= 0 || n.share.Cmp(tariff.NewDecimal(1, 0)) >= 0 {
			return n, refuse(ErrField, "%s: share %.40q is not a number between 0 and 1 with %d decimals", where, l.Share, shareDecimals)
		}
	}
	if n.amount, err = c.currency.ParseAmount(l.Amount); err != nil {
		return n, refuse(ErrField, "%s: amount: %v", where, err)
	}
	return n, nil
}

// quantity reads a line's quantity; one that is withheld is 0.
func (c *checker) quantity(where string, l Line) (tariff.Decimal, error) {
	decimals := c.decimals(l)
	if l.Withheld != "" {
		if l.Series == "" || l.Quantity != "" || !slices.Contains(withholding(), l.Withheld) {
			return tariff.Decimal{}, refuse(ErrField, "%s: withheld %.40q does not suit it: want one of %s, on a line with a series and no quantity",
				where, l.Withheld, strings.Join(withholding(), ", "))
		}
		return tariff.NewDecimal(0, decimals), nil
	}
	quantity, err := tariff.ParseDecimal(l.Quantity)
	switch {
	case err != nil || quantity.Decimals() != decimals:
		return quantity, refuse(ErrField, "%s: quantity %.40q is not a number with %d decimals", where, l.Quantity, decimals)
	case l.Unit == unitMonth && decimals > 0 && quantity.Rat().IsInt():
		return quantity, refuse(ErrField, "%s: quantity %.40q is whole: it has no decimals", where, l.Quantity)
	}
	return quantity, nil
}

// decimals are those of a line's quantity. A number of months has none if it
// is whole.
func (c *checker) decimals(l Line) int {
	switch l.Unit {
	case unitEnergy, unitPower:
		return 3
	case unitDay:
		return 0
	case unitMonth:
		if strings.Contains(l.Quantity, ".") {
			return shareDecimals
		}
		return 0
	default:
		return c.currency.Decimals()
	}
}

// ranges checks that a line's quantity is possible.
func (c *checker) ranges(where string, l Line, n numbers) error {
	switch {
	case l.Kind == kindExport && n.quantity.Sign() <= 0 && l.Withheld == "":
		return refuse(ErrField, "%s: an export line needs a quantity above 0", where)
	case l.Kind != kindTax && n.quantity.Sign() < 0:
		return refuse(ErrField, "%s: the quantity is negative", where)
	case l.Kind == kindTax && n.price.Cmp(tariff.NewDecimal(1, 0)) > 0:
		return refuse(ErrField, "%s: the tax is %s, want a fraction from 0 to 1", where, n.price)
	}
	switch l.Unit {
	case unitDay:
		if days := c.last - c.first + 1; n.quantity.Sign() == 0 || n.quantity.Cmp(tariff.NewDecimal(days, 0)) > 0 {
			return refuse(ErrStanding, "%s: %s days, the period touches %d", where, n.quantity, days)
		}
	case unitMonth:
		if months := tariff.MonthsText(tariff.Months(c.first, c.last)); n.quantity.Sign() == 0 || n.quantity.Cmp(months) > 0 {
			return refuse(ErrStanding, "%s: %s months, the period has %s", where, n.quantity, months)
		}
	case unitPower:
		month, _ := tariff.ParseMonth(l.Month)
		most := tariff.MonthsText(tariff.Months(max(c.first, month.First()), min(c.last, month.Last())))
		if n.share.Cmp(most) > 0 {
			return refuse(ErrStanding, "%s: a share of %s of %s, the period has %s", where, n.share, l.Month, most)
		}
	}
	return nil
}

// amount checks a line's arithmetic. Where a series has the prices it takes
// the readings: only that no energy costs nothing is known.
func (c *checker) amount(where string, l Line, n numbers) error {
	want := c.currency.Round(n.quantity.Mul(n.price).Mul(n.share))
	switch l.Kind {
	case kindExport, kindCredit:
		want = want.Neg()
	case kindMinimum:
		want = want.Add(c.total.Neg())
		if want.Sign() <= 0 {
			return refuse(ErrAmount, "%s: the lines before come to %s, no minimum is due", where, c.total)
		}
	}
	if l.Series != "" && (n.quantity.Sign() > 0 || l.Withheld != "") {
		return nil
	}
	if n.amount.Cmp(want) != 0 {
		return refuse(ErrAmount, "%s: the amount is %s, it comes to %s", where, n.amount, want)
	}
	return nil
}
