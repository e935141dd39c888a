package wire

import (
	"encoding/hex"
	"testing"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// RFC 5869 appendix A, test cases 1 and 3 (with and without salt and info).
func TestHKDF(t *testing.T) {
	for _, tt := range []struct{ name, secret, salt, info, want string }{
		{
			"case 1", "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "000102030405060708090a0b0c", "f0f1f2f3f4f5f6f7f8f9",
			"3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
		},
		{
			"case 3", "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
			"8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
		},
	} {
		got := hex.EncodeToString(HKDF(unhex(t, tt.secret), unhex(t, tt.salt), unhex(t, tt.info), 42))
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// The points of k = 1 and 2 as NIST's examples for P-256 list them.
func TestPoint(t *testing.T) {
	for k, want := range map[byte]string{
		1: "036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296",
		2: "037cf27b188d034f7e8a52380304b51ac3c08969e277f21b35a60b48fc47669978",
	} {
		scalar := append(make([]byte, 31), k)
		if got := hex.EncodeToString(Point(scalar)); got != want {
			t.Errorf("%dG = %s, want %s", k, got, want)
		}
		other := append(make([]byte, 31), 7)
		a, okA := SharedX(other, Point(scalar))
		b, okB := SharedX(scalar, Point(other))
		if !okA || !okB || string(a) != string(b) {
			t.Errorf("both sides of an ECDH of %d and 7 differ", k)
		}
	}
	if _, ok := SharedX(append(make([]byte, 31), 1), unhex(t, "0400000000000000000000000000000000000000000000000000000000000000ff")); ok {
		t.Error("a point of another form is accepted")
	}
}

func TestBlockOfOneReading(t *testing.T) {
	r := Reading{Time: 0x684f8b84, Import: 0x0102030405, Export: 0x0a0b0c0d0e, Status: 4}
	got := Block(900, []Reading{r})
	want := "10" + "2a" + "01" + "684f8b84" + "0102030405" + "0a0b0c0d0e" + "0004" + "0000000000"
	if hex.EncodeToString(got) != want {
		t.Errorf("block %x, want %s", got, want)
	}
	interval, back, ok := ReadBlock(got)
	if !ok || interval != 900 || len(back) != 1 || back[0] != r {
		t.Errorf("reads back as %v at %d, %v", back, interval, ok)
	}
}
