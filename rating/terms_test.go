package rating_test

import (
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/rating"
	"github.com/wattveil/wattveil/tariff"
)

// rich has everything that a tariff can have.
const rich = `{"id":"rich","currency":"EUR","timezone":"Europe/Berlin","valid_from":"2016-01-01","valid_to":"2022-01-01",
"seasons":{"summer":[{"from":"04-01","to":"09-30"}],"winter":[{"from":"11-01","to":"02-29"}]},
"holidays":{"dates":["2018-03-30","2018-04-02","2018-05-01","2020-02-12","2018-12-25"]},
"energy":{"bands":{
  "flat":{"tiers":[{"up_to_kwh":"40","import":"0.10"},{"up_to_kwh":"150.505","import":"0.20"},{"import":"0.30"}],"export":"0.05"},
  "spot":{"import_series":"dayahead","export_series":"feedin"},
  "rest":{"import":"0.15","export_series":"feedin"}},
 "default":"flat","windows":[
  {"band":"spot","days":["sat","sun","hol"],"from":"10:00","to":"16:00","seasons":["summer"]},
  {"band":"spot","days":["mon","tue","wed","thu","fri"],"from":"11:30","to":"13:15"},
  {"band":"rest","days":["sun","hol"],"from":"22:00","to":"06:00"}]},
"standing":{"per_month":"9.90"},
"charges":[
  {"kind":"levy","name":"renewables","per_kwh":"0.0679"},
  {"kind":"grid","name":"network","per_kwh":"0.07","bands":["spot","flat"]},
  {"kind":"grid","name":"infeed","per_kwh":"0.002","of":"export"},
  {"kind":"credit","name":"bonus","per_month":"5"},
  {"kind":"credit","name":"green","per_kwh":"0.01","bands":["spot"]},
  {"kind":"grid","name":"meter","per_day":"0.05"}],
"demand":[
  {"name":"peak","minutes":15,"per_kw":"3.5","step_kw":"0.1","seasons":["winter"],"windows":[{"days":["mon","tue","wed","thu","fri"],"from":"17:10","to":"20:00"}],"ratchet":{"percent":"80","months":11}},
  {"name":"night","minutes":30,"per_kw":"0.75","windows":[{"days":["sat","hol"],"from":"22:00","to":"04:30"},{"days":["sun"],"from":"00:00","to":"02:30","seasons":["summer"]}],"ratchet":{"percent":"66.6667","months":2}},
  {"name":"all","minutes":60,"tiers":[{"up_to_kw":"2.5","per_kw":"1"},{"up_to_kw":"4","per_kw":"2"},{"per_kw":"2.2"}]}],
"minimum":{"per_month":"60"},
"taxes":[{"name":"vat","percent":"19"},{"name":"city","percent":"2.5","on":["grid","import","credit"]}]}`

// seriesOf makes prices for the years of the tests, some of them negative.
func seriesOf(t testing.TB, name string, minutes int, from, to string, seed uint64) (*tariff.Series, map[int64]string) {
	t.Helper()
	start, errStart := time.Parse(time.DateOnly, from)
	end, errEnd := time.Parse(time.DateOnly, to)
	if errStart != nil || errEnd != nil {
		t.Fatal(errStart, errEnd)
	}
	rng := rand.New(rand.NewPCG(seed, 8))
	doc := tariff.SeriesDocument{Name: name, Currency: "EUR", From: start.Format(time.RFC3339), Minutes: minutes}
	prices := map[int64]string{}
	for at := start; at.Before(end); at = at.Add(time.Duration(minutes) * time.Minute) {
		text := strings.TrimRight(fmt.Sprintf("%.5f", rng.Float64()*0.4-0.1), "0")
		if text = strings.TrimSuffix(text, "."); text == "-0" {
			text = "0"
		}
		doc.Prices = append(doc.Prices, text)
		prices[at.Unix()] = text
	}
	s, err := tariff.NewSeries(doc)
	if err != nil {
		t.Fatal(err)
	}
	return s, prices
}

