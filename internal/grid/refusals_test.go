package grid

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/clpke"
	"github.com/wattveil/wattveil/collector"
	"github.com/wattveil/wattveil/link"
	"github.com/wattveil/wattveil/meter"
	"github.com/wattveil/wattveil/peer"
	"github.com/wattveil/wattveil/provision"
	"github.com/wattveil/wattveil/wire"
)

// TestRefusalsStopNothing attacks a running platform from every side. Each
// attack is refused under its class and counted, and every household still
// gets a verified bill with all of its energy.
func TestRefusalsStopNothing(t *testing.T) {
	cfg := testConfig(t, 3, 2)
	var log syncBuffer
	cfg.Log = func(party string) *slog.Logger {
		return slog.New(slog.NewTextHandler(&log, nil)).With("party", party)
	}
	var spy spiedLink
	cfg.Link = func(i int, r provision.Record, inner meter.Link) meter.Link {
		if i != 0 {
			return inner
		}
		spy.Link, spy.record = inner, r
		return &spy
	}
	g := open(t, cfg)
	a := attack{T: t, grid: g, spy: &spy, log: &log}
	total := int((cfg.End-cfg.Start)/int64(cfg.Resolution)) + 1
	r := run(t, g, func(ctx context.Context) error {
		for i := range total {
			if err := g.Tick(ctx, time.Unix(cfg.Start+int64(i)*int64(cfg.Resolution), 0)); err != nil {
				return err
			}
			if i == total/2 {
				a.frames(ctx)
				a.strangers()
				a.staleRegistration(ctx)
				a.unknownMeter(ctx)
				a.foreignCertificates(ctx)
				a.oversizedBodies(ctx)
				a.takenPort()
			}
		}
		return nil
	})
	a.counted()
	checkReport(t, cfg, r)
}

// spiedLink remembers a meter's first frame of each type.
type spiedLink struct {
	meter.Link
	record provision.Record

	mu    sync.Mutex
	first map[wire.Type][]byte
}

// Publish implements meter.Link.
func (s *spiedLink) Publish(ctx context.Context, frame []byte) error {
	if t, _, err := wire.ParsePrefix(frame); err == nil {
		s.mu.Lock()
		if s.first == nil {
			s.first = make(map[wire.Type][]byte)
		}
		if s.first[t] == nil {
			s.first[t] = bytes.Clone(frame)
		}
		s.mu.Unlock()
	}
	return s.Link.Publish(ctx, frame)
}

func (s *spiedLink) seen(t wire.Type) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Clone(s.first[t])
}

// attack is what the test does to a platform.
type attack struct {
	*testing.T
	grid *Grid
	spy  *spiedLink
	log  *syncBuffer
}

// frames sends, over an honest meter's own connection: a message with a forged
// UC tag, one that the utility cannot tell from a good one but that does not
// open, a registration that was answered long ago, and another's message.
func (a attack) frames(ctx context.Context) {
	data := a.spy.seen(wire.TypeData)
	forgedTag := bytes.Clone(data)
	forgedTag[len(forgedTag)-1] ^= 1
	unopenable := bytes.Clone(data[:len(data)-wire.TagSize])
	unopenable[len(unopenable)-1] ^= 1
	unopenable = wire.NewTagger().Append(a.spy.record.Secret.DataTagKey(), unopenable)
	for what, frame := range map[string][]byte{
		"forged tag": forgedTag, "unopenable": unopenable, "repeated registration": a.spy.seen(wire.TypeRegister),
	} {
		if err := a.spy.Link.Publish(ctx, frame); err != nil {
			a.Errorf("%s: %v", what, err)
		}
	}
	foreign := bytes.Clone(data)
	foreign[1] ^= 1 // of ID_SM
	if err := a.spy.Link.Publish(ctx, foreign); !errors.Is(err, link.ErrRefused) {
		a.Errorf("message of another meter: %v, want a refusal", err)
	}
}

