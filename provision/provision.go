// Package provision is the record with which a utility provisions a meter:
// what `utility meter add` writes and `wattveil-meter run --provision` reads.
package provision

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"

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
	// Authority signs the collectors' certificates; nil if no address is
	// mqtts://.
	Authority *x509.Certificate
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
	Authority  []byte   `json:"collector_authority,omitempty"`  // base64, DER
	KGC        string   `json:"kgc_key"`                        // base64, compressed point
	Root       string   `json:"ttp_root_fingerprint,omitempty"` // hexadecimal SHA-256 of the SubjectPublicKeyInfo
}

// Encode writes a record as one line of JSON, secret included.
func (r Record) Encode() ([]byte, error) {
	d := document{
		Meter: r.Meter.String(), Secret: base64.StdEncoding.EncodeToString(r.Secret.Bytes()),
		Collectors: r.Collectors, Domain: r.Domain, KGC: base64.StdEncoding.EncodeToString(r.KGC[:]),
	}
	if r.Authority != nil {
		d.Authority = r.Authority.Raw
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
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Record{}, errors.New("provisioning record: there is something after its end")
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
	if err := r.parseCollectors(d); err != nil {
		return Record{}, fmt.Errorf("provisioning record: %w", err)
	}
	return r, nil
}

// parseCollectors reads how to reach the collectors, and what to know them by.
func (r *Record) parseCollectors(d document) (err error) {
	if len(d.Authority) > 0 {
		if r.Authority, err = x509.ParseCertificate(d.Authority); err != nil || !r.Authority.IsCA {
			return errors.New("collector_authority: want an authority's certificate, DER in base64")
		}
	}
	if len(r.Collectors) == 0 {
		return errors.New("collectors: want at least one mqtt:// or mqtts:// address")
	}
	for _, address := range r.Collectors {
		overTLS, err := OverTLS(address)
		if err != nil {
			return fmt.Errorf("collectors: %w", err)
		}
		if overTLS && r.Authority == nil {
			return fmt.Errorf("collectors: %s needs collector_authority: have the meter provisioned anew", address)
		}
	}
	return nil
}

// OverTLS checks a collector's address, and tells whether it is one over TLS.
func OverTLS(address string) (bool, error) {
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != plain && u.Scheme != secured) || u.Hostname() == "" || u.Port() == "" || u.User != nil ||
		u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
		return false, fmt.Errorf("address %q: want mqtt://HOST:PORT, or mqtts://HOST:PORT over TLS", address)
	}
	return u.Scheme == secured, nil
}

// The schemes of a collector's address.
const (
	plain   = "mqtt"
	secured = "mqtts"
)

// LinkPassword is the meter's password at its collectors.
func (r Record) LinkPassword() string { return r.Secret.LinkPassword(r.Meter, r.Domain) }

// Format redacts under every verb.
func (r Record) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[provisioning record]")) }

// LogValue redacts.
func (r Record) LogValue() slog.Value { return slog.StringValue("[provisioning record]") }

// MarshalText redacts, in JSON too: Encode writes the record.
func (r Record) MarshalText() ([]byte, error) { return []byte("[provisioning record]"), nil }
