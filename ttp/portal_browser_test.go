package ttp

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
)

// browser is a Chromium with an authenticator of its own.
type browser struct {
	t             testing.TB
	process       context.Context
	ctx           context.Context
	at            string // the portal
	authenticator webauthn.AuthenticatorID
	mu            sync.Mutex
	seen          []string // hosts that were asked
	said          []string // on the console
}

// userAgent is planted in every request, and may be found nowhere.
const userAgent = "Mozilla/5.0 PlantedBrowser/77.31"

func findChromium(t testing.TB) string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatal("chromium is missing: .ci/run installs it")
	}
	t.Skip("chromium is not installed")
	return ""
}

// chromium starts one browser process for a test, with flags of its own.
func chromium(t testing.TB, flags ...chromedp.ExecAllocatorOption) context.Context {
	t.Helper()
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(findChromium(t)), chromedp.NoSandbox, chromedp.UserAgent(userAgent),
		chromedp.Flag("disable-gpu", true), chromedp.WindowSize(1280, 900), chromedp.WSURLReadTimeout(time.Minute))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), append(options, flags...)...)
	t.Cleanup(cancel)
	first, cancel := chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	must(t, chromedp.Do(first))
	return first
}

// browse opens a profile of its own, with an authenticator.
func browse(t testing.TB, process context.Context, at string) *browser {
	t.Helper()
	ctx, cancel := chromedp.NewContext(process, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(cancel)
	b := &browser{t: t, process: process, ctx: ctx, at: at}
	must(t, chromedp.Listen(ctx, b.listen))
	b.run(call(webauthn.Enable, webauthn.EnableParams{}))
	b.addAuthenticator()
	return b
}

func (b *browser) listen(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if u, err := url.Parse(e.Request.URL); err == nil && u.Host != "" {
			b.seen = append(b.seen, u.Host)
		}
	case *runtime.EventExceptionThrown:
		b.said = append(b.said, fmt.Sprintf("%+v", *e.ExceptionDetails))
	case *runtime.EventConsoleAPICalled:
		if string(e.Type) == "error" {
			b.said = append(b.said, fmt.Sprintf("%+v", e.Args))
		}
	}
}

// call is a command of the browser's protocol whose answer does not matter.
func call[P, R any](c cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, c, params)
		return chromedp.Void{}, err
	}
}

func (b *browser) addAuthenticator() {
	made, err := chromedp.Run(b.ctx, func(ctx context.Context, t *chromedp.Target) (webauthn.AddVirtualAuthenticatorResult, error) {
		return cdp.Call(ctx, t, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
			Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal,
			HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true,
		}})
	})
	must(b.t, err)
	b.authenticator = made.AuthenticatorID
}

// replaceAuthenticator gives the browser another device's.
func (b *browser) replaceAuthenticator() {
	b.run(call(webauthn.RemoveVirtualAuthenticator, webauthn.RemoveVirtualAuthenticatorParams{AuthenticatorID: b.authenticator}))
	b.addAuthenticator()
}

// cookies are those that the browser would send to the portal.
func (b *browser) cookies() (list []*http.Cookie) {
	b.t.Helper()
	found, err := chromedp.Run(b.ctx, func(ctx context.Context, t *chromedp.Target) (network.GetCookiesResult, error) {
		return cdp.Call(ctx, t, network.GetCookies, network.GetCookiesParams{URLs: []string{b.at}})
	})
	must(b.t, err)
	for _, c := range found.Cookies {
		list = append(list, &http.Cookie{Name: c.Name, Value: c.Value})
	}
	return list
}

// signOnly lets the browser make an assertion, and gives it with the browser's
// cookies instead of handing it in.
func (b *browser) signOnly() (assertion string, cookies []*http.Cookie) {
	b.t.Helper()
	b.open("/sign-in")
	eval[bool](b, `(() => { const real = window.fetch; window.fetch = (path, o) =>
		path.includes("options") ? real(path, o) : (window.assertion = o.body, new Promise(() => {})); return true; })()`)
	b.click("[data-passkey=get]")
	b.until("window.assertion")
	return eval[string](b, "window.assertion"), b.cookies()
}

