package grid

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sync/errgroup"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/invoice"
	"github.com/wattveil/wattveil/meter"
	"github.com/wattveil/wattveil/provision"
	"github.com/wattveil/wattveil/tariff"
	"github.com/wattveil/wattveil/utility"
	"github.com/wattveil/wattveil/wire"
)

// The privacy tests run the platform twice and compare what one party has seen
// (spec/threats.md section 6). A world is all that determines such a run, but
// for keys and ciphertexts.

const (
	worldHomes      = 6
	worldCollectors = 3
	worldZone       = "Europe/Zurich"
	perDay          = 24 * 60 * 60 / int(testResolution)
	coarseHours     = 6 // between ticks, of the days on which meters hand over many readings at once
)

// world is one setting of the platform.
type world struct {
	fine, days int   // days on which meters hand over every reading at once, and days in all
	bills      []int // days after which bills are asked for; after the last one all is over
	loads      [][]flow
	ids        []wattveil.MeterID // of each household's meter
	pseudonyms []wattveil.Pseudonym
	place      []int // collector of each household
	order      []int // in which the utility lists its customers and meters hand over
	terms      *tariff.Tariff
	trouble    bool // have things go wrong, for what parties say then
	outage     bool // of a collector, too
	late       bool // have readings come after their bills
	compact    bool // have the TTP's store compressed at the end
	leak       leak
}

// flow is the energy of one interval in Wh.
type flow struct{ imp, exp int64 }

// leak plants a leak in a run. Nil fields plant nothing.
type leak struct {
	link      func(p *played, i int, r provision.Record, inner meter.Link) meter.Link
	beforeTap meddler // where a server asks
	behindTap meddler // where a server answers
	invoice   func(p *played, home int, v *invoice.Invoice)
}

// played is a world's run and what came of it.
type played struct {
	*world
	grid    *Grid
	dir     string
	secrets map[wattveil.MeterID]provision.Record
	clock   atomic.Pointer[Clock]

	mu      sync.Mutex
	records []Record
	lines   []logLine

	billed []BillReport
	kept   []utility.KeptBill // by the utility
	keys   bill.KeySet
	queues view // collectors' queues at some moments
	stored view // the TTP's store of readings
	counts view // what the roles count
}

// logLine is a line of a party's log, without its wall clock time.
type logLine struct {
	party string
	at    time.Time // the platform's; zero while it starts
	text  string
}

func newWorld(t *testing.T, fine, days int) *world {
	t.Helper()
	terms, err := tariff.Builtin(worldZone)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{fine: fine, days: days, bills: []int{days}, terms: terms}
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range worldHomes {
		w.ids = append(w.ids, wattveil.MeterID(rng.Uint64()|1<<63))
		w.pseudonyms = append(w.pseudonyms, wattveil.Pseudonym(rng.Uint64()|1<<63))
		w.place = append(w.place, i%worldCollectors)
		w.order = append(w.order, i)
	}
	w.loads = w.drawLoads()
	return w
}

func (w *world) with(change func(*world)) *world {
	next := *w
	change(&next)
	return &next
}

func (w *world) start() time.Time {
	zone, err := time.LoadLocation(worldZone)
	if err != nil {
		panic(err)
	}
	return time.Date(2026, 3, 2, 0, 0, 0, 0, zone)
}

func (w *world) end() time.Time { return w.day(w.days) }

// day is when a day begins, the first being 0.
func (w *world) day(n int) time.Time { return w.start().AddDate(0, 0, n) }

// intervals is how many there are before a time.
func (w *world) intervals(before time.Time) int {
	return int(before.Sub(w.start()) / testResolution.Duration())
}

