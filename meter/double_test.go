package meter

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"testing"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/clpke"
	"github.com/wattveil/wattveil/clpke/open"
	"github.com/wattveil/wattveil/kgc"
	"github.com/wattveil/wattveil/wire"
	wireopen "github.com/wattveil/wattveil/wire/open"
)

const (
	testMeter  wattveil.MeterID = 0x00112233445566a7
	start                       = 1_767_225_600 // 2026-01-01 00:00 UTC
	quarter                     = 900
	week                        = 7 * secondsPerDay
	validFrom                   = 0 // of statements
	forever                     = start + 400*secondsPerDay
	testUC                      = 7
	ttpName                     = "ttp.example"
	masterBase                  = 40 // epoch base of the first registration
	staleAhead                  = 5 * 60
	staleAfter                  = 24 * 60 * 60
)

// double is the other side of the meter network, utility and TTP in one. It
// holds all along that no counter is used twice.
type double struct {
	t      testing.TB
	clock  func() int64 // the utility's
	secret wire.Secret
	meter  wattveil.Meter
	tagger *wire.Tagger
	tagKey *wire.TagKey

	master  *kgc.MasterKey
	signer  *ecdsa.PrivateKey
	root    *ecdsa.PrivateKey
	private *clpke.PrivateKey // the TTP's
	ttp     clpke.SignedStatement

	answer   wire.Registered // without time; empty until the first request
	accepted int64           // time of the last request
	lifetime uint32
	last     wattveil.Epoch // of the newest M1
	lastM1   []byte
	epochs   map[byte]*epochAtTTP
	sealed   map[[5]byte][]byte // by low byte of the epoch and counter
	got      map[int64]wattveil.Reading
	moveTo   wattveil.Pseudonym         // for the next other user value, if not 0
	mu       [wire.PointSize]byte       // of the statement
	gotOld   map[int64]wattveil.Reading // of the pseudonym before a move
	sizes    []int                      // of the data frames that opened
	requests int
	refusals int
	m1s      [][]byte
	m3s      int
	never    int

	mute     bool                     // answers nothing
	refuses  bool                     // M1s for used epochs, as a TTP does; else they fail the test
	mutate   func(*wire.Answer)       // of M2, before it is encrypted
	mangle   func(body []byte) []byte // of M2, after
	register func(*wire.Registered)   // of the registration answer
	badF     bool                     // M2 has no point for F
	offers   []wire.Offer             // seen in M1
	label    string                   // of M2
	issue    func(clpke.Point) (st clpke.SignedStatement, d [32]byte)
}

type epochAtTTP struct {
	number wattveil.Epoch
	meter  wattveil.Meter
	m1, m2 []byte
	keys   *wire.SessionKeys
	sum    [32]byte
	key    *wireopen.Key
	active bool
	closed bool
	down   wattveil.Counter // last used
}

// receipt is a receipt under the newest epoch.
func (d *double) receipt(r wire.Receipt) []byte {
	e := d.epochs[d.last.Low()]
	e.down++
	return d.receiptUnder(e, e.down, r)
}

func (d *double) receiptUnder(e *epochAtTTP, c wattveil.Counter, r wire.Receipt) []byte {
	body := wire.SealReceipt(nil, d.meter, e.number, &e.keys.Down, c, r)
	return d.secret.Tagged(testMeter, wire.Exchange{Type: wire.TypeReceipt, Low: e.number.Low(), Body: body})
}

func newDouble(t testing.TB, clock func() int64) *double {
	d := &double{
		t: t, clock: clock, secret: wire.NewSecret(), tagger: wire.NewTagger(), lifetime: week,
		meter:  wattveil.Meter{UC: testUC, Pseudonym: 0xfeedfacecafe},
		epochs: map[byte]*epochAtTTP{}, sealed: map[[5]byte][]byte{}, got: map[int64]wattveil.Reading{},
		label: wire.LabelM2,
	}
	d.tagKey = d.secret.DataTagKey()
	var err error
	d.master, err = kgc.NewMasterKey()
	must(t, err)
	d.signer, d.root = newECDSA(t), newECDSA(t)
	d.ttp, d.private = d.issueTTP(1)
	d.issue = func(mu clpke.Point) (clpke.SignedStatement, [32]byte) {
		return d.issueMeter(clpke.MeterIdentity(d.meter), mu, 1, forever)
	}
	return d
}

func newECDSA(t testing.TB) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return key
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (d *double) center() *kgc.KGC {
	k, err := kgc.New(kgc.Config{Master: d.master, Signer: d.signer, UC: testUC})
	must(d.t, err)
	return k
}

func (d *double) issueTTP(serial uint32) (clpke.SignedStatement, *clpke.PrivateKey) {
	user, err := clpke.NewUserKey()
	must(d.t, err)
	id := clpke.TTPIdentity(testUC, ttpName)
	signed, partial, err := d.center().Issue(id, user.Public(), serial, validFrom, forever)
	must(d.t, err)
	private, err := clpke.NewPrivateKey(user, partial, id, d.master.Public())
	must(d.t, err)
	return signed, private
}

