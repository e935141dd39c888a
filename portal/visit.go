package portal

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"github.com/wattveil/wattveil/consumer"
)

// visit is one request: who asks, in which language, about which meter.
type visit struct {
	s       *Server
	w       http.ResponseWriter
	r       *http.Request
	locale  locale
	theme   string
	token   consumer.Token
	session *consumer.Session // nil if nobody is signed in
	meters  []consumer.Meter
	meter   *consumer.Meter // of the path
}

// Of spec/portal.md section 3.
const (
	cookieSession  = "__Host-session"
	cookieBrowser  = "__Host-browser" // names the browser in a ceremony
	cookieLanguage = "__Host-language"
	cookieTheme    = "__Host-theme"

	sessionLasts   = 12 * time.Hour
	confirmedFor   = 5 * time.Minute
	sessionCookie  = 7 * 24 * time.Hour // so that a session that is over is known as such
	browserCookie  = 15 * time.Minute
	settingsCookie = 365 * 24 * time.Hour
)

// serve answers a request by its route.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, to route) {
	v := &visit{s: s, w: w, r: r, locale: locale{preferred(r.Header.Get("Accept-Language"))}, theme: themeAuto}
	if lang := v.cookie(cookieLanguage); isLanguage(lang) {
		v.locale.lang = lang
	}
	if theme := v.cookie(cookieTheme); isTheme(theme) {
		v.theme = theme
	}
	if err := v.run(to); err != nil {
		v.refuse(to, err)
	}
}

// run finds out who asks and answers. A panic is an error of this request.
func (v *visit) run(to route) (err error) {
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler {
				panic(p) // breaks an answer off that has begun
			}
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	if err := v.identify(to.access); err != nil {
		return err
	}
	v.r.Body = http.MaxBytesReader(v.w, v.r.Body, maxForm)
	return to.answer(v)
}

// identify loads session and meters, and refuses who may not ask.
func (v *visit) identify(need access) error {
	if need == stranger {
		return nil
	}
	err := v.findSession()
	if need == anyone && err == classEnded {
		v.clear(cookieSession)
		return nil
	}
	if err != nil {
		return err
	}
	if v.session == nil {
		if need == anyone {
			return nil
		}
		return classSignedOut
	}
	if v.meters, err = v.s.cfg.TTP.Meters(v.r.Context(), v.session.Account); err != nil || need != ofMeter {
		return err
	}
	ref := v.r.PathValue("meter")
	for i := range v.meters {
		if v.meters[i].Ref == ref {
			v.meter = &v.meters[i]
			return nil
		}
	}
	return consumer.NotYours
}

func (v *visit) findSession() error {
	raw, err := base64.RawURLEncoding.DecodeString(v.cookie(cookieSession))
	if err != nil || len(raw) != len(v.token) {
		if v.cookie(cookieSession) != "" {
			return classEnded
		}
		return nil
	}
	copy(v.token[:], raw)
	session, found, err := v.s.cfg.TTP.Session(v.r.Context(), v.token.Hash())
	if err != nil {
		return err
	}
	if !found || !v.s.cfg.Now().Before(session.Ends) {
		return classEnded
	}
	v.session = &session
	return nil
}

// shown is the meter of the path, or the account's first.
func (v *visit) shown() *consumer.Meter {
	if v.meter != nil {
		return v.meter
	}
	if len(v.meters) > 0 {
		return &v.meters[0]
	}
	return nil
}

// confirmed tells whether there was an assertion of late.
func (v *visit) confirmed() bool {
	return v.session != nil && v.s.cfg.Now().Sub(v.session.Confirmed) < confirmedFor
}

// begin signs an account in.
func (v *visit) begin(a consumer.Account, passkey []byte) error {
	now := v.s.cfg.Now()
	token := consumer.NewToken()
	err := v.s.cfg.TTP.BeginSession(v.r.Context(), token.Hash(), consumer.Session{
		Account: a, Passkey: passkey, Began: now, Ends: now.Add(sessionLasts), Confirmed: now,
	})
	if err != nil {
		return err
	}
	if v.session != nil { // whoever signs in again leaves no open session behind
		if err := v.s.cfg.TTP.EndSession(v.r.Context(), v.token.Hash()); err != nil {
			return err
		}
	}
	v.set(cookieSession, base64.RawURLEncoding.EncodeToString(token[:]), sessionCookie)
	return nil
}

func (v *visit) cookie(name string) string {
	c, err := v.r.Cookie(name)
	if err != nil {
		return ""
	}
	return c.Value
}

func (v *visit) set(name, value string, lasts time.Duration) {
	http.SetCookie(v.w, &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: int(lasts / time.Second),
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

func (v *visit) clear(name string) { v.set(name, "", -time.Second) }

// redirect sends the browser to a page of the portal.
func (v *visit) redirect(path string) error {
	http.Redirect(v.w, v.r, path, http.StatusSeeOther)
	return nil
}

// next is the path that a form or address names to go on to: one of the
// portal's own, else the start.
func next(path string) string {
	u, err := url.Parse(path)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(path, "//") || strings.ContainsAny(path, "\\\r\n\t") {
		return "/"
	}
	return u.RequestURI()
}

// readJSON reads the body of a script's request.
func (v *visit) readBody() ([]byte, error) {
	body, err := io.ReadAll(v.r.Body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", consumer.BadRequest, err)
	}
	return body, nil
}

// writeJSON answers a script.
func (v *visit) writeJSON(status int, content any) error {
	body, err := json.Marshal(content)
	if err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	v.w.Header().Set("Content-Type", "application/json")
	v.w.Header().Set("Cache-Control", "no-store")
	v.w.WriteHeader(status)
	_, _ = v.w.Write(body) // the browser has left if this fails
	return nil
}

// wantsJSON tells whether a script asks.
func (v *visit) wantsJSON() bool { return v.r.Header.Get("Accept") == "application/json" }

// refusalView is what the page of a refusal shows.
type refusalView struct {
	Class, Text, Detail string
}

// refuse answers an error by its class.
func (v *visit) refuse(to route, err error) {
	if errors.Is(err, classSignedOut) && v.r.Method == http.MethodGet && !v.wantsJSON() {
		_ = v.redirect("/sign-in?" + url.Values{"next": {v.r.URL.RequestURI()}}.Encode())
		return
	}
	if isGone(v.r.Context()) {
		return
	}
	class, answer := v.refusalOf(err)
	if class == classUnavailable {
		v.s.cfg.Log.Error("page not shown", "route", to.pattern, "error", err)
	} else {
		v.s.cfg.Log.Debug("request refused", "route", to.pattern, "class", string(class))
	}
	shown := refusalView{Class: string(class), Text: answer.text.in(v.locale.lang)}
	var bad badRequest
	if errors.As(err, &bad) {
		shown.Detail = bad.name + ": " + bad.want.in(v.locale.lang)
	}
	if v.wantsJSON() {
		_ = v.writeJSON(answer.status, map[string]string{"class": shown.Class, "text": shown.Text})
		return
	}
	if class == classEnded {
		v.clear(cookieSession)
	}
	if err := v.render(answer.status, &errorPage, shown); err != nil {
		v.s.cfg.Log.Error("refusal not shown", "error", err)
		http.Error(v.w, shown.Text, answer.status)
	}
}
