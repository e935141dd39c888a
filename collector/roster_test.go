package collector

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"testing"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/wire"
)

func hashOf(password string) [32]byte { return sha256.Sum256([]byte(password)) }

func TestRosterApply(t *testing.T) {
	before := &roster{serial: 4, hashes: map[wattveil.MeterID][32]byte{1: hashOf("one"), 2: hashOf("two"), 3: hashOf("three")}}
	after, changed := before.apply(7, []wire.RosterEntry{
		{ID: 1},                        // removed
		{ID: 2, Hash: hashOf("2")},     // changed
		{ID: 3, Hash: hashOf("three")}, // the same
		{ID: 4, Hash: hashOf("four")},  // new
		{ID: 5},                        // removed, and never there
		{ID: 6, Hash: hashOf("six")},   // new, and removed at once
		{ID: 6},
	})
	if !slices.Equal(changed, []wattveil.MeterID{1, 2, 6}) || after.serial != 7 || len(after.hashes) != 3 {
		t.Errorf("changed %v, serial %d, %d meters", changed, after.serial, len(after.hashes))
	}
	for _, test := range []struct {
		r        *roster
		id       wattveil.MeterID
		password string
		want     bool
	}{
		{before, 1, "one", true}, {before, 2, "two", true}, {before, 4, "four", false},
		{after, 1, "one", false}, {after, 2, "two", false}, {after, 2, "2", true}, {after, 3, "three", true},
		{after, 4, "four", true}, {after, 4, "", false}, {after, 5, "", false}, {after, 6, "six", false},
	} {
		if got := test.r.allows(test.id, test.password); got != test.want {
			t.Errorf("serial %d allows meter %v with %q: %v", test.r.serial, test.id, test.password, got)
		}
	}
}

// TestRosterFile holds the file to the bytes that its comment gives.
func TestRosterFile(t *testing.T) {
	r := &roster{serial: 0x0102030405060708, hashes: map[wattveil.MeterID][32]byte{0x22: {0xbb}, 0x11: {0xaa}}}
	content := "00000001" + "0102030405060708" + "00000002" +
		"0000000000000011" + "aa" + hex.EncodeToString(make([]byte, 31)) +
		"0000000000000022" + "bb" + hex.EncodeToString(make([]byte, 31))
	b, err := hex.DecodeString(content)
	if err != nil {
		t.Fatal(err)
	}
	want := signed(b)
	if got := r.encode(); !bytes.Equal(got, want) {
		t.Errorf("encoded as %x, want %x", got, want)
	}
	if got, err := decodeRoster(want); err != nil || !bytes.Equal(got.encode(), want) {
		t.Errorf("decoded as %v, %v", got, err)
	}
}

// signed appends the sum that ends a roster's file.
func signed(b []byte) []byte {
	sum := sha256.Sum256(b)
	return append(bytes.Clone(b), sum[:]...)
}

func TestDecodeRosterRefuses(t *testing.T) {
	two := (&roster{serial: 1, hashes: map[wattveil.MeterID][32]byte{1: {1}, 2: {2}}}).encode()
	content := two[:len(two)-sha256.Size]
	change := func(at int, b byte) []byte {
		c := bytes.Clone(content)
		c[at] = b
		return signed(c)
	}
	for name, b := range map[string][]byte{
		"nothing":         nil,
		"a sum only":      signed(nil),
		"another version": change(3, 2),
		"a changed byte":  append(bytes.Clone(content[:20]), two[21:]...),
		"another sum":     append(bytes.Clone(content), make([]byte, sha256.Size)...),
		"cut":             signed(content[:len(content)-1]),
		"trailing":        signed(append(bytes.Clone(content), 0)),
		"fewer meters":    change(15, 1),
		"more meters":     change(15, 3),
		"one meter twice": change(rosterHead+rosterEntry+7, 1),
		"falling meters":  change(rosterHead+7, 9),
		"no hash":         change(rosterHead+8, 0),
	} {
		if _, err := decodeRoster(b); err == nil {
			t.Errorf("%s: decoded", name)
		}
	}
}

func FuzzDecodeRoster(f *testing.F) {
	for _, r := range []*roster{{}, {serial: 9, hashes: map[wattveil.MeterID][32]byte{1: {1}, 2: {2}}}} {
		b := r.encode()
		f.Add(b[:len(b)-sha256.Size])
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, content []byte) {
		b := signed(content) // else nothing would get past the sum
		r, err := decodeRoster(b)
		if err == nil && !bytes.Equal(r.encode(), b) {
			t.Errorf("%x becomes %x", b, r.encode())
		}
	})
}
