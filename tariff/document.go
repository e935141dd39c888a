package tariff

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
)

// Document is a tariff as it is written (spec/tariff.md section 2): plain
// data, to be filled in by a converter or an editor. [New] checks it.
//
// The fields stand in the order of their JSON names, here and in the structs
// below, so that encoding/json writes the canonical form (RFC 8785).
type Document struct {
	Charges    []ChargeTerms      `json:"charges,omitempty"`
	Currency   string             `json:"currency"` // ISO 4217
	Demand     []DemandTerms      `json:"demand,omitempty"`
	Energy     Energy             `json:"energy"`
	Holidays   *Holidays          `json:"holidays,omitempty"`
	ID         string             `json:"id"`
	Minimum    *Minimum           `json:"minimum,omitempty"`
	Notes      []Note             `json:"notes,omitempty"`
	Replaces   string             `json:"replaces,omitempty"` // id of the tariff before
	Seasons    map[string][]Dates `json:"seasons,omitempty"`
	Standing   *Standing          `json:"standing,omitempty"`
	TaxPercent string             `json:"tax_percent,omitempty"` // decimal, on the sum of all other lines
	Taxes      []TaxTerms         `json:"taxes,omitempty"`
	Timezone   string             `json:"timezone"`           // IANA name
	ValidFrom  string             `json:"valid_from"`         // local date, YYYY-MM-DD
	ValidTo    string             `json:"valid_to,omitempty"` // local date, exclusive
}

// Dates is a stretch of every year, both ends included.
type Dates struct {
	From string `json:"from"` // MM-DD
	To   string `json:"to"`   // MM-DD; before From it is in the year that follows
}

// Holidays says which local days are of the day type "hol".
type Holidays struct {
	Calendar string   `json:"calendar,omitempty"` // one of Calendars
	Dates    []string `json:"dates,omitempty"`    // more holidays, YYYY-MM-DD
	Except   []string `json:"except,omitempty"`   // none, whatever the calendar says
	When     string   `json:"when,omitempty"`     // "actual" (default) or "observed"
}

// Energy prices energy by the local time at which an interval starts.
type Energy struct {
	Bands   map[string]Band `json:"bands"`
	Default string          `json:"default"` // the band outside all windows
	Windows []Window        `json:"windows,omitempty"`
}

// Band says what a kWh costs and earns, as decimals in the tariff's currency.
// One of Import, ImportSeries and Tiers is given, at most one of Export and
// ExportSeries.
type Band struct {
	Export       string `json:"export,omitempty"`        // what exported energy earns; none if empty
	ExportSeries string `json:"export_series,omitempty"` // the series that says so
	Import       string `json:"import,omitempty"`        // what imported energy costs
	ImportSeries string `json:"import_series,omitempty"` // the series that says so
	Tiers        []Tier `json:"tiers,omitempty"`
	TiersPer     string `json:"tiers_per,omitempty"` // "month" (default) or "day"
}

// Tier is the price of imported energy up to a sum. The last tier of a band
// has no end.
type Tier struct {
	Import  string `json:"import"`
	UpToKWh string `json:"up_to_kwh,omitempty"`
}

// Window puts a band on a stretch of local time. A window whose From is after
// its To runs past midnight: it starts on each of its days and ends on the
// following one.
type Window struct {
	Band    string   `json:"band"`
	Days    []string `json:"days"`              // of "mon" to "sun" and "hol", each at most once
	From    string   `json:"from"`              // HH:MM, 00:00 to 23:59
	Seasons []string `json:"seasons,omitempty"` // all the year if empty
	To      string   `json:"to"`                // HH:MM, 00:00 to 24:00
}

// Times is a window of a demand charge.
type Times struct {
	Days    []string `json:"days"`
	From    string   `json:"from"`
	Seasons []string `json:"seasons,omitempty"`
	To      string   `json:"to"`
}

// Standing is what having a connection costs, by one of the two.
type Standing struct {
	PerDay   string `json:"per_day,omitempty"`   // decimal, per local day in which an interval starts
	PerMonth string `json:"per_month,omitempty"` // decimal, shared out by days
}

// Minimum is what the lines before it come to at least, by one of the two.
type Minimum struct {
	PerDay   string `json:"per_day,omitempty"`
	PerMonth string `json:"per_month,omitempty"`
}

// ChargeTerms are a grid fee, a levy or a credit, by one of the three prices.
type ChargeTerms struct {
	Bands    []string `json:"bands,omitempty"` // whose energy counts; all if empty
	Kind     string   `json:"kind"`            // "grid", "levy" or "credit"
	Name     string   `json:"name"`
	Of       string   `json:"of,omitempty"` // "import" (default) or "export"
	PerDay   string   `json:"per_day,omitempty"`
	PerKWh   string   `json:"per_kwh,omitempty"`
	PerMonth string   `json:"per_month,omitempty"`
}

