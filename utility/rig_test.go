package utility

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/clpke"
	"github.com/wattveil/wattveil/peer"
	"github.com/wattveil/wattveil/provision"
	"github.com/wattveil/wattveil/transparency"
	"github.com/wattveil/wattveil/wire"
)

const (
	utilityOrg = "utility.example"
	ttpOrg     = "ttp.example"
	ucNumber   = wattveil.UCNumber(7)
)

var start = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)

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

// rig is a utility in a folder of its own, with a clock that stands and a TTP
// that does as it is told.
type rig struct {
	t         testing.TB
	dir       string
	clock     *clock
	log       *lockedBuffer
	authority *peer.Authority
	identity  *peer.Identity
	ttp       *fakeTTP
	adjust    func(*Config)
	interval  uint64
	*Utility
}

// newRig opens a utility. adjust, if not nil, changes its configuration.
func newRig(t testing.TB, adjust func(*Config)) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), clock: &clock{now: start}, log: new(lockedBuffer), ttp: newFakeTTP(t), adjust: adjust}
	var err error
	r.authority, err = peer.NewAuthority(utilityOrg, start)
	must(t, err)
	r.identity, err = peer.NewIdentity(r.authority, peer.Name{Org: utilityOrg, Role: peer.RoleUtility}, []string{"127.0.0.1"}, start)
	must(t, err)
	r.open()
	t.Cleanup(func() { must(t, r.Close()) })
	return r
}

func (r *rig) open() {
	r.t.Helper()
	cfg := Config{
		Dir: r.dir, Org: utilityOrg, Authority: r.authority, Identity: r.identity,
		TTP: r.ttp, TTPName: peer.Name{Org: ttpOrg, Role: peer.RoleTTP}, Now: r.clock.Now,
		Log:        slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		PoolWindow: time.Hour, // a test that waits for it hangs
	}
	if r.adjust != nil {
		r.adjust(&cfg)
	}
	var err error
	r.Utility, err = Open(r.t.Context(), cfg)
	must(r.t, err)
}

// reopen stops the utility and starts it from its folder.
func (r *rig) reopen() {
	r.t.Helper()
	must(r.t, r.Close())
	r.open()
}

// enrolled is a rig whose TTP is enrolled, with collectors of these names.
func enrolled(t testing.TB, collectors ...string) *rig {
	t.Helper()
	r := newRig(t, nil)
	must(t, r.EnrolTTP(t.Context()))
	r.addCollectors(collectors...)
	return r
}

func (r *rig) addCollectors(names ...string) {
	r.t.Helper()
	for _, name := range names {
		_, err := r.AddCollector(r.t.Context(), name)
		must(r.t, err)
	}
}

// post posts frames for an interval as a collector.
func (r *rig) post(collector string, interval uint64, frames ...[]byte) (wire.ForwardAnswer, error) {
	return r.postBody(collector, forwardBody(interval, 1<<62, frames...), len(frames))
}

// forwardBody is a post. With a roster far ahead its answer has no changes.
func forwardBody(interval, roster uint64, frames ...[]byte) []byte {
	return wire.Forward{Interval: interval, Roster: roster, Frames: frames}.Append(nil)
}

func (r *rig) postBody(collector string, body []byte, frames int) (wire.ForwardAnswer, error) {
	name := peer.Name{Org: utilityOrg, Role: peer.RoleCollector, Instance: collector}
	answer, err := r.handleForward(r.t.Context(), name, nil, body)
	if err != nil {
		return wire.ForwardAnswer{}, err
	}
	return wire.ParseForwardAnswer(answer, frames)
}

// send posts frames for the next interval through the one collector "a".
func (r *rig) send(frames ...[]byte) wire.ForwardAnswer {
	r.t.Helper()
	r.interval++
	answer, err := r.post("a", r.interval, frames...)
	must(r.t, err)
	return answer
}

// count is the number of rows that a condition selects.
func (r *rig) count(query string, args ...any) (n int) {
	r.t.Helper()
	must(r.t, r.db.QueryRowContext(context.Background(), "SELECT count(*) FROM "+query, args...).Scan(&n))
	return n
}

func classOf(err error) wire.Class {
	var class wire.Class
	_ = errors.As(err, &class)
	return class
}

func join(verdicts []wire.Verdict) string {
	var words []string
	for _, v := range verdicts {
		words = append(words, v.String())
	}
	return strings.Join(words, " ")
}

// smart is a meter as far as the utility sees one.
type smart struct {
	r      *rig
	record provision.Record
	user   *clpke.UserKey
	tag    *wire.TagKey
	last   int64 // time of the last request
	answer wire.Registered
}

// newMeters makes meters known that have not registered.
func (r *rig) newMeters(n int) []*smart {
	r.t.Helper()
	records, err := r.AddMeters(r.t.Context(), n, []string{"mqtt://127.0.0.1:1883"}, nil)
	must(r.t, err)
	meters := make([]*smart, n)
	for i, record := range records {
		user, err := clpke.NewUserKey()
		must(r.t, err)
		meters[i] = &smart{r: r, record: record, user: user, tag: record.Secret.DataTagKey(), last: start.Unix()}
	}
	return meters
}

