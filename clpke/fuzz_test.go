package clpke_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/wattveil/wattveil/clpke"
)

func FuzzParsePoint(f *testing.F) {
	for _, v := range loadVectors(f).Points {
		f.Add([]byte(v.Encoding))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := clpke.ParsePoint(b)
		if err != nil {
			if !errors.Is(err, clpke.ErrMalformed) || p != (clpke.Point{}) {
				t.Errorf("%x: %v", b, err)
			}
			return
		}
		key, err := p.ECDSA()
		if err != nil {
			t.Fatalf("%x is a point and no key: %v", b, err)
		}
		if again := clpke.PublicKeyPoint(key); !bytes.Equal(again[:], b) {
			t.Errorf("%x encodes as %x", b, again)
		}
	})
}

func FuzzParsePartialKey(f *testing.F) {
	for _, v := range loadVectors(f).Partials {
		f.Add([]byte(v.Partial))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := clpke.ParsePartialKey(b)
		if err != nil {
			if !errors.Is(err, clpke.ErrMalformed) {
				t.Errorf("%x: %v", b, err)
			}
			return
		}
		if !bytes.Equal(k.Bytes(), b) {
			t.Errorf("%x encodes as %x", b, k.Bytes())
		}
	})
}

func FuzzVerifyStatement(f *testing.F) {
	all := loadVectors(f).Statements
	signer, err := clpke.Point(all[0].Signer).ECDSA()
	if err != nil {
		f.Fatal(err)
	}
	signed := map[string]bool{}
	for _, v := range all {
		f.Add([]byte(v.Signed))
		signed[string(v.Signed)] = true
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := clpke.SplitStatement(b)
		if err == nil {
			if body := clpke.EncodeStatement(s); !bytes.Equal(body, b[:len(b)-64]) {
				t.Errorf("%x encodes as %x", b, body)
			}
		}
		_, verifyErr := clpke.VerifyStatement(b, signer)
		switch {
		case err != nil && !errors.Is(verifyErr, clpke.ErrMalformed):
			t.Errorf("%x does not parse, and verify says %v", b, verifyErr)
		case err == nil && verifyErr != nil && !errors.Is(verifyErr, clpke.ErrUnsigned):
			t.Errorf("%x parses, and verify says %v", b, verifyErr)
		case verifyErr == nil && !signed[string(b)]:
			t.Errorf("%x verifies, and nobody signed it", b)
		}
	})
}
