package ttp

import (
	"strings"
	"testing"
	"time"

	"github.com/wattveil/wattveil/consumer"
)

// withMeter is a portal with one keyed meter whose readings reach to the
// present, and a browser before it.
func withMeter(t *testing.T) (*portalRig, *smart, *browser) {
	t.Helper()
	process := chromium(t)
	p := newPortalRig(t)
	p.clock.add(presently.Sub(start))
	m := p.company.keyed(7)
	p.fill(m.name, 3, quarter, presently.AddDate(0, -2, 0).Truncate(time.Hour), presently, nil)
	return p, m, browse(t, process, p.serve())
}

func TestPortalFromClaimToDeletion(t *testing.T) {
	p, m, b := withMeter(t)
	b.claim(m.code(1))
	b.wait("figure.chart")
	now := b.path()
	if !m.confirmed() {
		t.Error("the claim did not confirm the meter")
	}
	b.press(`form[action="/sign-out"] button`)
	b.open(now)
	b.until(`location.pathname == "/sign-in"`)
	b.click("[data-passkey=get]")
	b.until(`location.pathname == "` + now + `"`)

	// A second passkey, on another authenticator.
	b.replaceAuthenticator()
	b.open("/settings")
	b.click("[data-passkey=create]")
	b.until(`document.querySelectorAll(".list")[0].children.length == 2`)
	b.press(`form[action="/sign-out"] button`)
	b.signIn()
	if n := p.count("passkeys"); n != 2 {
		t.Fatalf("%d passkeys are kept, want 2", n)
	}

	// The first one is removed, and its sessions with it.
	b.open("/settings")
	b.press(`form[action="/settings/passkeys/remove"] button`)
	b.until(`document.querySelectorAll(".list")[0].children.length == 1`)
	if n := p.count("passkeys WHERE number = 2"); n != 1 {
		t.Error("the wrong passkey was removed")
	}

	b.press(`form[action="/settings/sign-out-everywhere"] button`)
	if n := p.count("portal_sessions"); n != 0 {
		t.Errorf("%d sessions are left after signing out everywhere", n)
	}
	b.signIn()
	b.open("/settings")
	b.click("input[name=sure]")
	b.press(`form[action="/settings/delete"] button`)
	for _, table := range []string{"accounts", "passkeys", "portal_sessions", "claims"} {
		if n := p.count(table); n != 0 {
			t.Errorf("%d rows of %s are left after deletion", n, table)
		}
	}
	b.noStrangers()
}

func TestPortalDangerousActsNeedPasskey(t *testing.T) {
	p, m, b := withMeter(t)
	b.claim(m.code(1))
	ref := strings.Split(b.path(), "/")[2]
	p.clock.add(6 * time.Minute)
	for path, form := range map[string]string{
		"/settings/passkeys/remove": "number=1", "/settings/delete": "sure=yes", "/m/" + ref + "/give-up": "", "/m/" + ref + "/refuse-takeover": "",
		"/settings/passkeys/options": "",
	} {
		if got := p.ask("POST", path, form, b.cookies()); got.status != 403 || got.class != "confirm" {
			t.Errorf("%s without a fresh assertion: %d %s, want 403 confirm", path, got.status, got.class)
		}
	}
	if p.count("accounts") != 1 || p.count("claims") != 1 {
		t.Fatal("an act without a fresh assertion was carried out")
	}
	b.confirm()
	if got := p.ask("POST", "/m/"+ref+"/give-up", "", b.cookies()); got.status != 303 {
		t.Errorf("give-up after an assertion: %d %s", got.status, got.class)
	}
	if p.count("claims") != 0 {
		t.Error("the meter is still in the account")
	}
}

