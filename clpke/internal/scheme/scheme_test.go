package scheme

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

// RFC 9380 appendix K.1, all ten entries; the RFC's lengths are 0x20 and 0x80.
func TestExpandMessageXMD(t *testing.T) {
	const dst = "QUUX-V01-CS02-with-expander-SHA256-128"
	messages := []string{"", "abc", "abcdef0123456789", "q128_" + strings.Repeat("q", 128), "a512_" + strings.Repeat("a", 512)}
	for i, want := range []string{
		"68a985b87eb6b46952128911f2a4412bbc302a9d759667f87f7a21d803f07235",
		"d8ccab23b5985ccea865c6c97b6e5b8350e794e603b4b97902f53a8a0d605615",
		"eff31487c770a893cfb36f912fbfcbff40d5661771ca4b2cb4eafe524333f5c1",
		"b23a1d2b4d97b2ef7785562a7e8bac7eed54ed6e97e29aa51bfe3f12ddad1ff9",
		"4623227bcc01293b8c130bf771da8c298dede7383243dc0993d2d94823958c4c",
		"af84c27ccfd45d41914fdff5df25293e221afc53d8ad2ac06d5e3e29485dadbee0d121587713a3e0dd4d5e69e93eb7cd4f5df4cd103e188cf60cb02edc3edf18eda8576c412b18ffb658e3dd6ec849469b979d444cf7b26911a08e63cf31f9dcc541708d3491184472c2c29bb749d4286b004ceb5ee6b9a7fa5b646c993f0ced",
		"abba86a6129e366fc877aab32fc4ffc70120d8996c88aee2fe4b32d6c7b6437a647e6c3163d40b76a73cf6a5674ef1d890f95b664ee0afa5359a5c4e07985635bbecbac65d747d3d2da7ec2b8221b17b0ca9dc8a1ac1c07ea6a1e60583e2cb00058e77b7b72a298425cd1b941ad4ec65e8afc50303a22c0f99b0509b4c895f40",
		"ef904a29bffc4cf9ee82832451c946ac3c8f8058ae97d8d629831a74c6572bd9ebd0df635cd1f208e2038e760c4994984ce73f0d55ea9f22af83ba4734569d4bc95e18350f740c07eef653cbb9f87910d833751825f0ebefa1abe5420bb52be14cf489b37fe1a72f7de2d10be453b2c9d9eb20c7e3f6edc5a60629178d9478df",
		"80be107d0884f0d881bb460322f0443d38bd222db8bd0b0a5312a6fedb49c1bbd88fd75d8b9a09486c60123dfa1d73c1cc3169761b17476d3c6b7cbbd727acd0e2c942f4dd96ae3da5de368d26b32286e32de7e5a8cb2949f866a0b80c58116b29fa7fabb3ea7d520ee603e0c25bcaf0b9a5e92ec6a1fe4e0391d1cdbce8c68a",
		"546aff5444b5b79aa6148bd81728704c32decb73a3ba76e9e75885cad9def1d06d6792f8a7d12794e90efed817d96920d728896a4510864370c207f99bd4a608ea121700ef01ed879745ee3e4ceef777eda6d9e5e38b90c86ea6fb0b36504ba4a45d22e86f6db5dd43d98a294bebb9125d5b794e9d2a81181066eb954966a487",
	} {
		msg := messages[i%len(messages)]
		got := make([]byte, len(want)/2)
		if err := expandMessageXMD(got, dst, []byte(msg)); err != nil {
			t.Errorf("%q: %v", msg, err)
		}
		if hex.EncodeToString(got) != want {
			t.Errorf("%q to %d bytes: got %x, want %s", msg, len(got), got, want)
		}
	}
}

func TestExpandMessageXMDLimits(t *testing.T) {
	for _, c := range []struct {
		name string
		size int
		tag  string
		ok   bool
	}{
		{"longest", 8160, "t", true},
		{"too long", 8161, "t", false},
		{"empty", 0, "t", false},
		{"no tag", 32, "", false},
		{"longest tag", 32, strings.Repeat("t", 255), true},
		{"tag too long", 32, strings.Repeat("t", 256), false},
	} {
		if err := expandMessageXMD(make([]byte, c.size), c.tag, nil); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// reduce at the places where it could go wrong: around 0, n, 2^192 and the end.
func TestReduce(t *testing.T) {
	const n = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"
	for _, c := range []struct{ name, in, want string }{
		{"0", "", ""},
		{"1", "01", "01"},
		{"n-1", n[:62] + "50", n[:62] + "50"},
		{"n", n, ""},
		{"n+1", n[:62] + "52", "01"},
		{"2^192-1", strings.Repeat("ff", 24), strings.Repeat("ff", 24)},
		{"2^192", "01" + strings.Repeat("00", 24), "01" + strings.Repeat("00", 24)},
		{"n times 2^128", n + strings.Repeat("00", 16), ""},
		{"n times 2^128, plus 5", n + strings.Repeat("00", 15) + "05", "05"},
		// As any big-number calculator gives it.
		{"2^384-1", strings.Repeat("ff", 48), "431905529c0166ce652e96b7ccca0a99679b73e19ad16947f01cf013fc632550"},
	} {
		var u [hashSize]byte
		in, err := hex.DecodeString(c.in)
		if err != nil {
			t.Fatal(err)
		}
		copy(u[hashSize-len(in):], in)
		got, err := reduce(&u)
		if c.want == "" {
			if err == nil {
				t.Errorf("%s: got %x, want a refusal of 0", c.name, got.Bytes())
			}
			continue
		}
		want, _ := hex.DecodeString(strings.Repeat("0", 64-len(c.want)) + c.want)
		if err != nil || !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%s: got %x, %v, want %x", c.name, got.b, err, want)
		}
	}
}

func TestParseScalar(t *testing.T) {
	const n = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"
	for _, c := range []struct {
		name, in string
		ok       bool
	}{
		{"1", strings.Repeat("0", 63) + "1", true},
		{"n-1", n[:62] + "50", true},
		{"0", strings.Repeat("0", 64), false},
		{"n", n, false},
		{"2^256-1", strings.Repeat("f", 64), false},
		{"31 bytes", n[:62], false},
		{"33 bytes", "00" + n[:62] + "50", false},
		{"no bytes", "", false},
	} {
		in, err := hex.DecodeString(c.in)
		if err != nil {
			t.Fatal(err)
		}
		s, err := ParseScalar(in)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
		if err == nil && !bytes.Equal(s.Bytes(), in) {
			t.Errorf("%s: encodes as %x", c.name, s.Bytes())
		}
	}
}

func TestCheckLabel(t *testing.T) {
	for _, c := range []struct {
		label string
		ok    bool
	}{
		{"wattveil1 M1", true},
		{"wattveil1 x", true},
		{"wattveil1 " + strings.Repeat("x", 54), true},
		{"wattveil1 " + strings.Repeat("x", 55), false},
		{"wattveil1 ", false},
		{"wattveil2 M1", false},
		{"M1", false},
		{"", false},
		{"wattveil1 \n", false},
		{"wattveil1 é", false},
	} {
		if err := CheckLabel(c.label); (err == nil) != c.ok {
			t.Errorf("%q: %v", c.label, err)
		}
	}
}