// drawLoads draws homes of many kinds: with a roof full of panels, with long
// stretches of equal use, with uses that are easy to tell, and an empty one.
func (w *world) drawLoads() [][]flow {
	rng := rand.New(rand.NewPCG(3, 4))
	loads := make([][]flow, worldHomes)
	for i := range loads {
		loads[i] = make([]flow, w.intervals(w.end()))
		for k := range loads[i] {
			f := &loads[i][k]
			switch hour := k % perDay / 2; {
			case i == 5: // away, the freezer runs now and then
				f.imp = int64(rng.IntN(4) / 3 * 37)
			case k > 0 && rng.IntN(3) == 0:
				*f = loads[i][k-1]
			case i%3 == 1 && hour >= 9 && hour < 16:
				f.imp, f.exp = int64(rng.IntN(2)*rng.IntN(300)), int64(rng.IntN(4100))
			case i == 2 && rng.IntN(8) == 0:
				f.imp = 40_000 + int64(rng.IntN(20_000))
			default:
				f.imp = int64(40 + rng.IntN(2800))
			}
		}
	}
	return loads
}

// shuffled is the loads with import and export of each home mixed anew within
// each bill and band: other readings, the same bill lines. An estimate is in
// proportion to what other days had at its hours: days that count for one are
// turned round within their bands, but for their first interval, which a gap of
// the day before ends with.
func (w *world) shuffled() [][]flow {
	rng := rand.New(rand.NewPCG(5, 6))
	loads := make([][]flow, len(w.loads))
	for i := range loads {
		loads[i] = slices.Clone(w.loads[i])
	}
	from := w.start()
	for _, days := range w.bills {
		to := w.day(days)
		for _, slots := range w.byBand(from, to, func(at time.Time) bool { return !w.estimates(at) }) {
			for _, load := range loads {
				mixFlows(rng, load, slots)
			}
		}
		from = to
	}
	for day := range w.days {
		for _, slots := range w.byBand(w.day(day).Add(testResolution.Duration()), w.day(day+1), w.estimates) {
			for _, load := range loads {
				turnFlows(load, slots)
			}
		}
	}
	return loads
}

// byBand are the intervals of a time that are wanted, by band.
func (w *world) byBand(from, to time.Time, wanted func(time.Time) bool) [][]int {
	cursor := w.terms.Cursor()
	slots := make([][]int, w.terms.Bands())
	for k := w.intervals(from); k < w.intervals(to); k++ {
		at := w.start().Add(time.Duration(k) * testResolution.Duration())
		if band := cursor.Span(at.Unix()).Band; wanted(at) {
			slots[band] = append(slots[band], k)
		}
	}
	return slots
}

func mixFlows(rng *rand.Rand, load []flow, slots []int) {
	rng.Shuffle(len(slots), func(a, b int) {
		a, b = slots[a], slots[b]
		load[a].imp, load[b].imp = load[b].imp, load[a].imp
	})
	rng.Shuffle(len(slots), func(a, b int) {
		a, b = slots[a], slots[b]
		load[a].exp, load[b].exp = load[b].exp, load[a].exp
	})
}

func turnFlows(load []flow, slots []int) {
	for a, b := 0, len(slots)-1; a < b; a, b = a+1, b-1 {
		load[slots[a]], load[slots[b]] = load[slots[b]], load[slots[a]]
	}
}

// flowAt is the flow of household i in the interval that ends at a time.
func (w *world) flowAt(i int, end time.Time) flow {
	k := int(end.Sub(w.start())/testResolution.Duration()) - 1
	if k < 0 || k >= len(w.loads[i]) {
		return flow{}
	}
	return w.loads[i][k]
}

// table is a household's flows as a load.
type table struct {
	start int64
	flows []flow
}

// Energy implements source.Load.
func (l table) Energy(start int64) (imp, exp wattveil.Wh, ok bool) {
	k := (start - l.start) / int64(testResolution)
	if start < l.start || k >= int64(len(l.flows)) {
		return 0, 0, false
	}
	return wattveil.Wh(l.flows[k].imp), wattveil.Wh(l.flows[k].exp), true
}

// MeterID implements utility.Names. Meters are added in the households' order.
func (n *worldNames) MeterID() wattveil.MeterID {
	n.next++
	return n.world.ids[n.next-1]
}

