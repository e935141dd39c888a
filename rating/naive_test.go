package rating_test

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/rating"
	"github.com/wattveil/wattveil/tariff"
)

// naive rates by the words of spec/tariff.md: the document's windows, the local
// clock of each interval, and rational numbers. It shares no code with tariff
// and rating but the document.
type naive struct {
	t        testing.TB
	doc      tariff.Document
	zone     *time.Location
	decimals int
	total    *big.Rat
	lines    []rating.Line
}

func (n *naive) number(s string) *big.Rat {
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		n.t.Fatalf("%q is not a number", s)
	}
	return r
}

func (n *naive) money(r *big.Rat) string {
	s := r.FloatString(n.decimals) // rounds half away from zero
	if strings.Trim(s, "-0.") == "" {
		s = strings.TrimPrefix(s, "-")
	}
	return s
}

func (n *naive) band(at time.Time) string {
	clock := at.Format("15:04")
	on := func(w tariff.Window, at time.Time) bool {
		return slices.Contains(w.Days, strings.ToLower(at.Weekday().String()[:3]))
	}
	for _, w := range n.doc.Energy.Windows {
		late := w.From > w.To
		if on(w, at) && clock >= w.From && (late || clock < w.To) {
			return w.Band
		}
		y, m, d := at.Date()
		yesterday := time.Date(y, m, d-1, 12, 0, 0, 0, time.UTC)
		if late && on(w, yesterday) && clock < w.To {
			return w.Band
		}
	}
	return n.doc.Energy.Default
}

func (n *naive) add(sign int64, l rating.Line) {
	amount := new(big.Rat).Mul(n.number(l.Quantity), n.number(l.Price))
	l.Amount = n.money(amount.Mul(amount, big.NewRat(sign, 1)))
	n.total.Add(n.total, n.number(l.Amount))
	n.lines = append(n.lines, l)
}

// rate gives the lines and the total.
func (n *naive) rate(intervals []wattveil.Interval) ([]rating.Line, string) {
	imports, exports, days := map[string]int64{}, map[string]int64{}, map[string]bool{}
	for _, iv := range intervals {
		at := time.Unix(iv.Start, 0).In(n.zone)
		band := n.band(at)
		imports[band] += int64(iv.Import)
		exports[band] += int64(iv.Export)
		days[at.Format(time.DateOnly)] = true
	}
	var bands []string
	for band := range n.doc.Energy.Bands {
		bands = append(bands, band)
	}
	slices.Sort(bands)
	kWh := func(wh int64) string { return fmt.Sprintf("%d.%03d", wh/1000, wh%1000) }
	for _, band := range bands {
		n.add(1, rating.Line{Kind: "import", Band: band, Quantity: kWh(imports[band]), Unit: "kWh", Price: n.doc.Energy.Bands[band].Import})
	}
	for _, band := range bands {
		price := n.doc.Energy.Bands[band].Export
		if price == "" {
			price = "0"
		}
		if exports[band] > 0 {
			n.add(-1, rating.Line{Kind: "export", Band: band, Quantity: kWh(exports[band]), Unit: "kWh", Price: price})
		}
	}
	if n.doc.Standing != nil {
		n.add(1, rating.Line{Kind: "standing", Quantity: fmt.Sprint(len(days)), Unit: "day", Price: n.doc.Standing.PerDay})
	}
	if percent := n.doc.TaxPercent; percent != "" {
		_, frac, _ := strings.Cut(percent, ".")
		price := new(big.Rat).Quo(n.number(percent), big.NewRat(100, 1)).FloatString(len(frac) + 2)
		n.add(1, rating.Line{Kind: "tax", Quantity: n.money(n.total), Unit: n.doc.Currency, Price: price})
	}
	return n.lines, n.money(n.total)
}

func newNaive(t testing.TB, from *tariff.Tariff) *naive {
	return &naive{t: t, doc: from.Document(), zone: from.Zone(), decimals: from.Currency().Decimals(), total: new(big.Rat)}
}
