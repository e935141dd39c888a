package main

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wattveil/wattveil/peer"
	"github.com/wattveil/wattveil/provision"
)

// lines is a log that is read while it is written.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// runTLS runs a meter of the collector over TLS. change is made to its record.
func runTLS(t *testing.T, p *platform, change func(*provision.Record)) (file string, log *lines) {
	t.Helper()
	content, err := p.provisionAt("mqtts://"+p.secured, 1)
	must(t, err)
	r, err := provision.Parse([]byte(content))
	must(t, err)
	change(&r)
	line, err := r.Encode()
	must(t, err)
	file, log = filepath.Join(t.TempDir(), "one.json"), new(lines)
	must(t, writeSecret(file, string(line)))
	cmd := exec.Command(build(t), "run", "--provision", file, "--data", filepath.Join(t.TempDir(), "d"),
		"--resolution", "1m", "--history", "1h", "--retry", "1s", "--log-level", "warn")
	cmd.Stderr = log
	must(t, cmd.Start())
	t.Cleanup(func() { end(t, cmd) })
	return file, log
}

// A meter hands in its readings over TLS, and one that knows its collectors by
// another authority says why it does not.
func TestMeterOverTLS(t *testing.T) {
	p := newPlatform(t)
	file, log := runTLS(t, p, func(*provision.Record) {})
	if err := p.have(file, 60); err != nil {
		t.Errorf("%v; the meter said: %s", err, log)
	}
	other, err := peer.NewAuthority(utilityOrg, time.Now())
	must(t, err)
	_, log = runTLS(t, p, func(r *provision.Record) { r.Authority = other.Certificate })
	eventually(t, "it says what is wrong and what to do", func() bool {
		return strings.Contains(log.String(), "certificate refused: it is not from the authority in the meter's provisioning record") &&
			strings.Contains(log.String(), "have the meter provisioned anew")
	})
}
