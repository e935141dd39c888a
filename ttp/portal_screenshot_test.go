package ttp

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/wattveil/wattveil/consumer"
	"github.com/wattveil/wattveil/gate"
	"github.com/wattveil/wattveil/wire"
)

// shots are the pages that TestScreenshots looks at, signed in. METER stands
// for the meter's reference, BILL for that of its newest bill.
var shots = []struct{ name, path string }{
	{"home", "/"},
	{"about", "/about"},
	{"now", "/m/METER/now"},
	{"use-day", "/m/METER/use"},
	{"use-day-cost", "/m/METER/use?at=2026-06-13&cost=1&compare=previous"},
	{"use-day-gap", "/m/METER/use?at=2026-06-10"},
	{"use-week", "/m/METER/use?by=week&at=2026-06-10"},
	{"use-month", "/m/METER/use?by=month&at=2026-06-10&compare=year&cost=1"},
	{"use-year", "/m/METER/use?by=year&at=2026-06-10&compare=previous"},
	{"use-nothing", "/m/METER/use?by=month&at=2020-01-01"},
	{"outlook", "/m/METER/outlook"},
	{"bills", "/m/METER/bills"},
	{"bill", "/m/METER/bill/BILL"},
	{"asked", "/m/METER/asked"},
	{"tariff", "/m/METER/tariff"},
	{"tariff-seasons", "/m/METER/tariff?tariff=seasons&from=2026-03&to=2026-05"},
	{"alerts", "/m/METER/alerts"},
	{"insights", "/m/METER/insights"},
	{"meter", "/m/METER/meter"},
	{"export", "/m/METER/export"},
	{"privacy", "/m/METER/privacy"},
	{"settings", "/settings"},
	{"confirm", "/confirm?next=/settings"},
	{"refused-not-yours", "/m/other/now"},
	{"refused-bad-request", "/m/METER/use?by=century"},
}

// TestScreenshots makes pictures of every page, for phone and desktop, light
// and dark, in the folder that WATTVEIL_SCREENSHOTS names ("make
// screenshots"), in German if WATTVEIL_LANGUAGE is de. Whoever changes a page
// looks at them.
func TestScreenshots(t *testing.T) {
	dir := os.Getenv("WATTVEIL_SCREENSHOTS")
	if dir == "" {
		t.Skip("WATTVEIL_SCREENSHOTS names no folder: see make screenshots")
	}
	must(t, os.MkdirAll(dir, 0o755))
	p := newPortalRig(t)
	m := p.company.keyed(7)
	p.registerSeasons()
	p.clock.add(presently.Sub(start))
	m.agree(2)
	gap := time.Date(2026, 6, 10, 7, 0, 0, 0, p.zone)
	p.fill(m.name, 5, quarter, time.Date(2025, 3, 1, 0, 0, 0, 0, p.zone), presently.Add(-5*time.Minute), func(at int64) bool {
		return at > gap.Unix() && at < gap.Add(3*time.Hour).Unix() || at > gap.Add(8*time.Hour).Unix() && at < gap.Add(30*time.Hour).Unix()
	})
	p.billed(m, "wattveil-three-band", time.Date(2026, 4, 1, 0, 0, 0, 0, p.zone), time.Date(2026, 6, 1, 0, 0, 0, 0, p.zone))
	_, _, err := p.company.bills("wattveil-three-band", time.Date(2026, 5, 1, 0, 0, 0, 0, p.zone), time.Date(2026, 6, 10, 0, 0, 0, 0, p.zone), m.name.Pseudonym.String())
	must(t, err) // refused, which is told
	must(t, p.SetGate(t.Context(), "energy.example", gate.Settings{BillsPerYear: 26}))
	process := chromium(t)
	b := browse(t, process, p.serve())
	if language := os.Getenv("WATTVEIL_LANGUAGE"); language != "" {
		b.open("/")
		b.run(setValue("footer select[name=language]", language))
		b.press("footer form button")
	}
	for _, s := range []struct{ name, path string }{{"start", "/"}, {"sign-in", "/sign-in"}, {"claim", "/claim"}} {
		b.shoot(dir, s.name, s.path)
	}
	other := p.company.keyed(8)
	for name, code := range map[string]string{
		"claim-malformed": "ABC", "claim-interception": wire.NewClaimCode(other.name, m.epochs[2].keys.Claim).Text(),
	} {
		b.typeCode(code)
		b.shoot(dir, name, "")
	}
	b.typeCode(m.code(2))
	b.shoot(dir, "claim-passkey", "")
	b.claim(m.code(2))
	ref := strings.Split(b.path(), "/")[2]
	p.setAlert(m.name, consumer.AlertDay, 20_000)
	p.setAlert(m.name, consumer.AlertSilent, 12)
	p.clock.add(-7 * day) // so that some of the past counts
	p.setAlert(m.name, consumer.AlertHour, 1_500)
	p.clock.add(7 * day)
	for _, s := range shots {
		b.shoot(dir, s.name, p.shotPath(s.path, ref, m))
	}
	b.open(p.shotPath("/m/METER/bill/BILL", ref, m))
	b.click("[data-check] button")
	b.until(`document.body.dataset.bill == "holds"`)
	for _, theme := range []string{"light", "dark"} {
		b.dark(theme == "dark")
		picture, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(dir, "bill-checked-desktop-"+theme+".png"), picture, 0o644))
	}
	b.shootSharing(dir, ref)
	second := browse(t, process, b.at)
	second.typeCode(m.code(2))
	second.shoot(dir, "claim-taken", "")
	second.claim(m.code(2))
	second.shoot(dir, "takeover-waits", "/")
	b.shoot(dir, "takeover-notice", "/m/"+ref+"/now")
}

// shotPath puts references into a path of shots.
func (p *portalRig) shotPath(path, ref string, m *smart) string {
	p.t.Helper()
	list, err := p.Consumers().Bills(p.t.Context(), m.name)
	must(p.t, err)
	newest := "none"
	if len(list) > 0 {
		newest = list[len(list)-1].Ref
	}
	return strings.NewReplacer("METER", ref, "BILL", newest).Replace(path)
}

// shootSharing pictures a link that was just made, and what it leads to.
func (b *browser) shootSharing(dir, ref string) {
	b.t.Helper()
	b.open("/m/" + ref + "/privacy?from=2026-06-09&to=2026-06-12")
	b.press("#links form.options button")
	link := strings.TrimPrefix(eval[string](b, `document.querySelector("#new-link").value`), b.at)
	b.shoot(dir, "privacy-shared", "")
	b.shoot(dir, "shared", link)
	b.shoot(dir, "shared-over", "/shared/none")
}

// shoot pictures a page, or the present one, in all its looks.
func (b *browser) shoot(dir, name, path string) {
	b.t.Helper()
	for _, look := range []struct {
		name   string
		width  int64
		height int64
	}{{"phone", 360, 760}, {"desktop", 1280, 900}} {
		for _, theme := range []string{"light", "dark"} {
			b.size(look.width, look.height)
			b.dark(theme == "dark")
			if path != "" {
				b.open(path)
			}
			b.until(`[...document.querySelectorAll("figure.chart")].every((f) => f.chart)`)
			picture, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
			must(b.t, err)
			file := filepath.Join(dir, fmt.Sprintf("%s-%s-%s.png", name, look.name, theme))
			must(b.t, os.WriteFile(file, picture, 0o644))
		}
	}
}
