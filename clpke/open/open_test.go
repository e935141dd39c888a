package open_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/clpke"
	"github.com/wattveil/wattveil/clpke/open"
	vectors "github.com/wattveil/wattveil/vectors/clpke"
)

// vectorKey is the key of the vectors that most of them are encrypted to.
func vectorKey(t testing.TB, v *vectors.Vectors) *clpke.PrivateKey {
	t.Helper()
	k, ok := v.Key("meter")
	if !ok {
		t.Fatal("the vectors have no key of a meter")
	}
	user, err := clpke.ParseUserKey(k.Z)
	if err != nil {
		t.Fatal(err)
	}
	partial, err := clpke.ParsePartialKey(k.Partial)
	if err != nil {
		t.Fatal(err)
	}
	id := clpke.Identity{Role: clpke.Role(k.Role), UC: wattveil.UCNumber(k.UC), Name: string(k.Owner)}
	private, err := clpke.NewPrivateKey(user, partial, id, clpke.Point(k.Master))
	if err != nil {
		t.Fatal(err)
	}
	return private
}

func load(t testing.TB) *vectors.Vectors {
	t.Helper()
	v, err := vectors.Load()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestOpenLeavesTheCiphertextAlone(t *testing.T) {
	v := load(t)
	key := vectorKey(t, v)
	for _, m := range v.Messages {
		before := bytes.Clone(m.Ciphertext)
		_, _ = open.Open(key, m.Label, m.Ciphertext)
		if !bytes.Equal(before, m.Ciphertext) {
			t.Errorf("%s: altered", m.Name)
		}
	}
}

// What is returned has no room for the σ behind it to be appended into view.
func TestOpenReturnsTheMessageAlone(t *testing.T) {
	v := load(t)
	key := vectorKey(t, v)
	for _, m := range v.Messages {
		if m.Key != "meter" {
			continue
		}
		msg, err := open.Open(key, m.Label, m.Ciphertext)
		if err != nil || cap(msg) != len(msg) {
			t.Errorf("%s: %d bytes of %d, %v", m.Name, len(msg), cap(msg), err)
		}
	}
}

func TestOpenRefusesMisuse(t *testing.T) {
	v := load(t)
	key, m := vectorKey(t, v), v.Messages[0]
	for name, f := range map[string]func() ([]byte, error){
		"no key":                   func() ([]byte, error) { return open.Open(nil, m.Label, m.Ciphertext) },
		"zero key":                 func() ([]byte, error) { return open.Open(&clpke.PrivateKey{}, m.Label, m.Ciphertext) },
		"label without the prefix": func() ([]byte, error) { return open.Open(key, "M1", m.Ciphertext) },
	} {
		msg, err := f()
		if err == nil || msg != nil || errors.Is(err, open.ErrOpen) || errors.Is(err, clpke.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	v := load(f)
	key := vectorKey(f, v)
	valid := map[string]bool{}
	for _, m := range v.Messages {
		f.Add(m.Label, []byte(m.Ciphertext))
		if m.Key == "meter" {
			valid[m.Label+"\x00"+string(m.Ciphertext)] = true
		}
	}
	for _, r := range v.Refusals {
		if r.Key == "meter" {
			f.Add(r.Label, []byte(r.Ciphertext))
		}
	}
	f.Fuzz(func(t *testing.T, label string, ciphertext []byte) {
		msg, err := open.Open(key, label, ciphertext)
		if (err == nil) != valid[label+"\x00"+string(ciphertext)] {
			t.Errorf("%q, %x: %v", label, ciphertext, err)
		}
		if err != nil && msg != nil {
			t.Errorf("%q, %x: fails with a message", label, ciphertext)
		}
	})
}
