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
	Currency   string    `json:"currency"` // ISO 4217
	Energy     Energy    `json:"energy"`
	ID         string    `json:"id"`
	Standing   *Standing `json:"standing,omitempty"`
	TaxPercent string    `json:"tax_percent,omitempty"` // decimal, on the sum of all other lines
	Timezone   string    `json:"timezone"`              // IANA name
	ValidFrom  string    `json:"valid_from"`            // local date, YYYY-MM-DD
}

// Energy prices energy by the local time at which an interval starts.
type Energy struct {
	Bands   map[string]Band `json:"bands"`
	Default string          `json:"default"` // the band outside all windows
	Windows []Window        `json:"windows,omitempty"`
}

// Band is a pair of prices per kWh, as decimals in the tariff's currency.
type Band struct {
	Export string `json:"export,omitempty"` // what exported energy earns; none if empty
	Import string `json:"import"`           // what imported energy costs
}

// Window puts a band on a stretch of local time. A window whose From is after
// its To runs past midnight: it starts on each of its days and ends on the
// following one.
type Window struct {
	Band string   `json:"band"`
	Days []string `json:"days"` // of "mon" to "sun", each at most once
	From string   `json:"from"` // HH:MM, 00:00 to 23:59
	To   string   `json:"to"`   // HH:MM, 00:00 to 24:00
}

// Standing is what having a connection costs.
type Standing struct {
	PerDay string `json:"per_day"` // decimal, per local day in which an interval starts
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
func (d Document) canonical() []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(d); err != nil {
		panic("tariff: encoding strings: " + err.Error())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// clone shares nothing with d.
func (d Document) clone() Document {
	d.Energy.Bands = maps.Clone(d.Energy.Bands)
	d.Energy.Windows = slices.Clone(d.Energy.Windows)
	for i := range d.Energy.Windows {
		w := &d.Energy.Windows[i]
		w.Days = slices.Clone(w.Days)
	}
	if d.Standing != nil {
		s := *d.Standing
		d.Standing = &s
	}
	return d
}

// Digest is the SHA-256 of a tariff's canonical JSON. A bill names the digest
// of the tariff that priced it.
type Digest [sha256.Size]byte

// String is base64url without padding, 43 characters.
func (d Digest) String() string { return base64.RawURLEncoding.EncodeToString(d[:]) }
