package export_test

import (
	"bytes"
	"encoding/json"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill/check"
	"github.com/wattveil/wattveil/consumer"
	"github.com/wattveil/wattveil/export"
	"github.com/wattveil/wattveil/tariff"
)

const quarter = 900

var made = time.Date(2026, 6, 17, 12, 20, 0, 0, time.UTC)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func decimal(t testing.TB, s string) tariff.Decimal {
	t.Helper()
	d, err := tariff.ParseDecimal(s)
	must(t, err)
	return d
}

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	must(t, err)
	return z
}

// home is a period with all that intervals can be: measured, estimated,
// questionable and missing ones, export, and costs of both signs or none.
func home(t testing.TB, zone *time.Location, from, to time.Time) (export.Header, []consumer.Interval) {
	t.Helper()
	h := export.Header{From: from, To: to, Zone: zone, Seconds: quarter, Currency: "CHF", Feeds: true, Made: made}
	rng := rand.New(rand.NewPCG(1, 2))
	price, credit := decimal(t, "0.2717"), decimal(t, "-0.12")
	var list []consumer.Interval
	for at := from.Unix(); at < to.Unix(); at += quarter {
		n := len(list)
		if rng.IntN(50) == 0 {
			continue // missing
		}
		i := consumer.Interval{Interval: wattveil.Interval{Start: at, End: at + quarter, Import: wattveil.Wh(rng.Int64N(900))}}
		if n%3 == 0 {
			i.Export = wattveil.Wh(rng.Int64N(700))
		}
		switch n % 17 {
		case 3:
			i.Quality = 8
		case 4:
			i.Quality = 9
		case 5:
			i.Quality = 10
		}
		if n%23 != 7 {
			p := price
			if n%11 == 0 {
				p = p.Neg() // a market's price
			}
			i.Costed = true
			i.ImportCost = tariff.NewDecimal(int64(i.Import), 3).Mul(p)
			i.ExportCost = tariff.NewDecimal(int64(i.Export), 3).Mul(credit)
		}
		list = append(list, i)
	}
	return h, list
}

// springAndAutumn are local days in which clocks change.
func springAndAutumn(t testing.TB) (z *time.Location, periods [][2]time.Time) {
	z = zone(t, "Europe/Zurich")
	day := func(m time.Month, d int) time.Time { return consumer.DayStart(2026, m, d, z) }
	return z, [][2]time.Time{{day(3, 28), day(3, 31)}, {day(10, 24), day(10, 27)}}
}

func write(t testing.TB, f export.Format, h export.Header, list []consumer.Interval) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := export.New(f, &b, h)
	must(t, err)
	for i := range list {
		must(t, w.Write(&list[i]))
	}
	must(t, w.Close())
	return b.Bytes()
}

func TestCSVBytes(t *testing.T) {
	z, from := time.UTC, time.Unix(1_772_323_200, 0)
	h := export.Header{From: from, To: from.Add(time.Hour), Zone: z, Seconds: quarter, Currency: "EUR", Made: made}
	list := []consumer.Interval{
		{Interval: wattveil.Interval{Start: 1_772_323_200, End: 1_772_324_100, Import: 250, Export: 3}, Costed: true, ImportCost: decimal(t, "0.05"), ExportCost: decimal(t, "-0.001")},
		{Interval: wattveil.Interval{Start: 1_772_325_000, End: 1_772_325_900}, Quality: 9},
	}
	for f, want := range map[export.Format]string{
		export.FormatCSV: "start,seconds,import_wh,export_wh,quality\n2026-03-01T00:00:00Z,900,250,3,0\n2026-03-01T00:30:00Z,900,0,0,9\n",
		export.FormatJSON: `{"format":"wattveil export 1","zone":"UTC","from":"2026-03-01T00:00:00Z","to":"2026-03-01T01:00:00Z","seconds":900,"currency":"EUR","intervals":[
{"start":"2026-03-01T00:00:00Z","seconds":900,"import_wh":250,"export_wh":3,"quality":0,"import_cost":"0.05","export_cost":"-0.001"},
{"start":"2026-03-01T00:30:00Z","seconds":900,"import_wh":0,"export_wh":0,"quality":9}
]}
`,
	} {
		if got := string(write(t, f, h, list)); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", f, got, want)
		}
	}
}

