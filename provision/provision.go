// Package provision is the record with which a utility provisions a meter:
// what `utility meter add` writes and `wattveil-meter run --provision` reads.
package provision

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/wire"
)

// Record is all that a meter is given at deployment. It holds S_SM-UC, so it
// redacts itself and belongs in a file of mode 0600.
type Record struct {
	Meter      wattveil.MeterID
	Secret     wire.Secret
	Collectors []string // mqtt:// or mqtts:// addresses, tried in turn
	Domain     string   // collector domain of the link password
	// KGC is the key that signs the utility's key statements, as a compressed
	// point.
	KGC [wire.PointSize]byte
	// Root is the fingerprint of the TTP's root key; nil leaves the meter
	// unpinned.
	Root *[32]byte
}

// document is a record's JSON form.
type document struct {
	Meter      string   `json:"meter_id"`
	Secret     string   `json:"s_sm_uc"` // base64
	Collectors []string `json:"collectors"`
	Domain     string   `json:"collector_domain"`
	KGC        string   `json:"kgc_key"`                        // base64, compressed point
	Root       string   `json:"ttp_root_fingerprint,omitempty"` // hexadecimal SHA-256 of the SubjectPublicKeyInfo
}

// Encode writes a record as one line of JSON, secret included.
func (r Record) Encode() ([]byte, error) {
	d := document{
		Meter: r.Meter.String(), Secret: base64.StdEncoding.EncodeToString(r.Secret.Bytes()),
		Collectors: r.Collectors, Domain: r.Domain, KGC: base64.StdEncoding.EncodeToString(r.KGC[:]),
	}
	if r.Root != nil {
		d.Root = hex.EncodeToString(r.Root[:])
	}
	return json.Marshal(d)
}

// Parse reads what Encode writes. Its error names the field.
func Parse(b []byte) (Record, error) {
	var d document
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return Record{}, fmt.Errorf("provisioning record: %w", err)
	}
	r := Record{Collectors: d.Collectors, Domain: d.Domain}
	var err error
	if r.Meter, err = wattveil.ParseMeterID(d.Meter); err != nil {
		return Record{}, fmt.Errorf("provisioning record: meter_id: %w", err)
	}
	secret, err := base64.StdEncoding.DecodeString(d.Secret)
	if err == nil {
		r.Secret, err = wire.ParseSecret(secret)
	}
	if err != nil {
		return Record{}, errors.New("provisioning record: s_sm_uc: want 16 bytes in base64")
	}
	kgc, err := base64.StdEncoding.DecodeString(d.KGC)
	if err != nil || len(kgc) != len(r.KGC) {
		return Record{}, errors.New("provisioning record: kgc_key: want a compressed P-256 point, 33 bytes in base64")
	}
	copy(r.KGC[:], kgc)
	if d.Root != "" {
		root, err := hex.DecodeString(d.Root)
		if err != nil || len(root) != 32 {
			return Record{}, errors.New("provisioning record: ttp_root_fingerprint: want 64 hexadecimal digits")
		}
		r.Root = (*[32]byte)(root)
	}
	if len(r.Collectors) == 0 {
		return Record{}, errors.New("provisioning record: collectors: want at least one mqtt:// address")
	}
	return r, nil
}

// LinkPassword is the meter's password at its collectors.
func (r Record) LinkPassword() string { return r.Secret.LinkPassword(r.Meter, r.Domain) }

// Format redacts under every verb.
func (r Record) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[provisioning record]")) }

// LogValue redacts.
func (r Record) LogValue() slog.Value { return slog.StringValue("[provisioning record]") }

// MarshalText redacts, in JSON too: Encode writes the record.
func (r Record) MarshalText() ([]byte, error) { return []byte("[provisioning record]"), nil }
