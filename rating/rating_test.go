package rating_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	_ "time/tzdata"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/rating"
	"github.com/wattveil/wattveil/tariff"
)

const tou = `{"id":"tou-2018","currency":"CHF","timezone":"Europe/Zurich","valid_from":"2018-01-01","energy":{"bands":{"peak":{"import":"0.2860","export":"0.08"},"offpeak":{"import":"0.1780"}},"default":"offpeak","windows":[{"band":"peak","days":["mon","tue","wed","thu","fri"],"from":"07:00","to":"20:00"}]},"standing":{"per_day":"0.30"},"tax_percent":"8.1"}`

func parse(t testing.TB, text string) *tariff.Tariff {
	t.Helper()
	parsed, err := tariff.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// local is a time on the clock of a tariff.
func local(t testing.TB, of *tariff.Tariff, s string) time.Time {
	t.Helper()
	at, err := time.ParseInLocation("2006-01-02 15:04", s, of.Zone())
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// cover divides a period into intervals of so many Wh.
func cover(from, to time.Time, step time.Duration, energy func() (in, out int64)) []wattveil.Interval {
	var list []wattveil.Interval
	for at := from; at.Before(to); at = at.Add(step) {
		in, out := energy()
		list = append(list, wattveil.Interval{
			Start: at.Unix(), End: at.Add(step).Unix(), Import: wattveil.Wh(in), Export: wattveil.Wh(out),
		})
	}
	return list
}

func constant(in, out int64) func() (int64, int64) {
	return func() (int64, int64) { return in, out }
}

func random(seed uint64) func() (int64, int64) {
	rng := rand.New(rand.NewPCG(seed, 1))
	return func() (int64, int64) {
		if rng.IntN(4) == 0 {
			return 0, rng.Int64N(900)
		}
		return rng.Int64N(1500), 0
	}
}

func ExampleRate() {
	t, err := tariff.Parse([]byte(tou))
	if err != nil {
		fmt.Println(err)
		return
	}
	from := time.Date(2018, 3, 5, 0, 0, 0, 0, t.Zone()) // a Monday
	to := from.AddDate(0, 0, 1)
	var intervals []wattveil.Interval
	for at := from; at.Before(to); at = at.Add(time.Hour) {
		intervals = append(intervals, wattveil.Interval{Start: at.Unix(), End: at.Unix() + 3600, Import: 500, Export: 1})
	}
	rated, err := rating.Rate(t, intervals, from, to)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, l := range rated.Lines {
		fmt.Println(l.Kind, l.Band, l.Quantity, l.Unit, l.Price, l.Amount)
	}
	fmt.Println("total", rated.Total)
	// Output:
	// import offpeak 5.500 kWh 0.1780 0.98
	// import peak 6.500 kWh 0.2860 1.86
	// export offpeak 0.011 kWh 0 0.00
	// export peak 0.013 kWh 0.08 0.00
	// standing  1 day 0.30 0.30
	// tax  3.14 CHF 0.081 0.25
	// total 3.39
}

func TestRateAgreesWithTheNaiveComputation(t *testing.T) {
	const windows = `"windows":[{"band":"peak","days":["mon","tue","wed","thu","fri"],"from":"07:00","to":"20:00"}]`
	variants := []*strings.Replacer{
		strings.NewReplacer(),
		strings.NewReplacer("CHF", "JPY", "8.1", "10"),
		strings.NewReplacer("CHF", "KWD", "0.2860", "0.28615"),
		strings.NewReplacer("Europe/Zurich", "America/New_York"),
		strings.NewReplacer("Europe/Zurich", "Australia/Lord_Howe"),
		strings.NewReplacer(windows, `"windows":[{"band":"peak","days":["fri","sun"],"from":"22:30","to":"02:30"}]`),
		strings.NewReplacer(`,"standing":{"per_day":"0.30"},"tax_percent":"8.1"`, ""),
	}
	for i, variant := range variants {
		of := parse(t, variant.Replace(tou))
		for _, period := range [][2]string{
			{"2018-02-01 00:00", "2018-03-01 00:00"},
			{"2018-03-01 00:00", "2018-05-01 00:00"}, // clocks go forward in the north, back in the south
			{"2018-09-15 00:00", "2018-11-15 00:00"},
			{"2018-06-07 13:30", "2018-06-07 14:30"},
			{"2018-06-07 23:30", "2018-06-08 00:30"},
		} {
			from, to := local(t, of, period[0]), local(t, of, period[1])
			for _, step := range []time.Duration{5 * time.Minute, 15 * time.Minute, 30 * time.Minute} {
				intervals := cover(from, to, step, random(uint64(i)))
				got, err := rating.Rate(of, intervals, from, to)
				if err != nil {
					t.Fatal(err)
				}
				lines, total := newNaive(t, of).rate(intervals)
				if !reflect.DeepEqual(got.Lines, lines) || got.Total != total {
					t.Fatalf("variant %d, %v, %v:\n%+v %s\nwant\n%+v %s", i, period, step, got.Lines, got.Total, lines, total)
				}
			}
		}
	}
}

func TestDaysOfOtherLengths(t *testing.T) {
	of := parse(t, tou)
	for _, c := range []struct {
		day, next       string
		intervals       int
		offpeak, onpeak string
	}{
		{"2018-03-24 00:00", "2018-03-25 00:00", 96, "9.600", "0.000"},
		{"2018-03-25 00:00", "2018-03-26 00:00", 92, "9.200", "0.000"},
		{"2018-10-28 00:00", "2018-10-29 00:00", 100, "10.000", "0.000"},
		{"2018-10-29 00:00", "2018-10-30 00:00", 96, "4.400", "5.200"},
	} {
		from, to := local(t, of, c.day), local(t, of, c.next)
		intervals := cover(from, to, 15*time.Minute, constant(100, 0))
		if len(intervals) != c.intervals {
			t.Fatalf("%s has %d intervals, want %d", c.day, len(intervals), c.intervals)
		}
		got, err := rating.Rate(of, intervals, from, to)
		if err != nil {
			t.Fatal(err)
		}
		if got.Days != 1 || got.Lines[0].Quantity != c.offpeak || got.Lines[1].Quantity != c.onpeak {
			t.Errorf("%s: %d days, lines %+v", c.day, got.Days, got.Lines)
		}
	}
}

// A tariff without a credit for exports shows them and pays nothing; zero is
// never negative.
func TestZeros(t *testing.T) {
	of := parse(t, strings.Replace(tou, `,"export":"0.08"`, ``, 1))
	from, to := local(t, of, "2018-03-05 00:00"), local(t, of, "2018-03-06 00:00")
	got, err := rating.Rate(of, cover(from, to, time.Hour, constant(0, 1)), from, to)
	if err != nil {
		t.Fatal(err)
	}
	want := []rating.Line{
		{Kind: "import", Band: "offpeak", Quantity: "0.000", Unit: "kWh", Price: "0.1780", Amount: "0.00"},
		{Kind: "import", Band: "peak", Quantity: "0.000", Unit: "kWh", Price: "0.2860", Amount: "0.00"},
		{Kind: "export", Band: "offpeak", Quantity: "0.011", Unit: "kWh", Price: "0", Amount: "0.00"},
		{Kind: "export", Band: "peak", Quantity: "0.013", Unit: "kWh", Price: "0", Amount: "0.00"},
		{Kind: "standing", Quantity: "1", Unit: "day", Price: "0.30", Amount: "0.30"},
		{Kind: "tax", Quantity: "0.30", Unit: "CHF", Price: "0.081", Amount: "0.02"},
	}
	if !reflect.DeepEqual(got.Lines, want) || got.Total != "0.32" {
		t.Errorf("lines %+v, total %s", got.Lines, got.Total)
	}
}

func TestEnergy(t *testing.T) {
	of := parse(t, tou)
	from, to := local(t, of, "2018-03-05 00:00"), local(t, of, "2018-03-06 00:00")
	got, err := rating.Rate(of, cover(from, to, time.Hour, constant(500, 1)), from, to)
	if err != nil {
		t.Fatal(err)
	}
	if int64(got.ImportWh) != 12000 || int64(got.ExportWh) != 24 || got.ImportKWh() != "12.000" || got.ExportKWh() != "0.024" {
		t.Errorf("imported %d Wh, %s kWh, exported %d Wh, %s kWh", int64(got.ImportWh), got.ImportKWh(), int64(got.ExportWh), got.ExportKWh())
	}
	want := []rating.Energy{{Band: "offpeak", Import: 5500, Export: 11}, {Band: "peak", Import: 6500, Export: 13}}
	if !reflect.DeepEqual(got.Energy, want) {
		t.Error("the energies of the bands differ")
	}
}

// Splitting a period at a midnight changes no energy and no count of days, and
// a bill of rated lines holds.
func TestSplittingChangesNoEnergy(t *testing.T) {
	of, err := tariff.Builtin("Europe/Zurich")
	if err != nil {
		t.Fatal(err)
	}
	from, to := local(t, of, "2018-03-01 00:00"), local(t, of, "2018-04-01 00:00")
	intervals := cover(from, to, 15*time.Minute, random(9))
	whole, err := rating.Rate(of, intervals, from, to)
	if err != nil {
		t.Fatal(err)
	}
	for day := 1; day < 31; day++ {
		middle := from.AddDate(0, 0, day)
		at := slices.IndexFunc(intervals, func(iv wattveil.Interval) bool { return iv.Start == middle.Unix() })
		first, errFirst := rating.Rate(of, intervals[:at], from, middle)
		second, errSecond := rating.Rate(of, intervals[at:], middle, to)
		if errFirst != nil || errSecond != nil {
			t.Fatal(errFirst, errSecond)
		}
		if first.Days+second.Days != whole.Days || first.ImportWh+second.ImportWh != whole.ImportWh || first.ExportWh+second.ExportWh != whole.ExportWh {
			t.Fatalf("split after %d days, the halves differ from the whole", day)
		}
		for i, e := range whole.Energy {
			a, b := first.Energy[i], second.Energy[i]
			if a.Import+b.Import != e.Import || a.Export+b.Export != e.Export {
				t.Fatalf("split after %d days, band %s differs", day, e.Band)
			}
		}
	}
}

// The lines convert to those of a bill, and the bill holds.
func TestRatedLinesMakeABill(t *testing.T) {
	of := parse(t, tou)
	from, to := local(t, of, "2018-03-01 00:00"), local(t, of, "2018-04-01 00:00")
	for seed := range uint64(20) {
		rated, err := rating.Rate(of, cover(from, to, 15*time.Minute, random(seed)), from, to)
		if err != nil {
			t.Fatal(err)
		}
		b := bill.Bill{
			V: bill.Version, Issuer: "Example TTP", Subject: bill.SubjectOf(bill.Salt{}, wattveil.Meter{}),
			Tariff: of.ID(), TariffDigest: of.Digest().String(), Timezone: of.Zone().String(),
			From: bill.Time(from, of.Zone()), To: bill.Time(to, of.Zone()), Currency: of.Currency().String(),
			ImportKWh: rated.ImportKWh(), ExportKWh: rated.ExportKWh(), Total: rated.Total,
			Intervals: 1, ReadingsRoot: bill.Hash{}.String(),
		}
		for _, l := range rated.Lines {
			b.Lines = append(b.Lines, bill.Line(l))
		}
		if err := bill.Check(b); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

func benchmarkMonth(tb testing.TB) (*tariff.Tariff, []wattveil.Interval, time.Time, time.Time) {
	of, err := tariff.Builtin("Europe/Zurich")
	if err != nil {
		tb.Fatal(err)
	}
	from, to := local(tb, of, "2018-03-01 00:00"), local(tb, of, "2018-04-01 00:00")
	return of, cover(from, to, 15*time.Minute, random(1)), from, to
}

// The number of allocations does not depend on the number of intervals.
func TestIntervalsCostNoAllocation(t *testing.T) {
	of, month, from, to := benchmarkMonth(t)
	count := func(n int) float64 {
		end := to
		if n < len(month) {
			end = time.Unix(month[n].Start, 0)
		}
		return testing.AllocsPerRun(10, func() {
			if _, err := rating.RateAt(of, 900, month[:n], from, end); err != nil {
				t.Error(err)
			}
		})
	}
	if day, all := count(96), count(len(month)); all > day+4 {
		t.Errorf("%v allocations for a month, %v for a day", all, day)
	}
}

// A month of 15-minute intervals, three bands, import and export.
func BenchmarkRateMonth(b *testing.B) {
	of, month, from, to := benchmarkMonth(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := rating.Rate(of, month, from, to); err != nil {
			b.Fatal(err)
		}
	}
}
