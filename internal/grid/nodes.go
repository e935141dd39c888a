package grid

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/collector"
	"github.com/wattveil/wattveil/collector/queue"
	"github.com/wattveil/wattveil/internal/folder"
	"github.com/wattveil/wattveil/link"
	"github.com/wattveil/wattveil/meter"
	"github.com/wattveil/wattveil/meter/source"
	"github.com/wattveil/wattveil/meter/vault"
	"github.com/wattveil/wattveil/peer"
	"github.com/wattveil/wattveil/provision"
	readingspebble "github.com/wattveil/wattveil/readings/pebble"
	"github.com/wattveil/wattveil/ttp"
	"github.com/wattveil/wattveil/utility"
)

const (
	localhost     = "127.0.0.1"
	anyPort       = localhost + ":0"
	identityFile  = "server"
	deviceKeyFile = "device.key"
	vaultFile     = "vault"
	ackTimeout    = 5 * time.Second // real time
	enrolEvery    = time.Hour
	stopTimeout   = 5 * time.Second
	handOverTries = 200
	retryPause    = 5 * time.Millisecond
)

// ttpNode is the TTP with its folder, store and server.
type ttpNode struct {
	grid      *Grid
	authority *peer.Authority
	identity  *peer.Identity
	address   string

	folder *folder.Folder
	fs     vfs.FS
	store  *readingspebble.Store
	role   *ttp.TTP
}

func (g *Grid) newTTP(ctx context.Context) (*ttpNode, error) {
	n := &ttpNode{grid: g, address: anyPort}
	var err error
	if n.authority, n.identity, err = newOrganisation(TTPOrg, peer.RoleTTP, g.clock.Now()); err != nil {
		return nil, err
	}
	return n, n.start(ctx)
}

// newOrganisation makes an organisation's authority and its server's identity.
func newOrganisation(org, role string, now time.Time) (*peer.Authority, *peer.Identity, error) {
	authority, err := peer.NewAuthority(org, now)
	if err != nil {
		return nil, nil, err
	}
	id, err := peer.NewIdentity(authority, peer.Name{Org: org, Role: role}, []string{localhost, "localhost"}, now)
	return authority, id, err
}

// start opens the TTP in its folder and serves it.
func (n *ttpNode) start(ctx context.Context) (err error) {
	if n.folder, err = folder.Open(n.grid.dir(TTPOrg)); err != nil {
		return err
	}
	if err := saveKeys(n.folder.Path, n.authority, n.identity); err != nil {
		return err
	}
	n.fs = n.grid.cfg.FS(TTPOrg)
	n.store, err = readingspebble.Open(n.folder.File("readings"), readingspebble.Options{
		FS: n.fs, Logger: n.grid.cfg.Log(TTPOrg),
	})
	if err != nil {
		return err
	}
	n.role, err = ttp.Open(ctx, ttp.Config{
		Dir: n.folder.Path, Name: TTPOrg, Readings: n.store, Authority: n.authority, Identity: n.identity,
		Now: n.grid.clock.Now, Log: n.grid.cfg.Log(TTPOrg),
	})
	if err != nil {
		return err
	}
	n.address, err = serve(n.role.Server(), n.address)
	return err
}

func saveKeys(dir string, a *peer.Authority, id *peer.Identity) error {
	return errors.Join(a.Save(dir), id.Save(dir, identityFile))
}

// serve serves in the background and returns the address.
func serve(s *peer.Server, address string) (string, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return "", fmt.Errorf("listen: %w; is another process using the port?", err)
	}
	go func() { _ = s.Serve(l) }() // ends with the server
	return l.Addr().String(), nil
}

// stop ends the TTP as a power cut would: connections break, nothing is
// flushed, and its store is left as it lies on the disk.
func (n *ttpNode) stop() error {
	return errors.Join(n.role.Server().Close(), crash(n.fs), n.role.Close(), n.folder.Close())
}

func (n *ttpNode) close() error {
	if n.role == nil {
		return nil
	}
	return errors.Join(shutdown(n.role.Server()), n.role.Close(), n.store.Close(), n.folder.Close())
}

func shutdown(s *peer.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		return s.Close()
	}
	return nil
}

// utilityNode is the utility with its folder and server.
type utilityNode struct {
	grid      *Grid
	authority *peer.Authority
	identity  *peer.Identity
	address   string

	folder *folder.Folder
	client *peer.Client
	role   *utility.Utility
}

