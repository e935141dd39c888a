package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wattveil/wattveil/internal/field"
	"github.com/wattveil/wattveil/internal/operator"
)

// The size of the fleet unless WATTVEIL_FLEET says another. "make fleet" runs
// the full one.
const (
	fleetMeters    = 240
	fleetProcesses = 4
	fleetHistory   = 4 * time.Hour // of readings every minute
	spreadOfMeter  = time.Millisecond
	fleetTime      = 3 * time.Minute
	fullFleet      = 10_000
	fullFleetTime  = 40 * time.Minute

	// What the collector may need for a meter that is connected, and what it
	// needs for its queue however many there are. The full fleet has to make do
	// without the second.
	maxMeterKB  = 40
	maxSecureKB = 60 // over TLS
	queueKB     = 64 << 10

	// The same of a meter in a process of many, with its simulated home.
	maxFieldKB = 200
	fieldKB    = 32 << 10
)

// process is a server or a field of meters that runs.
type process struct {
	*exec.Cmd
	name string
	log  string
}

// fleet is a utility, a TTP, a collector and meters, each a process.
type fleet struct {
	t         *testing.T
	dir, bin  string
	meters    int
	scheme    string // of the collector's address
	processes []*process
	metrics   map[string]string // address by role
	broker    string
	fields    []string // folders of meters
}

// openFleet starts the servers and adds the meters, which do not run yet.
func openFleet(t *testing.T, meters int, scheme string) *fleet {
	t.Helper()
	f := &fleet{t: t, dir: t.TempDir(), bin: field.Binaries(t), meters: meters, scheme: scheme, metrics: make(map[string]string)}
	t.Cleanup(f.stop)
	ports := field.FreePorts(t, 6)
	at := func(i int) string { return "127.0.0.1:" + ports[i] }
	f.broker, f.metrics["ttp"], f.metrics["utility"], f.metrics["collector"] = at(2), at(3), at(4), at(5)
	f.run("ttp", "init", "--dir", "ttp", "--name", "example-trust", "--listen", at(0), "--url", "https://"+at(0), "--metrics", at(3))
	f.run("utility", "init", "--dir", "utility", "--name", "example-energy", "--listen", at(1), "--url", "https://"+at(1),
		"--metrics", at(4), "--interval", "1s", "--pool-window", "1s", "--enrol-every", "1s")
	if err := os.WriteFile(f.path("utility.crt"), f.run("utility", "authority", "--dir", "utility"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.run("ttp", "utility", "add", "example-energy", "--ca", "utility.crt", "--out", "invitation.json", "--dir", "ttp")
	f.run("utility", "peer", "add", "--invitation", "invitation.json", "--dir", "utility")
	f.serve("ttp", "wattveil", "ttp", "serve", "--dir", "ttp")
	f.serve("utility", "wattveil", "utility", "serve", "--dir", "utility")
	f.run("utility", "enrol", "--dir", "utility")
	f.run("utility", "collector", "add", "north", "--address", scheme+"://"+f.broker, "--out", "north.json", "--dir", "utility")
	f.run("collector", "init", "--dir", "north", "--from", "north.json", "--listen", f.broker,
		"--tls", strconv.FormatBool(scheme == "mqtts"), "--interval", "1s", "--metrics", at(5))
	f.serve("collector", "wattveil", "collector", "serve", "--dir", "north")
	for i := range fleetProcesses {
		share := (meters + i) / fleetProcesses
		f.run("utility", "meter", "add", "--count", strconv.Itoa(share), "--out", fmt.Sprintf("meters-%d.jsonl", i), "--dir", "utility")
	}
	f.await("the collector has the roster", fleetTime, func() bool {
		return f.figure("collector", "wattveil_roster_meters", "") == float64(meters)
	})
	return f
}

func (f *fleet) path(name string) string { return filepath.Join(f.dir, name) }

// run runs a command of wattveil to its end.
func (f *fleet) run(args ...string) []byte {
	f.t.Helper()
	cmd := exec.CommandContext(f.t.Context(), filepath.Join(f.bin, "wattveil"), args...)
	cmd.Dir, cmd.Env = f.dir, cleanEnviron()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		f.t.Fatalf("wattveil %s: %v: %s", strings.Join(args, " "), err, stderr.String())
	}
	return out
}

// cleanEnviron is the environment without settings of ours.
func cleanEnviron() (list []string) {
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "WATTVEIL_") {
			list = append(list, e)
		}
	}
	return list
}

// serve starts a process and waits until it says that it is up.
func (f *fleet) serve(name, program string, args ...string) {
	f.t.Helper()
	log, err := os.Create(f.path(name + ".log"))
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() { _ = log.Close() }() // the process has its own
	cmd := exec.Command(filepath.Join(f.bin, program), args...)
	cmd.Dir, cmd.Env, cmd.Stderr = f.dir, cleanEnviron(), log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} // nothing outlives a test that is killed
	out, err := cmd.StdoutPipe()
	if err != nil {
		f.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	f.processes = append(f.processes, &process{Cmd: cmd, name: name, log: log.Name()})
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		f.t.Fatalf("%s did not come up: %v: %s", name, err, f.lastLines(log.Name()))
	}
}

