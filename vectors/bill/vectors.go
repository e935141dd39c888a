// Package bill holds the published test vectors of spec/bill.md: the JSON
// files beside this source, embedded, and the types that read them. Section 11
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

// Document is a bill's document to verify with the published keys.
type Document struct {
	Name  string `json:"name"`
	Why   string `json:"why"`
	Class string `json:"class,omitempty"` // of the failure; empty if the document is good
	Text  string `json:"text"`
	Seen  string `json:"seen,omitempty"` // a checkpoint that was seen before
}

// Interval is the energy of one interval. In JSON it is a string: start in Unix
// seconds, seconds, import and export in Wh and ESPI quality, with commas
// between.
type Interval struct {
	Start, Import, Export int64
	Seconds, Quality      int
}

// MarshalText writes the interval.
func (i Interval) MarshalText() ([]byte, error) {
	return fmt.Appendf(nil, "%d,%d,%d,%d,%d", i.Start, i.Seconds, i.Import, i.Export, i.Quality), nil
}

// UnmarshalText reads what MarshalText writes.
func (i *Interval) UnmarshalText(text []byte) error {
	_, err := fmt.Sscanf(string(text), "%d,%d,%d,%d,%d", &i.Start, &i.Seconds, &i.Import, &i.Export, &i.Quality)
	return err
}

// Root is the readings_root of some intervals.
type Root struct {
	Name      string     `json:"name"`
	Why       string     `json:"why"`
	Secret    string     `json:"secret"`
	Timezone  string     `json:"timezone"`
	From      int64      `json:"from"` // Unix seconds
	To        int64      `json:"to"`
	Intervals []Interval `json:"intervals"`
	Leaves    []string   `json:"leaves"` // one for each local day
	Root      string     `json:"root"`
}

// Vectors are all published vectors.
type Vectors struct {
	Keys      []byte // JWKS
	LogKeys   []byte // of the log and its witness
	Bills     []Bill
	KeySets   []KeySet
	Roots     []Root
	Documents []Document
}

// Load reads the embedded files.
func Load() (Vectors, error) {
	var v Vectors
	var err error
	if v.Keys, err = files.ReadFile("keys.json"); err != nil {
		return Vectors{}, fmt.Errorf("bill vectors: %w", err)
	}
	if v.LogKeys, err = files.ReadFile("log.json"); err != nil {
		return Vectors{}, fmt.Errorf("bill vectors: %w", err)
	}
	for name, list := range map[string]any{
		"bills.json": &v.Bills, "keysets.json": &v.KeySets, "roots.json": &v.Roots, "documents.json": &v.Documents,
	} {
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
