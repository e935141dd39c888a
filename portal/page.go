package portal

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/consumer"
	"github.com/wattveil/wattveil/tariff"
)

//go:embed html/*.html
var templates embed.FS

// text is a text in all languages of the portal.
type text struct{ EN, DE string }

func (t text) in(lang string) string {
	if lang == german {
		return t.DE
	}
	return t.EN
}

// texts is a catalogue of texts by key.
type texts map[string]text

// page is a page's template, html/NAME.html, and its texts. "title" is what the
// page is called, in the menu too.
type page struct {
	name  string
	texts texts
}

// errorPage shows refusals.
var errorPage = page{name: "error", texts: texts{
	"title":   {"Not done", "Nicht ausgeführt"},
	"back":    {"Back to the start", "Zurück zum Anfang"},
	"sign-in": {"Sign in", "Anmelden"},
	"claim":   {"Type a claim code", "Zugangscode eingeben"},
	"confirm": {"Confirm with your passkey", "Mit Ihrem Passkey bestätigen"},
	"class":   {"Answer", "Antwort"},
}}

// pages are the parsed templates by language and name.
type pages map[string]map[string]*template.Template

func parsePages(routes []route, a assets) (pages, error) {
	all := make(pages)
	list := []*page{&errorPage}
	for _, r := range routes {
		if r.page != nil {
			list = append(list, r.page)
		}
	}
	for _, lang := range languages {
		all[lang] = make(map[string]*template.Template)
		for _, p := range list {
			parsed, err := parsePage(p, lang, a)
			if err != nil {
				return nil, err
			}
			all[lang][p.name] = parsed
		}
	}
	return all, nil
}

func parsePage(p *page, lang string, a assets) (*template.Template, error) {
	known := maps.Clone(layoutTexts)
	maps.Copy(known, p.texts)
	l := locale{lang}
	funcs := template.FuncMap{
		"t": func(key string, args ...any) (string, error) {
			found, ok := known[key]
			if !ok {
				return "", fmt.Errorf("page %s has no text %q", p.name, key)
			}
			if len(args) == 0 {
				return found.in(lang), nil
			}
			return fmt.Sprintf(found.in(lang), args...), nil
		},
		"asset":    a.path,
		"kwh":      func(e wattveil.Wh) string { return l.kWh(int64(e)) },
		"money":    func(d tariff.Decimal, currency string, decimals int) string { return l.money(d, currency, decimals) },
		"date":     func(at time.Time) string { return l.date(at) },
		"day":      func(at time.Time) string { return l.day(at) },
		"clock":    func(at time.Time) string { return l.clock(at) },
		"dateTime": func(at time.Time) string { return l.date(at) + ", " + l.clock(at) },
		"iso":      func(at time.Time) string { return at.Format(time.RFC3339) },
		"short":    short,
	}
	parsed, err := template.New("layout.html").Funcs(funcs).ParseFS(templates, "html/layout.html", "html/chart.html", "html/"+p.name+".html")
	if err != nil {
		return nil, fmt.Errorf("page %s: %w", p.name, err)
	}
	return parsed, nil
}

// short cuts a fingerprint into groups of four.
func short(text string) string {
	var b bytes.Buffer
	for i, c := range text {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(c)
	}
	return b.String()
}

// view is what a template sees.
type view struct {
	Lang     string
	Theme    string
	Title    string
	Page     string // its name
	Path     string // for forms that come back
	SignedIn bool
	Meter    *consumer.Meter
	Meters   []consumer.Meter
	Notices  []consumer.Meter // of which somebody else's claim waits
	Menu     []menuItem
	Data     any
}

type menuItem struct {
	Title, Path string
	Current     bool
	Unread      int // of what was raised
}

// render shows a page.
func (v *visit) render(status int, p *page, data any) error {
	page := view{
		Lang: v.locale.lang, Theme: v.theme, Title: p.texts["title"].in(v.locale.lang), Page: p.name, Path: v.r.URL.RequestURI(),
		SignedIn: v.session != nil, Meter: v.meter, Meters: v.meters, Data: data, Menu: v.menu(p),
	}
	for _, m := range v.meters {
		if !m.TakenOver.IsZero() {
			page.Notices = append(page.Notices, m)
		}
	}
	if v.r.Method != http.MethodGet || status >= 400 { // a refused address is not shown again
		page.Path = "/"
	}
	var b bytes.Buffer
	if err := v.s.pages[v.locale.lang][p.name].Execute(&b, page); err != nil {
		return fmt.Errorf("show page %s: %w", p.name, err)
	}
	h := v.w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Language", v.locale.lang)
	v.w.WriteHeader(status)
	_, _ = b.WriteTo(v.w) // the browser has left if this fails
	return nil
}

