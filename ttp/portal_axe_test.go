package ttp

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wattveil/wattveil/consumer"
)

// axeScript is axe-core, which .ci/axe fetches into a folder that is not part
// of the project.
func axeScript(t *testing.T) string {
	path := os.Getenv("WATTVEIL_AXE")
	if path == "" {
		path = filepath.Join("..", ".cache", "axe-core", "package", "axe.min.js")
	}
	content, err := os.ReadFile(path)
	if err == nil {
		return string(content)
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("axe-core is missing: .ci/axe fetches it: %v", err)
	}
	t.Skip("axe-core is not there: fetch it with .ci/axe")
	return ""
}

// runAxe gives one line for each element that breaks a rule in earnest.
const runAxe = `axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }).then((r) =>
	r.violations.filter((v) => v.impact == "serious" || v.impact == "critical" || v.impact == "moderate")
		.flatMap((v) => v.nodes.map((n) => v.id + ": " + n.target.join(" ") + ": " + n.failureSummary.replace(/\s+/g, " "))))`

// TestPortalIsAccessible holds every page, in both themes, to the rules that a
// program can check, and to the width of a small phone.
func TestPortalIsAccessible(t *testing.T) {
	axe := axeScript(t)
	p, _, b := withMeter(t)
	gap := presently.Add(-30 * time.Hour)
	other := p.company.keyed(8)
	p.fill(other.name, 5, quarter, presently.AddDate(0, -1, 0).Truncate(time.Hour), presently, func(at int64) bool {
		return at > gap.Unix() && at < gap.Add(4*time.Hour).Unix()
	})
	p.billed(other, "wattveil-three-band", time.Date(2026, 5, 20, 0, 0, 0, 0, p.zone), time.Date(2026, 6, 1, 0, 0, 0, 0, p.zone))
	check := func(path string) {
		b.open(path)
		b.until(`[...document.querySelectorAll("figure.chart")].every((f) => f.chart)`)
		eval[bool](b, "(() => {"+axe+"; return true; })()")
		b.size(320, 700)
		b.until("document.scrollingElement.scrollWidth <= 320") // charts follow
		b.size(1280, 900)
		for _, theme := range []string{"light", "dark"} {
			b.dark(theme == "dark")
			for _, line := range eval[[]string](b, runAxe) {
				t.Errorf("%s, %s: %s", path, theme, line)
			}
		}
	}
	for _, path := range []string{"/", "/sign-in", "/claim"} {
		check(path)
	}
	b.claim(other.code(1))
	second := browse(t, b.process, b.at)
	second.claim(other.code(1)) // a takeover, which is told
	ref := strings.Split(b.path(), "/")[2]
	p.clock.add(-7 * day)
	p.setAlert(other.name, consumer.AlertHour, 500) // some of the past exceeds it: the menu counts what is unread
	p.clock.add(7 * day)
	b.open("/m/" + ref + "/alerts")
	b.until(`document.querySelector(".menu .mark")`)
	for _, s := range shots {
		check(p.shotPath(s.path, ref, other))
	}
	b.open("/m/" + ref + "/privacy?from=2026-06-09&to=2026-06-12")
	b.press("#links form.options button")
	check(strings.TrimPrefix(eval[string](b, `document.querySelector("#new-link").value`), b.at))
}