func (f *fleet) lastLines(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-2000):])
}

// stop ends all processes, the meters first.
func (f *fleet) stop() {
	for i := len(f.processes) - 1; i >= 0; i-- {
		f.end(f.processes[i])
	}
}

func (f *fleet) end(p *process) {
	if err := errors.Join(p.Process.Signal(syscall.SIGTERM), p.Wait()); err != nil {
		f.t.Errorf("%s: %v; the end of its log:\n%s", p.name, err, f.lastLines(p.log))
	}
}

func (f *fleet) process(name string) *process {
	for _, p := range f.processes {
		if p.name == name {
			return p
		}
	}
	f.t.Fatalf("there is no process %s", name)
	return nil
}

// await waits until something is so.
func (f *fleet) await(what string, within time.Duration, ok func() bool) {
	f.t.Helper()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(within); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			for _, p := range f.processes {
				f.t.Logf("%s:\n%s", p.name, f.lastLines(p.log))
			}
			f.t.Fatalf("never: %s", what)
		}
	}
}

// figure is a figure of a server's metrics, the sum of those with that part of
// a label.
func (f *fleet) figure(role, name, label string) (sum float64) {
	f.t.Helper()
	answer, err := http.Get("http://" + f.metrics[role] + "/metrics")
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		head, value, _ := strings.Cut(lines.Text(), " ")
		base, labels, _ := strings.Cut(head, "{")
		if base != name || !strings.Contains(labels, label) {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			f.t.Fatal(err)
		}
		sum += n
	}
	return sum
}

// kilobytes is a figure of a process's memory, such as VmRSS.
func (f *fleet) kilobytes(process, figure string) (n int) {
	f.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", f.process(process).Process.Pid))
	if err != nil {
		f.t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		_, _ = fmt.Sscanf(line, figure+": %d kB", &n)
	}
	if n == 0 {
		f.t.Fatalf("the kernel does not tell %s of %s", figure, process)
	}
	return n
}

// stand is how the meters stand, as they say themselves. Repeated counts second
// answers: a meter that waits for longer than --retry asks again, and takes the
// first.
type stand struct {
	Registered, Keyed                   int
	Taken, Sent, Lost, Pending, Refused uint64
	Repeated                            uint64
}

// standing sums what the meters of all processes say.
func (f *fleet) standing() (s stand) {
	f.t.Helper()
	for _, field := range f.fields {
		var list []struct {
			State   string            `json:"state"`
			Epoch   uint32            `json:"epoch"`
			Taken   uint64            `json:"readings_taken"`
			Missing uint64            `json:"readings_missing"`
			Sent    uint64            `json:"readings_sent"`
			Dropped uint64            `json:"readings_dropped"`
			Pending uint64            `json:"readings_pending"`
			Refused map[string]uint64 `json:"refused"`
		}
		c := operator.Dial(f.path(field))
		if err := c.Do(context.Background(), http.MethodGet, "/v1/status", nil, &list); err != nil {
			f.t.Fatal(err)
		}
		c.Close()
		for _, m := range list {
			if m.State != "unregistered" {
				s.Registered++
			}
			if m.State == "keyed" {
				s.Keyed++
			}
			s.Taken += m.Taken
			s.Sent += m.Sent
			s.Lost += m.Missing + m.Dropped
			s.Pending += m.Pending
			for class, n := range m.Refused {
				if class == "replayed" {
					s.Repeated += n
				} else {
					s.Refused += n
				}
			}
		}
	}
	return s
}

// field starts the meters' processes, which are up when they say so.
func (f *fleet) field() {
	for i := range fleetProcesses {
		name := fmt.Sprintf("field-%d", i)
		f.serve(name, "wattveil-meter", "run", "--provision", fmt.Sprintf("meters-%d.jsonl", i), "--data", name, "--source", "sim",
			"--count", strconv.Itoa((f.meters+i)/fleetProcesses),
			"--resolution", "1m", "--history", fleetHistory.String(), "--retry", "30s", "--log-level", "warn",
			"--spread", (time.Duration(f.meters) * spreadOfMeter).String())
		f.fields = append(f.fields, name)
	}
}

// fleetSize is how many meters to run, and how long that may take.
func fleetSize(t *testing.T) (meters int, within time.Duration) {
	t.Helper()
	asked := os.Getenv("WATTVEIL_FLEET")
	if asked == "" {
		return fleetMeters, fleetTime
	}
	n, err := strconv.Atoi(asked)
	if err != nil || n < fleetProcesses || n > fullFleet {
		t.Fatalf("WATTVEIL_FLEET=%s: want %d to %d", asked, fleetProcesses, fullFleet)
	}
	return n, fullFleetTime
}

// TestFleet runs a field of simulated meters in several processes on one
// collector: all of their readings are stored, and a meter that is connected
// costs the collector little.
func TestFleet(t *testing.T) {
	meters, within := fleetSize(t)
	for _, scheme := range []string{"mqtt", "mqtts"} {
		t.Run(scheme, func(t *testing.T) { openFleet(t, meters, scheme).check(within) })
	}
}

