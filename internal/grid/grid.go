// Package grid is the whole platform in one process: meters, collectors, a
// utility and a TTP, each with its own folder, keys and authority, connected
// by the same MQTT and mutual TLS as separate machines would be. Nothing passes
// between two parties but over a socket, and what their operators would hand
// each other: certificates of authorities and provisioning records.
//
// The demo runs on it, and so do the tests that need a platform: they drive
// its [Clock], lose its messages, stop its servers hard and look at what each
// party has seen.
package grid

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sync/errgroup"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/clpke"
	"github.com/wattveil/wattveil/gate"
	"github.com/wattveil/wattveil/meter"
	"github.com/wattveil/wattveil/meter/source"
	"github.com/wattveil/wattveil/provision"
	"github.com/wattveil/wattveil/utility"
)

// Household is one home: its name in the report and what it uses.
type Household struct {
	Column string
	Load   source.Load
}

// Config is what a grid is made of. Dir is the folder of all parties' folders.
type Config struct {
	Dir        string
	Households []Household
	Resolution wattveil.Resolution
	Start, End int64 // of the first and of the last interval, Unix seconds
	Collectors int   // 2 if zero
	Loss       float64
	Seed       uint64

	Gate  gate.Settings         // limits of the utility's disclosure gate; the defaults if zero
	Names utility.Names         // random if nil
	Rand  func(i int) io.Reader // of household i's register bases; random if nil
	Place func(i int) int       // collector of household i; i modulo Collectors if nil
	// Pin is the fingerprint that the meter of household i is pinned to, nil for
	// none, given that of the TTP's root, to which all are pinned if it is nil.
	Pin func(i int, root [32]byte) *[32]byte
	FS  func(party string) vfs.FS
	Log func(party string) *slog.Logger
	// PoolWindow is how long the utility waits for a collector that does not
	// post, real time; 2 s if zero.
	PoolWindow  time.Duration
	QueueFrames int // that a collector keeps; as many as its queue does by itself if zero
	AtOnce      int // meters that step at once; 512 if zero, and with 1 they take turns in the households' order

	Tap func(Record) // sees every message on every connection, if set
	// Progress, if set, is told how far the run is. One goroutine calls it.
	Progress func(s Stage, done, total int64)

	// Link stands between a meter and the tap, BeforeTap between the server
	// that asks and the tap, BehindTap between the tap and the one that
	// answers, if set. Tests plant leaks with them.
	Link                 func(i int, r provision.Record, inner meter.Link) meter.Link
	BeforeTap, BehindTap func(from, to string, inner http.RoundTripper) http.RoundTripper
}

// Stage is a part of a run that takes time.
type Stage string

// The stages, in their order.
const (
	Connecting  Stage = "connecting"  // meters that have been added
	Registering Stage = "registering" // meters that share keys with the TTP
	Reading     Stage = "reading"     // reading times that are over
)

// The parties' names, as in certificates and folders.
const (
	UtilityOrg = "utility"
	TTPOrg     = "ttp"
)

// lead is how long before the first interval the platform starts: time to
// enrol, register and exchange keys, also over a bad network.
const lead = 48 * time.Hour

// collectorInterval is the time between two posts of a collector: a quarter of
// an hour, or the readings' resolution if that is longer.
func (c *Config) collectorInterval() time.Duration {
	return max(15*time.Minute, c.Resolution.Duration())
}

// Grid is a running platform.
type Grid struct {
	cfg    Config
	clock  *Clock
	faults faults
	ctx    context.Context // of background work; ended by Close
	cancel context.CancelFunc

	nodes      sync.RWMutex    // the servers' roles, which a hard stop replaces
	away       map[string]bool // servers that have left
	ttp        *ttpNode
	utility    *utilityNode
	collectors []*collectorNode
	meters     []*meterNode
	audit      *audit
	next       time.Time // of the next round of posts
	maintained time.Time
}