func (d *double) issueMeter(id clpke.Identity, mu clpke.Point, serial uint32, notAfter int64) (clpke.SignedStatement, [32]byte) {
	signed, partial, err := d.center().Issue(id, mu, serial, validFrom, notAfter)
	must(d.t, err)
	return signed, [32]byte(partial.Bytes()[clpke.PointSize:])
}

// signRoot is the root statement over a TTP key.
func (d *double) signRoot(root *ecdsa.PrivateKey, uc wattveil.UCNumber, key clpke.PublicKey, notAfter int64) []byte {
	signed, err := clpke.SignRoot(root, clpke.RootStatement{
		UC: uc, Omega: key.Omega, Mu: key.Mu, NotBefore: validFrom, NotAfter: notAfter,
	})
	must(d.t, err)
	return signed
}

// take handles a frame that a collector has forwarded and gives the downlinks.
func (d *double) take(frame []byte) [][]byte {
	typ, id, err := wire.ParsePrefix(frame)
	if err != nil || id != testMeter {
		d.t.Fatalf("meter published a frame that no collector takes: %v", err)
	}
	switch typ {
	case wire.TypeRegister:
		return d.takeRegister(frame)
	case wire.TypeM1:
		return d.takeM1(frame)
	case wire.TypeM3:
		d.takeM3(frame)
	case wire.TypeData:
		return d.takeData(frame)
	default:
		d.t.Fatalf("meter published %v", typ)
	}
	return nil
}

func (d *double) takeRegister(frame []byte) [][]byte {
	req, err := d.secret.OpenRegister(testMeter, frame)
	must(d.t, err)
	d.requests++
	now := d.clock()
	switch {
	case d.mute:
		return nil
	case req.Time <= d.accepted:
		d.never++
		return nil
	case req.Time < now-staleAfter || req.Time > now+staleAhead:
		d.refusals++
		return [][]byte{d.secret.RefuseRegister(testMeter, frame, wire.RegisterRefusal{Nonce: req.Nonce, Time: now})}
	}
	d.accepted = req.Time
	if d.answer.Statement == nil {
		d.enrol(clpke.Point(req.Mu), masterBase)
	}
	if req.Mu != d.mu {
		if d.moveTo == 0 {
			d.t.Fatal("another user value without a move")
		}
		d.meter.Pseudonym, d.moveTo = d.moveTo, 0
		d.gotOld, d.got = d.got, map[int64]wattveil.Reading{}
		d.enrol(clpke.Point(req.Mu), d.last+20)
	}
	a := d.answer
	a.Time = now
	if d.register != nil {
		d.register(&a)
	}
	return [][]byte{d.secret.Registered(testMeter, frame, a)}
}

// enrol makes the content of the registration answer.
func (d *double) enrol(mu clpke.Point, base wattveil.Epoch) {
	d.mu = mu
	statement, partial := d.issue(mu)
	d.answer = wire.Registered{
		Meter: d.meter, EpochBase: base, D: partial,
		RootKey:   clpke.PublicKeyPoint(&d.root.PublicKey),
		Statement: statement, TTPStatement: d.ttp,
		SignedTTPRoot: d.signRoot(d.root, testUC, d.private.PublicKey(), forever),
	}
}

func (d *double) takeM1(frame []byte) [][]byte {
	x, err := d.secret.OpenTagged(testMeter, frame)
	must(d.t, err)
	d.m1s = append(d.m1s, bytes.Clone(frame))
	if d.mute {
		return nil
	}
	e := d.epochs[x.Low]
	if e == nil || !bytes.Equal(e.m1, x.Body) {
		if d.refuses && d.used(x) {
			d.never++
			return nil
		}
		e = d.agree(x)
	}
	return [][]byte{d.secret.Tagged(testMeter, wire.Exchange{Type: wire.TypeM2, Low: x.Low, Body: e.m2})}
}

// used tells whether an M1 is for an epoch that is not above the last.
func (d *double) used(x wire.Exchange) bool {
	plain, err := open.Open(d.private, wire.LabelM1, x.Body)
	must(d.t, err)
	offer, err := wire.ParseOffer(plain)
	must(d.t, err)
	return offer.Epoch <= d.last
}

