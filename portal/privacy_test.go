package portal

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/consumer"
)

var shownLink = regexp.MustCompile(`value="http://localhost:8080(/shared/[A-Za-z0-9_-]{43})"`)

func TestLinkIsShownOnce(t *testing.T) {
	f := newFake()
	s, session := newServer(t, f)
	form := url.Values{"from": {"2026-06-01"}, "to": {"2026-06-03"}, "lasts": {"7"}}
	w := post(s, "/m/"+fakeRef+"/privacy/links", form.Encode(), session)
	if w.Code != 200 || shownLink.FindString(w.Body.String()) == "" || w.Header().Get("Cache-Control") != "no-store" {
		t.Fatalf("status %d, and no link is shown", w.Code)
	}
	if shownLink.MatchString(get(s, "/m/"+fakeRef+"/privacy", session).Body.String()) {
		t.Error("the link is shown again")
	}
	l := f.links[0]
	if from := consumer.DayStart(2026, 6, 1, fakeZone); !l.From.Equal(from) || !l.To.Equal(from.AddDate(0, 0, 3)) || !l.Ends.Equal(fakeNow.Add(7*24*time.Hour)) {
		t.Errorf("the link is for %v to %v and ends %v", l.From, l.To, l.Ends)
	}
	for name, change := range map[string]string{"from": "2026-13-01", "to": "2026-05-31", "lasts": "8", "later": "2027-06-03"} {
		bad := url.Values{"from": {"2026-06-01"}, "to": {"2026-06-03"}, "lasts": {"7"}}
		if bad.Set(name, change); name == "later" {
			bad.Set("to", change)
		}
		if w := post(s, "/m/"+fakeRef+"/privacy/links", bad.Encode(), session); w.Code != 400 {
			t.Errorf("%s=%s: status %d", name, change, w.Code)
		}
	}
	if len(f.links) != 1 {
		t.Errorf("%d links are kept", len(f.links))
	}
}

// TestSharedShowsItsRangeOnly: no costs, no tariff, no other time, and nothing
// of whoever is signed in.
func TestSharedShowsItsRangeOnly(t *testing.T) {
	s, session := newServer(t, newFake())
	path := "/shared/" + base64.RawURLEncoding.EncodeToString(fakeToken[:])
	for _, cookies := range [][]*http.Cookie{nil, {session}} {
		body := get(s, path, cookies...).Body.String()
		if strings.Contains(body, "CHF") || strings.Contains(body, "night") || strings.Contains(body, "/m/") || strings.Contains(body, "Sign out") {
			t.Error("the page shows more than the use")
		}
		if !strings.Contains(body, "1 June 2026 – 5 June 2026") || !strings.Contains(body, "not known") {
			t.Error("the page does not show the range and what is missing")
		}
	}
	from := consumer.DayStart(2026, 6, 1, fakeZone).Unix()
	var got struct {
		From, To int64
		Bands    []string
		Currency string
	}
	w := get(s, path+"/use.json?from=1000000000&to=1900000000&cost=1")
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(w.Body.String(), "CHF") || len(got.Bands) != 0 {
		t.Error("the data has costs or bands")
	}
	for _, q := range []string{"from=1000000000&to=1100000000", "from=1900000000&to=1910000000", "from=x&to=y"} {
		if w := get(s, path+"/use.json?"+q); w.Code != 400 {
			t.Errorf("%s: status %d", q, w.Code)
		}
	}
	// The fake's buckets begin where it was asked from.
	w = get(s, path+"/use.json?from=1000000000&to=1900000000")
	var columns struct{ Start, End []int64 }
	if err := json.Unmarshal(w.Body.Bytes(), &columns); err != nil {
		t.Fatal(err)
	}
	if n := len(columns.Start); n == 0 || columns.Start[0] != from || columns.End[n-1] > from+5*24*3600 {
		t.Error("a part of the range reaches out of it")
	}
	other := consumer.NewToken()
	for _, token := range []string{base64.RawURLEncoding.EncodeToString(other[:]), "x", strings.Repeat("A", 44), base64.StdEncoding.EncodeToString(fakeToken[:])} {
		for _, tail := range []string{"", "/use.json"} {
			if w := get(s, "/shared/"+url.PathEscape(token)+tail, session); w.Code != 404 {
				t.Errorf("token %q: status %d", token, w.Code)
			}
		}
	}
}

