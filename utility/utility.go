// Package utility is the utility company's server. It knows which meter is
// whose, checks what meters send, puts pseudonyms in the place of their names
// and passes on what it cannot read. It asks the TTP for bills and verifies
// them.
//
// registration.go runs the key generation center towards meters, succession.go
// moves, replaces and retires them, forward.go takes what collectors post, pool.go mixes the collectors of one interval,
// relay.go calls the TTP, billing.go asks for bills.
package utility

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/internal/registry"
	"github.com/wattveil/wattveil/internal/sealed"
	"github.com/wattveil/wattveil/kgc"
	"github.com/wattveil/wattveil/peer"
	"github.com/wattveil/wattveil/wire"
)

//go:embed migrations/*.sql
var migrations embed.FS

// TTP is the connection to the TTP; *peer.Client is one.
type TTP interface {
	Do(ctx context.Context, method, path string, body []byte) ([]byte, error)
}

// Names draws the names of meters. The default draws 64 random bits each.
type Names interface {
	MeterID() wattveil.MeterID
	Pseudonym(wattveil.MeterID) wattveil.Pseudonym
}

// Config is what a utility needs. Dir is its own folder, which the caller has
// locked.
type Config struct {
	Dir       string
	Org       string // as in its certificates; also its collector domain
	Authority *peer.Authority
	Identity  *peer.Identity
	TTP       TTP       // the first TTP, if there is one already
	TTPName   peer.Name // of the first TTP
	Names     Names     // random if nil
	Now       func() time.Time
	Log       *slog.Logger // discards if nil

	// Interval is that of the collectors. A post for one that has not begun,
	// from a collector whose clock is wrong, is put off. Zero takes all.
	Interval    time.Duration
	PoolWindow  time.Duration // real time to wait for all collectors of an interval; 30 s if zero
	EnrolEvery  time.Duration // how often meters' statements go to the TTP; at once if zero
	MemberCache int           // meters held ready in memory; 1,048,576 if zero

	// Refused, if set, is told the class of each connection and request that
	// the server refuses as a whole; RoundTook how long each round took on its
	// way to the TTPs and back. Both are called from many goroutines.
	Refused   func(wire.Class)
	RoundTook func(time.Duration)
	// Backoff, if set, waits before a request to a TTP is repeated that got no
	// answer; n, from 0, counts the waits. [peer.Backoff] is one.
	Backoff func(ctx context.Context, n int) error
}

// Utility is a running utility. It is safe for concurrent use.
type Utility struct {
	cfg     Config
	db      *sql.DB
	seal    *sealed.Key
	master  *kgc.MasterKey
	signer  *ecdsa.PrivateKey
	trust   *peer.Trust
	members *lru.Cache[wattveil.MeterID, *member]
	changes atomic.Uint64 // of meters' standings, after which a member that was just read may be wrong
	taggers sync.Pool
	pool    *pool
	server  *peer.Server
	counts  wire.Tally
	stats   stats
	heard   sightings

	mu         sync.Mutex
	trustees   map[string]*trustee            // by organisation
	collectors map[string]*collectorState     // that may post
	answers    map[string]*storedAnswer       // by collector
	waiting    map[string][]wire.Downlink     // by collector: what did not fit its last answer
	rekey      map[wattveil.MeterID]*rekeyDue // notices to repeat
	moves      map[wattveil.MeterID]int64     // that are to come, Unix seconds
	lastEnrol  time.Time
}

const (
	defaultPoolWindow = 30 * time.Second
	defaultMembers    = 1 << 20
)

