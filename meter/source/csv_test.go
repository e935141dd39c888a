package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	_ "time/tzdata" // the zones of the tests, wherever they run

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/internal/realinput"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func realFile(t testing.TB, name string) io.Reader {
	t.Helper()
	return bytes.NewReader(realinput.Read(t, name))
}

// totals adds up a load over a file.
func totals(t testing.TB, c *CSV, column string) (imp, exp int64) {
	t.Helper()
	l := c.Load(column)
	for at := c.Start; at < c.End; at += int64(c.Resolution) {
		i, e, ok := l.Energy(at)
		if !ok {
			t.Fatalf("%s has no interval at %s", column, stamp(at))
		}
		if i != 0 && e != 0 {
			t.Fatalf("%s has import and export at %s", column, stamp(at))
		}
		imp += int64(i)
		exp += int64(e)
	}
	return imp, exp
}

func TestReadCSVForms(t *testing.T) {
	const want = "0=1500/0 900=0/20 1800=0/0"
	tests := []struct{ name, file string }{
		{"plain", "t,a\n2026-01-01T00:00,1.5\n2026-01-01T00:15,-0.02\n2026-01-01T00:30,0\n"},
		{"no newline at the end", "t,a\n2026-01-01T00:00,1.5\n2026-01-01T00:15,-0.02\n2026-01-01T00:30,0"},
		{"seconds", "t,a\n2026-01-01T00:00:00,1.5\n2026-01-01T00:15:00,-0.02\n2026-01-01T00:30:00,0\n"},
		{"space", "t,a\n2026-01-01 00:00,1.5\n2026-01-01 00:15,-0.02\n2026-01-01 00:30:00,0\n"},
		{"CRLF and BOM", "\ufefft,a\r\n2026-01-01T00:00,1.5\r\n2026-01-01T00:15,-0.02\r\n2026-01-01T00:30,0\r\n"},
		{"empty lines at the end", "t,a\n2026-01-01T00:00,1.5\n2026-01-01T00:15,-0.02\n2026-01-01T00:30,0\n\n \r\n"},
		{"quotes", "\"t\",\"a\"\n\"2026-01-01T00:00\",\"1.5\"\n2026-01-01T00:15,\"-0.02\"\n2026-01-01T00:30,0\n"},
		{"spaces", "t , a\n2026-01-01T00:00, 1.5\n2026-01-01T00:15 ,-0.02 \n2026-01-01T00:30,\t0\n"},
		{"other writings of numbers", "t,a\n2026-01-01T00:00,+01.500\n2026-01-01T00:15,-.02\n2026-01-01T00:30,-0.\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := ReadCSV(iotest.OneByteReader(strings.NewReader(tt.file)), "x.csv", CSVOptions{})
			if err != nil {
				t.Fatal(err)
			}
			start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
			if c.Start != start || c.End != start+2700 || c.Resolution != 900 || c.Intervals != 3 {
				t.Errorf("got %v", c)
			}
			var got []string
			for at := c.Start; at < c.End; at += 900 {
				imp, exp, _ := c.Load("a").Energy(at)
				got = append(got, fmt.Sprintf("%d=%d/%d", at-start, int64(imp), int64(exp)))
			}
			if s := strings.Join(got, " "); s != want {
				t.Errorf("got %s, want %s", s, want)
			}
		})
	}
}

