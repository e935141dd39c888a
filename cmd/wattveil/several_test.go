package main

import (
	"context"
	"encoding/csv"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/internal/field"
	"github.com/wattveil/wattveil/readings"
	readingspebble "github.com/wattveil/wattveil/readings/pebble"
	ttpapi "github.com/wattveil/wattveil/ttp/api"
	"github.com/wattveil/wattveil/utility/api"
)

// counted draws pseudonyms in order, so that two utilities have the same.
type counted struct {
	mu   sync.Mutex
	next wattveil.Pseudonym
	ids  wattveil.MeterID
}

func (c *counted) MeterID() wattveil.MeterID {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ids++
	return c.ids<<32 | 0x5a5a // not a number that turns up by itself
}

func (c *counted) Pseudonym(wattveil.MeterID) wattveil.Pseudonym {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next++
	return c.next<<32 | 0xa5a5
}

// flatTariff has one band, so that a bill's sum follows from its energy.
const flatTariff = `{"id": "flat", "currency": "CHF", "timezone": "UTC", "valid_from": "2020-01-01",
 "energy": {"default": "all", "bands": {"all": {"import": "0.27", "export": "0.08"}}}}`

// TestSeveralParties has two utilities at one TTP whose meters have equal
// an-IDs and equal ID_SM, and a second TTP for one of them. Each meter's bill
// is of its own readings and from its own TTP.
func TestSeveralParties(t *testing.T) {
	w := newWorld(t)
	first, second := w.ttp("ttp-first"), w.ttp("ttp-second")
	a := w.utility("utility-a", &counted{}, first, second)
	b := w.utility("utility-b", &counted{}, first)
	var collectors []*serving
	for name, u := range map[string]*site{"collector-a": a, "collector-b": b} {
		dir, _ := w.collector(u, name)
		collectors = append(collectors, w.serveCollector(dir))
	}
	history := []string{"--source", "sim", "--history", "240h"}
	processes := map[string]*exec.Cmd{
		"a-first": w.meters(a, "a-first", 2, []string{"--ttp", first.name}, history),
		"b-first": w.meters(b, "b-first", 2, nil, history),
	}
	w.wait("the first meters are enrolled", func() bool { return w.enrolled(a) == 2 && w.enrolled(b) == 2 })
	processes["a-second"] = w.meters(a, "a-second", 2, []string{"--ttp", second.name}, history)

	day := time.Now().UTC().Truncate(24 * time.Hour)
	from, to := day.AddDate(0, 0, -8), day.AddDate(0, 0, -1)
	bills := map[string][]api.MeterBill{"a": w.bills(a, from, to), "b": w.bills(b, from, to)}
	if len(bills["a"]) != 4 || len(bills["b"]) != 2 {
		t.Fatalf("%d bills of a, %d of b; want 4 and 2", len(bills["a"]), len(bills["b"]))
	}
	for group, issuer := range map[string]string{"a-first": first.name, "a-second": second.name, "b-first": first.name} {
		w.checkBills(group, issuer, bills[group[:1]], from, to)
	}
	if pseudonyms := func(list []api.MeterBill) (names []string) {
		for _, b := range list {
			names = append(names, b.Pseudonym)
		}
		slices.Sort(names)
		return names
	}; !slices.Equal(pseudonyms(bills["a"])[:2], pseudonyms(bills["b"])) {
		t.Error("the utilities' an-IDs are not equal, so that the test shows nothing")
	}
	w.checkCounts(first, map[string]int{a.name: 2, b.name: 2})
	w.checkCounts(second, map[string]int{a.name: 2})
	servers := append(collectors, a.serving, b.serving, first.serving, second.serving)
	for _, s := range servers {
		w.checkMetrics(s)
	}
	for name, p := range processes {
		if err := end(p, syscall.SIGTERM); err != nil {
			t.Errorf("meters %s: %v", name, err)
		}
	}
	for _, s := range servers {
		s.stop()
		w.checkLog(s)
	}
}

