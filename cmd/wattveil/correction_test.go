package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/internal/folder"
	"github.com/wattveil/wattveil/internal/grid"
	"github.com/wattveil/wattveil/internal/operator"
	"github.com/wattveil/wattveil/meter/source"
	"github.com/wattveil/wattveil/tariff"
	"github.com/wattveil/wattveil/utility/api"
	"github.com/wattveil/wattveil/wire"
)

// The readings of a week come after the month was billed with estimates. With a
// bill of over 40 days later comes a correction: it is listed, shown, verified
// against what was measured, and invoiced for the difference.
func TestCorrectionOfAWeek(t *testing.T) {
	w := newWorld(t)
	c := correctedHome{world: w}
	c.start()
	c.play(c.day("2026-02-01"), c.day("2026-03-02"))
	first := c.run("2026-02", 1)[0]
	if first.Document.Estimated < 150 || first.Correction {
		t.Errorf("the first bill has %d estimated intervals", first.Document.Estimated)
	}
	c.play(c.day("2026-03-02"), c.day("2026-04-02"))
	c.tick(c.day("2026-04-13")) // 42 days after the first bill
	made := c.run("2026-03", 2)
	correction := made[1]
	if made[0].Correction || !correction.Correction || correction.Document.Estimated != 0 || !correction.From.Equal(*first.From) ||
		correction.Document.ImportKWh != first.Document.ImportKWh || correction.Document.Total == first.Document.Total {
		t.Fatalf("after the bill of March comes %+v", correction.Document)
	}
	if again := c.run("2026-03", 2); again[0].JWS != made[0].JWS || again[1].JWS != correction.JWS {
		t.Error("the same run gives other bills")
	}
	c.checkList(first, made)
	c.checkVerify(first, correction)
	c.checkInvoice(first, correction)
}

// correctedHome is a platform with one meter whose utility hands a week of
// messages over late, and that utility's folder.
type correctedHome struct {
	*world
	zone *time.Location
	load source.Load
	grid *grid.Grid
	late *lateWeek
	dir  string // of the operator
}

const hourly = wattveil.Resolution(3600)

func (c *correctedHome) day(date string) time.Time {
	c.Helper()
	at, err := time.ParseInLocation(time.DateOnly, date, c.zone)
	if err != nil {
		c.Fatal(err)
	}
	return at
}

func (c *correctedHome) start() {
	c.Helper()
	var err error
	if c.zone, err = tariff.LoadZone("Europe/Zurich"); err != nil {
		c.Fatal(err)
	}
	start, end := c.day("2026-02-01").Unix(), c.day("2026-04-02").Unix()
	c.load = source.NewHousehold(7, 0, c.zone, hourly)
	c.late = &lateWeek{from: c.day("2026-02-09"), to: c.day("2026-02-16"), until: c.day("2026-03-05")}
	c.grid, err = grid.Open(c.Context(), grid.Config{
		Dir: c.path("grid"), Resolution: hourly, Start: start, End: end, Collectors: 1, Seed: 7,
		Households: []grid.Household{{Column: "home", Load: source.Then(c.load, end, ended{})}},
		BehindTap: func(from, to string, inner http.RoundTripper) http.RoundTripper {
			if from != grid.UtilityOrg || to != grid.TTPOrg {
				return inner
			}
			return c.late.over(inner)
		},
	})
	if err != nil {
		c.Fatal(err)
	}
	c.late.clock.Store(c.grid.Clock())
	c.Cleanup(func() {
		if err := c.grid.Close(); err != nil {
			c.Error(err)
		}
	})
	if _, err := c.grid.PutTariff(c.Context(), []byte(homeTariff)); err != nil {
		c.Fatal(err)
	}
	if err := c.grid.Ready(c.Context()); err != nil {
		c.Fatal(err)
	}
	c.serveOperator()
}

// serveOperator serves the utility's API where commands look for it.
func (c *correctedHome) serveOperator() {
	c.Helper()
	c.dir = c.path("operator")
	c.do("utility", "init", "--dir", c.dir, "--name", grid.UtilityOrg)
	lock, err := folder.Open(c.dir)
	if err != nil {
		c.Fatal(err)
	}
	l, err := operator.Listen(c.dir)
	if err != nil {
		c.Fatal(err)
	}
	server := operator.Server(c.grid.UtilityAPI())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	c.Cleanup(func() {
		if err := errors.Join(server.Close(), lock.Close()); err != nil {
			c.Error(err)
		}
		<-ended
	})
}

