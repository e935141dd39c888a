package open_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/wattveil/wattveil"
	plain "github.com/wattveil/wattveil/internal/plain/wire"
	"github.com/wattveil/wattveil/wire"
	"github.com/wattveil/wattveil/wire/open"
)

// FuzzDecodeBlock holds the decoder to the plain one and to the encoder: both
// accept the same blocks, and what they accept encodes to the same bytes.
func FuzzDecodeBlock(f *testing.F) {
	for _, v := range load(f).Blocks {
		f.Add([]byte(v.Block))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		readings, res, err := open.DecodeBlock(nil, b)
		interval, want, ok := plain.ReadBlock(b)
		if ok != (err == nil) {
			t.Fatalf("block %x: %v, but the plain implementation accepts it: %v", b, err, ok)
		}
		if err != nil {
			if !errors.Is(err, wire.Malformed) {
				t.Fatal(err)
			}
			return
		}
		if int(res) != interval || len(readings) != len(want) {
			t.Fatalf("%d readings at %v, want %d at %d s", len(readings), res, len(want), interval)
		}
		for i, r := range readings {
			same := r.Time == int64(want[i].Time) && uint64(r.Import) == want[i].Import &&
				uint64(r.Export) == want[i].Export && uint16(r.Status) == want[i].Status
			if !same {
				t.Fatalf("reading %d differs from the plain implementation's", i)
			}
		}
		if again, err := wire.AppendBlock(nil, res, readings); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("accepted %x, encodes to %x (%v)", b, again, err)
		}
	})
}

// FuzzOpen seals any block under any header and opens it: the opener accepts
// what the meter with that key sealed, if its block is one, and nothing else.
func FuzzOpen(f *testing.F) {
	for _, v := range load(f).Data {
		f.Add([]byte(v.Block), uint32(v.Counter), []byte(v.ToTTP))
	}
	key, keys := fuzzKey(f)
	f.Fuzz(func(t *testing.T, block []byte, counter uint32, msg []byte) {
		var opener open.Opener
		if _, err := opener.Open(nil, key, msg); !errors.Is(err, wire.Forged) && !errors.Is(err, wire.Malformed) {
			t.Fatalf("a message that nobody sealed: %v", err)
		}
		got, err := opener.Open(nil, key, keys.ForTTP(keys.Message(counter, block)))
		if err != nil {
			if _, _, ok := plain.ReadBlock(block); ok || !errors.Is(err, wire.Malformed) {
				t.Fatalf("block %x does not open: %v", block, err)
			}
			return
		}
		again, err := wire.AppendBlock(nil, got.Resolution, got.Readings)
		if err != nil || !bytes.Equal(again, block) || got.Counter != wattveil.Counter(counter) {
			t.Fatalf("block %x under counter %d opens as %x under %d (%v)", block, counter, again, got.Counter, err)
		}
	})
}

func fuzzKey(f *testing.F) (*open.Key, plain.DataKeys) {
	keys := plain.DataKeys{
		ID: 1, AnID: 2, UC: 3, Epoch: 0x0405, Key: []byte("0123456789abcdef"), Salt: []byte("0123456789ab"), TagKey: []byte("tag key"),
	}
	up := &wire.DirectionKey{Key: [16]byte(keys.Key), Salt: [12]byte(keys.Salt)}
	key, err := open.NewKey(wattveil.Meter{UC: 3, Pseudonym: 2}, 0x0405, up)
	if err != nil {
		f.Fatal(err)
	}
	return key, keys
}
