package main

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/clpke"
	"github.com/wattveil/wattveil/collector"
	"github.com/wattveil/wattveil/collector/queue"
	"github.com/wattveil/wattveil/peer"
	"github.com/wattveil/wattveil/readings"
	readingspebble "github.com/wattveil/wattveil/readings/pebble"
	"github.com/wattveil/wattveil/ttp"
	"github.com/wattveil/wattveil/utility"
)

const (
	localhost     = "127.0.0.1"
	anyPort       = localhost + ":0"
	utilityOrg    = "utility.example"
	ttpOrg        = "ttp.example"
	postEvery     = time.Second
	platformWaits = 60 * time.Second
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// platform is a utility, a TTP and a collector in real time, for meters of
// other processes.
type platform struct {
	t         testing.TB
	store     *readingspebble.Store
	ttp       *ttp.TTP
	utility   *utility.Utility
	collector string // address of its broker
	secured   string // of another collector's, over TLS
	number    wattveil.UCNumber
}

func newPlatform(t testing.TB) *platform {
	t.Helper()
	p := &platform{t: t}
	ctx, cancel := context.WithCancel(context.Background())
	authority, identity := organisation(t, ttpOrg, peer.RoleTTP)
	url := p.openTTP(ctx, authority, identity)
	theirs, id := organisation(t, utilityOrg, peer.RoleUtility)
	var err error
	p.number, err = p.ttp.AddUtility(ctx, utilityOrg, theirs.Certificate)
	must(t, err)
	back := p.openUtility(ctx, theirs, id, authority, url)
	must(t, p.utility.EnrolTTP(ctx))
	p.collector = p.openCollector(ctx, theirs, back, "north", false)
	p.secured = p.openCollector(ctx, theirs, back, "south", true)
	t.Cleanup(cancel) // the first to run: nothing is posted to who is closed
	return p
}

func organisation(t testing.TB, org, role string) (*peer.Authority, *peer.Identity) {
	t.Helper()
	now := time.Now()
	authority, err := peer.NewAuthority(org, now)
	must(t, err)
	id, err := peer.NewIdentity(authority, peer.Name{Org: org, Role: role}, []string{localhost}, now)
	must(t, err)
	return authority, id
}

func (p *platform) openTTP(ctx context.Context, a *peer.Authority, id *peer.Identity) (url string) {
	dir := p.t.TempDir()
	var err error
	p.store, err = readingspebble.Open(filepath.Join(dir, "readings"), readingspebble.Options{})
	must(p.t, err)
	p.ttp, err = ttp.Open(ctx, ttp.Config{Dir: dir, Name: ttpOrg, Readings: p.store, Authority: a, Identity: id})
	must(p.t, err)
	p.t.Cleanup(func() { _ = errors.Join(p.ttp.Server().Close(), p.ttp.Close(), p.store.Close()) })
	return "https://" + serveAny(p.t, p.ttp.Server())
}

func serveAny(t testing.TB, s *peer.Server) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", anyPort)
	must(t, err)
	go func() { _ = s.Serve(l) }() // ends with the server
	return l.Addr().String()
}

func client(t testing.TB, id *peer.Identity, server peer.Name, theirs *peer.Authority, url string) *peer.Client {
	trust := peer.NewTrust()
	trust.Pin(server.Org, server.Role, theirs.Certificate)
	c := peer.NewClient(peer.ClientConfig{Identity: id, Trust: trust, Server: server, URL: url})
	t.Cleanup(c.Close)
	return c
}

func (p *platform) openUtility(ctx context.Context, a *peer.Authority, id *peer.Identity, theirs *peer.Authority, url string) (back string) {
	name := peer.Name{Org: ttpOrg, Role: peer.RoleTTP}
	var err error
	p.utility, err = utility.Open(ctx, utility.Config{
		Dir: p.t.TempDir(), Org: utilityOrg, Authority: a, Identity: id,
		TTP: client(p.t, id, name, theirs, url), TTPName: name, PoolWindow: postEvery,
	})
	must(p.t, err)
	p.t.Cleanup(func() { _ = errors.Join(p.utility.Server().Close(), p.utility.Close()) })
	go func() {
		for tick := time.NewTicker(postEvery); ; {
			select {
			case <-ctx.Done():
				tick.Stop()
				return
			case <-tick.C:
				_ = p.utility.Maintain(ctx) // enrols what has registered
			}
		}
	}()
	return "https://" + serveAny(p.t, p.utility.Server())
}

func (p *platform) openCollector(ctx context.Context, a *peer.Authority, url, name string, overTLS bool) (address string) {
	id, err := p.utility.AddCollector(ctx, name)
	must(p.t, err)
	dir := p.t.TempDir()
	q, err := queue.Open(filepath.Join(dir, "queue"), queue.Options{})
	must(p.t, err)
	c, err := collector.Open(collector.Config{
		Queue: q, Utility: client(p.t, id, peer.Name{Org: utilityOrg, Role: peer.RoleUtility}, a, url),
		Interval: postEvery, RosterFile: filepath.Join(dir, "roster"), Identity: id, TLS: overTLS,
	})
	must(p.t, err)
	l, err := net.Listen("tcp", anyPort)
	must(p.t, err)
	must(p.t, c.Serve(l))
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		_ = c.Run(ctx)
	}()
	p.t.Cleanup(func() {
		<-stopped
		_ = errors.Join(c.Close(), q.Close())
	})
	return l.Addr().String()
}

// provision adds meters and gives the content of their provisioning file.
func (p *platform) provision(n int) (content string, err error) {
	return p.provisionAt("mqtt://"+p.collector, n)
}

// provisionAt is provision for meters of the collector at an address.
func (p *platform) provisionAt(collector string, n int) (content string, err error) {
	root := clpke.RootFingerprint(p.ttp.RootKey())
	records, err := p.utility.AddMeters(context.Background(), n, []string{collector}, &root)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, r := range records {
		line, err := r.Encode()
		if err != nil {
			return "", err
		}
		b.Write(line)
		b.WriteByte('\n')
	}
	return b.String(), nil
}

// stored is all that the TTP has of a meter.
func (p *platform) stored(id wattveil.MeterID) (readings.Folded, error) {
	names, err := p.utility.Meters(context.Background())
	if err != nil {
		return readings.Folded{}, err
	}
	pseudonym, ok := names[id]
	if !ok {
		return readings.Folded{}, nil
	}
	return p.store.Read(context.Background(), wattveil.Meter{UC: p.number, Pseudonym: pseudonym}, 0, readings.MaxTime)
}

// have waits until the TTP has that many readings of each meter of a
// provisioning file.
func (p *platform) have(file string, want int) error {
	records, err := readRecords(file, 0)
	if err != nil {
		return err
	}
	deadline := time.Now().Add(platformWaits)
	for _, r := range records {
		for {
			f, err := p.stored(r.Meter)
			if err != nil {
				return err
			}
			have := 0
			for _, run := range f.Runs {
				have += len(run.Readings)
			}
			if have >= want && len(f.Conflicts) == 0 {
				break
			}
			if len(f.Conflicts) > 0 {
				return errors.New("two values for one reading")
			}
			if time.Now().After(deadline) {
				return errors.New("the readings do not arrive")
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	return nil
}

func writeSecret(path, content string) error { return os.WriteFile(path, []byte(content), 0o600) }
