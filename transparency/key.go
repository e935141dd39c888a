package transparency

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// verifier is a note verifier that can tell its own key.
type verifier struct {
	note.Verifier
	public string
}

// String is the verifier key.
func (v verifier) String() string { return v.public }

func newVerifier(public string) (note.Verifier, error) {
	v, err := note.NewVerifier(public)
	if err != nil {
		return nil, fmt.Errorf("verifier key %q: %w", public, err)
	}
	return verifier{v, public}, nil
}

const algEd25519 = 1

// seedOf takes a note signing key apart: PRIVATE+KEY+<name>+<hash>+<key>.
func seedOf(private string) (seed []byte, name string, err error) {
	parts := strings.Split(private, "+")
	if len(parts) < 5 || parts[0] != "PRIVATE" || parts[1] != "KEY" {
		return nil, "", errors.New("log key: not a note signing key")
	}
	key, err := base64.StdEncoding.DecodeString(strings.Join(parts[4:], "+"))
	if err != nil || len(key) != 1+ed25519.SeedSize || key[0] != algEd25519 {
		return nil, "", errors.New("log key: not an Ed25519 note signing key")
	}
	return key[1:], parts[2], nil
}
