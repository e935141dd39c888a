package scheme

import (
	"fmt"
	"log/slog"
)

// Secret is what opens messages to one key: both scalars and the key's
// context. It has no methods but the redacting ones, so that to hold one gives
// nothing; [Parts], which only packages under clpke can call, takes it apart.
type Secret struct {
	Redacted
	user, partial *Scalar
	context       Context
}

// NewSecret joins the user value z and the partial key's d.
func NewSecret(user, partial *Scalar, context Context) *Secret {
	return &Secret{user: user, partial: partial, context: context}
}

// Parts is what [NewSecret] joined.
func Parts(s *Secret) (user, partial *Scalar, context Context) {
	return s.user, s.partial, s.context
}

// Redacted makes the struct that embeds it print, log and marshal as
// "[redacted]" in every form, and unfit for ==, which would compare secrets in
// a time that depends on them.
type Redacted struct{ _ [0]func() }

const redacted = "[redacted]"

// Format redacts under every verb.
func (Redacted) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue redacts.
func (Redacted) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText redacts, in JSON too.
func (Redacted) MarshalText() ([]byte, error) { return []byte(redacted), nil }