// enrolled is how many of a utility's meters its TTPs know.
func (w *world) enrolled(u *site) (n int) {
	w.Helper()
	for _, m := range decodeLines[api.Meter](w, w.do("utility", "meter", "list", "--json", "--dir", u.dir)) {
		if m.State == "enrolled" {
			n++
		}
	}
	return n
}

// bills puts the tariff and asks for bills until there is one of each meter.
func (w *world) bills(u *site, from, to time.Time) []api.MeterBill {
	w.Helper()
	if err := os.WriteFile(w.path("flat.json"), []byte(flatTariff), 0o600); err != nil {
		w.Fatal(err)
	}
	w.do("utility", "tariff", "put", w.path("flat.json"), "--dir", u.dir)
	out := w.path(u.name + "-bills.jsonl")
	period := from.Format(time.DateOnly) + "/" + to.Format(time.DateOnly)
	w.wait("bills of "+u.name, func() bool {
		_, err := try("utility", "bill", "run", "--period", period, "--json", out, "--dir", u.dir)
		return err == nil
	})
	content, err := os.ReadFile(out)
	if err != nil {
		w.Fatal(err)
	}
	return decodeLines[api.MeterBill](w, string(content))
}

// checkBills compares the bills of a group of meters with what each meter has
// kept itself.
func (w *world) checkBills(group, issuer string, bills []api.MeterBill, from, to time.Time) {
	w.Helper()
	for _, id := range w.ids(group) {
		i := slices.IndexFunc(bills, func(b api.MeterBill) bool { return b.Meter == id })
		if i < 0 || bills[i].Document == nil {
			w.Errorf("%s: meter %s has no bill", group, id)
			continue
		}
		rows := w.export(group, id, from, to)
		imp := rows[len(rows)-1].imported - rows[0].imported
		exp := rows[len(rows)-1].exported - rows[0].exported
		d := bills[i].Document
		if d.Issuer != issuer || d.ImportKWh != kWh(imp) || d.ExportKWh != kWh(exp) || imp == 0 {
			w.Errorf("%s: bill of %s, import %s, export %s; want %s, %s, %s", group, d.Issuer, d.ImportKWh, d.ExportKWh, issuer, kWh(imp), kWh(exp))
		}
	}
}

func kWh(wh int64) string { return fmt.Sprintf("%d.%03d", wh/1000, wh%1000) }

// row is one reading as a meter has kept it.
type row struct{ at, imported, exported int64 }

// export is what a meter has kept of a time.
func (w *world) export(group, id string, from, to time.Time) (rows []row) {
	w.Helper()
	cmd := exec.Command(filepath.Join(field.Binaries(w.T), "wattveil-meter"), "export", "--data", w.path(group),
		"--from", from.Format(time.RFC3339), "--to", to.Format(time.RFC3339), id)
	out, err := cmd.Output()
	if err != nil {
		w.Fatalf("export meter %s: %v", id, err)
	}
	lines, err := csv.NewReader(strings.NewReader(string(out))).ReadAll()
	if err != nil || len(lines) < 2 {
		w.Fatalf("export meter %s: %d lines, %v", id, len(lines), err)
	}
	for _, line := range lines[1:] {
		at, err := time.Parse(time.RFC3339, line[0])
		if err != nil {
			w.Fatal(err)
		}
		r := row{at: at.Unix()}
		for field, into := range map[int]*int64{1: &r.imported, 2: &r.exported} {
			if *into, err = strconv.ParseInt(line[field], 10, 64); err != nil {
				w.Fatal(err)
			}
		}
		rows = append(rows, r)
	}
	return rows
}

// checkCounts demands that a TTP has that many meters of each utility, all
// with keys and none unconfirmed, since their records pin its root key.
func (w *world) checkCounts(t *site, want map[string]int) {
	w.Helper()
	list := decodeLines[ttpapi.Utility](w, w.do("ttp", "utility", "list", "--json", "--dir", t.dir))
	if len(list) != len(want) {
		w.Errorf("%s has %d utilities, want %d", t.name, len(list), len(want))
	}
	for _, u := range list {
		org := strings.TrimSuffix(strings.TrimPrefix(u.Name, "wattveil://"), "/utility")
		if n := want[org]; u.Enrolled != n || u.Keyed != n || u.Unconfirmed != 0 {
			w.Errorf("%s: %+v, want %d meters", t.name, u, n)
		}
	}
}

