package meter

import (
	"fmt"
	"log/slog"
)

// redacted is embedded in every type that holds a key or a reading, so that it
// prints, logs and marshals as [redacted]. fmt cannot call methods of an
// unexported field, so a struct that keeps such a type in one embeds it too.
type redacted struct{}

const redactedText = "[redacted]"

// Format redacts under every verb.
func (redacted) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redactedText)) }

// LogValue redacts.
func (redacted) LogValue() slog.Value { return slog.StringValue(redactedText) }

// MarshalText redacts, in JSON too.
func (redacted) MarshalText() ([]byte, error) { return []byte(redactedText), nil }
