package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const (
	maxBinary   = 16 << 20 // bytes
	maxResident = 32 << 10 // kB
)

// build builds the command as it is shipped and gives its path.
func build(t *testing.T, env ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "wattveil-meter")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, ".")
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0"), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build for %v: %v\n%s", env, err, out)
	}
	return path
}

// It builds without cgo for what meters and gateways have inside, and is small.
func TestBuilds(t *testing.T) {
	targets := [][]string{
		{"GOOS=linux", "GOARCH=amd64"},
		{"GOOS=linux", "GOARCH=arm64"},
		{"GOOS=linux", "GOARCH=arm", "GOARM=6"},
		{"GOOS=linux", "GOARCH=mipsle", "GOMIPS=softfloat"},
	}
	if testing.Short() {
		targets = targets[:1]
	}
	for _, env := range targets {
		info, err := os.Stat(build(t, env...))
		must(t, err)
		t.Logf("%s: %.1f MB", strings.Join(env[1:], " "), float64(info.Size())/1e6)
		if info.Size() > maxBinary {
			t.Errorf("%v: %d bytes, want at most %d", env, info.Size(), maxBinary)
		}
	}
}

// A day of readings every second, taken, kept on disk, sealed and acknowledged
// through a real collector, fits a small device's memory.
func TestResidentAfterADayOfSeconds(t *testing.T) {
	p := newPlatform(t)
	content, err := p.provision(1)
	must(t, err)
	dir := t.TempDir()
	file := filepath.Join(dir, "one.json")
	must(t, writeSecret(file, content))
	data := filepath.Join(dir, "d")
	var out bytes.Buffer
	cmd := exec.Command(build(t), "run", "--provision", file, "--data", data, "--resolution", "1s", "--history", "24h", "--log-level", "warn")
	cmd.Stderr = &out
	must(t, cmd.Start())
	if err := p.have(file, 86_400); err != nil {
		t.Errorf("%v; the meter said: %s", err, out.String())
	}
	peak, now := resident(t, cmd.Process.Pid)
	must(t, cmd.Process.Signal(syscall.SIGTERM))
	must(t, cmd.Wait())
	t.Logf("resident: %d kB, at most %d kB", now, peak)
	if peak > maxResident {
		t.Errorf("%d kB resident, want at most %d", peak, maxResident)
	}
}

// resident is what a process has and has had in memory at most, kB.
func resident(t *testing.T, pid int) (peak, now int) {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	must(t, err)
	for line := range strings.Lines(string(b)) {
		_, _ = fmt.Sscanf(line, "VmHWM: %d kB", &peak)
		_, _ = fmt.Sscanf(line, "VmRSS: %d kB", &now)
	}
	if peak == 0 || now == 0 {
		t.Fatal("the kernel does not tell how much memory a process has")
	}
	return peak, now
}