func TestReadCSVErrors(t *testing.T) {
	const two = "t,a,b\n2026-01-01T00:00,1,2\n2026-01-01T00:15,1,2\n"
	zurich := CSVOptions{Location: zone(t, "Europe/Zurich")}
	tests := []struct {
		name string
		file string
		o    CSVOptions
		want string
	}{
		{"empty", "", CSVOptions{}, `is empty; give a header and one row for each interval`},
		{"header only", "t,a\n", CSVOptions{}, `has a header and no rows; add one row for each interval`},
		{"one row", "t,a\n2026-01-01T00:00,1\n", CSVOptions{}, `has one row; two are needed to find the length of the interval`},
		{"UTF-16", "\xff\xfet\x00,\x00", CSVOptions{}, `is UTF-16; save it as UTF-8`},
		{"semicolons", "t;a\n2026-01-01T00:00;1\n", CSVOptions{}, `line 1 has no columns of homes; separate the columns by commas, not by ';'`},
		{"one column", "t\n2026-01-01T00:00\n", CSVOptions{}, `line 1 has no columns of homes; the first column is the local time, each other one a home, separated by commas`},
		{"no header", "2026-01-01T00:00,1\n", CSVOptions{}, `line 1 is a row where the header belongs; add a line with the columns' names`},
		{"nameless column", "t,a,\n", CSVOptions{}, `line 1 has no name for column 3; name every column`},
		{"same name", "t,a,b,a\n", CSVOptions{}, `line 1 names columns 2 and 4 both "a"; rename one`},
		{"control character", "t,a\x07\n", CSVOptions{}, `line 1 names column 2 "a\a", which is not printable UTF-8; rename it`},
		{"header's quotes", "t,\"a\n", CSVOptions{}, `line 1 has misplaced quotes (extraneous or missing " in quoted-field); quote whole names only`},
		{"unknown column", two, CSVOptions{Columns: []string{"A"}}, `has no column "A"; near it are "a", "b"`},
		{"far column", two, CSVOptions{Columns: []string{"house 7"}}, `has no column "house 7"; its 2 columns run from "a" to "b"`},
		{"column twice", two, CSVOptions{Columns: []string{"b", "b"}}, `column "b" is asked for twice; ask once`},
		{"ragged row", "t,a,b\n2026-01-01T00:00,1,2\n2026-01-01T00:15,1\n", CSVOptions{}, `line 3 has 2 fields where the header has 3; give each home one value, with a decimal point`},
		{"row's quotes", "t,a\n2026-01-01T00:00,1\"2\n", CSVOptions{}, `line 2 has misplaced quotes (bare " in non-quoted-field); quote whole fields only`},
		{"empty line", "t,a\n2026-01-01T00:00,1\n\n\n2026-01-01T00:15,1\n", CSVOptions{}, `line 3 is empty but rows follow; delete it`},
		{"long line", "t,a\n" + strings.Repeat("x", maxLine+1), CSVOptions{}, `line 2 is longer than 4 MiB; put one interval on a line, and split the homes over several files`},
		{"zone in time", "t,a\n2026-01-01T00:00Z,1\n", CSVOptions{}, `line 2, column 1 (t): "2026-01-01T00:00Z" is no local time; write it as 2006-01-02T15:04, without a zone`},
		{"impossible day", "t,a\n2026-02-29T00:00,1\n", CSVOptions{}, `line 2, column 1 (t): "2026-02-29T00:00" is no local time; write it as 2006-01-02T15:04, without a zone`},
		{"hour 24", "t,a\n2026-02-28T24:00,1\n", CSVOptions{}, `line 2, column 1 (t): "2026-02-28T24:00" is no local time; write it as 2006-01-02T15:04, without a zone`},
		{"text", "t,a,b\n2026-01-01T00:00,1,n/a\n", CSVOptions{}, `line 2, column 3 (b): "n/a" is no number; write kWh as 0.123`},
		{"long text", "t,a\n2026-01-01T00:00,the meter was out of order\n", CSVOptions{}, `line 2, column 2 (a): "the meter was out of ord"… is no number; write kWh as 0.123`},
		{"slashes", "t,a\n2026/01/01 00:00,1\n", CSVOptions{}, `line 2, column 1 (t): "2026/01/01 00:00" is no local time; write it as 2006-01-02T15:04, without a zone`},
		{"NaN", "t,a\n2026-01-01T00:00,NaN\n", CSVOptions{}, `line 2, column 2 (a): "NaN" is no number; write kWh as 0.123`},
		{"Inf", "t,a\n2026-01-01T00:00,-Inf\n", CSVOptions{}, `line 2, column 2 (a): "-Inf" is no number; write kWh as 0.123`},
		{"sign only", "t,a\n2026-01-01T00:00,-\n", CSVOptions{}, `line 2, column 2 (a): "-" is no number; write kWh as 0.123`},
		{"point only", "t,a\n2026-01-01T00:00,.\n", CSVOptions{}, `line 2, column 2 (a): "." is no number; write kWh as 0.123`},
		{"exponent", "t,a\n2026-01-01T00:00,1e3\n", CSVOptions{}, `line 2, column 2 (a): is no plain number; write kWh as 0.123, without an exponent`},
		{"two points", "t,a\n2026-01-01T00:00,1.2.3\n", CSVOptions{}, `line 2, column 2 (a): is no number; write kWh as 0.123, with digits and one point only`},
		{"decimal comma", "t,a\n2026-01-01T00:00,\"1,2\"\n", CSVOptions{}, `line 2, column 2 (a): is no number; write kWh as 0.123, with digits and one point only`},
		{"no value", "t,a,b\n2026-01-01T00:00,,1\n", CSVOptions{}, `line 2, column 2 (a): has no value; fill it in, with 0 where no energy flowed`},
		{"four decimals", "t,a\n2026-01-01T00:00,0.1234\n", CSVOptions{}, `line 2, column 2 (a): has 4 decimals; round it to three, which is 1 Wh`},
		{"too large", "t,a\n2026-01-01T00:00,1000000.001\n", CSVOptions{}, `line 2, column 2 (a): is over 1 GWh in one interval; the column must be in kWh`},
		{"too long", "t,a\n2026-01-01T00:00,-" + strings.Repeat("9", 100) + "\n", CSVOptions{}, `line 2, column 2 (a): is over 1 GWh in one interval; the column must be in kWh`},
		{"duplicate second row", "t,a\n2026-01-01T00:00,1\n2026-01-01T00:00,1\n", CSVOptions{}, `line 3, column 1 (t): 2026-01-01T00:00 stands twice; delete one of the rows`},
		{"duplicate row", two + "2026-01-01T00:15,1,2\n", CSVOptions{}, `line 4, column 1 (t): 2026-01-01T00:15 stands twice; delete one of the rows`},
		{"second row earlier", "t,a\n2026-01-01T00:00,1\n2025-12-31T23:45,1\n", CSVOptions{}, `line 3, column 1 (t): 2025-12-31T23:45 follows 2026-01-01T00:00; sort the rows by time`},
		{"disorder", two + "2026-01-01T00:00,1,2\n", CSVOptions{}, `line 4, column 1 (t): 2026-01-01T00:00 follows 2026-01-01T00:15; sort the rows by time`},
		{"gap", two + "2026-01-01T01:00,1,2\n", CSVOptions{}, `line 4, column 1 (t): gap: 2026-01-01T01:00 follows 2026-01-01T00:15, but 2026-01-01T00:30 is due; add the missing rows`},
		{"off the grid", two + "2026-01-01T00:20,1,2\n", CSVOptions{}, `line 4, column 1 (t): 2026-01-01T00:20 is off the grid of 15m0s: 2026-01-01T00:30 is due; give one row for each interval`},
		{"seven minutes", "t,a\n2026-01-01T00:00,1\n2026-01-01T00:07:00,1\n", CSVOptions{}, `line 3, column 1 (t): 2026-01-01T00:07 follows 2026-01-01T00:00: interval of 7m0s does not divide an hour into whole seconds; give intervals of 15, 30 or 60 minutes, or another divisor of an hour`},
		{"seven seconds", "t,a\n2026-01-01T00:00:00,1\n2026-01-01T00:00:07,1\n", CSVOptions{}, `line 3, column 1 (t): 2026-01-01T00:00:07 follows 2026-01-01T00:00: interval of 7s does not divide an hour into whole seconds; give intervals of 15, 30 or 60 minutes, or another divisor of an hour`},
		{"daily", "t,a\n2026-01-01T00:00,1\n2026-01-02T00:00,1\n", CSVOptions{}, `line 3, column 1 (t): 2026-01-02T00:00 follows 2026-01-01T00:00: interval of 24h0m0s does not divide an hour into whole seconds; give intervals of 15, 30 or 60 minutes, or another divisor of an hour`},
		{"before 1970", "t,a\n1969-12-31T23:00,1\n1970-01-01T00:00,1\n", CSVOptions{}, `line 3, column 1 (t): 1970-01-01T00:00 is outside 1970 to 2106; correct the year`},
		{"after 2106", "t,a\n2126-01-01T00:00,1\n2126-01-01T00:15,1\n", CSVOptions{}, `line 3, column 1 (t): 2126-01-01T00:15 is outside 1970 to 2106; correct the year`},
		{"skipped hour", "t,a\n2026-03-29T01:30,1\n2026-03-29T02:00,1\n", zurich, `line 3, column 1 (t): 2026-03-29T02:00 does not exist in Europe/Zurich, whose clocks skip it; name the zone of the file's clock, such as Etc/GMT-1 for one that stays at UTC+1`},
		{"repeated hour missing", "t,a\n2026-10-25T01:00,1\n2026-10-25T02:00,1\n2026-10-25T03:00,1\n", zurich, `line 4, column 1 (t): gap: 2026-10-25T03:00 follows 2026-10-25T02:00, but clocks in Europe/Zurich go back and 2026-10-25T02:00 is due a second time; add the rows of the repeated hour, or name the zone of a clock that does not change`},
		{"third pass", "t,a\n2026-10-25T02:00,1\n2026-10-25T02:00,1\n2026-10-25T02:00,1\n", zurich, `line 4, column 1 (t): 2026-10-25T02:00 stands twice; delete one of the rows`},
		{"too many days", two, CSVOptions{Days: 3}, `holds 0 whole days (2 intervals of 15m0s), 3 asked for; ask for no more, or for 0 to keep all`},
		{"negative days", two, CSVOptions{Days: -1}, `-1 days asked for; ask for 1 or more, or 0 for all`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := ReadCSV(strings.NewReader(tt.file), "x.csv", tt.o)
			if err == nil {
				t.Fatalf("accepted %v, want an error", c)
			}
			want := "read x.csv: " + tt.want
			if got := err.Error(); got != want {
				t.Errorf("got\n\t%s\nwant\n\t%s", got, want)
			}
		})
	}
}

