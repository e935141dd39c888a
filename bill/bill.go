// Package bill holds the bill: what the TTP signs, and what the utility and
// the consumer verify.
//
// A bill is a compact JWS (RFC 7515, EdDSA) whose payload is a [Bill] in
// canonical JSON (RFC 8785). The TTP makes one with [SigningKey.Sign]. Anyone
// who has the TTP's [KeySet] checks one with [Verify], which also recomputes
// everything that needs no readings. To recompute the energy itself takes the
// readings and is the work of bill/check.
//
// A bill names its meter only as a salted hash, see [SubjectOf], so that a
// bill in the wrong hands does not lead back to a pseudonym.
//
// The normative text is spec/bill.md, test vectors are in vectors/bill.
package bill

import (
	"bytes"
	"encoding/json"
	"time"
)

// Version is the version of the bills that this package signs and verifies.
const Version = 1

// Bill is the payload. All numbers but the version are exact decimals in
// strings. The fields stand in the order of their JSON names, so that
// encoding/json writes the canonical form.
type Bill struct {
	Carries         string `json:"carries,omitempty"`          // HashOf the bill whose difference is in the quantities
	Corrects        string `json:"corrects,omitempty"`         // HashOf the bill that this one replaces
	Currency        string `json:"currency"`                   // ISO 4217
	Estimated       int    `json:"estimated"`                  // how many of the intervals are estimated
	ExportKWh       string `json:"export_kwh,omitempty"`       // 3 decimals; none if a line withholds its quantity
	From            string `json:"from"`                       // RFC 3339 with the zone's offset; see Time
	ImportKWh       string `json:"import_kwh,omitempty"`       // 3 decimals; none if a line withholds its quantity
	Intervals       int    `json:"intervals"`                  // that the bill is made from
	Issuer          string `json:"issuer"`                     // name of the TTP
	Lines           []Line `json:"lines"`                      // energy by band, fees, demand, taxes
	ReadingsRoot    string `json:"readings_root"`              // of Intervals.Root
	Subject         string `json:"subject"`                    // of SubjectOf
	Tariff          string `json:"tariff"`                     // the tariff's id
	TariffDigest    string `json:"tariff_digest"`              // of the tariff's canonical form, base64url
	Timezone        string `json:"timezone"`                   // IANA name, the tariff's
	To              string `json:"to"`                         // end of the period, exclusive
	Total           string `json:"total"`                      // sum of the lines' amounts
	UnbilledSeconds int64  `json:"unbilled_seconds,omitempty"` // of the period, in holes without energy
	V               int    `json:"v"`                          // Version
}

// Line is one priced quantity. It has the fields of rating.Line, so that the
// one converts to the other.
//
// An import or export line whose prices are in a series may withhold its
// quantity, where the gate lets the amount alone be told (spec/gate.md section
// 5).
type Line struct {
	Amount   string `json:"amount"`             // minor units of the currency; negative is a credit
	Band     string `json:"band,omitempty"`     // of import and export lines only
	Kind     string `json:"kind"`               // "import", "export", "standing", "tax" and others
	Minutes  int    `json:"minutes,omitempty"`  // of demand lines: length of the means
	Month    string `json:"month,omitempty"`    // of demand lines, like 2018-03
	Name     string `json:"name,omitempty"`     // of what there can be several of in a kind
	Note     string `json:"note,omitempty"`     // of demand lines: what is unusual
	On       string `json:"on,omitempty"`       // of tax lines: kinds of lines, joined by commas
	Price    string `json:"price,omitempty"`    // per unit; for tax the fraction; none where a series has the prices
	Quantity string `json:"quantity,omitempty"` // kWh and kW with 3 decimals; days; months; for tax the amount taxed
	Series   string `json:"series,omitempty"`   // digest of the price series for the period
	Share    string `json:"share,omitempty"`    // of demand lines: part of a month
	Tier     int    `json:"tier,omitempty"`     // from 1, where there are several
	Unit     string `json:"unit"`               // "kWh", "day", "month", "kW"; for tax the currency
	Withheld string `json:"withheld,omitempty"` // the gate's rule, where the quantity is not told
}

// Time writes an instant as a bill does: RFC 3339 in whole seconds with the
// offset that the zone has then, which is Z where it is zero.
func Time(t time.Time, zone *time.Location) string { return t.In(zone).Format(time.RFC3339) }

// canonical is the RFC 8785 form. The strings of a bill that [Check] accepts
// are printable, so a quote and a backslash are all that is ever escaped, and
// encoding/json escapes them as the RFC does.
func (b Bill) canonical() ([]byte, error) { return marshal(b) }

// marshal is encoding/json's form without what is for HTML.
func marshal(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}
