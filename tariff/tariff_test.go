package tariff_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/wattveil/wattveil/tariff"
)

// tou is the example of spec/tariff.md section 7.
const tou = `{"id":"tou-2018","currency":"CHF","timezone":"Europe/Zurich","valid_from":"2018-01-01","energy":{"bands":{"peak":{"import":"0.2860","export":"0.08"},"offpeak":{"import":"0.1780"}},"default":"offpeak","windows":[{"band":"peak","days":["mon","tue","wed","thu","fri"],"from":"07:00","to":"20:00"}]},"standing":{"per_day":"0.30"},"tax_percent":"8.1"}`

// touCanonical is its canonical form.
const touCanonical = `{"currency":"CHF","energy":{"bands":{"offpeak":{"import":"0.1780"},"peak":{"export":"0.08","import":"0.2860"}},"default":"offpeak","windows":[{"band":"peak","days":["mon","tue","wed","thu","fri"],"from":"07:00","to":"20:00"}]},"id":"tou-2018","standing":{"per_day":"0.30"},"tax_percent":"8.1","timezone":"Europe/Zurich","valid_from":"2018-01-01"}`

const touDigest = "HRtgp336Mf0Y7KlmqMlghr4_16G38RnlJspwRMoxqRw"

func parse(t testing.TB, text string) *tariff.Tariff {
	t.Helper()
	parsed, err := tariff.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestParse(t *testing.T) {
	got := parse(t, tou)
	if got.ID() != "tou-2018" || got.Currency().String() != "CHF" || got.Zone().String() != "Europe/Zurich" {
		t.Errorf("id %q, currency %q, zone %q", got.ID(), got.Currency(), got.Zone())
	}
	if want := time.Date(2017, 12, 31, 23, 0, 0, 0, time.UTC); !got.ValidFrom().Equal(want) {
		t.Errorf("valid from %v, want %v", got.ValidFrom(), want)
	}
	var rates []string
	for i := range got.Bands() {
		r := got.Rate(i)
		rates = append(rates, fmt.Sprintf("%s %s %s", r.Band, r.Import, r.Export))
	}
	if want := []string{"offpeak 0.1780 0", "peak 0.2860 0.08"}; !reflect.DeepEqual(rates, want) {
		t.Errorf("rates %q, want %q", rates, want)
	}
	standing, ok := got.Standing()
	if !ok || standing.Price.String() != "0.30" || standing.Per != tariff.PerDay {
		t.Errorf("standing %v %v", standing, ok)
	}
	if taxes := got.Taxes(); len(taxes) != 1 || taxes[0].Fraction.String() != "0.081" || taxes[0].Name != "" || taxes[0].On != nil {
		t.Errorf("taxes %v", taxes)
	}
}

func TestCanonicalForm(t *testing.T) {
	got := parse(t, tou)
	canonical, err := json.Marshal(got)
	if err != nil || string(canonical) != touCanonical {
		t.Errorf("canonical form\n%s, %v\nwant\n%s", canonical, err, touCanonical)
	}
	if got.Digest().String() != touDigest {
		t.Errorf("digest %v, want %v", got.Digest(), touDigest)
	}
	var again tariff.Tariff
	if err := json.Unmarshal([]byte(touCanonical), &again); err != nil {
		t.Fatal(err)
	}
	if again.Digest() != got.Digest() || !reflect.DeepEqual(again.Document(), got.Document()) {
		t.Error("reading the canonical form gives another tariff")
	}
	// Encoding through a map sorts the members at every level.
	var sorted any
	if err := json.Unmarshal(canonical, &sorted); err != nil {
		t.Fatal(err)
	}
	if resorted, err := json.Marshal(sorted); err != nil || string(resorted) != string(canonical) {
		t.Errorf("members are not sorted:\n%s", canonical)
	}
}

func TestSpecShowsTheExample(t *testing.T) {
	text, err := os.ReadFile("../spec/tariff.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{tou, touCanonical, touDigest} {
		if !strings.Contains(string(text), want) {
			t.Errorf("spec/tariff.md lacks %s", want)
		}
	}
}

func TestOptionalMembers(t *testing.T) {
	got := parse(t, `{"id":"flat","currency":"EUR","timezone":"UTC","valid_from":"1970-01-01",
		"energy":{"bands":{"all":{"import":"0"}},"default":"all","windows":[]}}`)
	if _, ok := got.Standing(); ok {
		t.Error("a standing charge from nowhere")
	}
	if len(got.Taxes()) > 0 {
		t.Error("a tax from nowhere")
	}
	canonical, _ := got.MarshalJSON()
	want := `{"currency":"EUR","energy":{"bands":{"all":{"import":"0"}},"default":"all"},"id":"flat","timezone":"UTC","valid_from":"1970-01-01"}`
	if string(canonical) != want {
		t.Errorf("canonical form %s, want %s", canonical, want)
	}
}

// A tariff shares nothing with the document that it was made of, nor with the
// one that it gives out.
func TestTariffDoesNotChange(t *testing.T) {
	doc := parse(t, tou).Document()
	made, err := tariff.New(doc)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []tariff.Document{doc, made.Document()} {
		d.Energy.Bands["peak"] = tariff.Band{Import: "9"}
		d.Energy.Windows[0].Days[0] = "sun"
		d.Standing.PerDay = "9"
	}
	if made.Digest().String() != touDigest {
		t.Error("the tariff changed with a document")
	}
}

func TestBuiltin(t *testing.T) {
	for _, zone := range []string{"UTC", "Europe/Zurich", "America/New_York", "Australia/Lord_Howe"} {
		b, err := tariff.Builtin(zone)
		if err != nil {
			t.Fatal(err)
		}
		if b.Bands() != 3 || b.Currency().String() != "CHF" {
			t.Errorf("%s: %d bands in %s, want 3 in CHF", zone, b.Bands(), b.Currency())
		}
		checkTwoHoursADay(t, b)
	}
	if _, err := tariff.Builtin("Nowhere"); err == nil {
		t.Error("a zone that does not exist is accepted")
	}
}

// checkTwoHoursADay walks through a year, changes of the clocks included.
func checkTwoHoursADay(t *testing.T, b *tariff.Tariff) {
	t.Helper()
	for day := range 365 {
		start := time.Date(2025, 1, 1+day, 0, 0, 0, 0, b.Zone())
		hours := map[string]time.Duration{}
		for at := start; at.Before(start.AddDate(0, 0, 1)); at = at.Add(15 * time.Minute) {
			hours[b.Band(at)] += 15 * time.Minute
		}
		for i := range b.Bands() {
			if band := b.Rate(i).Band; hours[band] < 2*time.Hour {
				t.Fatalf("%s: band %s applies for %v on %v", b.Zone(), band, hours[band], start.Format(time.DateOnly))
			}
		}
	}
}

func ExampleParse() {
	t, err := tariff.Parse([]byte(`{
		"id": "tou-2018", "currency": "CHF", "timezone": "Europe/Zurich", "valid_from": "2018-01-01",
		"energy": {
			"bands": {"peak": {"import": "0.2860"}, "offpeak": {"import": "0.1780"}},
			"default": "offpeak",
			"windows": [{"band": "peak", "days": ["mon"], "from": "07:00", "to": "20:00"}]
		}
	}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	monday := time.Date(2018, 3, 5, 6, 30, 0, 0, time.UTC) // 07:30 in Zurich
	fmt.Println(t.Band(monday), t.Band(monday.Add(-time.Hour)))
	// Output: peak offpeak
}

func ExampleError() {
	_, err := tariff.Parse([]byte(`{
		"id": "tou-2018", "currency": "CHF", "timezone": "Europe/Zurich", "valid_from": "2018-01-01",
		"energy": {
			"bands": {"peak": {"import": "0.2860"}, "offpeak": {"import": "0.1780"}},
			"default": "offpeak",
			"windows": [{"band": "peek", "days": ["mon"], "from": "07:00", "to": "20:00"}]
		}
	}`))
	var refusal *tariff.Error
	if errors.As(err, &refusal) {
		for _, p := range refusal.Problems {
			fmt.Println(p.Path)
			fmt.Println(p.Reason)
			fmt.Println(p.Fix)
		}
	}
	// Output:
	// energy.windows[0].band
	// no band is named "peek"
	// want one of offpeak, peak
}

func ExampleCurrency_Amount() {
	chf, err := tariff.ParseCurrency("CHF")
	if err != nil {
		fmt.Println(err)
		return
	}
	quantity, _ := tariff.ParseDecimal("2.500")
	price, _ := tariff.ParseDecimal("0.0060")
	fmt.Println(chf.Amount(quantity, price), chf.Amount(quantity.Neg(), price))
	// Output: 0.02 -0.02
}
