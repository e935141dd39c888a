package rating_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/gate"
	"github.com/wattveil/wattveil/internal/realinput"
	"github.com/wattveil/wattveil/rating"
	"github.com/wattveil/wattveil/tariff"
	"github.com/wattveil/wattveil/tariff/urdb"
)

// told is one number of a bill: its weight on each interval, imports before
// exports.
type told map[string][]*big.Rat

// probe finds the weights of all numbers on bills of a period by rating it as
// often as it has intervals: with energy in that one alone. 10^9 Wh at a price
// come to a whole number of cents.
func probe(t *testing.T, of *tariff.Tariff, res wattveil.Resolution, from, to time.Time, series []*tariff.Series) told {
	t.Helper()
	const energy = 1_000_000_000
	var empty []wattveil.Interval
	for at := from.Unix(); at < to.Unix(); at += int64(res) {
		empty = append(empty, wattveil.Interval{Start: at, End: at + int64(res)})
	}
	all := told{}
	note := func(name string, k int, n *big.Rat) {
		if all[name] == nil {
			all[name] = make([]*big.Rat, 2*len(empty))
		}
		all[name][k] = n
	}
	for k := range 2 * len(empty) {
		iv := &empty[k%len(empty)]
		if k < len(empty) {
			iv.Import = energy
		} else {
			iv.Export = energy
		}
		rated, err := rating.Request{Tariff: of, Intervals: empty, From: from, To: to, Resolution: res, Series: series}.Rate()
		if err != nil {
			t.Fatal(err)
		}
		iv.Import, iv.Export = 0, 0
		for _, l := range rated.Lines {
			quantity, _ := new(big.Rat).SetString(l.Quantity)
			if l.Unit != "kWh" || quantity.Sign() == 0 {
				continue
			}
			name := l.Kind + " " + l.Band + l.Name
			if l.Tier <= 1 {
				note(name, k, new(big.Rat))
			}
			all[name][k].Add(all[name][k], quantity.Mul(quantity, big.NewRat(1000, energy)))
			if l.Series == "" {
				continue
			}
			amount, _ := new(big.Rat).SetString(l.Amount)
			if l.Kind == rating.KindExport {
				amount.Neg(amount)
			}
			note(name+" amount", k, amount.Mul(amount, big.NewRat(100, 1)))
		}
	}
	return all
}

// dense is the weights that answers state, on each interval.
func dense(a gate.Answers, res wattveil.Resolution) told {
	all := told{}
	n := int((a.Spans[len(a.Spans)-1].End - a.From) / int64(res))
	for q, quantity := range a.Quantities {
		all[quantity.Name] = make([]*big.Rat, 2*n)
		span := 0
		for i := range n {
			for at := a.From + int64(i)*int64(res); at >= a.Spans[span].End; {
				span++
			}
			class := a.Classes[a.Spans[span].Class]
			for k, w := range map[int]int64{i: class.Import[q], n + i: class.Export[q]} {
				if w != 0 {
					all[quantity.Name][k] = big.NewRat(w, 1)
				}
			}
		}
	}
	return all
}

func (a told) String() string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(a)) {
		text := name
		for k, w := range a[name] {
			if w != nil && w.Sign() != 0 {
				text += " " + strconv.Itoa(k) + ":" + w.RatString()
			}
		}
		lines = append(lines, text)
	}
	return strings.Join(lines, "\n")
}

// rank is how many rows are independent, by plain elimination over columns
// that differ.
func (a told) rank() int {
	columns := map[string]int{}
	rows := make([][]*big.Rat, len(a))
	names := slices.Sorted(maps.Keys(a))
	for k := range a[names[0]] {
		key := ""
		for _, name := range names {
			key += fmt.Sprint(a[name][k], ",")
		}
		if _, seen := columns[key]; seen {
			continue
		}
		columns[key] = k
		for i, name := range names {
			w := new(big.Rat)
			if a[name][k] != nil {
				w.Set(a[name][k])
			}
			rows[i] = append(rows[i], w)
		}
	}
	rank := 0
	for c := 0; c < len(columns) && rank < len(rows); c++ {
		pivot := slices.IndexFunc(rows[rank:], func(r []*big.Rat) bool { return r[c].Sign() != 0 })
		if pivot < 0 {
			continue
		}
		rows[rank], rows[rank+pivot] = rows[rank+pivot], rows[rank]
		for _, r := range rows[rank+1:] {
			f := new(big.Rat).Quo(r[c], rows[rank][c])
			for k := range r {
				r[k].Sub(r[k], new(big.Rat).Mul(f, rows[rank][k]))
			}
		}
		rank++
	}
	return rank
}

