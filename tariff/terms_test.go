package tariff_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wattveil/wattveil/tariff"
)

// full is a tariff with every member that there is.
const full = `{"id":"full","currency":"EUR","timezone":"Europe/Berlin","valid_from":"2018-01-01","valid_to":"2020-01-01","replaces":"older",
"seasons":{"summer":[{"from":"04-01","to":"09-30"}],"winter":[{"from":"10-01","to":"03-31"}]},
"holidays":{"calendar":"DE-BY","when":"actual","dates":["2018-12-24"],"except":["2018-10-03"]},
"energy":{"bands":{
  "flat":{"tiers":[{"up_to_kwh":"100","import":"0.10"},{"up_to_kwh":"250.5","import":"0.20"},{"import":"0.30"}],"tiers_per":"month","export":"0.05"},
  "spot":{"import_series":"dayahead","export_series":"feedin"},
  "rest":{"import":"0.15"}},
 "default":"flat","windows":[
  {"band":"spot","days":["sat","sun","hol"],"from":"10:00","to":"16:00","seasons":["summer"]},
  {"band":"rest","days":["sun","hol"],"from":"22:00","to":"06:00"}]},
"standing":{"per_month":"9.90"},
"charges":[
  {"kind":"levy","name":"renewables","per_kwh":"0.0679"},
  {"kind":"grid","name":"network","per_kwh":"0.07","bands":["spot","flat"]},
  {"kind":"grid","name":"infeed","per_kwh":"0.002","of":"export"},
  {"kind":"credit","name":"bonus","per_month":"5"},
  {"kind":"grid","name":"meter","per_day":"0.05"}],
"demand":[
  {"name":"peak","minutes":15,"per_kw":"3.5","step_kw":"0.1","seasons":["winter"],"windows":[{"days":["mon","tue","wed","thu","fri"],"from":"17:00","to":"20:00"}],"ratchet":{"percent":"80","months":11}},
  {"name":"all","minutes":60,"tiers":[{"up_to_kw":"10","per_kw":"1"},{"per_kw":"2"}]}],
"minimum":{"per_day":"0.40"},
"taxes":[{"name":"vat","percent":"19"},{"name":"city","percent":"2.5","on":["grid","import"]}],
"notes":[{"member":"dgrules","text":"not applied"}]}`

func TestEveryMemberIsRead(t *testing.T) {
	got := parse(t, full)
	if end, ok := got.ValidTo(); !ok || !end.Equal(time.Date(2019, 12, 31, 23, 0, 0, 0, time.UTC)) || got.Replaces() != "older" {
		t.Errorf("valid to %v, replaces %q", end, got.Replaces())
	}
	var rates []string
	for i := range got.Bands() {
		r := got.Rate(i)
		s := fmt.Sprintf("%s %s %s %q %q", r.Band, r.Import, r.Export, r.ImportSeries, r.ExportSeries)
		for _, tier := range r.Tiers {
			s += fmt.Sprintf(" %s@%s", tier.UpTo, tier.Price)
		}
		rates = append(rates, s)
	}
	if want := []string{`flat 0.10 0.05 "" "" 100@0.10 250.5@0.20 0@0.30`, `rest 0.15 0 "" ""`, `spot 0 0 "dayahead" "feedin"`}; !reflect.DeepEqual(rates, want) {
		t.Errorf("rates\n%q, want\n%q", rates, want)
	}
	if want := []string{"dayahead", "feedin"}; !slices.Equal(got.Series(), want) {
		t.Errorf("series %q, want %q", got.Series(), want)
	}
	var charges []string
	for _, c := range got.Charges() {
		charges = append(charges, fmt.Sprint(c.Kind, " ", c.Name, " ", c.Fee.Price, " ", c.Fee.Per, " ", c.Export, " ", c.Bands))
	}
	if want := []string{"grid infeed 0.002 1 true [0 1 2]", "grid meter 0.05 2 false []", "grid network 0.07 1 false [0 2]", "levy renewables 0.0679 1 false [0 1 2]", "credit bonus 5 3 false []"}; !slices.Equal(charges, want) {
		t.Errorf("charges %q, want %q", charges, want)
	}
	demands := got.Demands()
	if len(demands) != 2 || demands[0].Name != "all" || len(demands[0].Tiers) != 2 || demands[1].Length != 15*time.Minute ||
		demands[1].Step.String() != "0.1" || demands[1].Ratchet.Fraction.String() != "0.80" || demands[1].Ratchet.Months != 11 {
		t.Errorf("demands %+v", demands)
	}
	if fee, ok := got.Minimum(); !ok || fee.Price.String() != "0.40" || fee.Per != tariff.PerDay {
		t.Errorf("minimum %v", fee)
	}
	if taxes := got.Taxes(); len(taxes) != 2 || taxes[0].Name != "city" || !slices.Equal(taxes[0].On, []string{"import", "grid"}) || taxes[1].On != nil {
		t.Errorf("taxes %+v", taxes)
	}
}

