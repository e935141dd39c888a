// Package peer connects the servers of the platform: mutual TLS 1.3 between
// organisations that each run their own certificate authority, pinned to each
// other, with an allow-list per route by the name in the certificate.
//
// A party's name is the URI in its certificate, wattveil://ORG/ROLE or
// wattveil://ORG/ROLE/INSTANCE. [Trust] says which authority may vouch for
// which organisation and role: a utility cannot issue a certificate that
// names another one.
package peer

import (
	"crypto/x509"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// The roles that certificates name.
const (
	RoleUtility   = "utility"
	RoleTTP       = "ttp"
	RoleCollector = "collector"
	RoleKGC       = "kgc"
)

// Name is what a certificate says of its holder.
type Name struct {
	Org, Role string
	Instance  string // of several of a role, such as collectors; may be empty
}

var namePart = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,62}$`)

// String is the URI wattveil://ORG/ROLE[/INSTANCE].
func (n Name) String() string { return n.uri().String() }

func (n Name) uri() *url.URL {
	path := "/" + n.Role
	if n.Instance != "" {
		path += "/" + n.Instance
	}
	return &url.URL{Scheme: "wattveil", Host: n.Org, Path: path}
}

// Validate checks that each part is 1 to 63 of a-z, 0-9, dot and hyphen.
func (n Name) Validate() error {
	for _, part := range []string{n.Org, n.Role} {
		if !namePart.MatchString(part) {
			return fmt.Errorf("name %q: %q is not 1 to 63 of a-z, 0-9, dot and hyphen", n, part)
		}
	}
	if n.Instance != "" && !namePart.MatchString(n.Instance) {
		return fmt.Errorf("name %q: %q is not 1 to 63 of a-z, 0-9, dot and hyphen", n, n.Instance)
	}
	return nil
}

// ParseName reads what String writes.
func ParseName(s string) (Name, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "wattveil" {
		return Name{}, fmt.Errorf("name %q: want wattveil://ORG/ROLE", s)
	}
	parts := strings.Split(strings.TrimPrefix(u.Path, "/"), "/")
	n := Name{Org: u.Host, Role: parts[0]}
	if len(parts) > 1 {
		n.Instance = parts[1]
	}
	if len(parts) > 2 || n.String() != s {
		return Name{}, fmt.Errorf("name %q: want wattveil://ORG/ROLE", s)
	}
	return n, n.Validate()
}

// NameOf reads the one wattveil URI of a certificate.
func NameOf(cert *x509.Certificate) (Name, error) {
	if len(cert.URIs) != 1 {
		return Name{}, fmt.Errorf("certificate names %d URIs, want one wattveil://ORG/ROLE", len(cert.URIs))
	}
	return ParseName(cert.URIs[0].String())
}