func (g *Grid) newUtility(ctx context.Context) (*utilityNode, error) {
	n := &utilityNode{grid: g, address: anyPort}
	var err error
	if n.authority, n.identity, err = newOrganisation(UtilityOrg, peer.RoleUtility, g.clock.Now()); err != nil {
		return nil, err
	}
	return n, n.start(ctx)
}

func (n *utilityNode) start(ctx context.Context) (err error) {
	g := n.grid
	if n.folder, err = folder.Open(g.dir(UtilityOrg)); err != nil {
		return err
	}
	if err := saveKeys(n.folder.Path, n.authority, n.identity); err != nil {
		return err
	}
	ttpName := peer.Name{Org: TTPOrg, Role: peer.RoleTTP}
	trust := peer.NewTrust()
	trust.Pin(TTPOrg, peer.RoleTTP, g.ttp.authority.Certificate)
	n.client = peer.NewClient(peer.ClientConfig{
		Identity: n.identity, Trust: trust, Server: ttpName, URL: "https://" + g.ttp.address,
		Now: g.clock.Now, Wrap: g.wrap(UtilityOrg, TTPOrg),
	})
	n.role, err = utility.Open(ctx, utility.Config{
		Dir: n.folder.Path, Org: UtilityOrg, Authority: n.authority, Identity: n.identity,
		TTP: n.client, TTPName: ttpName, Names: g.cfg.Names, Now: g.clock.Now, Log: g.cfg.Log(UtilityOrg),
		PoolWindow: g.cfg.PoolWindow, EnrolEvery: enrolEvery,
	})
	if err != nil {
		return err
	}
	n.address, err = serve(n.role.Server(), n.address)
	return err
}

// wrap puts faults, and under them the tap, on the way from one server to
// another.
func (g *Grid) wrap(from, to string) func(http.RoundTripper) http.RoundTripper {
	return func(rt http.RoundTripper) http.RoundTripper {
		tapped := g.tapTransport(from, to, g.cfg.BehindTap(from, to, rt))
		return g.faults.transport(from + " " + to)(g.cfg.BeforeTap(from, to, tapped))
	}
}

// stop ends the utility as a power cut would.
func (n *utilityNode) stop() error {
	n.client.Close()
	return errors.Join(n.role.Server().Close(), n.role.Close(), n.folder.Close())
}

func (n *utilityNode) close() error {
	if n.role == nil {
		return nil
	}
	n.client.Close()
	return errors.Join(shutdown(n.role.Server()), n.role.Close(), n.folder.Close())
}

// collectorNode is a collector with its folder, queue and broker.
type collectorNode struct {
	grid     *Grid
	name     string
	identity *peer.Identity
	address  string

	folder    *folder.Folder
	fs        vfs.FS
	queue     *queue.Queue
	client    *peer.Client
	role      *collector.Collector
	downlinks atomic.Int64 // sent to connected meters
}

func (g *Grid) newCollector(ctx context.Context, name string) (*collectorNode, error) {
	n := &collectorNode{grid: g, name: name, address: anyPort}
	var err error
	if n.identity, err = g.utility.role.AddCollector(ctx, name); err != nil {
		return nil, err
	}
	return n, n.start()
}

func (n *collectorNode) start() (err error) {
	g := n.grid
	if n.folder, err = folder.Open(g.dir(n.name)); err != nil {
		return err
	}
	if err := n.identity.Save(n.folder.Path, identityFile); err != nil {
		return err
	}
	n.fs = g.cfg.FS(n.name)
	if n.queue, err = queue.Open(n.folder.File("queue"), queue.Options{
		FS: n.fs, MaxFrames: g.cfg.QueueFrames, Now: g.clock.Now, Log: g.cfg.Log(n.name),
	}); err != nil {
		return err
	}
	trust := peer.NewTrust()
	trust.Pin(UtilityOrg, peer.RoleUtility, g.utility.authority.Certificate)
	n.client = peer.NewClient(peer.ClientConfig{
		Identity: n.identity, Trust: trust, Server: peer.Name{Org: UtilityOrg, Role: peer.RoleUtility},
		URL: "https://" + g.utility.address, Now: g.clock.Now, Wrap: g.wrap(n.name, UtilityOrg),
	})
	n.role, err = collector.Open(collector.Config{
		Queue: n.queue, Utility: n.client, Interval: g.cfg.collectorInterval(), Now: g.clock.Now,
		RosterFile: n.folder.File("roster"), Identity: n.identity,
		Save: func(id *peer.Identity) error { return id.Save(n.folder.Path, identityFile) },
		Held: func(id wattveil.MeterID, frame []byte) { g.audit.held(id, frame, g.clock.Now()) },
		Log:  g.cfg.Log(n.name),
	})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", n.address)
	if err != nil {
		return fmt.Errorf("listen: %w; is another process using the port?", err)
	}
	n.address = l.Addr().String()
	return n.role.Serve(l)
}

