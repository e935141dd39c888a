package invoice

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/tariff"
)

// chart is bars on one scale. Lengths are parts of the whole, for drawing
// alone; the texts have the exact values.
type chart struct {
	Title string
	Bars  []bar
}

type bar struct {
	Label, Value string
	Start, Size  float64 // percent of the scale
	Credit       bool    // below zero
	Own          bool    // of this bill
	amount       tariff.Decimal
}

// maxBars is how many lines of a bill the chart shows by themselves.
const maxBars = 12

// lay gives each bar its place on a scale that holds zero and all of them.
func (c *chart) lay() {
	var low, high float64
	at := make([]float64, len(c.Bars))
	for i, b := range c.Bars {
		at[i], _ = b.amount.Rat().Float64()
		low, high = min(low, at[i]), max(high, at[i])
	}
	if high == low {
		return // all zero: no bars
	}
	for i := range c.Bars {
		b := &c.Bars[i]
		b.Credit = at[i] < 0
		b.Start = 100 * (min(at[i], 0) - low) / (high - low)
		b.Size = 100 * max(at[i], -at[i]) / (high - low)
	}
}

// lineChart shows the amounts of the bill's own lines. Where there are many,
// the smallest go together.
func (l *Language) lineChart(b bill.Bill) (chart, error) {
	c := chart{Title: l.words.lines + ", " + b.Currency}
	for _, line := range b.Lines {
		amount, err := tariff.ParseDecimal(line.Amount)
		if err != nil {
			return c, fmt.Errorf("amount of the bill: %w", err)
		}
		c.Bars = append(c.Bars, bar{Label: l.label(line), amount: amount})
	}
	if len(c.Bars) > maxBars {
		c.Bars = l.fold(c.Bars)
	}
	for i := range c.Bars {
		c.Bars[i].Value = l.number(c.Bars[i].amount.String())
	}
	c.lay()
	return c, nil
}

// label names a line with its tier.
func (l *Language) label(line bill.Line) string {
	if line.Tier == 0 {
		return l.item(line)
	}
	return l.item(line) + ", " + fmt.Sprintf(l.words.tier, line.Tier)
}

// fold leaves the largest bars in their order, and sums the others.
func (l *Language) fold(bars []bar) []bar {
	sizes := make([]tariff.Decimal, len(bars))
	for i, b := range bars {
		sizes[i] = b.amount
		if b.amount.Sign() < 0 {
			sizes[i] = b.amount.Neg()
		}
	}
	order := make([]int, len(bars))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return sizes[j].Cmp(sizes[i]) })
	kept := order[:maxBars-1]
	slices.SortFunc(kept, cmp.Compare[int])
	var out []bar
	var rest tariff.Decimal
	for i, b := range bars {
		if slices.Contains(kept, i) {
			out = append(out, b)
		} else {
			rest = rest.Add(b.amount)
		}
	}
	return append(out, bar{Label: fmt.Sprintf(l.words.other, len(bars)-len(out)), amount: rest})
}

// historyChart shows the totals of earlier bills and of this one. It is empty
// if there are no earlier ones.
func (l *Language) historyChart(v *Invoice) (chart, error) {
	c := chart{Title: l.words.history + ", " + v.Bill.Currency}
	earlier := v.history()
	if len(earlier) == 0 {
		return c, nil
	}
	bills := append(earlier, Earlier{Bill: v.Bill})
	for i, b := range bills {
		if b.Currency != v.Bill.Currency {
			return c, fmt.Errorf("an earlier bill is in %s, this one in %s", b.Currency, v.Bill.Currency)
		}
		p, err := periodOf(b.Bill)
		if err != nil {
			return c, err
		}
		var total tariff.Decimal // of b.Total, which may have more digits than a decimal that is read
		for _, line := range b.Lines {
			amount, err := tariff.ParseDecimal(line.Amount)
			if err != nil {
				return c, fmt.Errorf("amount of the bill: %w", err)
			}
			total = total.Add(amount)
		}
		c.Bars = append(c.Bars, bar{Label: l.short(p), Value: l.number(b.Total), Own: i == len(bills)-1, amount: total})
	}
	c.lay()
	return c, nil
}