// Pseudonym implements utility.Names.
func (n *worldNames) Pseudonym(id wattveil.MeterID) wattveil.Pseudonym {
	return n.world.pseudonymOf(id)
}

type worldNames struct {
	world *world
	next  int
}

func (w *world) pseudonymOf(id wattveil.MeterID) wattveil.Pseudonym {
	for i, other := range w.ids {
		if other == id {
			return w.pseudonyms[i]
		}
	}
	panic(fmt.Sprintf("meter %v is not of this world", id))
}

// home is the household with a pseudonym.
func (w *world) home(p wattveil.Pseudonym) int {
	for i, other := range w.pseudonyms {
		if other == p {
			return i
		}
	}
	panic(fmt.Sprintf("pseudonym %v is not of this world", p))
}

// baseReader draws a household's register bases, alike in every run.
func baseReader(i int) io.Reader {
	var seed [32]byte
	binary.BigEndian.PutUint64(seed[:], uint64(i)+1)
	return rand.NewChaCha8(seed)
}

func (w *world) config(p *played) Config {
	cfg := Config{
		Dir: p.dir, Resolution: testResolution, Seed: 7, Collectors: worldCollectors,
		Start: w.start().Unix(), End: w.end().Unix(), PoolWindow: time.Minute, AtOnce: 1,
		Names: &worldNames{world: w}, Rand: baseReader,
		Place: func(i int) int { return w.place[i] },
		Tap:   p.tapped, Log: p.logger, FS: func(string) vfs.FS { return hastyFS{vfs.Default} },
	}
	for i, flows := range w.loads {
		cfg.Households = append(cfg.Households, Household{
			Column: fmt.Sprintf("home-%d", i), Load: table{w.start().Unix(), flows},
		})
	}
	cfg.Link = func(i int, r provision.Record, inner meter.Link) meter.Link {
		p.secrets[r.Meter] = r
		if w.trouble {
			inner = &troubledMeter{Link: inner, played: p, home: i, record: r, seen: make(map[wire.Type][]byte)}
		}
		if hours, ok := lateHours[i]; w.late && ok {
			inner = &lateMeter{Link: inner, played: p, hours: hours}
		}
		if w.leak.link != nil {
			return w.leak.link(p, i, r, inner)
		}
		return inner
	}
	cfg.BeforeTap, cfg.BehindTap = p.meddle(w.leak.beforeTap), p.meddle(troubled)
	return cfg
}

func (p *played) tapped(r Record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.records = append(p.records, r)
}

func (p *played) now() time.Time {
	if c := p.clock.Load(); c != nil {
		return c.Now()
	}
	return time.Time{}
}

func (p *played) logger(party string) *slog.Logger {
	h := slog.NewTextHandler(&lineWriter{p, party}, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	})
	return slog.New(h)
}

// lineWriter takes a party's log. A handler writes each line at once.
type lineWriter struct {
	played *played
	party  string
}

// Write implements io.Writer.
func (w *lineWriter) Write(line []byte) (int, error) {
	p := w.played
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines = append(p.lines, logLine{w.party, p.now(), string(line)})
	return len(line), nil
}

// stuck is when a run is given up that does not get on, real time.
const stuck = 3 * time.Minute