// Open starts the platform: keys and folders of all parties, the servers, the
// TTP's enrolment at the utility, the tariff, and the meters, which begin to
// register at the first tick.
func Open(ctx context.Context, cfg Config) (*Grid, error) {
	if cfg.Collectors == 0 {
		cfg.Collectors = 2
	}
	if cfg.PoolWindow == 0 {
		cfg.PoolWindow = 2 * time.Second
	}
	if cfg.AtOnce == 0 {
		cfg.AtOnce = maxSteps
	}
	if cfg.FS == nil {
		cfg.FS = func(string) vfs.FS { return vfs.Default }
	}
	if cfg.Log == nil {
		cfg.Log = func(string) *slog.Logger { return slog.New(slog.DiscardHandler) }
	}
	if cfg.Place == nil {
		cfg.Place = func(i int) int { return i % cfg.Collectors }
	}
	if cfg.Pin == nil {
		cfg.Pin = func(_ int, root [32]byte) *[32]byte { return &root }
	}
	if cfg.Link == nil {
		cfg.Link = func(_ int, _ provision.Record, inner meter.Link) meter.Link { return inner }
	}
	if cfg.BeforeTap == nil {
		cfg.BeforeTap = func(_, _ string, inner http.RoundTripper) http.RoundTripper { return inner }
	}
	if cfg.BehindTap == nil {
		cfg.BehindTap = func(_, _ string, inner http.RoundTripper) http.RoundTripper { return inner }
	}
	if cfg.Rand == nil {
		cfg.Rand = func(int) io.Reader { return nil }
	}
	if cfg.Progress == nil {
		cfg.Progress = func(Stage, int64, int64) {}
	}
	start := time.Unix(cfg.Start, 0).Add(-lead).Truncate(cfg.collectorInterval())
	g := &Grid{cfg: cfg, clock: NewClock(start), faults: faults{share: cfg.Loss, seed: cfg.Seed}, audit: newAudit(), away: make(map[string]bool)}
	g.ctx, g.cancel = context.WithCancel(context.WithoutCancel(ctx))
	g.next = start
	if err := g.open(ctx); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return g, nil
}

func (g *Grid) open(ctx context.Context) (err error) {
	if err := os.MkdirAll(g.cfg.Dir, 0o700); err != nil {
		return fmt.Errorf("folder of the demo: %w", err)
	}
	if g.ttp, err = g.newTTP(ctx); err != nil {
		return fmt.Errorf("start the TTP: %w", err)
	}
	if g.utility, err = g.newUtility(ctx); err != nil {
		return fmt.Errorf("start the utility: %w", err)
	}
	// Operators exchange the certificates of their authorities.
	if _, err := g.ttp.role.AddUtility(ctx, UtilityOrg, g.utility.authority.Certificate); err != nil {
		return err
	}
	if err := g.ttp.role.SetGate(ctx, UtilityOrg, g.cfg.Gate); err != nil {
		return err
	}
	if err := g.utility.role.EnrolTTP(ctx); err != nil {
		return err
	}
	for i := range g.cfg.Collectors {
		c, err := g.newCollector(ctx, fmt.Sprintf("collector-%d", i+1))
		if err != nil {
			return fmt.Errorf("start collector %d: %w", i+1, err)
		}
		g.collectors = append(g.collectors, c)
	}
	return g.addMeters(ctx)
}

// addMeters provisions and starts a meter for each household. The first post
// brings the roster; only then do collectors let meters in.
func (g *Grid) addMeters(ctx context.Context) error {
	root := clpke.RootFingerprint(g.ttp.role.RootKey())
	records := make([]provision.Record, 0, len(g.cfg.Households))
	for i := range g.cfg.Households {
		broker := "mqtt://" + g.collectors[g.cfg.Place(i)].address
		added, err := g.utility.role.AddMeters(ctx, 1, []string{broker}, g.cfg.Pin(i, root))
		if err != nil {
			return err
		}
		records = append(records, added...)
	}
	if err := g.post(ctx); err != nil {
		return err
	}
	for i, h := range g.cfg.Households {
		m, err := g.newMeter(i, h, records[i], g.cfg.Start)
		if err != nil {
			return fmt.Errorf("start the meter of %s: %w", h.Column, err)
		}
		g.meters = append(g.meters, m)
		g.cfg.Progress(Connecting, int64(i)+1, int64(len(g.cfg.Households)))
	}
	return nil
}

// dir makes a party's folder.
func (g *Grid) dir(parts ...string) string {
	return filepath.Join(append([]string{g.cfg.Dir}, parts...)...)
}

// bases draws the random bases of a household's registers, as a display shows.
func (g *Grid) displayBases(i int) (imp, exp wattveil.Register) {
	rng := rand.New(rand.NewPCG(g.cfg.Seed, uint64(i)))
	return wattveil.Register(rng.Uint64N(1e8)), wattveil.Register(rng.Uint64N(1e6))
}

// Tick brings the platform to a time: meters hand over what is due, then, once
// an interval, collectors post.
func (g *Grid) Tick(ctx context.Context, t time.Time) error {
	g.clock.Set(t)
	if err := g.handOver(ctx); err != nil {
		return err
	}
	if t.Before(g.next) {
		return nil
	}
	for !t.Before(g.next) {
		g.next = g.next.Add(g.cfg.collectorInterval())
	}
	if err := g.maintain(ctx, t); err != nil {
		return err
	}
	return g.post(ctx)
}

// maintain lets the servers do what is due by the clock.
func (g *Grid) maintain(ctx context.Context, now time.Time) error {
	if err := g.utilityRole().Maintain(ctx); err != nil {
		g.cfg.Log(UtilityOrg).Warn("maintenance waits", "error", err)
	}
	if g.away[TTPOrg] || now.Sub(g.maintained) < 24*time.Hour {
		return nil
	}
	g.maintained = now
	if err := g.auditHeld(ctx); err != nil {
		return err
	}
	if err := g.ttpRole().Maintain(ctx); err != nil {
		g.cfg.Log(TTPOrg).Warn("maintenance waits", "error", err)
	}
	return nil
}

