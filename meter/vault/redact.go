package vault

import (
	"fmt"
	"log/slog"
)

// redacted makes a key print, log and marshal as [secret].
type redacted struct{}

const secretText = "[secret]"

// Format redacts under every verb.
func (redacted) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(secretText)) }

// LogValue redacts.
func (redacted) LogValue() slog.Value { return slog.StringValue(secretText) }

// MarshalText redacts, in JSON too.
func (redacted) MarshalText() ([]byte, error) { return []byte(secretText), nil }