// play goes on in time; meters hand over six hours at once.
func (c *correctedHome) play(from, to time.Time) {
	c.Helper()
	for at := from; !at.After(to); at = at.Add(6 * time.Hour) {
		c.tick(at)
	}
}

func (c *correctedHome) tick(at time.Time) {
	c.Helper()
	if err := c.grid.Tick(c.Context(), at); err != nil {
		c.Fatal(err)
	}
}

// run bills a month, and gives what came of it.
func (c *correctedHome) run(month string, want int) []api.MeterBill {
	c.Helper()
	file := c.path("bills-" + month + ".jsonl")
	out := c.do("utility", "bill", "run", "--period", month, "--json", file, "--dir", c.dir)
	said := "1 of 1 bills verified and kept"
	if want > 1 {
		said = "1 corrections of earlier bills came with them"
	}
	if !strings.Contains(out, said) {
		c.Errorf("the run of %s says\n%s", month, out)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		c.Fatal(err)
	}
	return c.parse(string(text), want)
}

// parse reads bills, a line each.
func (c *correctedHome) parse(lines string, want int) (list []api.MeterBill) {
	c.Helper()
	for line := range strings.Lines(lines) {
		var b api.MeterBill
		if err := json.Unmarshal([]byte(line), &b); err != nil || b.Document == nil {
			c.Fatalf("%s: %v", line, err)
		}
		list = append(list, b)
	}
	if len(list) != want {
		c.Fatalf("%d bills, want %d", len(list), want)
	}
	return list
}

// checkList holds the commands that show what is kept to what the runs gave.
func (c *correctedHome) checkList(first api.MeterBill, made []api.MeterBill) {
	c.Helper()
	want := []api.MeterBill{first, made[1], made[0]} // a correction comes after the bill that it replaces
	for i, b := range c.parse(c.do("utility", "bill", "list", "--json", "--dir", c.dir), 3) {
		if b.JWS != want[i].JWS || b.Correction != want[i].Correction || !bytes.Equal(b.Proven, want[i].Proven) {
			c.Errorf("bill %d of the list is another", i)
		}
	}
	if out := c.do("utility", "bill", "list", "--dir", c.dir); strings.Count(out, "correction") != 1 || strings.Count(out, "\n") != 4 {
		c.Errorf("the list is\n%s", out)
	}
	shown := c.parse(c.do("utility", "bill", "show", first.Meter, "--period", "2026-02", "--json", "--dir", c.dir), 2)
	if shown[0].JWS != first.JWS || shown[1].JWS != made[1].JWS {
		c.Error("shown are other bills")
	}
	if out := c.do("utility", "bill", "show", first.Meter, "--period", "2026-02", "--dir", c.dir); !strings.Contains(out, first.Document.Total) || !strings.Contains(out, made[1].Document.Total) {
		c.Errorf("shown is\n%s", out)
	}
}

// checkVerify verifies both bills as their consumer would, who has measured
// what passed.
func (c *correctedHome) checkVerify(first, correction api.MeterBill) {
	c.Helper()
	keys := c.do("utility", "bill", "keys", "--dir", c.dir)
	log := c.do("utility", "bill", "keys", "--log", "--dir", c.dir)
	for name, text := range map[string]string{
		"keys.json": keys, "log.json": log, "tou.json": homeTariff, "readings.csv": c.measured(),
		"first.json": string(first.Proven), "correction.json": string(correction.Proven),
	} {
		if err := os.WriteFile(c.path(name), []byte(text), 0o600); err != nil {
			c.Fatal(err)
		}
	}
	verify := func(file, other string) (string, error) {
		return try("bill", "verify", "--key", c.path("keys.json"), "--log", c.path("log.json"), "--meter", "1/"+first.Pseudonym, "--period", "2026-02",
			"--tariff", c.path("tou.json"), "--readings", c.path("readings.csv"), "--other", c.path(other), c.path(file))
	}
	out, err := verify("correction.json", "first.json")
	for _, want := range []string{"corrects: it stands in the place of the bill in ", "log: entry ", "cosignature: ", "lines: ", "totals: ", "estimates: "} {
		if !strings.Contains(out, "\nok           "+want) {
			c.Errorf("the correction is not checked for %s", want)
		}
	}
	if err != nil {
		c.Errorf("the correction: %v\n%s", err, out)
	}
	if out, err := verify("first.json", "correction.json"); err == nil || !strings.Contains(out, "FAILED       replaced: ") {
		c.Errorf("the bill that is corrected: %v\n%s", err, out)
	}
}

