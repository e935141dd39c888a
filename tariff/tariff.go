// Package tariff holds what a utility charges: energy prices by bands of local
// time, a standing charge and a tax.
//
// A [Document] is a tariff as it is written. [Parse] reads one from JSON and
// [New] checks one; both give a [Tariff], which is known to be sound, never
// changes, and finds the band of an instant fast. Money and prices are exact:
// a [Decimal] in a [Currency], rounded in one place, [Currency.Amount].
//
// The normative text is spec/tariff.md.
package tariff

import (
	"crypto/sha256"
	"fmt"
	"time"
)

// Tariff is a checked tariff. It is immutable and safe for concurrent use.
// The zero value is not a tariff: use [Parse], [New] or [Builtin].
type Tariff struct {
	doc       Document
	currency  Currency
	zone      *time.Location
	validFrom time.Time
	bands     []Rate // sorted by band
	week      [len(dayNames)]dayPlan
	standing  *Decimal
	tax       *Decimal
}

// Rate is what a kWh costs and earns in one band.
type Rate struct {
	Band   string
	Import Decimal // cost of a kWh
	Export Decimal // credit for a kWh; 0 if the tariff gives none
}

// New checks a document and compiles it. A refusal is an [*Error] that lists
// every problem found. The tariff shares nothing with the document.
func New(doc Document) (*Tariff, error) {
	var c checker
	t := c.tariff(doc.clone())
	if err := c.err(); err != nil {
		return nil, err
	}
	return t, nil
}

// ID is the name that the utility gave the tariff.
func (t *Tariff) ID() string { return t.doc.ID }

// Currency is what the prices are in.
func (t *Tariff) Currency() Currency { return t.currency }

// Zone is where the windows' clock runs.
func (t *Tariff) Zone() *time.Location { return t.zone }

// ValidFrom is the first instant that the tariff may price.
func (t *Tariff) ValidFrom() time.Time { return t.validFrom }

// Bands is how many bands there are. They are numbered from 0 in the order of
// their names.
func (t *Tariff) Bands() int { return len(t.bands) }

// Rate gives the name and the prices of a band by number.
func (t *Tariff) Rate(band int) Rate { return t.bands[band] }

// Standing is the charge per local day; false if there is none.
func (t *Tariff) Standing() (perDay Decimal, ok bool) { return deref(t.standing) }

// Tax is the tax as a fraction, 0.081 for 8.1 %; false if there is none.
func (t *Tariff) Tax() (fraction Decimal, ok bool) { return deref(t.tax) }

func deref(d *Decimal) (Decimal, bool) {
	if d == nil {
		return Decimal{}, false
	}
	return *d, true
}

// Document is a copy of the tariff as it was written.
func (t *Tariff) Document() Document { return t.doc.clone() }

// MarshalJSON writes the canonical form (RFC 8785), which [Parse] reads back.
func (t *Tariff) MarshalJSON() ([]byte, error) { return t.doc.canonical(), nil }

// UnmarshalJSON reads a tariff as [Parse] does.
func (t *Tariff) UnmarshalJSON(data []byte) error {
	parsed, err := Parse(data)
	if err != nil {
		return fmt.Errorf("unmarshal: %w", err)
	}
	*t = *parsed
	return nil
}

// Digest is the SHA-256 of the canonical form.
func (t *Tariff) Digest() Digest { return sha256.Sum256(t.doc.canonical()) }
