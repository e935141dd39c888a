package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wattveil/wattveil/internal/realinput"
)

// The tests of this file run the command on homes and bill the same homes
// plainly (plain_test.go): all must agree, to the watt-hour and the cent, over
// a network that loses, repeats and reorders a tenth of the messages.
//
// Real homes are in the folder that WATTVEIL_DATA names (../shared/data of the
// project if it is empty). The first days of each file are taken, and the whole
// files if WATTVEIL_FULL=1, as "make acceptance" does, which takes minutes.

// demoReport is the file that --report writes, member for member.
type demoReport struct {
	Meters []struct {
		Column          string
		MeterID         string `json:"meter_id"`
		Pseudonym       string
		Registered      bool
		Keyed           bool
		ReadingsSent    int `json:"readings_sent"`
		ReadingsStored  int `json:"readings_stored"`
		IntervalsStored int `json:"intervals_stored"`
	}
	Bills []struct {
		Column    string
		Pseudonym string
		From, To  string
		ImportKWh string `json:"import_kwh"`
		ExportKWh string `json:"export_kwh"`
		Lines     []plainLine
		Total     string
		Currency  string
		JWS       string
		Document  json.RawMessage
		Verified  bool
	}
	Claims []struct {
		Column    string
		Pseudonym string
		Code      string
	}
	TTPKeys json.RawMessage `json:"ttp_keys"`
	TTPLog  json.RawMessage `json:"ttp_log"`
	Wire    struct {
		ReadingMessageBytes int `json:"reading_message_bytes"`
		Messages            int64
		BytesTotal          int64 `json:"bytes_total"`
	}
	Lost             int
	DuplicatesStored int `json:"duplicates_stored"`
	Seconds          float64
}

// builtinTariff is the demo's own tariff, for Europe/Zurich.
const builtinTariff = `{"id": "wattveil-three-band", "currency": "CHF", "timezone": "Europe/Zurich", "valid_from": "2000-01-01",
	"energy": {
		"bands": {
			"day": {"import": "0.2680", "export": "0.0900"},
			"night": {"import": "0.2140", "export": "0.0700"},
			"peak": {"import": "0.3270", "export": "0.1200"}},
		"default": "night",
		"windows": [
			{"band": "day", "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "from": "06:00", "to": "17:00"},
			{"band": "peak", "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "from": "17:00", "to": "21:00"},
			{"band": "day", "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "from": "21:00", "to": "22:00"}]},
	"standing": {"per_day": "0.30"}, "tax_percent": "8.1"}`

// solarTariff has a band without credit, one past midnight, and a zone whose
// clocks change while those of its homes' file do not.
const solarTariff = `{"id": "solar.1", "currency": "USD", "timezone": "America/Los_Angeles", "valid_from": "2016-01-01",
	"energy": {
		"bands": {
			"late": {"import": "0.11257", "export": "0.031"},
			"noon": {"import": "0.08", "export": "0.045"},
			"rest": {"import": "0.2449"}},
		"default": "rest",
		"windows": [
			{"band": "noon", "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "from": "10:30", "to": "14:00"},
			{"band": "late", "days": ["fri", "sat"], "from": "21:00", "to": "07:00"}]},
	"standing": {"per_day": "0.485"}, "tax_percent": "7.25"}`

// touTariff is the example of spec/tariff.md.
const touTariff = `{"id":"tou-2018","currency":"CHF","timezone":"Europe/Zurich","valid_from":"2018-01-01","energy":{"bands":{"peak":{"import":"0.2860","export":"0.08"},"offpeak":{"import":"0.1780"}},"default":"offpeak","windows":[{"band":"peak","days":["mon","tue","wed","thu","fri"],"from":"07:00","to":"20:00"}]},"standing":{"per_day":"0.30"},"tax_percent":"8.1"}`

// accepted is one run of the demo and what is known of its homes.
type accepted struct {
	file   string
	zone   string
	days   int    // 0 for all
	tariff string // JSON

	homes, intervals int    // of all homes; not checked if 0
	imported         string // by all homes, kWh
	exported         string
}

