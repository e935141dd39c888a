package tariff

import (
	"fmt"

	"github.com/cockroachdb/apd/v3"
	"golang.org/x/text/currency"
)

// roundingDigits is the precision at which amounts are rounded. The product of
// three decimals as long as [ParseDecimal] allows has at most 78 digits.
const roundingDigits = 80

// Currency is an ISO 4217 currency with its minor unit. The number of its
// decimals is CLDR's, as golang.org/x/text carries it (spec/tariff.md section
// 6 lists those that do not have two).
type Currency struct {
	code     string
	decimals int
}

// ParseCurrency reads an ISO 4217 code of three capital letters. XXX (no
// currency) and XTS (for tests) are refused.
func ParseCurrency(code string) (Currency, error) {
	if !isCurrencyCode(code) {
		return Currency{}, fmt.Errorf("currency %.10q is not three capital letters: write an ISO 4217 code like CHF", code)
	}
	unit, err := currency.ParseISO(code)
	if err != nil || code == "XXX" || code == "XTS" {
		return Currency{}, fmt.Errorf("currency %q is not known: write an ISO 4217 code like CHF", code)
	}
	scale, _ := currency.Standard.Rounding(unit)
	return Currency{code: code, decimals: scale}, nil
}

func isCurrencyCode(s string) bool {
	if len(s) != 3 {
		return false
	}
	for i := range len(s) {
		if s[i] < 'A' || s[i] > 'Z' {
			return false
		}
	}
	return true
}

// String is the ISO 4217 code.
func (c Currency) String() string { return c.code }

// Decimals is the number of decimals of the minor unit: 2 for CHF, 0 for JPY.
func (c Currency) Decimals() int { return c.decimals }

// Zero is no money, such as "0.00".
func (c Currency) Zero() Decimal { return NewDecimal(0, c.decimals) }

// Amount is quantity times price, rounded once, half away from zero, to the
// minor unit. It is never a negative zero.
func (c Currency) Amount(quantity, price Decimal) Decimal { return c.Round(quantity.Mul(price)) }

// Round rounds an exact amount to the minor unit, half away from zero. It is
// never a negative zero.
func (c Currency) Round(amount Decimal) Decimal {
	var r Decimal
	ctx := apd.BaseContext
	ctx.Rounding = apd.RoundHalfUp // of the magnitude, so away from zero
	ctx.Precision = roundingDigits
	if _, err := ctx.Quantize(&r.d, &amount.d, -int32(c.decimals)); err != nil {
		panic("tariff: rounding a bounded decimal: " + err.Error())
	}
	return r.plainZero()
}

// ParseAmount reads an amount that has exactly the currency's decimals.
func (c Currency) ParseAmount(s string) (Decimal, error) {
	d, err := ParseDecimal(s)
	if err != nil {
		return Decimal{}, err
	}
	if d.Decimals() != c.decimals {
		return Decimal{}, fmt.Errorf("amount %q has %d decimals, %s has %d", s, d.Decimals(), c.code, c.decimals)
	}
	return d, nil
}
