package open_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/wattveil/wattveil"
	vectors "github.com/wattveil/wattveil/vectors/wire"
	"github.com/wattveil/wattveil/wire"
	"github.com/wattveil/wattveil/wire/open"
)

func load(t testing.TB) *vectors.Vectors {
	t.Helper()
	v, err := vectors.Load()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func keyOf(t testing.TB, v vectors.Data) *open.Key {
	t.Helper()
	m := wattveil.Meter{UC: wattveil.UCNumber(v.UC), Pseudonym: wattveil.Pseudonym(v.AnID)}
	key, err := open.NewKey(m, wattveil.Epoch(v.Epoch), &wire.DirectionKey{Key: [16]byte(v.Key), Salt: [12]byte(v.Salt)})
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func readingsOf(v vectors.Block) []wattveil.Reading {
	var list []wattveil.Reading
	for _, r := range v.Readings {
		list = append(list, wattveil.Reading{
			Time: int64(r.Time), Import: wattveil.Register(r.Import), Export: wattveil.Register(r.Export), Status: wattveil.Status(r.Status),
		})
	}
	return list
}

func TestVectorsBlock(t *testing.T) {
	before := []wattveil.Reading{{Time: 1}}
	for _, v := range load(t).Blocks {
		t.Run(v.Name, func(t *testing.T) {
			got, res, err := open.DecodeBlock(slices.Clone(before), v.Block)
			if v.Class != "" {
				if !errors.Is(err, wire.Class(v.Class)) {
					t.Errorf("error %v, want class %s", err, v.Class)
				}
				if !slices.Equal(got, before) || res != 0 {
					t.Error("a refused block left readings")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if res != wattveil.Resolution(v.Interval) || !slices.Equal(got, append(slices.Clone(before), readingsOf(v)...)) {
				t.Errorf("%d readings at %v differ from the vector's", len(got)-1, res)
			}
			again, err := wire.AppendBlock(nil, res, got[1:])
			if err != nil || !bytes.Equal(again, v.Block) {
				t.Errorf("encodes to %x (%v), want %x", again, err, v.Block)
			}
		})
	}
}

func TestVectorsData(t *testing.T) {
	var opener open.Opener
	for _, v := range load(t).Data {
		if v.At != "" && v.At != vectors.AtTTP {
			continue
		}
		t.Run(v.Name, func(t *testing.T) {
			key := keyOf(t, v)
			got, err := opener.Open(nil, key, v.ToTTP)
			if v.Class != "" {
				if !errors.Is(err, wire.Class(v.Class)) {
					t.Errorf("error %v, want class %s", err, v.Class)
				}
				if got.Counter != 0 || got.Readings != nil {
					t.Error("a refused message gave something")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if key.Epoch() != wattveil.Epoch(v.Epoch) || got.Counter != wattveil.Counter(v.Counter) {
				t.Errorf("epoch %d, counter %d", key.Epoch(), got.Counter)
			}
			if tag := v.ToTTP[len(v.ToTTP)-wire.TagSize:]; !bytes.Equal(got.Digest[:], tag[:8]) {
				t.Errorf("digest %x of tag %x", got.Digest, []byte(tag))
			}
			again, err := wire.AppendBlock(nil, got.Resolution, got.Readings)
			if err != nil || !bytes.Equal(again, v.Block) {
				t.Errorf("holds block %x (%v), want %x", again, err, []byte(v.Block))
			}
		})
	}
}
