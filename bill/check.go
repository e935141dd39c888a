package bill

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/wattveil/wattveil/tariff"
)

// Limits on names and lists.
const (
	maxIssuer = 128 // characters
	maxName   = 64  // bytes of a tariff's id or a band's name
	maxLines  = 256
)

// digestSize is the length of the hashes in a bill, SHA-256.
const digestSize = 32

// The kinds of lines, in the order in which a bill lists them.
const (
	kindImport   = "import"
	kindExport   = "export"
	kindStanding = "standing"
	kindTax      = "tax"
)

func kinds() []string { return []string{kindImport, kindExport, kindStanding, kindTax} }

// Check recomputes what needs no readings: the formats, the order of the
// lines, each amount, the tax, the total and the energies (spec/bill.md
// section 5). [Verify] and [SigningKey.Sign] include it. A refusal is an
// [*Error].
func Check(b Bill) error {
	c := checker{b: b}
	for _, step := range []func() error{c.names, c.period, c.lines, c.sums} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

type checker struct {
	b        Bill
	currency tariff.Currency
	days     int64 // local days that the period touches
	numbers  []numbers
}

// numbers are the numbers of a line.
type numbers struct {
	quantity, price, amount tariff.Decimal
}

func (c *checker) names() error {
	b := c.b
	if b.V != Version {
		return refuse(ErrVersion, "the bill is of version %d, this program knows version %d", b.V, Version)
	}
	if !isText(b.Issuer) {
		return refuse(ErrField, "issuer is not a name of 1 to %d printable characters", maxIssuer)
	}
	if !isDigest(b.Subject) {
		return refuse(ErrField, "subject is not %d bytes in base64url", digestSize)
	}
	if !isDigest(b.TariffDigest) {
		return refuse(ErrField, "tariff_digest is not %d bytes in base64url", digestSize)
	}
	if !isName(b.Tariff) {
		return refuse(ErrField, "tariff %.80q is not a tariff's id", b.Tariff)
	}
	var err error
	if c.currency, err = tariff.ParseCurrency(b.Currency); err != nil {
		return refuse(ErrField, "%v", err)
	}
	return nil
}

// isText reports whether s can be printed as it is: no control, format or
// separator characters but the space.
func isText(s string) bool {
	return s != "" && utf8.ValidString(s) && utf8.RuneCountInString(s) <= maxIssuer &&
		strings.TrimSpace(s) == s && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// isName reports whether s is a name as spec/tariff.md section 2 has it.
func isName(s string) bool {
	return s != "" && len(s) <= maxName && !strings.ContainsAny(s[:1], "._-") &&
		!strings.ContainsFunc(s, func(r rune) bool {
			return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("._-", r)
		})
}

func isDigest(s string) bool {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return err == nil && len(raw) == digestSize && base64.RawURLEncoding.EncodeToString(raw) == s
}

func (c *checker) period() error {
	zone, err := tariff.LoadZone(c.b.Timezone)
	if err != nil {
		return refuse(ErrField, "timezone: %v", err)
	}
	from, err := parseTime("from", c.b.From, zone)
	if err != nil {
		return err
	}
	to, err := parseTime("to", c.b.To, zone)
	if err != nil {
		return err
	}
	if !from.Before(to) {
		return refuse(ErrField, "the period is empty: it ends at %s, not after %s", c.b.To, c.b.From)
	}
	c.days = localDay(to.Add(-time.Second)) - localDay(from) + 1
	return nil
}

// parseTime reads what [Time] writes.
func parseTime(name, s string, zone *time.Location) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || t.Nanosecond() != 0 || t.Year() < 1970 {
		return t, refuse(ErrField, "%s %.40q is not a time like 2018-03-01T00:00:00+01:00", name, s)
	}
	if want := Time(t, zone); want != s {
		return t, refuse(ErrField, "%s is %q, in %s this time is %q", name, s, zone, want)
	}
	return t.In(zone), nil
}

// localDay counts the days of the local calendar.
func localDay(t time.Time) int64 {
	y, m, d := t.Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / (24 * 60 * 60)
}

// lines checks each line by itself and their order: by kind, then by band.
func (c *checker) lines() error {
	if n := len(c.b.Lines); n == 0 || n > maxLines {
		return refuse(ErrLines, "there are %d lines, want 1 to %d", n, maxLines)
	}
	rank, band := -1, ""
	for i, l := range c.b.Lines {
		if err := c.line(i, l); err != nil {
			return err
		}
		r := slices.Index(kinds(), l.Kind)
		if r < rank || r == rank && l.Band <= band {
			return refuse(ErrLines, "line %d (%s %s) is out of order: want import, export, standing, tax, by rising band", i+1, l.Kind, l.Band)
		}
		rank, band = r, l.Band
	}
	if c.b.Lines[0].Kind != kindImport {
		return refuse(ErrLines, "there is no import line")
	}
	return nil
}

// unit is what a kind of line counts in, and with how many decimals.
func (c *checker) unit(kind string) (unit string, decimals int) {
	switch kind {
	case kindImport, kindExport:
		return "kWh", 3
	case kindStanding:
		return "day", 0
	default:
		return c.currency.String(), c.currency.Decimals()
	}
}

func (c *checker) line(i int, l Line) error {
	where := "line " + strconv.Itoa(i+1)
	if !slices.Contains(kinds(), l.Kind) {
		return refuse(ErrField, "%s: kind %.20q is not known", where, l.Kind)
	}
	banded := l.Kind == kindImport || l.Kind == kindExport
	if banded != (l.Band != "") || banded && !isName(l.Band) {
		return refuse(ErrField, "%s: band %.40q does not suit a line of kind %s", where, l.Band, l.Kind)
	}
	unit, decimals := c.unit(l.Kind)
	if l.Unit != unit {
		return refuse(ErrField, "%s: unit is %.20q, want %q", where, l.Unit, unit)
	}
	var n numbers
	var err error
	if n.quantity, err = tariff.ParseDecimal(l.Quantity); err != nil || n.quantity.Decimals() != decimals {
		return refuse(ErrField, "%s: quantity %.40q is not a number with %d decimals", where, l.Quantity, decimals)
	}
	if n.price, err = tariff.ParseDecimal(l.Price); err != nil || n.price.Sign() < 0 {
		return refuse(ErrField, "%s: price %.40q is not a number from 0 on", where, l.Price)
	}
	if n.amount, err = c.currency.ParseAmount(l.Amount); err != nil {
		return refuse(ErrField, "%s: amount: %v", where, err)
	}
	c.numbers = append(c.numbers, n)
	return c.amount(where, l.Kind, n)
}

// amount checks a line's arithmetic and range.
func (c *checker) amount(where, kind string, n numbers) error {
	want := c.currency.Amount(n.quantity, n.price)
	switch kind {
	case kindExport:
		want = want.Neg()
		if n.quantity.Sign() <= 0 {
			return refuse(ErrField, "%s: an export line needs a quantity above 0", where)
		}
	case kindImport:
		if n.quantity.Sign() < 0 {
			return refuse(ErrField, "%s: the quantity is negative", where)
		}
	case kindStanding:
		if n.quantity.Sign() <= 0 || n.quantity.Cmp(tariff.NewDecimal(c.days, 0)) > 0 {
			return refuse(ErrStanding, "%s: %s days, the period touches %d", where, n.quantity, c.days)
		}
	case kindTax:
		if n.price.Cmp(tariff.NewDecimal(1, 0)) > 0 {
			return refuse(ErrField, "%s: the tax is %s, want a fraction from 0 to 1", where, n.price)
		}
	}
	if n.amount.Cmp(want) != 0 {
		return refuse(ErrAmount, "%s: the amount is %s, %s times %s is %s", where, n.amount, n.quantity, n.price, want)
	}
	return nil
}

// sums checks the tax base, the total and the energies.
func (c *checker) sums() error {
	total := c.currency.Zero()
	imported, exported := tariff.NewDecimal(0, 3), tariff.NewDecimal(0, 3)
	for i, l := range c.b.Lines {
		n := c.numbers[i]
		switch l.Kind {
		case kindImport:
			imported = imported.Add(n.quantity)
		case kindExport:
			exported = exported.Add(n.quantity)
		case kindTax:
			if n.quantity.Cmp(total) != 0 {
				return refuse(ErrTax, "the tax is on %s, the sum of the other lines is %s", n.quantity, total)
			}
		}
		total = total.Add(n.amount)
	}
	if c.b.Total != total.String() {
		return refuse(ErrTotal, "the total is %.40q, the sum of the lines is %s", c.b.Total, total)
	}
	if c.b.ImportKWh != imported.String() {
		return refuse(ErrEnergy, "import_kwh is %.40q, the sum of the lines is %s", c.b.ImportKWh, imported)
	}
	if c.b.ExportKWh != exported.String() {
		return refuse(ErrEnergy, "export_kwh is %.40q, the sum of the lines is %s", c.b.ExportKWh, exported)
	}
	return nil
}
