package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/internal/field"
	"github.com/wattveil/wattveil/readings"
	readingspebble "github.com/wattveil/wattveil/readings/pebble"
)

// billingRig is a utility and a TTP as processes, with meters that are put into
// their registries and readings that are put into the TTP's store. All else is
// as it is in earnest.
type billingRig struct {
	*testing.T
	dir, bin string
	valve    *valve // between utility and TTP
	stopTTP  func()

	meters int
	from   time.Time // of the readings
	days   int
}

const rigTariff = `{"id":"tou","currency":"CHF","timezone":"Europe/Zurich","valid_from":"2018-01-01","energy":{"bands":{"peak":{"import":"0.2860","export":"0.08"},"offpeak":{"import":"0.1780","export":"0.06"}},"default":"offpeak","windows":[{"band":"peak","days":["mon","tue","wed","thu","fri"],"from":"07:00","to":"20:00"}]},"standing":{"per_day":"0.30"},"tax_percent":"8.1"}`

// newBillingRig brings both parties up, with so many meters that have hourly
// readings from the start of November 2018.
func newBillingRig(t *testing.T, meters, days int) *billingRig {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Zurich")
	rigMust(t, err)
	r := &billingRig{T: t, dir: t.TempDir(), bin: field.Binaries(t), meters: meters, days: days, from: time.Date(2018, 11, 1, 0, 0, 0, 0, zone)}
	port := field.FreePorts(t, 1)[0]
	r.valve = newValve(t, "127.0.0.1:"+port)
	r.write("tou.json", rigTariff)
	r.do("ttp", "init", "--dir", "ttp", "--name", "example-trust", "--listen", "127.0.0.1:"+port, "--url", "https://"+r.valve.address(), "--metrics", "")
	r.do("utility", "init", "--dir", "utility", "--name", "example-energy", "--metrics", "", "--bill-page", "https://portal.example/check")
	r.write("utility.crt", r.do("utility", "authority", "--dir", "utility"))
	r.write("gate.json", `{"retroactive": true}`) // the readings are older than the tariff
	r.do("ttp", "utility", "add", "example-energy", "--ca", "utility.crt", "--gate", "gate.json", "--out", "invitation.json", "--dir", "ttp")
	r.do("utility", "peer", "add", "--invitation", "invitation.json", "--dir", "utility")
	r.serveTTP()
	r.do("utility", "enrol", "--dir", "utility")
	r.do("utility", "tariff", "put", "tou.json", "--dir", "utility")
	r.stopTTP()
	r.fillUtility()
	r.fillTTP()
	r.serveTTP()
	return r
}

func rigMust(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (r *billingRig) path(name string) string { return filepath.Join(r.dir, name) }

func (r *billingRig) write(name, content string) {
	r.Helper()
	rigMust(r, os.WriteFile(r.path(name), []byte(content), 0o600))
}

func (r *billingRig) read(name string) string {
	r.Helper()
	b, err := os.ReadFile(r.path(name))
	rigMust(r, err)
	return string(b)
}

func (r *billingRig) command(args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(r.bin, "wattveil"), args...)
	cmd.Dir = r.dir
	cmd.Env = slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "WATTVEIL_") })
	return cmd
}

// do runs a command to its end, which is a good one, and gives what it prints.
func (r *billingRig) do(args ...string) string {
	r.Helper()
	out, code := r.try(args...)
	if code != 0 {
		r.Fatalf("wattveil %s: exit code %d: %s", strings.Join(args, " "), code, out)
	}
	return out
}

// try runs a command and gives what it prints and its exit code.
func (r *billingRig) try(args ...string) (string, int) {
	r.Helper()
	cmd := r.command(args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		r.Fatal(err)
	}
	return string(out) + stderr.String(), cmd.ProcessState.ExitCode()
}

// serveTTP starts the TTP and waits until it answers its operator.
func (r *billingRig) serveTTP() {
	r.Helper()
	cmd := r.command("ttp", "serve", "--dir", "ttp")
	var logs lockedLog
	cmd.Stdout, cmd.Stderr = &logs, &logs
	rigMust(r, cmd.Start())
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	stop := sync.OnceFunc(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		<-ended
	})
	r.stopTTP = stop
	r.Cleanup(stop)
	for {
		if _, code := r.try("ttp", "status", "--dir", "ttp"); code == 0 {
			return
		}
		select {
		case <-ended:
			r.Fatalf("the TTP has ended: %s", logs.String())
		default:
		}
	}
}

// lockedLog is what a process logs.
type lockedLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// The names of the i-th meter.
func rigMeter(i int) wattveil.MeterID       { return wattveil.MeterID(0x1000_0000_0000_0000 + i) }
func rigPseudonym(i int) wattveil.Pseudonym { return wattveil.Pseudonym(0x2000_0000_0000_0000 + i) }

