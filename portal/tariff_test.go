package portal

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// textOf is a page's text without tags, white space made one.
func textOf(body string) string {
	var b strings.Builder
	for _, part := range strings.Split(body, "<") {
		_, text, _ := strings.Cut(part, ">")
		b.WriteString(text + " ")
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func TestTariffInPlainWords(t *testing.T) {
	s, session := newServer(t, newFake())
	german := &http.Cookie{Name: cookieLanguage, Value: german}
	for _, c := range []struct {
		query  string
		cookie *http.Cookie
		want   []string
	}{
		{"", nil, []string{
			"peak every day 17:00–21:00 all the year", "night at all other times", "peak CHF 0.3270 CHF 0.1200",
			"Standing charge CHF 0.30 per day", "Tax 8.1%", "What you would have paid", "wattveil-three-band valid from 1 January 2000 CHF 10.00 Your bills are by this tariff",
			"not valid in all of this time", "everything valid from 1 January 2020 to 31 December 2029 CHF 9.80 CHF −0.20",
		}},
		{"?tariff=everything", nil, []string{
			"high up to 100 kWh a month: CHF 0.30, above: CHF 0.40 –", "spot as the price series EPEX says", "high Mon–Fri 07:00–19:00 winter",
			"spot Sat, holidays 22:00–23:00", "A week in season winter", "A week in the rest of the year", "Grid fee net CHF 0.10 per kWh (high)",
			"Credit sun CHF 0.01 per kWh to the grid", "Levy fund CHF 0.01 per day", "Highest power peak, as the mean of 15 minutes CHF 4 per kW and month; at least 80% of the highest of 11 months before",
			"Minimum charge CHF 6 per month", "Tax city 1% (From the grid)",
		}},
		{"?tariff=next", german, []string{"gültig ab 1. Januar 2027", "Er ersetzt wattveil-three-band", "peak täglich 17:00–21:00 das ganze Jahr", "0,3270 CHF"}},
	} {
		cookies := []*http.Cookie{session}
		if c.cookie != nil {
			cookies = append(cookies, c.cookie)
		}
		w := get(s, "/m/"+fakeRef+"/tariff"+c.query, cookies...)
		text := textOf(w.Body.String())
		for _, want := range c.want {
			if !strings.Contains(text, want) {
				t.Errorf("%q: the page does not say %q:\n%s", c.query, want, text)
			}
		}
	}
}

func TestTariffMonths(t *testing.T) {
	now := fakeNow.In(fakeZone)
	for _, c := range []struct{ query, from, to string }{
		{"", "2025-06-01", "2026-06-01"},
		{"from=2026-01&to=2026-01", "2026-01-01", "2026-02-01"},
		{"from=2026-05", "2026-05-01", "2026-06-01"},
		{"from=2023-07&to=2026-06", "2023-07-01", "2026-07-01"},
		{"from=2023-06&to=2026-06", "to", ""},
		{"from=2026-05&to=2026-04", "to", ""},
		{"from=2026-13", "from", ""},
		{"to=June", "to", ""},
		{"from=1999-01", "from", ""},
		{"to=3000-01", "to", ""},
	} {
		q, err := url.ParseQuery(c.query)
		if err != nil {
			t.Fatal(err)
		}
		from, to, err := parseMonths(q, now)
		if err != nil {
			if got := err.(badRequest).name; got != c.from {
				t.Errorf("%q: refused for %s", c.query, got)
			}
			continue
		}
		if from.Format(dateForm) != c.from || to.Format(dateForm) != c.to {
			t.Errorf("%q is from %v to %v", c.query, from, to)
		}
	}
	s, session := newServer(t, newFake())
	for _, query := range []string{"?tariff=unknown", "?from=x", "?from=2026-06&to=2020-01"} {
		if w := get(s, "/m/"+fakeRef+"/tariff"+query, session); w.Code != http.StatusBadRequest {
			t.Errorf("%s: status %d, want 400", query, w.Code)
		}
	}
}

// TestWeekPicture holds the drawn week to the band of each hour.
func TestWeekPicture(t *testing.T) {
	for _, terms := range fakeTariffs()[:1] {
		classes := []string{"a", "b", "c"}
		pictures := weekPictures(terms, classes, fakeNow, locale{english})
		if len(pictures) != 1 || !slices.Equal(pictures[0].Days, []string{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"}) {
			t.Fatalf("%d pictures, days %v", len(pictures), pictures[0].Days)
		}
		if n := len(pictures[0].Bars); n != 7*5 {
			t.Errorf("%d bars, want 5 a day", n)
		}
		want := []bar{
			{"b", "0", "2", "60", "20"}, {"a", "60", "2", "110", "20"}, {"c", "170", "2", "40", "20"}, {"a", "210", "2", "10", "20"}, {"b", "220", "2", "20", "20"},
		}
		if got := pictures[0].Bars[:5]; !slices.Equal(got, want) {
			t.Errorf("Monday is %v, want %v", got, want)
		}
	}
	// In winter, and on no weekday that happens to be a holiday.
	everything := fakeTariffs()[2]
	pictures := weekPictures(everything, []string{"high", "low", "spot"}, time.Date(2026, 12, 20, 0, 0, 0, 0, time.UTC), locale{english})
	if len(pictures) != 2 || pictures[0].Season != "winter" || !pictures[1].Rest {
		t.Fatalf("pictures of %d seasons", len(pictures))
	}
	if got := pictures[0].Bars[:3]; !slices.Equal(got, []bar{{"low", "0", "2", "70", "20"}, {"high", "70", "2", "120", "20"}, {"low", "190", "2", "50", "20"}}) {
		t.Errorf("Monday in winter is %v", got)
	}
}

func TestOutlookTellsForecastFromMeasurement(t *testing.T) {
	f := newFake()
	s, session := newServer(t, f)
	body := get(s, "/m/"+fakeRef+"/outlook", session).Body.String()
	for class, n := range map[string]int{"band-none": 2, "forecast": 2, "range": 2, "missing": 1} {
		if got := strings.Count(body, `<rect class="`+class+`"`); got != n {
			t.Errorf("%d bars of class %s, want %d", got, class, n)
		}
	}
	text := textOf(body)
	for _, want := range []string{
		"until 17 June 2026, 12:20", "between CHF 12.34 and CHF 12.34", "probably 20.000 kWh at the end", "At least 5 days",
		"From the grid day 12.345 kWh CHF 0.2680 CHF 3.31", "From the grid spot not told hour by hour CHF 9.00", "Tax (From the grid, Standing charge) 8.1% CHF 0.92",
		"Thu 18 Jun 4.000 kWh 3.000 kWh – 5.000 kWh",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q:\n%s", want, text)
		}
	}
	f.empty = true
	if text := textOf(get(s, "/m/"+fakeRef+"/outlook", session).Body.String()); !strings.Contains(text, "No tariff is known for this meter yet") {
		t.Error("the page does not say that no tariff is known")
	}
}

// The band of all other times has the colour that the picture has for it.
func TestDefaultBandHasItsDot(t *testing.T) {
	s, session := newServer(t, newFake())
	body := get(s, "/m/"+fakeRef+"/tariff", session).Body.String()
	if n := strings.Count(body, `<i class="dot band-0"></i>night</th>`); n != 2 {
		t.Errorf("night has %d dots, want one beside its price and one beside its times", n)
	}
}
