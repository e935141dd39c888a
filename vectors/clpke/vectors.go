// Package clpke holds the published test vectors of spec/clpke.md: the JSON
// files beside this source, embedded, and the types that read them.
// Section 12 of the specification says what each file proves. The files are
// written by "go generate"; never edit them by hand.
package clpke

import (
	"bytes"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

//go:generate go run ./generate

//go:embed *.json
var files embed.FS

// Hex is a byte string, lower-case hexadecimal in JSON.
type Hex []byte

// MarshalText writes lower-case hexadecimal.
func (h Hex) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }

// UnmarshalText reads hexadecimal.
func (h *Hex) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	*h = b
	return err
}

// The failure classes of spec/clpke.md section 10. An entry without a class
// must be accepted.
const (
	Malformed  = "malformed"
	Open       = "open"
	PartialKey = "partial-key"
	Unsigned   = "unsigned"
	Serial     = "serial"
	Evidence   = "evidence"
)

// Point is an encoding of a point.
type Point struct {
	Name     string `json:"name"`
	Encoding Hex    `json:"encoding"`
	Class    string `json:"class,omitempty"`
}

// Key is a key with every secret that led to it.
type Key struct {
	Name     string `json:"name"`
	Role     byte   `json:"role"`
	UC       uint32 `json:"uc"`
	Owner    Hex    `json:"owner"` // the name in the identity
	Identity Hex    `json:"identity"`
	X        Hex    `json:"x"`
	Master   Hex    `json:"master"`
	Z        Hex    `json:"z"`
	Mu       Hex    `json:"mu"`
	S        Hex    `json:"s"`
	Omega    Hex    `json:"omega"`
	H1       Hex    `json:"h1"`
	D        Hex    `json:"d"`
	Partial  Hex    `json:"partial"`
}

// Partial is a partial key's encoding, offered to the owner of a key.
type Partial struct {
	Name    string `json:"name"`
	Key     string `json:"key"`
	Partial Hex    `json:"partial"`
	Class   string `json:"class,omitempty"`
}

// Message is an encryption with a given σ.
type Message struct {
	Name       string `json:"name"`
	Key        string `json:"key"`
	Label      string `json:"label"`
	Message    Hex    `json:"message"`
	Sigma      Hex    `json:"sigma"`
	R          Hex    `json:"r"`
	Ciphertext Hex    `json:"ciphertext"`
}

// Refusal is a ciphertext that must not open.
type Refusal struct {
	Name       string `json:"name"`
	Key        string `json:"key"`
	Label      string `json:"label"`
	Ciphertext Hex    `json:"ciphertext"`
	Class      string `json:"class"`
}

// Statement is a signed key statement that is offered to a holder of Kept,
// which is empty if there is none. The fields after Class are set if it is
// accepted.
type Statement struct {
	Name      string `json:"name"`
	Signer    Hex    `json:"signer"`
	Kept      Hex    `json:"kept,omitempty"`
	Signed    Hex    `json:"signed"`
	Class     string `json:"class,omitempty"`
	Role      byte   `json:"role,omitempty"`
	UC        uint32 `json:"uc,omitempty"`
	Owner     Hex    `json:"owner,omitempty"`
	Serial    uint32 `json:"serial,omitempty"`
	Omega     Hex    `json:"omega,omitempty"`
	Mu        Hex    `json:"mu,omitempty"`
	Master    Hex    `json:"master,omitempty"`
	NotBefore int64  `json:"not_before,omitempty"`
	NotAfter  int64  `json:"not_after,omitempty"`
	Hash      Hex    `json:"hash,omitempty"`
}

// Root is a signed root statement. The fields after Class are set if it is
// accepted.
type Root struct {
	Name        string `json:"name"`
	Root        Hex    `json:"root"`
	Fingerprint Hex    `json:"fingerprint"`
	Signed      Hex    `json:"signed"`
	Class       string `json:"class,omitempty"`
	UC          uint32 `json:"uc,omitempty"`
	Omega       Hex    `json:"omega,omitempty"`
	Mu          Hex    `json:"mu,omitempty"`
	NotBefore   int64  `json:"not_before,omitempty"`
	NotAfter    int64  `json:"not_after,omitempty"`
}

// Vectors are the contents of all files.
type Vectors struct {
	Points     []Point
	Keys       []Key
	Partials   []Partial
	Messages   []Message
	Refusals   []Refusal
	Statements []Statement
	Roots      []Root
}

// parts names the file of each field.
func (v *Vectors) parts() map[string]any {
	return map[string]any{
		"points.json":     &v.Points,
		"keys.json":       &v.Keys,
		"partials.json":   &v.Partials,
		"messages.json":   &v.Messages,
		"refusals.json":   &v.Refusals,
		"statements.json": &v.Statements,
		"roots.json":      &v.Roots,
	}
}

// Load reads the embedded files.
func Load() (*Vectors, error) {
	v := &Vectors{}
	for name, part := range v.parts() {
		b, err := files.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("load vectors: %w", err)
		}
		d := json.NewDecoder(bytes.NewReader(b))
		d.DisallowUnknownFields()
		if err := d.Decode(part); err != nil {
			return nil, fmt.Errorf("load vectors: %s: %w", name, err)
		}
	}
	return v, nil
}

// Key finds a key by its name.
func (v *Vectors) Key(name string) (Key, bool) {
	for _, k := range v.Keys {
		if k.Name == name {
			return k, true
		}
	}
	return Key{}, false
}

// Files gives the contents of each file by its name: what the generator
// writes.
func (v *Vectors) Files() (map[string][]byte, error) {
	out := make(map[string][]byte)
	for name, part := range v.parts() {
		b, err := json.MarshalIndent(part, "", "\t")
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out[name] = append(b, '\n')
	}
	return out, nil
}
