package page_test

import (
	"context"
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/wattveil/wattveil/bill/page"
	vectors "github.com/wattveil/wattveil/vectors/bill"
)

// chromium is the browser; tests that need it fail in CI without it.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	const missing = "chromium is not installed"
	if os.Getenv("CI") != "" {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return ""
}

// browserPatience is for a browser on a busy machine.
const browserPatience = 2 * time.Minute

// newBrowser starts a browser that asks for nothing by itself. Its tabs are
// opened with open.
func newBrowser(t *testing.T) context.Context {
	t.Helper()
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(chromium(t)), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("lang", "en"),
		chromedp.WSURLReadTimeout(browserPatience), chromedp.UserDataDir(t.TempDir()))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	browser, end := chromedp.NewContext(allocator)
	t.Cleanup(end)
	if err := chromedp.Do(browser); err != nil {
		t.Fatal(err)
	}
	return browser
}

// tab is the page in a tab of its own, opened from a file.
type tab struct {
	*testing.T
	ctx  context.Context
	file string // address of the page

	mu       sync.Mutex
	requests []string
	faults   []string
}

// open opens the page with keys in it and something after # in its address.
func open(t *testing.T, browser context.Context, keys page.Keys, fragment string) *tab {
	t.Helper()
	html, err := page.HTML(keys)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "verify.html")
	if err := os.WriteFile(file, html, 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, end := chromedp.NewContext(browser)
	t.Cleanup(end)
	b := &tab{T: t, ctx: ctx, file: (&url.URL{Scheme: "file", Path: file}).String()}
	if err := chromedp.Listen(ctx, b.hear); err != nil {
		t.Fatal(err)
	}
	b.do(command(network.Enable, network.EnableParams{}), command(runtime.Enable, cdp.Empty{}), chromedp.Navigate(b.file+fragment), chromedp.WaitReady(chromedp.CSS("body[data-run]")))
	return b
}

// command is a command of the browser's protocol as a step.
func command[P, R any](cmd cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		_, err := cdp.Call(ctx, tab, cmd, params)
		return err
	})
}

// hear notes every request and every fault of the script.
func (b *tab) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request.URL)
	case *runtime.EventExceptionThrown:
		b.faults = append(b.faults, e.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		b.faults = append(b.faults, string(e.Type))
	}
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, browserPatience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.fail(err)
	}
}

func (b *tab) fail(err error) {
	b.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.Fatalf("%v; the script said %q", err, b.faults)
}

// eval is the value of an expression; promises are waited for.
func eval[T any](b *tab, expression string) T {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, browserPatience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.fail(err)
	}
	return v
}

// noRequests checks that the page asked for nothing but itself.
func (b *tab) noRequests() {
	b.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.requests {
		if !strings.HasPrefix(r, b.file) && !strings.HasPrefix(r, "data:") {
			b.Errorf("the page requested %s", r)
		}
	}
	if len(b.requests) == 0 {
		b.Error("not even the page was requested: nothing was heard")
	}
	if len(b.faults) > 0 {
		b.Errorf("the script said %q", b.faults)
	}
}

// set puts text into a field as a paste does, and waits until it was checked.
func (b *tab) set(field, text string) {
	b.Helper()
	value, err := json.Marshal(text)
	if err != nil {
		b.Fatal(err)
	}
	const script = `new Promise((done) => {
		const seen = document.body.dataset.run;
		new MutationObserver((_, self) => { if (document.body.dataset.run !== seen) { self.disconnect(); done(); } })
			.observe(document.body, {attributes: true, attributeFilter: ["data-run"]});
		const field = document.getElementById("FIELD");
		field.value = VALUE;
		field.dispatchEvent(new Event("input"));
	})`
	eval[chromedp.Void](b, strings.NewReplacer("FIELD", field, "VALUE", string(value)).Replace(script))
}

// text is what a reader sees of an element.
func (b *tab) text(selector string) string {
	b.Helper()
	return eval[string](b, "document.querySelector(`"+selector+"`)?.textContent ?? ''")
}

