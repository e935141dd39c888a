package bill

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log/slog"
)

// Hash is a SHA-256 hash. In a bill it is base64url without padding.
type Hash [sha256.Size]byte

// HashOf is what other bills name a bill by: the hash of its text.
func HashOf(jws string) Hash { return sha256.Sum256([]byte(jws)) }

// ParseHash reads what [Hash.String] writes.
func ParseHash(s string) (Hash, error) {
	raw, ok := parseBase64(s, sha256.Size)
	if !ok {
		return Hash{}, fmt.Errorf("bill: hash is not %d bytes in base64url", sha256.Size)
	}
	return Hash(raw), nil
}

// String is base64url without padding, 43 characters.
func (h Hash) String() string { return base64.RawURLEncoding.EncodeToString(h[:]) }

// MarshalText writes the hash as [Hash.String] does.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads the hash as [ParseHash] does.
func (h *Hash) UnmarshalText(text []byte) error {
	parsed, err := ParseHash(string(text))
	*h = parsed
	return err
}

// parseBase64 reads so many bytes of base64url in their one form.
func parseBase64(s string, size int) ([]byte, bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return raw, err == nil && len(raw) == size && base64.RawURLEncoding.EncodeToString(raw) == s
}

// Secret opens what a bill's readings_root hides (spec/bill.md section 8). The
// TTP draws one for each bill, keeps it and gives it to the consumer alone: who
// has it can try out readings. It redacts itself wherever it is printed.
type Secret [32]byte

// NewSecret draws a secret.
func NewSecret() Secret {
	var s Secret
	_, _ = rand.Read(s[:]) // never fails
	return s
}

// ParseSecret reads what [Secret.Text] writes.
func ParseSecret(s string) (Secret, error) {
	raw, ok := parseBase64(s, len(Secret{}))
	if !ok {
		return Secret{}, fmt.Errorf("bill: secret is not %d bytes in base64url", len(Secret{}))
	}
	return Secret(raw), nil
}

// Text is the secret itself, base64url without padding, 43 characters.
func (s Secret) Text() string { return base64.RawURLEncoding.EncodeToString(s[:]) }

const redactedSecret = "[bill secret]"

// Format redacts under every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redactedSecret)) }

// LogValue redacts.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redactedSecret) }

// MarshalText redacts, in JSON too.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redactedSecret), nil }
