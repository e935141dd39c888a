package portal

import (
	"net/http"
	"strings"
)

// access is who may ask for a route.
type access int

const (
	anyone   access = iota
	stranger        // whoever it is: nobody looks who is signed in
	signedIn        // with a session
	ofMeter         // with a session whose account has the meter {meter} of the path
)

// route is a line of the table: what is asked for, by whom, who answers, and
// the page whose texts and template it uses. A page with nav is in the menu.
type route struct {
	pattern string
	access  access
	answer  func(*visit) error
	page    *page
	nav     bool
}

// routes is the table of all that the portal serves. Pages of the menu stand
// in its order.
func (s *Server) routes() []route {
	return []route{
		{"GET /{$}", anyone, home, &homePage, false},
		{"GET /check", anyone, checkPage, nil, false},
		{"GET /about", anyone, about, &aboutPage, false},
		{"POST /preferences", anyone, preferences, nil, false},

		{"GET /sign-in", anyone, signIn, &signInPage, false},
		{"POST /sign-in/options", anyone, signInOptions, nil, false},
		{"POST /sign-in", anyone, signInFinish, nil, false},
		{"POST /sign-out", anyone, signOut, nil, false},
		{"GET /confirm", signedIn, confirm, &confirmPage, false},
		{"POST /confirm/options", signedIn, confirmOptions, nil, false},
		{"POST /confirm", signedIn, confirmFinish, nil, false},

		{"GET /claim", anyone, claim, &claimPage, false},
		{"POST /claim", anyone, claimCode, &claimPage, false},
		{"GET /claim/passkey", anyone, claimPasskey, &claimPasskeyPage, false},
		{"POST /claim/options", anyone, claimOptions, nil, false},
		{"POST /claim/passkey", anyone, claimFinish, nil, false},
		{"POST /claim/take", signedIn, claimTake, nil, false},

		{"GET /m/{meter}/now", ofMeter, now, &nowPage, true},
		{"GET /m/{meter}/use", ofMeter, use, &usePage, true},
		{"GET /m/{meter}/use.json", ofMeter, useJSON, nil, false},
		{"GET /m/{meter}/outlook", ofMeter, outlook, &outlookPage, true},
		{"GET /m/{meter}/bills", ofMeter, bills, &billsPage, true},
		{"GET /m/{meter}/bill/{bill}", ofMeter, showBill, &billPage, false},
		{"GET /m/{meter}/bill/{bill}/{file}", ofMeter, billFile, nil, false},
		{"GET /m/{meter}/tariff", ofMeter, tariffs, &tariffPage, true},
		{"GET /m/{meter}/asked", ofMeter, asked, &askedPage, true},
		{"GET /m/{meter}/alerts", ofMeter, alerts, &alertPage, true},
		{"POST /m/{meter}/alerts", ofMeter, setAlert, nil, false},
		{"POST /m/{meter}/alerts/read", ofMeter, markAlerts, nil, false},
		{"GET /m/{meter}/insights", ofMeter, insights, &insightsPage, true},
		{"GET /m/{meter}/meter", ofMeter, meterStanding, &meterPage, true},
		{"GET /m/{meter}/export", ofMeter, exportForm, &exportPage, true},
		{"GET /m/{meter}/export/file", ofMeter, exportFile, nil, false},
		{"GET /m/{meter}/privacy", ofMeter, privacy, &privacyPage, true},
		{"POST /m/{meter}/privacy/choices", ofMeter, choose, nil, false},
		{"POST /m/{meter}/privacy/erase", ofMeter, erase, nil, false},
		{"POST /m/{meter}/privacy/links", ofMeter, addLink, nil, false},
		{"POST /m/{meter}/privacy/links/revoke", ofMeter, revokeLink, nil, false},
		{"POST /m/{meter}/give-up", ofMeter, giveUp, nil, false},
		{"POST /m/{meter}/refuse-takeover", ofMeter, refuseTakeover, nil, false},

		{"GET /shared/{token}", stranger, shared, &sharedPage, false},
		{"GET /shared/{token}/use.json", stranger, sharedJSON, nil, false},

		{"GET /settings", signedIn, settings, &settingsPage, true},
		{"POST /settings/passkeys/options", signedIn, addPasskeyOptions, nil, false},
		{"POST /settings/passkeys", signedIn, addPasskeyFinish, nil, false},
		{"POST /settings/passkeys/remove", signedIn, removePasskey, nil, false},
		{"POST /settings/sign-out-everywhere", signedIn, signOutEverywhere, nil, false},
		{"POST /settings/delete", signedIn, deleteAccount, nil, false},
	}
}

// path is the path of a route's pattern for a meter.
func (r route) path(ref string) string {
	_, path, _ := strings.Cut(r.pattern, " ")
	return strings.Replace(path, "{meter}", ref, 1)
}

// handle builds the portal's handler from its routes.
func (s *Server) handle(routes []route) (http.Handler, error) {
	mux := http.NewServeMux()
	for _, r := range routes {
		mux.HandleFunc(r.pattern, func(w http.ResponseWriter, req *http.Request) { s.serve(w, req, r) })
	}
	mux.HandleFunc("GET /static/{name}", s.assets.serve)
	mux.HandleFunc("/", func(w http.ResponseWriter, req *http.Request) {
		s.serve(w, req, route{pattern: "/", answer: func(*visit) error { return classNotFound }})
	})
	protection := http.NewCrossOriginProtection()
	if err := protection.AddTrustedOrigin(s.url.String()); err != nil {
		return nil, err
	}
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		s.serve(w, req, route{pattern: "cross-site", answer: func(*visit) error { return classCrossSite }})
	}))
	return s.secure(s.sameHost(protection.Handler(mux))), nil
}

const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// secure adds the headers of spec/portal.md section 3.
func (s *Server) secure(next http.Handler) http.Handler {
	headers := map[string]string{
		"Content-Security-Policy":      contentPolicy,
		"Referrer-Policy":              "no-referrer",
		"X-Content-Type-Options":       "nosniff",
		"Cross-Origin-Opener-Policy":   "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin",
		"Permissions-Policy": "camera=(self), publickey-credentials-create=(self), publickey-credentials-get=(self), " +
			"geolocation=(), microphone=(), usb=(), serial=(), bluetooth=(), payment=()",
	}
	if s.url.Scheme == "https" {
		headers["Strict-Transport-Security"] = "max-age=31536000"
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range headers {
			w.Header().Set(name, value)
		}
		next.ServeHTTP(w, r)
	})
}

// sameHost sends requests for another host to the portal's own: passkeys are
// bound to it, and a page under another name could be somebody else's.
func (s *Server) sameHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.EqualFold(r.Host, s.url.Host):
			next.ServeHTTP(w, r)
		case r.Method == http.MethodGet || r.Method == http.MethodHead:
			http.Redirect(w, r, s.url.String()+r.URL.RequestURI(), http.StatusPermanentRedirect)
		default:
			http.Error(w, "another host", http.StatusMisdirectedRequest)
		}
	})
}
