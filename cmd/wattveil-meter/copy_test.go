package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wattveil/wattveil/provision"
	"github.com/wattveil/wattveil/wire"
)

// copied is a meter whose vault is copied while a platform looks on.
type copied struct {
	*platform
	binary string
	file   string // provisioning file
	record provision.Record
	dir    string // data folder
	cmd    *exec.Cmd
}

func newCopied(t *testing.T, binary string) *copied {
	t.Helper()
	p := newPlatform(t)
	content, err := p.provision(1)
	must(t, err)
	c := &copied{platform: p, binary: binary, file: filepath.Join(t.TempDir(), "one.json"), dir: filepath.Join(t.TempDir(), "d")}
	must(t, writeSecret(c.file, content))
	records, err := readRecords(c.file, 0)
	must(t, err)
	c.record = records[0]
	return c
}

func (c *copied) vault() string {
	return filepath.Join(meterFolder(c.dir, c.record.Meter.String()), vaultFile)
}

// begin starts a device in a data folder and returns when it answers.
func (c *copied) begin(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(c.binary, "run", "--provision", c.file, "--data", dir,
		"--resolution", "1s", "--history", "2m", "--retry", "1s", "--log-level", "warn")
	cmd.Stderr = os.Stderr
	must(t, cmd.Start())
	t.Cleanup(func() { end(t, cmd) })
	must(t, running(dir))
	return cmd
}

// end stops a device, if it runs.
func end(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if cmd.ProcessState == nil {
		must(t, errors.Join(cmd.Process.Signal(syscall.SIGTERM), cmd.Wait()))
	}
}

// status is how the device of a data folder stands.
func status(t *testing.T, dir string) meterStatus {
	t.Helper()
	list, err := askStatus(context.Background(), dir)
	must(t, err)
	if len(list) != 1 {
		t.Fatalf("%d meters in %s", len(list), dir)
	}
	return list[0]
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(platformWaits); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// more waits until the TTP has more readings than it has now.
func (c *copied) more(t *testing.T, n int) {
	t.Helper()
	must(t, c.have(c.file, c.count(t)+n))
}

// count is the number of readings that the TTP has.
func (c *copied) count(t *testing.T) (n int) {
	t.Helper()
	f, err := c.stored(c.record.Meter)
	must(t, err)
	for _, run := range f.Runs {
		n += len(run.Readings)
	}
	return n
}

// complete checks that the TTP has a reading of every second, each with one
// value.
func (c *copied) complete(t *testing.T) {
	t.Helper()
	eventually(t, "no reading is missing between the first and the last", func() bool {
		f, err := c.stored(c.record.Meter)
		must(t, err)
		if len(f.Conflicts) > 0 {
			t.Fatalf("%d readings have two values", len(f.Conflicts))
		}
		have := make(map[int64]bool)
		first, last := int64(0), int64(0)
		for _, run := range f.Runs {
			for _, r := range run.Readings {
				if first == 0 || r.Time < first {
					first = r.Time
				}
				last = max(last, r.Time)
				have[r.Time] = true
			}
		}
		return len(have) >= 120 && int64(len(have)) == last-first+1
	})
}

func (c *copied) refused(class wire.Class) int64 { return c.ttp.Refused()[class] }

// An older vault is put back: the meter asks for an epoch that was used and
// seals nothing, until it comes to a new one. No counter is used twice and no
// reading is lost.
func TestVaultPutBack(t *testing.T) {
	c := newCopied(t, build(t))
	c.cmd = c.begin(t, c.dir)
	must(t, c.have(c.file, 120))
	end(t, c.cmd)
	older, err := os.ReadFile(c.vault())
	must(t, err)

	c.cmd = c.begin(t, c.dir)
	c.more(t, 3)
	if got := status(t, c.dir).Epoch; got != 2 {
		t.Errorf("epoch %d after the second start, want 2", got)
	}
	end(t, c.cmd)
	must(t, os.WriteFile(c.vault(), older, 0o600))

	c.cmd = c.begin(t, c.dir)
	eventually(t, "the epoch that was used is refused", func() bool { return c.refused(wire.EpochUsed) > 0 })
	if s := status(t, c.dir); s.Messages != 0 || s.State != "exchanging" {
		t.Errorf("with the older vault it is %s and has sent %d messages", s.State, s.Messages)
	}
	end(t, c.cmd)
	c.cmd = c.begin(t, c.dir)
	c.more(t, 3)
	if got := status(t, c.dir).Epoch; got != 3 {
		t.Errorf("epoch %d after the fourth start, want 3", got)
	}
	c.complete(t)
	if n := c.refused("counter-reuse"); n != 0 {
		t.Errorf("%d messages under a counter that was used", n)
	}
}

// A device is copied and both run. They push each other off the network, which
// shows; they never share an epoch, and no reading is lost.
func TestClonedDevice(t *testing.T) {
	c := newCopied(t, build(t))
	c.cmd = c.begin(t, c.dir)
	must(t, c.have(c.file, 120))
	end(t, c.cmd)
	clone := filepath.Join(t.TempDir(), "clone")
	copyDevice(t, clone, c.dir)

	c.cmd = c.begin(t, c.dir)
	c.more(t, 1)
	c.begin(t, clone)
	eventually(t, "the epoch of the other is refused", func() bool { return c.refused(wire.EpochUsed) > 0 })
	eventually(t, "both have been pushed off", func() bool {
		return status(t, c.dir).TakenOver > 0 && status(t, clone).TakenOver > 0
	})
	if s := status(t, clone); s.State != "exchanging" || s.Messages != 0 {
		t.Errorf("the clone is %s and has sent %d messages", s.State, s.Messages)
	}
	var out bytes.Buffer
	must(t, showStatus(&out, []meterStatus{status(t, clone)}, false))
	if !strings.Contains(out.String(), "another device has connected under this meter's name") {
		t.Errorf("the status does not tell:\n%s", out.String())
	}
	c.complete(t)
	c.more(t, 1)
	if n := c.refused("counter-reuse"); n != 0 {
		t.Errorf("%d messages under a counter that was used", n)
	}
}

// copyDevice copies the files of a device that is off.
func copyDevice(t *testing.T, to, from string) {
	t.Helper()
	must(t, filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		switch {
		case d.IsDir():
			return os.Mkdir(filepath.Join(to, rel), 0o700)
		case !d.Type().IsRegular():
			return nil // the socket that it answered on
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), b, 0o600)
	}))
}

