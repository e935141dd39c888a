package field

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Host is where processes run and where their sockets are.
type Host interface {
	Start(cmd *exec.Cmd) error
	Dial(ctx context.Context, address string) (net.Conn, error)
}

// here is the host of the test itself.
type here struct{}

// Start implements [Host].
func (here) Start(cmd *exec.Cmd) error { return onThread(cmd.Start) }

// Dial implements [Host].
func (here) Dial(ctx context.Context, address string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", address)
}

// starter takes work for one thread, which lives as long as the test process.
var starter = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for do := range work {
			do()
		}
	}()
	return work
})

// onThread runs something on the one thread that starts processes.
func onThread(do func() error) error {
	failed := make(chan error, 1)
	starter() <- func() { failed <- do() }
	return <-failed
}

// Process is a command that runs in one place, again and again.
type Process struct {
	Name string
	dir  string // its folder, with the socket for its operator
	host Host
	path string
	args []string
	log  string // file with all that it says, over all of its lives

	metrics string // address of its monitor; none for meters

	mu      sync.Mutex
	cmd     *exec.Cmd     // nil when it does not run
	ended   chan struct{} // closed when cmd has
	failure error         // of cmd, when it has ended
	started time.Time
}

// Start starts the process.
func (p *Process) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		return fmt.Errorf("%s runs already", p.Name)
	}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the process has its own
	cmd := exec.Command(p.path, p.args...)
	cmd.Env = cleanEnvironment()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = endsWithTest()
	if err := p.host.Start(cmd); err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	ended := make(chan struct{})
	p.cmd, p.ended, p.started = cmd, ended, time.Now()
	go func() {
		err := cmd.Wait()
		p.mu.Lock()
		p.failure = err
		p.mu.Unlock()
		close(ended)
	}()
	return nil
}

// cleanEnvironment is the environment without settings of the platform.
func cleanEnvironment() []string {
	return slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "WATTVEIL_") })
}

// Kill ends the process as kill -9 does.
func (p *Process) Kill() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return fmt.Errorf("%s does not run", p.Name)
	}
	if err := p.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		return fmt.Errorf("%s has ended by itself: %w; see %s", p.Name, err, p.log)
	}
	p.await()
	p.cmd = nil
	return nil
}

// await waits until the process has ended. The caller holds p.mu.
func (p *Process) await() {
	p.mu.Unlock()
	<-p.ended
	p.mu.Lock()
}

// Terminate sends SIGTERM, and gives a channel that is closed when the process
// has ended.
func (p *Process) Terminate() (<-chan struct{}, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return nil, fmt.Errorf("%s does not run", p.Name)
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return nil, fmt.Errorf("%s has ended by itself: %w; see %s", p.Name, err, p.log)
	}
	return p.ended, nil
}

// Stop sends SIGTERM and waits. It fails if the process did not end well.
func (p *Process) Stop() error {
	ended, err := p.Terminate()
	if err != nil {
		return err
	}
	select {
	case <-ended:
		return p.Ended()
	case <-time.After(patience):
		return errors.Join(fmt.Errorf("%s does not end after SIGTERM", p.Name), p.Kill())
	}
}

// Ended forgets a process that has ended, and says how it failed.
func (p *Process) Ended() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cmd = nil
	if p.failure != nil {
		return fmt.Errorf("%s: %w; see %s", p.Name, p.failure, p.log)
	}
	return nil
}

// Running tells whether the process has been started and was not ended by the
// test.
func (p *Process) Running() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cmd != nil
}

// Life is when the present run of the process began.
func (p *Process) Life() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.started
}

// Log is all that the process has said.
func (p *Process) Log() string {
	text, _ := os.ReadFile(p.log) // none yet is no text
	return string(text)
}

// folder is a place in the folder of all parties.
func (f *Field) folder(name ...string) string {
	return filepath.Join(append([]string{f.dir}, name...)...)
}
