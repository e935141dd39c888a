package tariff

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// SeriesDocument is a part of a price series as it is written (spec/tariff.md
// section 3). The fields stand in the order of their JSON names.
type SeriesDocument struct {
	Currency string   `json:"currency"`
	From     string   `json:"from"`    // RFC 3339, UTC, whole minutes
	Minutes  int      `json:"minutes"` // 15, 30 or 60
	Name     string   `json:"name"`
	Prices   []string `json:"prices"` // of a kWh, without needless zeros
}

// maxPrices bounds a document and a series: 30 years of hours, 7 of quarters.
const maxPrices = 1 << 18

// PriceDecimals are the decimals of [Series.At]: a price of 0.25 is 25000000.
const PriceDecimals = maxFrac

// Series holds the prices of steps that follow each other. It is immutable and
// safe for concurrent use.
type Series struct {
	name     string
	currency Currency
	from     int64   // Unix seconds
	step     int64   // seconds
	prices   []int64 // in 10^-PriceDecimals
	// last is the digest asked for last: a billing run asks for one period
	// again and again.
	last atomic.Pointer[periodDigest]
}

type periodDigest struct {
	from, to int64
	digest   Digest
}

// ParseSeries reads a part of a price series in JSON. It is as strict as
// [Parse]; a refusal is an [*Error].
func ParseSeries(data []byte) (*Series, error) {
	r := reader{problems: problems{what: "price series"}}
	raw, ok := r.text(data, maxSeriesSize)
	if !ok {
		return nil, r.err()
	}
	m := r.object("", raw)
	doc := SeriesDocument{
		Currency: m.text("currency", required),
		From:     m.text("from", required),
		Minutes:  m.whole("minutes"),
		Name:     m.text("name", required),
	}
	if raw, ok := m.take("prices", required); ok {
		doc.Prices = r.prices(m.at("prices"), raw)
	}
	m.end()
	if err := r.err(); err != nil {
		return nil, err
	}
	return NewSeries(doc)
}

// prices reads a long list of strings at once, and looks at its elements one
// by one only to say what is wrong.
func (r *reader) prices(path string, raw json.RawMessage) []string {
	var list []string
	if json.Unmarshal(raw, &list) == nil && len(list) <= maxPrices && !slices.Contains(list, "") {
		return list
	}
	for i, raw := range r.array(path, raw, maxPrices) {
		list = append(list, r.string(index(path, i), raw))
	}
	return list
}

// NewSeries checks a part of a price series. A refusal is an [*Error].
func NewSeries(doc SeriesDocument) (*Series, error) {
	c := checker{problems: problems{what: "price series"}}
	s := &Series{name: c.seriesName("name", doc.Name)}
	var err error
	if s.currency, err = ParseCurrency(doc.Currency); err != nil {
		c.add("currency", err.Error(), "")
	}
	from, err := time.Parse(time.RFC3339, doc.From)
	if err != nil || from.Format(time.RFC3339) != doc.From || !strings.HasSuffix(doc.From, "Z") ||
		from.Second() != 0 || from.Year() < 1970 || from.Year() > lastHolidayYear {
		c.add("from", fmt.Sprintf("%.40q is not a time in UTC in whole minutes of the years 1970 to %d", doc.From, lastHolidayYear),
			"write it like 2016-01-03T23:00:00Z")
	}
	s.from, s.step = from.Unix(), int64(doc.Minutes)*60
	if !slices.Contains([]int{15, 30, 60}, doc.Minutes) {
		c.add("minutes", fmt.Sprintf("is %d", doc.Minutes), "want 15, 30 or 60")
	}
	if n := len(doc.Prices); n == 0 || n > maxPrices {
		c.add("prices", fmt.Sprintf("has %d prices", n), fmt.Sprintf("want 1 to %d", maxPrices))
	}
	s.prices = make([]int64, 0, min(len(doc.Prices), maxPrices))
	for i, text := range doc.Prices {
		price, problem := parsePrice(text)
		if problem != "" {
			c.add(index("prices", i), problem, "")
			if len(c.list) >= maxProblems {
				break
			}
		}
		s.prices = append(s.prices, price)
	}
	if err := c.err(); err != nil {
		return nil, err
	}
	return s, nil
}

// parsePrice reads a price of a series, or says what is wrong with it.
func parsePrice(s string) (price int64, problem string) {
	if err := checkDecimal(s); err != nil {
		return 0, fmt.Sprintf("decimal %.40q: %v", s, err)
	}
	whole, frac, point := strings.Cut(s, ".")
	if point && frac[len(frac)-1] == '0' {
		return 0, fmt.Sprintf("%q has a needless zero at the end", s)
	}
	if len(strings.TrimPrefix(whole, "-")) > 7 {
		return 0, fmt.Sprintf("%q is out of range: want -%d to %d", s, maxPrice, maxPrice)
	}
	n, err := strconv.ParseInt(whole+frac+strings.Repeat("0", PriceDecimals-len(frac)), 10, 64)
	if err != nil || n > maxPrice*pricesPerUnit || n < -maxPrice*pricesPerUnit {
		return 0, fmt.Sprintf("%q is out of range: want -%d to %d", s, maxPrice, maxPrice)
	}
	return n, ""
}