func TestChoosing(t *testing.T) {
	f := newFake()
	s, session := newServer(t, f)
	path := "/m/" + fakeRef + "/privacy/choices"
	w := post(s, path, url.Values{"profile": {"totals"}, "keep": {"13"}, "corrections": {"none"}, "groups": {"yes"}}.Encode(), session)
	if want := (consumer.Choices{Profile: consumer.Totals, KeepMonths: 13, NoCorrections: true, Groups: true}); w.Code != 303 || f.chosen != want {
		t.Errorf("status %d, chosen %+v", w.Code, f.chosen)
	}
	if body := get(s, "/m/"+fakeRef+"/privacy", session).Body.String(); !strings.Contains(body, `value="totals" checked`) || strings.Count(body, "no effect yet") != 2 {
		t.Error("the page does not show what was chosen, or what has no effect")
	}
	for _, bad := range []url.Values{{}, {"profile": {"all"}, "keep": {"0"}}, {"profile": {"full"}, "keep": {"1"}}, {"profile": {"full"}, "keep": {"-13"}}} {
		if w := post(s, path, bad.Encode(), session); w.Code != 400 {
			t.Errorf("%v: status %d", bad, w.Code)
		}
	}
}

// Where nothing would be erased, the page offers nothing and says when it will.
func TestNothingToErase(t *testing.T) {
	f := newFake()
	s, session := newServer(t, f)
	page := "/m/" + fakeRef + "/privacy"
	if body := get(s, page, session).Body.String(); !strings.Contains(body, `/privacy/erase"`) {
		t.Error("what can be erased is not offered")
	}
	for _, c := range []struct {
		first time.Time
		want  string
	}{
		{time.Date(2026, 6, 10, 8, 0, 0, 0, time.UTC), "Some can be once bills are final up to 17 July 2026"},
		{time.Time{}, "All that can be erased is."},
	} {
		f.first = c.first
		body := get(s, page, session).Body.String()
		if strings.Contains(body, `/privacy/erase"`) || !strings.Contains(textOf(body), c.want) {
			t.Errorf("readings from %v on: the page offers to erase them, or does not say %q", c.first, c.want)
		}
	}
}

func TestErasingByForm(t *testing.T) {
	f := newFake()
	s, session := newServer(t, f)
	path := "/m/" + fakeRef + "/privacy/erase"
	for _, bad := range []url.Values{{}, {"before": {"2026-01-01"}}, {"sure": {"yes"}}, {"sure": {"yes"}, "before": {"soon"}}} {
		if w := post(s, path, bad.Encode(), session); w.Code != 400 || !f.erased.IsZero() {
			t.Errorf("%v: status %d", bad, w.Code)
		}
	}
	if w := post(s, path, url.Values{"sure": {"yes"}, "before": {"2026-01-01"}}.Encode(), session); w.Code != 303 || !f.erased.Equal(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("status %d, erased before %v", w.Code, f.erased)
	}
	f.fails = consumer.NotBilled
	if w := post(s, path, url.Values{"sure": {"yes"}, "before": {"2026-06-01"}}.Encode(), session); w.Code != 409 {
		t.Errorf("what is not billed: status %d", w.Code)
	}
}

func TestPrivacyActsNeedAssertion(t *testing.T) {
	f := newFake()
	s, session := newServer(t, f)
	for hash, one := range f.sessions {
		one.Confirmed = fakeNow.Add(-time.Hour)
		f.sessions[hash] = one
	}
	for _, path := range []string{"choices", "erase", "links"} {
		form := url.Values{"profile": {"totals"}, "keep": {"0"}, "sure": {"yes"}, "before": {"2026-01-01"}, "from": {"2026-06-01"}, "to": {"2026-06-03"}, "lasts": {"7"}}
		if w := post(s, "/m/"+fakeRef+"/privacy/"+path, form.Encode(), session); w.Code != 403 {
			t.Errorf("%s: status %d", path, w.Code)
		}
	}
	if len(f.links) != 0 || !f.erased.IsZero() || f.chosen != (consumer.Choices{}) {
		t.Error("an act without a fresh assertion was carried out")
	}
	if w := post(s, "/m/"+fakeRef+"/privacy/links/revoke", url.Values{"ref": {"x"}}.Encode(), session); w.Code != 303 {
		t.Errorf("revoking needs an assertion: %d", w.Code)
	}
}