// measured is what passed in the household, as the portal exports it.
func (c *correctedHome) measured() string {
	var s strings.Builder
	s.WriteString("start,seconds,import_wh,export_wh,quality\n")
	for at := c.day("2026-02-01").Unix(); at < c.day("2026-03-01").Unix(); at += int64(hourly) {
		imp, exp, _ := c.load.Energy(at)
		fmt.Fprintf(&s, "%s,%d,%d,%d,0\n", time.Unix(at, 0).UTC().Format(time.RFC3339), int64(hourly), int64(imp), int64(exp))
	}
	return s.String()
}

// checkInvoice demands that February has one invoice, for the difference.
func (c *correctedHome) checkInvoice(first, correction api.MeterBill) {
	c.Helper()
	dir := c.path("invoices")
	out := c.do("utility", "bill", "invoice", "--period", "2026-02", "--format", "html", "--url", "https://portal.example/check", "--out", dir, "--dir", c.dir)
	if !strings.HasPrefix(out, "1 bills printed to ") || !strings.Contains(out, "1 bills left out, which others correct\n") {
		c.Errorf("it says\n%s", out)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.html"))
	if err != nil || len(files) != 1 {
		c.Fatalf("%d invoices, %v", len(files), err)
	}
	page, err := os.ReadFile(files[0])
	if err != nil {
		c.Fatal(err)
	}
	label, due := "To pay", c.cents(correction)-c.cents(first)
	if due < 0 {
		label, due = "In your favour", -due
	}
	for _, want := range []string{
		"Corrected electricity bill", fmt.Sprintf("<span>%s</span><strong>%d.%02d CHF</strong>", label, due/100, due%100),
		"whose " + first.Document.Total + " CHF are taken off.",
	} {
		if !strings.Contains(string(page), want) {
			c.Errorf("the invoice lacks %q", want)
		}
	}
}

func (c *correctedHome) cents(b api.MeterBill) (n int) {
	c.Helper()
	if _, err := fmt.Sscan(strings.Replace(b.Document.Total, ".", "", 1), &n); err != nil {
		c.Fatal(err)
	}
	return n
}

// lateWeek has the utility keep the messages of a week, and tell collectors
// that they are durable. Until they are handed over no receipt gets through, by
// which the meter would send them again.
type lateWeek struct {
	clock           atomic.Pointer[grid.Clock]
	from, to, until time.Time

	mu   sync.Mutex
	held [][]byte
}

type roundTrip func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func (l *lateWeek) over(inner http.RoundTripper) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		clock := l.clock.Load()
		if clock == nil || r.URL.Path != "/v1/messages" || clock.Now().Before(l.from) {
			return inner.RoundTrip(r)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		now := clock.Now()
		if now.Before(l.to) {
			l.held = append(l.held, body)
			return silent(r, body, nil)
		}
		if !now.Before(l.until) {
			for ; len(l.held) > 0; l.held = l.held[1:] {
				if _, err := send(inner, r, l.held[0]); err != nil {
					return nil, err
				}
			}
		}
		verdicts, err := send(inner, r, body)
		if err != nil {
			return nil, err
		}
		return silent(r, body, verdicts)
	})
}

// send sends messages and gives the verdicts on them.
func send(inner http.RoundTripper, r *http.Request, body []byte) ([]wire.Verdict, error) {
	again := r.Clone(r.Context())
	again.Body, again.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	answer, err := inner.RoundTrip(again)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(answer.Body)
	if err := errors.Join(err, answer.Body.Close()); err != nil {
		return nil, err
	}
	messages, err := wire.ParseMessages(body)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("messages are answered %s", answer.Status)
	}
	got, err := wire.ParseMessageAnswer(content, len(messages))
	return got.Verdicts, err
}

// silent answers messages without receipts; they are durable where no verdict
// says otherwise.
func silent(r *http.Request, body []byte, verdicts []wire.Verdict) (*http.Response, error) {
	messages, err := wire.ParseMessages(body)
	if err != nil {
		return nil, err
	}
	for len(verdicts) < len(messages) {
		verdicts = append(verdicts, wire.Durable)
	}
	answer := wire.MessageAnswer{Verdicts: verdicts}.Append(nil)
	return &http.Response{
		StatusCode: http.StatusOK, Status: "200 OK", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: make(http.Header), Body: io.NopCloser(bytes.NewReader(answer)), ContentLength: int64(len(answer)),
	}, nil
}
