package clpke_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"math/big"
	"strings"
	"sync"
	"testing"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/clpke"
	"github.com/wattveil/wattveil/clpke/internal/scheme"
	"github.com/wattveil/wattveil/clpke/open"
	plain "github.com/wattveil/wattveil/internal/plain/clpke"
)

func TestEncryptThenOpen(t *testing.T) {
	for _, id := range []clpke.Identity{meterID, ttpID} {
		k := newTestKey(t, id)
		for _, n := range []int{0, 1, 32, 64, 1000, clpke.MaxMessage} {
			msg := make([]byte, n)
			_, _ = rand.Read(msg)
			ciphertext := k.encrypt(t, label, msg)
			if len(ciphertext) != n+clpke.Overhead {
				t.Errorf("%v, %d bytes: ciphertext has %d", id, n, len(ciphertext))
			}
			got, err := open.Open(k.private, label, ciphertext)
			if err != nil || !bytes.Equal(got, msg) {
				t.Errorf("%v, %d bytes: %v", id, n, err)
			}
		}
	}
}

func TestEncryptDrawsFreshRandomness(t *testing.T) {
	k := newTestKey(t, meterID)
	a, b := k.encrypt(t, label, []byte("same")), k.encrypt(t, label, []byte("same"))
	if bytes.Equal(a[:clpke.PointSize], b[:clpke.PointSize]) {
		t.Error("two encryptions of one message have one C1")
	}
}

func TestEncryptRefuses(t *testing.T) {
	r, err := newTestKey(t, meterID).private.PublicKey().Prepare()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, label string
		size        int
	}{
		{"message too long", label, clpke.MaxMessage + 1},
		{"label without the prefix", "M1", 1},
		{"no label", "", 1},
		{"label too long", "wattveil1 " + strings.Repeat("x", 55), 1},
		{"label not printable", "wattveil1 \x00", 1},
	} {
		if out, err := r.Encrypt(c.label, make([]byte, c.size)); err == nil || out != nil {
			t.Errorf("%s: accepted", c.name)
		}
	}
}