func TestRateAgreesWithTheNaiveComputationOfAllTerms(t *testing.T) {
	dayahead, dayaheadPrices := seriesOf(t, "dayahead", 60, "2018-01-01", "2021-01-01", 1)
	feedin, feedinPrices := seriesOf(t, "feedin", 60, "2018-01-01", "2021-01-01", 2)
	variants := []*strings.Replacer{
		strings.NewReplacer(),
		strings.NewReplacer("Europe/Berlin", "America/New_York", `"up_to_kwh":"40"`, `"up_to_kwh":"1.5"`, `"up_to_kwh":"150.505"`, `"up_to_kwh":"4"`, `"export":"0.05"`, `"export":"0.05","tiers_per":"day"`),
		strings.NewReplacer(`"minimum":{"per_month":"60"}`, `"minimum":{"per_day":"9"}`, `"standing":{"per_month":"9.90"}`, `"standing":{"per_day":"0.3"}`),
		strings.NewReplacer(`"taxes":[{"name":"vat","percent":"19"},{"name":"city","percent":"2.5","on":["grid","import","credit"]}]`, `"tax_percent":"8.1"`),
	}
	peaks := []rating.Peak{{Demand: "peak", Month: month(t, "2018-02"), Watts: 9001}, {Demand: "peak", Month: month(t, "2017-02"), Watts: 99001}, {Demand: "night", Month: month(t, "2018-02"), Watts: 7777}, {Demand: "gone", Month: month(t, "2018-02"), Watts: 99999}}
	for i, variant := range variants {
		of := parse(t, variant.Replace(rich))
		for _, period := range [][2]string{
			{"2018-02-01 00:00", "2018-03-01 00:00"},
			{"2018-03-01 00:00", "2018-04-01 00:00"}, // clocks go forward
			{"2018-10-15 00:00", "2018-11-15 00:00"}, // clocks go back
			{"2020-02-10 00:00", "2020-03-11 00:00"}, // with a leap day
			{"2018-12-20 00:00", "2019-02-03 00:00"},
			{"2018-04-01 00:00", "2018-04-08 00:00"},
			{"2018-04-01 17:00", "2018-04-02 11:00"},
		} {
			from, to := local(t, of, period[0]), local(t, of, period[1])
			for _, step := range []time.Duration{5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour} {
				if step == 5*time.Minute && to.Sub(from) > 240*time.Hour {
					continue // the naive computation takes long
				}
				intervals := cover(from, to, step, random(uint64(i)))
				got, err := rating.Request{
					Tariff: of, Intervals: intervals, From: from, To: to, Peaks: peaks, Series: []*tariff.Series{feedin, dayahead},
				}.Rate()
				if err != nil {
					t.Fatal(err)
				}
				n := naiveTerms{naive: *newNaive(t, of), peaks: peaks}
				if h := n.doc.Holidays; h != nil {
					n.holidays = h.Dates
				}
				n.series = map[string]map[int64]string{"dayahead": dayaheadPrices, "feedin": feedinPrices}
				n.step = map[string]int64{"dayahead": 3600, "feedin": 3600}
				n.digests = map[string]string{
					"dayahead": dayahead.Digest(from.Unix(), to.Unix()).String(), "feedin": feedin.Digest(from.Unix(), to.Unix()).String(),
				}
				lines, total := n.rate(intervals)
				if !reflect.DeepEqual(got.Lines, lines) || got.Total != total {
					t.Fatalf("variant %d, %v, %v:\n%s\ntotal %s, want\n%s\ntotal %s", i, period, step, show(got.Lines), got.Total, show(lines), total)
				}
				checkBill(t, of, from, to, got)
			}
		}
	}
}