// post does one interval's post. A post that fails keeps its frames for the
// next interval.
func (n *collectorNode) post(ctx context.Context) error {
	n.grid.nodes.RLock()
	role := n.role
	n.grid.nodes.RUnlock()
	done, err := role.Forward(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		n.grid.cfg.Log(n.name).Warn("post waits for the next interval", "error", err)
	}
	n.downlinks.Add(int64(done.Downlinks))
	return nil
}

// stop ends the collector as a power cut would: its queue is not closed.
func (n *collectorNode) stop() error {
	n.client.Close()
	return errors.Join(n.role.Close(), crash(n.fs), n.folder.Close())
}

func (n *collectorNode) close() error {
	if n.role == nil {
		return nil
	}
	n.client.Close()
	return errors.Join(n.role.Close(), n.queue.Close(), n.folder.Close())
}

// meterNode is a household's meter.
type meterNode struct {
	grid   *Grid
	column string
	id     wattveil.MeterID

	conn     *link.Client
	link     *faultyLink
	agent    *meter.Agent
	complete int64 // the TTP's store has all readings up to here
}

// newMeter starts the meter of a household, whose first reading is at a time.
func (g *Grid) newMeter(i int, h Household, record provision.Record, first int64) (*meterNode, error) {
	n := &meterNode{
		grid: g, column: h.Column, id: record.Meter,
		complete: first - int64(g.cfg.Resolution),
	}
	dir, err := folder.Open(g.dir("meters", record.Meter.String()))
	if err != nil {
		return nil, err
	}
	if err := dir.Close(); err != nil { // the vault and its key are the meter's only files
		return nil, err
	}
	key, err := vault.LoadOrMakeKey(filepath.Join(dir.Path, deviceKeyFile))
	if err != nil {
		return nil, err
	}
	v, err := vault.Open(filepath.Join(dir.Path, vaultFile), key)
	if err != nil {
		return nil, err
	}
	n.conn, err = link.Dial(link.Config{
		Brokers: record.Collectors, ID: record.Meter, Password: record.LinkPassword(),
		Authority: record.Authority, Domain: record.Domain, Now: g.clock.Now, AckTimeout: ackTimeout, Log: g.cfg.Log("meter"),
	})
	if err != nil {
		return nil, err
	}
	n.link = g.faults.link(g.ctx, "meter "+h.Column, g.cfg.Link(i, record, g.tapLink(record.Meter, n.conn)))
	imp, exp := g.displayBases(i)
	n.agent, err = meter.New(meter.Config{
		Provision: record, Link: n.link, Vault: v,
		Source:     source.NewRegisters(h.Load, g.cfg.Resolution, first, imp, exp),
		Resolution: g.cfg.Resolution, First: first, Now: g.clock.Now,
		Retry: 2 * g.cfg.collectorInterval(), Rand: g.cfg.Rand(i), Log: g.cfg.Log("meter"),
	})
	return n, err
}

// handOver steps the meter until it has handed over what is due. A meter whose
// collector is full keeps its readings, and so does one whose collector is away;
// for that one the clock waits a while.
func (n *meterNode) handOver(ctx context.Context) (err error) {
	for range handOverTries {
		if err = n.agent.Step(ctx); err == nil || errors.Is(err, link.ErrRefused) {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !errors.Is(err, errLost) {
			time.Sleep(retryPause) // a broken connection takes a moment to come back
		}
	}
	return fmt.Errorf("meter of %s cannot hand over: %w", n.column, err)
}

func (n *meterNode) keyed() bool { return n.agent.Status().Epoch != 0 }

func (n *meterNode) close() error {
	if n.conn == nil {
		return nil
	}
	return n.conn.Close()
}
