package wattveil

import (
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
)

// RegisterModulus is where a register rolls over to zero: 2^40 Wh.
const RegisterModulus = 1 << 40

// Register is a cumulative energy register in Wh, modulo [RegisterModulus],
// offset by a base that only the meter knows (spec/protocol.md section 6.1), so
// that the number on a meter's display does not identify a pseudonym. It
// redacts itself; convert to uint64 to compute with it.
//
// Like every type that redacts itself it cannot hide from %p and %w, which are
// for pointers and errors, nor in an unexported field of a struct that is
// printed: package fmt asks no method there. A struct that keeps energy in such
// a field redacts itself too.
type Register uint64

// Since is the energy from an earlier register of the same series to this one,
// across at most one rollover.
func (r Register) Since(earlier Register) Wh {
	return Wh((uint64(r) - uint64(earlier)) % RegisterModulus)
}

// Add is the register after energy has passed. energy may not be negative.
func (r Register) Add(energy Wh) Register {
	return Register((uint64(r) + uint64(energy)) % RegisterModulus)
}

// Wh is an energy in watt-hours. It redacts itself; convert to int64 to
// compute with it.
type Wh int64

// Status holds the flags that a meter reports with a reading.
type Status uint16

// The status flags (spec/protocol.md section 6.1). A receiver keeps flags that
// it does not know.
const (
	// StatusClock: the meter's clock may be wrong, as a start without a clock
	// or a difference of more than 5 minutes to its utility or TTP tells.
	StatusClock Status = 1 << iota
	// StatusRestart: the meter started again since its last reading.
	StatusRestart
	// StatusTamper: the meter's case or its source reported an opening.
	StatusTamper
)

// statusNames are the names of flags in texts, by bit. Others go by number.
var statusNames = [...]string{"clock", "restart", "tamper"}

// Text names the flags that are set, rising, as files of readings have them
// (spec/bill.md section 10).
func (s Status) Text() string {
	var words []string
	for bit := range 16 {
		switch {
		case s&(1<<bit) == 0:
		case bit < len(statusNames):
			words = append(words, statusNames[bit])
		default:
			words = append(words, strconv.Itoa(bit))
		}
	}
	return strings.Join(words, " ")
}

// ParseStatus reads what [Status.Text] writes, and nothing else.
func ParseStatus(text string) (s Status, err error) {
	for _, word := range strings.Fields(text) {
		if bit := slices.Index(statusNames[:], word); bit >= 0 {
			s |= 1 << bit
		} else if bit, err := strconv.ParseUint(word, 10, 4); err == nil {
			s |= 1 << bit
		}
	}
	if s.Text() != text { // a word is none, or there twice, or out of order
		return 0, fmt.Errorf("flags %.30q: want %s or numbers from %d to 15, rising, with a space between",
			text, strings.Join(statusNames[:], ", "), len(statusNames))
	}
	return s, nil
}

// Reading is both registers at the end of an interval. It redacts itself.
type Reading struct {
	Time   int64 // Unix seconds, UTC
	Import Register
	Export Register
	Status Status
}

// Interval is the energy between two readings that are neighbours in one
// series. It redacts itself.
type Interval struct {
	Start  int64 // Unix seconds, UTC
	End    int64 // Unix seconds, UTC
	Import Wh
	Export Wh
	Status Status // of the reading at the end
}

// Redacted is what a value that must not be seen prints as.
const redacted = "[redacted]"

func redact(f fmt.State) { _, _ = f.Write([]byte(redacted)) }

// Format redacts under every verb.
func (r Register) Format(f fmt.State, _ rune) { redact(f) }

// Format redacts under every verb.
func (w Wh) Format(f fmt.State, _ rune) { redact(f) }

// Format redacts under every verb.
func (r Reading) Format(f fmt.State, _ rune) { redact(f) }

// Format redacts under every verb.
func (i Interval) Format(f fmt.State, _ rune) { redact(f) }

// LogValue redacts.
func (r Register) LogValue() slog.Value { return slog.StringValue(redacted) }

// LogValue redacts.
func (w Wh) LogValue() slog.Value { return slog.StringValue(redacted) }

// LogValue redacts.
func (r Reading) LogValue() slog.Value { return slog.StringValue(redacted) }

// LogValue redacts.
func (i Interval) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText redacts, in JSON too.
func (r Register) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalText redacts, in JSON too.
func (w Wh) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalText redacts, in JSON too.
func (r Reading) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalText redacts, in JSON too.
func (i Interval) MarshalText() ([]byte, error) { return []byte(redacted), nil }
