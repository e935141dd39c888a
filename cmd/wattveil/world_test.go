package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/wattveil/wattveil/internal/field"
	"github.com/wattveil/wattveil/peer"
	"github.com/wattveil/wattveil/utility"
)

// worldWaits is far more than anything takes on a busy machine.
const worldWaits = 2 * time.Minute

// world is several parties, each with its folder and its server as "serve"
// runs it, over real listeners and on the wall clock.
type world struct {
	*testing.T
	dir string
}

// newWorld also has its test run beside others: it waits most of the time.
func newWorld(t *testing.T) *world {
	t.Parallel()
	return &world{T: t, dir: t.TempDir()}
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

// try runs a command line of wattveil.
func try(args ...string) (stdout string, err error) {
	var out, logs bytes.Buffer
	root := newRoot()
	root.SetOut(&out)
	root.SetErr(&logs)
	root.SetArgs(args)
	err = root.Execute()
	return out.String(), err
}

// do is try for what must not fail.
func (w *world) do(args ...string) string {
	w.Helper()
	out, err := try(args...)
	if err != nil {
		w.Fatalf("wattveil %s: %v", strings.Join(args, " "), err)
	}
	return out
}

// wait waits for a condition.
func (w *world) wait(what string, done func() bool) {
	w.Helper()
	defer func(began time.Time) { w.Logf("%s: after %v", what, time.Since(began).Round(100*time.Millisecond)) }(time.Now())
	for deadline := time.Now().Add(worldWaits); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.Fatalf("%s: not so after %v", what, worldWaits)
		}
	}
}

// text is a buffer for many writers.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *text) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *text) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// serving is a server of this process.
type serving struct {
	world     *world
	dir       string
	out, logs text
	cancel    context.CancelFunc
	ended     chan error
}

