// Package tariff holds what electricity charges: energy prices by bands of
// local time, by tiers or by a price series, standing charges, grid fees,
// levies, credits, demand charges, minimum charges and taxes.
//
// A [Document] is a tariff as it is written. [Parse] reads one from JSON and
// [New] checks one; both give a [Tariff], which is known to be sound, never
// changes, and finds the band of an instant fast. A [Series] holds prices that
// change by the hour. [Versions] orders tariffs that replace one another.
// Money and prices are exact: a [Decimal] in a [Currency], rounded in one
// place, [Currency.Round].
//
// The normative text is spec/tariff.md.
package tariff

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"time"
)

// Tariff is a checked tariff. It is immutable and safe for concurrent use.
// The zero value is not a tariff: use [Parse], [New] or [Builtin].
type Tariff struct {
	doc       Document
	currency  Currency
	zone      *time.Location
	validFrom time.Time
	validTo   time.Time // zero if there is none
	bands     []Rate    // sorted by band
	calendar  calendar
	plans     planSet
	standing  *Fee
	minimum   *Fee
	charges   []Charge
	demands   []Demand
	taxes     []Tax
}

// Rate is what a kWh costs and earns in one band.
type Rate struct {
	Band         string
	Import       Decimal // cost of a kWh; of the first tier if there are Tiers
	Export       Decimal // credit for a kWh; 0 if the tariff gives none
	ImportSeries string  // the series that has the cost; empty if Import has it
	ExportSeries string  // the series that has the credit; empty if Export has it
	Tiers        []Limit // of import; nil if there is one price
	TiersPerDay  bool    // tiers end after so much a day, not a month
}

// Limit is a tier: a price, and where it ends. The last has no end.
type Limit struct {
	Price Decimal
	UpTo  Decimal // kWh, or kW of a demand; 0 is no end
}

// Per is what a fee is counted by.
type Per uint8

// What fees are counted by.
const (
	PerKWh Per = iota + 1
	PerDay
	PerMonth
)

// Fee is a price and what it is counted by.
type Fee struct {
	Price Decimal
	Per   Per
}

// Charge is a grid fee, a levy or a credit.
type Charge struct {
	Kind   string // "grid", "levy" or "credit"
	Name   string
	Fee    Fee
	Export bool  // counts exported energy instead of imported; of PerKWh
	Bands  []int // numbers of the bands whose energy counts, rising; of PerKWh
}

// Demand prices the highest mean power of each month.
type Demand struct {
	Name    string
	Length  time.Duration // of the means
	Tiers   []Limit       // at least one
	Step    Decimal       // kW; figures are rounded up to a multiple; 0 is none
	Ratchet *Ratchet      // nil if there is none
	seasons seasonSet
}

// Ratchet holds a demand's figure up by what was measured before.
type Ratchet struct {
	Fraction Decimal // of the highest measured
	Months   int     // calendar months before that count
}

// Tax is a tax as a fraction: 0.081 for 8.1 %.
type Tax struct {
	Name     string // empty if the tariff has one tax only, on all other lines
	Fraction Decimal
	On       []string // kinds of lines in the order of a bill; nil is all others
}

// New checks a document and compiles it. A refusal is an [*Error] that lists
// every problem found. The tariff shares nothing with the document.
func New(doc Document) (*Tariff, error) {
	c := checker{problems: problems{what: "tariff"}}
	t := c.tariff(doc.clone())
	if err := c.err(); err != nil {
		return nil, err
	}
	return t, nil
}

// ID is the name that the utility gave the tariff.
func (t *Tariff) ID() string { return t.doc.ID }

// Replaces is the id of the tariff before; empty if there is none.
func (t *Tariff) Replaces() string { return t.doc.Replaces }

// Currency is what the prices are in.
func (t *Tariff) Currency() Currency { return t.currency }

// Zone is where the windows' clock runs.
func (t *Tariff) Zone() *time.Location { return t.zone }

// ValidFrom is the first instant that the tariff may price.
func (t *Tariff) ValidFrom() time.Time { return t.validFrom }

// ValidTo is the instant from which on the tariff prices nothing; false if
// there is none.
func (t *Tariff) ValidTo() (time.Time, bool) { return t.validTo, !t.validTo.IsZero() }

// PricesTo is the instant until which the tariff prices: the earlier of
// [Tariff.ValidTo] and the end of its holiday calendar; false if there is
// none.
func (t *Tariff) PricesTo() (time.Time, bool) {
	end, ok := t.ValidTo()
	if t.calendar.bounded {
		known := time.Date(lastHolidayYear+1, 1, 1, 0, 0, 0, 0, t.zone)
		if !ok || end.After(known) {
			return known, true
		}
	}
	return end, ok
}

// Bands is how many bands there are. They are numbered from 0 in the order of
// their names.
func (t *Tariff) Bands() int { return len(t.bands) }

// Rate gives the name and the prices of a band by number. Its Tiers are shared:
// do not change them.
func (t *Tariff) Rate(band int) Rate { return t.bands[band] }

// Series names the price series that the tariff needs, sorted.
func (t *Tariff) Series() []string {
	var names []string
	for _, r := range t.bands {
		for _, name := range [...]string{r.ImportSeries, r.ExportSeries} {
			if name != "" {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Standing is the standing charge; false if there is none.
func (t *Tariff) Standing() (Fee, bool) { return deref(t.standing) }

// Minimum is what the lines before it come to at least; false if there is
// none.
func (t *Tariff) Minimum() (Fee, bool) { return deref(t.minimum) }

// Charges are the grid fees, levies and credits in the order of a bill. The
// list is shared: do not change it.
func (t *Tariff) Charges() []Charge { return t.charges }

// Demands are the demand charges by rising name; the place of each is its bit
// in [Span.Demands]. The list is shared: do not change it.
func (t *Tariff) Demands() []Demand { return t.demands }

// HasRatchet tells whether a demand charge takes figures of earlier bills.
func (t *Tariff) HasRatchet() bool {
	return slices.ContainsFunc(t.demands, func(d Demand) bool { return d.Ratchet != nil })
}

// Taxes are the taxes in the order of a bill. The list is shared: do not
// change it.
func (t *Tariff) Taxes() []Tax { return t.taxes }

// HasDemandOn tells whether a demand charge, by its place, applies in the
// season of a local day, counted from 1970-01-01.
func (t *Tariff) HasDemandOn(demand int, day int64) bool {
	return t.demands[demand].seasons.has(t.calendar.season(day))
}

func deref[T any](p *T) (T, bool) {
	if p == nil {
		var none T
		return none, false
	}
	return *p, true
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
