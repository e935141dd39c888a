package wire

import (
	"fmt"
	"log/slog"
)

// redacted is embedded in every type that holds a key, a password's source or
// a partial key: it makes the type print, log and marshal as [secret], whether
// it is held by value or by pointer. fmt cannot call methods of an unexported
// field, so a struct that keeps such a type in one must embed or hold a pointer.
type redacted struct{}

const secretText = "[secret]"

// Format redacts under every verb.
func (redacted) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(secretText)) }

// LogValue redacts.
func (redacted) LogValue() slog.Value { return slog.StringValue(secretText) }

// MarshalText redacts, in JSON too.
func (redacted) MarshalText() ([]byte, error) { return []byte(secretText), nil }