func TestPortalRecovery(t *testing.T) {
	p, m, owner := withMeter(t)
	owner.claim(m.code(1))
	now := owner.path()

	// Whoever has lost the passkeys stands before the meter.
	other := browse(t, owner.process, owner.at)
	other.claim(m.code(1))
	other.until(`document.body.innerText.includes("24 June 2026")`)
	if got := p.ask("GET", now, "", other.cookies()); got.status != 404 || got.class != "not-yours" {
		t.Errorf("the meter's page before the 7 days: %d %s", got.status, got.class)
	}

	// A second takeover has to wait its turn.
	third := browse(t, owner.process, owner.at)
	third.typeCode(m.code(1))
	third.click("[data-passkey=create]")
	third.until(`document.querySelector(".outcome").dataset.class == "waiting"`)

	// The owner is told, and refuses.
	owner.open("/settings")
	owner.until(`document.querySelector(".notice.warn").innerText.includes("24 June 2026")`)
	owner.press(`form[action$="/refuse-takeover"] button`)
	owner.until(`!document.querySelector(".notice.warn")`)
	p.clock.add(8 * day)
	other.signIn()
	if got := p.ask("GET", now, "", other.cookies()); got.status != 404 {
		t.Errorf("a refused takeover took effect: %d", got.status)
	}

	// Again, and nobody refuses.
	other.typeCode(m.code(1))
	other.press(`form[action="/claim/take"] button`)
	p.clock.add(consumer.TakeoverAfter - time.Hour)
	owner.signIn()
	if owner.path() != now {
		t.Error("the owner lost the meter before the 7 days were over")
	}
	p.clock.add(time.Hour)
	other.signIn()
	other.until(`location.pathname.endsWith("/now")`)
	owner.open(now)
	if class := owner.refused(); class != "not-yours" {
		t.Errorf("the former owner is answered %q", class)
	}
}

func TestPortalSecondMeter(t *testing.T) {
	p, m, b := withMeter(t)
	second := p.company.keyed(8)
	b.claim(m.code(1))
	b.typeCode(second.code(1))
	b.press(`form[action="/claim/take"] button`)
	b.until(`document.querySelectorAll(".meters a").length == 2`)
	b.typeCode(m.code(1)) // is there already
	b.wait(`a.button[href="/"]`)
	if p.count("claims") != 2 || p.count("takeovers") != 0 {
		t.Error("two meters were claimed, and something else is kept")
	}
}

// chartData are the columns that the chart has drawn, by label.
type chartData struct {
	X      []float64             `json:"x"`
	Series map[string][]*float64 `json:"series"`
	Ink    int                   `json:"ink"` // coloured pixels of the canvas
}

const readChart = `(() => {
	const u = document.querySelector("figure.chart").chart.u, c = u.ctx.canvas;
	const pixels = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
	let ink = 0;
	for (let i = 3; i < pixels.length; i += 4) if (pixels[i]) ink++;
	return { x: [...u.data[0]], series: Object.fromEntries(u.series.slice(1).map((s, i) => [s.label, [...u.data[i + 1]]])), ink };
})()`

const chartDrawn = `document.querySelector("figure.chart")?.chart`

func TestPortalChartsShowTheStore(t *testing.T) {
	p, m, b := withMeter(t)
	b.claim(m.code(1))
	use := strings.Replace(b.path(), "/now", "/use", 1)
	b.open(use + "?by=day&at=2026-06-16")
	b.until(chartDrawn)
	drawn := eval[chartData](b, readChart)
	if len(drawn.X) != 96 || drawn.Ink < 1000 {
		t.Fatalf("%d points and %d coloured pixels are drawn, want 96 points", len(drawn.X), drawn.Ink)
	}
	midnight := time.Date(2026, 6, 16, 0, 0, 0, 0, p.zone).Unix()
	f, err := p.store.Read(t.Context(), m.name, midnight, midnight+24*3600)
	must(t, err)
	stored := f.Runs[0].Readings
	for i := range 96 {
		want := float64(stored[i+1].Import.Since(stored[i].Import)) / 1000
		var got float64
		for _, band := range []string{"night", "day", "peak"} { // one of them has it
			if v := drawn.Series[band][i]; v != nil {
				got = *v
			}
		}
		if got != want {
			t.Errorf("interval %d is drawn as %v kWh, stored are %v", i, got, want)
		}
	}

	// From a month to a day by dragging.
	b.open(use + "?by=month&at=2026-06-01")
	b.until(chartDrawn)
	if n := len(eval[chartData](b, readChart).X); n != 30 {
		t.Fatalf("the month has %d points", n)
	}
	b.drag(15.0/30, 16.0/30)
	b.until(`document.querySelector("figure.chart").chart.u.data[0].length > 90`)
	if n := len(eval[chartData](b, readChart).X); n < 94 || n > 100 {
		t.Errorf("a day of the month has %d points, want about 96", n)
	}
	b.click(`[data-do=reset]`)
	b.until(`document.querySelector("figure.chart").chart.u.data[0].length == 30`)
	b.noStrangers()
}

