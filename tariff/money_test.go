package tariff_test

import (
	"math/big"
	"math/rand/v2"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/wattveil/wattveil/tariff"
)

func TestParseDecimal(t *testing.T) {
	for _, s := range []string{"0", "0.0", "0.2860", "12", "-0.01", "999999999999999999.99999999"} {
		d, err := tariff.ParseDecimal(s)
		if err != nil || d.String() != s {
			t.Errorf("ParseDecimal(%q) = %v, %v", s, d, err)
		}
	}
	for _, s := range []string{
		"", "-", ".", ".5", "5.", "00", "01", "-01.5", "+1", "1e3", "1E3", " 1", "1 ", "1,5", "1.2.3", "-0", "-0.00",
		"NaN", "Infinity", "0x1", "1_000", "１", "1000000000000000000", "0.123456789", "--1",
	} {
		if d, err := tariff.ParseDecimal(s); err == nil {
			t.Errorf("ParseDecimal(%q) = %v, want a refusal", s, d)
		}
	}
}

func decimal(t testing.TB, s string) tariff.Decimal {
	t.Helper()
	d, err := tariff.ParseDecimal(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDecimalArithmetic(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{decimal(t, "0.10").Add(decimal(t, "0.2")).String(), "0.30"},
		{decimal(t, "0.10").Add(decimal(t, "-0.1")).String(), "0.00"},
		{decimal(t, "5").Neg().String(), "-5"},
		{decimal(t, "0.00").Neg().String(), "0.00"},
		{decimal(t, "8.1").Percent().String(), "0.081"},
		{decimal(t, "20").Percent().String(), "0.20"},
		{decimal(t, "0").Percent().String(), "0.00"},
		{tariff.NewDecimal(1234, 3).String(), "1.234"},
		{tariff.NewDecimal(-5, 3).String(), "-0.005"},
		{tariff.NewDecimal(0, 3).String(), "0.000"},
		{tariff.Decimal{}.String(), "0"},
	} {
		if c.got != c.want {
			t.Errorf("%s, want %s", c.got, c.want)
		}
	}
	if decimal(t, "1.0").Cmp(decimal(t, "1.00")) != 0 || decimal(t, "-2").Cmp(decimal(t, "1")) >= 0 {
		t.Error("values compare wrongly")
	}
}

func TestAmountRoundsHalfAwayFromZero(t *testing.T) {
	for _, c := range []struct{ currency, quantity, price, want string }{
		{"CHF", "0.500", "0.01", "0.01"},
		{"CHF", "-0.500", "0.01", "-0.01"},
		{"CHF", "1.500", "0.01", "0.02"},
		{"CHF", "2.500", "0.01", "0.03"},
		{"CHF", "0.499", "0.01", "0.00"},
		{"CHF", "-0.499", "0.01", "0.00"},
		{"CHF", "-0.001", "0.00000001", "0.00"},
		{"CHF", "99.500", "0.01", "1.00"},
		{"CHF", "999.995", "1", "1000.00"},
		{"CHF", "7", "3", "21.00"},
		{"JPY", "1", "0.5", "1"},
		{"JPY", "-1", "0.4999", "0"},
		{"KWD", "1", "0.0005", "0.001"},
		{"CHF", "999999999999999999.99999999", "999999999999999999.99999999", "999999999999999999999999980000000000.00"},
	} {
		unit, err := tariff.ParseCurrency(c.currency)
		if err != nil {
			t.Fatal(err)
		}
		if got := unit.Amount(decimal(t, c.quantity), decimal(t, c.price)).String(); got != c.want {
			t.Errorf("%s × %s %s = %s, want %s", c.quantity, c.price, c.currency, got, c.want)
		}
	}
}

// Amounts agree with rational numbers.
func TestAmountAgreesWithRationals(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, code := range []string{"CHF", "JPY", "KWD", "CLF"} {
		unit, err := tariff.ParseCurrency(code)
		if err != nil {
			t.Fatal(err)
		}
		for range 2000 {
			q := tariff.NewDecimal(rng.Int64N(2e7)-1e7, 3)
			p := tariff.NewDecimal(rng.Int64N(1e5), rng.IntN(9))
			if got, want := unit.Amount(q, p).String(), rounded(t, q, p, unit.Decimals()); got != want {
				t.Fatalf("%v × %v %s = %s, want %s", q, p, code, got, want)
			}
		}
	}
}

func rounded(t *testing.T, q, p tariff.Decimal, decimals int) string {
	t.Helper()
	a, okA := new(big.Rat).SetString(q.String())
	b, okB := new(big.Rat).SetString(p.String())
	if !okA || !okB {
		t.Fatalf("%v or %v is not a number", q, p)
	}
	a.Mul(a, b)
	s := a.FloatString(decimals) // rounds half away from zero
	if strings.Trim(s, "-0.") == "" {
		s = strings.TrimPrefix(s, "-")
	}
	return s
}

// The currencies without two decimals are the ones that the specification
// lists.
func TestCurrencyDecimalsAreThoseOfTheSpecification(t *testing.T) {
	text, err := os.ReadFile("../spec/tariff.md")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{}
	for _, row := range regexp.MustCompile(`(?m)^\| (\d) \| ([A-Z ]+) \|$`).FindAllStringSubmatch(string(text), -1) {
		for _, code := range strings.Fields(row[2]) {
			if want[code], err = strconv.Atoi(row[1]); err != nil {
				t.Fatal(err)
			}
		}
	}
	known := 0
	for i := range 26 * 26 * 26 {
		code := string([]byte{'A' + byte(i/676), 'A' + byte(i/26%26), 'A' + byte(i%26)})
		unit, err := tariff.ParseCurrency(code)
		if err != nil {
			continue
		}
		known++
		decimals, listed := want[code]
		if !listed {
			decimals = 2
		}
		if unit.Decimals() != decimals {
			t.Errorf("%s has %d decimals, spec/tariff.md says %d", code, unit.Decimals(), decimals)
		}
	}
	if known < 150 {
		t.Errorf("only %d currencies are known", known)
	}
}

func TestParseAmount(t *testing.T) {
	chf, err := tariff.ParseCurrency("CHF")
	if err != nil {
		t.Fatal(err)
	}
	if d, err := chf.ParseAmount("-12.30"); err != nil || d.String() != "-12.30" {
		t.Errorf("-12.30 is %v, %v", d, err)
	}
	for _, s := range []string{"12", "12.3", "12.300", "-0.00", ""} {
		if d, err := chf.ParseAmount(s); err == nil {
			t.Errorf("%q is %v, want a refusal", s, d)
		}
	}
}