func month(t testing.TB, s string) tariff.Month {
	t.Helper()
	m, ok := tariff.ParseMonth(s)
	if !ok {
		t.Fatalf("%q is no month", s)
	}
	return m
}

func show(lines []rating.Line) string {
	var s strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&s, "%+v\n", l)
	}
	return s.String()
}

// checkBill makes a bill of lines, which must hold, and sums them up again.
func checkBill(t testing.TB, of *tariff.Tariff, from, to time.Time, rated rating.Rated) {
	t.Helper()
	b := bill.Bill{
		V: bill.Version, Issuer: "Example TTP", Subject: bill.SubjectOf(bill.Salt{}, wattveil.Meter{}),
		Tariff: of.ID(), TariffDigest: of.Digest().String(), Timezone: of.Zone().String(),
		From: bill.Time(from, of.Zone()), To: bill.Time(to, of.Zone()), Currency: of.Currency().String(),
		ImportKWh: rated.ImportKWh(), ExportKWh: rated.ExportKWh(), Total: rated.Total,
		Intervals: 1, ReadingsRoot: bill.Hash{}.String(),
	}
	sum := new(big.Rat)
	for _, l := range rated.Lines {
		b.Lines = append(b.Lines, bill.Line(l))
		amount, ok := new(big.Rat).SetString(l.Amount)
		if !ok {
			t.Fatalf("amount %q", l.Amount)
		}
		sum.Add(sum, amount)
	}
	if err := bill.Check(b); err != nil {
		t.Fatalf("%v in\n%s", err, show(rated.Lines))
	}
	if total, ok := new(big.Rat).SetString(rated.Total); !ok || total.Cmp(sum) != 0 {
		t.Fatalf("the total is %s, the lines come to %s", rated.Total, sum.FloatString(2))
	}
}

// simple is a tariff with one band and one more member.
func simple(t testing.TB, members string) *tariff.Tariff {
	t.Helper()
	return parse(t, `{"id":"s","currency":"CHF","timezone":"Europe/Zurich","valid_from":"2000-01-01",
		"energy":{"bands":{"all":{"import":"0.10"}},"default":"all"},`+members+`}`)
}

// rate rates constant power over a period.
func rate(t testing.TB, of *tariff.Tariff, from, to string, step time.Duration, wh int64) rating.Rated {
	t.Helper()
	a, b := local(t, of, from), local(t, of, to)
	got, err := rating.Rate(of, cover(a, b, step, constant(wh, 0)), a, b)
	if err != nil {
		t.Fatal(err)
	}
	checkBill(t, of, a, b, got)
	return got
}

// line finds the lines of a kind, as quantity, share and amount.
func linesOf(got rating.Rated, kind string) string {
	var list []string
	for _, l := range got.Lines {
		if l.Kind == kind {
			list = append(list, strings.Join(strings.Fields(strings.Join([]string{l.Month, l.Quantity, l.Share, l.Amount, l.Note}, " ")), " "))
		}
	}
	return strings.Join(list, "; ")
}

func TestMonthsAreSharedOutByDays(t *testing.T) {
	of := simple(t, `"standing":{"per_month":"31"}`)
	for _, c := range []struct{ from, to, want string }{
		{"2018-03-01 00:00", "2018-04-01 00:00", "1 31.00"},
		{"2018-02-01 00:00", "2018-03-01 00:00", "1 31.00"},
		{"2018-03-01 00:00", "2018-03-02 00:00", "0.03225806 1.00"},
		{"2018-03-15 00:00", "2018-04-11 00:00", "0.88172043 27.33"},
		{"2020-02-29 00:00", "2020-03-01 00:00", "0.03448276 1.07"},
		{"2018-01-31 00:00", "2019-01-31 00:00", "12 372.00"},
		{"2018-03-25 00:00", "2018-03-26 00:00", "0.03225806 1.00"}, // 23 hours
		{"2018-10-28 00:00", "2018-10-29 00:00", "0.03225806 1.00"}, // 25 hours
	} {
		if got := linesOf(rate(t, of, c.from, c.to, time.Hour, 100), "standing"); got != c.want {
			t.Errorf("%s to %s: %s, want %s", c.from, c.to, got, c.want)
		}
	}
}

