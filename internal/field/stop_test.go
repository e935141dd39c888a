package field

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A batch that is under way when SIGTERM comes is finished: it is answered, and
// the process ends well.
func TestStopFinishesBatches(t *testing.T) {
	gates := make(map[string]*gate)
	flags := []string{"--resolution", "1s", "--history", "10m"}
	f := New(t, Config{
		Fleets: []Fleet{{"first", 8, flags, ""}, {"second", 8, flags, ""}, {"third", 8, flags, ""}},
		Via: func(party, address string) string {
			gates[party] = newGate(t, address)
			return gates[party].listener.Addr().String()
		},
	})
	north, south := f.Collectors[0], f.Collectors[1]
	f.Stop(south) // so that no round goes on without the batch
	for i, stop := range []struct {
		process *Process
		gate    *gate
	}{{north, gates["utility"]}, {f.Utility, gates["utility"]}, {f.TTP, gates["ttp"]}} {
		f.stopDuring(stop.process, stop.gate, f.Fleets[i], north)
		f.Start(stop.process)
		f.Drain(time.Now(), patience)
	}
	f.Start(south)
	through := time.Now()
	f.Drain(through, patience)
	f.audit(through)
}

// stopDuring starts meters, whose messages make a large batch, and sends a
// process SIGTERM when a part of the batch has passed its gate. When the
// process is stopping, the rest may pass. All of the batch must come out done
// at the collector.
func (f *Field) stopDuring(p *Process, g *gate, fleet, collector *Process) {
	f.t.Helper()
	g.arm()
	f.Start(fleet)
	select {
	case <-g.held:
	case <-time.After(patience):
		f.t.Fatalf("no batch reaches %s", p.Name)
	}
	f.Until(p.Name+" has read what has passed", patience, g.drained)
	before, stops := len(collector.Log()), strings.Count(p.Log(), "msg=stopping")
	ended, err := p.Terminate()
	if err != nil {
		f.t.Fatal(err)
	}
	f.Until(p.Name+" is stopping", patience, func() error {
		if strings.Count(p.Log(), "msg=stopping") == stops {
			return errors.New("it is not")
		}
		return nil
	})
	g.release()
	select {
	case <-ended:
	case <-time.After(patience):
		f.t.Fatalf("%s does not end", p.Name)
	}
	if err := p.Ended(); err != nil {
		f.t.Fatal(err)
	}
	f.Until("the collector has its answer", patience, func() error {
		_, line, ok := strings.Cut(collector.Log()[before:], "msg=forwarded ")
		var frames, durable int
		if _, err := fmt.Sscanf(line, "frames=%d durable=%d", &frames, &durable); !ok || err != nil {
			return errors.New("it has none")
		}
		if frames == 0 || durable != frames {
			f.t.Fatalf("of %d frames that were under way when %s stopped, %d are done", frames, p.Name, durable)
		}
		return nil
	})
}

// gate stands before a server. When it is armed, the first large request stops
// in the middle.
type gate struct {
	listener net.Listener
	server   string

	mu   sync.Mutex
	on   bool
	from string        // where the request that has stopped comes from, as the server sees it
	held chan struct{} // closed when a request has stopped
	open chan struct{} // closed when it may go on
}

// holdAfter is how much of a request passes: more than a handshake, a request
// without messages, or one with those that come before the readings.
const holdAfter = 6 << 10

func newGate(t *testing.T, server string) *gate {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	g := &gate{listener: l, server: server}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go g.pass(conn)
		}
	}()
	return g
}

func (g *gate) arm() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.on, g.held, g.open = true, make(chan struct{}), make(chan struct{})
}

func (g *gate) release() { close(g.open) }

// pass forwards a connection.
func (g *gate) pass(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("tcp", g.server)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	var request atomic.Int64 // bytes since the server's last answer
	go func() {
		defer func() { _ = client.Close() }()
		_, _ = io.Copy(client, reader(func(p []byte) (int, error) {
			n, err := server.Read(p)
			request.Store(0)
			return n, err
		}))
	}()
	_, _ = io.Copy(server, reader(func(p []byte) (int, error) {
		n, err := client.Read(p[:min(len(p), holdAfter/4)])
		if request.Add(int64(n)) > holdAfter {
			g.stop(server)
		}
		return n, err
	}))
}

// stop keeps the rest of a request back, if the gate is armed.
func (g *gate) stop(server net.Conn) {
	g.mu.Lock()
	on, open := g.on, g.open
	if on {
		g.on, g.from = false, server.LocalAddr().String()
		close(g.held)
	}
	g.mu.Unlock()
	if on {
		<-open
	}
}

// drained tells whether the server has read what has passed of the request that
// has stopped. A server that stops before it has begun to read closes the
// connection as idle, and then no request was under way. Only Linux can tell.
func (g *gate) drained() error {
	table, err := os.ReadFile("/proc/net/tcp")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	g.mu.Lock()
	client := netip.MustParseAddrPort(g.from)
	g.mu.Unlock()
	server := netip.MustParseAddrPort(g.server)
	for line := range strings.Lines(string(table)) {
		f := strings.Fields(line) // number, local address, remote address, state, send and receive queues, …
		if len(f) > 4 && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", server.Port())) && strings.HasSuffix(f[2], fmt.Sprintf(":%04X", client.Port())) {
			if _, unread, _ := strings.Cut(f[4], ":"); strings.Trim(unread, "0") != "" {
				return fmt.Errorf("%s bytes are not read (hexadecimal)", unread)
			}
			return nil
		}
	}
	return fmt.Errorf("there is no connection from %v to %v", client, server)
}

// reader is a Read method.
type reader func([]byte) (int, error)

// Read implements io.Reader.
func (r reader) Read(p []byte) (int, error) { return r(p) }
