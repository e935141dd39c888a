package kgc

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"testing"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/clpke"
	vectors "github.com/wattveil/wattveil/vectors/clpke"
)

const (
	notBefore = 1_700_000_000
	notAfter  = 1_800_000_000
)

var meterID = clpke.MeterIdentity(wattveil.Meter{UC: 7, Pseudonym: 0x0123456789abcdef})

func newCenter(t testing.TB, uc wattveil.UCNumber) *KGC {
	t.Helper()
	master, err := NewMasterKey()
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	center, err := New(Config{Master: master, Signer: signer, UC: uc})
	if err != nil {
		t.Fatal(err)
	}
	return center
}

func newUser(t testing.TB) *clpke.UserKey {
	t.Helper()
	user, err := clpke.NewUserKey()
	if err != nil {
		t.Fatal(err)
	}
	return user
}

// With the s of a vector, derive gives the vector's partial key.
func TestVectorKeys(t *testing.T) {
	v, err := vectors.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range v.Keys {
		t.Run(k.Name, func(t *testing.T) {
			master, err := ParseMasterKey(k.X)
			if err != nil {
				t.Fatal(err)
			}
			s, err := ecdh.P256().NewPrivateKey(k.S)
			if err != nil {
				t.Fatal(err)
			}
			id := clpke.Identity{Role: clpke.Role(k.Role), UC: wattveil.UCNumber(k.UC), Name: string(k.Owner)}
			partial, err := master.derive(id, clpke.Point(k.Mu), s)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(partial.Bytes(), k.Partial) {
				t.Errorf("partial key %x, want %x", partial.Bytes(), k.Partial)
			}
		})
	}
}

func TestIssue(t *testing.T) {
	center, user := newCenter(t, 7), newUser(t)
	for _, id := range []clpke.Identity{meterID, clpke.TTPIdentity(7, "ttp.example")} {
		signed, partial, err := center.Issue(id, user.Public(), 3, notBefore, notAfter)
		if err != nil {
			t.Fatal(err)
		}
		s, err := clpke.VerifyStatement(signed, &center.cfg.Signer.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		want := clpke.Statement{
			UC: 7, Role: id.Role, Name: id.Name, Serial: 3,
			Omega: partial.Omega(), Mu: user.Public(), Master: center.cfg.Master.Public(),
			NotBefore: notBefore, NotAfter: notAfter,
		}
		if s != want {
			t.Errorf("statement is %+v, want %+v", s, want)
		}
		if _, err := clpke.NewPrivateKey(user, partial, id, s.Master); err != nil {
			t.Errorf("the owner's check: %v", err)
		}
	}
}

func TestIssueDrawsAnew(t *testing.T) {
	center, user := newCenter(t, 7), newUser(t)
	_, a, errA := center.Issue(meterID, user.Public(), 1, notBefore, notAfter)
	_, b, errB := center.Issue(meterID, user.Public(), 2, notBefore, notAfter)
	if err := errors.Join(errA, errB); err != nil {
		t.Fatal(err)
	}
	if a.Omega() == b.Omega() || a.Equal(b) {
		t.Error("two issues have one s, which gives x away")
	}
}

func TestIssueRefuses(t *testing.T) {
	center, mu := newCenter(t, 7), newUser(t).Public()
	other := meterID
	other.UC = 8
	for _, c := range []struct {
		name                string
		id                  clpke.Identity
		mu                  clpke.Point
		notBefore, notAfter int64
		malformed           bool
	}{
		{"another utility", other, mu, notBefore, notAfter, false},
		{"role 0", clpke.Identity{UC: 7, Name: "x"}, mu, notBefore, notAfter, true},
		{"TTP without a name", clpke.TTPIdentity(7, ""), mu, notBefore, notAfter, true},
		{"no user value", meterID, clpke.Point{}, notBefore, notAfter, true},
		{"user value off the curve", meterID, clpke.Point{0: 2, 32: 1}, notBefore, notAfter, true},
		{"empty validity", meterID, mu, notBefore, notBefore, true},
		{"negative time", meterID, mu, -1, notAfter, true},
	} {
		signed, partial, err := center.Issue(c.id, c.mu, 1, c.notBefore, c.notAfter)
		if err == nil || signed != nil || partial != nil {
			t.Errorf("%s: issued", c.name)
		}
		if errors.Is(err, clpke.ErrMalformed) != c.malformed {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	cfg := newCenter(t, 7).cfg
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]func(*Config){
		"no master":   func(c *Config) { c.Master = nil },
		"zero master": func(c *Config) { c.Master = &MasterKey{} },
		"no signer":   func(c *Config) { c.Signer = nil },
		"P-384":       func(c *Config) { c.Signer = p384 },
	} {
		c := cfg
		f(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestMasterKeySurvivesItsFile(t *testing.T) {
	a, err := NewMasterKey()
	if err != nil {
		t.Fatal(err)
	}
	b, err := ParseMasterKey(a.Bytes())
	if err != nil || !b.Equal(a) || b.Public() != a.Public() {
		t.Errorf("%v", err)
	}
	if other := newCenter(t, 7).cfg.Master; other.Equal(a) {
		t.Error("two master keys are equal")
	}
	for _, in := range [][]byte{nil, make([]byte, 32), a.Bytes()[:31], append(a.Bytes(), 0), []byte(order), bytes.Repeat([]byte{0xff}, 32)} {
		if _, err := ParseMasterKey(in); !errors.Is(err, clpke.ErrMalformed) {
			t.Errorf("%x: %v", in, err)
		}
	}
}

func BenchmarkIssue(b *testing.B) {
	center, mu := newCenter(b, 7), newUser(b).Public()
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := center.Issue(meterID, mu, 1, notBefore, notAfter); err != nil {
			b.Fatal(err)
		}
	}
}
