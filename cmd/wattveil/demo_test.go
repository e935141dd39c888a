package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wattveil/wattveil/internal/grid"
)

// A signal ends the demo cleanly at any stage: with one line, with nothing left
// behind, and soon. Whatever comes before the bills is exit code 130.
func TestDemoStops(t *testing.T) {
	// A process that ignores SIGHUP, as under nohup, hands that on; one that
	// catches it does not.
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGHUP)
	t.Cleanup(func() { signal.Stop(caught) })
	long := []string{"--headless", "--meters", "60", "--days", "300"}
	short := []string{"--meters", "2", "--days", "1", "--portal-addr", "localhost:0"}
	for _, c := range []struct {
		name   string
		flags  []string
		after  string // the line that the signal follows
		signal os.Signal
		code   int
		says   string // at the end
	}{
		{"connecting", long, "connecting 60 meters", os.Interrupt, 130, "wattveil: " + errStopped.Error()},
		{"registering", long, "registering 60 meters", os.Interrupt, 130, "wattveil: " + errStopped.Error()},
		{"reading", long, "reading 28801 times", os.Interrupt, 130, "wattveil: " + errStopped.Error()},
		{"reading, terminated", long, "reading 28801 times", syscall.SIGTERM, 130, "wattveil: " + errStopped.Error()},
		{"reading, terminal gone", long, "reading 28801 times", syscall.SIGHUP, 130, "wattveil: " + errStopped.Error()},
		{"after the bills", short, "The meters go on. Ctrl-C ends the demo.", os.Interrupt, 0, "Stopped. The meters have sent "},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			temp := t.TempDir()
			report := filepath.Join(t.TempDir(), "report.json")
			code, said := stopped(t, temp, c.after, c.signal, append(c.flags, "--report", report)...)
			if code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			if last := said[len(said)-1]; !strings.HasPrefix(last, c.says) {
				t.Errorf("it says at last %q, want %q", last, c.says)
			}
			if _, err := os.Stat(report); (err == nil) != (c.code == 0) {
				t.Errorf("report: %v", err)
			}
			left, err := os.ReadDir(temp)
			if err != nil || len(left) != 0 {
				t.Errorf("it leaves %v, %v", left, err)
			}
		})
	}
}

// stopped runs the demo until it has said a line, sends it a signal, and
// returns its exit code and all that it said.
func stopped(t *testing.T, temp, after string, signal os.Signal, flags ...string) (code int, said []string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "wattveil", append([]string{"demo"}, flags...)...)
	cmd.Env = append(os.Environ(), "TMPDIR="+temp)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	for lines := bufio.NewScanner(r); lines.Scan(); {
		said = append(said, lines.Text())
		if lines.Text() == after {
			if err := cmd.Process.Signal(signal); err != nil {
				t.Error(err)
			}
		}
	}
	err = cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode(), said
	} else if err != nil {
		t.Fatal(err)
	}
	return 0, said
}

// A reader that leaves before the table comes costs the table, not the report,
// and leaves no folder behind.
func TestDemoOutlivesItsReader(t *testing.T) {
	temp, report := t.TempDir(), filepath.Join(t.TempDir(), "report.json")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Close()
	var stderr strings.Builder
	cmd := exec.CommandContext(t.Context(), "wattveil", "demo", "--headless", "--meters", "1", "--days", "1", "--report", report)
	cmd.Env = append(os.Environ(), "TMPDIR="+temp)
	cmd.Stdout, cmd.Stderr = w, &stderr
	err = cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 1 {
		t.Errorf("ends with %v, want exit code 1", err)
	}
	if !strings.Contains(stderr.String(), "\nwattveil: print the bills: ") {
		t.Errorf("says %q", stderr.String())
	}
	if _, err := os.Stat(report); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) != 0 {
		t.Errorf("it leaves %v, %v", left, err)
	}
}

func TestStartOfDay(t *testing.T) {
	for _, c := range []struct{ zone, date, want string }{
		{"Europe/Zurich", "2026-01-31", "2026-01-31T00:00:00+01:00"},
		{"Europe/Zurich", "2026-03-29", "2026-03-29T00:00:00+01:00"},
		{"Europe/Zurich", "2026-03-30", "2026-03-30T00:00:00+02:00"},
		{"America/Havana", "2026-03-08", "2026-03-08T01:00:00-04:00"},      // midnight is skipped
		{"America/Havana", "2026-11-01", "2026-11-01T00:00:00-04:00"},      // midnight comes twice
		{"America/Sao_Paulo", "2018-02-18", "2018-02-18T00:00:00-03:00"},   // at midnight it was 23:00 again
		{"Pacific/Apia", "2011-12-30", "2011-12-31T00:00:00+14:00"},        // the day is skipped
		{"Pacific/Apia", "2011-12-31", "2011-12-31T00:00:00+14:00"},        //
		{"Asia/Kathmandu", "2026-01-31", "2026-01-31T00:00:00+05:45"},      //
		{"Pacific/Kiritimati", "2026-01-31", "2026-01-31T00:00:00+14:00"},  //
		{"Etc/GMT+12", "2026-01-31", "2026-01-31T00:00:00-12:00"},          //
		{"Australia/Lord_Howe", "2026-10-04", "2026-10-04T00:00:00+10:30"}, //
	} {
		date, err := time.Parse(time.DateOnly, c.date)
		if err != nil {
			t.Fatal(err)
		}
		if got := startOfDay(date, plainZone(t, c.zone)).Format(time.RFC3339); got != c.want {
			t.Errorf("%s in %s begins at %s, want %s", c.date, c.zone, got, c.want)
		}
	}
}