// DemandTerms price the highest mean power of each month.
type DemandTerms struct {
	Minutes int           `json:"minutes"` // 15, 30 or 60
	Name    string        `json:"name"`
	PerKW   string        `json:"per_kw,omitempty"` // decimal, per kW and month
	Ratchet *RatchetTerms `json:"ratchet,omitempty"`
	Seasons []string      `json:"seasons,omitempty"`
	StepKW  string        `json:"step_kw,omitempty"` // the figure is rounded up to a multiple
	Tiers   []DemandTier  `json:"tiers,omitempty"`
	Windows []Times       `json:"windows,omitempty"` // all the time if empty
}

// DemandTier is the price of demand up to a power. The last tier has no end.
type DemandTier struct {
	PerKW  string `json:"per_kw"`
	UpToKW string `json:"up_to_kw,omitempty"`
}

// RatchetTerms hold a demand's figure up by what was measured before.
type RatchetTerms struct {
	Months  int    `json:"months"`
	Percent string `json:"percent"`
}

// TaxTerms are one of several taxes.
type TaxTerms struct {
	Name    string   `json:"name"`
	On      []string `json:"on,omitempty"` // kinds of lines; all but taxes if empty
	Percent string   `json:"percent"`
}

// Note is what a converter assumed, or could not express, about a member of
// its source or of the tariff. It changes no price.
type Note struct {
	Member string `json:"member"`
	Text   string `json:"text"`
}

// Validate returns what [New] would refuse about the document, as an [*Error],
// or nil.
func (d Document) Validate() error {
	_, err := New(d)
	return err
}

// canonical is the RFC 8785 form of a document that has been checked. Every
// string of such a document is ASCII without quotes, backslashes or control
// characters, so there is nothing to escape.
func (d Document) canonical() []byte { return encode(d) }

func encode(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic("tariff: encoding strings: " + err.Error())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// clone shares nothing with d.
func (d Document) clone() Document {
	d.Energy.Bands = maps.Clone(d.Energy.Bands)
	for name, b := range d.Energy.Bands {
		b.Tiers = slices.Clone(b.Tiers)
		d.Energy.Bands[name] = b
	}
	d.Energy.Windows = slices.Clone(d.Energy.Windows)
	for i := range d.Energy.Windows {
		w := &d.Energy.Windows[i]
		w.Days, w.Seasons = slices.Clone(w.Days), slices.Clone(w.Seasons)
	}
	d.Seasons = maps.Clone(d.Seasons)
	for name, ranges := range d.Seasons {
		d.Seasons[name] = slices.Clone(ranges)
	}
	if d.Holidays != nil {
		h := *d.Holidays
		h.Dates, h.Except = slices.Clone(h.Dates), slices.Clone(h.Except)
		d.Holidays = &h
	}
	d.Standing, d.Minimum = clonePointer(d.Standing), clonePointer(d.Minimum)
	d.Notes = slices.Clone(d.Notes)
	d.Charges = slices.Clone(d.Charges)
	for i := range d.Charges {
		d.Charges[i].Bands = slices.Clone(d.Charges[i].Bands)
	}
	d.Taxes = slices.Clone(d.Taxes)
	for i := range d.Taxes {
		d.Taxes[i].On = slices.Clone(d.Taxes[i].On)
	}
	d.Demand = slices.Clone(d.Demand)
	for i := range d.Demand {
		d.Demand[i] = d.Demand[i].clone()
	}
	return d
}

func (t DemandTerms) clone() DemandTerms {
	t.Ratchet = clonePointer(t.Ratchet)
	t.Seasons, t.Tiers, t.Windows = slices.Clone(t.Seasons), slices.Clone(t.Tiers), slices.Clone(t.Windows)
	for i := range t.Windows {
		w := &t.Windows[i]
		w.Days, w.Seasons = slices.Clone(w.Days), slices.Clone(w.Seasons)
	}
	return t
}

func clonePointer[T any](p *T) *T {
	if p == nil {
		return nil
	}
	c := *p
	return &c
}

// Digest is the SHA-256 of canonical JSON. A bill names the digest of the
// tariff that priced it, and those of its price series for the period.
type Digest [sha256.Size]byte

// String is base64url without padding, 43 characters.
func (d Digest) String() string { return base64.RawURLEncoding.EncodeToString(d[:]) }