// Open opens the utility in its folder, and makes master key, signing key and
// registry if they are missing.
func Open(ctx context.Context, cfg Config) (*Utility, error) {
	cfg.setDefaults()
	u := &Utility{
		cfg: cfg, trust: peer.NewTrust(),
		trustees:   make(map[string]*trustee),
		collectors: make(map[string]*collectorState),
		answers:    make(map[string]*storedAnswer),
		waiting:    make(map[string][]wire.Downlink),
		rekey:      make(map[wattveil.MeterID]*rekeyDue),
		moves:      make(map[wattveil.MeterID]int64),
	}
	if cfg.TTP != nil {
		u.AddTTP(cfg.TTPName, cfg.TTP, nil)
	}
	u.taggers.New = func() any { return wire.NewTagger() }
	if err := u.loadKeys(); err != nil {
		return nil, err
	}
	schema, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("open utility: %w", err)
	}
	if u.members, err = lru.New[wattveil.MeterID, *member](cfg.MemberCache); err != nil {
		return nil, fmt.Errorf("open utility: %w", err)
	}
	if u.db, err = registry.Open(ctx, filepath.Join(cfg.Dir, "utility.db"), schema); err != nil {
		return nil, err
	}
	collectors, err := u.loadCollectors(ctx)
	if err == nil {
		err = u.loadMoves(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, u.db.Close())
	}
	u.pool = newPool(cfg.PoolWindow, collectors, u.relay)
	u.trust.PinKnown(cfg.Org, peer.RoleCollector, cfg.Authority.Certificates(), u.knowsCollector)
	u.server = peer.NewServer(peer.ServerConfig{
		Identity: cfg.Identity, Trust: u.trust, Now: cfg.Now, Log: cfg.Log, Refused: cfg.Refused,
	})
	u.server.Handle("POST /v1/forward", u.handleForward, peer.RoleCollector)
	u.server.Handle("POST /v1/certificate", u.handleCertificate, peer.RoleCollector)
	return u, nil
}

func (c *Config) setDefaults() {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Names == nil {
		c.Names = randomNames{}
	}
	if c.Backoff == nil {
		c.Backoff = func(context.Context, int) error { return nil }
	}
	if c.RoundTook == nil {
		c.RoundTook = func(time.Duration) {}
	}
	if c.PoolWindow == 0 {
		c.PoolWindow = defaultPoolWindow
	}
	if c.MemberCache == 0 {
		c.MemberCache = defaultMembers
	}
}

// loadKeys reads the folder's keys, or draws them.
func (u *Utility) loadKeys() (err error) {
	if u.seal, err = sealed.LoadKey(filepath.Join(u.cfg.Dir, "seal.key")); err != nil {
		return err
	}
	if u.signer, err = peer.LoadOrMakeKey(filepath.Join(u.cfg.Dir, "kgc.key")); err != nil {
		return err
	}
	const context = "master.key"
	path := filepath.Join(u.cfg.Dir, context)
	box, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return u.makeMaster(path, context)
	}
	if err != nil {
		return fmt.Errorf("master key: %w", err)
	}
	raw, err := u.seal.Open(context, box)
	if err != nil {
		return fmt.Errorf("%w: restore both from one backup", err)
	}
	u.master, err = kgc.ParseMasterKey(raw)
	return err
}

// Server is the utility's server for collectors; the caller gives it a
// listener.
func (u *Utility) Server() *peer.Server { return u.server }

// Shutdown stops taking posts and waits for those under way, whose round goes
// on at once.
func (u *Utility) Shutdown(ctx context.Context) error {
	u.pool.hurry()
	return u.server.Shutdown(ctx)
}

// Maintain does what is due by the clock: it ends what has drained, renews the
// certificate and enrols meters at the TTPs. Call it every interval.
func (u *Utility) Maintain(ctx context.Context) error {
	now := u.cfg.Now()
	if err := u.writeSightings(ctx, now, false); err != nil {
		return err
	}
	if err := u.endDrains(ctx, now); err != nil {
		return err
	}
	if err := u.cfg.Identity.Renew(u.cfg.Authority, now); err != nil {
		return fmt.Errorf("renew the utility's certificate: %w", err)
	}
	u.mu.Lock()
	due := now.Sub(u.lastEnrol) >= u.cfg.EnrolEvery
	u.mu.Unlock()
	if !due {
		return nil
	}
	if err := u.EnrolMeters(ctx); err != nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.lastEnrol = now
	return nil
}

// KGCCertificate is the certificate of the key that signs statements.
func (u *Utility) KGCCertificate() (*x509.Certificate, error) {
	name := peer.Name{Org: u.cfg.Org, Role: peer.RoleKGC}
	return u.cfg.Authority.Issue(name, u.signer.Public(), nil, u.cfg.Now())
}

// Close closes the registry.
func (u *Utility) Close() error {
	kept := u.writeSightings(context.Background(), u.cfg.Now(), true)
	if err := errors.Join(kept, u.db.Close()); err != nil {
		return fmt.Errorf("close utility: %w", err)
	}
	return nil
}