// meters makes meters that have registered.
func (r *rig) meters(n int) []*smart {
	r.t.Helper()
	meters := r.newMeters(n)
	frames := make([][]byte, n)
	for i, m := range meters {
		frames[i] = m.request(m.next())
	}
	answer := r.send(frames...)
	for i, d := range answer.Downlinks {
		meters[i].open(frames[i], d)
	}
	if len(answer.Downlinks) != n {
		r.t.Fatalf("%d of %d meters registered", len(answer.Downlinks), n)
	}
	return meters
}

func (m *smart) id() wattveil.MeterID { return m.record.Meter }

// next is a time for a request, later than the last.
func (m *smart) next() int64 {
	m.last++
	return m.last
}

// request is a registration request with the meter's time.
func (m *smart) request(at int64) []byte {
	r := wire.RegisterRequest{Time: at, Mu: m.user.Public()}
	_, _ = rand.Read(r.Nonce[:])
	return m.record.Secret.Register(m.id(), r)
}

// open takes the answer to a request.
func (m *smart) open(request []byte, d wire.Downlink) {
	m.r.t.Helper()
	if d.ID != m.id() {
		m.r.t.Fatalf("downlink for meter %v, want %v", d.ID, m.id())
	}
	var err error
	m.answer, err = m.record.Secret.OpenRegistered(m.id(), request, d.Frame)
	must(m.r.t, err)
}

// data is a data message with a body that nobody can read.
func (m *smart) data(epoch wattveil.Epoch, counter wattveil.Counter) []byte {
	meter := m.answer.Meter
	sealer := wire.NewSealer(m.id(), meter, epoch, &wire.DirectionKey{}, m.tag)
	return sealer.Append(nil, counter, make([]byte, wire.BlockUnit))
}

// toTTP is what the TTP is to get of a data message.
func (m *smart) toTTP(frame []byte) []byte {
	return wire.Rewrite(bytes.Clone(frame), m.answer.Meter.Pseudonym)
}

func (m *smart) m1(epoch wattveil.Epoch, body string) []byte {
	return m.record.Secret.Tagged(m.id(), wire.Exchange{Type: wire.TypeM1, Low: epoch.Low(), Body: []byte(body)})
}

func (m *smart) m3(epoch wattveil.Epoch) []byte {
	return m.record.Secret.Tagged(m.id(), wire.Exchange{Type: wire.TypeM3, Low: epoch.Low(), Body: make([]byte, wire.ConfirmSize)})
}

// fakeTTP answers as a TTP would, but for what the test sets.
type fakeTTP struct {
	t           testing.TB
	user        *clpke.UserKey
	root        *ecdsa.PrivateKey
	billKey     *bill.SigningKey
	nextBillKey *bill.SigningKey // published too, if it is not nil
	log         *transparency.Log
	logDir      string
	index       map[transparency.Entry]uint64 // of what is in it

	mu       sync.Mutex
	calls    []call
	fail     error                                          // instead of any answer
	mangle   func(path string, answer []byte) []byte        // of each answer
	wait     chan struct{}                                  // until which calls take
	waiting  chan string                                    // told of a call that waits
	verdict  func(msg []byte) wire.Verdict                  // of messages; Durable if nil
	exchange func(wire.ExchangeRequest) wire.ExchangeAnswer // Durable if nil
	refuse   func(signed []byte) wire.Class                 // of statements
	bills    func(wire.BillsRequest) wire.BillsAnswer
	spoil    func(*wire.BillsAnswer) // what was logged
	distort  func(*wire.ProofsAnswer)
	after    func(path string) // before an answer is given
	told     wire.Enrolment
	keys     []wire.EnrolmentKey
	enrolled [][]byte
}

type call struct {
	method, path string
	body         []byte
}

func newFakeTTP(t testing.TB) *fakeTTP {
	f := &fakeTTP{t: t, root: newECDSA(t)}
	var err error
	f.user, err = clpke.NewUserKey()
	must(t, err)
	f.billKey, err = bill.GenerateSigningKey()
	must(t, err)
	f.logDir = t.TempDir()
	f.log, f.index = openBillLog(t, f.logDir), make(map[transparency.Entry]uint64)
	mu, root := f.user.Public(), clpke.PublicKeyPoint(&f.root.PublicKey)
	f.told = wire.Enrolment{Number: ucNumber, Name: ttpOrg, Mu: mu[:], RootKey: root[:]}
	return f
}

func openBillLog(t testing.TB, dir string) *transparency.Log {
	log, err := transparency.Open(t.Context(), dir, ttpOrg+"/bills")
	must(t, err)
	t.Cleanup(func() { must(t, log.Close()) })
	return log
}

func (f *fakeTTP) answerBillKeys() ([]byte, error) {
	published := []ed25519.PublicKey{f.billKey.Public()}
	if f.nextBillKey != nil {
		published = append(published, f.nextBillKey.Public())
	}
	keys, err := bill.NewKeySet(published...)
	if err != nil {
		return nil, err
	}
	set, err := json.Marshal(keys)
	if err != nil {
		return nil, err
	}
	log, err := f.log.PublicKey()
	if err != nil {
		return nil, err
	}
	return json.Marshal(wire.BillKeys{JWKS: set, Origin: f.log.Origin(), Log: log})
}

