package portal

import (
	"encoding/base64"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wattveil/wattveil/consumer"
)

// newServer is a portal before a fake, and the cookie of a session.
func newServer(t testing.TB, f *fake) (*Server, *http.Cookie) {
	t.Helper()
	s, err := New(Config{
		URL: "http://localhost:8080", TTP: f,
		Now: func() time.Time { return fakeNow },
	})
	if err != nil {
		t.Fatal(err)
	}
	return s, f.signIn(f.account)
}

// signIn gives an account a session.
func (f *fake) signIn(a consumer.Account) *http.Cookie {
	f.mu.Lock()
	defer f.mu.Unlock()
	token := consumer.NewToken()
	f.sessions[token.Hash()] = consumer.Session{Account: a, Passkey: []byte("one"), Ends: fakeNow.Add(time.Hour), Confirmed: fakeNow}
	return &http.Cookie{Name: cookieSession, Value: base64.RawURLEncoding.EncodeToString(token[:])}
}

// get asks for a page.
func get(s *Server, path string, cookies ...*http.Cookie) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "http://localhost:8080"+path, nil)
	for _, c := range cookies {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w
}

// pagePaths are addresses of all pages of the table that are asked for with
// GET.
func pagePaths(s *Server) (paths []string) {
	for _, r := range s.table {
		if strings.HasPrefix(r.pattern, "GET ") {
			path := fakePath(r.path(fakeRef))
			if strings.HasSuffix(path, "/export/file") {
				path += "?format=json&from=2026-06-01&to=2026-06-02"
			}
			paths = append(paths, path)
		}
	}
	return paths
}

// fakePath puts the fake's names into a path.
func fakePath(path string) string {
	return strings.NewReplacer("{meter}", fakeRef, "{bill}", fakeBillRef, "{file}", "bill.json", "{$}", "",
		"{token}", base64.RawURLEncoding.EncodeToString(fakeToken[:])).Replace(path)
}

func TestPagesInAllLanguages(t *testing.T) {
	f := newFake()
	s, session := newServer(t, f)
	for _, empty := range []bool{false, true} {
		f.empty = empty
		for _, lang := range languages {
			for _, path := range pagePaths(s) {
				w := get(s, path, session, &http.Cookie{Name: cookieLanguage, Value: lang})
				if path == "/claim/passkey" || path == "/" || path == "/check" {
					continue // without a proof; goes on to the meter; is in the browser's language
				}
				if empty && strings.Contains(path, "/bill/") {
					continue // there is none
				}
				if w.Code != 200 {
					t.Errorf("%s in %s: status %d", path, lang, w.Code)
				}
				if strings.HasSuffix(path, ".json") || strings.Contains(path, "/export/file?") {
					continue
				}
				if body := w.Body.String(); !strings.Contains(body, `<html lang="`+lang+`"`) || strings.Contains(body, "%!") || !strings.Contains(body, "</html>") {
					t.Errorf("%s in %s is not whole", path, lang)
				}
			}
		}
	}
}

func TestHeaders(t *testing.T) {
	s, session := newServer(t, newFake())
	for _, path := range append(pagePaths(s), "/nowhere", "/static/portal.css") {
		h := get(s, path, session).Header()
		if path != "/check" && h.Get("Content-Security-Policy") != contentPolicy || strings.Contains(contentPolicy, "unsafe") {
			t.Errorf("%s has another policy", path)
		}
		if h.Get("Referrer-Policy") != "no-referrer" || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s lacks a header", path)
		}
		if !strings.HasPrefix(path, "/static/") && h.Get("Location") == "" && h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s may be kept by caches", path)
		}
	}
}

func TestFailuresOfTheTTPAreTold(t *testing.T) {
	f := newFake()
	s, session := newServer(t, f)
	f.fails = errors.New("disk of 192.0.2.7 is gone")
	for _, path := range pagePaths(s) {
		w := get(s, path, session)
		if w.Code != http.StatusServiceUnavailable {
			t.Errorf("%s: status %d, want 503", path, w.Code)
		}
		if strings.Contains(w.Body.String(), "192.0.2.7") {
			t.Errorf("%s shows what the error says", path)
		}
	}
}

// TestCatalogues holds every text to both languages, with the same places for
// values, and to a use.
func TestCatalogues(t *testing.T) {
	s, _ := newServer(t, newFake())
	sources := readAll(t, "*.go", "html/*.html")
	check := func(name string, all texts, used string) {
		if _, ok := all["title"]; !ok && name != "layout" {
			t.Errorf("page %s has no title", name)
		}
		for key, text := range all {
			en, de := verbs(text.EN), verbs(text.DE)
			switch {
			case text.EN == "" || text.DE == "":
				t.Errorf("text %s of %s is missing in a language", key, name)
			case !slices.Equal(en, de):
				t.Errorf("text %s of %s has %v in English and %v in German", key, name, en, de)
			case !strings.Contains(used, `"`+key+`"`) && !strings.HasPrefix(key, "ev-") && !slices.Contains([]string{"day", "week", "month", "year"}, key):
				t.Errorf("text %s of %s is not used", key, name)
			}
		}
	}
	definition := regexp.MustCompile(`(?m)^\s*"[a-z0-9-]+":\s+\{.*$`)
	used := definition.ReplaceAllString(sources, "")
	check("layout", layoutTexts, used)
	check("error", errorPage.texts, used)
	for _, r := range s.table {
		if r.page != nil {
			check(r.page.name, r.page.texts, used)
		}
	}
	for class, r := range refusals {
		if r.text.EN == "" || r.text.DE == "" || r.status < 400 {
			t.Errorf("refusal %s has no text in a language", class)
		}
	}
}