func TestReadCSVWrapsReadersError(t *testing.T) {
	broken := errors.New("disk on fire")
	r := io.MultiReader(strings.NewReader("t,a\n2026-01-01T00:00,1\n"), iotest.ErrReader(broken))
	_, err := ReadCSV(r, "x.csv", CSVOptions{})
	if !errors.Is(err, broken) || err.Error() != "read x.csv after line 2: disk on fire" {
		t.Errorf("got %v", err)
	}
}

// clockFile writes a file whose rows are regular in UTC, with the wall times of
// a zone, and row i holding i Wh.
func clockFile(loc *time.Location, start time.Time, step time.Duration, rows int) string {
	var b strings.Builder
	b.WriteString("t,a\n")
	for i := range rows {
		at := start.Add(time.Duration(i) * step).In(loc)
		fmt.Fprintf(&b, "%s,%d.%03d\n", at.Format("2006-01-02T15:04"), i/1000, i%1000)
	}
	return b.String()
}

func TestReadCSVClockChanges(t *testing.T) {
	tests := []struct{ zone, day string }{
		{"Europe/Zurich", "2026-03-29"},       // 02:00 becomes 03:00
		{"Europe/Zurich", "2026-10-25"},       // 03:00 becomes 02:00
		{"Australia/Lord_Howe", "2026-10-04"}, // 02:00 becomes 02:30
		{"Australia/Lord_Howe", "2026-04-05"}, // 02:00 becomes 01:30
		{"America/Havana", "2026-03-08"},      // 00:00 becomes 01:00
		{"America/Havana", "2026-11-01"},      // 01:00 becomes 00:00
		{"Pacific/Apia", "2011-12-29"},        // the next day does not exist
	}
	for _, tt := range tests {
		loc := zone(t, tt.zone)
		for _, step := range []time.Duration{15 * time.Minute, 30 * time.Minute, time.Hour} {
			noon, err := time.ParseInLocation("2006-01-02T15:04", tt.day+"T12:00", loc)
			if err != nil {
				t.Fatal(err)
			}
			// Every row before the change is the first once.
			for start := noon.Add(-15 * time.Hour); start.Before(noon); start = start.Add(step) {
				rows := int(30 * time.Hour / step)
				c, err := ReadCSV(strings.NewReader(clockFile(loc, start, step, rows)), "x.csv", CSVOptions{Location: loc})
				if err != nil {
					t.Fatalf("%s %s from %s by %v: %v", tt.zone, tt.day, start, step, err)
				}
				if c.Start != start.Unix() || c.Resolution.Duration() != step || c.Intervals != rows {
					t.Errorf("%s %s from %s by %v: got %v", tt.zone, tt.day, start, step, c)
				}
				imp, _, _ := c.Load("a").Energy(c.End - int64(c.Resolution))
				if int(imp) != rows-1 {
					t.Errorf("%s from %s by %v: last interval holds %d Wh, want %d", tt.zone, start, step, int64(imp), rows-1)
				}
			}
		}
	}
}

