package rating_test

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"fmt"
	"io"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/internal/realinput"
	"github.com/wattveil/wattveil/meter/source"
	"github.com/wattveil/wattveil/rating"
	"github.com/wattveil/wattveil/tariff"
)

// rows reads the rows of a small CSV file without its header.
func rows(t testing.TB, data []byte) [][]string {
	t.Helper()
	all, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return all[1:]
}

func homes(t testing.TB, name, zone string) *source.CSV {
	t.Helper()
	loc, err := tariff.LoadZone(zone)
	if err != nil {
		t.Fatal(err)
	}
	c, err := source.ReadCSV(bytes.NewReader(realinput.Read(t, name)), name, source.CSVOptions{Location: loc, Fine: true})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// readings are the intervals of a home within a period.
func readings(c *source.CSV, column string, from, to time.Time) []wattveil.Interval {
	load := c.Load(column)
	var list []wattveil.Interval
	for at := from.Unix(); at < to.Unix(); at += int64(c.Resolution) {
		imp, exp, ok := load.Energy(at)
		if !ok {
			return list
		}
		list = append(list, wattveil.Interval{Start: at, End: at + int64(c.Resolution), Import: imp, Export: exp})
	}
	return list
}

// London's dynamic price of 2013 on London's homes of the same year: each
// month is the sum of half hours times their price, as the files have them.
func TestLondonDynamicPriceOf2013(t *testing.T) {
	const pricesFile = "tariffs/lcl-dtou-2013/lcl_dtou_2013_halfhour_gbp_per_kwh.csv"
	prices := realinput.Read(t, pricesFile)
	series, evened, err := tariff.ReadSeriesCSV(bytes.NewReader(prices), pricesFile, tariff.SeriesCSV{Name: "lcl-dtou", Currency: "GBP"})
	if err != nil || evened != 0 {
		t.Fatal(err, evened)
	}
	byTime := map[string]string{}
	for _, row := range rows(t, prices) {
		byTime[row[0]] = row[1]
	}
	of := parse(t, `{"id":"dtou","currency":"GBP","timezone":"UTC","valid_from":"2013-01-01","valid_to":"2014-01-01","energy":{"bands":{"dynamic":{"import_series":"lcl-dtou"}},"default":"dynamic"}}`)
	c := homes(t, "homes-lcl-30min/lcl_3homes_30min_kwh.csv", "UTC")
	for _, column := range c.Columns {
		yearWh := wattveil.Wh(0)
		for m := range 12 {
			from := time.Date(2013, time.Month(m+1), 1, 0, 0, 0, 0, time.UTC)
			to := from.AddDate(0, 1, 0)
			intervals := readings(c, column, from, to)
			got, err := rating.Request{Tariff: of, Intervals: intervals, From: from, To: to, Series: []*tariff.Series{series}}.Rate()
			if err != nil {
				t.Fatal(err)
			}
			checkBill(t, of, from, to, got)
			want := new(big.Rat)
			for _, iv := range intervals {
				price, ok := new(big.Rat).SetString(byTime[time.Unix(iv.Start, 0).UTC().Format("2006-01-02T15:04")])
				if !ok {
					t.Fatal("a half hour has no price")
				}
				want.Add(want, price.Mul(price, big.NewRat(int64(iv.Import), 1000)))
			}
			if got.Total != want.FloatString(2) {
				t.Errorf("%s, %s: %s, want %s", column, from.Format("2006-01"), got.Total, want.FloatString(2))
			}
			yearWh += got.ImportWh
		}
		checkRunningSum(t, column, yearWh)
	}
}

// checkRunningSum holds a year's energy to the sum of the file's own values,
// which have up to seven decimals: it is off by a Wh at most.
func checkRunningSum(t *testing.T, column string, year wattveil.Wh) {
	t.Helper()
	data := realinput.Read(t, "homes-lcl-30min/lcl_3homes_30min_kwh.csv")
	header, _, _ := strings.Cut(string(data), "\n")
	field := -1
	for i, name := range strings.Split(strings.TrimSpace(header), ",") {
		if name == column {
			field = i
		}
	}
	exact := new(big.Rat)
	for _, row := range rows(t, data) {
		if !strings.HasPrefix(row[0], "2013-") {
			continue
		}
		v, ok := new(big.Rat).SetString(row[field])
		if !ok {
			t.Fatalf("%s: value at %s", column, row[0])
		}
		exact.Add(exact, v)
	}
	off := exact.Mul(exact, big.NewRat(1000, 1)).Sub(exact, big.NewRat(int64(year), 1))
	if off.Abs(off).Cmp(big.NewRat(1, 1)) > 0 {
		t.Errorf("%s: the year is off by %s Wh", column, off.FloatString(6))
	}
}

// German day-ahead prices, of which many are negative, on homes with solar
// power whose year is laid over theirs. Clocks change twice a year.
func TestGermanDayAheadPrices(t *testing.T) {
	const pricesFile = "tariffs/dayahead-epftoolbox-apache2/DE_dayahead_hourly.csv"
	data := realinput.Read(t, pricesFile)
	zone := local(t, parse(t, strings.Replace(tou, "Zurich", "Berlin", 1)), "2016-01-01 00:00").Location()
	series, evened, err := tariff.ReadSeriesCSV(bytes.NewReader(data), pricesFile,
		tariff.SeriesCSV{Name: "de-dayahead", Currency: "EUR", Location: zone, Factor: tariff.NewDecimal(1, 3)})
	if err != nil || evened != 4 {
		t.Fatalf("%v, %d rows evened, want 2 of spring and 2 of autumn", err, evened)
	}
	byHour, negative := map[string]*big.Rat{}, 0
	for _, row := range rows(t, data) {
		price, ok := new(big.Rat).SetString(row[1])
		if !ok {
			t.Fatalf("price at %s", row[0])
		}
		if price.Sign() < 0 {
			negative++
		}
		byHour[row[0]] = price.Mul(price, big.NewRat(1, 1000))
	}
	if negative != 241 {
		t.Errorf("%d negative hours, want 241", negative)
	}
	of := parse(t, `{"id":"spot","currency":"EUR","timezone":"Europe/Berlin","valid_from":"2016-01-01",
		"energy":{"bands":{"spot":{"import_series":"de-dayahead","export_series":"de-dayahead"}},"default":"spot"}}`)
	c := homes(t, "homes-citylearn-pv-60min/citylearn_17homes_net_wide.csv", "Etc/GMT+8")
	paid := 0
	for _, column := range c.Columns[:5] {
		for m := range 11 {
			from := time.Date(2016, time.September+time.Month(m), 1, 0, 0, 0, 0, zone)
			if dayAhead(t, of, series, byHour, readings(c, column, from, from.AddDate(0, 1, 0)), from) {
				paid++
			}
		}
	}
	if paid == 0 {
		t.Error("no home pays for what it gives at negative prices")
	}
	for _, day := range []struct {
		date  string
		hours int
	}{{"2017-03-26", 23}, {"2016-10-30", 25}, {"2016-12-24", 24}} {
		from := local(t, of, day.date+" 00:00")
		intervals := readings(c, "B1", from, from.AddDate(0, 0, 1))
		if len(intervals) != day.hours {
			t.Errorf("%s has %d hours, want %d", day.date, len(intervals), day.hours)
		}
		dayAhead(t, of, series, byHour, intervals, from)
	}
}

// dayAhead compares a rating with a sum over hours, looked up by their local
// name, and tells whether some energy was given at a negative price.
func dayAhead(t *testing.T, of *tariff.Tariff, series *tariff.Series, byHour map[string]*big.Rat, intervals []wattveil.Interval, from time.Time) bool {
	t.Helper()
	to := time.Unix(intervals[len(intervals)-1].End, 0).In(of.Zone())
	got, err := rating.Request{Tariff: of, Intervals: intervals, From: from, To: to, Series: []*tariff.Series{series}}.Rate()
	if err != nil {
		t.Fatal(err)
	}
	checkBill(t, of, from, to, got)
	cost, credit, paid := new(big.Rat), new(big.Rat), false
	for _, iv := range intervals {
		price := byHour[time.Unix(iv.Start, 0).In(of.Zone()).Format("2006-01-02T15:04")]
		cost.Add(cost, new(big.Rat).Mul(price, big.NewRat(int64(iv.Import), 1000)))
		credit.Add(credit, new(big.Rat).Mul(price, big.NewRat(int64(iv.Export), 1000)))
		paid = paid || price.Sign() < 0 && iv.Export > 0
	}
	want := []string{"import " + cost.FloatString(2)}
	if got.ExportWh > 0 {
		want = append(want, "export "+strings.Replace(credit.Neg(credit).FloatString(2), "-0.00", "0.00", 1))
	}
	var lines []string
	for _, l := range got.Lines {
		lines = append(lines, l.Kind+" "+l.Amount)
		if l.Series != series.Digest(from.Unix(), to.Unix()).String() || l.Price != "" {
			t.Errorf("the line does not name the series: %+v", l)
		}
	}
	if fmt.Sprint(lines) != fmt.Sprint(want) {
		t.Errorf("from %v: %q, want %q", from, lines, want)
	}
	return paid
}

// Homes of New South Wales by the clock of Sydney, in periods that lie across
// the ends of months: with the leap day of 2012, both changes of the clock, and
// gaps of the file, at which a period is left out.
func TestMonthsAcrossALeapDay(t *testing.T) {
	packed, err := gzip.NewReader(bytes.NewReader(realinput.Read(t, "homes-sgsc-30min/sgsc_10homes_30min_kwh.csv.gz")))
	if err != nil {
		t.Fatal(err)
	}
	file, err := io.ReadAll(packed)
	if err != nil {
		t.Fatal(err)
	}
	of := parse(t, strings.NewReplacer("Europe/Zurich", "Australia/Sydney", "2018-01-01", "2012-01-01").Replace(tou))
	homes := map[string]map[int64]wattveil.Wh{}
	for _, row := range rows(t, file) {
		at, err := time.Parse("2006-01-02T15:04", row[1])
		if err != nil {
			t.Fatal(err)
		}
		kWh, ok := new(big.Rat).SetString(row[2])
		if !ok {
			t.Fatalf("value at %s", row[1])
		}
		if homes[row[0]] == nil {
			homes[row[0]] = map[int64]wattveil.Wh{}
		}
		homes[row[0]][at.Unix()] = wattveil.Wh(kWh.Mul(kWh, big.NewRat(1000, 1)).Num().Int64())
	}
	priced, lengths := 0, map[string]int{}
	for _, home := range homes {
		for m := range 26 {
			from := time.Date(2012, time.February+time.Month(m), 15, 0, 0, 0, 0, of.Zone())
			to := from.AddDate(0, 1, 0)
			intervals, whole := halfHours(home, from, to)
			if !whole {
				continue
			}
			got, err := rating.Rate(of, intervals, from, to)
			if err != nil {
				t.Fatal(err)
			}
			checkBill(t, of, from, to, got)
			if lines, total := newNaive(t, of).rate(intervals); !reflect.DeepEqual(got.Lines, lines) || got.Total != total {
				t.Errorf("from %v:\n%s\ntotal %s, want\n%s\ntotal %s", from, show(got.Lines), got.Total, show(lines), total)
			}
			priced++
			lengths[fmt.Sprintf("%s: %d days, %d half hours", from.Format("2006-01"), got.Days, len(intervals))]++
		}
	}
	t.Logf("%d periods of %d homes", priced, len(homes))
	for _, want := range []string{
		"2012-02: 29 days, 1392 half hours", // the leap day
		"2013-02: 28 days, 1344 half hours",
		"2013-03: 31 days, 1490 half hours", // clocks go back
		"2012-09: 30 days, 1438 half hours", // clocks go forward
	} {
		if lengths[want] == 0 {
			t.Errorf("no period %s; there are %v", want, lengths)
		}
	}
}

// halfHours are the intervals of a home, and whether there are all.
func halfHours(home map[int64]wattveil.Wh, from, to time.Time) (list []wattveil.Interval, whole bool) {
	for at := from.Unix(); at < to.Unix(); at += 1800 {
		used, ok := home[at]
		if !ok {
			return nil, false
		}
		list = append(list, wattveil.Interval{Start: at, End: at + 1800, Import: used})
	}
	return list, true
}