// A slot is an hour on the clock; the hour that comes twice is two slots.
func TestDemandOnDaysOfOtherLengths(t *testing.T) {
	of := simple(t, `"demand":[{"name":"d","minutes":60,"per_kw":"10"}]`)
	for _, c := range []struct{ from, to, want string }{
		{"2018-03-25 00:00", "2018-03-26 00:00", "2018-03 4.000 0.03225806 1.29"},
		{"2018-10-28 00:00", "2018-10-29 00:00", "2018-10 4.000 0.03225806 1.29"},
	} {
		if got := linesOf(rate(t, of, c.from, c.to, 15*time.Minute, 1000), "demand"); got != c.want {
			t.Errorf("%s: %s, want %s", c.from, got, c.want)
		}
	}
}

func TestDemandOfLongerIntervals(t *testing.T) {
	of := simple(t, `"demand":[{"name":"d","minutes":15,"per_kw":"1"}]`)
	for _, c := range []struct {
		step time.Duration
		wh   int64
		want string
		min  int
	}{
		{5 * time.Minute, 100, "2018-03 1.200 1.20", 15},
		{15 * time.Minute, 100, "2018-03 0.400 0.40", 15},
		{10 * time.Minute, 100, "2018-03 0.600 0.60 longer-interval", 30},
		{20 * time.Minute, 100, "2018-03 0.300 0.30 longer-interval", 20},
		{12 * time.Minute, 100, "2018-03 0.500 0.50 longer-interval", 60},
		{time.Hour, 100, "2018-03 0.100 0.10 longer-interval", 60},
	} {
		got := rate(t, of, "2018-03-01 00:00", "2018-04-01 00:00", c.step, c.wh)
		if lines := linesOf(got, "demand"); lines != c.want || got.Lines[1].Minutes != c.min {
			t.Errorf("%v: %s over %d min, want %s over %d min", c.step, lines, got.Lines[1].Minutes, c.want, c.min)
		}
	}
}

func TestRatchet(t *testing.T) {
	of := simple(t, `"demand":[{"name":"d","minutes":60,"per_kw":"1","step_kw":"0.1","ratchet":{"percent":"75.5","months":3}}]`)
	from, to := local(t, of, "2018-04-01 00:00"), local(t, of, "2018-05-01 00:00")
	peak := func(m string, watts int64) rating.Peak {
		return rating.Peak{Demand: "d", Month: month(t, m), Watts: watts}
	}
	for name, c := range map[string]struct {
		peaks []rating.Peak
		want  string
	}{
		"none":         {nil, "2018-04 2.000 2.00"},
		"lower":        {[]rating.Peak{peak("2018-03", 2000)}, "2018-04 2.000 2.00"},
		"higher":       {[]rating.Peak{peak("2018-03", 4000), peak("2018-02", 3000)}, "2018-04 3.100 3.10 ratchet"},
		"oldest":       {[]rating.Peak{peak("2018-01", 4000)}, "2018-04 3.100 3.10 ratchet"},
		"too old":      {[]rating.Peak{peak("2017-12", 4000)}, "2018-04 2.000 2.00"},
		"of the same":  {[]rating.Peak{peak("2018-04", 4000)}, "2018-04 2.000 2.00"},
		"of another":   {[]rating.Peak{{Demand: "e", Month: month(t, "2018-03"), Watts: 4000}}, "2018-04 2.000 2.00"},
		"rounded down": {[]rating.Peak{peak("2018-03", 2914)}, "2018-04 2.200 2.20 ratchet"}, // 2200.07 W
		"rounded up":   {[]rating.Peak{peak("2018-03", 2915)}, "2018-04 2.300 2.30 ratchet"}, // 2200.825 W
	} {
		got, err := rating.Request{Tariff: of, Intervals: cover(from, to, time.Hour, constant(2000, 0)), From: from, To: to, Peaks: c.peaks}.Rate()
		if err != nil {
			t.Fatal(err)
		}
		checkBill(t, of, from, to, got)
		if lines := linesOf(got, "demand"); lines != c.want {
			t.Errorf("%s: %s, want %s", name, lines, c.want)
		}
		if want := []rating.Peak{peak("2018-04", 2000)}; !slices.Equal(got.Peaks, want) {
			t.Errorf("%s: measured %v, want %v", name, got.Peaks, want)
		}
	}
}

