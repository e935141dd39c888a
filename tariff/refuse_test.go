package tariff_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/wattveil/wattveil/tariff"
)

// Each edit of the example is refused at one path, for one reason.
func TestParseRefuses(t *testing.T) {
	const window = `{"band":"peak","days":["mon","tue","wed","thu","fri"],"from":"07:00","to":"20:00"}`
	for name, c := range map[string]struct{ old, new, path, reason string }{
		"unknown member":        {`"currency"`, `"colour":"red","currency"`, "colour", "is not known"},
		"odd member":            {`"currency"`, `"a b\n":"red","currency"`, `["a b\n"]`, "is not known"},
		"unknown in band":       {`"export"`, `"exprt"`, "energy.bands.peak.exprt", "is not known"},
		"unknown in window":     {`"from"`, `"season":"winter","from"`, "energy.windows[0].season", "is not known"},
		"unknown in standing":   {`"per_day"`, `"per_week":"1","per_day"`, "standing.per_week", "is not known"},
		"twice":                 {`"currency"`, `"currency":"EUR","currency"`, "currency", "is given twice"},
		"twice escaped":         {`"currency"`, `"\u0063urrency":"EUR","currency"`, "currency", "is given twice"},
		"band twice":            {`"offpeak":{`, `"peak":{"import":"1"},"offpeak":{`, "energy.bands.peak", "is given twice"},
		"id missing":            {`"id":"tou-2018",`, ``, "id", "is missing"},
		"id empty":              {`"tou-2018"`, `""`, "id", "is empty"},
		"id with a space":       {`"tou-2018"`, `"tou 2018"`, "id", "is not a tariff's id"},
		"id too long":           {`"tou-2018"`, `"` + strings.Repeat("a", 65) + `"`, "id", "is not a tariff's id"},
		"currency missing":      {`"currency":"CHF",`, ``, "currency", "is missing"},
		"currency unknown":      {`"CHF"`, `"CHX"`, "currency", "is not known"},
		"currency small":        {`"CHF"`, `"chf"`, "currency", "three capital letters"},
		"currency none":         {`"CHF"`, `"XXX"`, "currency", "is not known"},
		"zone missing":          {`"timezone":"Europe/Zurich",`, ``, "timezone", "is missing"},
		"zone unknown":          {`Europe/Zurich`, `Europe/Zuerich`, "timezone", "not a time zone known here"},
		"zone of the machine":   {`Europe/Zurich`, `Local`, "timezone", "is not a time zone"},
		"zone as a path":        {`Europe/Zurich`, `../../etc/passwd`, "timezone", "is not a time zone"},
		"zone with leap secs":   {`Europe/Zurich`, `right/Europe/Zurich`, "timezone", "is not a time zone"},
		"date missing":          {`"valid_from":"2018-01-01",`, ``, "valid_from", "is missing"},
		"date that is none":     {`2018-01-01`, `2018-02-30`, "valid_from", "is not a date"},
		"date short":            {`2018-01-01`, `2018-1-1`, "valid_from", "is not a date"},
		"bands missing":         {`"bands":{"peak":{"import":"0.2860","export":"0.08"},"offpeak":{"import":"0.1780"}},`, ``, "energy.bands", "is missing"},
		"band name":             {`"offpeak":{"import":"0.1780"}},"default":"offpeak"`, `"off peak":{"import":"0.1780"}},"default":"off peak"`, `energy.bands["off peak"]`, "is not a band's name"},
		"import missing":        {`"import":"0.2860",`, ``, "energy.bands.peak.import", "is missing"},
		"price number":          {`"0.2860"`, `0.2860`, "energy.bands.peak.import", "is a number"},
		"price negative":        {`"0.2860"`, `"-0.2860"`, "energy.bands.peak.import", "is out of range"},
		"price too high":        {`"0.2860"`, `"1000000.01"`, "energy.bands.peak.import", "is out of range"},
		"price too long":        {`"0.2860"`, `"0.286000001"`, "energy.bands.peak.import", "has 9 decimals"},
		"price exponent":        {`"0.2860"`, `"2e-1"`, "energy.bands.peak.import", "where a digit belongs"},
		"price NaN":             {`"0.2860"`, `"NaN"`, "energy.bands.peak.import", "where a digit belongs"},
		"export empty":          {`"0.08"`, `""`, "energy.bands.peak.export", "is empty"},
		"default missing":       {`"default":"offpeak",`, ``, "energy.default", "is missing"},
		"default unknown":       {`"default":"offpeak"`, `"default":"night"`, "energy.default", `no band is named "night"`},
		"band unknown":          {`"band":"peak"`, `"band":"peek"`, "energy.windows[0].band", `no band is named "peek"`},
		"band unused":           {window, ``, "energy.bands.peak", "never applies"},
		"default covered":       {window, `{"band":"peak","days":["mon","tue","wed","thu","fri","sat","sun"],"from":"00:00","to":"24:00"}`, "energy.bands.offpeak", "never applies"},
		"no days":               {`["mon","tue","wed","thu","fri"]`, `[]`, "energy.windows[0].days", "names no day"},
		"day unknown":           {`"tue"`, `"Tue"`, "energy.windows[0].days[1]", "is not a day"},
		"day twice":             {`"tue"`, `"mon"`, "energy.windows[0].days[1]", "names mon again"},
		"days too many":         {`"tue"`, `"sat","sun","hol","mon","tue"`, "energy.windows[0].days", "has 9 elements"},
		"from hour":             {`"07:00"`, `"25:00"`, "energy.windows[0].from", "is not a time"},
		"from 24:00":            {`"07:00"`, `"24:00"`, "energy.windows[0].from", "is not a time from 00:00 to 23:59"},
		"from minute":           {`"07:00"`, `"07:60"`, "energy.windows[0].from", "is not a time"},
		"from short":            {`"07:00"`, `"7:00"`, "energy.windows[0].from", "is not a time"},
		"to 24:01":              {`"20:00"`, `"24:01"`, "energy.windows[0].to", "is not a time from 00:00 to 24:00"},
		"to missing":            {`,"to":"20:00"`, ``, "energy.windows[0].to", "is missing"},
		"from is to":            {`"07:00"`, `"20:00"`, "energy.windows[0]", "from and to are both 20:00"},
		"overlap":               {window, window + `,{"band":"offpeak","days":["sat","fri"],"from":"19:00","to":"21:00"}`, "energy.windows[1]", "overlaps energy.windows[0] on fri at 19:00"},
		"overlap past midnight": {window, window + `,{"band":"offpeak","days":["sun"],"from":"22:00","to":"07:01"}`, "energy.windows[1]", "overlaps energy.windows[0] on mon at 07:00"},
		"standing null":         {`{"per_day":"0.30"}`, `null`, "standing", "is null"},
		"standing empty":        {`"per_day":"0.30"`, ``, "standing.per_day", "is missing"},
		"tax too high":          {`"8.1"`, `"100.1"`, "tax_percent", "is out of range"},
		"tax too long":          {`"8.1"`, `"8.1000001"`, "tax_percent", "has 7 decimals"},
		"energy list":           {tou[strings.Index(tou, `{"bands"`):strings.Index(tou, `,"standing"`)], `[]`, "energy", "is a list"},
	} {
		t.Run(name, func(t *testing.T) {
			if strings.Count(tou, c.old) != 1 {
				t.Fatalf("the example has %q %d times", c.old, strings.Count(tou, c.old))
			}
			refused(t, strings.Replace(tou, c.old, c.new, 1), c.path, c.reason)
		})
	}
}