func verbs(s string) []string { return regexp.MustCompile(`%[a-z]`).FindAllString(s, -1) }

func readAll(t *testing.T, patterns ...string) string {
	t.Helper()
	var all strings.Builder
	for _, pattern := range patterns {
		names, err := fs.Glob(os.DirFS("."), pattern)
		if err != nil || len(names) == 0 {
			t.Fatalf("no files %s: %v", pattern, err)
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			content, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			all.Write(content)
		}
	}
	return all.String()
}

func TestNextStaysHere(t *testing.T) {
	for in, want := range map[string]string{
		"/settings": "/settings", "/m/x/use?by=day": "/m/x/use?by=day", "": "/", "https://elsewhere.example/": "/", "//elsewhere.example": "/",
		"/\\elsewhere.example": "/", "javascript:alert(1)": "/", "/a\r\nSet-Cookie: x": "/", "settings": "/", "///elsewhere.example": "/",
	} {
		if got := next(in); got != want {
			t.Errorf("next(%q) is %q, want %q", in, got, want)
		}
	}
}

func TestCheckURL(t *testing.T) {
	for url, good := range map[string]bool{
		"https://portal.example": true, "https://portal.example:8443": true, "http://localhost:8080": true, "http://localhost": true,
		"http://portal.example": false, "http://127.0.0.1:8080": false, "https://192.0.2.1": false, "https://[::1]": false, "portal.example": false,
		"https://portal.example/consumer": false, "https://portal.example?x": false, "": false, "ftp://localhost": false, "https://a@portal.example": false,
	} {
		if err := CheckURL(url); (err == nil) != good {
			t.Errorf("CheckURL(%q) is %v", url, err)
		}
	}
}

func TestPendingIsTakenOnceAndInTime(t *testing.T) {
	p, err := newPending[int](time.Minute, 2)
	if err != nil {
		t.Fatal(err)
	}
	name := p.begin(7, fakeNow)
	if v, ok := p.see(name, fakeNow.Add(59*time.Second)); !ok || v != 7 {
		t.Error("it is not there in time")
	}
	if _, ok := p.end(name, fakeNow); !ok {
		t.Error("it cannot be taken")
	}
	if _, ok := p.end(name, fakeNow); ok {
		t.Error("it is taken twice")
	}
	name = p.begin(8, fakeNow)
	if _, ok := p.end(name, fakeNow.Add(time.Minute)); ok {
		t.Error("it is taken too late")
	}
}

func TestLocale(t *testing.T) {
	en, de := locale{english}, locale{german}
	at := time.Date(2026, 3, 8, 5, 7, 0, 0, time.UTC)
	for _, c := range []struct{ got, want string }{
		{en.kWh(1_234), "1.234 kWh"}, {de.kWh(1_234), "1,234 kWh"}, {en.kWh(0), "0.000 kWh"},
		{en.kWh(123_456), "123.5 kWh"}, {en.kWh(1_234_567_890), "1,234,568 kWh"}, {de.kWh(1_234_567_890), "1.234.568 kWh"},
		{en.number("-1234.50"), "−1,234.50"}, {de.number("999"), "999"},
		{en.percent(-140, 1000), "−14%"}, {de.percent(126, 1000), "+13 %"}, {en.percent(0, 5), "±0%"},
		{en.watts(360), "360 W"}, {de.watts(5_436), "5,44 kW"},
		{en.date(at), "8 March 2026"}, {de.date(at), "8. März 2026"}, {en.day(at), "Sun 8 Mar"}, {de.day(at), "So 8.3."}, {en.clock(at), "05:07"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
	for header, want := range map[string]string{"de-CH,de;q=0.9": german, "fr,de;q=0.5": german, "": english, "xx": english, "EN-us": english} {
		if got := preferred(header); got != want {
			t.Errorf("Accept-Language %q gives %s, want %s", header, got, want)
		}
	}
}

// TestRetryAfter: who is refused because of too many is told when to come
// again, on the page of claims too.
func TestRetryAfter(t *testing.T) {
	f := newFake()
	s, session := newServer(t, f)
	for class, r := range refusals {
		f.fails = class
		want := retryAfter[class]
		if (r.status == http.StatusTooManyRequests) != (want != "") {
			t.Errorf("%s is answered %d, again after %q s", class, r.status, want)
		}
		for path, w := range map[string]*httptest.ResponseRecorder{
			"claim": post(s, "/claim", "code=RIGHT"), "page": get(s, "/m/"+fakeRef+"/meter", session),
		} {
			if got := w.Header().Get("Retry-After"); got != want {
				t.Errorf("%s, %s: %d, again after %q s, want %q", class, path, w.Code, got, want)
			}
		}
	}
}