// set changes what the TTP does.
func (f *fakeTTP) set(change func(*fakeTTP)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

// to are the bodies of the requests for a path so far.
func (f *fakeTTP) to(path string) (bodies [][]byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.calls {
		if c.path == path {
			bodies = append(bodies, c.body)
		}
	}
	return bodies
}

// messages are the batches that came so far.
func (f *fakeTTP) messages() (batches [][][]byte) {
	for _, body := range f.to("/v1/messages") {
		batch, err := wire.ParseMessages(body)
		if err != nil {
			f.t.Error(err)
		}
		batches = append(batches, batch)
	}
	return batches
}

// Do implements TTP.
func (f *fakeTTP) Do(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	f.mu.Lock()
	f.calls = append(f.calls, call{method, path, bytes.Clone(body)})
	wait, waiting := f.wait, f.waiting
	f.mu.Unlock()
	if wait != nil {
		if waiting != nil {
			waiting <- path
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	answer, after, err := f.reply(method, path, body)
	if after != nil {
		after(path)
	}
	return answer, err
}

func (f *fakeTTP) reply(method, path string, body []byte) (_ []byte, after func(path string), _ error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return nil, f.after, f.fail
	}
	answer, err := f.answer(method+" "+path, body)
	if err == nil && f.mangle != nil {
		answer = f.mangle(path, answer)
	}
	return answer, f.after, err
}

func (f *fakeTTP) answer(route string, body []byte) ([]byte, error) {
	switch route {
	case "POST /v1/enrolment":
		return json.Marshal(f.told)
	case "PUT /v1/enrolment":
		return f.answerKey(body)
	case "GET /v1/bill-keys":
		return f.answerBillKeys()
	case "POST /v1/meters":
		return f.answerMeters(body)
	case "POST /v1/messages":
		return f.answerMessages(body)
	case "POST /v1/exchanges":
		return f.answerExchanges(body)
	case "PUT /v1/tariffs", "PUT /v1/series":
		return nil, nil
	case "POST /v1/proofs":
		return f.answerProofs(body)
	case "PUT /v1/checkpoint":
		var in wire.CosignedCheckpoint
		return nil, json.Unmarshal(body, &in)
	case "POST /v1/bills":
		var in wire.BillsRequest
		if err := json.Unmarshal(body, &in); err != nil {
			return nil, err
		}
		out := f.bills(in)
		if err := f.logBills(in.LogSize, &out); err != nil {
			return nil, err
		}
		if f.spoil != nil {
			f.spoil(&out)
		}
		return json.Marshal(out)
	default:
		return nil, fmt.Errorf("no route %s", route)
	}
}

func (f *fakeTTP) answerKey(body []byte) ([]byte, error) {
	var in wire.EnrolmentKey
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	f.keys = append(f.keys, in)
	partial, err := clpke.ParsePartialKey(in.PartialKey)
	if err != nil {
		return nil, err
	}
	root, err := clpke.SignRoot(f.root, clpke.RootStatement{
		UC: f.told.Number, Omega: partial.Omega(), Mu: f.user.Public(), NotBefore: start.Unix() - 1, NotAfter: start.Unix() + 1_000_000_000,
	})
	if err != nil {
		return nil, err
	}
	return json.Marshal(wire.EnrolmentRoot{Root: root})
}

func (f *fakeTTP) answerMeters(body []byte) ([]byte, error) {
	var in wire.MeterStatements
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	var out wire.MeterStatementsAnswer
	for i, signed := range in.Statements {
		if f.refuse != nil {
			if class := f.refuse(signed); class != "" {
				out.Refused = append(out.Refused, wire.StatementRefusal{Position: i, Class: class})
				continue
			}
		}
		f.enrolled = append(f.enrolled, signed)
	}
	return json.Marshal(out)
}

func (f *fakeTTP) answerMessages(body []byte) ([]byte, error) {
	batch, err := wire.ParseMessages(body)
	if err != nil {
		return nil, err
	}
	var answer wire.MessageAnswer
	for _, msg := range batch {
		v := wire.Durable
		if f.verdict != nil {
			v = f.verdict(msg)
		}
		answer.Verdicts = append(answer.Verdicts, v)
	}
	return answer.Append(nil), nil
}

func (f *fakeTTP) answerExchanges(body []byte) ([]byte, error) {
	requests, err := wire.ParseExchanges(body)
	if err != nil {
		return nil, err
	}
	var answers []wire.ExchangeAnswer
	for _, x := range requests {
		a := wire.ExchangeAnswer{Verdict: wire.Durable}
		if x.Type == wire.TypeM1 {
			a.M2 = append([]byte("M2 to "), x.Body...)
		}
		if f.exchange != nil {
			a = f.exchange(x)
		}
		answers = append(answers, a)
	}
	return wire.AppendExchangeAnswers(nil, answers), nil
}
