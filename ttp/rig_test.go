package ttp

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/clpke"
	clpkeopen "github.com/wattveil/wattveil/clpke/open"
	"github.com/wattveil/wattveil/kgc"
	"github.com/wattveil/wattveil/peer"
	"github.com/wattveil/wattveil/readings"
	readingspebble "github.com/wattveil/wattveil/readings/pebble"
	"github.com/wattveil/wattveil/wire"
)

const (
	ttpOrg  = "ttp.example"
	quarter = 900
	day     = 24 * time.Hour
)

var start = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC) // a Monday

// rig is a TTP in a folder of its own, with a clock that stands.
type rig struct {
	t         testing.TB
	dir       string
	clock     *clock
	log       *lockedBuffer
	authority *peer.Authority
	identity  *peer.Identity
	store     *readingspebble.Store
	faults    *faultyStore
	adjust    func(*Config)
	*TTP
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// lockedBuffer is what the TTP logs to.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// faultyStore is a store that fails while an error is set.
type faultyStore struct {
	Readings
	mu      sync.Mutex
	append  error
	read    error
	digests error
	drop    error
	erase   error
	appends int
}

func (s *faultyStore) set(f func(*faultyStore)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}

func (s *faultyStore) get(f func(*faultyStore) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return f(s)
}

func (s *faultyStore) Append(ctx context.Context, batch []readings.Block) error {
	if err := s.get(func(s *faultyStore) error { s.appends++; return s.append }); err != nil {
		return err
	}
	return s.Readings.Append(ctx, batch)
}

func (s *faultyStore) Read(ctx context.Context, m wattveil.Meter, from, to int64) (readings.Folded, error) {
	if err := s.get(func(s *faultyStore) error { return s.read }); err != nil {
		return readings.Folded{}, err
	}
	return s.Readings.Read(ctx, m, from, to)
}

func (s *faultyStore) ReadInto(ctx context.Context, m wattveil.Meter, from, to int64, into *readings.Folded) error {
	if err := s.get(func(s *faultyStore) error { return s.read }); err != nil {
		return err
	}
	return s.Readings.ReadInto(ctx, m, from, to, into)
}

func (s *faultyStore) Digests(ctx context.Context, m wattveil.Meter, e wattveil.Epoch, c wattveil.Counter) ([]readings.Digest, error) {
	if err := s.get(func(s *faultyStore) error { return s.digests }); err != nil {
		return nil, err
	}
	return s.Readings.Digests(ctx, m, e, c)
}

func (s *faultyStore) DropEpoch(ctx context.Context, m wattveil.Meter, e wattveil.Epoch) error {
	if err := s.get(func(s *faultyStore) error { return s.drop }); err != nil {
		return err
	}
	return s.Readings.DropEpoch(ctx, m, e)
}

func (s *faultyStore) Erase(ctx context.Context, m wattveil.Meter, before int64) error {
	if err := s.get(func(s *faultyStore) error { return s.erase }); err != nil {
		return err
	}
	return s.Readings.Erase(ctx, m, before)
}

var errDisk = errors.New("disk is gone")

// newRig opens a TTP. adjust, if not nil, changes its configuration.
func newRig(t testing.TB, adjust func(*Config)) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), clock: &clock{now: start}, log: new(lockedBuffer), adjust: adjust}
	var err error
	r.authority, err = peer.NewAuthority(ttpOrg, start)
	must(t, err)
	r.identity, err = peer.NewIdentity(r.authority, peer.Name{Org: ttpOrg, Role: peer.RoleTTP}, []string{"127.0.0.1"}, start)
	must(t, err)
	r.open()
	t.Cleanup(r.close)
	return r
}

