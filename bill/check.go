package bill

import (
	"cmp"
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
	kindGrid     = "grid"
	kindLevy     = "levy"
	kindDemand   = "demand"
	kindMinimum  = "minimum"
	kindCredit   = "credit"
	kindTax      = "tax"
)

func kinds() []string {
	return []string{kindImport, kindExport, kindStanding, kindGrid, kindLevy, kindDemand, kindMinimum, kindCredit, kindTax}
}

// Check recomputes what needs no readings: the formats, the order of the
// lines, each amount, the tax, the total and the energies (spec/bill.md
// section 5). [Verify] and [SigningKey.Sign] include it. A refusal is an
// [*Error].
func Check(b Bill) error {
	c := checker{b: b}
	for _, step := range []func() error{c.names, c.period, c.lines, c.sums, c.energies} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

type checker struct {
	b           Bill
	currency    tariff.Currency
	first, last int64 // local days that the period touches
	numbers     []numbers
	total       tariff.Decimal // of the lines so far
}

// numbers are the numbers of a line. Where a line has no price or no share,
// that is 0 or 1.
type numbers struct {
	quantity, price, share, amount tariff.Decimal
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
	for _, reference := range [...][2]string{{"readings_root", b.ReadingsRoot}, {"carries", b.Carries}, {"corrects", b.Corrects}} {
		if !isDigest(reference[1]) && (reference[1] != "" || reference[0] == "readings_root") {
			return refuse(ErrField, "%s is not %d bytes in base64url", reference[0], digestSize)
		}
	}
	if b.Carries != "" && b.Carries == b.Corrects {
		return refuse(ErrField, "carries and corrects name the same bill: one that is replaced leaves no difference")
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
	_, ok := parseBase64(s, digestSize)
	return ok
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
	c.first, c.last = localDay(from), localDay(to.Add(-time.Second))
	return c.counts(to.Unix() - from.Unix())
}

// counts checks how the readings of a period of so many seconds are counted.
func (c *checker) counts(seconds int64) error {
	b := c.b
	switch {
	case b.Intervals < 0 || int64(b.Intervals) > seconds:
		return refuse(ErrField, "intervals is %d, the period has %d seconds", b.Intervals, seconds)
	case b.Estimated < 0 || b.Estimated > b.Intervals:
		return refuse(ErrField, "estimated is %d of %d intervals", b.Estimated, b.Intervals)
	case b.UnbilledSeconds < 0 || b.UnbilledSeconds > seconds-int64(b.Intervals):
		return refuse(ErrField, "unbilled_seconds is %d, the period has %d seconds and %d intervals", b.UnbilledSeconds, seconds, b.Intervals)
	case b.Intervals == 0 && b.UnbilledSeconds == 0:
		return refuse(ErrField, "the bill is made from no interval, and no hole says why")
	}
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

// lines checks each line by itself and their order: by kind, then by band or
// name, month and tier.
func (c *checker) lines() error {
	if n := len(c.b.Lines); n == 0 || n > maxLines {
		return refuse(ErrLines, "there are %d lines, want 1 to %d", n, maxLines)
	}
	c.total = c.currency.Zero()
	for i, l := range c.b.Lines {
		if err := c.line("line "+strconv.Itoa(i+1), l); err != nil {
			return err
		}
		if i > 0 && (compareLines(c.b.Lines[i-1], l) >= 0 || !stands(c.b.Lines[i-1], l)) {
			return refuse(ErrLines, "line %d (%s %s%s) is out of order: want %s, by rising band, name, month and tier",
				i+1, l.Kind, l.Band, l.Name, strings.Join(kinds(), ", "))
		}
		c.total = c.total.Add(c.numbers[i].amount)
	}
	if c.b.Lines[0].Kind != kindImport {
		return refuse(ErrLines, "there is no import line")
	}
	return nil
}

// stands tells whether a line may stand before another of its kind: one without
// a number of tiers, or a tax without a name, is the only one.
func stands(a, b Line) bool {
	if a.Kind != b.Kind {
		return true
	}
	alike := a.Band == b.Band && a.Name == b.Name && a.Month == b.Month
	return (!alike || a.Tier > 0) && (a.Kind != kindTax || a.Name != "")
}

func compareLines(a, b Line) int {
	return cmp.Or(
		cmp.Compare(slices.Index(kinds(), a.Kind), slices.Index(kinds(), b.Kind)),
		cmp.Compare(a.Band, b.Band), cmp.Compare(a.Name, b.Name),
		cmp.Compare(a.Month, b.Month), cmp.Compare(a.Tier, b.Tier),
	)
}

// sums checks the taxes' bases and the total.
func (c *checker) sums() error {
	for i, l := range c.b.Lines {
		if l.Kind != kindTax {
			continue
		}
		if quantity, base := c.numbers[i].quantity, c.base(l); quantity.Cmp(base) != 0 {
			return refuse(ErrTax, "the tax is on %s, the sum of the %s is %s", quantity, taxed(l), base)
		}
	}
	if c.b.Total != c.total.String() {
		return refuse(ErrTotal, "the total is %.40q, the sum of the lines is %s", c.b.Total, c.total)
	}
	return nil
}

// energies checks the sums of the energies. What one line withholds, its sum
// would tell.
func (c *checker) energies() error {
	for _, e := range [...]struct{ name, kind, value string }{
		{"import_kwh", kindImport, c.b.ImportKWh}, {"export_kwh", kindExport, c.b.ExportKWh},
	} {
		sum, withheld := tariff.NewDecimal(0, 3), false
		for i, l := range c.b.Lines {
			if l.Kind == e.kind {
				sum, withheld = sum.Add(c.numbers[i].quantity), withheld || l.Withheld != ""
			}
		}
		switch {
		case withheld && e.value != "":
			return refuse(ErrEnergy, "%s is %.40q, and a line withholds its part of it", e.name, e.value)
		case !withheld && e.value != sum.String():
			return refuse(ErrEnergy, "%s is %.40q, the sum of the lines is %s", e.name, e.value, sum)
		}
	}
	return nil
}

// base is the sum of the amounts that a tax line is on.
func (c *checker) base(tax Line) tariff.Decimal {
	on := strings.Split(tax.On, ",")
	sum := c.currency.Zero()
	for i, l := range c.b.Lines {
		if l.Kind != kindTax && (tax.On == "" || slices.Contains(on, l.Kind)) {
			sum = sum.Add(c.numbers[i].amount)
		}
	}
	return sum
}

func taxed(tax Line) string {
	if tax.On == "" {
		return "other lines"
	}
	return "lines of " + tax.On
}