// The table keeps to 80 columns, whatever the households are called and however
// many they are, and does not hide that a bill is missing.
func TestTable(t *testing.T) {
	r := grid.Report{Seconds: 86_400.123}
	r.Wire.Messages, r.Wire.ReadingMessageBytes = 35_040_000, 70
	for i := range 1000 {
		m := grid.MeterReport{Registered: true, ReadingsStored: 35_040, Pseudonym: "0123456789abcdef"}
		b := grid.BillReport{
			Column: fmt.Sprintf("Müller's house №%d", i), Pseudonym: m.Pseudonym, Currency: "CHF", Verified: true,
			From: "2026-01-01T00:00:00+01:00", To: "2026-02-01T00:00:00+01:00",
			ImportKWh: "1234.567", ExportKWh: "0.001", Total: "-0.05",
		}
		if i == 1 {
			b = grid.BillReport{Column: "flat", Pseudonym: m.Pseudonym, From: b.From, To: b.To, Error: "incomplete"}
		}
		r.Meters, r.Bills = append(r.Meters, m), append(r.Bills, b)
	}
	var out strings.Builder
	if err := (&demo{out: &out}).print(&r, &input{gate: open(), rule: "demand-window"}); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		if n := len([]rune(line)) - 1; n > 80 {
			t.Errorf("%d characters: %s", n, line)
		}
	}
	for _, want := range []string{
		"household         pseudonym           import kWh    export kWh     total CHF\n",
		"Müller's house …  0123456789abcdef      1234.567         0.001         -0.05\n",
		"flat              0123456789abcdef  NO VERIFIED BILL\n",
		"… and 970 more; --report has them all\n",
		"1233332.433         0.999        -49.95\n",
		"999 of 1000 bills verified",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no line %q", want)
		}
	}
	if t.Failed() {
		t.Log(out.String())
	}
}

// Without a terminal there is a line for each stage and no bar.
func TestProgressWithoutTerminal(t *testing.T) {
	var out strings.Builder
	p := newProgress(&out)
	for i := range int64(3) {
		p.at(grid.Connecting, i+1, 3)
	}
	for i := range int64(97) {
		if i == 60 {
			p.told = p.told.Add(-tellEvery)
		}
		p.at(grid.Reading, i+1, 97)
	}
	p.at(billing, 0, 1)
	p.end()
	want := "connecting 3 meters\nreading 97 times\nreading: 61 of 97\nbilling 1 meter\n"
	if out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

// A report that cannot be written fails before the run, one in a party's folder
// too, by whatever way the path leads there.
func TestReportFile(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	link := filepath.Join(dir, "link")
	for _, err := range []error{
		os.MkdirAll(filepath.Join(data, "ttp"), 0o700),
		os.Symlink(filepath.Join(data, "ttp"), link),
		os.Symlink("nowhere.json", filepath.Join(dir, "dangling.json")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for file, want := range map[string]string{
		filepath.Join(dir, "report.json"):               "",
		filepath.Join(data, "report.json"):              "",
		filepath.Join(data, "ttp", "report.json"):       "this is a party's folder",
		filepath.Join(data, "ttp", "..", "report.json"): "",
		filepath.Join(data, "later", "report.json"):     "this is a party's folder",
		filepath.Join(link, "report.json"):              "this is a party's folder",
		filepath.Join(dir, "dangling.json"):             "is no regular file",
		filepath.Join(dir, "no", "report.json"):         "there is no folder",
		data:                                            "is no regular file",
	} {
		err := checkReportFile(file, data)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", strings.TrimPrefix(file, dir), err, want)
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, ".wattveil*"))
	if err != nil || len(left) != 0 {
		t.Errorf("it leaves %v, %v", left, err)
	}
}

// The bar is drawn on a terminal and gone at the end.
func TestProgressOnATerminal(t *testing.T) {
	var out strings.Builder
	p := &progress{out: &out, terminal: true}
	p.at(grid.Reading, 0, 2)
	p.at(grid.Reading, 2, 2)
	p.end()
	if !strings.Contains(out.String(), "reading 2 times") || !strings.HasSuffix(out.String(), "\r") {
		t.Errorf("drawn: %q", out.String())
	}
}