// handOver steps all meters until each has handed over what is due.
func (g *Grid) handOver(ctx context.Context) error {
	var group errgroup.Group
	group.SetLimit(g.cfg.AtOnce)
	for _, m := range g.meters {
		group.Go(func() error { return m.handOver(ctx) })
	}
	return group.Wait()
}

const maxSteps = 512 // meters that step at once, unless set

// post lets every collector post its interval and waits until the answers'
// downlinks have reached the meters.
func (g *Grid) post(ctx context.Context) error {
	var group errgroup.Group
	for _, c := range g.collectors {
		group.Go(func() error { return c.post(ctx) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	g.settle(ctx)
	return nil
}

// settle waits until the meters have seen every downlink that collectors sent.
// One that its connection lost is not waited for long.
func (g *Grid) settle(ctx context.Context) {
	deadline := time.Now().Add(settleTimeout)
	for time.Now().Before(deadline) && ctx.Err() == nil {
		var sent, seen int64
		for _, c := range g.collectors {
			sent += c.downlinks.Load()
		}
		for _, m := range g.meters {
			seen += m.link.seen.Load()
		}
		if seen >= sent {
			return
		}
		time.Sleep(settlePoll)
	}
	for _, c := range g.collectors {
		c.downlinks.Store(0)
	}
	for _, m := range g.meters {
		m.link.seen.Store(0)
	}
}

const (
	settleTimeout = 2 * time.Second
	settlePoll    = 200 * time.Microsecond
)

// Ready ticks until every meter shares keys with the TTP.
func (g *Grid) Ready(ctx context.Context) error {
	first := time.Unix(g.cfg.Start, 0)
	for t := g.next; t.Before(first); t = t.Add(g.cfg.collectorInterval()) {
		if err := g.Tick(ctx, t); err != nil {
			return err
		}
		keyed := g.Keyed()
		g.cfg.Progress(Registering, int64(keyed), int64(len(g.meters)))
		if keyed == len(g.meters) {
			return nil
		}
	}
	return fmt.Errorf("%d of %d meters share keys with the TTP after %v; is the network too lossy?", g.Keyed(), len(g.meters), lead)
}

// Play ticks through all reading times from the start of the first interval to
// the end of the last.
func (g *Grid) Play(ctx context.Context) error {
	total := (g.cfg.End-g.cfg.Start)/int64(g.cfg.Resolution) + 1
	for i := range total {
		if err := g.Tick(ctx, time.Unix(g.cfg.Start+i*int64(g.cfg.Resolution), 0)); err != nil {
			return err
		}
		g.cfg.Progress(Reading, i+1, total)
	}
	return nil
}

// Drain goes on in time, without readings, until nothing is on its way.
func (g *Grid) Drain(ctx context.Context) error {
	for range maxDrain {
		waiting := 0
		for _, m := range g.meters {
			waiting += m.agent.Status().Pending
		}
		for _, c := range g.collectors {
			waiting += c.queue.Len()
		}
		if waiting == 0 {
			return g.auditHeld(ctx)
		}
		if err := g.Tick(ctx, g.next); err != nil {
			return err
		}
	}
	return errors.New("messages are still on their way after a week: a server does not take them")
}

const maxDrain = 7 * 24 * 4

// Live runs the platform until ctx ends. The caller has let the clock go.
func (g *Grid) Live(ctx context.Context) error {
	resolution := int64(g.cfg.Resolution)
	for {
		now := g.clock.Now()
		steps := (now.Unix()-g.cfg.Start)/resolution + 1
		due := time.Unix(g.cfg.Start+steps*resolution, 0)
		if g.next.Before(due) {
			due = g.next
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(max(due.Sub(now), 0)):
		}
		if err := g.Tick(ctx, due); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// Clock is the platform's time.
func (g *Grid) Clock() *Clock { return g.clock }

// Keyed is the number of meters that share keys with the TTP.
func (g *Grid) Keyed() int {
	n := 0
	for _, m := range g.meters {
		if m.keyed() {
			n++
		}
	}
	return n
}

// ReadingsSent is the number of readings that meters have handed over so far.
func (g *Grid) ReadingsSent() uint64 {
	var n uint64
	for _, m := range g.meters {
		n += m.agent.Status().ReadingsSent
	}
	return n
}

// Close ends all parties in the order of the path, so that none waits for one
// that is gone.
func (g *Grid) Close() error {
	var errs []error
	for _, m := range g.meters {
		errs = append(errs, m.close())
	}
	for _, c := range g.collectors {
		errs = append(errs, c.close())
	}
	if g.utility != nil {
		errs = append(errs, g.utility.close())
	}
	if g.ttp != nil {
		errs = append(errs, g.ttp.close())
	}
	g.cancel()
	return errors.Join(errs...)
}