// The canonical form of a tariff with every member is sorted at every level
// and reads as the same tariff, and no document shares memory with it.
func TestEveryMemberIsCanonical(t *testing.T) {
	got := parse(t, full)
	canonical, err := got.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var members any
	if err := json.Unmarshal(canonical, &members); err != nil {
		t.Fatal(err)
	}
	if sorted, err := json.Marshal(members); err != nil || string(sorted) != string(canonical) {
		t.Errorf("members are not sorted:\n%s\nwant\n%s", canonical, sorted)
	}
	again := parse(t, string(canonical))
	if again.Digest() != got.Digest() || !reflect.DeepEqual(again.Document(), got.Document()) {
		t.Error("the canonical form reads as another tariff")
	}
	doc := got.Document()
	doc.Seasons["summer"][0].From = "05-01"
	doc.Holidays.Dates[0] = "2018-12-31"
	doc.Energy.Bands["flat"].Tiers[0].Import = "9"
	doc.Energy.Windows[0].Seasons[0] = "winter"
	doc.Charges[1].Bands[0] = "rest"
	doc.Demand[0].Windows[0].Days[0] = "sun"
	doc.Demand[0].Ratchet.Months = 1
	doc.Demand[1].Tiers[0].PerKW = "9"
	doc.Taxes[1].On[0] = "levy"
	doc.Minimum.PerDay, doc.Standing.PerMonth, doc.Notes[0].Text = "9", "9", "x"
	if again, _ := got.MarshalJSON(); string(again) != string(canonical) {
		t.Errorf("the tariff changed with its document: %s", again)
	}
}

