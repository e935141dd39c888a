package urdb_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/internal/realinput"
	"github.com/wattveil/wattveil/meter/source"
	"github.com/wattveil/wattveil/rating"
	"github.com/wattveil/wattveil/tariff"
	"github.com/wattveil/wattveil/tariff/urdb"
)

func rates(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(realinput.Path(t, "tariffs/urdb-cc0"), "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no rates: %v", err)
	}
	out := map[string][]byte{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		out[strings.TrimSuffix(filepath.Base(file), ".json")] = data
	}
	return out
}

// Every rate imports and prices a year of every home, and each month is to the
// cent what the plain computation says: by the clock of California, on which
// the homes' year has twelve whole months and both changes, and by the clock of
// their file.
func TestRatesPriceAYear(t *testing.T) {
	const fileZone = "Etc/GMT+8"
	file := realinput.Path(t, "homes-citylearn-pv-60min/citylearn_17homes_net_wide.csv")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	homes, err := source.ReadCSV(bytes.NewReader(data), file, source.CSVOptions{Location: zone(t, fileZone)})
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range rates(t) {
		for clock, months := range map[string]int{"America/Los_Angeles": 12, fileZone: 11} {
			t.Run(name+"/"+clock, func(t *testing.T) {
				imported, err := urdb.Import(data, urdb.Options{Zone: clock})
				if err != nil {
					t.Fatal(err)
				}
				doc := imported.Document()
				doc.ValidFrom, doc.ValidTo = "2016-01-01", "" // the homes' year, not the rate's
				terms, err := tariff.New(doc)
				if err != nil {
					t.Fatal(err)
				}
				var plain plainRate
				if err := json.Unmarshal(data, &plain); err != nil {
					t.Fatal(err)
				}
				for _, column := range homes.Columns {
					for m := range months {
						from := time.Date(2016, time.August+time.Month(m), 1, 0, 0, 0, 0, zone(t, clock))
						compareMonth(t, terms, plain, homes, column, from)
					}
				}
			})
		}
	}
}

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := tariff.LoadZone(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func compareMonth(t *testing.T, terms *tariff.Tariff, plain plainRate, homes *source.CSV, column string, from time.Time) {
	t.Helper()
	to := from.AddDate(0, 1, 0)
	load := homes.Load(column)
	var intervals []wattveil.Interval
	var hours []hour
	for at := from; at.Before(to); at = at.Add(time.Hour) {
		imported, exported, ok := load.Energy(at.Unix())
		if !ok {
			t.Fatalf("%s has no hour at %v", column, at)
		}
		intervals = append(intervals, wattveil.Interval{Start: at.Unix(), End: at.Unix() + 3600, Import: imported, Export: exported})
		hours = append(hours, hour{at: at, imported: int64(imported), export: int64(exported)})
	}
	got, err := rating.Rate(terms, intervals, from, to)
	if err != nil {
		t.Fatal(err)
	}
	if want := plain.month(t, hours); got.Total != want {
		t.Errorf("%s, %s: %s, want %s", column, from.Format("2006-01"), got.Total, want)
	}
}

// Every field of a rate is priced, describes the rate, or is named in a note.
func TestNoFieldIsDropped(t *testing.T) {
	priced := strings.Fields(`energyratestructure energyweekdayschedule energyweekendschedule demandratestructure
		demandweekdayschedule demandweekendschedule flatdemandstructure flatdemandmonths demandrateunit flatdemandunit
		demandunits fixedchargefirstmeter fixedchargeunits fixedmonthlycharge mincharge minchargeunits startdate enddate label`)
	describes := strings.Fields(`approved basicinformationcomments country demandcomments description eiaid energycomments is_default
		name peakkwcapacityhistory peakkwcapacitymax peakkwcapacitymin phasewiring revisions sector servicetype source
		sourceparent supersedes uri utility voltagecategory voltagemaximum voltageminimum`)
	for name, data := range rates(t) {
		imported, err := urdb.Import(data, urdb.Options{Zone: "America/New_York"})
		if err != nil {
			t.Fatal(err)
		}
		var noted []string
		for _, n := range imported.Document().Notes {
			noted = append(noted, n.Member)
		}
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(data, &fields); err != nil {
			t.Fatal(err)
		}
		for field := range fields {
			if !slices.Contains(priced, field) && !slices.Contains(describes, field) && !slices.Contains(noted, field) {
				t.Errorf("%s: field %s is neither priced nor named", name, field)
			}
		}
	}
}

// rate is a small one with everything that the import takes.
const rate = `{"label":"abc123","name":"Test","startdate":1514764800,"enddate":1546214400.0,
"energyratestructure":[[{"rate":0.10,"adj":0.01,"unit":"kWh","max":100},{"rate":0.2,"unit":"kWh"}],[{"rate":0.05,"sell":0.03,"unit":"kWh"}]],
"energyweekdayschedule":%s,"energyweekendschedule":%s,
"flatdemandstructure":[[{"rate":5,"max":10},{"rate":7.5}],[{"rate":6}]],"flatdemandmonths":[0,0,0,0,0,1,1,1,0,0,0,0],
"demandwindow":30,"lookbackpercent":0.8,"lookbackrange":11,
"fixedchargefirstmeter":12,"fixedchargeunits":"$/year","annualmincharge":240,
"coincidentratestructure":[[{"rate":1}]],"energyattrs":[{"a\"b":"1"}],"_odd":1,"dgrules":"Net Metering"}`

// flatSchedule has period 0 all day, or period 1 from 8 to 20 o'clock.
func flatSchedule(peak bool) string {
	hours := slices.Repeat([]string{"0"}, 24)
	if peak {
		for h := 8; h < 20; h++ {
			hours[h] = "1"
		}
	}
	month := "[" + strings.Join(hours, ",") + "]"
	return "[" + strings.Join(slices.Repeat([]string{month}, 12), ",") + "]"
}

func example() string { return fmt.Sprintf(rate, flatSchedule(true), flatSchedule(false)) }

func TestImport(t *testing.T) {
	got, err := urdb.Import([]byte(example()), urdb.Options{Zone: "America/Chicago"})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"currency":"USD","demand":[` +
		`{"minutes":30,"name":"flat-0","ratchet":{"months":11,"percent":"80"},"seasons":["sep-may"],"tiers":[{"per_kw":"5","up_to_kw":"10"},{"per_kw":"7.5"}]},` +
		`{"minutes":30,"name":"flat-1","per_kw":"6","ratchet":{"months":11,"percent":"80"},"seasons":["jun-aug"]}],` +
		`"energy":{"bands":{"period-0":{"tiers":[{"import":"0.11","up_to_kwh":"100"},{"import":"0.2"}]},"period-1":{"export":"0.03","import":"0.05"}},` +
		`"default":"period-0","windows":[{"band":"period-1","days":["mon","tue","wed","thu","fri"],"from":"08:00","to":"20:00"}]},` +
		`"id":"urdb-abc123","minimum":{"per_month":"20"},"notes":[`
	text := must(got.MarshalJSON())
	if !strings.HasPrefix(text, want) {
		t.Errorf("the tariff is\n%s\nwant\n%s", text, want)
	}
	for _, want := range []string{
		`"seasons":{"jun-aug":[{"from":"06-01","to":"08-31"}],"sep-may":[{"from":"09-01","to":"05-31"}]},"standing":{"per_month":"1"},"timezone":"America/Chicago","valid_from":"2018-01-01","valid_to":"2019-01-01"}`,
		`{"member":"coincidentratestructure"`, `{"member":"energyattrs"`, `{"member":"odd"`, `{"member":"dgrules"`, `{"member":"enddate"`,
		`{"member":"annualmincharge.year"`, `{"member":"fixedchargefirstmeter.year"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the tariff lacks %s:\n%s", want, text)
		}
	}
}

func must(data []byte, err error) string {
	if err != nil {
		panic(err)
	}
	return string(data)
}

// Without a zone the tariff says that its zone stands in for another.
func TestImportWithoutZone(t *testing.T) {
	got, err := urdb.Import([]byte(`{"items":[`+example()+`]}`), urdb.Options{ID: "mine", Currency: "EUR"})
	if err != nil {
		t.Fatal(err)
	}
	doc := got.Document()
	if doc.ID != "mine" || doc.Currency != "EUR" || doc.Timezone != "UTC" || doc.Notes[0].Member != "timezone" {
		t.Errorf("%s in %s by %s, notes %v", doc.ID, doc.Currency, doc.Timezone, doc.Notes)
	}
}

func TestImportRefuses(t *testing.T) {
	for name, c := range map[string]struct{ old, new, reason string }{
		"not JSON":        {`{"label"`, `{label`, "is not a JSON object"},
		"two rates":       {`{"label"`, `{"items":[{},{}],"label"`, "items: holds 2 rates"},
		"number":          {`"rate":0.10`, `"rate":"ten"`, "energyratestructure[0][0].rate"},
		"huge number":     {`"rate":0.10`, `"rate":1e999`, "energyratestructure[0][0].rate"},
		"negative price":  {`"rate":0.10`, `"rate":-0.10`, "is negative"},
		"hours of use":    {`"unit":"kWh","max":100`, `"unit":"kWh/kW","max":100`, `tiers by "kWh/kW" cannot be expressed`},
		"short schedule":  {`"energyweekdayschedule":[[`, `"energyweekdayschedule":[[0],[`, "energyweekdayschedule: has 13 months"},
		"short month":     {`"energyweekendschedule":[[0,`, `"energyweekendschedule":[[`, "energyweekendschedule[0]: has 23 hours"},
		"unknown period":  {`"energyweekendschedule":[[0,`, `"energyweekendschedule":[[7,`, "the schedule names period 7 in month 1 at hour 0"},
		"flat months":     {`"flatdemandmonths":[0,`, `"flatdemandmonths":[`, "is not a list of 12 numbers"},
		"flat period":     {`"flatdemandmonths":[0,`, `"flatdemandmonths":[9,`, "flatdemandmonths[0]: names period 9"},
		"fixed unit":      {`"$/year"`, `"$/kWh"`, `the unit "$/kWh" is not known`},
		"unit of demand":  {`"demandwindow"`, `"demandrateunit":"hp","demandwindow"`, `demand in "hp" cannot be expressed`},
		"falling tiers":   {`[{"rate":5,"max":10},{"rate":7.5}]`, `[{"rate":5,"max":10},{"rate":7.5,"max":9},{"rate":8}]`, "is not above the tier before"},
		"no tier":         {`[{"rate":6}]`, `[]`, "flatdemandstructure[1]: has no tier"},
		"dates":           {`1514764800`, `"soon"`, "startdate"},
		"range of months": {`"lookbackrange":11`, `"lookbackrange":1.5`, "lookbackrange: is not a number of months"},
	} {
		text := strings.Replace(example(), c.old, c.new, 1)
		if text == example() {
			t.Fatalf("%s: the rate lacks %q", name, c.old)
		}
		if _, err := urdb.Import([]byte(text), urdb.Options{Zone: "UTC"}); err == nil || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: %v, want %q", name, err, c.reason)
		}
	}
	for _, text := range []string{`{}`, `{"items":[{}]}`, `{"id":"free","currency":"CHF","energy":{}}`} {
		if _, err := urdb.Import([]byte(text), urdb.Options{Zone: "UTC"}); err == nil || !strings.Contains(err.Error(), "no rate of the database: it has none of energyratestructure") {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := urdb.Import([]byte(example()), urdb.Options{Zone: "Chicago"}); err == nil {
		t.Error("a zone that does not exist is accepted")
	}
}

// No rate makes the import panic, and what it makes is a tariff.
func FuzzImport(f *testing.F) {
	f.Add([]byte(example()))
	f.Add([]byte(`{"items":[{"energyratestructure":[[{"rate":1e-9}]],"energyweekdayschedule":[[0]]}]}`))
	f.Add([]byte(`{"label":"\u0000","energyratestructure":null,"flatdemandstructure":[[{}]],"x\"":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := urdb.Import(data, urdb.Options{})
		if err != nil {
			return
		}
		if _, err := tariff.Parse([]byte(must(got.MarshalJSON()))); err != nil {
			t.Errorf("the tariff is refused: %v", err)
		}
	})
}
