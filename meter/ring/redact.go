package ring

import (
	"fmt"
	"log/slog"
)

// redacted makes a ring print, log and marshal as [redacted]: its buffer holds
// readings.
type redacted struct{}

const redactedText = "[redacted]"

// Format redacts under every verb.
func (redacted) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redactedText)) }

// LogValue redacts.
func (redacted) LogValue() slog.Value { return slog.StringValue(redactedText) }

// MarshalText redacts, in JSON too.
func (redacted) MarshalText() ([]byte, error) { return []byte(redactedText), nil }
