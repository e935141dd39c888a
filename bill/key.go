package bill

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"

	"github.com/go-jose/go-jose/v4"
)

// mediaType is the typ header of a bill.
const mediaType = "wattveil-bill+jwt"

// maxKeySetSize and maxKeys bound a key set.
const (
	maxKeySetSize = 64 << 10
	maxKeys       = 64
)

// SigningKey is the Ed25519 key that a TTP signs bills with. It is safe for
// concurrent use, redacts itself wherever it is printed, and cannot be
// compared with ==.
type SigningKey struct {
	_      [0]func()
	seed   []byte
	public ed25519.PublicKey
	id     string
	signer jose.Signer
}

// GenerateSigningKey makes a new key.
func GenerateSigningKey() (*SigningKey, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("bill: generate signing key: %w", err)
	}
	return NewSigningKey(private.Seed())
}

// NewSigningKey makes the key of a stored seed of 32 bytes.
func NewSigningKey(seed []byte) (*SigningKey, error) {
	if len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("bill: signing key: the seed has %d bytes, want %d", len(seed), ed25519.SeedSize)
	}
	private := ed25519.NewKeyFromSeed(seed)
	public := private.Public().(ed25519.PublicKey)
	k := &SigningKey{seed: bytes.Clone(seed), public: public, id: KeyID(public)}
	var err error
	k.signer, err = jose.NewSigner(
		jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: private, KeyID: k.id}},
		(&jose.SignerOptions{}).WithType(mediaType))
	if err != nil {
		return nil, fmt.Errorf("bill: signing key: %w", err)
	}
	return k, nil
}

// Seed is the secret to store, 32 bytes.
func (k *SigningKey) Seed() []byte { return bytes.Clone(k.seed) }

// ID is the key's id, see [KeyID].
func (k *SigningKey) ID() string { return k.id }

// Public is what verifies.
func (k *SigningKey) Public() ed25519.PublicKey { return bytes.Clone(k.public) }

// Format redacts under every verb.
func (k *SigningKey) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[bill signing key]")) }

// LogValue redacts.
func (k *SigningKey) LogValue() slog.Value { return slog.StringValue("[bill signing key]") }

// MarshalText redacts, in JSON too.
func (k *SigningKey) MarshalText() ([]byte, error) { return []byte("[bill signing key]"), nil }