// play runs worlds to their bills and stops all parties. The worlds run side by
// side, since each waits for the disk most of the time.
func play(t *testing.T, worlds ...*world) []*played {
	t.Helper()
	runs := make([]*played, len(worlds))
	ctx, cancel := context.WithTimeout(t.Context(), stuck)
	defer cancel()
	var group errgroup.Group
	for i, w := range worlds {
		runs[i] = &played{
			world: w, dir: t.TempDir(), secrets: make(map[wattveil.MeterID]provision.Record),
			queues: make(view), stored: make(view), counts: make(view),
		}
		group.Go(func() error { return runs[i].play(ctx) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	return runs
}

func (p *played) play(ctx context.Context) (err error) {
	if p.grid, err = Open(ctx, p.config(p)); err != nil {
		return err
	}
	p.clock.Store(p.grid.clock)
	return errors.Join(p.stages(ctx), p.grid.Close())
}

func (p *played) stages(ctx context.Context) error {
	g := p.grid
	for _, m := range g.meters {
		if err := m.conn.Await(ctx); err != nil {
			return err
		}
	}
	listed := make([]*meterNode, len(g.meters))
	for to, from := range p.order {
		listed[to] = g.meters[from]
	}
	g.meters = listed
	document, err := p.terms.MarshalJSON()
	if err != nil {
		return err
	}
	if _, err := g.PutTariff(ctx, document); err != nil {
		return err
	}
	for _, stage := range []func(context.Context) error{g.Ready, p.live, p.look} {
		if err := stage(ctx); err != nil {
			return err
		}
	}
	return nil
}

// live plays the whole time and asks for each bill when its days are over.
func (p *played) live(ctx context.Context) error {
	from := p.start()
	at := from
	for _, days := range p.bills {
		to := p.day(days)
		var err error
		if at, err = p.ticks(ctx, at, to); err != nil {
			return err
		}
		if err := p.grid.Drain(ctx); err != nil {
			return err
		}
		if err := p.bill(ctx, from, to); err != nil {
			return err
		}
		from = to
	}
	return p.allIsWell(ctx)
}

// ticks plays the reading times from one to another and gives the next: at
// first every one of them, then, as if meters had been out of reach, some with
// many readings at once.
func (p *played) ticks(ctx context.Context, at, to time.Time) (time.Time, error) {
	g := p.grid
	for !at.After(to) {
		g.clock.Set(at)
		if err := g.handOver(ctx); err != nil {
			return at, err
		}
		if at.Hour() == 12 && at.Minute() == 0 {
			if err := p.lookIntoQueues(); err != nil {
				return at, err
			}
		}
		if err := g.Tick(ctx, at); err != nil {
			return at, err
		}
		at = p.nextTick(at, to)
	}
	return at, nil
}

// nextTick follows the local clock on the days with few ticks, and does not
// pass the end of a bill.
func (p *played) nextTick(at, to time.Time) time.Time {
	if at.Before(p.day(p.fine)) || at.Equal(to) {
		return at.Add(testResolution.Duration())
	}
	step := coarseHours
	if p.late && !at.Before(p.day(lateDay)) {
		step = 24
	}
	next := time.Date(at.Year(), at.Month(), at.Day(), at.Hour()/step*step+step, 0, 0, 0, at.Location())
	if at.Before(to) && next.After(to) {
		return to
	}
	return next
}

// bill asks for the bills of some days.
func (p *played) bill(ctx context.Context, from, to time.Time) error {
	bills, err := p.grid.Bill(ctx, p.terms.ID(), from, to)
	p.billed = append(p.billed, bills...)
	return err
}

// allIsWell demands that it is: a run in which something failed proves nothing.
func (p *played) allIsWell(ctx context.Context) error {
	report, err := p.grid.Report(ctx, p.billed, 0)
	if err != nil {
		return err
	}
	if p.trouble {
		if err := p.askInVain(ctx); err != nil {
			return err
		}
	}
	want := int64(p.intervals(p.end())) + 1
	for _, m := range report.Meters {
		if m.ReadingsStored != want {
			return fmt.Errorf("%s: %d readings stored, want %d", m.Column, m.ReadingsStored, want)
		}
	}
	return report.Err()
}

// hastyFS is a disk that does not wait: nothing crashes here, and the bytes
// that are written are the same.
type hastyFS struct{ vfs.FS }

type hastyFile struct{ vfs.File }

func (f hastyFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return hasty(f.FS.Create(name, c))
}

func (f hastyFS) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return hasty(f.FS.ReuseForWrite(from, to, c))
}

func (f hastyFS) OpenDir(name string) (vfs.File, error) { return hasty(f.FS.OpenDir(name)) }

func hasty(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return hastyFile{f}, nil
}

func (hastyFile) Sync() error                { return nil }
func (hastyFile) SyncData() error            { return nil }
func (hastyFile) SyncTo(int64) (bool, error) { return true, nil }