func TestReadCSVRepeatedHour(t *testing.T) {
	loc := zone(t, "Europe/Zurich")
	first := time.Date(2026, 10, 25, 0, 0, 0, 0, time.UTC).Unix() // 02:00, clocks not yet changed
	tests := []struct {
		name, rows string
		start      int64
	}{
		{"a row of both passes", "02:00,1 02:00,2 03:00,3", first},
		{"second pass alone", "02:00,1 03:00,2", first + 3600},
		{"second pass alone, by quarters", "02:30,1 02:45,2 03:00,3", first + 5400},
		{"both passes, by quarters", "02:45,1 02:00,2 02:15,3", first + 2700},
		{"cannot be told, so the first pass", "02:00,1 02:15,2", first},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := "t,a\n"
			for _, row := range strings.Fields(tt.rows) {
				file += "2026-10-25T" + row + "\n"
			}
			c, err := ReadCSV(strings.NewReader(file), "x.csv", CSVOptions{Location: loc})
			if err != nil {
				t.Fatal(err)
			}
			if c.Start != tt.start {
				t.Errorf("starts at %s, want %s", stamp(c.Start), stamp(tt.start))
			}
		})
	}
}

func TestReadCSVColumnsAndDays(t *testing.T) {
	file := "t,a,b,c\n"
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range 50 {
		file += fmt.Sprintf("%s,1,%d,3\n", start.Add(time.Duration(i)*time.Hour).Format("2006-01-02T15:04"), i)
	}
	broken := strings.Replace(file, ",7,3", ",7,x", 1) + "nonsense\n"
	c, err := ReadCSV(strings.NewReader(broken), "x.csv", CSVOptions{Columns: []string{"b", "a"}, Days: 2})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(c.Columns, " "); got != "b a" || c.Intervals != 48 {
		t.Errorf("got columns %s, %v", got, c)
	}
	imp, _, ok := c.Load("b").Energy(c.Start + 47*3600)
	if imp != 47_000 || !ok {
		t.Errorf("b holds %d, %v", int64(imp), ok)
	}
	if c.Load("c") != nil {
		t.Error("a column that was not kept has a load")
	}
	_, err = ReadCSV(strings.NewReader(file), "x.csv", CSVOptions{Days: 3})
	want := "read x.csv: holds 2 whole days (50 intervals of 1h0m0s), 3 asked for; ask for no more, or for 0 to keep all"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestCSVLoadEnds(t *testing.T) {
	c, err := ReadCSV(strings.NewReader("t,a\n2026-01-01T00:00,1\n2026-01-01T00:15,2\n"), "x.csv", CSVOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int64{c.Start - 900, c.Start + 1, c.End, c.End + 900, -1 << 62, 1 << 62} {
		if _, _, ok := c.Load("a").Energy(at); ok {
			t.Errorf("has an interval at %d", at)
		}
	}
}

func TestReadCSVSwissHomes(t *testing.T) {
	loc := zone(t, "Europe/Zurich")
	c, err := ReadCSV(realFile(t, "homes-ch-15min/ch_100homes_49d_15min_kwh.csv"), "ch", CSVOptions{Location: loc, Days: 49})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2018, 10, 29, 0, 0, 0, 0, loc).Unix()
	if len(c.Columns) != 100 || c.Intervals != 4704 || c.Resolution != 900 || c.Start != start || c.End != start+49*day {
		t.Errorf("got %v", c)
	}
	checkTotals(t, c, 110_375_169, 0)
}

func TestReadCSVSolarHomes(t *testing.T) {
	loc := zone(t, "Etc/GMT+8")
	c, err := ReadCSV(realFile(t, "homes-citylearn-pv-60min/citylearn_17homes_net_wide.csv"), "citylearn", CSVOptions{Location: loc})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2016, 8, 1, 7, 0, 0, 0, time.UTC).Unix()
	if len(c.Columns) != 17 || c.Intervals != 8760 || c.Resolution != 3600 || c.Start != start {
		t.Errorf("got %v", c)
	}
	checkTotals(t, c, 112_120_904, 45_902_566)
}

