package wire_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/wire"
)

// The benchmarks come with floors of the same primitives over the same bytes:
// the bars of this package are the ratios, not the nanoseconds of a machine.
// One reading and a day of quarters are what meters send.
var benchSizes = [...]int{1, 96}

func benchSealed(b testing.TB, n int) (sealer *wire.Sealer, key *wire.TagKey, readings []wattveil.Reading, msg []byte) {
	sealer, key = literalSealer(b)
	readings = literalReadings(n)
	block, err := wire.AppendBlock(nil, 900, readings)
	if err != nil {
		b.Fatal(err)
	}
	return sealer, key, readings, sealer.Append(nil, 3, block)
}

// seal is what a meter does for each message: block, GCM, UC tag.
func seal(n int, tb testing.TB) func() {
	sealer, _, readings, want := benchSealed(tb, n)
	block, msg := make([]byte, 0, 1024), make([]byte, 0, 2048)
	return func() {
		var err error
		if block, err = wire.AppendBlock(block[:0], 900, readings); err != nil {
			tb.Fatal(err)
		}
		msg = sealer.Append(msg[:0], 3, block)
		if len(msg) != len(want) {
			tb.Fatal("message of another length")
		}
	}
}

// sealFloor is AES-128-GCM and HMAC-SHA-256 as crypto/cipher and crypto/hmac
// give them, with warm keys, over the bytes of the message.
func sealFloor(n int, tb testing.TB) func() {
	_, _, readings, msg := benchSealed(tb, n)
	block, err := wire.AppendBlock(nil, 900, readings)
	if err != nil {
		tb.Fatal(err)
	}
	c, err := aes.NewCipher(count(0x10, 16))
	if err != nil {
		tb.Fatal(err)
	}
	aead, err := cipher.NewGCM(c)
	if err != nil {
		tb.Fatal(err)
	}
	nonce, aad := make([]byte, 12), make([]byte, wire.AADSize)
	m, sum, out := hmac.New(sha256.New, count(0, 32)), make([]byte, 0, 32), make([]byte, 0, 2048)
	return func() {
		out = append(out[:0], msg[:wire.HeaderSize]...)
		out = aead.Seal(out, nonce, block, aad)
		m.Reset()
		m.Write(out)
		sum = m.Sum(sum[:0])
		out = append(out, sum[:wire.TagSize]...)
	}
}

func tag(n int, tb testing.TB) func() {
	_, key, _, msg := benchSealed(tb, n)
	tagger, body := wire.NewTagger(), msg[:len(msg)-wire.TagSize]
	return func() { tagger.Append(key, body) }
}

func tagCheck(n int, tb testing.TB) func() {
	_, key, _, msg := benchSealed(tb, n)
	tagger := wire.NewTagger()
	return func() {
		if !tagger.Check(key, msg) {
			tb.Fatal("tag refused")
		}
	}
}

// rewrite is what the utility does for each message: check the tag, write the
// pseudonym over ID_SM, cut the tag off.
func rewrite(n int, tb testing.TB) func() {
	_, key, _, original := benchSealed(tb, n)
	tagger, msg := wire.NewTagger(), bytes.Clone(original)
	return func() {
		copy(msg[1:9], original[1:9])
		if !tagger.Check(key, msg) {
			tb.Fatal("tag refused")
		}
		if sent := wire.Rewrite(msg, 0x8877665544332211); len(sent) != len(msg)-wire.TagSize {
			tb.Fatal("message of another length")
		}
	}
}

// hmacFloor is HMAC-SHA-256 as crypto/hmac gives it, over the bytes that the
// UC tag covers, with a key that stays in place.
func hmacFloor(n int, tb testing.TB) func() {
	_, _, _, msg := benchSealed(tb, n)
	covered := msg[:len(msg)-wire.TagSize]
	m, sum := hmac.New(sha256.New, count(0, 32)), make([]byte, 0, 32)
	return func() {
		m.Reset()
		m.Write(covered)
		sum = m.Sum(sum[:0])
	}
}

func bench(b *testing.B, make func(n int, tb testing.TB) func()) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprintf("readings=%d", n), func(b *testing.B) {
			f := make(n, b)
			b.ReportAllocs()
			for b.Loop() {
				f()
			}
		})
	}
}

func BenchmarkSeal(b *testing.B)      { bench(b, seal) }
func BenchmarkSealFloor(b *testing.B) { bench(b, sealFloor) }
func BenchmarkTag(b *testing.B)       { bench(b, tag) }
func BenchmarkTagCheck(b *testing.B)  { bench(b, tagCheck) }
func BenchmarkRewrite(b *testing.B)   { bench(b, rewrite) }
func BenchmarkHMACFloor(b *testing.B) { bench(b, hmacFloor) }

// Sealing, tagging and rewriting allocate nothing once keys are warm.
func TestNoAllocations(t *testing.T) {
	for name, make := range map[string]func(n int, tb testing.TB) func(){
		"Seal": seal, "Tag": tag, "TagCheck": tagCheck, "Rewrite": rewrite,
	} {
		for _, n := range benchSizes {
			if allocs := testing.AllocsPerRun(100, make(n, t)); allocs != 0 {
				t.Errorf("%s of %d readings: %v allocations", name, n, allocs)
			}
		}
	}
}
