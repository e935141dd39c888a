package ttp

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	downloads "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"

	"github.com/wattveil/wattveil"
)

// download clicks what begins a download, and gives the file that the browser
// saved and its name.
func (b *browser) download(selector string) (name string, content []byte) {
	b.t.Helper()
	dir, enabled := b.t.TempDir(), true
	_, err := chromedp.CallBrowser(b.ctx, downloads.SetDownloadBehavior, downloads.SetDownloadBehaviorParams{
		Behavior: downloads.SetDownloadBehaviorBehaviorAllow, DownloadPath: dir, EventsEnabled: &enabled,
		BrowserContextID: chromedp.FromContext(b.ctx).BrowserContextID,
	})
	must(b.t, err)
	ctx, cancel := context.WithCancel(b.ctx)
	defer cancel()
	ended := make(chan downloads.DownloadProgressState, 1)
	must(b.t, chromedp.ListenBrowser(ctx, func(event any) {
		if e, ok := event.(*downloads.EventDownloadProgress); ok && e.State != downloads.DownloadProgressStateInProgress {
			select {
			case ended <- e.State:
			default:
			}
		}
	}))
	b.click(selector)
	select {
	case state := <-ended:
		if state != downloads.DownloadProgressStateCompleted {
			b.t.Fatalf("the download ended as %s", state)
		}
	case <-ctx.Done():
		b.t.Fatal("no download ended")
	}
	files, err := os.ReadDir(dir)
	must(b.t, err)
	if len(files) != 1 {
		b.t.Fatalf("%d files were saved", len(files))
	}
	content, err = os.ReadFile(filepath.Join(dir, files[0].Name()))
	must(b.t, err)
	return files[0].Name(), content
}

// TestPortalExportsTheStore: what the browser saves is what the store has, to
// the Wh.
func TestPortalExportsTheStore(t *testing.T) {
	p, m, b := withMeter(t)
	b.claim(m.code(1))
	b.open(strings.Replace(b.path(), "/now", "/export", 1))
	b.run(setValue("input[name=from]", "2026-06-01"), setValue("input[name=to]", "2026-06-03"))
	from, to := time.Date(2026, 6, 1, 0, 0, 0, 0, p.zone), time.Date(2026, 6, 4, 0, 0, 0, 0, p.zone)
	f, err := p.store.Read(t.Context(), m.name, from.Unix(), to.Unix())
	must(t, err)
	stored := f.Runs[0].Readings

	name, content := b.download("form.card button")
	if name != "wattveil-csv-2026-06-01-2026-06-03.csv" {
		t.Errorf("the file is called %s", name)
	}
	rows, err := csv.NewReader(strings.NewReader(string(content))).ReadAll()
	must(t, err)
	if len(rows) != 1+3*96 || len(stored) != 1+3*96 {
		t.Fatalf("%d rows and %d readings of 3 days", len(rows)-1, len(stored))
	}
	for i, row := range rows[1:] {
		want := []string{
			time.Unix(stored[i].Time, 0).UTC().Format(time.RFC3339), "900", wh(stored[i+1].Import.Since(stored[i].Import)),
			wh(stored[i+1].Export.Since(stored[i].Export)), "0",
		}
		if got := strings.Join(row, ","); got != strings.Join(want, ",") {
			t.Fatalf("row %d is %s, stored is %s", i, got, strings.Join(want, ","))
		}
	}

	b.click("input[value=registers]")
	_, content = b.download("form.card button")
	rows, err = csv.NewReader(strings.NewReader(string(content))).ReadAll()
	must(t, err)
	if len(rows) != 1+len(stored) {
		t.Fatalf("%d rows of %d registers", len(rows)-1, len(stored))
	}
	for i, row := range rows[1:] {
		if row[2] != strconv.FormatUint(uint64(stored[i].Import), 10) || row[3] != strconv.FormatUint(uint64(stored[i].Export), 10) {
			t.Fatalf("register %d is not the stored one", i)
		}
	}

	b.click("input[value=json]")
	_, content = b.download("form.card button")
	var list struct {
		Currency  string
		Intervals []struct {
			Import int64  `json:"import_wh"`
			Cost   string `json:"import_cost"`
		}
	}
	must(t, json.Unmarshal(content, &list))
	if list.Currency != "CHF" || len(list.Intervals) != 3*96 || list.Intervals[95].Cost == "" {
		t.Errorf("%d intervals with costs in %q", len(list.Intervals), list.Currency)
	}
	for i, one := range list.Intervals {
		if one.Import != int64(stored[i+1].Import.Since(stored[i].Import)) {
			t.Fatalf("interval %d is not the stored one", i)
		}
	}
	for _, kind := range []string{"green-button", "parquet"} {
		b.click("input[value=" + kind + "]")
		if _, content := b.download("form.card button"); len(content) < 1000 || strings.Contains(string(content), m.name.Pseudonym.String()) {
			t.Errorf("%s has %d bytes, or the meter's number", kind, len(content))
		}
	}
	b.noStrangers()
}