func TestRealHomes(t *testing.T) {
	swiss := accepted{
		file: realinput.Path(t, "homes-ch-15min/ch_100homes_49d_15min_kwh.csv"), zone: "Europe/Zurich",
		tariff: builtinTariff, days: 5, homes: 100,
	}
	solar := accepted{
		file: realinput.Path(t, "homes-citylearn-pv-60min/citylearn_17homes_net_wide.csv"), zone: "Etc/GMT+8",
		tariff: solarTariff, days: 40, homes: 17,
	}
	if raceDetector { // takes five times as long
		swiss.days, solar.days = 1, 8
	}
	swiss.intervals, solar.intervals = swiss.days*100*96, solar.days*17*24
	if os.Getenv("WATTVEIL_FULL") == "1" {
		swiss.days, swiss.intervals, swiss.imported, swiss.exported = 0, 470_400, "110375.169", "0.000"
		solar.days, solar.intervals, solar.imported, solar.exported = 0, 148_920, "112120.904", "45902.566"
	}
	t.Run("Swiss", swiss.run)
	t.Run("Solar", solar.run)
}

// Made homes, where real ones are not: changes of clocks, zones that are not
// whole hours from UTC, short intervals, a span that does not begin at midnight.
func TestMadeHomes(t *testing.T) {
	const kolkata = "Asia/Kolkata"
	kolkataTariff := strings.Replace(touTariff, "Europe/Zurich", kolkata, 1)
	for name, c := range map[string]struct {
		zone, from string
		step, span time.Duration
		tariff     string
	}{
		"spring":       {"Europe/Zurich", "2026-03-26T00:00", 15 * time.Minute, 7*24*time.Hour - time.Hour, touTariff},
		"autumn":       {"Europe/Zurich", "2026-10-22T00:00", 30 * time.Minute, 7*24*time.Hour + time.Hour, touTariff},
		"half hour":    {kolkata, "2026-05-01T00:00", time.Hour, 72 * time.Hour, kolkataTariff},
		"other zone":   {kolkata, "2026-05-01T00:00", time.Hour, 72 * time.Hour, touTariff},
		"1 minute":     {"Europe/Zurich", "2026-05-01T18:30", time.Minute, 3 * time.Hour, touTariff},
		"5 minutes":    {"Europe/Zurich", "2026-05-01T21:35", 5 * time.Minute, 10 * time.Hour, touTariff},
		"odd 4 minute": {"Europe/London", "2026-05-01T05:57", 4 * time.Minute, 4 * time.Hour, touTariff},
	} {
		t.Run(name, func(t *testing.T) {
			a := accepted{zone: c.zone, tariff: c.tariff, file: filepath.Join(t.TempDir(), "homes.csv")}
			a.homes, a.intervals = 3, 3*int(c.span/c.step)
			makeHomes(t, a, c.from, c.step, c.span)
			a.run(t)
		})
	}
}

