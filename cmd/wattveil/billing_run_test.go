package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wattveil/wattveil/utility/api"
)

// runSize is how many meters a run bills, and for how many days.
func runSize() (meters, days int) {
	if os.Getenv("WATTVEIL_FULL") == "1" {
		return 100_000, 30
	}
	return 8 * billsAtOnce, 7
}

// TestBilling bills many meters of one utility, and then works with the bills.
// With WATTVEIL_FULL=1, as "make billing" sets it, it has 100,000 meters and a
// month of readings, prints how fast it was, and takes a quarter of an hour.
func TestBilling(t *testing.T) {
	needScript(t)
	meters, days := runSize()
	began := time.Now()
	r := newBillingRig(t, meters, days)
	t.Logf("%d meters with %d hourly readings each were made in %v", meters, 24*days+1, time.Since(began).Round(time.Second))
	r.tariffs()
	r.resumes()
	r.refuses()
	r.shows()
	r.invoices()
	r.reconciles()
}

// period is the one of all readings, as --period has it.
func (r *billingRig) period() string {
	return r.from.Format(time.DateOnly) + "/" + r.from.AddDate(0, 0, r.days).Format(time.DateOnly)
}

// resumes has a billing run that kill -9 ends in the middle. It goes on where it
// was: it asks for what is missing alone, and ends with the same files as one
// that nobody has killed.
func (r *billingRig) resumes() {
	r.Helper()
	meters := r.meters
	run := []string{"utility", "bill", "run", "--period", r.period(), "--dir", "utility"}
	first := r.firstRequest(run)
	r.interrupts(run)
	killed := r.kill(run, first)
	r.Logf("killed with %d of %d bills kept", killed, meters)

	began := time.Now()
	before := r.valve.count()
	out := r.onTerminal(append(run, "--json", "bills.jsonl", "--csv", "lines.csv", "--refused", "refused.txt"))
	took := time.Since(began)
	rest := meters - killed
	r.Logf("the run went on for %v: %d bills, %.0f a second", took.Round(time.Millisecond), rest, float64(rest)/took.Seconds())
	if want := fmt.Sprintf("%d of %d bills verified and kept, %d of them before this run", meters, meters, killed); !strings.Contains(out, want) {
		r.Errorf("the run that goes on does not say %q:\n%s", want, out)
	}
	if !strings.Contains(out, "bills") || !strings.Contains(out, "%") {
		r.Errorf("there is no progress on the terminal: %q", out)
	}
	// Requests overlap, and proofs may come twice; they are less than half of an answer.
	if asked := r.valve.count() - before; asked > first*int64(rest/billsAtOnce+1)*3/2 {
		r.Errorf("%d bytes came back for %d bills, a request of %d has %d", asked, rest, billsAtOnce, first)
	}
	r.checkFiles()

	// With the TTP away, all is here.
	r.stopTTP()
	began = time.Now()
	again := r.do(append(run, "--json", "again.jsonl", "--csv", "again.csv")...)
	r.Logf("the same run once more took %v", time.Since(began).Round(time.Millisecond))
	if want := fmt.Sprintf("%d of %d bills verified and kept, %d of them before this run", meters, meters, meters); !strings.Contains(again, want) {
		r.Errorf("the same run again does not say %q:\n%s", want, again)
	}
	if r.read("again.jsonl") != r.read("bills.jsonl") || r.read("again.csv") != r.read("lines.csv") {
		r.Error("the same run again gives other files")
	}
}

// firstRequest bills the meters of one request, and tells how many bytes that
// takes.
func (r *billingRig) firstRequest(run []string) int64 {
	r.Helper()
	var list strings.Builder
	for i := range billsAtOnce {
		fmt.Fprintln(&list, rigMeter(i))
	}
	r.write("first.txt", list.String())
	before := r.valve.count()
	r.do(append(run, "--meters", "first.txt")...)
	return r.valve.count() - before
}

// interrupts ends a run with SIGTERM while the TTP does not answer.
func (r *billingRig) interrupts(run []string) {
	r.Helper()
	r.valve.shutAfter(0)
	cmd := r.command(run...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	ended := r.untilDry(cmd)
	rigMust(r, cmd.Process.Signal(syscall.SIGTERM))
	<-ended
	r.valve.open()
	const want = "wattveil: stopped before the end; what is kept stays: run it again to go on\n"
	if code := cmd.ProcessState.ExitCode(); code != exitStopped || stderr.String() != want {
		r.Errorf("stopped by SIGTERM: exit code %d, %s", code, stderr.String())
	}
}

// untilDry starts a command and waits until the valve lets nothing more through
// to it. The channel closes when it has ended.
func (r *billingRig) untilDry(cmd *exec.Cmd) <-chan struct{} {
	r.Helper()
	rigMust(r, cmd.Start())
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }() // the exit code says it
	select {
	case <-r.valve.dry:
	case <-ended:
		r.Fatalf("the run has ended with exit code %d before it was stopped", cmd.ProcessState.ExitCode())
	}
	return ended
}