func published(t *testing.T) vectors.Vectors {
	t.Helper()
	v, err := vectors.Load()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// vectorCase is a vector as the page's script takes it.
type vectorCase struct {
	Name string `json:"name"`
	Want string `json:"-"`
	Text string `json:"text"`
	Keys string `json:"keys"`
	Log  string `json:"log"`
	Seen string `json:"seen"`
	// Salt is that of a bare bill whose subject is to be checked.
	Meter string `json:"meter"`
}

func cases(t *testing.T) []vectorCase {
	v := published(t)
	var list []vectorCase
	for _, b := range v.Bills {
		c := vectorCase{Name: b.Name, Want: b.Class, Text: b.JWS, Keys: string(v.Keys)}
		if b.Salt != "" { // a document has the salt
			c.Text = `{"jws":"` + b.JWS + `","salt":"` + b.Salt + `"}`
			c.Meter = jsonNumber(b.UC) + "/" + b.Pseudonym
		}
		if strings.HasPrefix(b.JWS, "{") { // looks like a document
			c.Want = "document"
		}
		list = append(list, c)
	}
	for _, d := range v.Documents {
		list = append(list, vectorCase{Name: d.Name, Want: d.Class, Text: d.Text, Keys: string(v.Keys), Log: string(v.LogKeys), Seen: d.Seen})
	}
	month := list[0]
	for _, k := range v.KeySets {
		c := vectorCase{Name: "keys " + k.Name, Want: k.Class, Text: month.Text, Keys: k.Text}
		list = append(list, c)
	}
	return list
}

func jsonNumber(n uint32) string {
	text, _ := json.Marshal(n)
	return string(text)
}

// All of this runs in a real browser.
func TestInTheBrowser(t *testing.T) {
	browser := newBrowser(t)
	for name, test := range map[string]func(*testing.T, context.Context){
		"vectors": testVectors, "reader": testReader, "trouble": testTrouble, "files and keyboard": testFilesAndKeyboard, "drop": testDrop, "looks": testLooks,
	} {
		t.Run(name, func(t *testing.T) { test(t, browser) })
	}
}

// The browser's verdict on every published vector is the published one.
func testVectors(t *testing.T, browser context.Context) {
	list := cases(t)
	given, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	b := open(t, browser, page.Keys{}, "")
	got := eval[[]struct{ Name, Class, Fault string }](b, `(async () => {
		const out = [];
		for (const v of `+string(given)+`) {
			try { out.push({Name: v.name, Class: (await wattveil.verify(v)).class}); }
			catch (e) { out.push({Name: v.name, Fault: String(e)}); }
		}
		return out;
	})()`)
	if len(got) != len(list) || len(list) < 200 {
		t.Fatalf("%d verdicts on %d vectors", len(got), len(list))
	}
	for i, g := range got {
		if g.Class != list[i].Want || g.Fault != "" {
			t.Errorf("%s: class %q %s, want %q", g.Name, g.Class, g.Fault, list[i].Want)
		}
	}
	b.noRequests()
}

func document(t *testing.T, name string) string { return documentVector(t, name).Text }
func seen(t *testing.T, name string) string     { return documentVector(t, name).Seen }

func documentVector(t *testing.T, name string) vectors.Document {
	t.Helper()
	docs := published(t).Documents
	i := slices.IndexFunc(docs, func(d vectors.Document) bool { return d.Name == name })
	if i < 0 {
		t.Fatalf("no document %s", name)
	}
	return docs[i]
}

func jws(t *testing.T, name string) string {
	t.Helper()
	bills := published(t).Bills
	i := slices.IndexFunc(bills, func(b vectors.Bill) bool { return b.Name == name })
	if i < 0 {
		t.Fatalf("no bill %s", name)
	}
	return bills[i].JWS
}

// verdict checks what a reader is told.
func (b *tab) verdict(class, text string) {
	b.Helper()
	if got := b.text("#verdict"); got != text {
		b.Errorf("verdict %q, want %q", got, text)
	}
	if shown := eval[string](b, `document.getElementById("result").dataset.class`); shown != class {
		b.Errorf("class %q, want %q", shown, class)
	}
}

const holds, not = "All that could be checked holds", "This bill does not hold"

// What a reader does: open a code's address, paste, change, name the meter.
func testReader(t *testing.T, browser context.Context) {
	v := published(t)
	b := open(t, browser, page.Keys{JWKS: strings.TrimSpace(string(v.Keys)), Log: strings.TrimSpace(string(v.LogKeys))}, "#"+jws(t, "month"))
	b.verdict("", holds)
	if paper := b.text("#paper"); !strings.Contains(paper, "Example TTP") || !strings.Contains(paper, "90.70") || !strings.Contains(paper, "2\u202f972 intervals, of which 6 are estimated") {
		t.Errorf("the bill reads\n%s", paper)
	}
	if checks := b.text("#checks"); !strings.Contains(checks, "Log (not checked): a bare bill carries no proof") {
		t.Errorf("the checks read\n%s", checks)
	}

	good := document(t, "logged")
	b.set("bill", good)
	b.verdict("", holds)
	if checks := b.text("#checks"); !strings.Contains(checks, "it is entry 5 of 8 in ttp.example/bills") || !strings.Contains(checks, "utility.example has seen this state of the log, on April 29, 2018") {
		t.Errorf("the checks read\n%s", checks)
	}
	b.set("bill", "  "+good+"\n\n") // what a paste brings along
	b.verdict("", holds)
	b.set("meter", "7/0123456789abcdef")
	b.verdict("", holds)
	b.set("meter", "7/0123456789abcdee")
	b.verdict("subject", not)
	b.set("meter", "")

	// Any changed byte is told.
	for _, at := range []int{40, 200, 900, len(good) - 100, len(good) - 12} {
		changed := []byte(good)
		changed[at] ^= 1
		b.set("bill", string(changed))
		if got := b.text("#verdict"); got != not {
			t.Errorf("byte %d changed: verdict %q", at, got)
		}
	}

	// An invoice has the bill in it.
	b.set("bill", "%PDF-1.7\n1 0 obj")
	b.verdict("jws", not)
	if got := b.text("#checks"); !strings.Contains(got, "this is a PDF; the signed bill is a file in it, bill.json") {
		t.Errorf("of a PDF is said %q", got)
	}

	// Two logs.
	b.set("bill", good)
	b.set("seen", strings.TrimSpace(seen(t, "seen-fork")))
	b.verdict("consistency", not)
	if got := b.text("#checks"); !strings.Contains(got, "two states of 8 entries differ. Keep both checkpoints, they prove it") {
		t.Errorf("of two logs is said %q", got)
	}

	// A proof that leads nowhere, which proves no two logs.
	b.set("seen", strings.TrimSpace(seen(t, "seen-older-fork")))
	b.verdict("consistency", not)
	if got := b.text("#checks"); !strings.Contains(got, "from the log of 6 entries to the one of 8: ask for another. Two logs are not proven") {
		t.Errorf("of a proof that leads nowhere is said %q", got)
	}
	b.set("seen", "")
	b.noRequests()
}

// What a reader is told who lacks keys or a browser that can check.
func testTrouble(t *testing.T, browser context.Context) {
	v := published(t)
	b := open(t, browser, page.Keys{JWKS: strings.TrimSpace(string(v.Keys))}, "#"+jws(t, "month"))
	// Without keys nothing is said, and keys in a bill are none.
	b.set("keys", "")
	b.verdict("", "The keys are missing: without them nothing can be said about the bill")
	b.set("keys", "nonsense")
	b.verdict("key-set", "These keys cannot be used")

	// A browser that cannot check, or a check that breaks off, says nothing good.
	for script, want := range map[string]string{
		`crypto.subtle.importKey = () => Promise.reject(new DOMException("", "NotSupportedError"))`: "This browser cannot check signatures here",
		`crypto.subtle.importKey = () => Promise.reject(new TypeError("x"))`:                        "The check broke off, so nothing can be said about the bill: TypeError: x",
	} {
		eval[chromedp.Void](b, script)
		b.set("keys", string(v.Keys))
		if got := b.text("#verdict"); !strings.HasPrefix(got, want) || eval[string](b, `document.getElementById("result").dataset.verdict`) != "unknown" {
			t.Errorf("verdict %q, want %q", got, want)
		}
	}
	eval[chromedp.Void](b, `delete crypto.subtle.importKey`)

	// The other language says the same.
	b.set("keys", string(v.Keys))
	b.do(chromedp.Click(chromedp.CSS("#language")))
	b.verdict("", "Alles, was geprüft werden konnte, stimmt")
	if got := b.text("#checks"); !strings.Contains(got, "Unterschrift (stimmt): ") {
		t.Errorf("in German the checks read\n%s", got)
	}
	b.noRequests()
}

// A file is read as a paste is, and the keyboard reaches everything in order.
func testFilesAndKeyboard(t *testing.T, browser context.Context) {
	v := published(t)
	b := open(t, browser, page.Keys{}, "")
	dir := t.TempDir()
	for name, text := range map[string]string{"bill.json": document(t, "named"), "keys.json": string(v.Keys), "log.json": string(v.LogKeys)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for into, name := range map[string]string{"keys": "keys.json", "log": "log.json", "bill": "bill.json"} {
		b.do(chromedp.SetUploadFiles(chromedp.CSS(`input[data-into="`+into+`"]`), []string{filepath.Join(dir, name)}))
	}
	b.do(chromedp.WaitVisible(chromedp.CSS(`#result[data-verdict="ok"]`)), chromedp.WaitReady(chromedp.CSS(`#checks [data-what="cosignature"].ok`)))
	if checks := b.text("#checks"); !strings.Contains(checks, "as its document says") {
		t.Errorf("the checks read\n%s", checks)
	}
	order := eval[[]string](b, `(() => {
		const able = [...document.querySelectorAll("button, input, textarea, summary")].filter((e) => e.tabIndex >= 0 && e.checkVisibility());
		return able.map((e) => e.id || e.dataset.into || e.tagName);
	})()`)
	if want := []string{"language", "bill", "bill", "keys", "keys", "log", "log", "SUMMARY"}; !slices.Equal(order, want) {
		t.Errorf("the keyboard reaches %q, want %q", order, want)
	}
	// Everything that takes input has a name.
	nameless := eval[int](b, `[...document.querySelectorAll("input, textarea")].filter((e) => !e.labels?.length && !e.ariaLabel).length`)
	if nameless != 0 {
		t.Errorf("%d inputs have no name", nameless)
	}
	b.noRequests()
}

// Dropped, a file finds its field by what is in it.
func testDrop(t *testing.T, browser context.Context) {
	v := published(t)
	b := open(t, browser, page.Keys{}, "")
	for _, drop := range []struct{ text, field string }{
		{document(t, "logged"), "bill"}, {jws(t, "flat"), "bill"}, {string(v.Keys), "keys"}, {string(v.LogKeys), "log"}, {seen(t, "seen-older"), "seen"}, {seen(t, "seen-same"), "seen"},
	} {
		text, err := json.Marshal(drop.text)
		if err != nil {
			t.Fatal(err)
		}
		got := eval[string](b, `new Promise((done) => {
			for (const id of ["bill", "keys", "log", "seen"]) document.getElementById(id).value = "";
			const seen = document.body.dataset.run;
			new MutationObserver((_, self) => {
				if (document.body.dataset.run === seen) return;
				self.disconnect();
				done(["bill", "keys", "log", "seen"].filter((id) => document.getElementById(id).value !== "").join());
			}).observe(document.body, {attributes: true, attributeFilter: ["data-run"]});
			const data = new DataTransfer();
			data.items.add(new File([`+string(text)+`], "x"));
			document.dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true}));
		})`)
		if got != drop.field {
			t.Errorf("dropped %.40q is in %q, want %s", drop.text, got, drop.field)
		}
	}
	b.noRequests()
}

// Phone and desktop, light and dark: nothing is wider than the window, and the
// text stands out from its ground. With WATTVEIL_SCREENSHOTS the pictures are
// kept in that folder.
func testLooks(t *testing.T, browser context.Context) {
	v := published(t)
	b := open(t, browser, page.Keys{JWKS: strings.TrimSpace(string(v.Keys)), Log: strings.TrimSpace(string(v.LogKeys))}, "")
	shots := os.Getenv("WATTVEIL_SCREENSHOTS")
	for _, show := range []struct{ name, bill, language string }{
		{"empty", "", "en"}, {"month", document(t, "logged"), "en"}, {"components", jws(t, "components"), "en"},
		{"withheld", jws(t, "withheld"), "en"}, {"total", jws(t, "total"), "en"}, {"missing", document(t, "doc-missing"), "en"},
		{"german", jws(t, "components"), "de"}, {"german-empty", "", "de"},
	} {
		if show.language != eval[string](b, `document.documentElement.lang`) {
			b.do(chromedp.Click(chromedp.CSS("#language")))
		}
		b.set("bill", show.bill)
		for _, scheme := range []string{"light", "dark"} {
			for _, width := range []int64{375, 1280} {
				b.do(command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
					Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
				}), chromedp.EmulateViewport(width, 900))
				if wide := eval[int64](b, `document.documentElement.scrollWidth`); wide > width {
					t.Errorf("%s at %d pixels is %d wide", show.name, width, wide)
				}
				if contrast := b.leastContrast(); contrast < 4.5 {
					t.Errorf("%s, %s: contrast %.2f, want 4.5", show.name, scheme, contrast)
				}
				if shots == "" {
					continue
				}
				picture, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(90))
				if err != nil {
					t.Fatal(err)
				}
				name := show.name + "-" + scheme + "-" + jsonNumber(uint32(width)) + ".jpeg"
				if err := os.WriteFile(filepath.Join(shots, name), picture, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	b.noRequests()
}

// leastContrast is the lowest contrast (WCAG 2) of a text that is shown to the
// ground behind it.
func (b *tab) leastContrast() float64 {
	b.Helper()
	return eval[float64](b, `(() => {
		const parse = (c) => c.match(/[\d.]+/g).map(Number);
		const channel = (v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
		const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
		const ground = (e) => {
			for (; e; e = e.parentElement) {
				const c = parse(getComputedStyle(e).backgroundColor);
				if (c.length === 3 || c[3] === 1) return c;
			}
			return [255, 255, 255];
		};
		let least = 21;
		for (const e of document.querySelectorAll("h1, h2, h3, p, li span, dt, dd, td, th, small, label, legend, button, summary")) {
			if (!e.checkVisibility() || e.innerText.trim() === "" || e.closest("#drop")) continue;
			const [a, c] = [light(parse(getComputedStyle(e).color)), light(ground(e))];
			least = Math.min(least, (Math.max(a, c) + 0.05) / (Math.min(a, c) + 0.05));
		}
		return least;
	})()`)
}