func (f *fleet) check(within time.Duration) {
	t := f.t
	before := f.kilobytes("collector", "VmRSS")
	took := f.play(within)
	s := f.standing()
	f.report(s, before, took)
	if want := uint64(f.meters) * uint64(fleetHistory/time.Minute); s.Taken < want || s.Lost != 0 || s.Refused != 0 {
		t.Errorf("%d readings taken, want %d and more; %d lost, %d downlinks refused", s.Taken, want, s.Lost, s.Refused)
	}
	if n := f.figure("collector", "wattveil_connected_meters", ""); n != float64(f.meters) {
		t.Errorf("%v meters are connected, want %d", n, f.meters)
	}
	each, fixed := maxMeterKB, queueKB
	if f.scheme == "mqtts" {
		each = maxSecureKB
	}
	if f.meters == fullFleet {
		fixed = 0
	}
	grown := f.kilobytes("collector", "VmRSS") - before
	if grown > f.meters*each+fixed {
		t.Errorf("the collector has grown by %d kB for %d meters, want at most %d kB each", grown, f.meters, each)
	}
	share := f.meters / fleetProcesses
	for _, name := range f.fields {
		if has := f.kilobytes(name, "VmRSS"); has > share*maxFieldKB+fieldKB {
			t.Errorf("%s has %d kB for %d meters, want at most %d kB each", name, has, share, maxFieldKB)
		}
	}
	f.restart(within)
}

// restart ends the collector and starts it again: all meters lose it at once,
// come back by themselves and go on.
func (f *fleet) restart(within time.Duration) {
	f.t.Helper()
	for i, p := range f.processes {
		if p.name == "collector" {
			f.end(p)
			f.processes = append(f.processes[:i], f.processes[i+1:]...)
			break
		}
	}
	began := time.Now()
	f.serve("collector", "wattveil", "collector", "serve", "--dir", "north")
	f.await("all meters are connected again", within, func() bool {
		return f.figure("collector", "wattveil_connected_meters", "") == float64(f.meters)
	})
	f.t.Logf("collector restarted: all meters connected again after %.1f s", time.Since(began).Seconds())
	f.awaitStored(within)
}

// awaitStored waits until the TTP has all that meters have taken.
func (f *fleet) awaitStored(within time.Duration) {
	f.t.Helper()
	f.await("all readings are stored", within, func() bool {
		s := f.standing()
		return s.Pending == 0 && f.figure("ttp", "wattveil_readings_total", "") == float64(s.Taken)
	})
}

// times is how long after the first meter's start things were so.
type times struct{ up, registered, keyed, stored time.Duration }

// play starts the meters and waits until all of their readings are stored.
func (f *fleet) play(within time.Duration) (took times) {
	f.t.Helper()
	began := time.Now()
	f.field()
	took.up = time.Since(began)
	f.await("all meters are registered and keyed", within, func() bool {
		s := f.standing()
		if took.registered == 0 && s.Registered == f.meters {
			took.registered = time.Since(began)
		}
		return s.Keyed == f.meters
	})
	took.keyed = time.Since(began)
	f.awaitStored(within)
	took.stored = time.Since(began)
	return took
}

// report prints the figures of a run.
func (f *fleet) report(s stand, before int, took times) {
	seconds := func(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
	messages, after := f.figure("collector", "wattveil_held_total", ""), f.kilobytes("collector", "VmRSS")
	f.t.Logf("%d meters in %d processes over %s: started in %s, all registered after %s, all keyed after %s, all readings stored after %s",
		f.meters, fleetProcesses, f.scheme, seconds(took.up), seconds(took.registered), seconds(took.keyed), seconds(took.stored))
	f.t.Logf("%.0f messages, %.0f/s; %d readings, %.0f/s; %d answers came twice",
		messages, messages/took.stored.Seconds(), s.Taken, float64(s.Taken)/took.stored.Seconds(), s.Repeated)
	f.t.Logf("collector: %d kB before, %d kB after (at most %d kB), %.1f kB a connected meter", before, after,
		f.kilobytes("collector", "VmHWM"), float64(after-before)/float64(f.meters))
	inside := func(name string) float64 { return f.figure("collector", "go_memstats_"+name+"_bytes", "") / 1024 }
	f.t.Logf("collector: %.0f kB of heap in use, %.0f kB in the next one, %.0f kB of stacks", inside("heap_alloc"), inside("next_gc"), inside("stack_inuse"))
	for _, p := range f.processes {
		now, peak := f.kilobytes(p.name, "VmRSS"), f.kilobytes(p.name, "VmHWM")
		line := fmt.Sprintf("%s: %d kB resident, at most %d kB", p.name, now, peak)
		if strings.HasPrefix(p.name, "field-") {
			line += fmt.Sprintf(", %.1f kB a meter", float64(now)*fleetProcesses/float64(f.meters))
		}
		f.t.Log(line)
	}
}
