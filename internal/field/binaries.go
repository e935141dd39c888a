package field

import (
	"crypto/rand"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
)

// Names of the two commands.
const (
	Servers = "wattveil"
	Meter   = "wattveil-meter"
)

const module = "github.com/wattveil/wattveil/cmd/"

// builtVariable names the folder with the commands for a test process that
// another one has started.
const builtVariable = "WATTVEIL_FIELD_BINARIES"

// builtIn is where this process has built the commands, if any test needed
// them.
var builtIn atomic.Pointer[string]

// build builds both commands, once for all tests of the process.
var build = sync.OnceValues(func() (string, error) {
	if dir := os.Getenv(builtVariable); dir != "" {
		return dir, nil
	}
	dir, err := os.MkdirTemp("", "wattveil-bin-")
	if err != nil {
		return "", err
	}
	builtIn.Store(&dir)
	if err := os.Chmod(dir, 0o755); err != nil { // parties may be users of their own
		return "", err
	}
	out, err := exec.Command("go", "build", "-o", dir+string(filepath.Separator), module+Servers, module+Meter).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the commands: %w: %s", err, out)
	}
	return dir, nil
})

// Binaries is the folder with both commands.
func Binaries(t testing.TB) string {
	t.Helper()
	dir, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// Tidy runs tests, and removes the commands that they have built.
type Tidy struct{ Tests interface{ Run() int } }

// Run implements the interface of testscript's TestingM.
func (m Tidy) Run() int {
	code := m.Tests.Run()
	if dir := builtIn.Load(); dir != nil {
		_ = os.RemoveAll(*dir)
	}
	return code
}

// Ports that the system gives to nobody who does not ask for them by number, so
// that they stay free while the process that has one is away.
const (
	firstPort = 10_000
	lastPort  = 32_000
)

// FreePorts gives ports of the loopback that nobody uses, and that no
// connection is given as its own.
func FreePorts(t testing.TB, n int) []string {
	t.Helper()
	ports := make([]string, 0, n)
	for range 100 * n {
		offset, err := rand.Int(rand.Reader, big.NewInt(lastPort-firstPort))
		if err != nil {
			t.Fatal(err)
		}
		port := strconv.Itoa(firstPort + int(offset.Int64()))
		l, err := net.Listen("tcp", net.JoinHostPort(loopback, port))
		if err != nil {
			continue
		}
		defer func() { _ = l.Close() }()
		if ports = append(ports, port); len(ports) == n {
			return ports
		}
	}
	t.Fatalf("found %d free ports of %d", len(ports), n)
	return nil
}
