package clpke

import (
	"bytes"
	"encoding/hex"
	"math/big"
	"testing"
)

// The base point lies on the curve and has the order n.
func TestBaseHasOrderN(t *testing.T) {
	g := Base()
	if y2 := new(big.Int).Exp(g.Y, big.NewInt(2), FieldPrime()); y2.Cmp(curveSide(g.X)) != 0 {
		t.Error("G is not on the curve")
	}
	if !Mul(Order(), g).Equal(Infinity()) {
		t.Error("nG is not infinity")
	}
	last := new(big.Int).Sub(Order(), big.NewInt(1))
	if !Add(Mul(last, g), g).Equal(Infinity()) {
		t.Error("(n-1)G + G is not infinity")
	}
}

// 2G as NIST's and SEC's example files for P-256 list it.
func TestDouble(t *testing.T) {
	got := hex.EncodeToString(Compress(Mul(big.NewInt(2), Base())))
	if want := "037cf27b188d034f7e8a52380304b51ac3c08969e277f21b35a60b48fc47669978"; got != want {
		t.Errorf("2G = %s, want %s", got, want)
	}
}

func TestDecompressReadsWhatCompressWrites(t *testing.T) {
	for k := int64(1); k < 8; k++ {
		p := Mul(big.NewInt(k), Base())
		q, err := Decompress(Compress(p))
		if err != nil || !p.Equal(q) {
			t.Errorf("%dG: %v", k, err)
		}
	}
}

// RFC 9380 appendix K.1.
func TestExpand(t *testing.T) {
	got := hex.EncodeToString(Expand([]byte("abc"), []byte("QUUX-V01-CS02-with-expander-SHA256-128"), 32))
	if want := "d8ccab23b5985ccea865c6c97b6e5b8350e794e603b4b97902f53a8a0d605615"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// RFC 5869 appendix A.1.
func TestHKDF(t *testing.T) {
	ikm := bytes.Repeat([]byte{0x0b}, 22)
	salt, _ := hex.DecodeString("000102030405060708090a0b0c")
	info, _ := hex.DecodeString("f0f1f2f3f4f5f6f7f8f9")
	got := hex.EncodeToString(hkdf(salt, ikm, info, 42))
	if want := "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestSignThenVerify(t *testing.T) {
	key, nonce := big.NewInt(7), big.NewInt(11)
	signed := Sign(key, nonce, "wattveil1 test", []byte("body"))
	if !Verify(Mul(key, Base()), "wattveil1 test", signed) {
		t.Error("own signature does not verify")
	}
	if Verify(Mul(key, Base()), "wattveil1 other", signed) {
		t.Error("verifies under another label")
	}
}