// named are the forms of names of meters, which are 16 digits, and addresses.
var (
	meterName = regexp.MustCompile(`\b[0-9a-f]{16}\b`)
	addresses = regexp.MustCompile(`127\.0\.0\.1|localhost|\[::1\]`)
)

// checkMetrics demands that no label and no value of /metrics says who or
// where anybody is.
func (w *world) checkMetrics(s *serving) {
	w.Helper()
	_, text := s.get("/metrics")
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "wattveil_") {
			continue // Go's own figures and the process's
		}
		labels, value := line[:strings.LastIndexByte(line, ' ')], line[strings.LastIndexByte(line, ' ')+1:len(line)-1]
		for what, found := range map[string]bool{
			"the name of a meter": meterName.MatchString(labels), "an address": addresses.MatchString(line),
			"a party": strings.Contains(line, "utility-") || strings.Contains(line, "ttp-") || strings.Contains(line, "collector-"),
		} {
			if found {
				w.Errorf("metrics of %s name %s: %s", s.dir, what, line)
			}
		}
		if v, err := strconv.ParseFloat(value, 64); err != nil || v >= 1<<32 { // a pseudonym here is larger
			w.Errorf("metrics of %s: %s is no count, size or time", s.dir, line)
		}
	}
	want := []string{"verdicts_total{", "certificate_expires_seconds{"}
	switch kind, _, _ := strings.Cut(filepath.Base(s.dir), "-"); kind {
	case "ttp":
		want = append(want, "readings_total{", "batch_seconds_bucket{", `meters{role="ttp",state="keyed"}`, `meters{role="ttp",state="unconfirmed"}`)
	case "utility":
		want = append(want, "posts_total{", "log_forks{", "log_unproven{", "batch_seconds_bucket{", `meters{role="utility",state="enrolled"}`)
	default:
		want = append(want, "queue_frames{", "queue_bytes{", "queue_age_seconds{", "connected_meters{")
	}
	for _, series := range want {
		if !strings.Contains(text, "\nwattveil_"+series) {
			w.Errorf("metrics of %s miss %s", s.dir, series)
		}
	}
	if code, body := s.get("/readyz"); code != 200 {
		w.Errorf("%s is not ready: %s", s.dir, body)
	}
}

// checkLog demands that a whole run's log has no address, no key and never a
// meter's both names in one line (spec/protocol.md section 9).
func (w *world) checkLog(s *serving) {
	w.Helper()
	log := s.logs.String()
	if !strings.Contains(log, "msg=stopping") {
		w.Errorf("log of %s does not tell its end:\n%s", s.dir, log)
	}
	idSM, anID := regexp.MustCompile(`0000000[1-9]00005a5a`), regexp.MustCompile(`0000000[1-9]0000a5a5`)
	ttp := strings.HasPrefix(filepath.Base(s.dir), "ttp-")
	for line := range strings.Lines(log) {
		if addresses.MatchString(line) || strings.Contains(line, "PRIVATE KEY") || strings.Contains(line, `"jws"`) {
			w.Errorf("log of %s: %s", s.dir, line)
		}
		if idSM.MatchString(line) && (ttp || anID.MatchString(line)) {
			w.Errorf("log of %s names a meter as it must not: %s", s.dir, line)
		}
	}
}