func TestExportFiles(t *testing.T) {
	s, session := newServer(t, newFake())
	for format, want := range map[string][3]string{
		"csv":          {"text/csv; charset=utf-8", "wattveil-csv-2026-03-28-2026-03-30.csv", "start,seconds,"},
		"registers":    {"text/csv; charset=utf-8", "wattveil-registers-2026-03-28-2026-03-30.csv", "series,time,"},
		"json":         {"application/json", "wattveil-json-2026-03-28-2026-03-30.json", `{"format":"wattveil export 1"`},
		"parquet":      {"application/vnd.apache.parquet", "wattveil-parquet-2026-03-28-2026-03-30.parquet", "PAR1"},
		"green-button": {"application/atom+xml", "wattveil-green-button-2026-03-28-2026-03-30.xml", "<?xml"},
	} {
		w := get(s, "/m/"+fakeRef+"/export/file?from=2026-03-28&to=2026-03-30&format="+format, session)
		if w.Code != 200 || w.Header().Get("Content-Type") != want[0] || w.Header().Get("Content-Disposition") != `attachment; filename="`+want[1]+`"` || !strings.HasPrefix(w.Body.String(), want[2]) {
			t.Errorf("%s: %d %s %s", format, w.Code, w.Header().Get("Content-Type"), w.Header().Get("Content-Disposition"))
		}
		if strings.Contains(w.Body.String(), fakeRef) {
			t.Errorf("%s names the meter's reference", format)
		}
	}
	for _, q := range []string{"", "format=csv", "format=xlsx&from=2026-03-28&to=2026-03-30", "format=csv&from=2026-03-28&to=2026-03-27", "format=csv&from=2001-01-01&to=2026-03-27", "format=csv&from=1999-12-31&to=2000-01-01"} {
		if w := get(s, "/m/"+fakeRef+"/export/file?"+q, session); w.Code != 400 {
			t.Errorf("%q: status %d", q, w.Code)
		}
	}
}

// TestExportOfBills: Green Button has the bills of periods that are exported
// whole, in the place of a corrected one its correction.
func TestExportOfBills(t *testing.T) {
	f := newFake()
	s, session := newServer(t, f)
	summaries := func(days string) (got []string) {
		w := get(s, "/m/"+fakeRef+"/export/file?format=green-button&"+days, session)
		if w.Code != 200 {
			t.Fatalf("%s: status %d", days, w.Code)
		}
		for _, part := range strings.Split(w.Body.String(), "<UsageSummary ")[1:] {
			found := regexp.MustCompile(`<billingPeriod><duration>(\d+)</duration><start>\d+</start></billingPeriod>(?:<billLastPeriod>(\d+)</billLastPeriod>)?.*<uom>72</uom><value>(\d+)</value>`).FindStringSubmatch(part)
			if found == nil {
				t.Fatalf("%s: the summary is %.400s", days, part)
			}
			got = append(got, strings.Join(found[1:], " "))
		}
		return got
	}
	want := func(days string, summary ...string) {
		t.Helper()
		if got := summaries(days); !slices.Equal(got, summary) {
			t.Errorf("%s: summaries %q, want %q", days, got, summary)
		}
	}
	const itsDays = "from=2026-06-01&to=2026-06-02"
	want(itsDays, "172800 378000 12000")
	want("from=2026-05-31&to=2026-06-05", "172800 378000 12000")
	for _, part := range []string{"from=2026-06-02&to=2026-06-05", "from=2026-05-01&to=2026-06-01"} { // not whole
		if got := summaries(part); len(got) != 1 || strings.HasPrefix(got[0], "172800 ") || !strings.Contains(got[0], "  ") {
			t.Errorf("%s: summaries %q, want one off-bill", part, got)
		}
	}
	first := f.billed.bill
	f.billed = newFakeBill(f.meters[0].Name, func(b *bill.Bill) {
		b.Corrects = bill.HashOf(first.Document.JWS).String()
	})
	f.billed.bill.Content.Total, f.billed.bill.Content.ImportKWh = "4.10", "13.250"
	f.earlier = []consumer.Bill{first}
	want(itsDays, "172800 410000 13250")
	f.billed.bill.Content.Total = "much"
	if w := get(s, "/m/"+fakeRef+"/export/file?format=green-button&"+itsDays, session); w.Code != 503 {
		t.Errorf("a bill that cannot be read: %d", w.Code)
	}
}

