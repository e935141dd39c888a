// Package consumer names what passes between the consumer's portal and the
// TTP: accounts without a name, passkeys, sessions, and a meter's use as its
// owner sees it. It holds nouns and no code that opens, stores or prices a
// reading, so that the portal can import it (spec/portal.md).
package consumer

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"time"

	"github.com/wattveil/wattveil"
)

// Class is a refusal of spec/portal.md section 5. It is an error.
type Class string

// Error is the class word.
func (c Class) Error() string { return string(c) }

// The refusals that the TTP's side gives.
const (
	Malformed    Class = "malformed"
	Unknown      Class = "unknown"
	EarlierEpoch Class = "earlier-epoch"
	Interception Class = "interception"
	Busy         Class = "busy"
	Limited      Class = "limited"
	Claimed      Class = "claimed"
	Waiting      Class = "waiting"
	NotYours     Class = "not-yours"
	NoBill       Class = "no-bill"
	LastPasskey  Class = "last-passkey"
	TooMany      Class = "too-many"
	Counter      Class = "counter"
	BadRequest   Class = "bad-request"
)

// Limits of an account (spec/portal.md section 2).
const (
	MaxPasskeys = 20
	MaxMeters   = 50
)

// TakeoverAfter is how long a claim on a claimed meter waits.
const TakeoverAfter = 7 * 24 * time.Hour

// Account is a consumer to the TTP: 32 random bytes, the user handle of the
// passkeys. It redacts itself.
type Account [32]byte

// NewAccount draws an account.
func NewAccount() (a Account) {
	_, _ = rand.Read(a[:]) // never fails
	return a
}

// Format redacts under every verb.
func (a Account) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[account]")) }

// LogValue redacts.
func (a Account) LogValue() slog.Value { return slog.StringValue("[account]") }

// Passkey is a WebAuthn credential as it is kept: neither the authenticator's
// model nor a name that somebody gave it.
type Passkey struct {
	Account   Account
	ID        []byte
	PublicKey []byte // COSE
	Count     uint32 // signature counter
	Flags     byte   // backup eligible 1, backed up 2
	Number    int    // within the account, from 1
	Created   time.Time
	Used      time.Time
}

// The flags of a passkey.
const (
	BackupEligible = 1 << iota
	BackedUp
)

// Token names a session in the browser's cookie. It redacts itself; the TTP
// keeps its hash alone.
type Token [32]byte

// NewToken draws a token.
func NewToken() (t Token) {
	_, _ = rand.Read(t[:]) // never fails
	return t
}

// Hash is what is kept of a token.
func (t Token) Hash() TokenHash { return sha256.Sum256(t[:]) }

// Format redacts under every verb.
func (t Token) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[token]")) }

// LogValue redacts.
func (t Token) LogValue() slog.Value { return slog.StringValue("[token]") }

// TokenHash is the SHA-256 of a token.
type TokenHash [32]byte

// Session is a consumer who is signed in.
type Session struct {
	Account   Account
	Passkey   []byte // that signed in
	Began     time.Time
	Ends      time.Time
	Confirmed time.Time // of the last assertion
}

// Meter is a meter in an account.
type Meter struct {
	Name  wattveil.Meter
	Ref   string // in URLs
	Since time.Time
	// TakenOver is when somebody else's claim takes effect; zero if nobody's
	// waits.
	TakenOver time.Time
	Unread    int // alerts that were raised and not marked as read
}