// Each edit of the full tariff is refused at one path, for one reason.
func TestParseRefusesTerms(t *testing.T) {
	const tiers = `[{"up_to_kwh":"100","import":"0.10"},{"up_to_kwh":"250.5","import":"0.20"},{"import":"0.30"}]`
	for name, c := range map[string]struct{ old, new, path, reason string }{
		"valid_to before":        {`"valid_to":"2020-01-01"`, `"valid_to":"2018-01-01"`, "valid_to", "is not after valid_from"},
		"replaces itself":        {`"replaces":"older"`, `"replaces":"full"`, "replaces", "own id"},
		"replaces nothing":       {`"replaces":"older"`, `"replaces":"-"`, "replaces", "is not a tariff's id"},
		"seasons share a day":    {`{"from":"10-01","to":"03-31"}`, `{"from":"09-30","to":"03-31"}`, "seasons.winter[0]", "shares 09-30 with season summer"},
		"season's day":           {`"from":"04-01"`, `"from":"04-31"`, "seasons.summer[0].from", "is not a day of the year"},
		"season's name":          {`"summer":[`, `"sum mer":[],"summer":[`, `seasons["sum mer"]`, "is empty"},
		"season unknown":         {`"seasons":["summer"]`, `"seasons":["spring"]`, "energy.windows[0].seasons[0]", "no season is named"},
		"season twice":           {`"seasons":["summer"]`, `"seasons":["summer","summer"]`, "energy.windows[0].seasons[1]", "names summer again"},
		"no season":              {`"seasons":["summer"]`, `"seasons":[]`, "energy.windows[0].seasons", "is empty"},
		"calendar unknown":       {`"DE-BY"`, `"DE-XX"`, "holidays.calendar", "is not a calendar known here"},
		"when unknown":           {`"actual"`, `"sometimes"`, "holidays.when", "is not known"},
		"holiday twice":          {`["2018-12-24"]`, `["2018-12-24","2018-12-24"]`, "holidays.dates[1]", "names 2018-12-24 again"},
		"holiday no date":        {`["2018-12-24"]`, `["12-24"]`, "holidays.dates[0]", "is not a date"},
		"no price":               {`"rest":{"import":"0.15"}`, `"rest":{"export":"0.15"}`, "energy.bands.rest.import", "is missing"},
		"two prices":             {`"rest":{"import":"0.15"}`, `"rest":{"import":"0.15","import_series":"x"}`, "energy.bands.rest", "has several of"},
		"two credits":            {`"export":"0.05"`, `"export":"0.05","export_series":"x"`, "energy.bands.flat", "has both"},
		"series' name":           {`"dayahead"`, `"day ahead"`, "energy.bands.spot.import_series", "is not a series' name"},
		"one tier":               {tiers, `[{"import":"0.1"}]`, "energy.bands.flat.tiers", "has 1 tiers"},
		"tier without end":       {`{"up_to_kwh":"100","import"`, `{"import"`, "energy.bands.flat.tiers[0].up_to_kwh", "is missing"},
		"tier of nothing":        {`"up_to_kwh":"100"`, `"up_to_kwh":"0"`, "energy.bands.flat.tiers[0].up_to_kwh", "is 0"},
		"tiers falling":          {`"250.5"`, `"99"`, "energy.bands.flat.tiers[1].up_to_kwh", "is not above the tier before"},
		"tier too fine":          {`"250.5"`, `"250.0005"`, "energy.bands.flat.tiers[1].up_to_kwh", "has 4 decimals"},
		"last tier ends":         {`{"import":"0.30"}`, `{"import":"0.30","up_to_kwh":"900"}`, "energy.bands.flat.tiers[2].up_to_kwh", "ends the last tier"},
		"tiers per week":         {`"tiers_per":"month"`, `"tiers_per":"week"`, "energy.bands.flat.tiers_per", "is not known"},
		"tiers_per alone":        {`"rest":{"import":"0.15"}`, `"rest":{"import":"0.15","tiers_per":"day"}`, "energy.bands.rest.tiers_per", "stands without tiers"},
		"two standing":           {`"standing":{"per_month":"9.90"}`, `"standing":{"per_month":"9.90","per_day":"1"}`, "standing", "has both"},
		"charge kind":            {`"kind":"levy"`, `"kind":"fee"`, "charges[0].kind", "is not known"},
		"charge name":            {`"renewables"`, `"re new"`, "charges[0].name", "is not a name"},
		"charge name twice":      {`"infeed"`, `"network"`, "charges[2].name", "names a grid charge again"},
		"charge without price":   {`,"per_month":"5"`, ``, "charges[3].per_kwh", "is missing"},
		"charge of two prices":   {`"per_month":"5"`, `"per_month":"5","per_day":"1"`, "charges[3]", "has several of"},
		"charge of what":         {`"of":"export"`, `"of":"sun"`, "charges[2].of", "is not known"},
		"charge's band":          {`"bands":["spot","flat"]`, `"bands":["spot","day"]`, "charges[1].bands[1]", "no band is named"},
		"charge's band twice":    {`"bands":["spot","flat"]`, `"bands":["spot","spot"]`, "charges[1].bands[1]", "names spot again"},
		"bands without energy":   {`"per_month":"5"`, `"per_month":"5","bands":["spot"]`, "charges[3]", "without per_kwh"},
		"demand name twice":      {`"name":"all"`, `"name":"peak"`, "demand[1].name", "names a demand charge again"},
		"demand minutes":         {`"minutes":60`, `"minutes":20`, "demand[1].minutes", "is 20"},
		"demand minutes text":    {`"minutes":60`, `"minutes":"60"`, "demand[1].minutes", "is a string"},
		"demand minutes point":   {`"minutes":60`, `"minutes":60.0`, "demand[1].minutes", "is not a whole number"},
		"demand two prices":      {`"per_kw":"3.5"`, `"per_kw":"3.5","tiers":[{"up_to_kw":"1","per_kw":"1"},{"per_kw":"2"}]`, "demand[0]", "has both"},
		"demand no price":        {`"per_kw":"3.5",`, ``, "demand[0].per_kw", "is missing"},
		"demand step":            {`"step_kw":"0.1"`, `"step_kw":"0"`, "demand[0].step_kw", "is 0"},
		"demand window's day":    {`["mon","tue","wed","thu","fri"]`, `["mon","day"]`, "demand[0].windows[0].days[1]", "is not a day"},
		"ratchet of nothing":     {`"percent":"80"`, `"percent":"0"`, "demand[0].ratchet.percent", "is 0"},
		"ratchet months":         {`"months":11`, `"months":25`, "demand[0].ratchet.months", "is 25"},
		"two minimums":           {`"per_day":"0.40"`, `"per_day":"0.40","per_month":"9"`, "minimum", "has both"},
		"tax twice":              {`"name":"city"`, `"name":"vat"`, "taxes[1].name", "names a tax again"},
		"tax on what":            {`"on":["grid","import"]`, `"on":["grid","tax"]`, "taxes[1].on[1]", "is not known"},
		"tax on twice":           {`"on":["grid","import"]`, `"on":["grid","grid"]`, "taxes[1].on[1]", "names grid again"},
		"two kinds of taxes":     {`"taxes"`, `"tax_percent":"8","taxes"`, "taxes", "stands beside tax_percent"},
		"note's text":            {`"not applied"`, `"not \"applied\""`, "notes[0].text", "is not plain text"},
		"note's member":          {`"member":"dgrules"`, `"member":"dg rules"`, "notes[0].member", "is not a name"},
		"no charges":             {full[strings.Index(full, `"charges":[`):strings.Index(full, `"demand":`)], `"charges":[],`, "charges", "is empty"},
		"overlap after a season": {`{"band":"rest","days":["sun","hol"],"from":"22:00","to":"06:00"}`, `{"band":"rest","days":["fri"],"from":"22:00","to":"10:01"}`, "energy.windows[1]", "overlaps energy.windows[0] on sat in summer at 10:00"},
		"overlap on a holiday":   {`{"band":"rest","days":["sun","hol"],"from":"22:00","to":"06:00"}`, `{"band":"rest","days":["wed"],"from":"22:00","to":"10:30"}`, "energy.windows[1]", "overlaps energy.windows[0] on hol in summer at 10:00"},
	} {
		t.Run(name, func(t *testing.T) {
			if strings.Count(full, c.old) != 1 {
				t.Fatalf("the tariff has %q %d times", c.old, strings.Count(full, c.old))
			}
			refused(t, strings.Replace(full, c.old, c.new, 1), c.path, c.reason)
		})
	}
}

