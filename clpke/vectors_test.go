package clpke_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/clpke"
	"github.com/wattveil/wattveil/clpke/open"
	"github.com/wattveil/wattveil/kgc"
	vectors "github.com/wattveil/wattveil/vectors/clpke"
)

func loadVectors(t testing.TB) *vectors.Vectors {
	t.Helper()
	v, err := vectors.Load()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// class is the failure class of an error; each error has at most one.
func class(t testing.TB, err error) string {
	t.Helper()
	var evidence *clpke.EvidenceError
	var found []string
	for _, c := range []struct {
		name string
		is   bool
	}{
		{vectors.Malformed, errors.Is(err, clpke.ErrMalformed)},
		{vectors.Open, errors.Is(err, open.ErrOpen)},
		{vectors.PartialKey, errors.Is(err, clpke.ErrPartialKey)},
		{vectors.Unsigned, errors.Is(err, clpke.ErrUnsigned)},
		{vectors.Serial, errors.Is(err, clpke.ErrSerial)},
		{vectors.Evidence, errors.As(err, &evidence)},
	} {
		if c.is {
			found = append(found, c.name)
		}
	}
	switch {
	case err == nil:
		return ""
	case len(found) == 1:
		return found[0]
	}
	t.Fatalf("error %q has the classes %q, want one", err, found)
	return ""
}

func equal(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("%s is %x, want %x", what, got, want)
	}
}

// vectorIdentity also compares the identity's encoding.
func vectorIdentity(t *testing.T, k vectors.Key) clpke.Identity {
	t.Helper()
	id := clpke.Identity{Role: clpke.Role(k.Role), UC: wattveil.UCNumber(k.UC), Name: string(k.Owner)}
	if m, ok := id.Meter(); ok && clpke.MeterIdentity(m) != id {
		t.Errorf("identity of %v is %v", m, clpke.MeterIdentity(m))
	}
	equal(t, "identity", id.Bytes(), k.Identity)
	return id
}

// vectorKey makes the private key of a vector through the public API.
func vectorKey(t *testing.T, k vectors.Key) *clpke.PrivateKey {
	t.Helper()
	user, err := clpke.ParseUserKey(k.Z)
	if err != nil {
		t.Fatal(err)
	}
	partial, err := clpke.ParsePartialKey(k.Partial)
	if err != nil {
		t.Fatal(err)
	}
	private, err := clpke.NewPrivateKey(user, partial, vectorIdentity(t, k), clpke.Point(k.Master))
	if err != nil {
		t.Fatal(err)
	}
	return private
}

func TestVectorPoints(t *testing.T) {
	for _, v := range loadVectors(t).Points {
		t.Run(v.Name, func(t *testing.T) {
			p, err := clpke.ParsePoint(v.Encoding)
			if got := class(t, err); got != v.Class {
				t.Fatalf("class %q, want %q", got, v.Class)
			}
			if err == nil {
				equal(t, "point", p[:], v.Encoding)
			}
		})
	}
}

func TestVectorKeys(t *testing.T) {
	for _, v := range loadVectors(t).Keys {
		t.Run(v.Name, func(t *testing.T) {
			public := vectorKey(t, v).PublicKey()
			equal(t, "ω", public.Omega[:], v.Omega)
			equal(t, "μ", public.Mu[:], v.Mu)
			h, err := public.H1()
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "H1", h[:], v.H1)
			master, err := kgc.ParseMasterKey(v.X)
			if err != nil {
				t.Fatal(err)
			}
			y := master.Public()
			equal(t, "Y", y[:], v.Master)
			equal(t, "partial key", append(v.Omega[:33:33], v.D...), v.Partial)
		})
	}
}