// checkAnswers holds answers to a probe: each quantity is a number of the bill
// with these weights, and all numbers of the bill follow from the quantities.
func checkAnswers(t *testing.T, of *tariff.Tariff, res wattveil.Resolution, from, to time.Time, series ...*tariff.Series) rating.Told {
	t.Helper()
	got, err := rating.Answers(of, res, from, to, series)
	if err != nil {
		t.Fatal(err)
	}
	bill, stated := probe(t, of, res, from, to, series), dense(got.Answers, res)
	for name := range stated {
		one, other := told{name: stated[name]}, told{name: bill[name]}
		if one.String() != other.String() {
			t.Fatalf("%s from %v: stated\n%.300s\nthe bill tells\n%.300s", of.ID(), from, one, other)
		}
	}
	if bill.rank() != stated.rank() {
		t.Errorf("%s from %v: %d independent quantities, the bill tells %d", of.ID(), from, stated.rank(), bill.rank())
	}
	return got
}

func TestAnswers(t *testing.T) {
	steps := pricesFrom(t, "steps", "2018-10-27T22:00:00Z", 30, "0.1", "0.1", "-0.2", "0.3", "0", "0.1")
	for name, tt := range map[string]struct {
		terms string
		want  string // quantities; those that may be withheld in brackets, priced ones with a *
	}{
		"one band": {flatTerms(`{"all":{"import":"0.25"}}`, ""), "import all, export all"},
		"a band that does not come": {
			flatTerms(`{"all":{"import":"0.25"},"winter":{"import":"0.3"}}`,
				`,"windows":[{"band":"winter","days":["mon"],"from":"00:00","to":"24:00"}]`),
			"import all, export all",
		},
		"two bands, with a change of clocks": {
			flatTerms(`{"all":{"import":"0.25"},"night":{"import":"0.3"}}`,
				`,"windows":[{"band":"night","days":["sun"],"from":"02:30","to":"03:00"}]`),
			"import all, import night, export all, export night",
		},
		"tiers": {
			flatTerms(`{"all":{"tiers":[{"import":"0.1","up_to_kwh":"1"},{"import":"0.2"}]}}`, ""),
			"import all, export all",
		},
		"series": {
			flatTerms(`{"all":{"import_series":"steps","export_series":"steps"}}`, ""),
			"*import all amount, (import all), *export all amount, (export all)",
		},
		"a charge on all energy": {
			flatTerms(`{"all":{"import_series":"steps"}}`, "") + `,"charges":[{"kind":"levy","name":"a","per_kwh":"0.01"}]`,
			"*import all amount, import all, export all",
		},
		"a charge on a band and a series": {
			flatTerms(`{"all":{"import_series":"steps"},"night":{"import":"0.3"}}`,
				`,"windows":[{"band":"night","days":["sun"],"from":"02:30","to":"03:00"}]`) +
				`,"charges":[{"kind":"grid","name":"a","per_kwh":"0.01"},{"kind":"levy","name":"b","per_kwh":"0.01","bands":["night"]},{"kind":"credit","name":"c","per_kwh":"0.01","of":"export"}]`,
			"*import all amount, (import all), import night, export all, export night, grid a",
		},
	} {
		t.Run(name, func(t *testing.T) {
			of := parse(t, tt.terms+"}")
			from := local(t, of, "2018-10-28 00:00")
			got := checkAnswers(t, of, 900, from, from.Add(3*time.Hour), steps)
			var list []string
			for _, q := range got.Answers.Quantities {
				text := q.Name
				if q.Priced {
					text = "*" + text
				}
				if !q.Required {
					text = "(" + text + ")"
				}
				list = append(list, text)
			}
			if text := strings.Join(list, ", "); text != tt.want {
				t.Errorf("quantities %s, want %s", text, tt.want)
			}
		})
	}
}

func flatTerms(bands, more string) string {
	return `{"id":"x","currency":"CHF","timezone":"Europe/Zurich","valid_from":"2018-01-01","energy":{"bands":` + bands + `,"default":"all"` + more + `}`
}