// A ratchet takes the figures of earlier months as bills tell them. Finer ones
// would come out by and by, from what they hold up.
func TestRatchetTakesWhatIsTold(t *testing.T) {
	of := simple(t, `"demand":[{"name":"d","minutes":60,"per_kw":"1","ratchet":{"percent":"85","months":1}}]`)
	from, middle, to := local(t, of, "2018-03-01 00:00"), local(t, of, "2018-04-01 00:00"), local(t, of, "2018-05-01 00:00")
	intervals := slices.Concat(cover(from, middle, time.Hour, constant(8910, 0)), cover(middle, to, time.Hour, constant(7650, 0)))
	got, err := rating.Request{Tariff: of, Intervals: intervals, From: from, To: to, DemandStep: tariff.NewDecimal(1, 1)}.Rate()
	if err != nil {
		t.Fatal(err)
	}
	if lines := linesOf(got, "demand"); lines != "2018-03 9.000 9.00; 2018-04 7.700 7.70" {
		t.Error(lines) // 85 % of 9.0 are no more than April's own
	}
	if want := []rating.Peak{{Demand: "d", Month: month(t, "2018-03"), Watts: 9000}, {Demand: "d", Month: month(t, "2018-04"), Watts: 7700}}; !slices.Equal(got.Peaks, want) {
		t.Errorf("own figures %v, want %v", got.Peaks, want)
	}
}

// Where a ratchet holds a month up, its line does not tell the own figure. A
// later month that takes it does, once the higher ones are out of reach
// (spec/gate.md section 3).
func TestRatchetTellsWhatWasHeldUp(t *testing.T) {
	of := simple(t, `"demand":[{"name":"d","minutes":60,"per_kw":"1","ratchet":{"percent":"100","months":1}}]`)
	var known []rating.Peak
	for i, want := range []string{"2018-03 10.000 10.00", "2018-04 10.000 10.00 ratchet", "2018-05 6.300 6.30 ratchet"} {
		from := local(t, of, "2018-03-01 00:00").AddDate(0, i, 0)
		to := from.AddDate(0, 1, 0)
		watts := []int64{10_000, 6_260, 1_000}[i]
		got, err := rating.Request{
			Tariff: of, Intervals: cover(from, to, time.Hour, constant(watts, 0)), From: from, To: to, Peaks: known, DemandStep: tariff.NewDecimal(1, 1),
		}.Rate()
		if err != nil {
			t.Fatal(err)
		}
		if lines := linesOf(got, "demand"); lines != want {
			t.Errorf("%s, want %s", lines, want)
		}
		known = append(known, got.Peaks...)
	}
}