// refused checks that a text has exactly one problem.
func refused(t *testing.T, text, path, reason string) {
	t.Helper()
	_, err := tariff.Parse([]byte(text))
	var refusal *tariff.Error
	if !errors.As(err, &refusal) || len(refusal.Problems) != 1 {
		t.Fatalf("error %v, want one problem", err)
	}
	if p := refusal.Problems[0]; p.Path != path || !strings.Contains(p.Reason, reason) {
		t.Errorf("problem at %q: %q, want at %q: %q", p.Path, p.Reason, path, reason)
	}
	if strings.ContainsAny(err.Error(), "\n\r") {
		t.Errorf("the error has several lines: %q", err)
	}
}

func TestParseRefusesText(t *testing.T) {
	for name, c := range map[string]struct{ text, reason string }{
		"empty":     {"", "is not JSON"},
		"cut":       {tou[:len(tou)-1], "is not JSON"},
		"two":       {tou + tou, "is not JSON"},
		"line":      {"{\n\"id\": nope}", "line 2"},
		"list":      {"[]", "is a list"},
		"null":      {"null", "is null"},
		"not UTF-8": {"{\"id\":\"\xff\"}", "is not UTF-8"},
		"too large": {tou + strings.Repeat(" ", 64<<10), "a tariff has at most"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tariff.Parse([]byte(c.text))
			var refusal *tariff.Error
			if !errors.As(err, &refusal) || !strings.Contains(err.Error(), c.reason) {
				t.Errorf("error %v, want %q", err, c.reason)
			}
		})
	}
}

