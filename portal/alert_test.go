package portal

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/wattveil/wattveil/consumer"
)

// post sends a form.
func post(s *Server, path, form string, cookies ...*http.Cookie) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "http://localhost:8080"+path, strings.NewReader(form))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, c := range cookies {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w
}

func TestAlertsAreTold(t *testing.T) {
	s, session := newServer(t, newFake())
	text := textOf(get(s, "/m/"+fakeRef+"/alerts", session).Body.String())
	for _, want := range []string{
		"Alerts 3 unread", "17 June 2026 new 13.001 kWh in a day; your limit was 12.500 kWh", "17 June 2026, 14:20 2.500 kWh in an hour",
		"Base load 73% above the usual; your limit was 50%", "No readings since then; your limit was 24 hours", "Set on 17 June 2026",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q:\n%s", want, text)
		}
	}
	if body := get(s, "/m/"+fakeRef+"/now", session).Body.String(); !strings.Contains(textOf(body), "Alerts 3 unread") {
		t.Error("other pages do not say that there are alerts")
	}
}

func TestAlertsAreSet(t *testing.T) {
	f := newFake()
	s, session := newServer(t, f)
	path := "/m/" + fakeRef + "/alerts"
	for _, form := range []string{"kind=day&limit=12.5", "kind=hour&limit=2,125", "kind=base&limit=40", "kind=silent&limit=720", "kind=day&limit=nonsense&remove=1"} {
		if w := post(s, path, form, session); w.Code != http.StatusSeeOther || w.Header().Get("Location") != path {
			t.Errorf("%s: status %d to %q", form, w.Code, w.Header().Get("Location"))
		}
	}
	want := []consumer.Alert{
		{Kind: consumer.AlertDay, Limit: 12_500}, {Kind: consumer.AlertHour, Limit: 2_125}, {Kind: consumer.AlertBase, Limit: 40},
		{Kind: consumer.AlertSilent, Limit: 720}, {Kind: consumer.AlertDay},
	}
	if !slices.Equal(f.set, want) {
		t.Errorf("set %v, want %v", f.set, want)
	}
	for _, form := range []string{"", "kind=year&limit=5", "kind=day", "kind=day&limit=0", "kind=day&limit=1001", "kind=hour&limit=1.00001", "kind=base&limit=9", "kind=base&limit=10.5", "kind=silent&limit=-5", "kind=silent&limit=1e2"} {
		if w := post(s, path, form, session); w.Code != http.StatusBadRequest {
			t.Errorf("%q: status %d, want 400", form, w.Code)
		}
	}
	if w := post(s, path+"/read", "", session); w.Code != http.StatusSeeOther {
		t.Errorf("mark as read: status %d", w.Code)
	}
}
