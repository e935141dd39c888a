package ttp

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/meter/source"
	"github.com/wattveil/wattveil/portal"
	"github.com/wattveil/wattveil/readings"
	"github.com/wattveil/wattveil/tariff"
)

// portalRig is a TTP with a utility, a tariff, meters with data, and a portal
// on the loopback.
type portalRig struct {
	*rig
	company *company
	zone    *time.Location
	server  *portal.Server
}

// presently is when the portal's tests take place.
var presently = time.Date(2026, 6, 17, 12, 20, 0, 0, time.UTC)

func newPortalRig(t testing.TB) *portalRig {
	t.Helper()
	p := &portalRig{rig: newRig(t, nil)}
	p.company = p.rig.company("energy.example")
	terms, err := tariff.Builtin("Europe/Zurich")
	must(t, err)
	p.zone = terms.Zone()
	document, err := json.Marshal(terms)
	must(t, err)
	_, err = p.handleTariff(t.Context(), p.company.number, document)
	must(t, err)
	return p
}

// serve starts the portal and gives its address.
func (p *portalRig) serve() string {
	p.t.Helper()
	l, err := net.Listen("tcp", "localhost:0")
	must(p.t, err)
	p.server, err = portal.New(portal.Config{
		URL: fmt.Sprintf("http://localhost:%d", l.Addr().(*net.TCPAddr).Port),
		TTP: p.Consumers(), Now: p.clock.Now,
		Log: slog.New(slog.NewTextHandler(p.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	must(p.t, err)
	done := make(chan error, 1)
	go func() { done <- p.server.Serve(l) }()
	p.t.Cleanup(func() {
		must(p.t, p.server.Close())
		must(p.t, <-done)
	})
	return p.server.URL()
}

// fill stores the readings of a simulated household in the place of a meter's,
// from one time to another, but for those that skip names.
func (p *portalRig) fill(m wattveil.Meter, number int, res wattveil.Resolution, from, to time.Time, skip func(at int64) bool) {
	p.t.Helper()
	home := source.NewHousehold(1, number, p.zone, res)
	var counter wattveil.Counter
	var list []wattveil.Reading
	var imp, exp wattveil.Register
	flush := func() {
		if len(list) == 0 {
			return
		}
		counter++
		must(p.t, p.store.Append(context.Background(), []readings.Block{{
			Meter: m, Epoch: 1, Counter: counter + 1<<20, Series: 1, Readings: list,
		}}))
		list = nil
	}
	for at := from.Unix(); at <= to.Unix(); at += int64(res) {
		if skip == nil || !skip(at) {
			list = append(list, wattveil.Reading{Time: at, Import: imp, Export: exp})
		}
		i, e, ok := home.Energy(at)
		if !ok {
			p.t.Fatal("household has no energy")
		}
		imp, exp = imp.Add(i), exp.Add(e)
		if len(list) == 10_000 {
			flush()
		}
	}
	flush()
}

// answered is what the portal answered a request without a browser.
type answered struct {
	status   int
	class    string // of a refusal, else empty
	location string
	body     string
	cookies  []*http.Cookie
}

// ask sends a request as it is given. A body in braces is JSON from a script.
// headers are names and values by turns.
func (p *portalRig) ask(method, path, body string, cookies []*http.Cookie, headers ...string) answered {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), method, p.server.URL()+path, strings.NewReader(body))
	must(p.t, err)
	r.Header.Set("User-Agent", userAgent)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if strings.HasPrefix(body, "{") {
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", "application/json")
	}
	for _, c := range cookies {
		r.AddCookie(c)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(r)
	must(p.t, err)
	defer func() { _ = answer.Body.Close() }()
	content, err := io.ReadAll(answer.Body)
	must(p.t, err)
	got := answered{status: answer.StatusCode, location: answer.Header.Get("Location"), body: string(content), cookies: answer.Cookies()}
	if found := classInPage.FindStringSubmatch(got.body); got.status >= 400 && found != nil {
		got.class = found[1] + found[2]
	}
	return got
}

var (
	classInPage = regexp.MustCompile(`data-class="([a-z-]+)"|"class":"([a-z-]+)"`)
	loadedFiles = regexp.MustCompile(`(?:src|href|data-source)="(/(?:static|m/[a-z0-9]+/use.json)[^"]*)"`)
)

// loaded is the size of what a page loads.
func (p *portalRig) loaded(page string, cookies []*http.Cookie) (size int) {
	p.t.Helper()
	files := loadedFiles.FindAllStringSubmatch(page, -1)
	if len(files) < 2 {
		p.t.Errorf("the page loads %d files: this looks at nothing", len(files))
	}
	for _, f := range files {
		got := p.ask("GET", html.UnescapeString(f[1]), "", cookies)
		if got.status != 200 {
			p.t.Errorf("%s: status %d", f[1], got.status)
		}
		size += len(got.body)
	}
	return size
}
