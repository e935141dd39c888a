package bill_test

import (
	"errors"
	"testing"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	vectors "github.com/wattveil/wattveil/vectors/bill"
)

func load(t testing.TB) (vectors.Vectors, bill.KeySet) {
	t.Helper()
	v, err := vectors.Load()
	if err != nil {
		t.Fatal(err)
	}
	keys, err := bill.ParseKeySet(v.Keys)
	if err != nil {
		t.Fatal(err)
	}
	return v, keys
}

// wantClass checks that err is a refusal of the class, or nil for "".
func wantClass(t *testing.T, err error, class string) {
	t.Helper()
	var refusal *bill.Error
	switch {
	case class == "" && err != nil:
		t.Errorf("refused: %v", err)
	case class != "" && err == nil:
		t.Errorf("accepted, want class %q", class)
	case class != "" && (!errors.As(err, &refusal) || !errors.Is(err, bill.Class(class))):
		t.Errorf("%v, want class %q", err, class)
	}
}

func TestVectors(t *testing.T) {
	v, keys := load(t)
	for _, vector := range v.Bills {
		t.Run(vector.Name, func(t *testing.T) {
			verified, err := bill.Verify(vector.JWS, keys)
			if err == nil && vector.Salt != "" {
				err = checkSubject(t, verified.Bill, vector)
			}
			wantClass(t, err, vector.Class)
		})
	}
}

func checkSubject(t *testing.T, b bill.Bill, vector vectors.Bill) error {
	t.Helper()
	salt, err := bill.ParseSalt(vector.Salt)
	if err != nil {
		t.Fatal(err)
	}
	pseudonym, err := wattveil.ParsePseudonym(vector.Pseudonym)
	if err != nil {
		t.Fatal(err)
	}
	return b.IsOf(salt, wattveil.Meter{UC: wattveil.UCNumber(vector.UC), Pseudonym: pseudonym})
}

func TestKeySetVectors(t *testing.T) {
	v, _ := load(t)
	for _, vector := range v.KeySets {
		t.Run(vector.Name, func(t *testing.T) {
			_, err := bill.ParseKeySet([]byte(vector.Text))
			wantClass(t, err, vector.Class)
		})
	}
}

// Each class that a bill or a key set can have is shown by some vector.
func TestVectorsShowEveryClass(t *testing.T) {
	v, _ := load(t)
	shown := map[string]bool{}
	for _, vector := range v.Bills {
		shown[vector.Class] = true
	}
	for _, vector := range v.KeySets {
		shown[vector.Class] = true
	}
	for _, class := range []bill.Class{
		bill.ErrKeySet, bill.ErrJWS, bill.ErrHeader, bill.ErrAlgorithm, bill.ErrNoKeyID, bill.ErrUnknownKey,
		bill.ErrSignature, bill.ErrJSON, bill.ErrWhitespace, bill.ErrDuplicate, bill.ErrVersion, bill.ErrMember,
		bill.ErrCanonical, bill.ErrField, bill.ErrLines, bill.ErrAmount, bill.ErrStanding, bill.ErrTax,
		bill.ErrTotal, bill.ErrEnergy, bill.ErrSubject,
	} {
		if !shown[string(class)] {
			t.Errorf("no vector of class %q", class)
		}
	}
}

// Production writes the text that the independent generator wrote.
func TestSignWritesTheGoodVectors(t *testing.T) {
	v, keys := load(t)
	seed := make([]byte, 32)
	for i := range seed {
		seed[i] = byte(i)
	}
	key, err := bill.NewSigningKey(seed)
	if err != nil {
		t.Fatal(err)
	}
	for _, vector := range v.Bills {
		if vector.Class != "" {
			continue
		}
		verified, err := bill.Verify(vector.JWS, keys)
		if err != nil {
			t.Fatal(err)
		}
		if verified.KeyID != key.ID() {
			t.Errorf("%s: key id %q, want %q", vector.Name, verified.KeyID, key.ID())
		}
		signed, err := key.Sign(verified.Bill)
		if err != nil {
			t.Fatal(err)
		}
		if signed != vector.JWS {
			t.Errorf("%s: signing gives another text", vector.Name)
		}
	}
}
