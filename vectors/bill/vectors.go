// Package bill holds the published test vectors of spec/bill.md: the JSON
// files beside this source, embedded, and the types that read them. Section 8
// of the specification says how to read each file. The files are written by
// "go generate"; never edit them by hand.
package bill

import (
	"embed"
	"encoding/json"
	"fmt"
)

//go:generate go run ./generate

//go:embed *.json
var files embed.FS

// Bill is a bill to verify with the published key set.
type Bill struct {
	Name  string `json:"name"`
	Why   string `json:"why"`
	Class string `json:"class,omitempty"` // of the failure; empty if the bill is good
	JWS   string `json:"jws"`

	// Given where the subject is to be checked.
	Salt      string `json:"salt,omitempty"`
	UC        uint32 `json:"uc,omitempty"`
	Pseudonym string `json:"pseudonym,omitempty"`
}

// KeySet is a JWKS to read.
type KeySet struct {
	Name  string `json:"name"`
	Why   string `json:"why"`
	Class string `json:"class,omitempty"` // of the failure; empty if the set is good
	Text  string `json:"text"`
}

// Vectors are all published vectors.
type Vectors struct {
	Keys    []byte // JWKS
	Bills   []Bill
	KeySets []KeySet
}

// Load reads the embedded files.
func Load() (Vectors, error) {
	var v Vectors
	var err error
	if v.Keys, err = files.ReadFile("keys.json"); err != nil {
		return Vectors{}, fmt.Errorf("bill vectors: %w", err)
	}
	for name, list := range map[string]any{"bills.json": &v.Bills, "keysets.json": &v.KeySets} {
		data, err := files.ReadFile(name)
		if err != nil {
			return Vectors{}, fmt.Errorf("bill vectors: %w", err)
		}
		if err := json.Unmarshal(data, list); err != nil {
			return Vectors{}, fmt.Errorf("bill vectors: %s: %w", name, err)
		}
	}
	return v, nil
}