// A holiday needs to be said, and what never applies is refused.
func TestHolidaysAndSeasonsMustCome(t *testing.T) {
	refused(t, strings.Replace(tou, `"fri"`, `"fri","hol"`, 1), "energy.windows[0].days[5]", "names holidays, of which the tariff has none")
	refused(t, strings.Replace(tou, `"standing"`, `"demand":[{"name":"d","minutes":15,"per_kw":"1","windows":[{"days":["mon"],"from":"00:00","to":"24:00","seasons":["leap"]}],"seasons":["rest"]}],
		"seasons":{"leap":[{"from":"02-29","to":"02-29"}],"rest":[{"from":"03-01","to":"02-28"}]},"standing"`, 1),
		"demand[0].windows[0].seasons", "has no season that the charge has")
}

// naiveDay is the type and season of a local day, from the words of the
// document and a list of holidays.
type naiveDay struct {
	doc      tariff.Document
	holidays []string
}

func (n naiveDay) at(t time.Time) (dayType, season string) {
	date := t.Format(time.DateOnly)
	dayType = strings.ToLower(t.Weekday().String()[:3])
	if slices.Contains(n.holidays, date) {
		dayType = "hol"
	}
	for name, ranges := range n.doc.Seasons {
		for _, r := range ranges {
			md := date[5:]
			if r.From <= r.To && md >= r.From && md <= r.To || r.From > r.To && (md >= r.From || md <= r.To) {
				season = name
			}
		}
	}
	return dayType, season
}