func TestVectorPartials(t *testing.T) {
	all := loadVectors(t)
	for _, v := range all.Partials {
		t.Run(v.Name, func(t *testing.T) {
			k, ok := all.Key(v.Key)
			if !ok {
				t.Fatalf("no key %q", v.Key)
			}
			user, err := clpke.ParseUserKey(k.Z)
			if err != nil {
				t.Fatal(err)
			}
			partial, err := clpke.ParsePartialKey(v.Partial)
			if err == nil {
				_, err = clpke.NewPrivateKey(user, partial, vectorIdentity(t, k), clpke.Point(k.Master))
			}
			if got := class(t, err); got != v.Class {
				t.Errorf("class %q, want %q", got, v.Class)
			}
		})
	}
}

func TestVectorMessages(t *testing.T) {
	all := loadVectors(t)
	for _, v := range all.Messages {
		t.Run(v.Name, func(t *testing.T) {
			k, ok := all.Key(v.Key)
			if !ok {
				t.Fatalf("no key %q", v.Key)
			}
			private := vectorKey(t, k)
			recipient, err := private.PublicKey().Prepare()
			if err != nil {
				t.Fatal(err)
			}
			ciphertext, err := clpke.EncryptWith(recipient, v.Label, v.Message, [32]byte(v.Sigma))
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "ciphertext", ciphertext, v.Ciphertext)
			msg, err := open.Open(private, v.Label, v.Ciphertext)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "message", msg, v.Message)
		})
	}
}

func TestVectorRefusals(t *testing.T) {
	all := loadVectors(t)
	for _, v := range all.Refusals {
		t.Run(v.Name, func(t *testing.T) {
			k, ok := all.Key(v.Key)
			if !ok {
				t.Fatalf("no key %q", v.Key)
			}
			msg, err := open.Open(vectorKey(t, k), v.Label, v.Ciphertext)
			if got := class(t, err); got != v.Class || msg != nil {
				t.Errorf("class %q with %d bytes, want %q with none", got, len(msg), v.Class)
			}
		})
	}
}

func TestVectorStatements(t *testing.T) {
	for _, v := range loadVectors(t).Statements {
		t.Run(v.Name, func(t *testing.T) {
			signer, err := clpke.Point(v.Signer).ECDSA()
			if err != nil {
				t.Fatal(err)
			}
			s, err := clpke.CompareStatements(v.Kept, v.Signed, signer)
			if got := class(t, err); got != v.Class {
				t.Fatalf("class %q, want %q: %v", got, v.Class, err)
			}
			if err != nil {
				if s != (clpke.Statement{}) {
					t.Error("a refused statement was returned")
				}
				return
			}
			want := clpke.Statement{
				UC: wattveil.UCNumber(v.UC), Role: clpke.Role(v.Role), Name: string(v.Owner), Serial: v.Serial,
				Omega: clpke.Point(v.Omega), Mu: clpke.Point(v.Mu), Master: clpke.Point(v.Master),
				NotBefore: v.NotBefore, NotAfter: v.NotAfter,
			}
			if s != want {
				t.Errorf("got %+v, want %+v", s, want)
			}
			hash := clpke.SignedStatement(v.Signed).Hash()
			equal(t, "hash", hash[:], v.Hash)
		})
	}
}

func TestVectorRoots(t *testing.T) {
	for _, v := range loadVectors(t).Roots {
		t.Run(v.Name, func(t *testing.T) {
			root, err := clpke.Point(v.Root).ECDSA()
			if err != nil {
				t.Fatal(err)
			}
			fingerprint := clpke.RootFingerprint(root)
			equal(t, "fingerprint", fingerprint[:], v.Fingerprint)
			r, err := clpke.VerifyRoot(v.Signed, root)
			if got := class(t, err); got != v.Class {
				t.Fatalf("class %q, want %q: %v", got, v.Class, err)
			}
			if err != nil {
				return
			}
			want := clpke.RootStatement{
				UC: wattveil.UCNumber(v.UC), Omega: clpke.Point(v.Omega), Mu: clpke.Point(v.Mu),
				NotBefore: v.NotBefore, NotAfter: v.NotAfter,
			}
			if r != want {
				t.Errorf("got %+v, want %+v", r, want)
			}
		})
	}
}
