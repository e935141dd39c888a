// Package ttp is the trusted third party: the only place where readings are
// opened. It answers utilities over mutual TLS (package peer) and knows a
// meter by utility number and pseudonym alone.
//
// enrol.go takes key statements, exchange.go makes session keys, ingest.go
// opens messages and makes their readings durable before it says so, receipt.go
// tells each meter once a day what of its readings is durable, bills.go
// makes bills, and says how. Masters are in SQLite, readings behind
// [Readings], bills also in an append-only log (package transparency).
package ttp

import (
	"context"
	"crypto/ecdsa"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/internal/registry"
	"github.com/wattveil/wattveil/internal/sealed"
	"github.com/wattveil/wattveil/peer"
	"github.com/wattveil/wattveil/readings"
	"github.com/wattveil/wattveil/tariff"
	"github.com/wattveil/wattveil/transparency"
	"github.com/wattveil/wattveil/wire"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Readings is what the TTP needs of a store of readings; readings.Store
// states the contract of each method.
type Readings interface {
	Append(ctx context.Context, batch []readings.Block) error
	Read(ctx context.Context, m wattveil.Meter, from, to int64) (readings.Folded, error)
	ReadInto(ctx context.Context, m wattveil.Meter, from, to int64, into *readings.Folded) error
	Digests(ctx context.Context, m wattveil.Meter, e wattveil.Epoch, c wattveil.Counter) ([]readings.Digest, error)
	LastCounter(ctx context.Context, m wattveil.Meter, e wattveil.Epoch) (wattveil.Counter, bool, error)
	DropEpoch(ctx context.Context, m wattveil.Meter, e wattveil.Epoch) error
	Erase(ctx context.Context, m wattveil.Meter, before int64) error
}

// Config is what a TTP needs. Dir is its own folder, which the caller has
// locked.
type Config struct {
	Dir       string
	Name      string // of the TTP, as in its certificate
	Readings  Readings
	Authority *peer.Authority
	Identity  *peer.Identity
	Now       func() time.Time
	Log       *slog.Logger // discards if nil

	EpochLifetime  time.Duration // told to meters; 7 days if zero
	MaxExchanges   int           // a meter and day; 24 if zero
	SessionCache   int           // sessions held open in memory; 65,536 if zero
	BillKeyOverlap time.Duration // from publishing a bill key to signing with it; 7 days if zero

	// Refused, if set, is told the class of each connection and request that
	// the server refuses as a whole; BatchTook how long each batch of messages
	// took to be durable. Both are called from many goroutines.
	Refused   func(wire.Class)
	BatchTook func(time.Duration)
}

// TTP is a running trusted third party. It is safe for concurrent use.
type TTP struct {
	cfg      Config
	db       *sql.DB
	queries  queries
	seal     *sealed.Key
	root     *ecdsa.PrivateKey
	billKeys billKeys
	log      *transparency.Log
	trust    *peer.Trust
	sessions *lru.Cache[sessionName, *session]
	server   *peer.Server
	counts   wire.Tally
	stats    stats
	turns    turns // of what touches sessions

	consumers *Consumers

	billTurns   turns // of deciding on bills, which reads histories and writes them
	ratingTurns turns // of measuring and pricing, which takes all processors
	sweep       shapeSweep

	mu        sync.Mutex
	openers   map[wattveil.UCNumber][]*opener // private keys towards each utility, newest first
	tariffs   map[ucName]*registered
	series    map[ucName]*tariff.Series // joined
	seriesPut int                       // how often series were put
	desks     map[wattveil.UCNumber]*desk
	numberOf  map[string]wattveil.UCNumber // by organisation
}

const (
	defaultLifetime  = 7 * 24 * time.Hour
	defaultOverlap   = 7 * 24 * time.Hour
	defaultExchanges = 24
	defaultCache     = 1 << 16
	keptAfter        = 45 * 24 * time.Hour // an epoch's keys after its successor is active, or it is quiet
	pendingFor       = 48 * time.Hour      // an exchange that nobody confirms
	limitedOver      = 24 * time.Hour      // the time in which MaxExchanges are answered
)

// Open opens the TTP in its folder, and makes root key, bill key and registry
// if they are missing.
func Open(ctx context.Context, cfg Config) (*TTP, error) {
	cfg.setDefaults()
	t := &TTP{
		cfg: cfg, trust: peer.NewTrust(),
		openers:  make(map[wattveil.UCNumber][]*opener),
		tariffs:  make(map[ucName]*registered),
		series:   make(map[ucName]*tariff.Series),
		desks:    make(map[wattveil.UCNumber]*desk),
		numberOf: make(map[string]wattveil.UCNumber),
		sweep:    shapeSweep{step: sweepStep, most: sweepMost},
	}
	schema, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("open TTP: %w", err)
	}
	if t.seal, err = sealed.LoadKey(filepath.Join(cfg.Dir, "seal.key")); err != nil {
		return nil, err
	}
	if t.root, err = peer.LoadOrMakeKey(filepath.Join(cfg.Dir, "root.key")); err != nil {
		return nil, err
	}
	if t.sessions, err = lru.New[sessionName, *session](cfg.SessionCache); err != nil {
		return nil, fmt.Errorf("open TTP: %w", err)
	}
	if t.db, err = registry.Open(ctx, filepath.Join(cfg.Dir, "ttp.db"), schema); err != nil {
		return nil, err
	}
	if err := errors.Join(t.queries.prepare(ctx, t.db), t.loadUtilities(ctx), t.loadBillKeys(ctx), t.openConsumers(ctx)); err != nil {
		return nil, errors.Join(err, t.db.Close())
	}
	if t.log, err = transparency.Open(ctx, filepath.Join(cfg.Dir, "log"), cfg.Name+"/bills"); err != nil {
		return nil, errors.Join(err, t.db.Close())
	}
	t.routes()
	return t, nil
}