func (n naiveDay) band(t time.Time) string {
	clock := t.Format("15:04")
	y, m, d := t.Date()
	today := time.Date(y, m, d, 12, 0, 0, 0, time.UTC)
	covers := func(w tariff.Window, day time.Time) bool {
		dayType, season := n.at(day)
		return slices.Contains(w.Days, dayType) && (w.Seasons == nil || slices.Contains(w.Seasons, season))
	}
	for _, w := range n.doc.Energy.Windows {
		late := w.From > w.To
		if covers(w, today) && clock >= w.From && (late || clock < w.To) || late && covers(w, today.AddDate(0, 0, -1)) && clock < w.To {
			return w.Band
		}
	}
	return n.doc.Energy.Default
}

func TestBandAgreesWithSeasonsAndHolidays(t *testing.T) {
	got := parse(t, full)
	n := naiveDay{doc: got.Document(), holidays: bavaria2018()}
	rng := rand.New(rand.NewPCG(1, 2))
	start := time.Date(2018, 1, 1, 0, 0, 0, 0, got.Zone())
	for at := start; at.Year() == 2018; at = at.Add(time.Duration(1+rng.IntN(40)) * time.Minute) {
		if band, want := got.Band(at), n.band(at); band != want {
			t.Fatalf("band %s at %v, want %s", band, at, want)
		}
	}
}

// bavaria2018 are the public holidays of all of Bavaria in 2018 (Assumption is
// one in some of its towns only), and the changes of the tariff.
func bavaria2018() []string {
	return []string{
		"2018-01-01", "2018-01-06", "2018-03-30", "2018-04-02", "2018-05-01", "2018-05-10", "2018-05-21", "2018-05-31",
		"2018-11-01", "2018-12-25", "2018-12-26", // 2018-10-03 is taken out
		"2018-12-24", // put in
	}
}

func TestObservedHolidays(t *testing.T) {
	const text = `{"id":"us","currency":"USD","timezone":"America/New_York","valid_from":"2020-01-01","holidays":{"calendar":"US","when":"observed"},
		"energy":{"bands":{"work":{"import":"1"},"free":{"import":"2"}},"default":"free","windows":[{"band":"work","days":["mon","tue","wed","thu","fri"],"from":"00:00","to":"24:00"}]}}`
	observed, actual := parse(t, text), parse(t, strings.Replace(text, "observed", "actual", 1))
	for date, want := range map[string][2]string{ // observed, actual
		"2020-07-03": {"free", "work"}, // Independence Day was a Saturday
		"2021-07-05": {"free", "work"}, // a Sunday
		"2021-12-31": {"free", "work"}, // New Year's Day of 2022 was a Saturday
		"2020-12-25": {"free", "free"},
		"2020-12-28": {"work", "work"},
	} {
		at, err := time.ParseInLocation(time.DateOnly, date, observed.Zone())
		if err != nil {
			t.Fatal(err)
		}
		if got := [2]string{observed.Band(at), actual.Band(at)}; got != want {
			t.Errorf("%s: %q, want %q", date, got, want)
		}
	}
	if end, ok := actual.PricesTo(); !ok || end.Year() != 2106 {
		t.Errorf("prices to %v", end)
	}
}

// A season across the new year, and the day that comes in leap years only.
func TestSeasonsOfLeapYears(t *testing.T) {
	const text = `{"id":"s","currency":"USD","timezone":"UTC","valid_from":"2000-01-01","seasons":{"leap":[{"from":"02-29","to":"02-29"}],"cold":[{"from":"12-01","to":"02-28"}]},
		"energy":{"bands":{"warm":{"import":"1"},"cold":{"import":"2"},"leap":{"import":"3"}},"default":"warm","windows":[
		{"band":"leap","days":["mon","tue","wed","thu","fri","sat","sun"],"from":"00:00","to":"24:00","seasons":["leap"]},
		{"band":"cold","days":["mon","tue","wed","thu","fri","sat","sun"],"from":"00:00","to":"24:00","seasons":["cold"]}]}}`
	got := parse(t, text)
	for date, want := range map[string]string{
		"2019-11-30": "warm", "2019-12-01": "cold", "2020-01-01": "cold", "2020-02-28": "cold", "2020-02-29": "leap",
		"2020-03-01": "warm", "2021-02-28": "cold", "2021-03-01": "warm", "2100-02-28": "cold", "2100-03-01": "warm",
	} {
		at, err := time.Parse(time.DateOnly, date)
		if err != nil {
			t.Fatal(err)
		}
		if band := got.Band(at); band != want {
			t.Errorf("%s: %s, want %s", date, band, want)
		}
	}
}