// serve runs a party's server until stop or the end of the test.
func (w *world) serve(dir string, run func(ctx context.Context, out, logs io.Writer) error) *serving {
	w.Helper()
	s := &serving{world: w, dir: dir, ended: make(chan error, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	go func() { s.ended <- run(ctx, &s.out, &s.logs) }()
	w.Cleanup(s.stop)
	w.wait("serve "+dir, func() bool {
		select {
		case err := <-s.ended:
			w.Fatalf("serve %s: %v\n%s", dir, err, s.logs.String())
		default:
		}
		return strings.Contains(s.out.String(), "serving metrics on ") && strings.Contains(s.logs.String(), "msg=serving")
	})
	return s
}

// stop ends the server as SIGTERM does.
func (s *serving) stop() {
	if s.cancel == nil {
		return
	}
	s.cancel()
	s.cancel = nil
	if err := <-s.ended; err != nil {
		s.world.Errorf("server of %s: %v", s.dir, err)
	}
}

// get asks the server's monitor.
func (s *serving) get(path string) (int, string) {
	s.world.Helper()
	_, after, _ := strings.Cut(s.out.String(), "serving metrics on ")
	address, _, _ := strings.Cut(after, "\n")
	answer, err := http.Get("http://" + address + path)
	if err != nil {
		s.world.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		s.world.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

// metric is one figure of /metrics; 0 if it is not there.
func (s *serving) metric(series string) (value float64) {
	s.world.Helper()
	_, text := s.get("/metrics")
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, series+" "); ok {
			if _, err := fmt.Sscan(rest, &value); err != nil {
				s.world.Fatalf("%s: %v", line, err)
			}
		}
	}
	return value
}

// refusals is how often the server has refused a class of peers.
func (s *serving) refusals(class string) int {
	role := filepath.Base(s.dir)
	role, _, _ = strings.Cut(role, "-")
	return int(s.metric(fmt.Sprintf(`wattveil_peer_refusals_total{class=%q,role=%q}`, class, role)))
}

// site is an organisation with a folder and a server, whose name is the
// folder's: utility-… or ttp-….
type site struct {
	*serving
	name, url string
	listen    string
}

// ttp makes and serves a TTP.
func (w *world) ttp(name string, flags ...string) *site {
	w.Helper()
	s := w.newSite("ttp", name, flags...)
	s.serving = w.serveTTP(name)
	return s
}

func (w *world) newSite(role, name string, flags ...string) *site {
	w.Helper()
	listen := "127.0.0.1:" + field.FreePorts(w.T, 1)[0]
	s := &site{name: name, url: "https://" + listen, listen: listen}
	w.do(append([]string{role, "init", "--dir", w.path(name), "--name", name, "--listen", listen, "--url", s.url,
		"--metrics", "127.0.0.1:0"}, flags...)...)
	return s
}

func (w *world) serveTTP(name string) *serving {
	w.Helper()
	p := &party{role: ttpRole(), dir: w.path(name)}
	var cfg ttpConfig
	if err := p.load(&cfg, nil); err != nil {
		w.Fatal(err)
	}
	return w.serve(p.dir, func(ctx context.Context, out, logs io.Writer) error { return p.serveTTP(ctx, cfg, out, logs) })
}

// utility makes and serves a utility of some TTPs.
func (w *world) utility(name string, names utility.Names, ttps ...*site) *site {
	w.Helper()
	s := w.newSite("utility", name, "--interval", "1s", "--pool-window", "300ms", "--enrol-every", "1s")
	s.serving = w.serveUtility(name, names)
	for _, t := range ttps {
		w.introduce(s, t)
	}
	if len(ttps) > 0 {
		w.do("utility", "enrol", "--dir", s.dir)
	}
	return s
}

func (w *world) serveUtility(name string, names utility.Names) *serving {
	w.Helper()
	p := &party{role: utilityRole(), dir: w.path(name), names: names}
	var cfg utilityConfig
	if err := p.load(&cfg, nil); err != nil {
		w.Fatal(err)
	}
	return w.serve(p.dir, func(ctx context.Context, out, logs io.Writer) error { return p.serveUtility(ctx, cfg, out, logs) })
}

// introduce has a utility and a TTP exchange what their operators would. The TTP
// makes bills of readings that are older than their tariff.
func (w *world) introduce(u, t *site) {
	w.Helper()
	invitation := w.path(u.name + "-at-" + t.name + ".json")
	limits := w.path("gate.json")
	if err := os.WriteFile(limits, []byte(`{"retroactive": true}`), 0o600); err != nil {
		w.Fatal(err)
	}
	w.do("ttp", "utility", "add", u.name, "--ca", filepath.Join(u.dir, "authority.crt"), "--gate", limits, "--out", invitation, "--dir", t.dir)
	w.do("utility", "peer", "add", "--invitation", invitation, "--dir", u.dir)
}

// collector makes a collector's folder and gives its address.
func (w *world) collector(u *site, name string) (dir, address string) {
	w.Helper()
	return w.collectorOver(u, name, "mqtt")
}

// collectorOver is collector with the scheme of its address.
func (w *world) collectorOver(u *site, name, scheme string) (dir, address string) {
	w.Helper()
	dir, file := w.path(name), w.path(name+".json")
	address = "127.0.0.1:" + field.FreePorts(w.T, 1)[0]
	w.do("utility", "collector", "add", name, "--address", scheme+"://"+address, "--out", file, "--dir", u.dir)
	w.do("collector", "init", "--dir", dir, "--from", file, "--listen", address, "--interval", "1s", "--metrics", "127.0.0.1:0",
		fmt.Sprintf("--tls=%v", scheme == "mqtts"))
	return dir, address
}

func (w *world) serveCollector(dir string) *serving {
	w.Helper()
	p := &party{role: collectorRole(), dir: dir}
	var cfg collectorConfig
	if err := p.load(&cfg, nil); err != nil {
		w.Fatal(err)
	}
	return w.serve(dir, func(ctx context.Context, out, logs io.Writer) error { return p.serveCollector(ctx, cfg, out, logs) })
}

// process starts a built command and ends it with the test.
func (w *world) process(name string, args ...string) *exec.Cmd {
	w.Helper()
	cmd := exec.Command(filepath.Join(field.Binaries(w.T), name), args...)
	cmd.Dir = w.dir
	log, err := os.Create(w.path(fmt.Sprintf("%s-%d.log", name, time.Now().UnixNano())))
	if err != nil {
		w.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		_ = end(cmd, syscall.SIGTERM)
		_ = log.Close()
	})
	return cmd
}

// end ends a process, by its own id, and waits for it.
func end(cmd *exec.Cmd, with syscall.Signal) error {
	if cmd.ProcessState != nil {
		return nil
	}
	if err := cmd.Process.Signal(with); err != nil {
		return err
	}
	return cmd.Wait()
}

// meters provisions meters and runs them in a process of their own.
func (w *world) meters(u *site, name string, n int, provision, run []string) *exec.Cmd {
	w.Helper()
	file := w.path(name + ".jsonl")
	w.do(append([]string{"utility", "meter", "add", "--count", fmt.Sprint(n), "--out", file, "--dir", u.dir}, provision...)...)
	return w.process("wattveil-meter", append([]string{"run", "--provision", file, "--data", w.path(name), "--retry", "1s"}, run...)...)
}

// ids are the meters of a provisioning file.
func (w *world) ids(name string) (list []string) {
	w.Helper()
	content, err := os.ReadFile(w.path(name + ".jsonl"))
	if err != nil {
		w.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`"meter_id":\s*"([0-9a-f]{16})"`).FindAllSubmatch(content, -1) {
		list = append(list, string(m[1]))
	}
	if len(list) == 0 {
		w.Fatalf("no meter in %s", content)
	}
	return list
}

// decodeLines decodes the lines of a command's output.
func decodeLines[T any](w *world, text string) (list []T) {
	w.Helper()
	for line := range strings.Lines(text) {
		var v T
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			w.Fatalf("%s: %v", line, err)
		}
		list = append(list, v)
	}
	return list
}

// authority is the authority in a party's folder.
func (w *world) authority(s *site) *peer.Authority {
	w.Helper()
	a, err := peer.LoadAuthority(s.dir)
	if err != nil {
		w.Fatal(err)
	}
	return a
}