// The larger of the tariff's step and the caller's counts.
func TestDemandStep(t *testing.T) {
	for _, c := range []struct{ member, step, want string }{
		{``, "0", "1.234"}, {``, "0.1", "1.300"}, {`"step_kw":"0.25",`, "0.1", "1.250"}, {`"step_kw":"0.01",`, "0.1", "1.300"}, {`"step_kw":"0.01",`, "0", "1.240"},
	} {
		of := simple(t, `"demand":[{"name":"d","minutes":60,`+c.member+`"per_kw":"1"}]`)
		from, to := local(t, of, "2018-04-01 00:00"), local(t, of, "2018-05-01 00:00")
		step, err := tariff.ParseDecimal(c.step)
		if err != nil {
			t.Fatal(err)
		}
		got, err := rating.Request{Tariff: of, Intervals: cover(from, to, time.Hour, constant(1234, 0)), From: from, To: to, DemandStep: step}.Rate()
		if err != nil {
			t.Fatal(err)
		}
		if q := got.Lines[1].Quantity; q != c.want {
			t.Errorf("steps %s and %s: %s, want %s", c.member, c.step, q, c.want)
		}
	}
}

func TestMinimumAndCredit(t *testing.T) {
	// 743 hours of this March × 100 Wh × 0.10 are 7.43.
	for _, c := range []struct{ members, minimum, credit, total string }{
		{`"minimum":{"per_month":"10"}`, "1 2.57", "", "10.00"},
		{`"minimum":{"per_month":"7.43"}`, "", "", "7.43"},
		{`"minimum":{"per_month":"7.434"}`, "", "", "7.43"},
		{`"minimum":{"per_day":"0.5"},"charges":[{"kind":"credit","name":"c","per_month":"20"}]`, "31 8.07", "1 -20.00", "-4.50"},
		{`"minimum":{"per_month":"10"},"tax_percent":"10"`, "1 2.57", "", "11.00"},
	} {
		got := rate(t, simple(t, c.members), "2018-03-01 00:00", "2018-04-01 00:00", time.Hour, 100)
		if m, cr := linesOf(got, "minimum"), linesOf(got, "credit"); m != c.minimum || cr != c.credit || got.Total != c.total {
			t.Errorf("%s: minimum %s, credit %s, total %s", c.members, m, cr, got.Total)
		}
	}
}

// A month of which the tariff has a part costs a part; the parts of a month cut
// at midnights are the whole, to the rounding of each line.
func TestSplittingAtMidnight(t *testing.T) {
	dayahead, _ := seriesOf(t, "dayahead", 60, "2018-01-01", "2019-01-01", 1)
	feedin, _ := seriesOf(t, "feedin", 60, "2018-01-01", "2019-01-01", 2)
	of := parse(t, rich)
	from, to := local(t, of, "2018-10-01 00:00"), local(t, of, "2018-11-01 00:00")
	intervals := cover(from, to, 15*time.Minute, random(9))
	request := rating.Request{Tariff: of, Series: []*tariff.Series{feedin, dayahead}}
	part := func(a, b time.Time) rating.Rated {
		r := request
		r.From, r.To = a, b
		for _, iv := range intervals {
			if iv.Start >= a.Unix() && iv.Start < b.Unix() {
				r.Intervals = append(r.Intervals, iv)
			}
		}
		got, err := r.Rate()
		if err != nil {
			t.Fatal(err)
		}
		checkBill(t, of, a, b, got)
		return got
	}
	whole := part(from, to)
	for day := 1; day < 31; day++ {
		middle := from.AddDate(0, 0, day)
		first, second := part(from, middle), part(middle, to)
		if first.Days+second.Days != whole.Days || first.ImportWh+second.ImportWh != whole.ImportWh || first.ExportWh+second.ExportWh != whole.ExportWh {
			t.Fatalf("split after %d days, the halves differ from the whole", day)
		}
		for i, e := range whole.Energy {
			if first.Energy[i].Import+second.Energy[i].Import != e.Import || first.Energy[i].Export+second.Energy[i].Export != e.Export {
				t.Fatalf("split after %d days, band %s differs", day, e.Band)
			}
		}
		for _, kind := range []string{"standing", "levy"} {
			if sum := amounts(t, first, kind) + amounts(t, second, kind) - amounts(t, whole, kind); sum > 1 || sum < -1 {
				t.Fatalf("split after %d days, %s differs by %d cents", day, kind, sum)
			}
		}
		// Series have no tiers and no peaks: they add up too.
		for _, band := range []string{"spot"} {
			if d := ofBand(t, first, band) + ofBand(t, second, band) - ofBand(t, whole, band); d > 2 || d < -2 {
				t.Fatalf("split after %d days, the cost of band %s differs by %d cents", day, band, d)
			}
		}
	}
}