func checkTotals(t *testing.T, c *CSV, wantImp, wantExp int64) {
	t.Helper()
	var imp, exp int64
	for _, name := range c.Columns {
		i, e := totals(t, c, name)
		imp += i
		exp += e
	}
	if imp != wantImp || exp != wantExp {
		t.Errorf("totals are %d and %d Wh, want %d and %d", imp, exp, wantImp, wantExp)
	}
}

func BenchmarkReadCSV(b *testing.B) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var file bytes.Buffer
	file.WriteString("t")
	for i := range 100 {
		fmt.Fprintf(&file, ",H%07d", i)
	}
	for i := range 4704 {
		fmt.Fprintf(&file, "\n%s", start.Add(time.Duration(i)*15*time.Minute).Format("2006-01-02T15:04"))
		for j := range 100 {
			fmt.Fprintf(&file, ",0.%03d", (i*j)%1000)
		}
	}
	b.SetBytes(int64(file.Len()))
	b.ReportAllocs()
	for b.Loop() {
		c, err := ReadCSV(bytes.NewReader(file.Bytes()), "x.csv", CSVOptions{})
		if err != nil || c.Resolution != wattveil.Resolution(900) {
			b.Fatal(c, err)
		}
	}
}

// Finer values are rounded on the running sum of each direction, so that the
// sum is right however small they are.
func TestReadCSVFine(t *testing.T) {
	const file = "t,a,b\n2026-01-01T00:00,0.0004,0.0006\n2026-01-01T00:15,0.0004,-0.0006\n" +
		"2026-01-01T00:30,0.0004,0.0006\n2026-01-01T00:45,0.000299999,-0.0006\n2026-01-01T01:00,0.000000001,1\n"
	c, err := ReadCSV(strings.NewReader(file), "x.csv", CSVOptions{Fine: true})
	if err != nil {
		t.Fatal(err)
	}
	// a: running sums 0.4, 0.8, 1.2, 1.499999, 1.5. b: import 0.6, 1.2, 1001.2, export 0.6, 1.2.
	want := map[string]string{"a": "0/0 1/0 0/0 0/0 1/0", "b": "1/0 0/1 0/0 0/0 1000/0"}
	for column, want := range want {
		var got []string
		for at := c.Start; at < c.End; at += 900 {
			imp, exp, _ := c.Load(column).Energy(at)
			got = append(got, fmt.Sprintf("%d/%d", int64(imp), int64(exp)))
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%s: got %s, want %s", column, s, want)
		}
	}
	if c.Rounded != 9 {
		t.Errorf("%d values are rounded, want 9", c.Rounded)
	}
	if _, err := ReadCSV(strings.NewReader("t,a\n2026-01-01T00:00,0.0123456789\n"), "x.csv", CSVOptions{Fine: true}); err == nil ||
		!strings.Contains(err.Error(), "has 10 decimals; round it to 9") {
		t.Errorf("ten decimals: %v", err)
	}
}

// The London homes have up to seven decimals. No register is off by more than
// half a Wh at any time.
func TestReadCSVFineLondon(t *testing.T) {
	c, err := ReadCSV(realFile(t, "homes-lcl-30min/lcl_3homes_30min_kwh.csv"), "lcl", CSVOptions{Fine: true})
	if err != nil {
		t.Fatal(err)
	}
	if c.Intervals != 20305 || c.Resolution != 1800 || c.Rounded == 0 {
		t.Errorf("got %v, %d values rounded", c, c.Rounded)
	}
}
