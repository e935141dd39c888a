package tariff_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wattveil/wattveil/tariff"
)

// spot is the example of spec/tariff.md section 7.
const spot = `{"currency":"EUR","from":"2016-01-03T23:00:00Z","minutes":60,"name":"de-dayahead","prices":["0.01378","0.01277","-0.00387","0","1000000","-0.1"]}`

func parseSeries(t testing.TB, text string) *tariff.Series {
	t.Helper()
	s, err := tariff.ParseSeries([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestParseSeries(t *testing.T) {
	s := parseSeries(t, spot)
	if s.Name() != "de-dayahead" || s.Currency().String() != "EUR" || s.Step() != time.Hour ||
		!s.From().Equal(time.Date(2016, 1, 3, 23, 0, 0, 0, time.UTC)) || s.To().Sub(s.From()) != 6*time.Hour {
		t.Errorf("%s in %s, from %v to %v by %v", s.Name(), s.Currency(), s.From(), s.To(), s.Step())
	}
	start := s.From().Unix()
	for offset, want := range map[int64]int64{0: 1378000, 3599: 1378000, 3600: 1277000, 2 * 3600: -387000, 4 * 3600: 100000000000000, 5*3600 + 1: -10000000} {
		price, until, ok := s.At(start + offset)
		if !ok || price != want || until != start+(offset/3600+1)*3600 {
			t.Errorf("after %d s: %d until %d, %v, want %d", offset, price, until, ok, want)
		}
	}
	for _, at := range []int64{start - 1, start + 6*3600} {
		if _, _, ok := s.At(at); ok {
			t.Errorf("there is a price at %d", at)
		}
	}
	canonical, err := s.MarshalJSON()
	if err != nil || string(canonical) != spot {
		t.Errorf("canonical form\n%s, %v", canonical, err)
	}
}

func TestSpecShowsTheSeries(t *testing.T) {
	text, err := os.ReadFile("../spec/tariff.md")
	if err != nil {
		t.Fatal(err)
	}
	s := parseSeries(t, spot)
	for _, want := range []string{spot, s.Digest(s.From().Unix(), s.To().Unix()).String()} {
		if !strings.Contains(string(text), want) {
			t.Errorf("spec/tariff.md lacks %s", want)
		}
	}
}

func TestParseSeriesRefuses(t *testing.T) {
	for name, c := range map[string]struct{ old, new, path, reason string }{
		"unknown":         {`"currency"`, `"unit":"MWh","currency"`, "unit", "is not known"},
		"name missing":    {`"name":"de-dayahead",`, ``, "name", "is missing"},
		"name":            {`"de-dayahead"`, `"de dayahead"`, "name", "is not a series' name"},
		"currency":        {`"EUR"`, `"EUX"`, "currency", "is not known"},
		"from with zone":  {`"2016-01-03T23:00:00Z"`, `"2016-01-04T00:00:00+01:00"`, "from", "is not a time in UTC"},
		"from zero zone":  {`"2016-01-03T23:00:00Z"`, `"2016-01-03T23:00:00+00:00"`, "from", "is not a time in UTC"},
		"from seconds":    {`23:00:00Z`, `23:00:01Z`, "from", "is not a time in UTC"},
		"from year":       {`2016-01`, `1969-01`, "from", "is not a time in UTC"},
		"minutes":         {`"minutes":60`, `"minutes":10`, "minutes", "is 10"},
		"no prices":       {`["0.01378","0.01277","-0.00387","0","1000000","-0.1"]`, `[]`, "prices", "has 0 prices"},
		"price number":    {`"0.01378"`, `0.01378`, "prices[0]", "is a number"},
		"price null":      {`"0.01378"`, `null`, "prices[0]", "is null"},
		"price empty":     {`"0.01378"`, `""`, "prices[0]", "is empty"},
		"needless zero":   {`"-0.1"`, `"-0.10"`, "prices[5]", "needless zero"},
		"negative zero":   {`"0",`, `"-0",`, "prices[3]", "negative zero"},
		"too many digits": {`"0.01378"`, `"0.013780001"`, "prices[0]", "has 9 decimals"},
		"too high":        {`"1000000"`, `"1000000.1"`, "prices[4]", "is out of range"},
		"far too high":    {`"1000000"`, `"100000000000000000"`, "prices[4]", "is out of range"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tariff.ParseSeries([]byte(strings.Replace(spot, c.old, c.new, 1)))
			var refusal *tariff.Error
			if !errors.As(err, &refusal) || len(refusal.Problems) != 1 {
				t.Fatalf("error %v, want one problem", err)
			}
			if p := refusal.Problems[0]; p.Path != c.path || !strings.Contains(p.Reason, c.reason) {
				t.Errorf("problem at %q: %q, want at %q: %q", p.Path, p.Reason, c.path, c.reason)
			}
			if !strings.HasPrefix(err.Error(), "price series: ") {
				t.Errorf("the error does not say that it is about a series: %v", err)
			}
		})
	}
}

// The digest of a period is that of the document with its prices, however the
// series was cut.
func TestSeriesDigestDoesNotDependOnTheParts(t *testing.T) {
	whole := parseSeries(t, spot)
	start := whole.From()
	cut := func(from, to int) *tariff.Series {
		s, err := whole.Cut(start.Add(time.Duration(from)*time.Hour), start.Add(time.Duration(to)*time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		return parseSeries(t, string(must(s.MarshalJSON())))
	}
	joined, err := tariff.JoinSeries(cut(4, 6), cut(0, 1), cut(1, 4))
	if err != nil {
		t.Fatal(err)
	}
	for from := range int64(6) {
		for to := from + 1; to <= 6; to++ {
			a, b := start.Unix()+from*3600, start.Unix()+to*3600
			want := cut(int(from), int(to)).Digest(a, b)
			if whole.Digest(a, b) != want || joined.Digest(a, b) != want || joined.Digest(a+60, b-60) != want {
				t.Fatalf("hours %d to %d have several digests", from, to)
			}
		}
	}
	if whole.Digest(start.Unix(), whole.To().Unix()).String() != "5hThl5DmQ1RyA8Iq0-gplexgvyhR7EBLEuK31Gt7x-w" {
		t.Errorf("digest %v", whole.Digest(start.Unix(), whole.To().Unix()))
	}
}

func must(data []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return data
}

func TestJoinSeriesRefuses(t *testing.T) {
	first := parseSeries(t, spot)
	next := strings.Replace(spot, "2016-01-03T23", "2016-01-04T05", 1)
	for name, c := range map[string]struct{ second, reason string }{
		"gap":      {strings.Replace(spot, "2016-01-03T23", "2016-01-04T06", 1), "no prices between 2016-01-04T05:00:00Z and 2016-01-04T06:00:00Z"},
		"overlap":  {strings.Replace(spot, "2016-01-03T23", "2016-01-04T04", 1), "two parts have prices at 2016-01-04T04:00:00Z"},
		"name":     {strings.Replace(next, "de-", "fr-", 1), "have different names"},
		"currency": {strings.Replace(next, "EUR", "CHF", 1), "differ in currency or minutes"},
		"minutes":  {strings.Replace(next, "60", "30", 1), "differ in currency or minutes"},
	} {
		if _, err := tariff.JoinSeries(first, parseSeries(t, c.second)); err == nil || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: %v, want %q", name, err, c.reason)
		}
	}
	if _, err := tariff.JoinSeries(); err == nil {
		t.Error("nothing is joined")
	}
	if s, err := tariff.JoinSeries(parseSeries(t, next), first); err != nil || s.To().Sub(s.From()) != 12*time.Hour {
		t.Errorf("two parts: %v, %v", s, err)
	}
}

func TestCutRefuses(t *testing.T) {
	s := parseSeries(t, spot)
	for _, c := range [][2]time.Duration{{-time.Second, time.Hour}, {0, 6*time.Hour + time.Second}, {time.Hour, time.Hour}, {7 * time.Hour, 8 * time.Hour}} {
		if _, err := s.Cut(s.From().Add(c[0]), s.From().Add(c[1])); err == nil {
			t.Errorf("%v is cut", c)
		}
	}
}

func zoneOf(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := tariff.LoadZone(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

// hours writes a file with local hours of a zone, each with its price.
func hours(rows ...string) string { return "start,price\n" + strings.Join(rows, "\n") + "\n" }

func TestReadSeriesCSV(t *testing.T) {
	berlin := zoneOf(t, "Europe/Berlin")
	for name, c := range map[string]struct {
		file   string
		o      tariff.SeriesCSV
		from   string
		prices string
		evened int
	}{
		"plain":  {hours("2016-01-04T00:00,13.78", "2016-01-04 01:00:00,-0.5"), tariff.SeriesCSV{}, "2016-01-04T00:00:00Z", "13.78 -0.5", 0},
		"MWh":    {hours("2016-01-04T00:00,13.78", "2016-01-04T01:00,-130.09"), tariff.SeriesCSV{Factor: tariff.NewDecimal(1, 3)}, "2016-01-04T00:00:00Z", "0.01378 -0.13009", 0},
		"column": {"start,x,price\n2016-01-04T00:00,a,1.50\n2016-01-04T00:30,b,2\n", tariff.SeriesCSV{Column: "price"}, "2016-01-04T00:00:00Z", "1.5 2", 0},
		"spring, 23 rows": {hours("2016-03-27T01:00,1", "2016-03-27T03:00,3", "2016-03-27T04:00,4"), tariff.SeriesCSV{Location: berlin},
			"", "", 0},
		"spring, 24 rows": {hours("2016-03-27T00:00,0", "2016-03-27T01:00,1", "2016-03-27T02:00,2", "2016-03-27T03:00,3"), tariff.SeriesCSV{Location: berlin},
			"2016-03-26T23:00:00Z", "0 1 3", 1},
		"autumn, 25 rows": {hours("2016-10-30T01:00,1", "2016-10-30T02:00,2", "2016-10-30T02:00,2.5", "2016-10-30T03:00,3"), tariff.SeriesCSV{Location: berlin},
			"2016-10-29T23:00:00Z", "1 2 2.5 3", 0},
		"autumn, 24 rows": {hours("2016-10-30T01:00,1", "2016-10-30T02:00,2", "2016-10-30T03:00,3"), tariff.SeriesCSV{Location: berlin},
			"2016-10-29T23:00:00Z", "1 2 2 3", 1},
	} {
		t.Run(name, func(t *testing.T) {
			c.o.Name, c.o.Currency = "s", "EUR"
			s, evened, err := tariff.ReadSeriesCSV(strings.NewReader(c.file), "x.csv", c.o)
			if c.from == "" { // a step of two hours at the start
				if err == nil {
					t.Errorf("accepted")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			doc := s.Document()
			if doc.From != c.from || strings.Join(doc.Prices, " ") != c.prices || evened != c.evened {
				t.Errorf("from %s: %q, evened %d, want from %s: %q, %d", doc.From, doc.Prices, evened, c.from, c.prices, c.evened)
			}
		})
	}
}

func TestReadSeriesCSVRefuses(t *testing.T) {
	for name, c := range map[string]struct{ file, reason string }{
		"empty":     {"", "the file is empty"},
		"one row":   {hours("2016-01-04T00:00,1"), "there are 1 rows"},
		"gap":       {hours("2016-01-04T00:00,1", "2016-01-04T01:00,1", "2016-01-04T03:00,1"), "there is no price at 2016-01-04T02:00"},
		"twice":     {hours("2016-01-04T00:00,1", "2016-01-04T01:00,1", "2016-01-04T01:00,1", "2016-01-04T02:00,1"), "2016-01-04T01:00 stands 2 times"},
		"off grid":  {hours("2016-01-04T00:00,1", "2016-01-04T01:00,1", "2016-01-04T01:30,1", "2016-01-04T02:00,1"), "2016-01-04T01:30 stands 1 times"},
		"step":      {hours("2016-01-04T00:00,1", "2016-01-04T02:00,1"), "steps of 2h0m0s"},
		"time":      {hours("4.1.2016 00:00,1", "4.1.2016 01:00,1"), "is no local time"},
		"price":     {hours("2016-01-04T00:00,1e3", "2016-01-04T01:00,1"), "is no price"},
		"fraction":  {hours("2016-01-04T00:00,1/3", "2016-01-04T01:00,1"), "is no price"},
		"fine":      {hours("2016-01-04T00:00,0.123456789", "2016-01-04T01:00,1"), "more than 8 decimals"},
		"ragged":    {hours("2016-01-04T00:00,1,2", "2016-01-04T01:00,1"), "line 2 has 3 fields where the header has 2"},
		"no column": {"start\n2016-01-04T00:00\n", "there is no column"},
	} {
		_, _, err := tariff.ReadSeriesCSV(strings.NewReader(c.file), "x.csv", tariff.SeriesCSV{Name: "s", Currency: "EUR"})
		if err == nil || !strings.Contains(err.Error(), c.reason) || strings.ContainsAny(err.Error(), "\n\r") {
			t.Errorf("%s: %v, want %q", name, err, c.reason)
		}
	}
}

func TestMonths(t *testing.T) {
	day := func(s string) int64 {
		d, err := time.Parse(time.DateOnly, s)
		if err != nil {
			t.Fatal(err)
		}
		return d.Unix() / 86400
	}
	for _, c := range []struct{ first, last, exact, text string }{
		{"2018-03-01", "2018-03-31", "1", "1"},
		{"2018-03-01", "2018-03-17", "17/31", "0.54838710"},
		{"2018-03-15", "2018-04-10", "82/93", "0.88172043"},
		{"2019-02-28", "2019-03-01", "59/868", "0.06797235"},
		{"2020-02-29", "2020-02-29", "1/29", "0.03448276"},
		{"2020-02-01", "2020-02-28", "28/29", "0.96551724"},
		{"2018-01-31", "2019-01-30", "12", "12"},
		{"1969-12-31", "1970-01-01", "2/31", "0.06451613"},
	} {
		got := tariff.Months(day(c.first), day(c.last))
		if got.RatString() != c.exact || tariff.MonthsText(got).String() != c.text {
			t.Errorf("%s to %s: %s, %s, want %s, %s", c.first, c.last, got.RatString(), tariff.MonthsText(got), c.exact, c.text)
		}
	}
	m, ok := tariff.ParseMonth("2020-02")
	if !ok || m.String() != "2020-02" || m.Days() != 29 || m.First() != day("2020-02-01") || m.Last() != day("2020-02-29") || tariff.MonthOf(m.Last()) != m {
		t.Errorf("month %v, %v", m, ok)
	}
	for _, s := range []string{"", "2020", "2020-13", "2020-2", "2020-02-01", "02-2020"} {
		if _, ok := tariff.ParseMonth(s); ok {
			t.Errorf("%q is a month", s)
		}
	}
}

// version is a tariff that is valid from a day and replaces another.
func version(t testing.TB, id, replaces, from, to string) *tariff.Tariff {
	t.Helper()
	made, err := tariff.New(tariff.Document{
		ID: id, Replaces: replaces, Currency: "CHF", Timezone: "Europe/Zurich", ValidFrom: from, ValidTo: to,
		Energy: tariff.Energy{Bands: map[string]tariff.Band{"all": {Import: "1"}}, Default: "all"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestVersions(t *testing.T) {
	a, b := version(t, "a", "", "2018-01-01", "2019-06-01"), version(t, "b", "a", "2019-01-01", "2020-01-01")
	c, other := version(t, "c", "b", "2020-03-01", ""), version(t, "other", "elsewhere", "2018-01-01", "")
	groups, err := tariff.Group([]*tariff.Tariff{c, other, a, b})
	if err != nil {
		t.Fatal(err)
	}
	if len(groups) != 2 || !slices.Equal(groups[0], tariff.Versions{a, b, c}) || !slices.Equal(groups[1], tariff.Versions{other}) {
		t.Fatalf("groups %v", groups)
	}
	day := func(s string) time.Time {
		d, err := time.ParseInLocation(time.DateOnly, s, a.Zone())
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	var got []string
	for _, p := range groups[0].Split(day("2017-12-01"), day("2021-01-01")) {
		id := "none"
		if p.Tariff != nil {
			id = p.Tariff.ID()
		}
		got = append(got, fmt.Sprint(id, " ", p.From.Format(time.DateOnly), " ", p.To.Format(time.DateOnly)))
	}
	want := []string{"none 2017-12-01 2018-01-01", "a 2018-01-01 2019-01-01", "b 2019-01-01 2020-01-01", "none 2020-01-01 2020-03-01", "c 2020-03-01 2021-01-01"}
	if !slices.Equal(got, want) {
		t.Errorf("pieces\n%q, want\n%q", got, want)
	}
}

func TestGroupRefuses(t *testing.T) {
	a := version(t, "a", "", "2018-01-01", "")
	doc := version(t, "b", "a", "2019-01-01", "").Document()
	doc.Currency = "EUR"
	euro := must2(tariff.New(doc))
	doc.Currency, doc.Timezone = "CHF", "Europe/Berlin"
	berlin := must2(tariff.New(doc))
	for name, c := range map[string]struct {
		list   []*tariff.Tariff
		reason string
	}{
		"twice":     {[]*tariff.Tariff{a, a}, "is given twice"},
		"two heirs": {[]*tariff.Tariff{a, version(t, "b", "a", "2019-01-01", ""), version(t, "c", "a", "2020-01-01", "")}, "both replace a"},
		"earlier":   {[]*tariff.Tariff{a, version(t, "b", "a", "2018-01-01", "")}, "a version starts after the one before"},
		"circle":    {[]*tariff.Tariff{version(t, "b", "c", "2019-01-01", ""), version(t, "c", "b", "2020-01-01", "")}, "a version starts after the one before"},
		"currency":  {[]*tariff.Tariff{a, euro}, "is in EUR and replaces a"},
		"zone":      {[]*tariff.Tariff{a, berlin}, "is in Europe/Berlin and replaces a"},
	} {
		if _, err := tariff.Group(c.list); err == nil || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: %v, want %q", name, err, c.reason)
		}
	}
}

func must2(t *tariff.Tariff, err error) *tariff.Tariff {
	if err != nil {
		panic(err)
	}
	return t
}

// What ParseSeries accepts has one text for its content.
func FuzzParseSeries(f *testing.F) {
	f.Add([]byte(spot))
	f.Add([]byte(strings.Replace(spot, "60", "15", 1)))
	f.Add([]byte(`{"prices":[1,null,"-0"],"minutes":"60"}`))
	f.Add([]byte(`{"currency":"JPY","from":"1970-01-01T00:00:00Z","minutes":30,"name":"n","prices":["-1000000","0.00000001"]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := tariff.ParseSeries(data)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r") {
				t.Errorf("the error has several lines: %q", err)
			}
			return
		}
		first := must(s.MarshalJSON())
		again, err := tariff.ParseSeries(first)
		if err != nil || !bytes.Equal(first, must(again.MarshalJSON())) {
			t.Errorf("%s reads as another series: %v", first, err)
		}
		var compact bytes.Buffer
		var doc, known tariff.SeriesDocument
		if json.Compact(&compact, data) == nil && json.Unmarshal(data, &doc) == nil && json.Unmarshal(first, &known) == nil &&
			fmt.Sprint(doc.Prices) != fmt.Sprint(known.Prices) {
			t.Errorf("prices %q are written %q", doc.Prices, known.Prices)
		}
	})
}