// amounts sums up the amounts of a kind in cents.
func amounts(t testing.TB, got rating.Rated, kind string) int64 {
	return cents(t, got, func(l rating.Line) bool { return l.Kind == kind })
}

func ofBand(t testing.TB, got rating.Rated, band string) int64 {
	return cents(t, got, func(l rating.Line) bool { return l.Band == band })
}

func cents(t testing.TB, got rating.Rated, is func(rating.Line) bool) int64 {
	t.Helper()
	var sum int64
	for _, l := range got.Lines {
		if !is(l) {
			continue
		}
		n, err := strconv.ParseInt(strings.Replace(l.Amount, ".", "", 1), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	return sum
}

// In whatever order intervals come, with series and demand too.
func TestOrderNeverMattersForAnyTerm(t *testing.T) {
	dayahead, _ := seriesOf(t, "dayahead", 60, "2018-01-01", "2019-01-01", 1)
	feedin, _ := seriesOf(t, "feedin", 60, "2018-01-01", "2019-01-01", 2)
	of := parse(t, rich)
	from, to := local(t, of, "2018-10-27 00:00"), local(t, of, "2018-11-03 00:00")
	request := rating.Request{Tariff: of, From: from, To: to, Series: []*tariff.Series{feedin, dayahead}, Intervals: cover(from, to, 15*time.Minute, random(4))}
	want, err := request.Rate()
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(7, 7))
	for range 50 {
		rng.Shuffle(len(request.Intervals), func(i, j int) {
			request.Intervals[i], request.Intervals[j] = request.Intervals[j], request.Intervals[i]
		})
		if got, err := request.Rate(); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("another order gives\n%s, %v", show(got.Lines), err)
		}
	}
}

func TestRateRefusesSeries(t *testing.T) {
	of := parse(t, strings.Replace(rich, "Europe/Berlin", "Europe/Zurich", 1))
	from, to := local(t, of, "2018-04-01 00:00"), local(t, of, "2018-04-08 00:00")
	good, _ := seriesOf(t, "dayahead", 60, "2018-01-01", "2019-01-01", 1)
	feedin, _ := seriesOf(t, "feedin", 60, "2018-01-01", "2019-01-01", 2)
	halves, _ := seriesOf(t, "dayahead", 30, "2018-01-01", "2019-01-01", 1)
	late, _ := seriesOf(t, "dayahead", 60, "2018-04-02", "2019-01-01", 1)
	early, _ := seriesOf(t, "dayahead", 60, "2018-01-01", "2018-04-07", 1)
	doc := good.Document()
	doc.Currency = "CHF"
	francs, err := tariff.NewSeries(doc)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		series []*tariff.Series
		fault  rating.Fault
		text   string
	}{
		"none":     {nil, rating.ErrNoSeries, "dayahead"},
		"one":      {[]*tariff.Series{good}, rating.ErrNoSeries, "feedin"},
		"late":     {[]*tariff.Series{late, feedin}, rating.ErrNoPrice, "2018-04-01 00:00:00 +02:00"},
		"early":    {[]*tariff.Series{early, feedin}, rating.ErrNoPrice, "2018-04-07 02:00:00 +02:00"},
		"currency": {[]*tariff.Series{francs, feedin}, rating.ErrCurrency, "dayahead"},
		"steps":    {[]*tariff.Series{halves, feedin}, rating.ErrSteps, "dayahead, 2018-04-01 10:00:00 +02:00"},
	} {
		_, err := rating.Request{Tariff: of, Intervals: cover(from, to, time.Hour, constant(7777, 0)), From: from, To: to, Series: c.series}.Rate()
		checkFault(t, err, c.fault, c.text)
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %q", name, err)
		}
	}
}