// fill runs statements for each meter in a registry, in one transaction.
func (r *billingRig) fill(file string, each func(i int) map[string][]any) {
	r.Helper()
	db, err := sql.Open("sqlite", r.path(file))
	rigMust(r, err)
	defer func() { rigMust(r, db.Close()) }()
	tx, err := db.BeginTx(context.Background(), nil)
	rigMust(r, err)
	prepared := make(map[string]*sql.Stmt)
	for i := range r.meters {
		for text, values := range each(i) {
			if prepared[text] == nil {
				prepared[text], err = tx.Prepare(text)
				rigMust(r, err)
			}
			_, err := prepared[text].Exec(values...)
			rigMust(r, err)
		}
	}
	rigMust(r, tx.Commit())
}

func (r *billingRig) fillUtility() {
	r.Helper()
	r.fill("utility/utility.db", func(i int) map[string][]any {
		id, anID := int64(rigMeter(i)), int64(rigPseudonym(i))
		return map[string][]any{
			`INSERT INTO meters (id_sm, secret, password_hash, roster, added, ttp) VALUES (?, x'', x'', ?2, ?2, 'example-trust')`: {id, i + 1},
			`INSERT INTO pseudonyms (id_sm, base, an_id) VALUES (?, 0, ?)`:                                                        {id, anID},
			`INSERT INTO statements (an_id, serial, statement, partial_key, enrolled) VALUES (?, 1, x'', x'', 1)`:                 {anID},
		}
	})
}

func (r *billingRig) fillTTP() {
	r.Helper()
	var uc int64
	db, err := sql.Open("sqlite", r.path("ttp/ttp.db"))
	rigMust(r, err)
	rigMust(r, db.QueryRow(`SELECT number FROM utilities`).Scan(&uc))
	rigMust(r, db.Close())
	r.fill("ttp/ttp.db", func(i int) map[string][]any {
		return map[string][]any{`INSERT INTO meters (uc, an_id, last_epoch) VALUES (?, ?, 1)`: {uc, int64(rigPseudonym(i))}}
	})
	store, err := readingspebble.Open(r.path("ttp/readings"), readingspebble.Options{})
	rigMust(r, err)
	defer func() { rigMust(r, store.Close()) }()
	const atOnce = 1000
	for low := 0; low < r.meters; low += atOnce {
		var batch []readings.Block
		for i := low; i < min(low+atOnce, r.meters); i++ {
			batch = append(batch, readings.Block{
				Meter: wattveil.Meter{UC: wattveil.UCNumber(uc), Pseudonym: rigPseudonym(i)}, Epoch: 1, Counter: 1, Series: 1,
				Readings: r.registers(i),
			})
		}
		rigMust(r, store.Append(context.Background(), batch))
	}
}

// registers are the readings of a meter, one an hour.
func (r *billingRig) registers(i int) []wattveil.Reading {
	list := make([]wattveil.Reading, 24*r.days+1)
	for h := range list {
		at := r.from.Add(time.Duration(h) * time.Hour)
		list[h].Time, list[h].Import = at.Unix(), wattveil.Register(1_000_000)
		if h > 0 {
			list[h].Import = list[h-1].Import + wattveil.Register(100+(i+7*h)%900)
		}
	}
	return list
}

// kept is how many bills the utility has.
func (r *billingRig) kept() (n int) {
	r.Helper()
	db, err := sql.Open("sqlite", "file:"+r.path("utility/utility.db")+"?_pragma=busy_timeout(10000)")
	rigMust(r, err)
	defer func() { rigMust(r, db.Close()) }()
	rigMust(r, db.QueryRow(`SELECT count(*) FROM bills`).Scan(&n))
	return n
}

// valve passes connections on to an address. It can be told to let so many more
// bytes come back and then none.
type valve struct {
	listener net.Listener
	to       string

	mu     sync.Mutex
	moved  *sync.Cond
	passed int64 // bytes that came back
	limit  int64 // of passed; below 0 for none
	dry    chan struct{}
}

func newValve(t *testing.T, to string) *valve {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	rigMust(t, err)
	v := &valve{listener: l, to: to, limit: -1, dry: make(chan struct{})}
	v.moved = sync.NewCond(&v.mu)
	t.Cleanup(func() { _ = l.Close(); v.open() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go v.pass(c)
		}
	}()
	return v
}

func (v *valve) address() string { return v.listener.Addr().String() }

func (v *valve) pass(c net.Conn) {
	defer func() { _ = c.Close() }()
	far, err := net.Dial("tcp", v.to)
	if err != nil {
		return
	}
	defer func() { _ = far.Close() }()
	go func() { _, _ = io.Copy(far, c); _ = far.Close() }()
	_, _ = io.Copy(io.MultiWriter(v, c), far)
}

// Write counts bytes, and waits while the valve is shut.
func (v *valve) Write(p []byte) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for v.limit >= 0 && v.passed >= v.limit {
		select {
		case <-v.dry:
		default:
			close(v.dry)
		}
		v.moved.Wait()
	}
	v.passed += int64(len(p))
	return len(p), nil
}

// count is how many bytes have come back.
func (v *valve) count() int64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.passed
}

// shutAfter lets so many more bytes come back.
func (v *valve) shutAfter(n int64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.limit, v.dry = v.passed+n, make(chan struct{})
}

func (v *valve) open() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.limit = -1
	v.moved.Broadcast()
}
