package clpke_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"testing"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/clpke"
	"github.com/wattveil/wattveil/kgc"
)

// label is the purpose that the tests encrypt under.
const label = "wattveil1 M1"

var (
	meterID = clpke.MeterIdentity(wattveil.Meter{UC: 7, Pseudonym: 0x0123456789abcdef})
	ttpID   = clpke.TTPIdentity(7, "ttp.example")
)

// testKey is a key with everything that led to it.
type testKey struct {
	master  *kgc.MasterKey
	signer  *ecdsa.PrivateKey
	user    *clpke.UserKey
	partial *clpke.PartialKey
	signed  clpke.SignedStatement
	private *clpke.PrivateKey
}

func newTestKey(t testing.TB, id clpke.Identity) *testKey {
	t.Helper()
	k := &testKey{}
	var err error
	if k.master, err = kgc.NewMasterKey(); err != nil {
		t.Fatal(err)
	}
	if k.signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	if k.user, err = clpke.NewUserKey(); err != nil {
		t.Fatal(err)
	}
	k.signed, k.partial = k.issue(t, id, 1)
	if k.private, err = clpke.NewPrivateKey(k.user, k.partial, id, k.master.Public()); err != nil {
		t.Fatal(err)
	}
	return k
}

// issue has the key generation center of k issue to k's user key.
func (k *testKey) issue(t testing.TB, id clpke.Identity, serial uint32) (clpke.SignedStatement, *clpke.PartialKey) {
	t.Helper()
	center, err := kgc.New(kgc.Config{Master: k.master, Signer: k.signer, UC: id.UC})
	if err != nil {
		t.Fatal(err)
	}
	signed, partial, err := center.Issue(id, k.user.Public(), serial, 1_700_000_000, 1_800_000_000)
	if err != nil {
		t.Fatal(err)
	}
	return signed, partial
}

func (k *testKey) encrypt(t testing.TB, label string, msg []byte) []byte {
	t.Helper()
	r, err := k.private.PublicKey().Prepare()
	if err != nil {
		t.Fatal(err)
	}
	ciphertext, err := r.Encrypt(label, msg)
	if err != nil {
		t.Fatal(err)
	}
	return ciphertext
}
