package grid

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/meter/source"
	"github.com/wattveil/wattveil/tariff"
)

const testResolution = wattveil.Resolution(1800)

// testConfig is n simulated homes for some days from a Monday midnight.
func testConfig(t *testing.T, n, days int) Config {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Zurich")
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2026, 3, 2, 0, 0, 0, 0, zone)
	cfg := Config{
		Dir: t.TempDir(), Resolution: testResolution, Seed: 7, PoolWindow: 300 * time.Millisecond,
		Start: start.Unix(), End: start.AddDate(0, 0, days).Unix(),
	}
	for i := range n {
		home := source.Then(source.NewHousehold(cfg.Seed, i, zone, testResolution), cfg.End, noLoad{})
		cfg.Households = append(cfg.Households, Household{Column: fmt.Sprintf("home-%d", i), Load: home})
	}
	return cfg
}

// noLoad is a load that has ended.
type noLoad struct{}

func (noLoad) Energy(int64) (imp, exp wattveil.Wh, ok bool) { return 0, 0, false }

func open(t *testing.T, cfg Config) *Grid {
	t.Helper()
	g, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error("close:", err)
		}
	})
	return g
}

// run plays the whole of a configuration and returns its report.
func run(t *testing.T, g *Grid, during func(context.Context) error) *Report {
	t.Helper()
	ctx := t.Context()
	terms, err := tariff.Builtin("Europe/Zurich")
	if err != nil {
		t.Fatal(err)
	}
	document, err := terms.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.PutTariff(ctx, document); err != nil {
		t.Fatal(err)
	}
	for _, stage := range []func(context.Context) error{g.Ready, during, g.Drain} {
		if err := stage(ctx); err != nil {
			t.Fatal(err)
		}
	}
	bills, err := g.Bill(ctx, terms.ID(), time.Unix(g.cfg.Start, 0), time.Unix(g.cfg.End, 0))
	if err != nil {
		t.Fatal(err)
	}
	r, err := g.Report(ctx, bills, 0)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// checkReport demands that every interval is stored once and every bill has
// the energy that the loads have.
func checkReport(t *testing.T, cfg Config, r *Report) {
	t.Helper()
	if err := r.Err(); err != nil {
		t.Error(err)
	}
	intervals := (cfg.End - cfg.Start) / int64(cfg.Resolution)
	for i, m := range r.Meters {
		if !m.Registered || !m.Keyed || m.IntervalsStored != intervals || m.ReadingsStored != intervals+1 {
			t.Errorf("%s: registered %v, keyed %v, %d readings and %d intervals stored, want %d and %d",
				m.Column, m.Registered, m.Keyed, m.ReadingsStored, m.IntervalsStored, intervals+1, intervals)
		}
		var imp, exp int64
		for at := cfg.Start; at < cfg.End; at += int64(cfg.Resolution) {
			in, out, _ := cfg.Households[i].Load.Energy(at)
			imp, exp = imp+int64(in), exp+int64(out)
		}
		if got, want := r.Bills[i].ImportKWh, kWh(imp); got != want {
			t.Errorf("%s: billed import %s, want %s", m.Column, got, want)
		}
		if got, want := r.Bills[i].ExportKWh, kWh(exp); got != want {
			t.Errorf("%s: billed export %s, want %s", m.Column, got, want)
		}
	}
	if r.Wire.ReadingMessageBytes != 70 {
		t.Errorf("message with one reading has %d bytes, want 70", r.Wire.ReadingMessageBytes)
	}
}

func kWh(wh int64) string { return fmt.Sprintf("%d.%03d", wh/1000, wh%1000) }

func TestReadingsBecomeVerifiedBills(t *testing.T) {
	cfg := testConfig(t, 6, 9) // over a week: every meter renews its session keys
	g := open(t, cfg)
	checkReport(t, cfg, run(t, g, g.Play))
	for _, m := range g.meters {
		if s := m.agent.Status(); s.Exchanges < 2 {
			t.Errorf("%s: %d exchanges in 9 days, want at least 2", m.column, s.Exchanges)
		}
	}
}

func TestNothingIsLostOnABadNetwork(t *testing.T) {
	cfg := testConfig(t, 5, 3)
	cfg.Loss = 0.3
	g := open(t, cfg)
	checkReport(t, cfg, run(t, g, g.Play))
}

// TestHardStops pulls the plug of each server at seeded moments while meters
// send.
func TestHardStops(t *testing.T) {
	const stops = 52 // 13 of each of four servers
	cfg := testConfig(t, 8, 3)
	cfg.FS = func(string) vfs.FS { return newCrashFS() }
	var log syncBuffer
	cfg.Log = func(party string) *slog.Logger {
		return slog.New(slog.NewTextHandler(&log, nil)).With("party", party)
	}
	g := open(t, cfg)
	rng := rand.New(rand.NewPCG(50, 50))
	total := int((cfg.End-cfg.Start)/int64(cfg.Resolution)) + 1
	at := make(map[int][]string) // steps at which servers stop
	for i := range stops {
		step := 1 + rng.IntN(total-1)
		at[step] = append(at[step], g.Servers()[i%len(g.Servers())])
	}
	r := run(t, g, func(ctx context.Context) error {
		for i := range total {
			stopped := make(chan error, 1)
			delay := time.Duration(rng.IntN(15_000)) * time.Microsecond
			go func() {
				time.Sleep(delay) // a moment within the step, not a wait for something
				var err error
				for _, party := range at[i] {
					if err == nil {
						err = g.HardStop(ctx, party)
					}
				}
				stopped <- err
			}()
			if err := g.Tick(ctx, time.Unix(cfg.Start+int64(i)*int64(cfg.Resolution), 0)); err != nil {
				return err
			}
			if err := <-stopped; err != nil {
				return err
			}
		}
		return nil
	})
	checkReport(t, cfg, r)
	if t.Failed() {
		t.Log(log.String())
	}
}

// syncBuffer is a buffer for many writers.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// TestMetersGoOnAtTheWallClock lets the clock go after the run: readings come
// by themselves.
func TestMetersGoOnAtTheWallClock(t *testing.T) {
	cfg := testConfig(t, 2, 1)
	cfg.Resolution = 1
	cfg.End = time.Now().Unix()
	cfg.Start = cfg.End - 30
	for i := range cfg.Households {
		cfg.Households[i].Load = source.NewHousehold(cfg.Seed, i, time.UTC, cfg.Resolution)
	}
	g := open(t, cfg)
	for _, stage := range []func(context.Context) error{g.Ready, g.Play} {
		if err := stage(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	g.Clock().Follow()
	go func() { ended <- g.Live(ctx) }()
	played := uint64(cfg.End-cfg.Start) + 1
	waitFor(t, func() bool {
		for _, m := range g.meters {
			if m.agent.Status().ReadingsSent < played+2 {
				return false
			}
		}
		return true
	})
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// waitFor waits for a condition.
func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("condition did not come true in 30 s")
		}
	}
}
