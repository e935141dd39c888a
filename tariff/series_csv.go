package tariff

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"
	"time"
)

// SeriesCSV says how to read prices from a file.
type SeriesCSV struct {
	Name     string         // of the series
	Currency string         // ISO 4217
	Location *time.Location // of the file's local times; nil means UTC
	Column   string         // of the prices; empty takes the second column
	Factor   Decimal        // from the file's unit to a kWh: 0.001 for prices of a MWh; 0 means 1
}

// ReadSeriesCSV makes a price series of a file: a header, then rows whose first
// column is the local start of a step, as 2006-01-02T15:04 or with a space,
// and one of whose others is the price. name is what errors call the file.
//
// Rows follow each other without gap. Some markets' files have 24 hours on
// every day: where a clock change skips an hour its row is passed over, and
// where one repeats an hour that has one row, the row counts twice. evened is
// how often that was done.
func ReadSeriesCSV(r io.Reader, name string, o SeriesCSV) (s *Series, evened int, err error) {
	p := seriesParser{loc: o.Location, factor: o.Factor, prices: map[int64][]int64{}}
	if p.loc == nil {
		p.loc = time.UTC
	}
	if p.factor.Sign() == 0 {
		p.factor = NewDecimal(1, 0)
	}
	if err := p.read(r, o.Column); err != nil {
		return nil, 0, fmt.Errorf("read %s: %w", name, err)
	}
	s = &Series{}
	if err := p.lay(s); err != nil {
		return nil, 0, fmt.Errorf("read %s: %w", name, err)
	}
	doc := s.Document()
	doc.Name, doc.Currency = o.Name, o.Currency
	s, err = NewSeries(doc)
	return s, p.evened, err
}

// A seriesParser collects prices by wall time, in seconds as if it were UTC.
type seriesParser struct {
	loc    *time.Location
	factor Decimal
	walls  []int64           // in the file's order
	prices map[int64][]int64 // two where a clock change repeats a time
	evened int
}

// read reads all rows.
func (p *seriesParser) read(r io.Reader, column string) error {
	scan := bufio.NewScanner(r)
	if !scan.Scan() {
		return fmt.Errorf("the file is empty: give a header and a row for each step: %w", cmpErr(scan.Err()))
	}
	header := split(bytes.TrimPrefix(scan.Bytes(), []byte("\ufeff")))
	at := 1
	if column != "" {
		at = slices.Index(header, column)
	}
	if at < 1 || at >= len(header) {
		return fmt.Errorf("there is no column %.40q of prices; there are %.200s", column, strings.Join(header[1:], ", "))
	}
	for line := 2; scan.Scan(); line++ {
		fields := split(scan.Bytes())
		if len(fields) == 1 && fields[0] == "" {
			continue
		}
		if len(fields) != len(header) {
			return fmt.Errorf("line %d has %d fields where the header has %d", line, len(fields), len(header))
		}
		if err := p.row(fields[0], fields[at]); err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
		if len(p.walls) > maxPrices {
			return fmt.Errorf("there are more than %d prices: split the file", maxPrices)
		}
	}
	return scan.Err()
}

func cmpErr(err error) error {
	if err == nil {
		return io.ErrUnexpectedEOF
	}
	return err
}

func split(line []byte) []string {
	fields := strings.Split(string(line), ",")
	for i := range fields {
		fields[i] = strings.Trim(strings.TrimSpace(fields[i]), `"`)
	}
	return fields
}

// row keeps one price.
func (p *seriesParser) row(at, price string) error {
	const layout = "2006-01-02T15:04"
	text := strings.Replace(strings.TrimSuffix(at, ":00"), " ", "T", 1)
	if len(at) == len(layout) {
		text = strings.Replace(at, " ", "T", 1)
	}
	wall, err := time.Parse(layout, text)
	if err != nil {
		return fmt.Errorf("%.40q is no local time: write it as 2006-01-02T15:04", at)
	}
	amount, ok := new(big.Rat).SetString(price)
	if !ok || len(price) > 24 || strings.Trim(price, "+-.0123456789") != "" {
		return fmt.Errorf("%.40q is no price: write it as 0.123", price)
	}
	amount.Mul(amount, p.factor.Rat())
	rounded := RoundRat(amount, PriceDecimals)
	if rounded.Rat().Cmp(amount) != 0 {
		return fmt.Errorf("price %s of a kWh has more than %d decimals: round it", price, PriceDecimals)
	}
	scaled := new(big.Rat).Mul(amount, big.NewRat(pricesPerUnit, 1)).Num()
	if !scaled.IsInt64() {
		return fmt.Errorf("price %s is out of range", price)
	}
	p.walls = append(p.walls, wall.Unix())
	p.prices[wall.Unix()] = append(p.prices[wall.Unix()], scaled.Int64())
	return nil
}

// lay puts the prices on the time line.
func (p *seriesParser) lay(s *Series) error {
	if len(p.walls) < 2 {
		return fmt.Errorf("there are %d rows: two are needed to find the length of a step", len(p.walls))
	}
	s.step = p.walls[1] - p.walls[0]
	if s.step != 900 && s.step != 1800 && s.step != 3600 {
		return fmt.Errorf("steps of %v: want 15, 30 or 60 minutes", time.Duration(s.step)*time.Second)
	}
	first := slices.IndexFunc(p.walls, func(w int64) bool { return len(instants(p.loc, w)) > 0 })
	if first < 0 {
		return fmt.Errorf("no time of the file exists in %v", p.loc)
	}
	s.from = instants(p.loc, p.walls[first])[0]
	last := slices.Max(p.walls)
	used := make(map[int64]int, len(p.prices))
	for at := s.from; ; at += s.step {
		local := time.Unix(at, 0).In(p.loc)
		_, offset := local.Zone()
		wall := at + int64(offset)
		if wall > last {
			break
		}
		prices := p.prices[wall]
		n := used[wall]
		used[wall]++
		switch {
		case n < len(prices):
			s.prices = append(s.prices, prices[n])
		case len(prices) == 1 && n == 1:
			p.evened++
			s.prices = append(s.prices, prices[0])
		default:
			return fmt.Errorf("there is no price at %s (%v)", local.Format("2006-01-02T15:04"), p.loc)
		}
		if len(s.prices) > maxPrices {
			return fmt.Errorf("there are more than %d prices: split the file", maxPrices)
		}
	}
	return p.leftover(used)
}

// leftover looks at the rows that the time line has not asked for.
func (p *seriesParser) leftover(used map[int64]int) error {
	for _, wall := range p.walls {
		switch there := len(instants(p.loc, wall)); {
		case there == 0:
			p.evened++
		case len(p.prices[wall]) > used[wall]:
			return fmt.Errorf("%s stands %d times, clocks in %v show it %d times, at steps from the first row",
				time.Unix(wall, 0).UTC().Format("2006-01-02T15:04"), len(p.prices[wall]), p.loc, used[wall])
		}
	}
	return nil
}

// instants are the times at which clocks show a wall time: none where they
// skip it, two where they repeat it, in rising order.
func instants(loc *time.Location, wall int64) []int64 {
	var list []int64
	for _, guess := range [...]int64{wall - secondsPerDay, wall + secondsPerDay} {
		_, offset := time.Unix(guess, 0).In(loc).Zone()
		at := wall - int64(offset)
		_, real := time.Unix(at, 0).In(loc).Zone()
		if real == offset && !slices.Contains(list, at) {
			list = append(list, at)
		}
	}
	slices.Sort(list)
	return list
}