func TestSpansSayWhichDemandsApply(t *testing.T) {
	got := parse(t, full) // 0 is "all", 1 is "peak": winter weekdays from 17:00 to 20:00
	cursor := got.Cursor()
	for at, want := range map[string]uint16{
		"2018-01-08 16:59": 1, "2018-01-08 17:00": 3, "2018-01-08 20:00": 1, "2018-01-06 18:00": 1, "2018-07-09 18:00": 1,
	} {
		local, err := time.ParseInLocation("2006-01-02 15:04", at, got.Zone())
		if err != nil {
			t.Fatal(err)
		}
		if span := cursor.Span(local.Unix()); span.Demands != want {
			t.Errorf("%s: demands %b, want %b", at, span.Demands, want)
		}
	}
	first := time.Date(2018, 6, 1, 0, 0, 0, 0, time.UTC).Unix() / 86400
	if got.HasDemandOn(1, first) || !got.HasDemandOn(0, first) || !got.HasDemandOn(1, first+200) {
		t.Error("the seasons of demand differ")
	}
}

func TestAdvise(t *testing.T) {
	var list []string
	for _, p := range parse(t, full).Advise() {
		list = append(list, p.Path)
	}
	if want := []string{"demand[1].step_kw"}; !slices.Equal(list, want) {
		t.Errorf("advice on %q, want %q", list, want)
	}
	for _, tt := range []struct{ change, to, want string }{
		// Four bands tell four imports and four exports; a fifth is too much, but
		// not if it comes in a season of its own in the place of another.
		{``, ``, ""},
		{`"seasons":["spring"]`, `"seasons":["autumn"]`, "a bill of 2018-01 tells 10 quantities, a TTP tells at most 8"},
		{`"demand":[`, `"demand":[{"name":"five","minutes":15,"per_kw":"1","step_kw":"1"},`, "has 5 charges in 2018-01, a TTP tells at most 4 figures a month"},
	} {
		var reasons []string
		for _, p := range parse(t, strings.Replace(manyBands, tt.change, tt.to, 1)).Advise() {
			reasons = append(reasons, p.Reason)
		}
		if got := strings.Join(reasons, "; "); got != tt.want {
			t.Errorf("with %s: advice %q, want %q", tt.to, got, tt.want)
		}
	}
	// One hour on the first Monday is all that a band has in some months.
	short := strings.Replace(tou, `"days":["mon","tue","wed","thu","fri"],"from":"07:00","to":"20:00"`, `"days":["mon"],"from":"07:00","to":"07:45"`, 1)
	advice := parse(t, short).Advise()
	if len(advice) != 1 || advice[0].Path != "energy.bands.peak" || !strings.Contains(advice[0].Reason, "applies for 3h0m0s only in 2018-02") {
		t.Errorf("advice %v", advice)
	}
	if advice := parse(t, tou).Advise(); len(advice) > 0 {
		t.Errorf("advice %v on a plain tariff", advice)
	}
}

// manyBands has four bands in each season, and four demand charges.
const manyBands = `{"id":"many","currency":"EUR","timezone":"Europe/Berlin","valid_from":"2018-01-01",
"seasons":{"spring":[{"from":"03-01","to":"05-31"}],"autumn":[{"from":"06-01","to":"02-29"}]},
"energy":{"bands":{"a":{"import":"0.1"},"b":{"import":"0.2"},"c":{"import":"0.3"},"d":{"import":"0.4"},"e":{"import":"0.5"}},"default":"a","windows":[
  {"band":"b","days":["mon"],"from":"06:00","to":"12:00"},
  {"band":"c","days":["tue"],"from":"06:00","to":"12:00"},
  {"band":"d","days":["wed"],"from":"06:00","to":"12:00","seasons":["spring"]},
  {"band":"e","days":["thu"],"from":"06:00","to":"12:00","seasons":["autumn"]}]},
"demand":[{"name":"one","minutes":15,"per_kw":"1","step_kw":"1"},{"name":"two","minutes":15,"per_kw":"1","step_kw":"1"},
  {"name":"three","minutes":15,"per_kw":"1","step_kw":"1"},{"name":"four","minutes":15,"per_kw":"1","step_kw":"1"}]}`
