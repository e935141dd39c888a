package field

import (
	"errors"
	"fmt"
	"io"
	"net"
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
			g.stop()
		}
		return n, err
	}))
}

// stop keeps the rest of a request back, if the gate is armed.
func (g *gate) stop() {
	g.mu.Lock()
	on, open := g.on, g.open
	if on {
		g.on = false
		close(g.held)
	}
	g.mu.Unlock()
	if on {
		<-open
	}
}

// reader is a Read method.
type reader func([]byte) (int, error)

// Read implements io.Reader.
func (r reader) Read(p []byte) (int, error) { return r(p) }
