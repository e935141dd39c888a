package portal

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// FuzzHandlers asks every route with whatever parameters, signed in: the
// answer is a page or a refusal, never a failure.
func FuzzHandlers(f *testing.F) {
	world := newFake()
	s, session := newServer(f, world)
	routes := s.table
	for i := range routes {
		for _, q := range []string{"", "by=month&at=2026-02-01&compare=year&cost=1", "by=week&at=2026-13-45", "from=1&to=2", "from=1767225600&to=1798761600", "next=//x", "later=1",
			"format=csv&from=2026-03-28&to=2026-03-30", "format=parquet&from=2026-06-17&to=2026-01-01", "from=0000-01-01&to=9999-12-31&format=green-button"} {
			f.Add(byte(i), q, "", false)
		}
		f.Add(byte(i), "", "code=RIGHT&number=99999999999999999999&sure=yes&language=xx&next=%2F", false)
		f.Add(byte(i), "", "profile=totals&keep=13&groups=yes&sure=yes&before=2026-01-01&from=2026-06-01&to=2026-06-02&lasts=7&ref=x", false)
		f.Add(byte(i), "", `{"id":"x","rawId":"eA","type":"public-key","response":{}}`, true)
	}
	f.Fuzz(func(t *testing.T, route byte, query, body string, script bool) {
		method, path, _ := strings.Cut(routes[int(route)%len(routes)].pattern, " ")
		path = fakePath(path)
		r := httptest.NewRequest(method, "http://localhost:8080/", strings.NewReader(body))
		r.URL = &url.URL{Path: path, RawQuery: query}
		r.AddCookie(session)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if script {
			r.Header.Set("Accept", "application/json")
		}
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Fatalf("%s %s?%s: status %d", method, path, query, w.Code)
		}
		if w.Code >= 300 && w.Code < 400 {
			if to := w.Header().Get("Location"); !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") {
				t.Fatalf("%s %s?%s leads to %q", method, path, query, to)
			}
		}
		if w.Code == http.StatusOK && w.Body.Len() == 0 {
			t.Fatalf("%s %s?%s: empty", method, path, query)
		}
	})
}

// FuzzPeriod reads whatever kind and date: an error, or a period with a start
// before its end that reads back.
func FuzzPeriod(f *testing.F) {
	for _, by := range spans {
		f.Add(string(by), "2026-03-29")
	}
	f.Add("day", "0000-00-00")
	f.Fuzz(func(t *testing.T, by, at string) {
		p, err := parsePeriod(url.Values{"by": {by}, "at": {at}}, fakeNow.In(fakeZone))
		if err != nil {
			return
		}
		back, err := parsePeriod(p.query(), fakeNow.In(fakeZone))
		if err != nil || !back.from.Equal(p.from) || !back.to.Equal(p.to) || !p.from.Before(p.to) {
			t.Fatalf("%q %q is %v to %v, reads back as %v, %v", by, at, p.from, p.to, back, err)
		}
	})
}
