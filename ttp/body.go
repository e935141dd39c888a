package ttp

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/wattveil/wattveil/wire"
)

// decode reads a JSON body of members that the specification names: one that
// it does not, such as a number of another utility, is refused and not passed
// over (spec/protocol.md section 7).
func decode(what string, body []byte, into any) error {
	if !json.Valid(body) { // one value, and nothing behind it
		return fmt.Errorf("%w: %s: it is not one JSON value", wire.Malformed, what)
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return fmt.Errorf("%w: %s: %w", wire.Malformed, what, err)
	}
	return nil
}

// needEmpty refuses a body where there is none.
func needEmpty(what string, body []byte) error {
	if len(body) > 0 {
		return fmt.Errorf("%w: %s has a body of %d bytes, want none", wire.Malformed, what, len(body))
	}
	return nil
}
