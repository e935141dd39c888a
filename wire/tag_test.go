package wire_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"testing"

	plain "github.com/wattveil/wattveil/internal/plain/wire"
	"github.com/wattveil/wattveil/wire"
)

// A tag from the two kept states is HMAC-SHA-256 at every length around the
// hash's blocks, whatever the tagger did before.
func TestTagIsHMAC(t *testing.T) {
	raw := count(0x40, 16)
	secret, err := wire.ParseSecret(raw)
	if err != nil {
		t.Fatal(err)
	}
	key, other := secret.DataTagKey(), wire.NewSecret().DataTagKey()
	tagger := wire.NewTagger()
	for n := range 300 {
		msg := bytes.Repeat([]byte{byte(n)}, n)
		tagger.Append(other, []byte("another meter's message"))
		m := hmac.New(sha256.New, plain.DataTagKey(raw))
		m.Write(msg)
		want := append(bytes.Clone(msg), m.Sum(nil)[:16]...)
		got := tagger.Append(key, bytes.Clone(msg))
		if !bytes.Equal(got, want) {
			t.Fatalf("%d bytes: %x, want %x", n, got, want)
		}
		if !tagger.Check(key, want) || tagger.Check(other, want) {
			t.Fatalf("%d bytes: right key refused or wrong key accepted", n)
		}
	}
	for n := range wire.TagSize {
		if tagger.Check(key, make([]byte, n)) {
			t.Errorf("a message of %d bytes has no room for a tag", n)
		}
	}
}

// Every bit of a data message counts for the utility: turned, the collector
// refuses the message or the tag does not fit.
func TestEveryBitOfMessageCounts(t *testing.T) {
	sealer, key := literalSealer(t)
	tagger := wire.NewTagger()
	for _, n := range []int{1, 96} {
		block, err := wire.AppendBlock(nil, 900, literalReadings(n))
		if err != nil {
			t.Fatal(err)
		}
		msg := sealer.Append(nil, 3, block)
		for bit := range 8 * len(msg) {
			msg[bit/8] ^= 1 << (bit % 8)
			kind, _, err := wire.ParsePrefix(msg)
			if err == nil && kind == wire.TypeData && tagger.Check(key, msg) {
				t.Errorf("bit %d of a message of %d bytes does not count", bit, len(msg))
			}
			msg[bit/8] ^= 1 << (bit % 8)
		}
	}
}

// A sealer appends behind what stands in the buffer, and tags its own message
// only.
func TestSealerAppends(t *testing.T) {
	sealer, _ := literalSealer(t)
	block := make([]byte, wire.BlockUnit)
	first := sealer.Append(nil, 1, block)
	both := sealer.Append(bytes.Clone(first), 2, block)
	if !bytes.Equal(both, append(bytes.Clone(first), sealer.Append(nil, 2, block)...)) {
		t.Error("the second message depends on what stands before it")
	}
}