// queries are those that run for each message or bill, parsed once. They close
// with the registry.
type queries struct {
	billQueries
	session, enrolled, receipt            *sql.Stmt
	portalSession, claimed, takeoverDue   *sql.Stmt
	takeover, billedBy, tariffsOf, erased *sql.Stmt
}

func (q *queries) prepare(ctx context.Context, db *sql.DB) error {
	return errors.Join(q.billQueries.prepare(ctx, db), prepare(ctx, db, []prepared{
		{&q.session, `SELECT epoch, state, series, keys, quiet FROM sessions WHERE uc = ? AND an_id = ? AND low = ? AND state <> ? AND spent = 0`},
		{&q.enrolled, `SELECT 1 FROM meters WHERE uc = ? AND an_id = ?`},
		{&q.receipt, `SELECT made, since, through, missing FROM receipts WHERE uc = ? AND an_id = ?`},
		{&q.portalSession, `SELECT account, passkey, began, ends, confirmed FROM portal_sessions WHERE token = ?`},
		{&q.claimed, `
			SELECT c.uc, c.an_id, c.ref, c.since, t.due,
				(SELECT count(*) FROM raised_alerts r WHERE r.uc = c.uc AND r.an_id = c.an_id AND r.seen = 0)
			FROM claims c LEFT JOIN takeovers t ON t.uc = c.uc AND t.an_id = c.an_id WHERE c.account = ? ORDER BY c.since, c.ref`},
		{&q.billedBy, `SELECT tariff FROM bills WHERE uc = ? AND an_id = ? ORDER BY to_second DESC, issued DESC LIMIT 1`},
		{&q.tariffsOf, `SELECT id FROM tariffs WHERE uc = ?`},
		{&q.takeover, `SELECT due FROM takeovers WHERE uc = ? AND an_id = ?`},
		{&q.erased, `SELECT erased FROM meters WHERE uc = ? AND an_id = ?`},
		{&q.takeoverDue, `SELECT EXISTS (SELECT 1 FROM takeovers WHERE due <= ?)`},
	}))
}

// prepared is where a query goes once it is parsed.
type prepared struct {
	stmt **sql.Stmt
	text string
}

func prepare(ctx context.Context, db *sql.DB, list []prepared) error {
	for _, p := range list {
		var err error
		if *p.stmt, err = db.PrepareContext(ctx, p.text); err != nil {
			return fmt.Errorf("prepare %s: %w", p.text, err)
		}
	}
	return nil
}

func (c *Config) setDefaults() {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.BatchTook == nil {
		c.BatchTook = func(time.Duration) {}
	}
	if c.EpochLifetime == 0 {
		c.EpochLifetime = defaultLifetime
	}
	if c.BillKeyOverlap == 0 {
		c.BillKeyOverlap = defaultOverlap
	}
	if c.MaxExchanges == 0 {
		c.MaxExchanges = defaultExchanges
	}
	if c.SessionCache == 0 {
		c.SessionCache = defaultCache
	}
}

func (t *TTP) routes() {
	t.server = peer.NewServer(peer.ServerConfig{
		Identity: t.cfg.Identity, Trust: t.trust, Now: t.cfg.Now, Log: t.cfg.Log, Refused: t.cfg.Refused,
	})
	for pattern, handler := range map[string]utilityHandler{
		"POST /v1/enrolment": t.handleEnrolment,
		"PUT /v1/enrolment":  t.handleEnrolmentKey,
		"POST /v1/meters":    t.handleMeters,
		"POST /v1/exchanges": t.handleExchanges,
		"POST /v1/messages":  t.handleMessages,
		"PUT /v1/tariffs":    t.handleTariff,
		"PUT /v1/series":     t.handleSeries,
		"POST /v1/bills":     t.handleBills,
		"POST /v1/proofs":    t.handleProofs,
		"PUT /v1/checkpoint": t.handleCheckpoint,
		"GET /v1/bill-keys":  t.handleBillKeys,
	} {
		t.server.Handle(pattern, t.fromUtility(handler), peer.RoleUtility)
	}
}

// Ready tells why the TTP cannot do its work: its registry or the store of
// readings does not answer.
func (t *TTP) Ready(ctx context.Context) error {
	var one int
	if err := t.db.QueryRowContext(ctx, `SELECT count(*) FROM utilities`).Scan(&one); err != nil {
		return fmt.Errorf("the registry does not answer: %w", err)
	}
	if _, _, err := t.cfg.Readings.LastCounter(ctx, wattveil.Meter{}, 0); err != nil {
		return fmt.Errorf("the store of readings does not answer: %w", err)
	}
	return nil
}

// Server is the TTP's server for utilities; the caller gives it a listener.
func (t *TTP) Server() *peer.Server { return t.server }

// Maintain does what is due by the clock: it renews the certificate, forgets
// exchanges that nobody confirmed, destroys the keys of old epochs, and goes on
// with forgetting what the gate needs no more. Call it at least once a day.
func (t *TTP) Maintain(ctx context.Context) error {
	now := t.cfg.Now()
	if err := t.cfg.Identity.Renew(t.cfg.Authority, now); err != nil {
		return fmt.Errorf("renew the TTP's certificate: %w", err)
	}
	return errors.Join(t.destroyOldEpochs(ctx, now), t.consumers.maintain(ctx, now), t.forgetShapes(ctx, now))
}

// Close closes registry and bill log. The caller closes the readings.
func (t *TTP) Close() error {
	if err := errors.Join(t.log.Close(), t.db.Close()); err != nil {
		return fmt.Errorf("close TTP: %w", err)
	}
	return nil
}