func (r *rig) open() {
	r.t.Helper()
	var err error
	r.store, err = readingspebble.Open(r.dir+"/readings", readingspebble.Options{})
	must(r.t, err)
	r.faults = &faultyStore{Readings: r.store}
	cfg := Config{
		Dir: r.dir, Name: ttpOrg, Readings: r.faults, Authority: r.authority, Identity: r.identity,
		Now: r.clock.Now, Log: slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if r.adjust != nil {
		r.adjust(&cfg)
	}
	r.TTP, err = Open(r.t.Context(), cfg)
	must(r.t, err)
}

func (r *rig) close() {
	if err := errors.Join(r.TTP.Close(), r.store.Close()); err != nil {
		r.t.Error(err)
	}
}

// reopen stops the TTP and starts it from its folder.
func (r *rig) reopen() {
	r.t.Helper()
	r.close()
	r.open()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newECDSA(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return key
}

// company is a utility: its authority, its key generation center and what the
// TTP told it.
type company struct {
	r         *rig
	org       string
	authority *peer.Authority
	master    *kgc.MasterKey
	signer    *ecdsa.PrivateKey
	number    wattveil.UCNumber
	told      wire.Enrolment
	own       clpke.SignedStatement // of the TTP's key, newest
}

// company adds a utility whose key the TTP does not have yet.
func (r *rig) newCompany(org string) *company {
	r.t.Helper()
	c := &company{r: r, org: org, signer: newECDSA(r.t)}
	var err error
	c.authority, err = peer.NewAuthority(org, start)
	must(r.t, err)
	c.master, err = kgc.NewMasterKey()
	must(r.t, err)
	c.number, err = r.AddUtility(r.t.Context(), org, c.authority.Certificate)
	must(r.t, err)
	body, err := r.handleEnrolment(r.t.Context(), c.number, nil)
	must(r.t, err)
	must(r.t, json.Unmarshal(body, &c.told))
	return c
}

// company adds a utility and enrols the TTP's key with it.
func (r *rig) company(org string) *company {
	r.t.Helper()
	c := r.newCompany(org)
	must(r.t, c.enrolTTP(c.keyRequest(1)))
	return c
}

func (c *company) center() *kgc.KGC {
	k, err := kgc.New(kgc.Config{Master: c.master, Signer: c.signer, UC: c.number})
	must(c.r.t, err)
	return k
}

func (c *company) certificate(a *peer.Authority, name peer.Name) []byte {
	cert, err := a.Issue(name, c.signer.Public(), nil, c.r.clock.Now())
	must(c.r.t, err)
	return cert.Raw
}

// keyRequest issues the TTP's key and makes the request that hands it over.
func (c *company) keyRequest(serial uint32) wire.EnrolmentKey {
	mu, err := clpke.ParsePoint(c.told.Mu)
	must(c.r.t, err)
	signed, partial, err := c.center().Issue(clpke.TTPIdentity(c.number, c.told.Name), mu, serial,
		start.Unix()-1, start.Unix()+1_000_000_000)
	must(c.r.t, err)
	return wire.EnrolmentKey{
		Statement: signed, PartialKey: partial.Bytes(),
		Certificate: c.certificate(c.authority, peer.Name{Org: c.org, Role: peer.RoleKGC}),
	}
}

// enrolTTP hands a key over; if the TTP takes it, its meters use it from now on.
func (c *company) enrolTTP(in wire.EnrolmentKey) error {
	body, err := json.Marshal(in)
	must(c.r.t, err)
	answer, err := c.r.handleEnrolmentKey(c.r.t.Context(), c.number, body)
	if err != nil {
		return err
	}
	var out wire.EnrolmentRoot
	must(c.r.t, json.Unmarshal(answer, &out))
	root, err := clpke.VerifyRoot(out.Root, c.r.RootKey())
	must(c.r.t, err)
	st, err := clpke.VerifyStatement(in.Statement, &c.signer.PublicKey)
	must(c.r.t, err)
	if !root.Covers(st) {
		c.r.t.Fatal("root statement does not cover the key")
	}
	c.own = in.Statement
	return nil
}

// enrol sends statements and returns the classes of those refused.
func (c *company) enrol(signed ...clpke.SignedStatement) (map[int]wire.Class, error) {
	var in wire.MeterStatements
	for _, s := range signed {
		in.Statements = append(in.Statements, s)
	}
	body, err := json.Marshal(in)
	must(c.r.t, err)
	answer, err := c.r.handleMeters(c.r.t.Context(), c.number, body)
	if err != nil {
		return nil, err
	}
	var out wire.MeterStatementsAnswer
	must(c.r.t, json.Unmarshal(answer, &out))
	refused := make(map[int]wire.Class)
	for _, r := range out.Refused {
		refused[r.Position] = r.Class
	}
	return refused, nil
}

// send gives a batch to the TTP and returns its verdicts.
func (c *company) send(messages ...[]byte) []wire.Verdict {
	c.r.t.Helper()
	answer, err := c.r.handleMessages(c.r.t.Context(), c.number, wire.AppendMessages(nil, messages))
	must(c.r.t, err)
	given, err := wire.ParseMessageAnswer(answer, len(messages))
	must(c.r.t, err)
	return given.Verdicts
}

// exchange gives M1s and M3s to the TTP.
func (c *company) exchange(requests ...wire.ExchangeRequest) []wire.ExchangeAnswer {
	c.r.t.Helper()
	answer, err := c.r.handleExchanges(c.r.t.Context(), c.number, wire.AppendExchanges(nil, requests))
	must(c.r.t, err)
	answers, err := wire.ParseExchangeAnswers(answer, len(requests))
	must(c.r.t, err)
	return answers
}

// smart is a meter as far as the TTP sees one.
type smart struct {
	c         *company
	name      wattveil.Meter
	user      *clpke.UserKey
	private   *clpke.PrivateKey
	statement clpke.SignedStatement
	ttp       clpke.SignedStatement // that it encrypts to; the utility's newest if nil
	tag       *wire.TagKey
	epochs    map[wattveil.Epoch]*agreed
}

// agreed is an exchange as the meter sees it.
type agreed struct {
	offer  wire.Offer
	e      *ecdh.PrivateKey
	m1     []byte
	keys   *wire.SessionKeys
	sum    [32]byte
	answer wire.Answer
}

// newMeter makes a meter with a signed key that the TTP has not heard of.
func (c *company) newMeter(p wattveil.Pseudonym) *smart {
	m := &smart{
		c: c, name: wattveil.Meter{UC: c.number, Pseudonym: p},
		tag: wire.NewSecret().DataTagKey(), epochs: map[wattveil.Epoch]*agreed{},
	}
	var err error
	m.user, err = clpke.NewUserKey()
	must(c.r.t, err)
	m.issue(1)
	return m
}

// issue gives the meter a key with this serial.
func (m *smart) issue(serial uint32) {
	id := clpke.MeterIdentity(m.name)
	signed, partial, err := m.c.center().Issue(id, m.user.Public(), serial, start.Unix()-1, start.Unix()+1_000_000_000)
	must(m.c.r.t, err)
	m.private, err = clpke.NewPrivateKey(m.user, partial, id, m.c.master.Public())
	must(m.c.r.t, err)
	m.statement = signed
}

// meter makes an enrolled meter.
func (c *company) meter(p wattveil.Pseudonym) *smart {
	m := c.newMeter(p)
	c.mustEnrol(m)
	return m
}

func (c *company) mustEnrol(meters ...*smart) {
	c.r.t.Helper()
	var signed []clpke.SignedStatement
	for _, m := range meters {
		signed = append(signed, m.statement)
	}
	if refused, err := c.enrol(signed...); err != nil || len(refused) > 0 {
		c.r.t.Fatalf("enrolment: refused %v, %v", refused, err)
	}
}

// keyed makes an enrolled meter with epoch 1 active.
func (c *company) keyed(p wattveil.Pseudonym) *smart {
	m := c.meter(p)
	m.agree(1)
	return m
}

// ttpStatement is the one that the meter goes by.
func (m *smart) ttpStatement() (clpke.SignedStatement, clpke.Statement) {
	signed := m.ttp
	if signed == nil {
		signed = m.c.own
	}
	st, err := clpke.VerifyStatement(signed, &m.c.signer.PublicKey)
	must(m.c.r.t, err)
	return signed, st
}

// m1 begins an exchange. change, if not nil, changes the offer.
func (m *smart) m1(epoch wattveil.Epoch, change func(*wire.Offer)) wire.ExchangeRequest {
	t := m.c.r.t
	e, err := ecdh.P256().GenerateKey(rand.Reader)
	must(t, err)
	offer := wire.Offer{Suites: []byte{wire.SuiteAES128GCM}, E: wire.Ephemeral(e), Epoch: epoch}
	_, _ = rand.Read(offer.N[:])
	offer.NewestChain, offer.OlderChain = m.chains(epoch)
	if change != nil {
		change(&offer)
	}
	body := m.encrypt(offer.Append(nil))
	m.epochs[epoch] = &agreed{offer: offer, e: e, m1: body}
	return wire.ExchangeRequest{Pseudonym: m.name.Pseudonym, Exchange: wire.Exchange{Type: wire.TypeM1, Low: epoch.Low(), Body: body}}
}

func (m *smart) encrypt(plain []byte) []byte {
	_, st := m.ttpStatement()
	to, err := st.PublicKey().Prepare()
	must(m.c.r.t, err)
	body, err := to.Encrypt(wire.LabelM1, plain)
	must(m.c.r.t, err)
	return body
}

// chains are the newest two epochs before this one that have keys.
func (m *smart) chains(epoch wattveil.Epoch) (newest, older wattveil.Epoch) {
	var held []wattveil.Epoch
	for e, a := range m.epochs {
		if a.keys != nil && e < epoch {
			held = append(held, e)
		}
	}
	slices.Sort(held)
	slices.Reverse(held)
	held = append(held, 0, 0)
	return held[0], held[1]
}

// take checks an M2 as a meter does and keeps the keys.
func (m *smart) take(epoch wattveil.Epoch, m2 []byte) *agreed {
	t := m.c.r.t
	t.Helper()
	a := m.epochs[epoch]
	ciphertext, confirm, err := wire.SplitM2(m2)
	must(t, err)
	plain, err := clpkeopen.Open(m.private, wire.LabelM2, ciphertext)
	must(t, err)
	a.answer, err = wire.ParseAnswer(plain)
	must(t, err)
	if a.answer.N != a.offer.N || a.answer.Epoch != epoch || a.answer.Suite != wire.SuiteAES128GCM {
		t.Fatalf("M2 is of epoch %d, suite %d", a.answer.Epoch, a.answer.Suite)
	}
	signed, st := m.ttpStatement()
	a.sum = wire.Transcript{
		Suites: a.offer.Suites, Suite: a.answer.Suite, Meter: m.name, Master: st.Master,
		MeterStatement: m.statement.Hash(), TTPStatement: signed.Hash(),
		M1: a.m1, M2: ciphertext, Epoch: epoch, Lifetime: a.answer.Lifetime, Chain: a.answer.Chain,
	}.Sum()
	shared, err := wire.SharedX(a.e, a.answer.F)
	must(t, err)
	var chain [32]byte
	if a.answer.Chain != 0 {
		chain = m.epochs[a.answer.Chain].keys.Chain
	}
	keys, err := wire.DeriveKeys(a.offer.N, a.answer.S, shared, chain, a.sum)
	must(t, err)
	if !wire.Confirmed(keys.ConfirmT, a.sum, confirm) {
		t.Fatalf("M2 of epoch %d does not confirm", epoch)
	}
	a.keys = keys
	return a
}

func (m *smart) m3(epoch wattveil.Epoch) wire.ExchangeRequest {
	a := m.epochs[epoch]
	return wire.ExchangeRequest{Pseudonym: m.name.Pseudonym, Exchange: wire.Exchange{
		Type: wire.TypeM3, Low: epoch.Low(), Body: wire.Confirmation(a.keys.ConfirmM, a.sum),
	}}
}

// offer makes an exchange up to M2.
func (m *smart) offer(epoch wattveil.Epoch, change func(*wire.Offer)) *agreed {
	m.c.r.t.Helper()
	a := m.c.exchange(m.m1(epoch, change))[0]
	if a.Verdict != wire.Durable {
		m.c.r.t.Fatalf("M1 of epoch %d: %v", epoch, a.Verdict)
	}
	return m.take(epoch, a.M2)
}

// agree makes an exchange up to M3.
func (m *smart) agree(epoch wattveil.Epoch) {
	m.c.r.t.Helper()
	m.offer(epoch, nil)
	if a := m.c.exchange(m.m3(epoch))[0]; a.Verdict != wire.Durable {
		m.c.r.t.Fatalf("M3 of epoch %d: %v", epoch, a.Verdict)
	}
}

// message seals readings as the TTP gets them.
func (m *smart) message(epoch wattveil.Epoch, counter wattveil.Counter, list ...wattveil.Reading) []byte {
	m.c.r.t.Helper()
	block, err := wire.AppendBlock(nil, quarter, list)
	must(m.c.r.t, err)
	return m.seal(epoch, counter, block)
}

func (m *smart) seal(epoch wattveil.Epoch, counter wattveil.Counter, block []byte) []byte {
	sealer := wire.NewSealer(0, m.name, epoch, &m.epochs[epoch].keys.Up, m.tag)
	return wire.Rewrite(sealer.Append(nil, counter, block), m.name.Pseudonym)
}

// reading is the one at the end of the i-th quarter of an hour.
func reading(i int, wh uint64) wattveil.Reading {
	return wattveil.Reading{Time: start.Unix() + int64(i)*quarter, Import: wattveil.Register(wh)}
}

// steady is n readings from the i-th quarter on, 100 Wh each.
func steady(i, n int) []wattveil.Reading {
	list := make([]wattveil.Reading, n)
	for k := range list {
		list[k] = reading(i+k, 5_000+100*uint64(i+k))
	}
	return list
}

// stored is all that the store has of a meter.
func (m *smart) stored() readings.Folded {
	m.c.r.t.Helper()
	f, err := m.c.r.store.Read(m.c.r.t.Context(), m.name, 0, readings.MaxTime)
	must(m.c.r.t, err)
	return f
}

// count is the number of rows that a condition selects.
func (r *rig) count(query string, args ...any) (n int) {
	r.t.Helper()
	must(r.t, r.db.QueryRowContext(context.Background(), "SELECT count(*) FROM "+query, args...).Scan(&n))
	return n
}

// classOf is the class that a peer would see.
func classOf(err error) wire.Class { return peerClass(err) }

// listen serves the TTP on 127.0.0.1 and gives its URL.
func (r *rig) listen() string {
	r.t.Helper()
	l := newListener(r.t)
	go func() { _ = r.Server().Serve(l) }() // ends with the server
	r.t.Cleanup(func() { _ = r.Server().Close() })
	return "https://" + l.Addr().String()
}

// client is a connection to the TTP with a certificate of a company's own.
func (c *company) client(url string, name peer.Name, authority *peer.Authority) *peer.Client {
	id, err := peer.NewIdentity(authority, name, nil, c.r.clock.Now())
	must(c.r.t, err)
	trust := peer.NewTrust()
	trust.Pin(ttpOrg, peer.RoleTTP, c.r.authority.Certificate)
	client := peer.NewClient(peer.ClientConfig{
		Identity: id, Trust: trust, Server: peer.Name{Org: ttpOrg, Role: peer.RoleTTP}, URL: url, Now: c.r.clock.Now,
	})
	c.r.t.Cleanup(client.Close)
	return client
}

func join(verdicts []wire.Verdict) string {
	var words []string
	for _, v := range verdicts {
		words = append(words, v.String())
	}
	return strings.Join(words, " ")
}
