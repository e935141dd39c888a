package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// The builds for small devices start, register, agree on keys and hand in
// readings: the whole protocol on their processors, emulated.
func TestOnEmulatedProcessors(t *testing.T) {
	for _, c := range []struct {
		emulator string
		env      []string
	}{
		{"qemu-arm", []string{"GOOS=linux", "GOARCH=arm", "GOARM=6"}},
		{"qemu-mipsel", []string{"GOOS=linux", "GOARCH=mipsle", "GOMIPS=softfloat"}},
	} {
		t.Run(c.emulator, func(t *testing.T) {
			emulator := need(t, c.emulator)
			p := newPlatform(t)
			content, err := p.provision(1)
			must(t, err)
			dir := t.TempDir()
			file := filepath.Join(dir, "one.json")
			must(t, writeSecret(file, content))
			var out bytes.Buffer
			cmd := exec.Command(emulator, build(t, c.env...), "run", "--provision", file, "--data", filepath.Join(dir, "d"),
				"--resolution", "1m", "--history", "1h", "--retry", "5s", "--log-level", "warn")
			cmd.Stderr = &out
			must(t, cmd.Start())
			if err := p.have(file, 60); err != nil {
				t.Errorf("%v; the meter said: %s", err, out.String())
			}
			must(t, cmd.Process.Signal(syscall.SIGTERM))
			must(t, cmd.Wait())
		})
	}
}

// need is the path of a program that a test needs. CI has it.
func need(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil && os.Getenv("CI") != "" {
		t.Fatalf("%v: install Debian's qemu-user", err)
	}
	if err != nil {
		t.Skipf("%v: install Debian's qemu-user", err)
	}
	return path
}