func TestPrepareRefuses(t *testing.T) {
	good := newTestKey(t, meterID).private.PublicKey()
	for name, f := range map[string]func(*clpke.PublicKey){
		"role 0":      func(k *clpke.PublicKey) { k.Identity.Role = 0 },
		"meter name":  func(k *clpke.PublicKey) { k.Identity.Name = "short" },
		"zero omega":  func(k *clpke.PublicKey) { k.Omega = clpke.Point{} },
		"zero mu":     func(k *clpke.PublicKey) { k.Mu = clpke.Point{} },
		"zero master": func(k *clpke.PublicKey) { k.Master = clpke.Point{} },
	} {
		k := good
		f(&k)
		if _, err := k.Prepare(); !errors.Is(err, clpke.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Every single-bit change of a ciphertext is refused.
func TestOpenRefusesEveryBitFlip(t *testing.T) {
	k := newTestKey(t, meterID)
	ciphertext := k.encrypt(t, label, []byte("sixteen bytes it"))
	for i := range len(ciphertext) * 8 {
		altered := bytes.Clone(ciphertext)
		altered[i/8] ^= 1 << (i % 8)
		msg, err := open.Open(k.private, label, altered)
		if msg != nil || !errors.Is(err, open.ErrOpen) && !errors.Is(err, clpke.ErrMalformed) {
			t.Errorf("bit %d: opens, or fails with %v", i, err)
		}
		if i/8 >= clpke.PointSize && !errors.Is(err, open.ErrOpen) {
			t.Errorf("bit %d, after C1: %v", i, err)
		}
	}
}

// scalars gives what an attacker could put in the place of a secret that it
// lacks: what it holds, sums and differences of it, and fresh numbers.
func scalars(t *testing.T, held ...[]byte) []*scheme.Scalar {
	t.Helper()
	one := make([]byte, clpke.ScalarSize)
	one[len(one)-1] = 1
	held = append(held, one)
	var out []*scheme.Scalar
	add := func(n *big.Int) {
		s, err := scheme.ParseScalar(plain.Scalar32(n.Mod(n, plain.Order())))
		if err == nil {
			out = append(out, s)
		}
	}
	for _, a := range held {
		add(new(big.Int).SetBytes(a))
		for _, b := range held {
			x, y := new(big.Int).SetBytes(a), new(big.Int).SetBytes(b)
			add(new(big.Int).Add(x, y))
			add(new(big.Int).Sub(x, y))
			add(new(big.Int).Mul(x, y))
		}
	}
	fresh, err := scheme.RandomScalar()
	if err != nil {
		t.Fatal(err)
	}
	return append(out, fresh)
}

func parse(t *testing.T, b []byte) *scheme.Scalar {
	t.Helper()
	s, err := scheme.ParseScalar(b)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A utility that holds d and even the master x, but not z, opens nothing.
func TestPartialKeyAloneOpensNothing(t *testing.T) {
	k := newTestKey(t, meterID)
	public := k.private.PublicKey()
	ciphertext := k.encrypt(t, label, []byte("a reading"))
	d := k.partial.Bytes()[clpke.PointSize:]
	for i, z := range scalars(t, d, k.master.Bytes()) {
		forged := clpke.PrivateKeyOf(z, parse(t, d), public)
		if _, err := open.Open(forged, label, ciphertext); !errors.Is(err, open.ErrOpen) {
			t.Errorf("guess %d in the place of z: %v", i, err)
		}
	}

	// Nor does the key that it issues to itself under the same identity.
	other, err := clpke.NewUserKey()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := clpke.NewPrivateKey(other, k.partial, meterID, public.Master); !errors.Is(err, clpke.ErrPartialKey) {
		t.Errorf("its own user key with the owner's partial key: %v", err)
	}
	impostor := *k
	impostor.user = other
	_, partial := impostor.issue(t, meterID, 2)
	private, err := clpke.NewPrivateKey(other, partial, meterID, public.Master)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := open.Open(private, label, ciphertext); !errors.Is(err, open.ErrOpen) {
		t.Errorf("its own key under the owner's identity: %v", err)
	}
}

// An outsider that made μ, and so holds z, opens nothing without d.
func TestUserKeyAloneOpensNothing(t *testing.T) {
	k := newTestKey(t, meterID)
	ciphertext := k.encrypt(t, label, []byte("a reading"))
	z := k.user.Bytes()
	h, err := k.private.PublicKey().H1()
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range scalars(t, z, h[:]) {
		forged := clpke.PrivateKeyOf(parse(t, z), d, k.private.PublicKey())
		if _, err := open.Open(forged, label, ciphertext); !errors.Is(err, open.ErrOpen) {
			t.Errorf("guess %d in the place of d: %v", i, err)
		}
	}

	// Nor does a d for the same user key under another identity.
	_, partial := k.issue(t, ttpID, 1)
	forged := clpke.PrivateKeyOf(parse(t, z), parse(t, partial.Bytes()[clpke.PointSize:]), k.private.PublicKey())
	if _, err := open.Open(forged, label, ciphertext); !errors.Is(err, open.ErrOpen) {
		t.Errorf("d of another identity: %v", err)
	}
}

func TestNewPrivateKeyRefusesMissingHalves(t *testing.T) {
	k := newTestKey(t, meterID)
	for name, f := range map[string]func() (*clpke.PrivateKey, error){
		"no user key": func() (*clpke.PrivateKey, error) {
			return clpke.NewPrivateKey(nil, k.partial, meterID, k.master.Public())
		},
		"zero user key": func() (*clpke.PrivateKey, error) {
			return clpke.NewPrivateKey(&clpke.UserKey{}, k.partial, meterID, k.master.Public())
		},
		"no partial key": func() (*clpke.PrivateKey, error) { return clpke.NewPrivateKey(k.user, nil, meterID, k.master.Public()) },
		"zero partial key": func() (*clpke.PrivateKey, error) {
			return clpke.NewPrivateKey(k.user, &clpke.PartialKey{}, meterID, k.master.Public())
		},
	} {
		if private, err := f(); err == nil || private != nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := clpke.NewPrivateKey(k.user, k.partial, meterID, clpke.Point{}); !errors.Is(err, clpke.ErrMalformed) {
		t.Errorf("zero master: %v", err)
	}
}

func TestSecretsSurviveTheVault(t *testing.T) {
	k := newTestKey(t, meterID)
	user, err := clpke.ParseUserKey(k.user.Bytes())
	if err != nil || !user.Equal(k.user) || user.Public() != k.user.Public() {
		t.Errorf("user key: %v", err)
	}
	partial, err := clpke.ParsePartialKey(k.partial.Bytes())
	if err != nil || !partial.Equal(k.partial) || partial.Omega() != k.partial.Omega() {
		t.Errorf("partial key: %v", err)
	}
	other := newTestKey(t, meterID)
	if k.user.Equal(other.user) || k.partial.Equal(other.partial) {
		t.Error("two keys are equal")
	}
	for _, b := range [][]byte{nil, make([]byte, 31), make([]byte, 32), make([]byte, 33), bytes.Repeat([]byte{0xff}, 32)} {
		if _, err := clpke.ParseUserKey(b); !errors.Is(err, clpke.ErrMalformed) {
			t.Errorf("user key %x: %v", b, err)
		}
	}
}

func TestRecipientIsSafeForConcurrentUse(t *testing.T) {
	k := newTestKey(t, meterID)
	r, err := k.private.PublicKey().Prepare()
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			ciphertext, err := r.Encrypt(label, []byte("at once"))
			if err != nil {
				t.Error(err)
				return
			}
			if msg, err := open.Open(k.private, label, ciphertext); err != nil || string(msg) != "at once" {
				t.Errorf("%q, %v", msg, err)
			}
		})
	}
	group.Wait()
}

// Random messages pass from either implementation to the other.
func TestPlainImplementationAgrees(t *testing.T) {
	for i := range 12 {
		id := clpke.MeterIdentity(wattveil.Meter{UC: wattveil.UCNumber(i), Pseudonym: wattveil.Pseudonym(1) << (5 * i)})
		k := newTestKey(t, id)
		public := k.private.PublicKey()
		other := plain.PublicKey{Identity: id.Bytes(), Omega: plainPoint(t, public.Omega), Mu: plainPoint(t, public.Mu), Master: plainPoint(t, public.Master)}
		z := new(big.Int).SetBytes(k.user.Bytes())
		d := new(big.Int).SetBytes(k.partial.Bytes()[clpke.PointSize:])
		if !other.Check(d) {
			t.Fatal("the plain check refuses the partial key")
		}
		msg, sigma := make([]byte, i*37), make([]byte, 32)
		_, _ = rand.Read(msg)
		_, _ = rand.Read(sigma)

		got, err := other.Decrypt(z, d, label, k.encrypt(t, label, msg))
		if err != nil || !bytes.Equal(got, msg) {
			t.Errorf("plain does not open what the package encrypts: %v", err)
		}
		_, ciphertext := other.Encrypt(label, msg, sigma)
		got, err = open.Open(k.private, label, ciphertext)
		if err != nil || !bytes.Equal(got, msg) {
			t.Errorf("the package does not open what plain encrypts: %v", err)
		}
		if !plain.Verify(plainPoint(t, clpke.PublicKeyPoint(&k.signer.PublicKey)), "wattveil1 key statement", k.signed) {
			t.Error("plain does not verify the statement")
		}
	}
}

func plainPoint(t *testing.T, p clpke.Point) plain.Point {
	t.Helper()
	q, err := plain.Decompress(p[:])
	if err != nil {
		t.Fatal(err)
	}
	return q
}