func TestRateRefusesAfterTheTariff(t *testing.T) {
	of := parse(t, strings.Replace(tou, `"valid_from"`, `"valid_to":"2018-04-01","valid_from"`, 1))
	from, to := local(t, of, "2018-03-31 00:00"), local(t, of, "2018-04-01 00:00")
	if _, err := rating.Rate(of, cover(from, to, time.Hour, constant(1, 0)), from, to); err != nil {
		t.Errorf("the last day: %v", err)
	}
	to = to.Add(time.Hour)
	_, err := rating.Rate(of, cover(from, to, time.Hour, constant(1, 0)), from, to)
	checkFault(t, err, rating.ErrExpired, "the period ends at 2018-04-01 01:00:00 +02:00, the tariff at 2018-04-01 00:00:00 +02:00")
	holidays := parse(t, strings.Replace(tou, `"valid_from"`, `"holidays":{"calendar":"CH-ZH"},"valid_from"`, 1))
	from = local(t, holidays, "2105-12-31 00:00")
	_, err = rating.Rate(holidays, cover(from, from.Add(48*time.Hour), time.Hour, constant(1, 0)), from, from.Add(48*time.Hour))
	if !errors.Is(err, rating.ErrExpired) {
		t.Errorf("a day whose holidays nobody knows: %v", err)
	}
}

// Sums of 128 bits are exact at the ends of their range.
func TestHighestPrices(t *testing.T) {
	from := time.Date(2018, 3, 5, 0, 0, 0, 0, time.UTC)
	for _, price := range []string{"1000000", "-1000000", "0.00000001", "-0.00000001"} {
		s, err := tariff.NewSeries(tariff.SeriesDocument{Name: "s", Currency: "CHF", From: from.Format(time.RFC3339), Minutes: 60, Prices: slices.Repeat([]string{price}, 24)})
		if err != nil {
			t.Fatal(err)
		}
		of := parse(t, `{"id":"s","currency":"CHF","timezone":"UTC","valid_from":"2000-01-01","energy":{"bands":{"all":{"import_series":"s","export_series":"s"}},"default":"all"}}`)
		const most = wattveil.RegisterModulus - 1
		intervals := cover(from, from.AddDate(0, 0, 1), time.Hour, constant(most, most))
		got, err := rating.Request{Tariff: of, Intervals: intervals, From: from, To: from.AddDate(0, 0, 1), Series: []*tariff.Series{s}}.Rate()
		if err != nil {
			t.Fatal(err)
		}
		want, _ := new(big.Rat).SetString(price)
		want.Mul(want, big.NewRat(most, 1000)).Mul(want, big.NewRat(24, 1))
		if got.Lines[0].Amount != want.FloatString(2) || got.Lines[1].Amount != want.Neg(want).FloatString(2) || got.Total != "0.00" {
			t.Errorf("%s: %s", price, show(got.Lines))
		}
	}
}

// A month of 15-minute intervals with everything that a tariff can have.
func BenchmarkRateMonthRich(b *testing.B) {
	of := parse(b, rich)
	dayahead, _ := seriesOf(b, "dayahead", 60, "2018-01-01", "2019-01-01", 1)
	feedin, _ := seriesOf(b, "feedin", 60, "2018-01-01", "2019-01-01", 2)
	from, to := local(b, of, "2018-03-01 00:00"), local(b, of, "2018-04-01 00:00")
	request := rating.Request{Tariff: of, From: from, To: to, Series: []*tariff.Series{feedin, dayahead}, Intervals: cover(from, to, 15*time.Minute, random(1))}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := request.Rate(); err != nil {
			b.Fatal(err)
		}
	}
}