func wh(e wattveil.Wh) string { return strconv.FormatInt(int64(e), 10) }

// TestPortalSharesARange: whoever has the link sees the range and nothing else,
// until it is revoked.
func TestPortalSharesARange(t *testing.T) {
	p, m, b := withMeter(t)
	b.claim(m.code(1))
	page := strings.Replace(b.path(), "/now", "/privacy", 1)
	b.open(page)
	b.run(setValue("#links input[name=from]", "2026-06-08"), setValue("#links input[name=to]", "2026-06-08"))
	b.press("#links form.options button")
	link := strings.TrimPrefix(eval[string](b, `document.querySelector("#new-link").value`), b.at)
	if !strings.HasPrefix(link, "/shared/") {
		t.Fatalf("the link is %q", link)
	}
	b.click("[data-copy]")
	b.until(`document.querySelector("[data-copy]").textContent === "Copied" || getSelection().toString() === document.querySelector("#new-link").value`)
	other := browse(t, b.process, b.at)
	other.open(link)
	other.until(chartDrawn)
	if n := len(eval[chartData](other, readChart).X); n != 96 {
		t.Errorf("%d points of the shared day are drawn", n)
	}
	other.click(`[data-do=out]`)
	other.until(`document.querySelector("figure.chart").chart.data !== document.querySelector("figure.chart").chart.first.data`)
	from, to := time.Date(2026, 6, 8, 0, 0, 0, 0, p.zone).Unix(), time.Date(2026, 6, 9, 0, 0, 0, 0, p.zone).Unix()
	span := eval[[2]int64](other, `(() => { const d = document.querySelector("figure.chart").chart.data; return [d.from, d.to]; })()`)
	if span != [2]int64{from, to} {
		t.Errorf("zooming out shows %v, shared are %d to %d", span, from, to)
	}
	if text := eval[string](other, "document.body.innerText"); strings.Contains(text, "CHF") || strings.Contains(text, "Sign out") {
		t.Error("the shared page shows more than the use")
	}
	if got := p.ask("GET", page, "", other.cookies()); got.status != 303 {
		t.Errorf("whoever has the link is answered %d on another page", got.status)
	}
	b.open(page)
	b.press(`form[action$="/links/revoke"] button`)
	b.until(`!document.querySelector('form[action$="/links/revoke"]')`)
	other.open(link)
	if class := other.refused(); class != "link-over" {
		t.Errorf("after revoking: %q", class)
	}
	if strings.Contains(p.log.String(), strings.TrimPrefix(link, "/shared/")) {
		t.Error("the log has the token")
	}
	other.noStrangers()
}

// TestPortalErases: from choosing to what is told, by forms alone.
func TestPortalErases(t *testing.T) {
	process := chromium(t)
	p, m := billed(t)
	p.disown(m.name)
	b := browse(t, process, p.serve())
	b.claim(m.code(1))
	page := strings.Replace(b.path(), "/now", "/privacy", 1)
	b.open(page)
	if eval[bool](b, `!!document.querySelector("#erase form")`) {
		t.Error("what may be corrected can be erased")
	}
	b.click("input[name=corrections]")
	b.press(`form[action$="/choices"] button`)
	b.wait("#erase form")
	_, before := m.first()
	b.click("#erase input[name=sure]")
	b.press("#erase form button")
	b.until(`document.querySelector("#erase").innerText.includes("Erased is what is before 26 April 2026")`)
	at, left := m.first()
	if !at.Equal(time.Date(2026, 4, 26, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("the first reading left is of %v", at)
	}
	row := eval[string](b, `document.querySelector("#erase tbody").innerText`)
	if !strings.Contains(strings.ReplaceAll(row, ",", ""), fmt.Sprint(before-left)) || !strings.Contains(row, "you erased them") {
		t.Errorf("told is %q", row)
	}
	b.open(strings.Replace(page, "/privacy", "/use?by=month&at=2026-03-01", 1))
	if text := eval[string](b, "document.querySelector('main').innerText"); !strings.Contains(text, "Readings before 26 April 2026 were erased") {
		t.Error("the page of use does not say that readings were erased")
	}
	// What is not billed stays, whatever is asked for, and so it does without a
	// fresh assertion.
	form := "sure=yes&before=2026-06-01"
	if got := p.ask("POST", page+"/erase", form, b.cookies()); got.status != 409 || got.class != "not-billed" {
		t.Errorf("erasing what is not billed: %d %s", got.status, got.class)
	}
	p.clock.add(6 * time.Minute)
	if got := p.ask("POST", page+"/erase", "sure=yes&before=2026-04-01", b.cookies()); got.status != 403 || got.class != "confirm" {
		t.Errorf("erasing without an assertion: %d %s", got.status, got.class)
	}
	b.noStrangers()
}
