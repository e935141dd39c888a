package check_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/bill/check"
)

const (
	meterFile = "time,import_register_wh,export_register_wh,seconds,import_wh,export_wh,flags\n" +
		"2018-03-01T00:00:00Z,1099511627770,5,,,,restart\n" +
		"2018-03-01T00:15:00Z,4,5,900,10,0,\n" +
		"2018-03-01T00:30:00Z,5,7,900,1,2,clock tamper 5\n"
	ttpFile = "series,time,import_register_wh,export_register_wh,flags\n" +
		"1,2018-03-01T00:00:00Z,100,5,\n" +
		"2,2018-03-01T00:15:00Z,4,5,restart\n"
	intervalFile = "start,seconds,import_wh,export_wh,quality\n" +
		"2018-03-01T00:00:00Z,900,100,5,0\n" +
		"2018-03-01T00:15:00Z,900,4,5,8\n"
)

func TestParseReadings(t *testing.T) {
	for name, c := range map[string]struct {
		text   string
		source check.Source
	}{
		"meter":           {meterFile, check.Meter},
		"TTP":             {ttpFile, check.TTP},
		"intervals":       {intervalFile, check.Intervals},
		"no line break":   {strings.TrimSuffix(ttpFile, "\n"), check.TTP},
		"of Windows":      {strings.ReplaceAll(meterFile, "\n", "\r\n"), check.Meter},
		"export from now": {strings.Replace(meterFile, "5,,,,restart", "5,900,12,0,", 1), check.Meter},
	} {
		r, err := check.ParseReadings([]byte(c.text))
		if err != nil || r.Source() != c.source || r.FromMeter() != (c.source == check.Meter) {
			t.Errorf("%s: source %d, %v", name, r.Source(), err)
		}
		if got := fmt.Sprintf("%v %+v %d %s", r, r, r, r); got != "[readings] [readings] [readings] [readings]" {
			t.Errorf("%s prints %s", name, got)
		}
	}
}

func TestParseReadingsRefuses(t *testing.T) {
	meter := func(old, new string) string { return strings.Replace(meterFile, old, new, 1) }
	interval := func(old, new string) string { return strings.Replace(intervalFile, old, new, 1) }
	for name, c := range map[string]struct{ text, want string }{
		"empty":             {"", "the first line is not"},
		"another header":    {"time,kwh\n1,2\n", "the first line is not"},
		"no rows":           {"start,seconds,import_wh,export_wh,quality\n", "there are none"},
		"a field less":      {meter(",900,10,0,", ",900,10,0"), "line 3 has 6 fields, want 7"},
		"an empty line":     {meterFile + "\n", "line 5 has 1 fields"},
		"time":              {meter("2018-03-01T00:15:00Z", "2018-03-01T01:15:00+01:00"), "line 3: time"},
		"fraction":          {meter("2018-03-01T00:15:00Z", "2018-03-01T00:15:00.0Z"), "line 3: time"},
		"before 1970":       {meter("2018-03-01T00:15:00Z", "1969-03-01T00:15:00Z"), "line 3: time"},
		"falling":           {meter("2018-03-01T00:30:00Z,5,7,900", "2018-03-01T00:10:00Z,5,7,-300"), "line 4: "},
		"register":          {meter(",4,5,900", ",04,5,900"), "line 3: a field is not a whole number"},
		"negative":          {meter(",4,5,900", ",-4,5,900"), "line 3: a field is not a whole number"},
		"large":             {meter("1099511627770", "1099511627776"), "line 2: a field is not a whole number"},
		"changed register":  {meter(",4,5,900", ",3,5,900"), "line 3: the energy since the line before is not"},
		"changed energy":    {meter("900,10,0", "900,11,0"), "line 3: the energy since the line before is not"},
		"changed seconds":   {meter("900,10,0", "901,10,0"), "line 3: the energy since the line before is not"},
		"flag":              {meter("restart", "reset"), "line 2: flags"},
		"flags in disorder": {meter("clock tamper", "tamper clock"), "line 4: flags"},
		"flag by number":    {meter("restart", "1"), "line 2: flags"},
		"quality":           {interval(",8", ",256"), "line 3: a field"},
		"overlap":           {interval("00:15:00", "00:14:59"), "line 3: the interval begins before"},
		"no length":         {interval("900", "0"), "line 2: the interval has no length"},
		"long":              {interval("900", "3601"), "line 2: a field"},
		"series":            {strings.Replace(ttpFile, "1,", "4294967296,", 1), "line 2: a field"},
	} {
		_, err := check.ParseReadings([]byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if _, err := check.ParseReadings(make([]byte, check.MaxReadings+1)); err == nil {
		t.Error("a file beyond the limit is accepted")
	}
}

func TestParseOpening(t *testing.T) {
	secret := bill.Secret{7}
	leaf := bill.Hash{1}
	for _, text := range []string{
		secret.Text(), secret.Text() + "\n", `{"secret":"` + secret.Text() + `"}`, `{"leaves":["` + leaf.String() + `"],"secret":"` + secret.Text() + `"}`,
	} {
		o, err := check.ParseOpening([]byte(text))
		if err != nil || o.Secret != secret || len(o.Leaves) > 0 && o.Leaves[0] != leaf {
			t.Errorf("%d characters: %v", len(text), err)
		}
	}
	for _, text := range []string{"", "{}", "[]", secret.Text()[1:], `{"secret":"` + secret.Text() + `"}{}`, `{"secret":"` + secret.Text() + `","x":1}`, `{"leaves":["AAAA"],"secret":"` + secret.Text() + `"}`} {
		if _, err := check.ParseOpening([]byte(text)); err == nil {
			t.Errorf("%q is accepted", text)
		} else if strings.Contains(err.Error(), secret.Text()) {
			t.Errorf("the error tells the secret: %v", err)
		}
	}
}

// No file makes the parser panic, and an error is one line.
func FuzzParseReadings(f *testing.F) {
	for _, s := range []string{meterFile, ttpFile, intervalFile} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := check.ParseReadings(data)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\r\n") {
				t.Errorf("the error has several lines: %q", err)
			}
			return
		}
		// What is accepted is so in one form only, but for line ends.
		again, err := check.ParseReadings([]byte(strings.TrimSuffix(strings.ReplaceAll(string(data), "\r\n", "\n"), "\n")))
		if err != nil || again.Source() != r.Source() {
			t.Errorf("with other line ends: %v", err)
		}
	})
}

func FuzzParseOpening(f *testing.F) {
	f.Add([]byte(bill.Secret{7}.Text()))
	f.Add([]byte(`{"leaves":["` + bill.Hash{1}.String() + `"],"secret":"` + bill.Secret{7}.Text() + `"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := check.ParseOpening(data)
		if err != nil {
			return
		}
		if again, err := check.ParseOpening([]byte(o.Secret.Text())); err != nil || again.Secret != o.Secret {
			t.Errorf("the secret reads as another, %v", err)
		}
	})
}
