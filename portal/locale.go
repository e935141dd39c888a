package portal

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/wattveil/wattveil/tariff"
)

// The portal's languages.
const (
	english = "en"
	german  = "de"
)

var languages = [...]string{english, german}

// The portal's themes.
const (
	themeAuto  = "auto"
	themeLight = "light"
	themeDark  = "dark"
)

func isLanguage(s string) bool { return s == english || s == german }
func isTheme(s string) bool    { return s == themeAuto || s == themeLight || s == themeDark }

// preferred is the language of an Accept-Language header: the first that the
// portal has.
func preferred(header string) string {
	for part := range strings.SplitSeq(header, ",") {
		tag, _, _ := strings.Cut(strings.TrimSpace(part), ";")
		base, _, _ := strings.Cut(strings.ToLower(tag), "-")
		if isLanguage(base) {
			return base
		}
	}
	return english
}

// locale writes numbers, dates and money as a language does.
type locale struct{ lang string }

// separators are the decimal sign and the one between thousands.
func (l locale) separators() (point, group string) {
	if l.lang == german {
		return ",", "."
	}
	return ".", ","
}

// number writes an exact decimal.
func (l locale) number(text string) string {
	point, group := l.separators()
	digits, negative := strings.CutPrefix(text, "-")
	whole, fraction, has := strings.Cut(digits, ".")
	var b strings.Builder
	if negative {
		b.WriteString("−")
	}
	for i, c := range whole {
		if i > 0 && (len(whole)-i)%3 == 0 {
			b.WriteString(group)
		}
		b.WriteRune(c)
	}
	if has {
		b.WriteString(point + fraction)
	}
	return b.String()
}

// kWh writes an energy: to the Wh below 100 kWh, shorter above.
func (l locale) kWh(wh int64) string {
	d := tariff.NewDecimal(wh, 3)
	switch size := max(wh, -wh); {
	case size >= 1_000_000:
		d = tariff.RoundRat(d.Rat(), 0)
	case size >= 100_000:
		d = tariff.RoundRat(d.Rat(), 1)
	}
	return l.number(d.String()) + " kWh"
}

// roundKWh writes an energy without the digits that say nothing.
func (l locale) roundKWh(wh int64) string {
	return l.number(strconv.FormatFloat(float64(wh)/1000, 'f', -1, 64)) + " kWh"
}

// money writes an amount, rounded to the currency's minor unit.
func (l locale) money(amount tariff.Decimal, currency string, decimals int) string {
	return l.inCurrency(l.number(tariff.RoundRat(amount.Rat(), decimals).String()), currency)
}

// signed writes a difference of money with its sign.
func (l locale) signed(amount tariff.Decimal, currency string, decimals int) string {
	text := l.number(tariff.RoundRat(amount.Rat(), decimals).String())
	if amount.Sign() > 0 {
		text = "+" + text
	}
	return l.inCurrency(text, currency)
}

// inCurrency puts a currency beside a number.
func (l locale) inCurrency(text, currency string) string {
	if l.lang == german {
		return text + " " + currency
	}
	return currency + " " + text
}

// fraction writes a part such as 0.081 as a percentage.
func (l locale) fraction(part tariff.Decimal) string {
	text := tariff.RoundRat(part.Rat(), part.Decimals()).Mul(tariff.NewDecimal(100, 0)).String()
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	if l.lang == german {
		return l.number(text) + " %"
	}
	return l.number(text) + "%"
}

// unitPrice writes what a kWh costs, with all decimals that the tariff has.
func (l locale) unitPrice(price tariff.Decimal, currency string) string {
	return l.inCurrency(l.number(price.String()), currency)
}

// watts writes a power.
func (l locale) watts(w int64) string {
	if w < 1000 {
		return l.number(strconv.FormatInt(w, 10)) + " W"
	}
	return l.number(tariff.RoundRat(tariff.NewDecimal(w, 3).Rat(), 2).String()) + " kW"
}

// percent writes a change such as +12 %.
func (l locale) percent(part, of int64) string {
	p := (part*1000/of + sign(part)*5) / 10
	text := strconv.FormatInt(max(p, -p), 10)
	if l.lang == german {
		text += " %"
	} else {
		text += "%"
	}
	switch {
	case p < 0:
		return "−" + text
	case p > 0:
		return "+" + text
	default:
		return "±" + text
	}
}

func sign(n int64) int64 {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	default:
		return 0
	}
}

var monthNames = map[string][12]string{
	english: {"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"},
	german:  {"Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November", "Dezember"},
}

var dayNames = map[string][7]string{
	english: {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"},
	german:  {"So", "Mo", "Di", "Mi", "Do", "Fr", "Sa"},
}

func (l locale) monthName(m time.Month) string { return monthNames[l.lang][m-1] }

// date writes a day with its year.
func (l locale) date(at time.Time) string {
	if l.lang == german {
		return fmt.Sprintf("%d. %s %d", at.Day(), l.monthName(at.Month()), at.Year())
	}
	return fmt.Sprintf("%d %s %d", at.Day(), l.monthName(at.Month()), at.Year())
}

// day writes a day without its year, short.
func (l locale) day(at time.Time) string {
	return dayNames[l.lang][at.Weekday()] + " " + l.dayOfMonth(at)
}

// dayOfMonth writes a day without its year and what day of the week it is.
func (l locale) dayOfMonth(at time.Time) string {
	if l.lang == german {
		return fmt.Sprintf("%d.%d.", at.Day(), int(at.Month()))
	}
	return fmt.Sprintf("%d %s", at.Day(), l.shortMonth(at.Month()))
}

func (l locale) shortMonth(m time.Month) string { return string([]rune(l.monthName(m))[:3]) }

// month writes a month with its year.
func (l locale) month(at time.Time) string {
	return fmt.Sprintf("%s %d", l.monthName(at.Month()), at.Year())
}

// clock writes a time of day.
func (l locale) clock(at time.Time) string { return at.Format("15:04") }
