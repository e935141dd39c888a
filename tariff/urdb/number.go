package urdb

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"

	"github.com/wattveil/wattveil/tariff"
)

// maxNumber is the longest number of a rate, in characters. Exponents beyond
// two digits are refused, so that no number is huge.
const maxNumber = 40

// parseNumber reads a JSON number, or a string that holds one, exactly.
func parseNumber(raw json.RawMessage) (*big.Rat, error) {
	s := strings.Trim(string(bytes.TrimSpace(raw)), `"`)
	exponent := strings.IndexAny(s, "eE")
	if len(s) == 0 || len(s) > maxNumber || !json.Valid([]byte(s)) || strings.Trim(s, "-+0123456789.eE") != "" ||
		exponent >= 0 && len(strings.TrimLeft(s[exponent+1:], "+-")) > 2 {
		return nil, fmt.Errorf("%.20q is not a number", raw)
	}
	n, ok := new(big.Rat).SetString(s)
	if !ok {
		return nil, fmt.Errorf("%.20q is not a number", raw)
	}
	return n, nil
}

// number takes a field that is a number.
func (im *importer) number(name string) (*big.Rat, bool, error) {
	raw, ok := im.take(name)
	if !ok {
		return nil, false, nil
	}
	n, err := parseNumber(raw)
	if err != nil {
		return nil, false, fmt.Errorf("%s: %w", name, err)
	}
	return n, true, nil
}

// priceDecimals are the most that a price may have.
const priceDecimals = 8

// price writes a sum of numbers as a tariff does, and notes it if it had to be
// rounded.
func (im *importer) price(field string, numbers ...*big.Rat) (string, error) {
	sum := new(big.Rat)
	for _, n := range numbers {
		sum.Add(sum, n)
	}
	if sum.Sign() < 0 {
		return "", fmt.Errorf("%s: a price of %s is negative, which a tariff cannot have", field, sum.FloatString(priceDecimals))
	}
	text := tariff.RoundRat(sum, priceDecimals)
	if text.Rat().Cmp(sum) != 0 {
		im.note(field, "rounded to %d decimals", priceDecimals)
	}
	return trim(text.String()), nil
}

// trim drops zeros at the end.
func trim(s string) string {
	if !strings.Contains(s, ".") {
		return s
	}
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// A tier is one price of a period.
type tier struct {
	max  *big.Rat // nil is no end
	rate *big.Rat // rate and adjustment
	sell *big.Rat // nil if there is none
	unit string   // of max
}

// structure takes a list of periods, each a list of tiers.
func (im *importer) structure(name string) ([][]tier, error) {
	raw, ok := im.take(name)
	if !ok {
		return nil, nil
	}
	var periods [][]map[string]json.RawMessage
	if err := json.Unmarshal(raw, &periods); err != nil {
		return nil, fmt.Errorf("%s: is not a list of periods with tiers: %w", name, err)
	}
	out := make([][]tier, len(periods))
	for p, tiers := range periods {
		for t, fields := range tiers {
			at := fmt.Sprintf("%s[%d][%d]", name, p, t)
			parsed, err := im.tier(name, at, fields)
			if err != nil {
				return nil, err
			}
			out[p] = append(out[p], parsed)
		}
		if len(tiers) == 0 {
			return nil, fmt.Errorf("%s[%d]: has no tier", name, p)
		}
	}
	return out, nil
}

func (im *importer) tier(name, at string, fields map[string]json.RawMessage) (tier, error) {
	t := tier{rate: new(big.Rat)}
	for key, raw := range fields {
		if key == "unit" {
			if json.Unmarshal(raw, &t.unit) != nil {
				return t, fmt.Errorf("%s.unit: is not a string", at)
			}
			continue
		}
		if isNull(raw) {
			continue
		}
		n, err := parseNumber(raw)
		if err != nil {
			return t, fmt.Errorf("%s.%s: %w", at, key, err)
		}
		switch key {
		case "rate", "adj":
			t.rate.Add(t.rate, n)
		case "max":
			t.max = n
		case "sell":
			t.sell = n
		default:
			im.note(name+"."+key, "not priced: the field is not known")
		}
	}
	return t, nil
}

func isNull(raw json.RawMessage) bool { return bytes.Equal(bytes.TrimSpace(raw), []byte("null")) }

// A schedule names the period of each hour of the twelve months.
type schedule [12][24]int

// schedule takes a schedule; false if the field is missing.
func (im *importer) schedule(name string) (schedule, bool, error) {
	var s schedule
	raw, ok := im.take(name)
	if !ok {
		return s, false, nil
	}
	var rows [][]int
	if err := json.Unmarshal(raw, &rows); err != nil {
		return s, false, fmt.Errorf("%s: is not a list of twelve months with 24 hours: %w", name, err)
	}
	if len(rows) != 12 {
		return s, false, fmt.Errorf("%s: has %d months, want 12", name, len(rows))
	}
	for m, row := range rows {
		if len(row) != 24 {
			return s, false, fmt.Errorf("%s[%d]: has %d hours, want 24", name, m, len(row))
		}
		copy(s[m][:], row)
	}
	return s, true, nil
}

// schedules takes the pair of schedules for weekdays and weekends. One alone
// counts for both.
func (im *importer) schedules(weekday, weekend string) (both [2]schedule, ok bool, err error) {
	var there [2]bool
	for i, name := range [...]string{weekday, weekend} {
		if both[i], there[i], err = im.schedule(name); err != nil {
			return both, false, err
		}
	}
	switch {
	case there[0] && !there[1]:
		both[1] = both[0]
		im.note(weekend, "is missing: weekends are as weekdays")
	case there[1] && !there[0]:
		both[0] = both[1]
		im.note(weekday, "is missing: weekdays are as weekends")
	}
	return both, there[0] || there[1], nil
}