// makeHomes writes a file of homes of which one takes, one gives, and one does
// both, in local time.
func makeHomes(t *testing.T, a accepted, from string, step, span time.Duration) {
	t.Helper()
	const layout = "2006-01-02T15:04"
	start, err := time.ParseInLocation(layout, from, plainZone(t, a.zone))
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(4, uint64(start.Unix())))
	var b strings.Builder
	b.WriteString("local,takes,gives,both\n")
	for at := start; at.Before(start.Add(span)); at = at.Add(step) {
		fmt.Fprintf(&b, "%s,%d.%03d,-0.%03d,%.3f\n", at.Format(layout),
			rng.IntN(3), rng.IntN(1000), rng.IntN(1000), float64(rng.IntN(4000)-2000)/1000)
	}
	if err := os.WriteFile(a.file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (a accepted) run(t *testing.T) {
	t.Parallel() // it waits for disks more than for processors
	dir := t.TempDir()
	reportFile := filepath.Join(dir, "report.json")
	args := []string{"demo", "--headless", "--readings", a.file, "--tz", a.zone, "--loss", "0.1", "--report", reportFile}
	if a.days > 0 {
		args = append(args, "--days", fmt.Sprint(a.days))
	}
	if a.tariff != builtinTariff {
		terms := filepath.Join(dir, "tariff.json")
		if err := os.WriteFile(terms, []byte(a.tariff), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--tariff", terms)
	}
	cmd := exec.CommandContext(t.Context(), "wattveil", args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	content, err := os.ReadFile(reportFile)
	if err != nil {
		t.Fatal(err)
	}
	var r demoReport
	dec := json.NewDecoder(bytes.NewReader(content))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		t.Fatal(err)
	}
	a.check(t, r)
}

func (a accepted) check(t *testing.T, r demoReport) {
	t.Helper()
	var terms plainTariff
	if err := json.Unmarshal([]byte(a.tariff), &terms); err != nil {
		t.Fatal(err)
	}
	homes := readPlain(t, a.file, a.zone, a.days)
	if len(r.Meters) != a.homes || len(r.Bills) != a.homes || len(homes.columns) != a.homes {
		t.Fatalf("%d meters, %d bills and %d columns, want %d of each", len(r.Meters), len(r.Bills), len(homes.columns), a.homes)
	}
	if len(r.Claims) != a.homes {
		t.Errorf("%d claim codes for %d homes", len(r.Claims), a.homes)
	}
	if r.Lost != 0 || r.DuplicatesStored != 0 || r.Wire.ReadingMessageBytes != 70 || r.Wire.Messages == 0 || r.Wire.BytesTotal < 70 || r.Seconds <= 0 {
		t.Errorf("lost %d, duplicates stored %d, wire %+v, %v s", r.Lost, r.DuplicatesStored, r.Wire, r.Seconds)
	}
	intervals := 0
	imported, exported := new(big.Rat), new(big.Rat)
	for i, m := range r.Meters {
		want := homes.bill(t, i, terms)
		intervals += m.IntervalsStored
		if m.Column != want.Column || !m.Registered || !m.Keyed || m.IntervalsStored != want.Intervals ||
			m.ReadingsStored != want.Intervals+1 || m.ReadingsSent != want.Intervals+1 {
			t.Errorf("meter %d of %s with %d intervals: %+v", i, want.Column, want.Intervals, m)
		}
		b := r.Bills[i]
		got := plainBill{b.Column, b.From, b.To, b.ImportKWh, b.ExportKWh, b.Total, b.Lines, want.Intervals}
		if fmt.Sprint(got) != fmt.Sprint(want) || b.Pseudonym != m.Pseudonym || b.Currency != terms.Currency || !b.Verified {
			t.Errorf("bill in the report\n\t%v\nbill by hand\n\t%v", got, want)
		}
		payload := plainVerify(t, b.JWS, r.TTPKeys)
		if payload["total"] != b.Total || payload["import_kwh"] != b.ImportKWh || payload["from"] != b.From {
			t.Errorf("%s: the bill that is signed has %v", b.Column, payload)
		}
		verifyDocument(t, b.Document, r.TTPKeys, r.TTPLog, "1/"+b.Pseudonym)
		imported.Add(imported, plainNumber(t, b.ImportKWh))
		exported.Add(exported, plainNumber(t, b.ExportKWh))
	}
	if intervals != a.intervals {
		t.Errorf("%d intervals stored, want %d", intervals, a.intervals)
	}
	if a.imported != "" && (imported.FloatString(3) != a.imported || exported.FloatString(3) != a.exported) {
		t.Errorf("import %s and export %s, want %s and %s", imported.FloatString(3), exported.FloatString(3), a.imported, a.exported)
	}
	if !slices.ContainsFunc(r.Bills[0].Lines, func(l plainLine) bool { return l.Kind == "standing" && l.Band == "" }) {
		t.Error("no line of standing charges")
	}
}

// verifyDocument verifies a bill of the report as the README does.
func verifyDocument(t *testing.T, document, keys, log json.RawMessage, meter string) {
	t.Helper()
	dir := t.TempDir()
	var compact bytes.Buffer
	if err := json.Compact(&compact, document); err != nil {
		t.Fatalf("document of %s: %v", meter, err)
	}
	file := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	out, err := try("bill", "verify", "--key", file("keys.json", keys), "--log", file("log.json", log), "--meter", meter, file("bill.json", compact.Bytes()))
	for _, what := range []string{"signature", "subject", "log", "cosignature"} {
		if !strings.Contains(out, "ok           "+what+": ") {
			t.Errorf("%s of the bill of %s is not checked", what, meter)
		}
	}
	if err != nil {
		t.Errorf("bill of %s: %v", meter, err)
	}
}
