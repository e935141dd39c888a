package tariff

import (
	"fmt"
	"math/big"

	"github.com/cockroachdb/apd/v3"
)

// Limits on a written decimal, which bound every product in this module.
const (
	maxWhole = 18 // digits before the point
	maxFrac  = 8  // digits after the point
)

// Decimal is an exact decimal: a price, a quantity or an amount of money. It
// keeps the number of decimals that it was written with, so that "0.2860"
// prints as "0.2860". The zero value is 0. A Decimal never changes and may be
// copied and shared.
type Decimal struct {
	d apd.Decimal
}

// ParseDecimal reads an optional minus sign, a whole part without leading
// zeros of at most 18 digits, and at most 8 decimals. Exponents, a plus sign,
// spaces and a negative zero are refused, so a value of a given number of
// decimals is written in one way only.
func ParseDecimal(s string) (Decimal, error) {
	if err := checkDecimal(s); err != nil {
		return Decimal{}, fmt.Errorf("decimal %.40q: %w", s, err)
	}
	var d Decimal
	if _, _, err := d.d.SetString(s); err != nil {
		return Decimal{}, fmt.Errorf("decimal %.40q: %w", s, err)
	}
	return d, nil
}

// checkDecimal holds the grammar of ParseDecimal.
func checkDecimal(s string) error {
	digits, negative := s, false
	if s != "" && s[0] == '-' {
		digits, negative = s[1:], true
	}
	point := len(digits)
	zero := true
	for i := range len(digits) {
		switch c := digits[i]; {
		case c == '.' && point == len(digits):
			point = i
		case c < '0' || c > '9':
			return fmt.Errorf("has %q where a digit belongs: write it like 0.25", c)
		case c != '0':
			zero = false
		}
	}
	frac := len(digits) - point - 1
	switch {
	case point == 0:
		return fmt.Errorf("has no digit before the point: write it like 0.25")
	case frac == 0:
		return fmt.Errorf("has no digit after the point: write it like 0.25")
	case point > 1 && digits[0] == '0':
		return fmt.Errorf("starts with a needless zero")
	case point > maxWhole:
		return fmt.Errorf("has %d digits before the point, at most %d are allowed", point, maxWhole)
	case frac > maxFrac:
		return fmt.Errorf("has %d decimals, at most %d are allowed", frac, maxFrac)
	case zero && negative:
		return fmt.Errorf("is a negative zero: leave out the minus sign")
	}
	return nil
}

// NewDecimal is n·10^-decimals; NewDecimal(1234, 3) is "1.234".
func NewDecimal(n int64, decimals int) Decimal {
	var d Decimal
	d.d.SetFinite(n, -int32(decimals))
	return d
}

// String writes the decimal as [ParseDecimal] reads it.
func (d Decimal) String() string { return d.d.Text('f') }

// Decimals is the number of digits after the point.
func (d Decimal) Decimals() int { return max(0, -int(d.d.Exponent)) }

// Sign is -1, 0 or 1.
func (d Decimal) Sign() int { return d.d.Sign() }

// Cmp compares values: -1 if d is less than e, 0 if they are equal, 1 if d is
// more. "1.0" and "1.00" are equal.
func (d Decimal) Cmp(e Decimal) int { return d.d.Cmp(&e.d) }

// Neg is -d; zero stays zero, without a sign.
func (d Decimal) Neg() Decimal {
	var r Decimal
	r.d.Set(&d.d)
	r.d.Negative = !d.d.Negative && !d.d.IsZero()
	return r
}

// Add is d+e, with the decimals of the one that has more.
func (d Decimal) Add(e Decimal) Decimal {
	var r Decimal
	// Exact: the base context does not round, and no operand is infinite.
	if _, err := apd.BaseContext.Add(&r.d, &d.d, &e.d); err != nil {
		panic("tariff: sum of bounded decimals: " + err.Error())
	}
	return r.plainZero()
}

// Mul is the exact product of d and e, with the decimals of both.
func (d Decimal) Mul(e Decimal) Decimal {
	var r Decimal
	if _, err := apd.BaseContext.Mul(&r.d, &d.d, &e.d); err != nil {
		panic("tariff: product of bounded decimals: " + err.Error())
	}
	return r.plainZero()
}

// Rat is d as a rational number.
func (d Decimal) Rat() *big.Rat {
	n := d.d.Coeff.MathBigInt()
	if d.d.Negative {
		n.Neg(n)
	}
	scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(d.d.Exponent, -d.d.Exponent))), nil)
	if d.d.Exponent > 0 {
		return new(big.Rat).SetInt(n.Mul(n, scale))
	}
	return new(big.Rat).SetFrac(n, scale)
}

// RoundRat is a rational number with so many decimals, rounded half away from
// zero.
func RoundRat(r *big.Rat, decimals int) Decimal {
	scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(decimals)), nil)
	// Twice the numerator, and the denominator more, over twice the
	// denominator: floor(x + 1/2) of the magnitude.
	n := new(big.Int).Mul(new(big.Int).Abs(r.Num()), scale)
	n.Lsh(n, 1).Add(n, r.Denom())
	n.Quo(n, new(big.Int).Lsh(r.Denom(), 1))
	if r.Sign() < 0 {
		n.Neg(n)
	}
	return NewBigDecimal(n, decimals)
}

// NewBigDecimal is n·10^-decimals.
func NewBigDecimal(n *big.Int, decimals int) Decimal {
	var d Decimal
	d.d.Coeff.SetMathBigInt(new(big.Int).Abs(n))
	d.d.Negative = n.Sign() < 0
	d.d.Exponent = -int32(decimals)
	return d.plainZero()
}

// Percent is d/100, as a fraction with two decimals more.
func (d Decimal) Percent() Decimal {
	var r Decimal
	r.d.Set(&d.d)
	r.d.Exponent -= 2
	return r
}

// plainZero drops the sign of a negative zero.
func (d Decimal) plainZero() Decimal {
	if d.d.IsZero() {
		d.d.Negative = false
	}
	return d
}