// TestExportsAtOnce: an account and the portal have so many at once, and what
// ends, in whatever way, makes room.
func TestExportsAtOnce(t *testing.T) {
	f := newFake()
	s, _ := newServer(t, f)
	exportPath := "/m/" + fakeRef + "/export/file?format=csv&from=2026-03-28&to=2026-03-30"
	f.crowded, f.begun, f.goOn = true, make(chan struct{}), make(chan struct{})
	ended := make(chan int)
	begin := func(session *http.Cookie) {
		t.Helper()
		go func() { ended <- get(s, exportPath, session).Code }()
		select {
		case <-f.begun:
		case status := <-ended:
			t.Fatalf("an export does not begin: %d", status)
		}
	}
	refused := func(when, path string, session *http.Cookie) {
		t.Helper()
		for lang, says := range map[string]string{"en": "Wait until one is done", "de": "Warten Sie, bis einer fertig ist"} {
			w := get(s, path, session, &http.Cookie{Name: cookieLanguage, Value: lang})
			if body := w.Body.String(); w.Code != 429 || w.Header().Get("Retry-After") != "60" || w.Header().Get("Content-Disposition") != "" ||
				!strings.Contains(body, `data-class="exporting"`) || !strings.Contains(body, says) {
				t.Errorf("%s: %d, again after %q s", when, w.Code, w.Header().Get("Retry-After"))
			}
		}
	}
	var last *http.Cookie
	for range exportsAtOnce / exportsOfAccount {
		last = f.signIn(consumer.NewAccount())
		for range exportsOfAccount {
			begin(last)
		}
		refused("a third of an account", exportPath, last)
		refused("registers of a bill beside two", "/m/"+fakeRef+"/bill/"+fakeBillRef+"/registers.csv", last)
		if w := get(s, "/m/"+fakeRef+"/bill/"+fakeBillRef+"/check.json", last); w.Code != 200 {
			t.Errorf("what the page of a bill needs, beside two exports: %d", w.Code)
		}
	}
	refused("one more than the portal has at once", exportPath, f.signIn(consumer.NewAccount()))
	for range exportsAtOnce {
		f.goOn <- struct{}{}
		if status := <-ended; status != 200 {
			t.Errorf("an export that was held ends with %d", status)
		}
	}
	f.begun = nil
	for _, f.breaks = range []int{3, 3, 3, 0} { // fail before the first bytes, and not
		if w := get(s, exportPath, last); w.Code != map[bool]int{true: 429, false: 200}[f.breaks > 0] || strings.Contains(w.Body.String(), "exporting") {
			t.Errorf("an export alone: %d", w.Code)
		}
	}
	if s.exports.all != 0 || len(s.exports.of) != 0 {
		t.Errorf("%d exports of %d accounts are under way when all have ended", s.exports.all, len(s.exports.of))
	}
}

// TestExportBreaksOff: what fails before anything was sent is answered as such,
// and what fails later does not look whole.
func TestExportBreaksOff(t *testing.T) {
	f := newFake()
	s, session := newServer(t, f)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Host = "localhost:8080"
		s.Handler().ServeHTTP(w, r)
	}))
	defer server.Close()
	ask := func(at int) (status int, err error) {
		f.breaks = at
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/m/"+fakeRef+"/export/file?format=csv&from=2024-01-01&to=2026-01-01", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.AddCookie(session)
		answer, err := server.Client().Do(r)
		if err != nil {
			return 0, err
		}
		defer func() { _ = answer.Body.Close() }()
		_, err = io.ReadAll(answer.Body)
		return answer.StatusCode, err
	}
	if status, err := ask(3); status != http.StatusTooManyRequests || err != nil {
		t.Errorf("a failure at once: %d, %v", status, err)
	}
	for range exportsOfAccount { // more follow: what breaks off makes room
		if status, err := ask(10_000); status != 200 || err == nil {
			t.Errorf("a failure on the way: %d, %v", status, err)
		}
	}
	if status, err := ask(10_000); status != 200 || err == nil {
		t.Errorf("a failure on the way: %d, %v", status, err)
	}
	if status, err := ask(0); status != 200 || err != nil {
		t.Errorf("no failure: %d, %v", status, err)
	}
}

func TestInsightsInWords(t *testing.T) {
	f := newFake()
	s, session := newServer(t, f)
	body := get(s, "/m/"+fakeRef+"/insights", session).Body.String()
	if !strings.Contains(body, "hours were measured whole") || !strings.Contains(body, `class="heat-`) || strings.Count(body, "<tr>") < 25 {
		t.Error("the page lacks figures or picture")
	}
	f.empty = true
	if body := get(s, "/m/"+fakeRef+"/insights", session).Body.String(); !strings.Contains(body, "Too little was measured") || strings.Contains(body, "heat-") {
		t.Error("the page says something of nothing")
	}
	l := locale{english}
	for _, c := range []struct{ got, want string }{
		{l.aboutWatts(0), "0 W"}, {l.aboutWatts(7), "7 W"}, {l.aboutWatts(123), "120 W"}, {l.aboutWatts(996), "1.0 kW"},
		{l.aboutWatts(1_260), "1.3 kW"}, {l.aboutWatts(12_600), "13 kW"}, {locale{german}.aboutWatts(1_260), "1,3 kW"},
		{l.aboutKWh(9_240), "9.2 kWh"}, {l.aboutKWh(24_600), "25 kWh"}, {l.share(7), "7%"}, {locale{german}.share(7), "7 %"},
	} {
		if got := strings.ReplaceAll(c.got, "\u00a0", " "); got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func TestMeterEvents(t *testing.T) {
	s, session := newServer(t, newFake())
	body := get(s, "/m/"+fakeRef+"/meter", session).Body.String()
	for _, want := range []string{"New session keys", "Event new-kind", "its clock may be wrong, until 17 June 2026, 15:20", "the first ones count (3 times that day)"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}