// KeyID is the RFC 7638 thumbprint of a key: base64url of the SHA-256 of the
// key's required members.
func KeyID(public ed25519.PublicKey) string {
	x := base64.RawURLEncoding.EncodeToString(public)
	sum := sha256.Sum256([]byte(`{"crv":"Ed25519","kty":"OKP","x":"` + x + `"}`))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// KeySet holds the keys whose bills one accepts: a TTP's current key and the
// earlier ones. It is immutable; the zero value is empty and accepts nothing.
type KeySet struct {
	keys []ed25519.PublicKey
	ids  []string // of keys
}

// NewKeySet makes a set of keys; one that comes twice counts once. Keys of
// another length than 32 bytes are refused.
func NewKeySet(keys ...ed25519.PublicKey) (KeySet, error) {
	var s KeySet
	for _, key := range keys {
		if len(key) != ed25519.PublicKeySize {
			return KeySet{}, refuse(ErrKeySet, "a key has %d bytes, want %d", len(key), ed25519.PublicKeySize)
		}
		id := KeyID(key)
		if !slices.Contains(s.ids, id) {
			s.keys, s.ids = append(s.keys, bytes.Clone(key)), append(s.ids, id)
		}
	}
	return s, nil
}

// IDs lists the keys' ids.
func (s KeySet) IDs() []string { return slices.Clone(s.ids) }

// Has tells whether the set has all keys of another.
func (s KeySet) Has(other KeySet) bool {
	for _, id := range other.ids {
		if !slices.Contains(s.ids, id) {
			return false
		}
	}
	return true
}

func (s KeySet) find(id string) (ed25519.PublicKey, bool) {
	i := slices.Index(s.ids, id)
	if i < 0 {
		return nil, false
	}
	return s.keys[i], true
}

// MarshalJSON writes a JWKS (RFC 7517).
func (s KeySet) MarshalJSON() ([]byte, error) {
	set := jose.JSONWebKeySet{Keys: make([]jose.JSONWebKey, len(s.keys))}
	for i, key := range s.keys {
		set.Keys[i] = jose.JSONWebKey{Key: key, KeyID: s.ids[i], Algorithm: string(jose.EdDSA), Use: "sig"}
	}
	return json.Marshal(set)
}

// UnmarshalJSON reads a JWKS as [ParseKeySet] does.
func (s *KeySet) UnmarshalJSON(data []byte) error {
	parsed, err := ParseKeySet(data)
	if err != nil {
		return err
	}
	*s = parsed
	return nil
}

// ParseKeySet reads a JWKS. Keys of other types, which a set may hold for
// other purposes, are passed over. A set without an Ed25519 key is refused,
// and so is one with a private key, or with a key whose kid is not its
// thumbprint or whose use or alg is another. A refusal is of class
// [ErrKeySet].
func ParseKeySet(data []byte) (KeySet, error) {
	if len(data) > maxKeySetSize {
		return KeySet{}, refuse(ErrKeySet, "the key set has %d bytes, at most %d are allowed", len(data), maxKeySetSize)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &set); err != nil {
		return KeySet{}, refuse(ErrKeySet, "the key set is not a JWKS: %v", err)
	}
	if name, ok := duplicate(data); ok {
		return KeySet{}, refuse(ErrKeySet, "the key set gives %q twice", name)
	}
	if len(set.Keys) > maxKeys {
		return KeySet{}, refuse(ErrKeySet, "the key set has %d keys, at most %d are allowed", len(set.Keys), maxKeys)
	}
	var keys []ed25519.PublicKey
	for i, raw := range set.Keys {
		key, ok, err := parseKey(raw)
		if err != nil {
			return KeySet{}, refuse(ErrKeySet, "key %d of the set: %v", i+1, err)
		}
		if ok {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return KeySet{}, refuse(ErrKeySet, `the key set has no Ed25519 key; want {"keys":[{"kty":"OKP","crv":"Ed25519",...}]}`)
	}
	return NewKeySet(keys...)
}

// parseKey reads one JWK; false if it is none of a bill's.
func parseKey(raw json.RawMessage) (ed25519.PublicKey, bool, error) {
	var kind struct {
		Type    string          `json:"kty"`
		Curve   string          `json:"crv"`
		Private json.RawMessage `json:"d"`
	}
	if err := json.Unmarshal(raw, &kind); err != nil {
		return nil, false, fmt.Errorf("is not a JWK: %w", err)
	}
	if kind.Private != nil {
		return nil, false, fmt.Errorf("is private: keep it secret and give the public half")
	}
	if kind.Type != "OKP" || kind.Curve != "Ed25519" {
		return nil, false, nil
	}
	var key jose.JSONWebKey
	if err := key.UnmarshalJSON(raw); err != nil {
		return nil, false, fmt.Errorf("is not a JWK: %w", err)
	}
	public, ok := key.Key.(ed25519.PublicKey)
	switch {
	case !ok || len(public) != ed25519.PublicKeySize:
		return nil, false, fmt.Errorf("is not an Ed25519 key of %d bytes", ed25519.PublicKeySize)
	case key.KeyID != KeyID(public):
		return nil, false, fmt.Errorf("has kid %.64q, want its RFC 7638 thumbprint %q", key.KeyID, KeyID(public))
	case key.Use != "" && key.Use != "sig":
		return nil, false, fmt.Errorf("has use %.20q, want sig", key.Use)
	case key.Algorithm != "" && key.Algorithm != string(jose.EdDSA):
		return nil, false, fmt.Errorf("has alg %.20q, want EdDSA", key.Algorithm)
	}
	return public, true, nil
}
