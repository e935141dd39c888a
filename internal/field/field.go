// Package field runs the platform as it stands in the field: each party is a
// process of its own, of the commands wattveil and wattveil-meter, with a
// folder of its own. Tests build it up, hurt it, and compare what the meters
// and the TTP have in the end. It is for tests alone: package internal/grid has
// the platform in one process.
package field

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	loopback = "127.0.0.1"
	// patience is how long a healthy process may take for anything on a busy
	// machine.
	patience = 2 * time.Minute
	poll     = 50 * time.Millisecond

	utilityOrg = "example-energy"
	ttpOrg     = "example-trust"
)

// Config says what a field has. The zero value of each member is a good one.
type Config struct {
	Fleets    []Fleet  // processes of meters
	Collector []string // further flags of wattveil collector init
	// Host is where a party runs and its address there; on the loopback if nil.
	Host func(party string) (Host, string)
	// Via is told the address of the TTP's and the utility's server, and gives
	// that under which others find it; its own if nil.
	Via func(party, address string) string
}

// Fleet is a number of meters that one process runs.
type Fleet struct {
	Name      string
	Meters    int
	Flags     []string // of wattveil-meter run
	Collector string   // the only one that its meters know, if they do not know all
}

// collectors are the names of the collectors of a field.
func collectors() []string { return []string{"north", "south"} }

// Field is all parties. They are set up and run; meters do not run yet.
type Field struct {
	t   testing.TB
	cfg Config
	dir string
	bin string

	TTP, Utility *Process
	Collectors   []*Process
	Fleets       []*Process

	addresses map[string]string // by party, of what it serves
}

// New sets a field up and starts its servers. Everything ends with the test.
func New(t testing.TB, cfg Config) *Field {
	t.Helper()
	if cfg.Host == nil {
		cfg.Host = func(string) (Host, string) { return here{}, loopback }
	}
	f := &Field{t: t, cfg: cfg, dir: t.TempDir(), bin: Binaries(t), addresses: make(map[string]string)}
	t.Cleanup(f.end)
	f.introduce()
	f.addCollectors()
	for i, fleet := range cfg.Fleets {
		f.addFleet(i, fleet)
	}
	return f
}

// end kills what still runs, and shows the ends of the logs of a failed test.
func (f *Field) end() {
	for _, p := range f.processes() {
		if p.Running() {
			_ = p.Kill() // it may have ended by itself, which its log tells
		}
		if f.t.Failed() {
			text := p.Log()
			f.t.Logf("the end of the log of %s:\n%s", p.Name, text[max(0, len(text)-4000):])
		}
	}
}

func (f *Field) processes() (all []*Process) {
	for _, p := range append([]*Process{f.TTP, f.Utility}, append(f.Collectors, f.Fleets...)...) {
		if p != nil {
			all = append(all, p)
		}
	}
	return all
}

// server makes the process of a server, with its addresses.
func (f *Field) server(name, role string) (p *Process, flags []string) {
	host, ip := f.cfg.Host(name)
	ports := FreePorts(f.t, 2)
	f.addresses[name] = ip + ":" + ports[0]
	p = &Process{
		Name: name, dir: f.folder(name), host: host, path: f.bin + "/" + Servers, log: f.folder(name + ".log"),
		args: []string{role, "serve", "--dir", f.folder(name)}, metrics: loopback + ":" + ports[1],
	}
	return p, []string{"--listen", f.addresses[name], "--metrics", p.metrics}
}

// url is where others find a server of mutual TLS.
func (f *Field) url(name string) string {
	address := f.addresses[name]
	if f.cfg.Via != nil {
		address = f.cfg.Via(name, address)
	}
	return "https://" + address
}