// pricesPerUnit is 10^PriceDecimals.
const pricesPerUnit = 100_000_000

// priceText writes what parsePrice reads.
func priceText(price int64) string {
	s := NewDecimal(price, PriceDecimals).String()
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// Name is what tariffs name the series by.
func (s *Series) Name() string { return s.name }

// Currency is what the prices are in.
func (s *Series) Currency() Currency { return s.currency }

// From is the start of the first price.
func (s *Series) From() time.Time { return time.Unix(s.from, 0).UTC() }

// To is the end of the last price.
func (s *Series) To() time.Time { return time.Unix(s.end(), 0).UTC() }

// Step is how long each price applies.
func (s *Series) Step() time.Duration { return time.Duration(s.step) * time.Second }

func (s *Series) end() int64 { return s.from + s.step*int64(len(s.prices)) }

// At is the price of a kWh at an instant in Unix seconds, in
// 10^-[PriceDecimals], and until when it applies; false if there is none.
func (s *Series) At(at int64) (price, until int64, ok bool) {
	if at < s.from || at >= s.end() {
		return 0, 0, false
	}
	i := (at - s.from) / s.step
	return s.prices[i], s.from + (i+1)*s.step, true
}

// Covers tells whether there is a price for all of a period in Unix seconds,
// and if not, the first instant that lacks one.
func (s *Series) Covers(from, to int64) (missing int64, ok bool) {
	switch {
	case from < s.from || from >= s.end():
		return from, false
	case to > s.end():
		return s.end(), false
	default:
		return 0, true
	}
}

// Cut is the part of a series whose steps a period touches. It fails where a
// price is missing.
func (s *Series) Cut(from, to time.Time) (*Series, error) {
	if missing, ok := s.Covers(from.Unix(), to.Unix()); !ok || !from.Before(to) {
		return nil, fmt.Errorf("price series %s has no price at %s", s.name, time.Unix(missing, 0).UTC().Format(time.RFC3339))
	}
	return s.cut(from.Unix(), to.Unix()), nil
}

func (s *Series) cut(from, to int64) *Series {
	first := (from - s.from) / s.step
	last := (to - 1 - s.from) / s.step
	return &Series{
		name: s.name, currency: s.currency, step: s.step,
		from: s.from + first*s.step, prices: s.prices[first : last+1],
	}
}

// Digest is that of the series for a period in Unix seconds, all of which must
// have prices ([Series.Covers]).
func (s *Series) Digest(from, to int64) Digest {
	if d := s.last.Load(); d != nil && d.from == from && d.to == to {
		return d.digest
	}
	d := &periodDigest{from: from, to: to, digest: sha256.Sum256(s.cut(from, to).canonical())}
	s.last.Store(d)
	return d.digest
}

// Document is the series as it is written, in one part.
func (s *Series) Document() SeriesDocument {
	doc := SeriesDocument{
		Currency: s.currency.String(), From: s.From().Format(time.RFC3339), Minutes: int(s.step / 60),
		Name: s.name, Prices: make([]string, len(s.prices)),
	}
	for i, p := range s.prices {
		doc.Prices[i] = priceText(p)
	}
	return doc
}

// MarshalJSON writes the canonical form (RFC 8785), which [ParseSeries] reads
// back.
func (s *Series) MarshalJSON() ([]byte, error) { return s.canonical(), nil }

func (s *Series) canonical() []byte { return encode(s.Document()) }

// JoinSeries puts the parts of one series together, in whatever order they
// come. They must have one name, currency and step, and follow each other
// without gap or overlap.
func JoinSeries(parts ...*Series) (*Series, error) {
	if len(parts) == 0 {
		return nil, fmt.Errorf("price series: no part is given")
	}
	sorted := slices.SortedFunc(slices.Values(parts), func(a, b *Series) int { return cmp.Compare(a.from, b.from) })
	first := sorted[0]
	joined := &Series{name: first.name, currency: first.currency, from: first.from, step: first.step}
	for _, p := range sorted {
		const layout = time.RFC3339
		switch {
		case p.name != first.name:
			return nil, fmt.Errorf("price series %s and %s have different names: join the parts of one", first.name, p.name)
		case p.currency != first.currency || p.step != first.step:
			return nil, fmt.Errorf("price series %s: its parts differ in currency or minutes", first.name)
		case p.from > joined.end():
			return nil, fmt.Errorf("price series %s: no prices between %s and %s: give that part too",
				first.name, joined.To().Format(layout), p.From().Format(layout))
		case p.from < joined.end():
			return nil, fmt.Errorf("price series %s: two parts have prices at %s: a price is given once", first.name, p.From().Format(layout))
		case len(joined.prices)+len(p.prices) > maxPrices:
			return nil, fmt.Errorf("price series %s: more than %d prices: give the parts that are needed", first.name, maxPrices)
		}
		joined.prices = append(joined.prices, p.prices...)
	}
	return joined, nil
}

// IsSeries tells whether a text looks like a price series rather than a
// tariff: an object with a member "prices".
func IsSeries(data []byte) bool {
	var probe struct {
		Prices json.RawMessage `json:"prices"`
	}
	return json.Unmarshal(bytes.TrimSpace(data), &probe) == nil && probe.Prices != nil
}