// strangers connect as a meter that nobody knows, and as a known one without
// its password.
func (a attack) strangers() {
	unknown := a.dial(0x0123456789abcdef, "guess")
	guessed := a.dial(a.spy.record.Meter, "guess")
	waitFor(a.T, func() bool { return a.collector().Strangers >= 2 })
	for _, c := range []*link.Client{unknown, guessed} {
		if err := c.Close(); err != nil {
			a.Error(err)
		}
	}
}

func (a attack) dial(id wattveil.MeterID, password string) *link.Client {
	c, err := link.Dial(link.Config{Brokers: a.spy.record.Collectors, ID: id, Password: password, AckTimeout: ackTimeout})
	if err != nil {
		a.Fatal(err)
	}
	return c
}

// collector is what the first collector has counted.
func (a attack) collector() collector.Stats { return a.grid.collectors[0].role.Stats() }

// staleRegistration registers a meter whose clock is three days behind. The
// utility tells it the time, and that is all that it gets.
func (a attack) staleRegistration(ctx context.Context) {
	records, err := a.grid.utilityRole().AddMeters(ctx, 1, a.spy.record.Collectors, nil)
	if err != nil {
		a.Fatal(err)
	}
	if err := a.grid.post(ctx); err != nil { // brings the roster
		a.Fatal(err)
	}
	late := records[0]
	c := a.dial(late.Meter, late.LinkPassword())
	defer func() { _ = c.Close() }()
	user, err := clpke.NewUserKey()
	if err != nil {
		a.Fatal(err)
	}
	now := a.grid.clock.Now()
	request := late.Secret.Register(late.Meter, wire.RegisterRequest{Time: now.AddDate(0, 0, -3).Unix(), Mu: user.Public()})
	if err := c.Publish(ctx, request); err != nil {
		a.Fatal(err)
	}
	if err := a.grid.post(ctx); err != nil {
		a.Fatal(err)
	}
	select {
	case frame := <-c.Receive():
		refusal, err := late.Secret.OpenRegisterRefusal(late.Meter, request, frame)
		if err != nil || refusal.Time != now.Unix() {
			a.Errorf("answer to a stale registration: %v, time %d, want %d", err, refusal.Time, now.Unix())
		}
	case <-ctx.Done():
		a.Error("no answer to a stale registration")
	}
}

// unknownMeter has a collector of the utility's own pass on a message of a
// meter that the utility does not know.
func (a attack) unknownMeter(ctx context.Context) {
	frame := a.spy.seen(wire.TypeData)
	frame[1] ^= 1 // of ID_SM
	post := wire.Forward{Frames: [][]byte{frame}}.Append(nil)
	if _, err := a.client(a.newCollector(ctx), UtilityOrg).Do(ctx, "POST", "/v1/forward", post); err != nil {
		a.Error("post with a message of an unknown meter:", err)
	}
}

func (a attack) newCollector(ctx context.Context) *peer.Identity {
	id, err := a.grid.utilityRole().AddCollector(ctx, "attacker")
	if err != nil {
		a.Fatal(err)
	}
	return id
}

// client calls a server, whose certificate it trusts.
func (a attack) client(id *peer.Identity, server string) *peer.Client {
	trust := peer.NewTrust()
	name := peer.Name{Org: server, Role: peer.RoleUtility}
	address, authority := a.grid.utility.address, a.grid.utility.authority
	if server == TTPOrg {
		name.Role, address, authority = peer.RoleTTP, a.grid.ttp.address, a.grid.ttp.authority
	}
	trust.Pin(name.Org, name.Role, authority.Certificate)
	c := peer.NewClient(peer.ClientConfig{
		Identity: id, Trust: trust, Server: name, URL: "https://" + address, Now: a.grid.clock.Now,
	})
	a.Cleanup(c.Close)
	return c
}