// introduce makes the two organisations, has each know the other, and starts
// their servers.
func (f *Field) introduce() {
	f.t.Helper()
	organisation := func(name, org string, more ...string) *Process {
		p, flags := f.server(name, name)
		_, ip := f.cfg.Host(name)
		f.command(append(append([]string{name, "init", "--dir", p.dir, "--name", org, "--host", ip, "--url", f.url(name)}, flags...), more...)...)
		return p
	}
	f.TTP = organisation("ttp", ttpOrg, "--max-exchanges", "100000")
	f.Utility = organisation("utility", utilityOrg, "--interval", "1s", "--pool-window", "300ms", "--enrol-every", "1s")
	authority, invitation := f.folder("utility.crt"), f.folder("invitation.json")
	if err := os.WriteFile(authority, []byte(f.command("utility", "authority", "--dir", f.Utility.dir)), 0o600); err != nil {
		f.t.Fatal(err)
	}
	f.command("ttp", "utility", "add", utilityOrg, "--ca", authority, "--out", invitation, "--dir", f.TTP.dir)
	f.command("utility", "peer", "add", "--invitation", invitation, "--dir", f.Utility.dir)
	f.Start(f.TTP, f.Utility)
	f.Until("the TTP is enrolled", 5*patience, func() error { // a bad network may take it several attempts
		_, err := f.try("utility", "enrol", "--dir", f.Utility.dir)
		return err
	})
}

func (f *Field) addCollectors() {
	f.t.Helper()
	for _, name := range collectors() {
		p, flags := f.server(name, "collector")
		credentials := f.folder(name + ".json")
		f.command("utility", "collector", "add", name, "--address", "mqtt://"+f.addresses[name], "--out", credentials, "--dir", f.Utility.dir)
		flags = append(append(flags, "--interval", "1s"), f.cfg.Collector...)
		f.command(append([]string{"collector", "init", "--dir", p.dir, "--name", name, "--from", credentials}, flags...)...)
		f.Collectors = append(f.Collectors, p)
		f.Start(p)
	}
}

// addFleet provisions meters. Fleets differ in the collector that they try
// first.
func (f *Field) addFleet(i int, fleet Fleet) {
	f.t.Helper()
	records := f.folder(fleet.Name + ".jsonl")
	names := collectors()
	var addresses []string
	for j := range names {
		if name := names[(i+j)%len(names)]; fleet.Collector == "" || fleet.Collector == name {
			addresses = append(addresses, "mqtt://"+f.addresses[name])
		}
	}
	f.command("utility", "meter", "add", "--count", strconv.Itoa(fleet.Meters), "--collector", strings.Join(addresses, ","),
		"--out", records, "--dir", f.Utility.dir)
	host, _ := f.cfg.Host(fleet.Name)
	dir := f.folder(fleet.Name)
	args := append([]string{"run", "--provision", records, "--data", dir, "--source", "sim", "--retry", "2s"}, fleet.Flags...)
	f.Fleets = append(f.Fleets, &Process{
		Name: fleet.Name, dir: dir, host: host, path: f.bin + "/" + Meter, args: args, log: f.folder(fleet.Name + ".log"),
	})
}

// Start starts processes.
func (f *Field) Start(all ...*Process) {
	f.t.Helper()
	for _, p := range all {
		if err := p.Start(); err != nil {
			f.t.Fatal(err)
		}
	}
}

// Stop ends processes with SIGTERM.
func (f *Field) Stop(all ...*Process) {
	f.t.Helper()
	for _, p := range all {
		if err := p.Stop(); err != nil {
			f.t.Fatal(err)
		}
	}
}

// Until waits for a condition: that check returns nil.
func (f *Field) Until(what string, within time.Duration, check func() error) {
	f.t.Helper()
	for deadline := time.Now().Add(within); ; time.Sleep(poll) {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			f.t.Fatalf("waiting until %s: %v", what, err)
		}
	}
}

// command runs an operator's command, and gives what it prints.
func (f *Field) command(args ...string) string {
	f.t.Helper()
	out, err := f.try(args...)
	if err != nil {
		f.t.Fatal(err)
	}
	return out
}

func (f *Field) try(args ...string) (string, error) { return f.run(Servers, args...) }

func (f *Field) run(command string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, f.bin+"/"+command, args...)
	cmd.Env = cleanEnvironment()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", command, strings.Join(args, " "), err, stderr.String())
	}
	return string(out), nil
}