// planted is what a meter would do that goes on under the epoch of the start
// before, with the counters that its vault says are not used. It stands at the
// end of Agent.restore.
const planted = `	a.keys = m
	if c := a.state.confirmed; c != nil {
		a.session = &session{
			epoch: c.epoch, next: a.state.reserved, expires: a.cfg.Now().Add(time.Hour), down: c.keys.Down,
			sealer: wire.NewSealer(a.cfg.Provision.Meter, a.state.registration.meter, c.epoch, &c.keys.Up, a.tagKey),
		}
	}
	return nil
}
`

// buildPlanted builds the command with that bug, which is nowhere but here.
func buildPlanted(t *testing.T) string {
	t.Helper()
	const right = "\ta.keys = m\n\treturn nil\n}\n"
	source, err := filepath.Abs(filepath.Join("..", "..", "meter", "agent.go"))
	must(t, err)
	code, err := os.ReadFile(source)
	must(t, err)
	if n := bytes.Count(code, []byte(right)); n != 1 {
		t.Fatalf("%s ends a function %d times with\n%s", source, n, right)
	}
	dir := t.TempDir()
	wrong, overlay := filepath.Join(dir, "agent.go"), filepath.Join(dir, "overlay.json")
	must(t, os.WriteFile(wrong, bytes.Replace(code, []byte(right), []byte(planted), 1), 0o600))
	content, err := json.Marshal(map[string]map[string]string{"Replace": {source: wrong}})
	must(t, err)
	must(t, os.WriteFile(overlay, content, 0o600))
	path := filepath.Join(dir, "wattveil-meter")
	if out, err := exec.Command("go", "build", "-overlay", overlay, "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("build with the bug: %v\n%s", err, out)
	}
	return path
}

// A meter that goes on under an old epoch, with an older vault, uses counters
// twice. The TTP notices, closes the epoch and loses no reading.
func TestCounterReuseIsCaught(t *testing.T) {
	c := newCopied(t, buildPlanted(t))
	c.cmd = c.begin(t, c.dir)
	must(t, c.have(c.file, 120))
	end(t, c.cmd)
	older, err := os.ReadFile(c.vault())
	must(t, err)

	c.cmd = c.begin(t, c.dir)
	c.more(t, 3)
	if got := status(t, c.dir).Epoch; got != 1 {
		t.Fatalf("epoch %d after the second start: the bug is not there", got)
	}
	end(t, c.cmd)
	if n := c.refused("counter-reuse"); n != 0 {
		t.Fatalf("%d messages refused before the vault was put back", n)
	}
	must(t, os.WriteFile(c.vault(), older, 0o600))

	c.cmd = c.begin(t, c.dir)
	eventually(t, "the second use of a counter is refused", func() bool { return c.refused("counter-reuse") > 0 })
	eventually(t, "the meter has a new epoch", func() bool { return status(t, c.dir).Epoch == 2 })
	c.more(t, 3)
	c.complete(t)
}