func TestParseListsEveryProblem(t *testing.T) {
	text := strings.NewReplacer(`"CHF"`, `"CHX"`, `"0.30"`, `"-1"`, `"band":"peak"`, `"band":"peek"`).Replace(tou)
	listed(t, text, "currency energy.windows[0].band standing.per_day")
	// A member that is not known hides nothing of the others.
	listed(t, strings.NewReplacer(`"standing"`, `"standng"`, `"0.2860"`, `"0,2860"`).Replace(tou), "standng energy.bands.peak.import")
	// Without bands no name of one can be judged.
	listed(t, strings.NewReplacer(`"bands"`, `"bnds"`, `"8.1"`, `"x"`).Replace(tou), "energy.bands energy.bnds")
}

// listed checks at which paths a text has problems.
func listed(t *testing.T, text, want string) {
	t.Helper()
	_, err := tariff.Parse([]byte(text))
	var refusal *tariff.Error
	if !errors.As(err, &refusal) {
		t.Fatalf("error %v", err)
	}
	var paths []string
	for _, p := range refusal.Problems {
		paths = append(paths, p.Path)
	}
	if got := strings.Join(paths, " "); got != want {
		t.Errorf("problems at %q, want %q", got, want)
	}
}

func TestValidateOfAnEmptyDocument(t *testing.T) {
	err := tariff.Document{}.Validate()
	var refusal *tariff.Error
	if !errors.As(err, &refusal) || len(refusal.Problems) < 5 {
		t.Errorf("error %v, want a problem for each required member", err)
	}
	if err := parse(t, tou).Document().Validate(); err != nil {
		t.Errorf("a tariff's own document is refused: %v", err)
	}
}

// What Parse accepts has a canonical form, which reads as the same tariff.
func FuzzParse(f *testing.F) {
	f.Add([]byte(tou))
	f.Add([]byte(touCanonical))
	f.Add([]byte(full))
	f.Add([]byte(`{"id":"n","currency":"JPY","timezone":"Asia/Tokyo","valid_from":"2020-02-29","energy":{"bands":{"a":{"import":"30"},"b":{"import":"20"}},"default":"a","windows":[{"band":"b","days":["fri"],"from":"22:00","to":"06:00"}]}}`))
	f.Add([]byte(`{"id":1,"energy":{"bands":[],"windows":{}},"standing":null}`))
	f.Add([]byte("{\"a\":{\"\\ud800\":[]}}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		parsed, err := tariff.Parse(data)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r") {
				t.Errorf("the error has several lines: %q", err)
			}
			return
		}
		first, err := parsed.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		again, err := tariff.Parse(first)
		if err != nil {
			t.Fatalf("the canonical form is refused: %v", err)
		}
		second, err := again.MarshalJSON()
		if err != nil || !bytes.Equal(first, second) {
			t.Errorf("two canonical forms: %s and %s", first, second)
		}
	})
}
