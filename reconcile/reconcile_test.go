package reconcile

import (
	"fmt"
	"strings"
	"testing"
	"time"

	_ "time/tzdata"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/tariff"
)

func november(t testing.TB) (from, to time.Time) {
	zone, err := time.LoadLocation("Europe/Zurich")
	if err != nil {
		t.Fatal(err)
	}
	return time.Date(2018, 11, 1, 0, 0, 0, 0, zone), time.Date(2018, 12, 1, 0, 0, 0, 0, zone)
}

const head = "feeder,from,to,import_kwh,export_kwh\n"

func TestReadFeeders(t *testing.T) {
	from, to := november(t)
	text := head + `south,2018-10-01,2018-11-01,999,0
south,2018-11-01,2018-11-15,100.5,0.25
north,2018-10-31T23:00:00Z,2018-12-01T00:00:00+01:00,50,
south,2018-11-15,2018-12-01,200,300.25
south,2018-12-01,2019-01-01,999,0
`
	list, err := ReadFeeders(strings.NewReader(text), from, to)
	if err != nil {
		t.Fatal(err)
	}
	var got string
	for _, f := range list {
		got += f.Name + " " + f.Energy.String() + ";"
	}
	if want := "north 50;south 0.00;"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestReadFeedersRefuses(t *testing.T) {
	from, to := november(t)
	for _, tt := range []struct{ name, rows, want string }{
		{"no rows", "", "no row is of the period from 2018-11-01T00:00:00+01:00 to 2018-12-01T00:00:00+01:00"},
		{"other period", "a,2018-10-01,2018-11-01,1,\n", "no row is of the period from 2018-11-01T00:00:00+01:00 to 2018-12-01T00:00:00+01:00"},
		{"date", "a,1.11.2018,2018-12-01,1,\n", `line 2: from: "1.11.2018": want a date such as 2018-11-01 or a time such as 2018-11-01T00:00:00+01:00`},
		{"backwards", "a,2018-12-01,2018-11-01,1,\n", "line 2: it ends at 2018-11-01, before it begins"},
		{"late", "a,2018-11-02,2018-12-01,1,\n", "line 2: feeder a begins at 2018-11-02T00:00:00+01:00, want 2018-11-01T00:00:00+01:00, where the period begins"},
		{"gap", "a,2018-11-01,2018-11-05,1,\nb,2018-11-01,2018-12-01,1,\na,2018-11-06,2018-12-01,1,\n", "line 4: feeder a begins at 2018-11-06T00:00:00+01:00, want 2018-11-05T00:00:00+01:00, where line 2 ends"},
		{"straddles", "a,2018-11-01,2018-12-02,1,\n", "line 2: feeder a ends at 2018-12-02T00:00:00+01:00, after the period, which ends at 2018-12-01T00:00:00+01:00"},
		{"early", "a,2018-11-01,2018-11-30,1,\n", "line 2: the rows of feeder a end at 2018-11-30T00:00:00+01:00, the period at 2018-12-01T00:00:00+01:00"},
		{"no energy", "a,2018-11-01,2018-12-01,,\n", `line 2: import_kwh: decimal "": has no digit before the point: write it like 0.25`},
		{"comma", "a,2018-11-01,2018-12-01,\"1,5\",\n", `line 2: import_kwh: decimal "1,5": has ',' where a digit belongs: write it like 0.25`},
		{"negative", "a,2018-11-01,2018-12-01,-1,\n", "line 2: import_kwh: -1 is below zero: what went back to the grid is export_kwh"},
		{"no name", ",2018-11-01,2018-12-01,1,\n", `line 2: feeder: "": want a name of 1 to 64 bytes`},
		{"name", "a\x07b,2018-11-01,2018-12-01,1,\n", `line 2: feeder: "a\ab" has characters that cannot be printed`},
	} {
		if _, err := ReadFeeders(strings.NewReader(head+tt.rows), from, to); err == nil || err.Error() != tt.want {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
	}
}

func TestReadPlacesRefuses(t *testing.T) {
	feeders := []Feeder{{Name: "a"}}
	for _, tt := range []struct{ rows, want string }{
		{"", "there are no meters in it"},
		{"1,a\n", "line 2: meter: "},
		{"0000000000000001,b\n", `line 2: feeder "b" has no row of the period in the feeders' file`},
		{"0000000000000001,a\n0000000000000001,a\n", "line 3: meter 0000000000000001 is there twice"},
	} {
		if _, err := ReadPlaces(strings.NewReader("meter,feeder\n"+tt.rows), feeders); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %s", tt.rows, err, tt.want)
		}
	}
}

// billOf is a bill as far as this package looks at it.
func billOf(meter int, days string, imported, exported, corrects string) Bill {
	first, last, _ := strings.Cut(days, "-")
	at := func(day string) string {
		if day == "31" {
			return "2018-12-01T00:00:00+01:00"
		}
		return "2018-11-" + day + "T00:00:00+01:00"
	}
	b := Bill{Meter: wattveil.MeterID(meter), Bill: bill.Bill{From: at(first), To: at(last), ImportKWh: imported, ExportKWh: exported, Corrects: corrects}}
	b.JWS = fmt.Sprint(b)
	return b
}

func TestCompare(t *testing.T) {
	from, to := november(t)
	wrong := billOf(3, "01-31", "999.000", "0.000", "")
	hundred := []Feeder{{Name: "a", Energy: tariff.NewDecimal(100_000, 3)}}
	for _, tt := range []struct {
		name   string
		meters int
		bills  []Bill
		want   string
	}{
		{"all billed", 2, []Bill{billOf(1, "01-31", "60.000", "2.000", ""), billOf(2, "01-31", "37.000", "0.000", "")}, "0 95.000 5.000 5.00 false"},
		{"beyond", 2, []Bill{billOf(1, "01-31", "60.000", "2.000", ""), billOf(2, "01-31", "36.999", "0.000", "")}, "0 94.999 5.001 5.00 true"},
		{"more than the feeder", 1, []Bill{billOf(1, "01-31", "106.000", "0.000", "")}, "0 106.000 -6.000 -6.00 true"},
		{"one without", 2, []Bill{billOf(1, "01-31", "100.000", "0.000", "")}, "1 100.000 0.000 0.00 true"},
		{"parts", 1, []Bill{billOf(1, "15-31", "40.000", "0.000", ""), billOf(1, "01-15", "60.000", "0.000", "")}, "0 100.000 0.000 0.00 false"},
		{"a part is missing", 1, []Bill{billOf(1, "01-15", "60.000", "0.000", ""), billOf(1, "16-31", "40.000", "0.000", "")}, "1 100.000 0.000 0.00 true"},
		{"the end is missing", 1, []Bill{billOf(1, "01-30", "100.000", "0.000", "")}, "1 100.000 0.000 0.00 true"},
		{"not told", 1, []Bill{billOf(1, "01-31", "", "0.000", "")}, "1 0 100.000 100.00 true"},
		{"corrected", 3, []Bill{billOf(1, "01-31", "50.000", "0.000", ""), billOf(2, "01-31", "20.000", "0.000", ""), wrong,
			billOf(3, "01-31", "30.000", "0.000", bill.HashOf(wrong.JWS).String())}, "0 100.000 0.000 0.00 false"},
		{"another's", 1, []Bill{billOf(1, "01-31", "100.000", "0.000", ""), billOf(9, "01-31", "1.000", "0.000", "")}, "0 100.000 0.000 0.00 false"},
	} {
		places := make(Places)
		for i := range tt.meters {
			places[wattveil.MeterID(i+1)] = "a"
		}
		results, err := Compare(hundred, places, tt.bills, from, to, tariff.NewDecimal(5, 0))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		r := results[0]
		if got := fmt.Sprintf("%d %s %s %s %t", r.Unbilled, r.BillsKWh, r.Difference, r.Percent, r.Notable); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestCompareOfNothing(t *testing.T) {
	from, to := november(t)
	results, err := Compare([]Feeder{{Name: "a"}, {Name: "b"}}, Places{1: "b"}, []Bill{billOf(1, "01-31", "0.000", "0.000", "")}, from, to, tariff.NewDecimal(5, 0))
	if err != nil {
		t.Fatal(err)
	}
	if a := results[0]; a.Meters != 0 || !a.Notable || a.Percent != "" {
		t.Errorf("a feeder without meters: %+v", a)
	}
	if b := results[1]; b.Notable || b.Percent != "" || b.Difference != "0.000" {
		t.Errorf("a feeder that counted nothing: %+v", b)
	}
}

func TestCompareRefusesOverlaps(t *testing.T) {
	from, to := november(t)
	_, err := Compare([]Feeder{{Name: "a"}}, Places{1: "a"},
		[]Bill{billOf(1, "01-31", "1.000", "0.000", ""), billOf(1, "05-12", "1.000", "0.000", "")}, from, to, tariff.NewDecimal(5, 0))
	if want := "meter 0000000000000001 has two bills for the time from 2018-11-05T00:00:00+01:00: name one tariff with --tariff"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// What is read is of the period, and nothing panics.
func FuzzReadFeeders(f *testing.F) {
	from, to := november(f)
	f.Add(head + "a,2018-11-01,2018-12-01,1,\n")
	f.Add(head + "a,2018-11-01,2018-11-15,1.5,0.5\nb,2018-10-31T23:00:00Z,2018-12-01,3,\na,2018-11-15,2018-12-01,1,\n")
	f.Add("feeder\n")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := ReadFeeders(strings.NewReader(text), from, to)
		for i, feeder := range list {
			if err != nil || feeder.Name == "" || i > 0 && list[i-1].Name >= feeder.Name {
				t.Errorf("feeder %+v, %v", feeder, err)
			}
		}
		if err == nil && len(list) == 0 {
			t.Error("neither feeders nor an error")
		}
	})
}
