package transparency

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	f_note "github.com/transparency-dev/formats/note"
)

// Keys are what a proof is checked with: the log's name, and the verifier keys
// of the log and of the utility's witness, in the form of C2SP signed-note. Who
// checks has them from elsewhere than the bill (spec/bill.md section 9).
type Keys struct {
	Origin  string `json:"origin"`
	Log     string `json:"log"`
	Witness string `json:"witness"`
}

// maxKeys bounds the written form.
const maxKeys = 4 << 10

// ParseKeys reads keys as JSON, and checks that each is one.
func ParseKeys(data []byte) (Keys, error) {
	if len(data) > maxKeys {
		return Keys{}, fmt.Errorf("log keys: %d bytes, at most %d are allowed", len(data), maxKeys)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	var k Keys
	if err := dec.Decode(&k); err != nil {
		return Keys{}, fmt.Errorf(`log keys: want a JSON object of "origin", "log" and "witness": %w`, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Keys{}, errors.New("log keys: there is text after the object")
	}
	return k, k.check()
}

func (k Keys) check() error {
	if k.Origin == "" || strings.ContainsAny(k.Origin, "\r\n") {
		return fmt.Errorf("log keys: origin %.80q is not the name of a log", k.Origin)
	}
	if _, err := newVerifier(k.Log); err != nil {
		return fmt.Errorf("log keys: log: %w", err)
	}
	if _, err := f_note.NewVerifierForCosignatureV1(k.Witness); err != nil {
		return fmt.Errorf("log keys: witness: verifier key %.200q: %w", k.Witness, err)
	}
	return nil
}