func TestRegistersBytes(t *testing.T) {
	var b bytes.Buffer
	w, err := export.NewRegisters(&b)
	must(t, err)
	must(t, w.Write(3, wattveil.Reading{Time: 1_772_323_200, Import: 1<<40 - 1, Export: 7, Status: 1 | 4 | 1<<9}))
	must(t, w.Write(3, wattveil.Reading{Time: 1_772_324_100, Export: 9}))
	want := "series,time,import_register_wh,export_register_wh,flags\n3,2026-03-01T00:00:00Z,1099511627775,7,clock tamper 9\n3,2026-03-01T00:15:00Z,0,9,\n"
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
	r, err := check.ParseReadings(b.Bytes())
	if err != nil || r.Source() != check.TTP {
		t.Errorf("who verifies a bill reads source %v, %v", r.Source(), err)
	}
}

// TestCSVVerifiesBills: whoever verifies bills takes the file.
func TestCSVVerifiesBills(t *testing.T) {
	z, periods := springAndAutumn(t)
	for _, p := range periods {
		h, list := home(t, z, p[0], p[1])
		r, err := check.ParseReadings(write(t, export.FormatCSV, h, list))
		if err != nil || r.Source() != check.Intervals {
			t.Errorf("source %v, %v", r.Source(), err)
		}
	}
}

func TestJSONReadsBack(t *testing.T) {
	z, periods := springAndAutumn(t)
	for _, p := range periods {
		h, list := home(t, z, p[0], p[1])
		var got struct {
			Zone, Currency string
			From, To       time.Time
			Intervals      []struct {
				Start      time.Time
				Seconds    int64
				Import     int64  `json:"import_wh"`
				Export     int64  `json:"export_wh"`
				Quality    uint16 `json:"quality"`
				ImportCost string `json:"import_cost"`
				ExportCost string `json:"export_cost"`
			}
		}
		must(t, json.Unmarshal(write(t, export.FormatJSON, h, list), &got))
		if got.Zone != "Europe/Zurich" || got.Currency != "CHF" || !got.From.Equal(p[0]) || !got.To.Equal(p[1]) || len(got.Intervals) != len(list) {
			t.Fatalf("%s %s, %v to %v, %d intervals of %d", got.Zone, got.Currency, got.From, got.To, len(got.Intervals), len(list))
		}
		for n, g := range got.Intervals {
			w := list[n]
			cost := ""
			if w.Costed {
				cost = w.ImportCost.String()
			}
			if g.Start.Unix() != w.Start || g.Seconds != w.End-w.Start || g.Import != int64(w.Import) || g.Export != int64(w.Export) || g.Quality != w.Quality || g.ImportCost != cost {
				t.Fatalf("interval %d differs", n)
			}
		}
	}
}

