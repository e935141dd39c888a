// Package wire holds the published test vectors of spec/protocol.md: the JSON
// files beside this source, embedded, and the types that read them. README.md
// says what each file proves. The files are written by "go generate"; never
// edit them by hand.
//
// A vector with a class must be refused, with an error of that class and no
// other; one without must be accepted, and what it says encodes to its bytes.
package wire

import (
	"bytes"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
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

// ID is an ID_SM or an-ID, 16 hexadecimal digits in JSON.
type ID uint64

// MarshalText writes 16 lower-case hexadecimal digits.
func (id ID) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%016x", uint64(id)), nil }

// UnmarshalText reads hexadecimal digits.
func (id *ID) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 16, 64)
	*id = ID(n)
	return err
}

// Vectors are the contents of all files.
type Vectors struct {
	Blocks           []Block
	Data             []Data
	RegisterRequests []RegisterRequest
	RegisterAnswers  []RegisterAnswer
	RegisterRefusals []RegisterRefusal
	Offers           []Offer
	Answers          []Answer
	Controls         []Control
	Sessions         []Session
	Forwards         []Forward
	ForwardAnswers   []ForwardAnswer
	Messages         []Messages
	Verdicts         []Verdicts
	Exchanges        []Exchanges
	ExchangeAnswers  []ExchangeAnswers
	ClaimCodes       []ClaimCode
	LinkPasswords    []LinkPassword
	Receipts         []Receipt
}

// parts names the file of each field.
func (v *Vectors) parts() map[string]any {
	return map[string]any{
		"blocks.json":            &v.Blocks,
		"data.json":              &v.Data,
		"register-requests.json": &v.RegisterRequests,
		"register-answers.json":  &v.RegisterAnswers,
		"register-refusals.json": &v.RegisterRefusals,
		"m1-plaintexts.json":     &v.Offers,
		"m2-plaintexts.json":     &v.Answers,
		"controls.json":          &v.Controls,
		"sessions.json":          &v.Sessions,
		"forwards.json":          &v.Forwards,
		"forward-answers.json":   &v.ForwardAnswers,
		"messages.json":          &v.Messages,
		"verdicts.json":          &v.Verdicts,
		"exchanges.json":         &v.Exchanges,
		"exchange-answers.json":  &v.ExchangeAnswers,
		"claim-codes.json":       &v.ClaimCodes,
		"link-passwords.json":    &v.LinkPasswords,
		"receipts.json":          &v.Receipts,
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