func TestPortalShowsGapsAsSuch(t *testing.T) {
	process := chromium(t)
	p := newPortalRig(t)
	p.clock.add(presently.Sub(start))
	m := p.company.keyed(7)
	first := time.Date(2026, 6, 10, 6, 0, 0, 0, p.zone)
	gap := first.Add(4 * time.Hour)
	p.fill(m.name, 3, quarter, first, presently, func(at int64) bool { return at > gap.Unix() && at < gap.Add(time.Hour).Unix() })
	b := browse(t, process, p.serve())
	b.claim(m.code(1))
	b.open(strings.Replace(b.path(), "/now", "/use", 1) + "?at=2026-06-10")
	b.until(chartDrawn)
	data := eval[struct {
		Import    []*float64 `json:"import"`
		Estimated []float64  `json:"estimated"`
		Missing   []float64  `json:"missing"`
	}](b, `document.querySelector("figure.chart").chart.data`)
	for i := range 96 {
		missing, estimated := i < 24, i >= 40 && i < 44
		if (data.Import[i] == nil) != missing || (data.Missing[i] == 900) != missing {
			t.Errorf("interval %d: import %v, missing %v s, want missing %v", i, data.Import[i], data.Missing[i], missing)
		}
		if (data.Estimated[i] > 0) != estimated {
			t.Errorf("interval %d: estimated %v, want %v", i, data.Estimated[i], estimated)
		}
	}
	words := eval[string](b, `document.querySelector(".table").innerHTML`)
	if n := strings.Count(words, ">not known<"); n != 24 {
		t.Errorf("the table has %d intervals that are not known, want 24", n)
	}
	if n := strings.Count(words, ">estimated in part<"); n != 4 {
		t.Errorf("the table has %d estimated intervals, want 4", n)
	}
}

func TestPortalLanguageAndTheme(t *testing.T) {
	_, m, b := withMeter(t)
	b.claim(m.code(1))
	b.run(setValue("footer select[name=language]", "de"), setValue("footer select[name=theme]", "dark"))
	b.press("footer form button")
	b.until(`document.documentElement.lang == "de" && document.documentElement.dataset.theme == "dark"`)
	if title := eval[string](b, "document.querySelector('h1').innerText"); title != "Jetzt und heute" {
		t.Errorf("the title is %q", title)
	}
	if eval[string](b, "getComputedStyle(document.body).color") == "rgb(22, 33, 28)" {
		t.Error("the dark theme has the light one's text")
	}
	if figure := eval[string](b, "document.querySelectorAll('.big')[1].innerText"); !strings.Contains(figure, ",") {
		t.Errorf("an energy in German is %q", figure)
	}
}

func TestPortalNeedsNoScriptToRead(t *testing.T) {
	p, m, b := withMeter(t)
	b.claim(m.code(1))
	cookies := b.cookies()
	base := strings.TrimSuffix(b.path(), "/now")
	for _, path := range []string{"/now", "/use?by=day&at=2026-06-16", "/use?by=week", "/use?by=month", "/use?by=year", "/outlook", "/tariff", "/bills", "/asked", "/alerts", "/meter", "/insights", "/export", "/privacy"} {
		got := p.ask("GET", base+path, "", cookies)
		if got.status != 200 {
			t.Errorf("%s: status %d", path, got.status)
		}
		if strings.Contains(path, "use") && (!strings.Contains(got.body, "<rect class=\"band-") || !strings.Contains(got.body, "<td>")) {
			t.Errorf("%s has neither bars nor table without scripts", path)
		}
		// With style sheets, scripts and the chart's data.
		if size := len(got.body) + p.loaded(got.body, cookies); size > 150_000 {
			t.Errorf("%s has %d bytes with everything", path, size)
		}
		if strings.Contains(got.body, "style=") || strings.Contains(got.body, "onclick") || strings.Contains(got.body, "<script>") {
			t.Errorf("%s has inline styles or scripts", path)
		}
	}
}