// kill ends a run with kill -9 while the answers of some requests are here and
// those of others are not. It gives how many bills are kept then.
func (r *billingRig) kill(run []string, request int64) int {
	r.Helper()
	// At most requestsAtOnce of the answers that have begun can be unfinished, so
	// that one at least is whole.
	r.valve.shutAfter((requestsAtOnce + 1) * request)
	cmd := r.command(run...)
	ended := r.untilDry(cmd)
	for r.kept() < 2*billsAtOnce { // what has come is yet to be kept
	}
	rigMust(r, cmd.Process.Kill())
	<-ended
	r.valve.open()
	n := r.kept()
	if n >= r.meters {
		r.Fatalf("all %d bills were kept before the run was killed", n)
	}
	return n
}

func needScript(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("script"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("a terminal needs the command script: %v", err)
		}
		t.Skipf("a terminal needs the command script: %v", err)
	}
}

// onTerminal runs a command on a terminal of its own and gives what it shows.
func (r *billingRig) onTerminal(args []string) string {
	r.Helper()
	cmd := r.command()
	cmd.Path, cmd.Args = "/usr/bin/script", []string{"script", "-qec", cmd.Path + " " + strings.Join(args, " "), "/dev/null"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

// refuses asks for a week that the readings end in.
func (r *billingRig) refuses() {
	r.Helper()
	r.serveTTP()
	last := r.from.AddDate(0, 0, r.days)
	period := last.AddDate(0, 0, -3).Format(time.DateOnly) + "/" + last.AddDate(0, 0, 4).Format(time.DateOnly)
	run := []string{"utility", "bill", "run", "--period", period, "--meters", "few.txt", "--refused", "refused.txt", "--dir", "utility"}
	r.write("few.txt", fmt.Sprintf("%v\n%v\n%x\n", rigMeter(0), rigMeter(7), uint64(0xabcdef0123456789)))
	out, code := r.try(run...)
	for _, want := range []string{
		"0 of 3 bills verified and kept, 0 of them before this run\n", "\n2      incomplete  1000000000000000: ", "\n1      unknown     abcdef0123456789: ",
		"wattveil: 3 of 3 bills are missing\n",
	} {
		if !strings.Contains(out, want) {
			r.Errorf("the run does not say %q:\n%s", want, out)
		}
	}
	if code != exitFound {
		r.Errorf("exit code %d, want %d", code, exitFound)
	}
	r.checkRefused()

	// The same time again is told from the gate's other rules.
	run[4] = r.from.Format(time.DateOnly) + "/" + r.from.AddDate(0, 0, 3).Format(time.DateOnly)
	r.write("two.txt", fmt.Sprintf("%v\n%v\n", rigMeter(0), rigMeter(7)))
	run[6] = "two.txt"
	if out, code := r.try(append(run, "--ends", "tenancy")...); code != exitFound || !strings.Contains(out, "\n2      gate overlap  1000000000000000: ") {
		r.Errorf("bills of a time that is billed: exit code %d, %s", code, out)
	}
	if text := r.read("refused.txt"); strings.Count(text, "# gate overlap: ") != 2 {
		r.Errorf("--refused has no class and rule: %s", text)
	}
}

// checkRefused has --meters read what --refused wrote.
func (r *billingRig) checkRefused() {
	r.Helper()
	list, err := readMeters("refused.txt", strings.NewReader(r.read("refused.txt")))
	if err != nil || len(list) != 3 {
		r.Errorf("--meters reads %d refused meters, %v", len(list), err)
	}
}

// checkFiles holds the run's files to one bill for each meter.
func (r *billingRig) checkFiles() {
	r.Helper()
	n := 0
	for line := range strings.Lines(r.read("bills.jsonl")) {
		var b api.MeterBill
		rigMust(r, json.Unmarshal([]byte(line), &b))
		if b.Meter != rigMeter(n).String() || b.Class != "" || b.Document == nil || b.Proven == nil {
			r.Fatalf("line %d is of meter %s, class %q, want a proven bill of %v", n+1, b.Meter, b.Class, rigMeter(n))
		}
		n++
	}
	rows, err := csv.NewReader(strings.NewReader(r.read("lines.csv"))).ReadAll()
	rigMust(r, err)
	totals := 0
	for _, row := range rows {
		if row[8] == "total" {
			totals++
		}
	}
	if n != r.meters || totals != r.meters {
		r.Errorf("%d bills and %d totals, want %d", n, totals, r.meters)
	}
	if text := r.read("refused.txt"); strings.Count(text, "\n") != 1 || text[0] != '#' {
		r.Errorf("no meter was refused, and the file says %q", text)
	}
}
