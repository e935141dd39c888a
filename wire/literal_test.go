package wire_test

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/wire"
)

// The bytes in this file were computed by hand-written Python with the package
// cryptography, so they stand beside both implementations here.

const literalTime = 1767225600 // 2026-01-01 00:00 UTC, 0x6955b900

func literalReadings(n int) []wattveil.Reading {
	readings := make([]wattveil.Reading, n)
	r := wattveil.Reading{Time: literalTime, Import: 0x0102030405, Export: 0x0a0b0c0d0e, Status: wattveil.StatusClock}
	for i := range readings {
		if i > 0 {
			r.Time += 900
			r.Import = r.Import.Add(wattveil.Wh(i))
			r.Export = r.Export.Add(0x0100)
		}
		if i == 50 {
			r.Status = 0
		}
		readings[i] = r
	}
	return readings
}

// count gives the n bytes from first on: 10 11 12 …
func count(first byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = first + byte(i)
	}
	return b
}

func literalSealer(t testing.TB) (*wire.Sealer, *wire.TagKey) {
	t.Helper()
	secret, err := wire.ParseSecret(count(0, 16))
	if err != nil {
		t.Fatal(err)
	}
	key := secret.DataTagKey()
	up := &wire.DirectionKey{Key: [16]byte(count(0x10, 16)), Salt: [12]byte(count(0x20, 12))}
	m := wattveil.Meter{UC: 7, Pseudonym: 0x8877665544332211}
	return wire.NewSealer(0x1122334455667788, m, 0x0102, up, key), key
}

func TestBlockBytes(t *testing.T) {
	for _, tt := range []struct {
		n    int
		want string
	}{
		{1, "10" + // version 1, no flags
			"2a" + // 900 s is the 42nd divisor of an hour
			"01" + // one reading
			"6955b900" + // time
			"0102030405" + "0a0b0c0d0e" + // registers
			"0001" + // status
			"0000000000"},
		{3, "10" + "2a" + "03" + "6955b900" + "0102030405" + "0a0b0c0d0e" + "0001" +
			"0001" + "0100" + // second reading: 1 Wh in, 256 Wh out
			"0002" + "0100" +
			"000000000000000000000000000000000000000000"},
	} {
		got, err := wire.AppendBlock(nil, 900, literalReadings(tt.n))
		if err != nil || hex.EncodeToString(got) != tt.want {
			t.Errorf("%d readings: %x (%v), want %s", tt.n, got, err, tt.want)
		}
	}
}

func TestStatusRunBytes(t *testing.T) {
	block, err := wire.AppendBlock(nil, 900, literalReadings(96))
	if err != nil {
		t.Fatal(err)
	}
	const deltas = 19 + 4*95
	if got, want := hex.EncodeToString(block[deltas:]), "32"+"0000"+"000000000000"; len(block) != 408 || got != want {
		t.Errorf("%d bytes end with %s, want %s", len(block), got, want)
	}
}

func TestMessageBytes(t *testing.T) {
	const one = "01" + "1122334455667788" + "02" + "00000003" + // header
		"2fb9cc11c390fb4e110d8508653d637cfaa91fe83df4d344" + // ciphertext
		"1397cb5df4ad36c4b5ff037d7aef0a9b" + // GCM tag
		"54be5878d21a552f1cf23b14472f9c9a" // UC tag
	const day = "011122334455667788020000" +
		"00032fb9ad11c390fb4e110d8508653d637cfaa9" +
		"1fe83cf5d3443e5bf5caff2ff3ae2b7e0387691438790bfc98f0406258bbae32" +
		"61a6dafdab88faa79873603290b096bbba14fb9cefd9ccf9a11c5ca191e97126" +
		"e2f689d042da3916f29fecdd4f1b6a4063d45c06f970e04962da84b31c2f5a6e" +
		"b4c62be32d0621b128b9224dbd8d2a89dfa87fffb46980bee557bcea379200ec" +
		"948f96830411e27683de30390ca31c9699ad40817cc6f845cce9f04cf743cd34" +
		"615be01daba9cd42a30786c56d2e7434ab71c04eb9f6fb7c6889700869b38a23" +
		"929a32f541fe14b4b4a29603bb2b7700b0c6f94e0bb6a21a4ae25989e5466d9d" +
		"33ff681b170d866cf377a8a55a549eb1330daeaca2174b4dcc2525d511d460df" +
		"a4c94d4e951fe9e969c0cd35b11cb7ed70ad913380bbcaa8701e65b0f42d9071" +
		"00615580e88174344c4aaea0282a82daa0fb6df863825869b97ddb7cd158f2a6" +
		"90c38f74f5fc92d6aaf1de807699e64bd23ca644e63263e2eadc30d809523302" +
		"89fa63d0a6cf16c872da191d5aa8c23d77013e131d0cd14e0955b252421cd426" +
		"77ec37f5d38d7bc31ca8b99bea90a9475a7405d33a7dbdfc2e12c83a138e96b8" +
		"8d003af4eb30"
	sealer, key := literalSealer(t)
	for _, tt := range []struct {
		n, size int
		want    string
	}{{1, 70, one}, {96, 454, day}} {
		block, err := wire.AppendBlock(nil, 900, literalReadings(tt.n))
		if err != nil {
			t.Fatal(err)
		}
		msg := sealer.Append(nil, 3, block)
		if len(msg) != tt.size || hex.EncodeToString(msg) != tt.want {
			t.Errorf("%d readings: %d bytes %x, want %d bytes %s", tt.n, len(msg), msg, tt.size, tt.want)
		}
		if !wire.NewTagger().Check(key, msg) {
			t.Errorf("%d readings: UC tag refused", tt.n)
		}
		sent := wire.Rewrite(bytes.Clone(msg), 0x8877665544332211)
		want := "01" + "8877665544332211" + tt.want[18:2*(tt.size-16)]
		if hex.EncodeToString(sent) != want {
			t.Errorf("%d readings: the TTP gets %x, want %s", tt.n, sent, want)
		}
	}
}