// foreignCertificates calls both servers with the right names from an authority
// that nobody has pinned, and the TTP with a collector's certificate.
func (a attack) foreignCertificates(ctx context.Context) {
	now := a.grid.clock.Now()
	authority, err := peer.NewAuthority(UtilityOrg, now)
	if err != nil {
		a.Fatal(err)
	}
	for server, name := range map[string]peer.Name{
		UtilityOrg: {Org: UtilityOrg, Role: peer.RoleCollector, Instance: "collector-1"},
		TTPOrg:     {Org: UtilityOrg, Role: peer.RoleUtility},
	} {
		id, err := peer.NewIdentity(authority, name, nil, now)
		if err != nil {
			a.Fatal(err)
		}
		if _, err := a.client(id, server).Do(ctx, "POST", "/v1/messages", nil); err == nil {
			a.Errorf("%s answers to a foreign certificate", server)
		}
	}
	if _, err := a.client(a.newCollector(ctx), TTPOrg).Do(ctx, "GET", "/v1/bill-keys", nil); err == nil {
		a.Error("the TTP answers to a collector")
	}
}

// oversizedBodies posts one byte more than a body may have.
func (a attack) oversizedBodies(ctx context.Context) {
	body := make([]byte, wire.MaxBody+1)
	for server, c := range map[string]struct {
		id   *peer.Identity
		path string
	}{
		UtilityOrg: {a.newCollector(ctx), "/v1/forward"},
		TTPOrg:     {a.grid.utility.identity, "/v1/messages"},
	} {
		_, err := a.client(c.id, server).Do(ctx, "POST", c.path, body)
		if refusal, ok := errors.AsType[*peer.Refusal](err); !ok || refusal.Class != "oversized" {
			a.Errorf("%s: oversized body: %v", server, err)
		}
	}
}

// takenPort serves where somebody else does.
func (a attack) takenPort() {
	for _, address := range []string{a.grid.ttp.address, a.grid.utility.address, a.grid.collectors[0].address} {
		_, err := serve(a.grid.ttp.role.Server(), address)
		switch {
		case err == nil:
			a.Errorf("%s is served twice", address)
		case !strings.Contains(err.Error(), "is another process using the port?"), strings.Contains(err.Error(), "\n"):
			a.Errorf("port in use: %q", err)
		}
		if op, ok := errors.AsType[*net.OpError](err); !ok || op.Addr.String() != address {
			a.Errorf("port in use: %v does not name %s", err, address)
		}
	}
}

// counted demands that each attack was counted where it was refused.
func (a attack) counted() {
	for _, c := range []struct {
		where string
		got   map[wire.Class]int64
		want  []wire.Class
	}{
		{UtilityOrg, a.grid.utilityRole().Refused(), []wire.Class{wire.Forged, wire.Replayed, wire.Stale, wire.Unknown}},
		{TTPOrg, a.grid.ttpRole().Refused(), []wire.Class{wire.Forged}},
	} {
		for _, class := range c.want {
			if c.got[class] != 1 {
				a.Errorf("%s has counted %d refusals of class %s, want 1; all: %v", c.where, c.got[class], class, c.got)
			}
		}
	}
	if s := a.collector(); s.Malformed != 1 || s.Strangers < 2 || s.Never != 3 {
		a.Errorf("collector: %d malformed frames, %d strangers, %d frames refused above it; want 1, 2 or more, 3", s.Malformed, s.Strangers, s.Never)
	}
	for server, classes := range map[string]map[string]int{
		UtilityOrg: {"untrusted": 1, "oversized": 1},
		TTPOrg:     {"untrusted": 2, "oversized": 1},
	} {
		for class, want := range classes {
			if got := a.logged(server, class); got != want {
				a.Errorf("%s has logged %d refusals of class %s, want %d", server, got, class, want)
			}
		}
	}
}

// logged is how often a party's log names a class.
func (a attack) logged(party, class string) int {
	n := 0
	for line := range strings.Lines(a.log.String()) {
		if strings.Contains(line, "party="+party+" ") && strings.Contains(line, " class="+class+" ") {
			n++
		}
	}
	return n
}