func pricesFrom(t testing.TB, name, from string, minutes int, prices ...string) *tariff.Series {
	t.Helper()
	s, err := tariff.NewSeries(tariff.SeriesDocument{Currency: "CHF", From: from, Minutes: minutes, Name: name, Prices: prices})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// An interval that begins before a window does belongs to the band before, so
// spans end on the meter's grid.
func TestAnswersOnTheMetersGrid(t *testing.T) {
	of := parse(t, flatTerms(`{"all":{"import":"0.25"},"peak":{"import":"0.3"}}`,
		`,"windows":[{"band":"peak","days":["mon","tue","wed","thu","fri","sat","sun"],"from":"07:10","to":"07:50"}]`)+
		`,"demand":[{"name":"d","minutes":15,"per_kw":"1","windows":[{"days":["mon"],"from":"07:10","to":"09:20"}]}]}`)
	from := local(t, of, "2018-03-05 00:00")
	for res, want := range map[wattveil.Resolution]int64{900: 8 * 900, 1800: 4 * 1800, 3600: 2 * 3600} {
		got := checkAnswers(t, of, res, from, from.AddDate(0, 0, 1))
		if len(got.Demand) != 1 || got.Demand[0].Seconds != want+map[wattveil.Resolution]int64{900: 900}[res] {
			t.Errorf("at %v the window is open %+v, want %d s", res, got.Demand, want)
		}
	}
}

// Every imported rate and each month of a year.
func TestAnswersOfRealTariffs(t *testing.T) {
	dir := realinput.Path(t, "tariffs/urdb-cc0")
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no rates: %v", err)
	}
	g, err := gate.New(gate.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		imported, err := urdb.Import(data, urdb.Options{Zone: "America/New_York"})
		if err != nil {
			t.Fatal(err)
		}
		of := imported
		for m := range 12 {
			from := of.ValidFrom().AddDate(0, m, 1-of.ValidFrom().Day())
			if m == 0 {
				from = of.ValidFrom()
			}
			to := from.AddDate(0, 1, 1-from.Day())
			if end, ok := of.ValidTo(); ok && to.After(end) {
				break
			}
			got := checkAnswers(t, of, 3600, from, to)
			shape, err := g.NewShape(got.Answers)
			if err != nil {
				t.Fatal(err)
			}
			_, err = g.Check(&gate.History{}, gate.Bill{Shape: shape, Now: shape.To(), Demand: got.Demand}, nil)
			if refusal := (*gate.Refusal)(nil); err != nil && !errors.As(err, &refusal) {
				t.Fatal(err)
			} else if err != nil {
				t.Errorf("%s, %s: %v", of.ID(), from.Format("2006-01"), err)
			}
		}
	}
}

// German day-ahead prices: a month in three, and the days on which clocks
// change.
func TestAnswersOfDayAheadPrices(t *testing.T) {
	const file = "tariffs/dayahead-epftoolbox-apache2/DE_dayahead_hourly.csv"
	of := parse(t, `{"id":"spot","currency":"EUR","timezone":"Europe/Berlin","valid_from":"2012-01-01",
		"energy":{"bands":{"spot":{"import_series":"de-dayahead"}},"default":"spot"}}`)
	series, _, err := tariff.ReadSeriesCSV(bytes.NewReader(realinput.Read(t, file)), file,
		tariff.SeriesCSV{Name: "de-dayahead", Currency: "EUR", Location: of.Zone(), Factor: tariff.NewDecimal(1, 3)})
	if err != nil {
		t.Fatal(err)
	}
	months := 0
	first := series.From().In(of.Zone())
	for from := time.Date(first.Year(), first.Month()+1, 1, 0, 0, 0, 0, of.Zone()); from.AddDate(0, 1, 0).Before(series.To()); from = from.AddDate(0, 3, 0) {
		checkAnswers(t, of, 3600, from, from.AddDate(0, 1, 0), series)
		months++
	}
	if months < 5 {
		t.Errorf("%d months", months)
	}
}

func TestAnswersRefuse(t *testing.T) {
	of := parse(t, flatTerms(`{"all":{"import_series":"steps"}}`, "")+"}")
	from := local(t, of, "2018-10-28 00:00")
	euro, err := tariff.NewSeries(tariff.SeriesDocument{Currency: "EUR", From: "2018-10-27T22:00:00Z", Minutes: 60, Name: "steps", Prices: []string{"1"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		from   time.Time
		hours  int
		series []*tariff.Series
		want   rating.Fault
	}{
		{"no series", from, 1, nil, rating.ErrNoSeries},
		{"another currency", from, 1, []*tariff.Series{euro}, rating.ErrCurrency},
		{"no price", from, 2, []*tariff.Series{pricesFrom(t, "steps", "2018-10-27T22:00:00Z", 60, "1")}, rating.ErrNoPrice},
		{"before the tariff", from.AddDate(-1, 0, 0), 1, nil, rating.ErrNotValid},
		{"nothing", from, 0, nil, rating.ErrPeriod},
	} {
		if _, err := rating.Answers(of, 900, tt.from, tt.from.Add(time.Duration(tt.hours)*time.Hour), tt.series); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
