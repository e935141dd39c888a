package wattveil

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// UCNumber names a utility at the TTP. The TTP gives it and knows a caller's
// from the client certificate alone (spec/protocol.md section 2).
type UCNumber uint32

// String is the number in decimal.
func (n UCNumber) String() string { return strconv.FormatUint(uint64(n), 10) }

// MeterID is ID_SM, the name of a meter between itself, its collectors and its
// utility: 64 random bits. The TTP never learns it.
type MeterID uint64

// String is 16 lower-case hexadecimal digits.
func (id MeterID) String() string { return hex16(uint64(id)) }

// ParseMeterID reads what [MeterID.String] writes.
func ParseMeterID(s string) (MeterID, error) {
	n, err := parseHex16(s)
	if err != nil {
		return 0, fmt.Errorf("meter id %q: %w", s, err)
	}
	return MeterID(n), nil
}

// Pseudonym is the an-ID, the name of a meter between its utility and the TTP:
// 64 random bits, independent of the [MeterID].
type Pseudonym uint64

// String is 16 lower-case hexadecimal digits.
func (p Pseudonym) String() string { return hex16(uint64(p)) }

// ParsePseudonym reads what [Pseudonym.String] writes.
func ParsePseudonym(s string) (Pseudonym, error) {
	n, err := parseHex16(s)
	if err != nil {
		return 0, fmt.Errorf("pseudonym %q: %w", s, err)
	}
	return Pseudonym(n), nil
}

// Meter is what a meter is to the TTP. Two utilities may draw equal
// pseudonyms, so neither half alone names a meter: the pair prefixes every
// key, index, transcript and authorisation.
type Meter struct {
	UC        UCNumber
	Pseudonym Pseudonym
}

// String is the UC number and the pseudonym, joined by a slash.
func (m Meter) String() string { return m.UC.String() + "/" + m.Pseudonym.String() }

// ParseMeter reads what [Meter.String] writes.
func ParseMeter(s string) (Meter, error) {
	uc, pseudonym, _ := strings.Cut(s, "/")
	n, err := strconv.ParseUint(uc, 10, 32)
	if err != nil || UCNumber(n).String() != uc {
		return Meter{}, fmt.Errorf("meter %.40q is not a UC number and a pseudonym like 7/0123456789abcdef", s)
	}
	p, err := ParsePseudonym(pseudonym)
	if err != nil || p.String() != pseudonym {
		return Meter{}, fmt.Errorf("meter %.40q is not a UC number and a pseudonym like 7/0123456789abcdef", s)
	}
	return Meter{UC: UCNumber(n), Pseudonym: p}, nil
}

// Epoch numbers the session keys of a meter. Numbers rise and never restart
// for a [MeterID]; headers carry the low byte.
type Epoch uint32

// Low is the byte that stands in headers.
func (e Epoch) Low() byte { return byte(e) }

// Counter numbers the messages that a meter seals under one epoch. No counter
// is used twice.
type Counter uint32

// Series is the serial of the key statement whose session opened a reading. A
// new series may begin at another register, so differences are never taken
// across series.
type Series uint32

func hex16(n uint64) string { return fmt.Sprintf("%016x", n) }

func parseHex16(s string) (uint64, error) {
	if len(s) != 16 {
		return 0, fmt.Errorf("has %d characters, want 16 hexadecimal digits", len(s))
	}
	var b [8]byte
	if _, err := hex.Decode(b[:], []byte(s)); err != nil {
		return 0, fmt.Errorf("want 16 hexadecimal digits: %w", err)
	}
	var n uint64
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return n, nil
}