// TestMeterMoves kills the collector that a meter sends to. The meter goes to
// the next one by itself, and when the first is back, what it held comes too:
// the TTP has each reading once.
func TestMeterMoves(t *testing.T) {
	w := newWorld(t)
	trust := w.ttp("ttp-first")
	u := w.utility("utility-a", &counted{}, trust)
	serve := func(dir string) *exec.Cmd { return w.process("wattveil", "collector", "serve", "--dir", dir) }
	north, _ := w.collector(u, "north")
	south, _ := w.collector(u, "south")
	west, _ := w.collector(u, "west")
	running := serve(north)
	w.serveCollector(west) // which no meter is told of
	w.posts(u, "north")
	var brokers []string
	for _, dir := range []string{north, south} {
		p := &party{role: collectorRole(), dir: dir}
		var cfg collectorConfig
		if err := p.load(&cfg, nil); err != nil {
			t.Fatal(err)
		}
		brokers = append(brokers, "mqtt://"+cfg.Listen)
	}
	meters := w.meters(u, "field", 1, []string{"--collector", strings.Join(brokers, ",")},
		[]string{"--source", "sim", "--resolution", "1s", "--history", "30s"})
	id := w.ids("field")[0]
	stored := func() float64 { return trust.metric(`wattveil_readings_total{role="ttp"}`) }
	w.wait("readings by north", func() bool { return stored() > 30 && w.heardBy(u, id) == "north" })
	if err := running.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = running.Wait() // it was killed
	w.serveCollector(south)
	w.wait("readings by south", func() bool { return w.heardBy(u, id) == "south" })
	moved := stored()
	w.wait("more of them", func() bool { return stored() > moved+3 })
	serve(north)
	w.posts(u, "north")
	if err := end(meters, syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	w.posts(u, "south")
	kept := w.export("field", id, time.Unix(0, 0), time.Now().Add(time.Hour))
	u.stop()
	trust.stop()
	w.checkStored(trust, kept)
}

// unsent is how many readings a meter may have that it has not handed over
// when it is ended.
const unsent = 2

// posts waits until a collector has posted all that it holds now. Its post
// under way may have begun before.
func (w *world) posts(u *site, name string) {
	w.Helper()
	began := time.Now()
	w.wait(name+" posts", func() bool {
		s := decodeLines[api.Status](w, w.do("utility", "status", "--json", "--dir", u.dir))[0]
		i := slices.IndexFunc(s.Collectors, func(c api.Collector) bool { return c.Name == name })
		return i >= 0 && s.Collectors[i].LastPost != nil && s.Collectors[i].LastPost.After(began.Add(2*time.Second))
	})
}

// heardBy is the collector that last posted a message of a meter.
func (w *world) heardBy(u *site, id string) string {
	w.Helper()
	return decodeLines[api.Meter](w, w.do("utility", "meter", "show", id, "--json", "--dir", u.dir))[0].Collector
}

// checkStored compares a TTP's store with what its only meter has kept: no
// reading twice, none with another value, none missing but the last ones.
func (w *world) checkStored(t *site, kept []row) {
	w.Helper()
	store, err := readingspebble.Open(filepath.Join(t.dir, "readings"), readingspebble.Options{})
	if err != nil {
		w.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	meter := wattveil.Meter{UC: 1, Pseudonym: 1<<32 | 0xa5a5}
	folded, err := store.Read(context.Background(), meter, 0, readings.MaxTime)
	if err != nil {
		w.Fatal(err)
	}
	var have []wattveil.Reading
	for _, run := range folded.Runs {
		have = append(have, run.Readings...)
	}
	if len(folded.Conflicts) > 0 || len(have) < len(kept)-unsent || len(have) > len(kept) {
		w.Fatalf("the TTP has %d readings and %d conflicts, the meter has kept %d readings", len(have), len(folded.Conflicts), len(kept))
	}
	for i, r := range have {
		if r.Time != kept[i].at {
			w.Fatalf("reading %d is of %v, the meter's of %v", i, time.Unix(r.Time, 0), time.Unix(kept[i].at, 0))
		}
		if i == 0 {
			continue
		}
		imp, exp := int64(r.Import-have[i-1].Import), int64(r.Export-have[i-1].Export)
		if imp != kept[i].imported-kept[i-1].imported || exp != kept[i].exported-kept[i-1].exported {
			w.Errorf("energy until %v: %d and %d Wh, the meter's %v after %v", time.Unix(r.Time, 0), imp, exp, kept[i], kept[i-1])
		}
	}
}