func TestParquetReadsBack(t *testing.T) {
	z := zone(t, "Europe/Zurich")
	h, list := home(t, z, consumer.DayStart(2026, 1, 1, z), consumer.DayStart(2027, 1, 1, z)) // more than a group of rows
	type row struct {
		Start      time.Time `parquet:"start,timestamp"`
		Seconds    int32     `parquet:"seconds"`
		Import     int64     `parquet:"import_wh"`
		Export     int64     `parquet:"export_wh"`
		Quality    int32     `parquet:"quality"`
		ImportCost *int64    `parquet:"import_cost,optional,decimal(8:18)"`
		ExportCost *int64    `parquet:"export_cost,optional,decimal(8:18)"`
	}
	content := write(t, export.FormatParquet, h, list)
	file, err := parquet.OpenFile(bytes.NewReader(content), int64(len(content)))
	must(t, err)
	if z, _ := file.Lookup("wattveil.zone"); z != "Europe/Zurich" || len(file.RowGroups()) != 2 {
		t.Errorf("zone %q, %d groups", z, len(file.RowGroups()))
	}
	rows, err := parquet.Read[row](bytes.NewReader(content), int64(len(content)))
	must(t, err)
	if len(rows) != len(list) {
		t.Fatalf("%d rows of %d", len(rows), len(list))
	}
	for n, g := range rows {
		w := list[n]
		if g.Start.Unix() != w.Start || int64(g.Seconds) != w.End-w.Start || g.Import != int64(w.Import) || g.Export != int64(w.Export) || uint16(g.Quality) != w.Quality || (g.ImportCost != nil) != w.Costed {
			t.Fatalf("row %d differs", n)
		}
		if w.Costed && (tariff.NewDecimal(*g.ImportCost, 8).Cmp(w.ImportCost) != 0 || tariff.NewDecimal(*g.ExportCost, 8).Cmp(w.ExportCost) != 0) {
			t.Fatalf("row %d has other costs", n)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	from := time.Unix(1_772_323_200, 0)
	good := export.Header{From: from, To: from.Add(time.Hour), Zone: time.UTC, Seconds: quarter}
	for name, c := range map[string]struct {
		f      export.Format
		change func(*export.Header)
	}{
		"a form":       {"xlsx", func(*export.Header) {}},
		"no zone":      {export.FormatCSV, func(h *export.Header) { h.Zone = nil }},
		"empty":        {export.FormatCSV, func(h *export.Header) { h.To = h.From }},
		"no intervals": {export.FormatCSV, func(h *export.Header) { h.Seconds = 0 }},
	} {
		h := good
		c.change(&h)
		if _, err := export.New(c.f, io.Discard, h); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for name, second := range map[string]wattveil.Interval{
		"the same again": {Start: from.Unix(), End: from.Unix() + quarter},
		"overlapping":    {Start: from.Unix() + 1, End: from.Unix() + 1000},
		"empty":          {Start: from.Unix() + quarter, End: from.Unix() + quarter},
		"after the end":  {Start: from.Unix() + 3600, End: from.Unix() + 4500},
		"negative":       {Start: from.Unix() + quarter, End: from.Unix() + 2*quarter, Import: -1},
	} {
		for _, f := range []export.Format{export.FormatCSV, export.FormatJSON, export.FormatParquet, export.FormatGreenButton} {
			w, err := export.New(f, io.Discard, good)
			must(t, err)
			must(t, w.Write(&consumer.Interval{Interval: wattveil.Interval{Start: from.Unix(), End: from.Unix() + quarter}}))
			if w.Write(&consumer.Interval{Interval: second}) == nil {
				t.Errorf("%s, %s: accepted", f, name)
			}
		}
	}
}

// counting counts what goes through it.
type counting struct{ n, most int }

func (c *counting) Write(p []byte) (int, error) {
	c.n += len(p)
	c.most = max(c.most, len(p))
	return len(p), nil
}

// TestStreams: what a writer holds while it is open does not grow with the
// intervals, and bytes leave as intervals come.
func TestStreams(t *testing.T) {
	z := zone(t, "Europe/Zurich")
	year := 365 * 24 * 3600 / quarter
	from := consumer.DayStart(2016, 1, 1, z)
	price := decimal(t, "0.27")
	for _, f := range []export.Format{export.FormatCSV, export.FormatJSON, export.FormatParquet, export.FormatGreenButton} {
		out := &counting{}
		w, err := export.New(f, out, export.Header{From: from, To: from.AddDate(6, 0, 0), Zone: z, Seconds: quarter, Currency: "EUR", Feeds: true, Made: made})
		must(t, err)
		var i consumer.Interval
		feed := func(first, last int) uint64 {
			for n := first; n < last; n++ {
				at := from.Unix() + int64(n)*quarter
				i = consumer.Interval{Interval: wattveil.Interval{Start: at, End: at + quarter, Import: wattveil.Wh(n * 7919 % 1000), Export: wattveil.Wh(n % 9)}, Costed: true}
				i.ImportCost = tariff.NewDecimal(int64(i.Import), 3).Mul(price)
				must(t, w.Write(&i))
			}
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return m.HeapAlloc
		}
		one := feed(0, year)
		after := out.n
		five := feed(year, 5*year)
		if grown := int64(five) - int64(one); grown > 2<<20 {
			t.Errorf("%s: after five years %d bytes more are held than after one", f, grown)
		}
		if after < year || out.n < 4*after || out.most > 4<<20 {
			t.Errorf("%s: %d bytes had left after a year, %d after five, at most %d at once", f, after, out.n, out.most)
		}
		must(t, w.Close())
	}
}

// TestNothingInCommon: two exports of one home share no number that could tell
// that it is one, and hold no name.
func TestNothingInCommon(t *testing.T) {
	z, periods := springAndAutumn(t)
	h, list := home(t, z, periods[0][0], periods[0][1])
	ids := func() []string {
		content := string(write(t, export.FormatGreenButton, h, list))
		found := uuids.FindAllString(content, -1)
		if len(found) < 10 {
			t.Fatalf("%d ids: this looks at nothing", len(found))
		}
		return found
	}
	seen := make(map[string]bool)
	for _, id := range ids() {
		seen[id] = true
	}
	for _, id := range ids() {
		if seen[id] {
			t.Errorf("id %s is in two exports", id)
		}
	}
	for _, f := range []export.Format{export.FormatCSV, export.FormatJSON} {
		if strings.Contains(string(write(t, f, h, list)), "urn:") {
			t.Errorf("%s has an id", f)
		}
	}
}
