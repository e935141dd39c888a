package clpke_test

import (
	"crypto/ecdh"
	"crypto/hpke"
	"testing"
	"time"

	"github.com/wattveil/wattveil/clpke"
	"github.com/wattveil/wattveil/clpke/open"
)

// benchMessage is as long as the body of a meter's first session message.
var benchMessage = make([]byte, 64)

// hpkePair is the standard library's hybrid encryption over the same curve,
// what encryption to a key costs when certificates vouch for it.
func hpkePair(b *testing.B) (hpke.PrivateKey, func() error) {
	b.Helper()
	priv, err := hpke.DHKEM(ecdh.P256()).GenerateKey()
	if err != nil {
		b.Fatal(err)
	}
	pub := priv.PublicKey()
	return priv, func() error {
		_, err := hpke.Seal(pub, hpke.HKDFSHA256(), hpke.AES128GCM(), []byte(label), benchMessage)
		return err
	}
}

func run(b *testing.B, f func() error) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		if err := f(); err != nil {
			b.Fatal(err)
		}
	}
}

// versus times f and the peer in turns, so that a busy machine slows both, and
// reports the ratio.
func versus(b *testing.B, f, peer func() error) {
	b.Helper()
	var ours, theirs time.Duration
	for b.Loop() {
		start := time.Now()
		if err := f(); err != nil {
			b.Fatal(err)
		}
		middle := time.Now()
		if err := peer(); err != nil {
			b.Fatal(err)
		}
		ours += middle.Sub(start)
		theirs += time.Since(middle)
	}
	b.ReportMetric(float64(ours)/float64(theirs), "x-hpke")
}

func BenchmarkEncrypt(b *testing.B) {
	k := newTestKey(b, meterID)
	public := k.private.PublicKey()
	r, err := public.Prepare()
	if err != nil {
		b.Fatal(err)
	}
	prepared := func() error {
		_, err := r.Encrypt(label, benchMessage)
		return err
	}
	cold := func() error {
		r, err := public.Prepare()
		if err != nil {
			return err
		}
		_, err = r.Encrypt(label, benchMessage)
		return err
	}
	_, peer := hpkePair(b)
	b.Run("prepared", func(b *testing.B) { run(b, prepared) })
	b.Run("cold", func(b *testing.B) { run(b, cold) })
	b.Run("hpke", func(b *testing.B) { run(b, peer) })
	b.Run("prepared-versus-hpke", func(b *testing.B) { versus(b, prepared, peer) })
	b.Run("cold-versus-hpke", func(b *testing.B) { versus(b, cold, peer) })
}

func BenchmarkOpen(b *testing.B) {
	k := newTestKey(b, meterID)
	ciphertext := k.encrypt(b, label, benchMessage)
	ours := func() error {
		_, err := open.Open(k.private, label, ciphertext)
		return err
	}
	priv, _ := hpkePair(b)
	sealed, err := hpke.Seal(priv.PublicKey(), hpke.HKDFSHA256(), hpke.AES128GCM(), []byte(label), benchMessage)
	if err != nil {
		b.Fatal(err)
	}
	peer := func() error {
		_, err := hpke.Open(priv, hpke.HKDFSHA256(), hpke.AES128GCM(), []byte(label), sealed)
		return err
	}
	b.Run("clpke", func(b *testing.B) { run(b, ours) })
	b.Run("hpke", func(b *testing.B) { run(b, peer) })
	b.Run("versus-hpke", func(b *testing.B) { versus(b, ours, peer) })
}

func BenchmarkVerifyStatement(b *testing.B) {
	k := newTestKey(b, meterID)
	run(b, func() error {
		_, err := clpke.VerifyStatement(k.signed, &k.signer.PublicKey)
		return err
	})
}
