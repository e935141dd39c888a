package peer

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
)

// maxContact bounds the files of this page, bytes.
const maxContact = 64 << 10

// Contact is what an organisation tells another so that this one can reach and
// recognise its server: what a TTP gives a utility that it lets in, and part of
// what a utility gives its collector. It holds no secret, but whoever changes
// it on the way decides who is trusted: hand it over as one hands over keys.
type Contact struct {
	Name Name
	URL  string // https://HOST:PORT
	// Authorities vouch for the server: one, or several while the organisation
	// goes over from one to the next.
	Authorities []*x509.Certificate
	// Root, in a TTP's contact, is the fingerprint of its root key.
	Root *[32]byte
	// For, in a TTP's contact, is the utility that it was written for.
	For Name
}

// contactDocument is a contact's JSON form.
type contactDocument struct {
	Name      string `json:"name"`
	URL       string `json:"url"`
	Authority string `json:"authority"` // PEM, of one or several
	Root      string `json:"root_fingerprint,omitempty"`
	For       string `json:"for,omitempty"`
}

// Validate checks that the contact is complete.
func (c Contact) Validate() error {
	if err := c.Name.Validate(); err != nil {
		return err
	}
	if err := ValidateURL(c.URL); err != nil {
		return err
	}
	if err := checkAuthorities(c.Authorities); err != nil {
		return fmt.Errorf("contact of %v: %w", c.Name, err)
	}
	return nil
}

// ValidateURL checks that a server can be reached at an address: https, a host,
// a port or none, and nothing more.
func ValidateURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" ||
		(u.Path != "" && u.Path != "/") {
		return fmt.Errorf("url %q: want https://HOST:PORT", s)
	}
	return nil
}

func (c Contact) document() contactDocument {
	d := contactDocument{
		Name: c.Name.String(), URL: c.URL,
		Authority: string(EncodeCertificates(c.Authorities)),
	}
	if c.Root != nil {
		d.Root = hex.EncodeToString(c.Root[:])
	}
	if c.For != (Name{}) {
		d.For = c.For.String()
	}
	return d
}

func (d contactDocument) contact() (c Contact, err error) {
	if c.Name, err = ParseName(d.Name); err != nil {
		return Contact{}, err
	}
	c.URL = d.URL
	if c.Authorities, err = ParseAuthorities([]byte(d.Authority)); err != nil {
		return Contact{}, fmt.Errorf("authority: %w", err)
	}
	if d.Root != "" {
		root, err := hex.DecodeString(d.Root)
		if err != nil || len(root) != 32 {
			return Contact{}, errors.New("root_fingerprint: want 64 hexadecimal digits")
		}
		c.Root = (*[32]byte)(root)
	}
	if d.For != "" {
		if c.For, err = ParseName(d.For); err != nil {
			return Contact{}, err
		}
	}
	return c, c.Validate()
}

// Encode writes a contact as a JSON document.
func (c Contact) Encode() ([]byte, error) { return encodeDocument(c.document()) }

// ParseContact reads what [Contact.Encode] writes. Its error names the field.
func ParseContact(b []byte) (Contact, error) {
	var d contactDocument
	if err := decodeDocument(b, &d); err != nil {
		return Contact{}, fmt.Errorf("contact: %w", err)
	}
	c, err := d.contact()
	if err != nil {
		return Contact{}, fmt.Errorf("contact: %w", err)
	}
	return c, nil
}

// Credentials is what a utility gives a collector that it has added: whom to
// post to, and the collector's own identity, key included. It redacts itself
// and belongs in a file of mode 0600.
type Credentials struct {
	Server   Contact
	Identity *Identity
}

// credentialsDocument is the JSON form of credentials.
type credentialsDocument struct {
	Server      contactDocument `json:"server"`
	Certificate string          `json:"certificate"` // PEM, then cross certificates
	Key         string          `json:"key"`         // PEM, PKCS #8
}

// Encode writes credentials as a JSON document, key included.
func (c Credentials) Encode() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(c.Identity.privateKey())
	if err != nil {
		return nil, fmt.Errorf("credentials of %v: %w", c.Identity.Name, err)
	}
	return encodeDocument(credentialsDocument{
		Server:      c.Server.document(),
		Certificate: string(EncodeCertificates(c.Identity.chain())),
		Key:         string(pem.EncodeToMemory(&pem.Block{Type: pemKey, Bytes: der})),
	})
}

// ParseCredentials reads what [Credentials.Encode] writes. Its error names the
// field and holds nothing of the content.
func ParseCredentials(b []byte) (Credentials, error) {
	var d credentialsDocument
	if err := decodeDocument(b, &d); err != nil {
		return Credentials{}, fmt.Errorf("credentials: %w", err)
	}
	server, err := d.Server.contact()
	if err != nil {
		return Credentials{}, fmt.Errorf("credentials: server: %w", err)
	}
	chain, err := parseCertificates([]byte(d.Certificate))
	if err == nil && len(chain) == 0 {
		err = errors.New("it is empty")
	}
	if err != nil {
		return Credentials{}, fmt.Errorf("credentials: certificate: %w", err)
	}
	key, err := parseKey([]byte(d.Key))
	if err != nil {
		return Credentials{}, errors.New("credentials: key: want a P-256 key in PEM (PKCS #8)")
	}
	id, err := newIdentity(key, chain[0], chain[1:]...)
	if err != nil {
		return Credentials{}, fmt.Errorf("credentials: %w", err)
	}
	return Credentials{Server: server, Identity: id}, nil
}

// Format redacts under every verb.
func (c Credentials) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[credentials]")) }

// LogValue redacts.
func (c Credentials) LogValue() slog.Value { return slog.StringValue("[credentials]") }

// MarshalText redacts, in JSON too: Encode writes the credentials.
func (c Credentials) MarshalText() ([]byte, error) { return []byte("[credentials]"), nil }

func encodeDocument(d any) ([]byte, error) {
	b, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return nil, err
	}
	return append(b, '\n'), nil
}

// decodeDocument reads one JSON document, of members that it knows.
func decodeDocument(b []byte, d any) error {
	if len(b) > maxContact {
		return fmt.Errorf("it has %d bytes, at most %d are possible", len(b), maxContact)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(d); err != nil {
		return fmt.Errorf("it is not the JSON document that was expected: %w", err)
	}
	if dec.More() {
		return errors.New("there is something after its end")
	}
	return nil
}
