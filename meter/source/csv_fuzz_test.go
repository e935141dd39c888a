package source

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// FuzzReadCSV checks that a file is refused in one line, or that what it holds
// can be written out again and read as the same.
func FuzzReadCSV(f *testing.F) {
	seeds := []string{
		"",
		"t,a\n",
		"t,a\n2026-01-01T00:00,0.5\n2026-01-01T00:15,-0.25\n",
		"\ufefft,a,b\r\n2026-01-01 00:00:00,1,2\r\n2026-01-01 00:30:00,.5,-0\r\n\r\n",
		"\"t\",\"a\"\"b\"\n\"2026-03-29T01:00\",\"1.000\"\n2026-03-29T03:00,1\n",
		"t,a\n2026-10-25T02:00,1\n2026-10-25T02:00,2\n2026-10-25T03:00,3\n",
		"t,a\n2026-10-25T02:30,1\n2026-10-25T02:45,2\n2026-10-25T03:00,3\n",
		"t,a\n2026-04-05T01:30,1\n2026-04-05T01:30,2\n2026-04-05T02:00,3\n",
		"t,a\n2026-01-01T00:00,1000000\n2026-01-01T00:00:01,-1000000.000\n",
		"t,a\n2026-01-01T00:00,NaN\n",
		"t,a\ndddd-dd-ddT00:00:00,1\n",
		"t;a\n2026-01-01T00:00;1\n",
		"\xff\xfet\x00",
	}
	zones := []*time.Location{time.UTC, zone(f, "Europe/Zurich"), zone(f, "Australia/Lord_Howe"), zone(f, "Asia/Kathmandu")}
	for _, s := range seeds {
		for z := range zones {
			f.Add([]byte(s), uint8(z), z%2)
		}
	}
	f.Fuzz(func(t *testing.T, file []byte, z uint8, days int) {
		o := CSVOptions{Location: zones[int(z)%len(zones)], Days: days}
		c, err := ReadCSV(strings.NewReader(string(file)), "x.csv", o)
		if err != nil {
			if s := err.Error(); c != nil || !strings.HasPrefix(s, "read x.csv: ") || strings.ContainsAny(s, "\r\n") {
				t.Fatalf("got %v and error %q", c, s)
			}
			return
		}
		again, err := ReadCSV(strings.NewReader(rewrite(t, c, o.Location)), "x.csv", CSVOptions{Location: o.Location})
		if err != nil {
			t.Fatalf("what was read cannot be read again: %v", err)
		}
		if c.Start != again.Start || c.End != again.End || fmt.Sprint(c.values) != fmt.Sprint(again.values) {
			t.Fatalf("read %v, again %v", c, again)
		}
	})
}

// rewrite writes a file out in canonical form, checking what a CSV promises.
func rewrite(t *testing.T, c *CSV, loc *time.Location) string {
	t.Helper()
	if c.Resolution.Code() == 0 || c.Intervals < 2 || c.Start < 0 || c.End > maxTime ||
		c.End-c.Start != int64(c.Intervals)*int64(c.Resolution) || len(c.values) != c.Intervals*len(c.Columns) {
		t.Fatalf("inconsistent: %v with %d values", c, len(c.values))
	}
	var b strings.Builder
	b.WriteString("t")
	for i := range c.Columns {
		fmt.Fprintf(&b, ",%d", i)
	}
	for at := c.Start; at < c.End; at += int64(c.Resolution) {
		fmt.Fprintf(&b, "\n%s", time.Unix(at, 0).In(loc).Format("2006-01-02T15:04:05"))
		for _, name := range c.Columns {
			imp, exp, ok := c.Load(name).Energy(at)
			if !ok || imp < 0 || exp < 0 || imp > maxWh || exp > maxWh || imp > 0 && exp > 0 {
				t.Fatalf("%q at %d holds %d, %d, %v", name, at, int64(imp), int64(exp), ok)
			}
			sign := ""
			if exp > 0 {
				sign = "-"
			}
			fmt.Fprintf(&b, ",%s%d.%03d", sign, int64(imp+exp)/1000, int64(imp+exp)%1000)
		}
	}
	return b.String()
}