// menu lists the pages of the meter that is looked at, and those of the
// account.
func (v *visit) menu(current *page) []menuItem {
	if v.session == nil {
		return nil
	}
	var ref string
	if m := v.shown(); m != nil {
		ref = m.Ref
	}
	var items []menuItem
	for _, r := range v.s.table {
		if !r.nav || r.access == ofMeter && ref == "" {
			continue
		}
		item := menuItem{Title: r.page.texts["title"].in(v.locale.lang), Path: r.path(ref), Current: r.page == current}
		if r.page == &alertPage {
			item.Unread = v.shown().Unread
		}
		items = append(items, item)
	}
	return items
}

// layoutTexts are texts that every page has.
var layoutTexts = texts{
	"skip":            {"Skip to content", "Zum Inhalt"},
	"menu":            {"Pages", "Seiten"},
	"unread":          {"unread", "ungelesen"},
	"sign-out":        {"Sign out", "Abmelden"},
	"sign-in-link":    {"Sign in", "Anmelden"},
	"language":        {"Language", "Sprache"},
	"theme":           {"Appearance", "Darstellung"},
	"theme-auto":      {"As the device", "Wie das Gerät"},
	"theme-light":     {"Light", "Hell"},
	"theme-dark":      {"Dark", "Dunkel"},
	"apply":           {"Apply", "Anwenden"},
	"meters":          {"Meter", "Zähler"},
	"meter-name":      {"Meter %s", "Zähler %s"},
	"network":         {"We ask for no name and keep none. While you are connected this server sees your network address; it is not kept. Tor Browser hides it.", "Wir fragen nach keinem Namen und speichern keinen. Solange Sie verbunden sind, sieht dieser Server Ihre Netzadresse; er speichert sie nicht. Der Tor-Browser verbirgt sie."},
	"about-link":      {"What is kept here", "Was hier gespeichert wird"},
	"takeover":        {"Somebody else has claimed meter %s.", "Jemand anders beansprucht den Zähler %s."},
	"takeover-due":    {"It moves to their account on %s unless you refuse. Whoever did this stood before the meter.", "Er geht am %s in dessen Konto über, wenn Sie nicht ablehnen. Wer das getan hat, stand vor dem Zähler."},
	"takeover-refuse": {"Refuse", "Ablehnen"},
	"needs-script":    {"Passkeys need JavaScript. Reading needs none.", "Passkeys brauchen JavaScript. Zum Lesen ist keines nötig."},
	"no-passkeys":     {"This browser knows no passkeys. Use a current one, over https.", "Dieser Browser kennt keine Passkeys. Benutzen Sie einen aktuellen, über https."},
	"passkey-stopped": {"Nothing was done: the passkey was not used. Try again.", "Es ist nichts geschehen: Der Passkey wurde nicht benutzt. Versuchen Sie es noch einmal."},
	"working":         {"Waiting for your passkey …", "Warten auf Ihren Passkey …"},
	"limits":          {"Rules that are looser for your utility", "Regeln, die für Ihren Versorger lockerer sind"},
	"limits-why":      {"The operator of this trusted third party has changed these limits of what may be told. Everybody can see them.", "Der Betreiber dieser Vertrauensstelle hat diese Grenzen dessen, was mitgeteilt werden darf, geändert. Alle können sie sehen."},
	"limits-name":     {"Limit", "Grenze"},
	"limits-set":      {"Set to", "Gesetzt auf"},
	"limits-else":     {"Otherwise", "Sonst"},
	"limits-usual":    {"All limits of what may be told are the usual ones.", "Alle Grenzen dessen, was mitgeteilt werden darf, sind die üblichen."},
	"chart-table":     {"The same as a table", "Dasselbe als Tabelle"},
	"chart-import":    {"From the grid", "Bezug"},
	"chart-export":    {"To the grid", "Einspeisung"},
	"chart-estimated": {"Estimated", "Geschätzt"},
	"chart-missing":   {"Not known", "Nicht bekannt"},
	"chart-cost":      {"Cost of energy", "Energiekosten"},
	"chart-compare":   {"Compared", "Vergleich"},
	"chart-when":      {"When", "Wann"},
	"chart-quality":   {"How it is known", "Woher bekannt"},
	"chart-measured":  {"measured", "gemessen"},
	"chart-estimate":  {"estimated in part", "teilweise geschätzt"},
	"chart-unknown":   {"not known in part", "teilweise nicht bekannt"},
	"chart-none":      {"not known", "nicht bekannt"},
	"chart-later":     {"still to come", "noch nicht vorbei"},
	"chart-doubt":     {"measured, doubtful", "gemessen, zweifelhaft"},
	"chart-zoom-in":   {"Zoom in", "Vergrößern"},
	"chart-zoom-out":  {"Zoom out", "Verkleinern"},
	"chart-back":      {"Earlier", "Früher"},
	"chart-forward":   {"Later", "Später"},
	"chart-reset":     {"Whole period", "Ganzer Zeitraum"},
	"chart-hint":      {"Drag across the chart to look closer.", "Ziehen Sie über das Diagramm, um genauer hinzusehen."},
}
