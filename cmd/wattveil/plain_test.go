package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// This file bills homes a second time, as plainly as spec/tariff.md reads: a
// file of intervals, a tariff in JSON, rational numbers. It shares no code with
// the platform.

type plainTariff struct {
	ID       string
	Currency string
	Timezone string
	Energy   struct {
		Bands   map[string]struct{ Import, Export string }
		Default string
		Windows []struct {
			Band     string
			Days     []string
			From, To string
		}
	}
	Standing *struct {
		PerDay string `json:"per_day"`
	}
	Tax string `json:"tax_percent"`
}

type plainLine struct{ Kind, Band, Quantity, Unit, Price, Amount string }

type plainBill struct {
	Column, From, To, Import, Export, Total string
	Lines                                   []plainLine
	Intervals                               int
}

// plainHomes is a file of intervals.
type plainHomes struct {
	columns []string
	starts  []time.Time
	step    time.Duration
	kWh     [][]*big.Rat // by row and column
}

// readPlain reads the first days of a file, all if 0.
func readPlain(t *testing.T, file, zone string, days int) plainHomes {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	const layout = "2006-01-02T15:04"
	loc := plainZone(t, zone)
	var first [2]time.Time
	for i := range first {
		if first[i], err = time.ParseInLocation(layout, rows[i+1][0], loc); err != nil {
			t.Fatal(err)
		}
	}
	h := plainHomes{columns: rows[0][1:], step: first[1].Sub(first[0])}
	n := len(rows) - 1
	if days > 0 {
		n = int(time.Duration(days) * 24 * time.Hour / h.step)
	}
	for i, row := range rows[1 : n+1] {
		start := first[0].Add(time.Duration(i) * h.step)
		if got := start.Format(layout); got != row[0] {
			t.Fatalf("%s: row %d is of %s, want %s", file, i, row[0], got)
		}
		h.starts = append(h.starts, start)
		values := make([]*big.Rat, len(h.columns))
		for j, text := range row[1:] {
			values[j] = plainNumber(t, text)
		}
		h.kWh = append(h.kWh, values)
	}
	return h
}

func plainZone(t *testing.T, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func plainNumber(t *testing.T, text string) *big.Rat {
	t.Helper()
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		t.Fatalf("%q is no number", text)
	}
	return r
}

// bill bills one home of a file.
func (h plainHomes) bill(t *testing.T, column int, terms plainTariff) plainBill {
	t.Helper()
	zone := plainZone(t, terms.Timezone)
	imported, exported := map[string]*big.Rat{}, map[string]*big.Rat{}
	for band := range terms.Energy.Bands {
		imported[band], exported[band] = new(big.Rat), new(big.Rat)
	}
	allImported, allExported := new(big.Rat), new(big.Rat)
	days := map[string]bool{}
	for i, start := range h.starts {
		local := start.In(zone)
		days[local.Format(time.DateOnly)] = true
		band := terms.band(local)
		if v := h.kWh[i][column]; v.Sign() > 0 {
			imported[band].Add(imported[band], v)
			allImported.Add(allImported, v)
		} else {
			exported[band].Sub(exported[band], v)
			allExported.Sub(allExported, v)
		}
	}
	b := plainBill{
		Column: h.columns[column], Intervals: len(h.starts),
		From:   h.starts[0].In(zone).Format(time.RFC3339),
		To:     h.starts[len(h.starts)-1].Add(h.step).In(zone).Format(time.RFC3339),
		Import: allImported.FloatString(3), Export: allExported.FloatString(3),
	}
	b.Lines, b.Total = terms.lines(t, imported, exported, len(days))
	return b
}

// band is the band of a local time.
func (p plainTariff) band(local time.Time) string {
	clock := local.Format("15:04")
	days := []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}
	today := days[local.Weekday()]
	yesterday := days[(local.Weekday()+6)%7]
	for _, w := range p.Energy.Windows {
		overnight := w.From > w.To
		switch {
		case slices.Contains(w.Days, today) && clock >= w.From && (overnight || clock < w.To):
			return w.Band
		case overnight && slices.Contains(w.Days, yesterday) && clock < w.To:
			return w.Band
		}
	}
	return p.Energy.Default
}

// lines are the priced lines and their total.
func (p plainTariff) lines(t *testing.T, imported, exported map[string]*big.Rat, days int) (lines []plainLine, total string) {
	t.Helper()
	sum := new(big.Rat)
	add := func(kind, band, quantity, unit, price string, sign int64) {
		product := new(big.Rat).Mul(plainNumber(t, quantity), plainNumber(t, price))
		amount := product.Mul(product, big.NewRat(sign, 1)).FloatString(2) // half away from zero
		if amount == "-0.00" {
			amount = "0.00"
		}
		sum.Add(sum, plainNumber(t, amount))
		lines = append(lines, plainLine{kind, band, quantity, unit, price, amount})
	}
	var bands []string
	for band := range p.Energy.Bands {
		bands = append(bands, band)
	}
	slices.Sort(bands)
	for _, band := range bands {
		add("import", band, imported[band].FloatString(3), "kWh", p.Energy.Bands[band].Import, 1)
	}
	for _, band := range bands {
		if exported[band].Sign() == 0 {
			continue
		}
		price := p.Energy.Bands[band].Export
		if price == "" {
			price = "0"
		}
		add("export", band, exported[band].FloatString(3), "kWh", price, -1)
	}
	if p.Standing != nil {
		add("standing", "", fmt.Sprint(days), "day", p.Standing.PerDay, 1)
	}
	if p.Tax != "" {
		_, decimals, _ := strings.Cut(p.Tax, ".")
		fraction := new(big.Rat).Quo(plainNumber(t, p.Tax), big.NewRat(100, 1))
		add("tax", "", sum.FloatString(2), p.Currency, fraction.FloatString(len(decimals)+2), 1)
	}
	return lines, sum.FloatString(2)
}

// plainVerify checks a bill's signature with the keys of a report, by the words
// of RFC 7515 and RFC 8037, and returns what it signs.
func plainVerify(t *testing.T, jws string, keys json.RawMessage) map[string]any {
	t.Helper()
	decode := func(text string) []byte {
		b, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	var set struct{ Keys []struct{ Kid, X string } }
	var header struct{ Alg, Kid string }
	var payload map[string]any
	parts := strings.Split(jws, ".")
	if len(parts) != 3 {
		t.Fatalf("%q is no JWS", jws)
	}
	for _, part := range []struct {
		text []byte
		into any
	}{{keys, &set}, {decode(parts[0]), &header}, {decode(parts[1]), &payload}} {
		if err := json.Unmarshal(part.text, part.into); err != nil {
			t.Fatal(err)
		}
	}
	for _, k := range set.Keys {
		if k.Kid == header.Kid && header.Alg == "EdDSA" &&
			ed25519.Verify(decode(k.X), []byte(parts[0]+"."+parts[1]), decode(parts[2])) {
			return payload
		}
	}
	t.Fatalf("no key of the report fits the bill with %+v", header)
	return nil
}
