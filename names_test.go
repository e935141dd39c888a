package wattveil_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/wattveil/wattveil"
)

func ExampleParseMeterID() {
	id, err := wattveil.ParseMeterID("0123456789abcdef")
	fmt.Println(id, err)
	_, err = wattveil.ParseMeterID("123")
	fmt.Println(err)
	// Output:
	// 0123456789abcdef <nil>
	// meter id "123": has 3 characters, want 16 hexadecimal digits
}

func ExampleMeter() {
	fmt.Println(wattveil.Meter{UC: 7, Pseudonym: 0xa1})
	// Output: 7/00000000000000a1
}

func TestParseMeter(t *testing.T) {
	for _, m := range []wattveil.Meter{{}, {UC: 7, Pseudonym: 0xa1}, {UC: 1<<32 - 1, Pseudonym: 1<<64 - 1}} {
		if got, err := wattveil.ParseMeter(m.String()); err != nil || got != m {
			t.Errorf("%v reads as %v, %v", m, got, err)
		}
	}
	for _, s := range []string{
		"", "7", "7/", "/0123456789abcdef", "0123456789abcdef", "7/123", "07/0123456789abcdef", "+7/0123456789abcdef",
		"7/0123456789ABCDEF", "7/0123456789abcdef/", "4294967296/0123456789abcdef", " 7/0123456789abcdef",
	} {
		if got, err := wattveil.ParseMeter(s); err == nil {
			t.Errorf("%q reads as %v", s, got)
		}
	}
}

// parsers are the names that people and topics spell.
func parsers() map[string]func(string) (uint64, string, error) {
	return map[string]func(string) (uint64, string, error){
		"ParseMeterID": func(s string) (uint64, string, error) {
			id, err := wattveil.ParseMeterID(s)
			return uint64(id), id.String(), err
		},
		"ParsePseudonym": func(s string) (uint64, string, error) {
			p, err := wattveil.ParsePseudonym(s)
			return uint64(p), p.String(), err
		},
	}
}

func TestParseNames(t *testing.T) {
	tests := []struct {
		text string
		want uint64
	}{
		{"0000000000000000", 0},
		{"0000000000000001", 1},
		{"0123456789abcdef", 0x0123456789abcdef},
		{"8000000000000000", 1 << 63},
		{"ffffffffffffffff", 1<<64 - 1},
	}
	for name, parse := range parsers() {
		for _, test := range tests {
			got, text, err := parse(test.text)
			if err != nil || got != test.want {
				t.Errorf("%s(%q) = %#x, %v; want %#x", name, test.text, got, err, test.want)
			}
			if text != test.text {
				t.Errorf("%s(%q) prints as %q", name, test.text, text)
			}
		}
		if got, text, err := parse("0123456789ABCDEF"); err != nil || got != 0x0123456789abcdef || text != "0123456789abcdef" {
			t.Errorf("%s reads capitals as %#x, %v and prints %q", name, got, err, text)
		}
	}
}

func TestParseNamesRefuses(t *testing.T) {
	tests := []struct{ text, because string }{
		{"", "has 0 characters"},
		{"0123456789abcde", "has 15 characters"},
		{"0123456789abcdef0", "has 17 characters"},
		{"0123456789abcdeg", "want 16 hexadecimal digits"},
		{"0x23456789abcdef", "want 16 hexadecimal digits"},
		{" 123456789abcdef", "want 16 hexadecimal digits"},
		{"-123456789abcdef", "want 16 hexadecimal digits"},
		{"0123456789abcd\xc3\xa9", "want 16 hexadecimal digits"}, // 16 bytes, 15 letters
	}
	for name, parse := range parsers() {
		for _, test := range tests {
			got, _, err := parse(test.text)
			if err == nil || got != 0 {
				t.Errorf("%s(%q) = %#x, %v; want 0 and an error", name, test.text, got, err)
				continue
			}
			if !strings.Contains(err.Error(), test.because) || !strings.Contains(err.Error(), fmt.Sprintf("%q", test.text)) {
				t.Errorf("%s(%q): error %q does not name %q and the text", name, test.text, err, test.because)
			}
		}
	}
}

func FuzzParseMeterID(f *testing.F) {
	for _, seed := range []string{"", "0123456789abcdef", "0123456789ABCDEF", "0123456789abcdeg", "ffffffffffffffff0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, err := wattveil.ParseMeterID(text)
		if err != nil {
			return
		}
		if got := id.String(); got != strings.ToLower(text) {
			t.Errorf("ParseMeterID(%q) prints as %q", text, got)
		}
	})
}

func TestEpochLow(t *testing.T) {
	for epoch, want := range map[wattveil.Epoch]byte{0: 0, 1: 1, 255: 255, 256: 0, 0x12345678: 0x78, 1<<32 - 1: 0xff} {
		if got := epoch.Low(); got != want {
			t.Errorf("Epoch(%d).Low() = %#x, want %#x", epoch, got, want)
		}
	}
}