// press clicks a button that sends a form, and waits for the answer.
func (b *browser) press(selector string) {
	b.t.Helper()
	_, err := chromedp.RunResponse(b.ctx, chromedp.Click(chromedp.CSS(selector)))
	must(b.t, err)
}

func setValue(selector, value string) chromedp.Action[chromedp.Void] {
	return chromedp.SetValue(chromedp.CSS(selector), value)
}

// drag draws over the chart, from one share of its width to another.
func (b *browser) drag(from, to float64) {
	b.t.Helper()
	box := eval[[4]float64](b, `(() => { const o = document.querySelector("figure.chart").chart.u.over; o.scrollIntoView({block: "center"});
		const r = o.getBoundingClientRect(); return [r.left, r.top, r.width, r.height]; })()`)
	y := box[1] + box[3]/2
	b.run(chromedp.DragAndDropXY(box[0]+from*box[2], y, box[0]+to*box[2], y))
}

func (b *browser) run(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.t.Fatalf("browser: %v; console: %q", err, b.said)
	}
}

func (b *browser) open(path string) {
	b.t.Helper()
	b.run(chromedp.Navigate(b.at + path))
}

func (b *browser) click(selector string) {
	b.t.Helper()
	b.run(chromedp.Click(chromedp.CSS(selector)))
}

// wait waits until a selector is there.
func (b *browser) wait(selector string) {
	b.t.Helper()
	b.run(chromedp.WaitReady(chromedp.CSS(selector)))
}

// eval evaluates an expression, which may be a promise.
func eval[T any](b *browser, expression string) T {
	b.t.Helper()
	value, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	must(b.t, err)
	return value
}

// until waits for a condition in the page, across pages.
func (b *browser) until(condition string) {
	b.t.Helper()
	for {
		_, err := chromedp.Run(b.ctx, chromedp.Poll[bool]("document.readyState == 'complete' && !!("+condition+")", chromedp.WithPollingTimeout(20*time.Second)))
		if err == nil {
			return
		}
		if !strings.Contains(err.Error(), "navigated") && !strings.Contains(err.Error(), "context") {
			b.t.Fatalf("waited at %s for %s: %v", eval[string](b, "location.href"), condition, err)
		}
		must(b.t, b.ctx.Err())
	}
}

func (b *browser) path() string { return eval[string](b, "location.pathname") }

// claim types a code and creates a passkey.
func (b *browser) claim(code string) {
	b.t.Helper()
	b.typeCode(code)
	b.wait("[data-passkey=create]")
	b.click("[data-passkey=create]")
	b.until(`location.pathname.endsWith("/now") || location.pathname == "/"`)
}

func (b *browser) typeCode(code string) {
	b.t.Helper()
	b.open("/claim")
	b.run(setValue("#code", code))
	b.press("form.card button.wide")
}

func (b *browser) signIn() {
	b.t.Helper()
	b.open("/sign-in")
	b.click("[data-passkey=get]")
	b.until(`location.pathname != "/sign-in"`)
}

func (b *browser) confirm() {
	b.t.Helper()
	b.open("/confirm?next=/settings")
	b.click("[data-passkey=get]")
	b.until(`location.pathname == "/settings"`)
	b.wait("footer")
}

// refused is the class of the refusal that the page shows.
func (b *browser) refused() string {
	b.t.Helper()
	return eval[string](b, `document.querySelector("[data-class]")?.dataset.class ?? ""`)
}

// noStrangers fails if any host but the portal's was asked, or a script failed.
func (b *browser) noStrangers() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, host := range b.seen {
		if "http://"+host != b.at {
			b.t.Errorf("a page asked the host %s", host)
		}
	}
	if len(b.said) > 0 {
		b.t.Errorf("scripts complained: %s", strings.Join(b.said, "; "))
	}
	if len(b.seen) == 0 {
		b.t.Error("no request was seen: this looks at nothing")
	}
}

// dark chooses a theme. Without motion it is there at once.
func (b *browser) dark(on bool) {
	value := "light"
	if on {
		value = "dark"
	}
	b.run(call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: value}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}}))
}

func (b *browser) size(width, height int64) {
	b.run(call(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: 1, Mobile: width < 600}))
}