// agree opens an M1 and makes the epoch and its M2.
func (d *double) agree(x wire.Exchange) *epochAtTTP {
	plain, err := open.Open(d.private, wire.LabelM1, x.Body)
	must(d.t, err)
	offer, err := wire.ParseOffer(plain)
	must(d.t, err)
	repeat := offer.Epoch == d.last && bytes.Equal(x.Body, d.lastM1)
	if (offer.Epoch <= d.last && !repeat) || offer.Epoch.Low() != x.Low {
		d.t.Fatalf("M1 for epoch %d after epoch %d, header %d", offer.Epoch, d.last, x.Low)
	}
	d.last, d.lastM1 = offer.Epoch, bytes.Clone(x.Body)
	d.offers = append(d.offers, offer)
	f, err := ecdh.P256().GenerateKey(rand.Reader)
	must(d.t, err)
	a := wire.Answer{N: offer.N, F: wire.Ephemeral(f), Epoch: offer.Epoch, Lifetime: d.lifetime, Suite: wire.SuiteAES128GCM}
	_, _ = rand.Read(a.S[:])
	var chainKey [32]byte
	for _, c := range []wattveil.Epoch{offer.NewestChain, offer.OlderChain} {
		if e := d.epochs[c.Low()]; c != 0 && e != nil && e.number == c && e.active {
			a.Chain, chainKey = c, e.keys.Chain
			break
		}
	}
	if d.mutate != nil {
		d.mutate(&a)
	}
	e := &epochAtTTP{number: offer.Epoch, meter: d.meter, m1: bytes.Clone(x.Body)}
	d.derive(e, offer, a, f, chainKey)
	if d.mangle == nil && d.mutate == nil && !d.badF {
		d.epochs[x.Low] = e
	}
	return e
}

func (d *double) derive(e *epochAtTTP, offer wire.Offer, a wire.Answer, f *ecdh.PrivateKey, chainKey [32]byte) {
	own, err := clpke.VerifyStatement(d.answer.Statement, &d.signer.PublicKey)
	must(d.t, err)
	to, err := own.PublicKey().Prepare()
	must(d.t, err)
	if d.badF {
		a.F = [wire.PointSize]byte{5}
	}
	ciphertext, err := to.Encrypt(d.label, a.Append(nil))
	must(d.t, err)
	e.sum = wire.Transcript{
		Suites: offer.Suites, Suite: a.Suite, Meter: d.meter, Master: d.master.Public(),
		MeterStatement: sha256.Sum256(d.answer.Statement), TTPStatement: sha256.Sum256(d.ttp),
		M1: e.m1, M2: ciphertext, Epoch: a.Epoch, Lifetime: a.Lifetime, Chain: a.Chain,
	}.Sum()
	shared, err := wire.SharedX(f, offer.E)
	must(d.t, err)
	e.keys, err = wire.DeriveKeys(a.N, a.S, shared, chainKey, e.sum)
	must(d.t, err)
	e.key, err = wireopen.NewKey(d.meter, e.number, &e.keys.Up)
	must(d.t, err)
	e.m2 = append(ciphertext, wire.Confirmation(e.keys.ConfirmT, e.sum)...)
	if d.mangle != nil {
		e.m2 = d.mangle(e.m2)
	}
}

func (d *double) takeM3(frame []byte) {
	x, err := d.secret.OpenTagged(testMeter, frame)
	must(d.t, err)
	e := d.epochs[x.Low]
	if e == nil || !wire.Confirmed(e.keys.ConfirmM, e.sum, x.Body) {
		d.t.Fatal("M3 does not confirm the keys")
	}
	e.active = true
	d.m3s++
}

func (d *double) takeData(frame []byte) [][]byte {
	if !d.tagger.Check(d.tagKey, frame) {
		d.t.Fatal("UC tag of a data message does not verify")
	}
	h, err := wire.ParseHeader(frame)
	must(d.t, err)
	name := [5]byte{h.Low, byte(h.Counter >> 24), byte(h.Counter >> 16), byte(h.Counter >> 8), byte(h.Counter)}
	if before, used := d.sealed[name]; used && !bytes.Equal(before, frame) {
		d.t.Fatalf("counter %d of epoch %d was used twice", h.Counter, h.Low)
	}
	d.sealed[name] = bytes.Clone(frame)
	e := d.epochs[h.Low]
	if e == nil || e.closed {
		return [][]byte{d.secret.RekeyNotice(testMeter, h.Low)}
	}
	msg, err := new(wireopen.Opener).Open(nil, e.key, wire.Rewrite(bytes.Clone(frame), e.meter.Pseudonym))
	must(d.t, err)
	got := d.got
	if e.meter != d.meter {
		got = d.gotOld
	}
	e.active = true
	d.sizes = append(d.sizes, len(frame))
	for _, r := range msg.Readings {
		if before, stored := got[r.Time]; stored && before != r {
			d.t.Fatalf("two values for the reading at %d", r.Time)
		}
		got[r.Time] = r
	}
	return nil
}

// refuse closes an epoch, as when the TTP has lost its keys.
func (d *double) refuse(e wattveil.Epoch) {
	if known := d.epochs[e.Low()]; known != nil {
		known.closed = true
	}
}

var errFault = errors.New("fault on purpose")

// network is the collectors: what it has acknowledged reaches the double, in
// any order and more than once, and downlinks may get lost or come twice.
type network struct {
	double  *double
	down    chan []byte
	publish func(frame []byte) (take bool, err error) // nil: takes all
	deliver func(frame []byte) int                    // how often a downlink comes; nil: once
	check   func(frame []byte)                        // of all that is published
	held    bool                                      // keep frames until pump
	queue   [][]byte
	frames  [][]byte // all that was published, in order
}
