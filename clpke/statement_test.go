package clpke_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/clpke"
)

// The layout of spec/clpke.md section 7, byte by byte.
func TestStatementLayout(t *testing.T) {
	g := "036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
	g2 := "037cf27b188d034f7e8a52380304b51ac3c08969e277f21b35a60b48fc47669978"
	s := clpke.Statement{
		UC: 0x01020304, Role: clpke.RoleTTP, Name: "ttp", Serial: 0x0a0b0c0d,
		Omega: pointOf(t, g), Mu: pointOf(t, g2), Master: pointOf(t, "02"+g[2:]),
		NotBefore: 0x11, NotAfter: 0x2233,
	}
	want := "01020304" + "02" + "0003" + "747470" + "0a0b0c0d" + g + g2 + "02" + g[2:] + "0000000000000011" + "0000000000002233"
	if got := hex.EncodeToString(clpke.EncodeStatement(s)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	key := newSigner(t, elliptic.P256())
	signed, err := clpke.SignStatement(key, s)
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(signed[:len(signed)-64]); got != want {
		t.Errorf("signed bytes begin with %s", got)
	}
	if got, err := clpke.VerifyStatement(signed, &key.PublicKey); err != nil || got != s {
		t.Errorf("got %+v, %v", got, err)
	}
	if signed.Hash() != sha256.Sum256(signed) {
		t.Error("hash is not that of all the bytes")
	}
	meter := newTestKey(t, meterID)
	if len(meter.signed) != 198 {
		t.Errorf("a meter's signed statement has %d bytes, want 198", len(meter.signed))
	}
}

func pointOf(t *testing.T, hexadecimal string) clpke.Point {
	t.Helper()
	b, err := hex.DecodeString(hexadecimal)
	if err != nil {
		t.Fatal(err)
	}
	p, err := clpke.ParsePoint(b)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func newSigner(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestStatementNamesKeyAndTime(t *testing.T) {
	k := newTestKey(t, meterID)
	s, err := clpke.VerifyStatement(k.signed, &k.signer.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	if s.Identity() != meterID || s.PublicKey() != k.private.PublicKey() {
		t.Errorf("statement is of %v", s.Identity())
	}
	for _, c := range []struct {
		unix int64
		want bool
	}{{1_699_999_999, false}, {1_700_000_000, true}, {1_750_000_000, true}, {1_800_000_000, true}, {1_800_000_001, false}, {-1, false}} {
		if got := s.ValidAt(c.unix); got != c.want {
			t.Errorf("valid at %d: %v", c.unix, got)
		}
	}
}

func TestVerifyRefusesWrongSigners(t *testing.T) {
	k := newTestKey(t, meterID)
	p384 := newSigner(t, elliptic.P384())
	for name, signer := range map[string]*ecdsa.PublicKey{
		"another key": &newSigner(t, elliptic.P256()).PublicKey,
		"P-384":       &p384.PublicKey,
		"nil":         nil,
		"zero":        {},
	} {
		if _, err := clpke.VerifyStatement(k.signed, signer); !errors.Is(err, clpke.ErrUnsigned) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s, err := clpke.VerifyStatement(k.signed, &k.signer.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, signer := range map[string]*ecdsa.PrivateKey{"P-384": p384, "nil": nil, "zero": {}} {
		if _, err := clpke.SignStatement(signer, s); err == nil {
			t.Errorf("%s signs", name)
		}
	}
	s.NotAfter = s.NotBefore
	if _, err := clpke.SignStatement(k.signer, s); !errors.Is(err, clpke.ErrMalformed) {
		t.Errorf("empty validity signs: %v", err)
	}
}

// A key generation center that signs twice under one serial leaves evidence
// that anybody can check.
func TestTwoStatementsWithOneSerialAreEvidence(t *testing.T) {
	k := newTestKey(t, meterID)
	impostor := *k
	var err error
	if impostor.user, err = clpke.NewUserKey(); err != nil {
		t.Fatal(err)
	}
	second, _ := impostor.issue(t, meterID, 1)

	_, err = clpke.CompareStatements(k.signed, second, &k.signer.PublicKey)
	var evidence *clpke.EvidenceError
	if !errors.As(err, &evidence) {
		t.Fatalf("got %v", err)
	}
	if !bytes.Equal(evidence.Kept, k.signed) || !bytes.Equal(evidence.Offered, second) || evidence.Identity != meterID || evidence.Serial != 1 {
		t.Error("the evidence is not the two statements")
	}
	second[0] ^= 1
	a, errA := clpke.VerifyStatement(evidence.Kept, &k.signer.PublicKey)
	b, errB := clpke.VerifyStatement(evidence.Offered, &k.signer.PublicKey)
	if err := errors.Join(errA, errB); err != nil {
		t.Fatalf("evidence does not verify by itself: %v", err)
	}
	if a.Identity() != b.Identity() || a.Serial != b.Serial || a == b {
		t.Error("the evidence convinces nobody")
	}
}

func TestCompareStatements(t *testing.T) {
	k := newTestKey(t, meterID)
	signer := &k.signer.PublicKey
	third, _ := k.issue(t, meterID, 3)
	ttp, _ := k.issue(t, ttpID, 9)

	if s, err := clpke.CompareStatements(nil, third, signer); err != nil || s.Serial != 3 {
		t.Errorf("first: %v", err)
	}
	if s, err := clpke.CompareStatements(k.signed, third, signer); err != nil || s.Serial != 3 {
		t.Errorf("higher: %v", err)
	}
	if _, err := clpke.CompareStatements(third, k.signed, signer); !errors.Is(err, clpke.ErrSerial) {
		t.Errorf("lower: %v", err)
	}
	if _, err := clpke.CompareStatements(k.signed, ttp, signer); err == nil {
		t.Error("statements of two identities compare")
	}
	if _, err := clpke.CompareStatements([]byte{}, third, signer); !errors.Is(err, clpke.ErrMalformed) {
		t.Errorf("kept nothing that is a statement: %v", err)
	}
	// The center's key may have changed since the kept one was accepted.
	renewed := *k
	renewed.signer = newSigner(t, elliptic.P256())
	fourth, _ := renewed.issue(t, meterID, 4)
	if _, err := clpke.CompareStatements(third, fourth, &renewed.signer.PublicKey); err != nil {
		t.Errorf("after a change of the signer: %v", err)
	}
}

func TestRoot(t *testing.T) {
	k := newTestKey(t, ttpID)
	s, err := clpke.VerifyStatement(k.signed, &k.signer.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	key := newSigner(t, elliptic.P256())
	r := clpke.RootStatement{UC: s.UC, Omega: s.Omega, Mu: s.Mu, NotBefore: 10, NotAfter: 20}
	signed, err := clpke.SignRoot(key, r)
	if err != nil || len(signed) != 150 {
		t.Fatalf("%d bytes, %v", len(signed), err)
	}
	got, err := clpke.VerifyRoot(signed, &key.PublicKey)
	if err != nil || got != r {
		t.Fatalf("got %+v, %v", got, err)
	}
	if got.ValidAt(9) || !got.ValidAt(10) || !got.ValidAt(20) || got.ValidAt(21) {
		t.Error("validity does not include its ends alone")
	}
	for i := range signed {
		altered := bytes.Clone(signed)
		altered[i] ^= 0x80
		if _, err := clpke.VerifyRoot(altered, &key.PublicKey); err == nil {
			t.Errorf("byte %d altered: accepted", i)
		}
	}
	r.NotAfter = r.NotBefore
	if _, err := clpke.SignRoot(key, r); !errors.Is(err, clpke.ErrMalformed) {
		t.Errorf("empty validity signs: %v", err)
	}
}

func TestRootCovers(t *testing.T) {
	k := newTestKey(t, ttpID)
	s, err := clpke.VerifyStatement(k.signed, &k.signer.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	r := clpke.RootStatement{UC: s.UC, Omega: s.Omega, Mu: s.Mu, NotBefore: 1, NotAfter: 2}
	if !r.Covers(s) {
		t.Error("does not cover the TTP's own statement")
	}
	for name, f := range map[string]func(*clpke.Statement){
		"role":  func(s *clpke.Statement) { s.Role = clpke.RoleMeter },
		"UC":    func(s *clpke.Statement) { s.UC++ },
		"omega": func(s *clpke.Statement) { s.Omega = s.Mu },
		"mu":    func(s *clpke.Statement) { s.Mu = s.Omega },
	} {
		other := s
		f(&other)
		if r.Covers(other) {
			t.Errorf("covers a statement of another %s", name)
		}
	}
}

func TestPublicKeyPoint(t *testing.T) {
	for range 8 { // both signs of y
		key := newSigner(t, elliptic.P256())
		p := clpke.PublicKeyPoint(&key.PublicKey)
		back, err := p.ECDSA()
		if err != nil || !back.Equal(&key.PublicKey) {
			t.Errorf("%v: %v", p, err)
		}
		der, err := x509.MarshalPKIXPublicKey(back)
		if err != nil {
			t.Fatal(err)
		}
		if clpke.RootFingerprint(back) != sha256.Sum256(der) {
			t.Error("fingerprint is not that of the SubjectPublicKeyInfo")
		}
	}
	p384 := newSigner(t, elliptic.P384())
	for name, key := range map[string]*ecdsa.PublicKey{"P-384": &p384.PublicKey, "nil": nil, "zero": {}} {
		if p := clpke.PublicKeyPoint(key); p != (clpke.Point{}) {
			t.Errorf("%s: %v", name, p)
		}
		if clpke.RootFingerprint(key) != sha256.Sum256(nil) {
			t.Errorf("%s has a fingerprint", name)
		}
	}
	if _, err := (clpke.Point{}).ECDSA(); !errors.Is(err, clpke.ErrMalformed) {
		t.Errorf("zero point: %v", err)
	}
}

func TestIdentity(t *testing.T) {
	m := wattveil.Meter{UC: 7, Pseudonym: 0x0123456789abcdef}
	if got := hex.EncodeToString(clpke.MeterIdentity(m).Bytes()); got != "01"+"00000007"+"0123456789abcdef" {
		t.Errorf("meter: %s", got)
	}
	if got := hex.EncodeToString(clpke.TTPIdentity(7, "ttp").Bytes()); got != "02"+"00000007"+"747470" {
		t.Errorf("ttp: %s", got)
	}
	if got, ok := meterID.Meter(); !ok || got != m {
		t.Errorf("got %v, %v", got, ok)
	}
	if _, ok := ttpID.Meter(); ok {
		t.Error("a TTP is a meter")
	}
	for id, want := range map[clpke.Identity]string{
		meterID:                     "meter 7/0123456789abcdef",
		ttpID:                       `ttp 7/"ttp.example"`,
		{Role: 9, UC: 7}:            `role 9 7/""`,
		{Role: 1, UC: 7, Name: "x"}: `meter 7/"x"`,
	} {
		if got := id.String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
