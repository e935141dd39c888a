package peer_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wattveil/wattveil/peer"
	"github.com/wattveil/wattveil/wire"
)

func TestDue(t *testing.T) {
	a := authority(t, "waterford")
	id := identity(t, a, utility, start)
	two := 2 * peer.CertificateLifetime / 3
	for _, test := range []struct {
		at   time.Duration
		want bool
	}{
		{0, false}, {two - 10*time.Minute, false}, {two + time.Minute, true}, {peer.CertificateLifetime + time.Hour, true},
	} {
		if got := id.Due(start.Add(test.at)); got != test.want {
			t.Errorf("due after %v: %v", test.at, got)
		}
	}
}

// TestRenewWhileServing: a server that renews its certificate goes on, for
// clients whose clock is past the old one's end, and a client likewise.
func TestRenewWhileServing(t *testing.T) {
	s := newSite(t)
	id := identity(t, s.waterford, utility, start)
	call := func() error {
		c := s.client(t, id) // a new connection
		_, err := c.Do(t.Context(), "POST", "/v1/messages", []byte("hello"))
		return err
	}
	if err := call(); err != nil {
		t.Fatal(err)
	}
	due := start.Add(peer.CertificateLifetime - time.Hour)
	if err := s.server.Renew(s.trustee, due); err != nil {
		t.Fatal(err)
	}
	later := start.Add(peer.CertificateLifetime + time.Hour)
	s.clientClock.set(later)
	s.serverClock.set(later)
	if err := call(); err == nil {
		t.Fatal("an expired client is let in")
	}
	request, err := id.Request()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := s.waterford.IssueRequest(utility, request, due)
	if err != nil {
		t.Fatal(err)
	}
	if err := id.Replace(cert); err != nil {
		t.Fatal(err)
	}
	if err := call(); err != nil {
		t.Errorf("after both are renewed: %v", err)
	}
}

func TestRenewIsOnlyWhenDue(t *testing.T) {
	a := authority(t, "waterford")
	id := identity(t, a, utility, start)
	if err := id.Renew(a, start); err != nil || !id.Due(start.Add(61*24*time.Hour)) {
		t.Errorf("renewed early, %v", err)
	}
	if err := id.Renew(a, start.Add(61*24*time.Hour)); err != nil || id.Due(start.Add(61*24*time.Hour)) {
		t.Errorf("not renewed when due, %v", err)
	}
}

func TestReplaceRefuses(t *testing.T) {
	a := authority(t, "waterford")
	id := identity(t, a, utility, start)
	request, err := id.Request()
	if err != nil {
		t.Fatal(err)
	}
	anotherName, err := a.IssueRequest(collector, request, start)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	anotherKey, err := a.Issue(utility, key.Public(), nil, start)
	if err != nil {
		t.Fatal(err)
	}
	for name, cert := range map[string]*x509.Certificate{"another name": anotherName, "another key": anotherKey, "no name": a.Certificate} {
		if err := id.Replace(cert); err == nil {
			t.Errorf("%s: replaced", name)
		}
	}
}

func TestIssueRequestRefuses(t *testing.T) {
	a := authority(t, "waterford")
	request, err := identity(t, a, utility, start).Request()
	if err != nil {
		t.Fatal(err)
	}
	changed := append([]byte(nil), request...)
	changed[len(changed)-1] ^= 1 // of the signature
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	csr := func(key any) []byte {
		der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	for name, der := range map[string][]byte{
		"nothing": nil, "text": []byte("hello"), "cut": request[:len(request)-1], "changed": changed,
		"trailing bytes": append(append([]byte(nil), request...), 0), "P-384": csr(p384), "RSA": csr(rsaKey),
	} {
		if _, err := a.IssueRequest(utility, der, start); err == nil {
			t.Errorf("%s: issued", name)
		}
	}
	if _, err := a.IssueRequest(peer.Name{Org: "Water ford", Role: "utility"}, request, start); err == nil {
		t.Error("issued for a name that is none")
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	a := authority(t, "waterford")
	id := identity(t, a, utility, start)
	if err := a.Save(dir); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time over the first
		if err := id.Save(dir, "server"); err != nil {
			t.Fatal(err)
		}
	}
	for file, want := range map[string]os.FileMode{"authority.key": 0o600, "server.key": 0o600, "authority.crt": 0o644, "server.crt": 0o644} {
		if info, err := os.Stat(filepath.Join(dir, file)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want mode %o", file, info.Mode(), err, want)
		}
	}
	loaded, err := peer.LoadAuthority(dir)
	if err != nil || !loaded.Certificate.Equal(a.Certificate) {
		t.Fatalf("LoadAuthority: %v", err)
	}
	again, err := peer.LoadIdentity(dir, "server")
	if err != nil || again.Name != utility {
		t.Fatalf("LoadIdentity: %v", err)
	}
	if err := again.Renew(loaded, start.Add(89*24*time.Hour)); err != nil {
		t.Errorf("the loaded authority does not certify the loaded key: %v", err)
	}
}

func TestLoadRefuses(t *testing.T) {
	write := func(file, content string) func(string) error {
		return func(dir string) error { return os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600) }
	}
	for _, test := range []struct {
		name  string
		spoil func(dir string) error
		want  string
	}{
		{"key that others may read", func(dir string) error { return os.Chmod(filepath.Join(dir, "authority.key"), 0o640) }, "chmod 600"},
		{"no key", func(dir string) error { return os.Remove(filepath.Join(dir, "authority.key")) }, "no such file"},
		{"no certificate", func(dir string) error { return os.Remove(filepath.Join(dir, "authority.crt")) }, "no such file"},
		{"key that is none", write("authority.key", "hello"), "PEM"},
		{"key in another form", write("authority.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), "authority.key"},
		{"certificate that is none", write("authority.crt", ""), "PEM"},
		{"certificate that does not parse", write("authority.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "authority.crt"},
		{"certificate of another key", func(dir string) error {
			b, err := os.ReadFile(filepath.Join(dir, "other", "authority.crt"))
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, "authority.crt"), b, 0o600)
		}, "not for the key"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.Mkdir(filepath.Join(dir, "other"), 0o700); err != nil {
				t.Fatal(err)
			}
			for _, d := range []string{dir, filepath.Join(dir, "other")} {
				if err := authority(t, "waterford").Save(d); err != nil {
					t.Fatal(err)
				}
			}
			if err := test.spoil(dir); err != nil {
				t.Fatal(err)
			}
			_, err := peer.LoadAuthority(dir)
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), dir) {
				t.Errorf("LoadAuthority: %v, want %q and the path", err, test.want)
			}
		})
	}
}

func TestNames(t *testing.T) {
	for _, text := range []string{"wattveil://waterford/utility", "wattveil://waterford/collector/north", "wattveil://a.b-c.1/ttp"} {
		name, err := peer.ParseName(text)
		if err != nil || name.String() != text {
			t.Errorf("%s: %v, %v", text, name, err)
		}
	}
	for _, text := range []string{
		"", "waterford", "https://waterford/utility", "wattveil://waterford", "wattveil://waterford/", "wattveil:///utility",
		"wattveil://waterford/utility/", "wattveil://waterford/utility/a/b", "wattveil://WATERFORD/utility", "wattveil://water ford/utility",
		"wattveil://u@waterford/utility", "wattveil://waterford/utility?x", "wattveil://waterford/utility#x", "wattveil://waterford/%75tility",
		"wattveil://-waterford/utility", "wattveil://" + strings.Repeat("a", 64) + "/utility", "wattveil://waterford/utility\n",
	} {
		if name, err := peer.ParseName(text); err == nil {
			t.Errorf("%q is read as %v", text, name)
		}
	}
}

func TestVerifyIssued(t *testing.T) {
	a, other := authority(t, "waterford"), authority(t, "waterford")
	kgc := peer.Name{Org: "waterford", Role: peer.RoleKGC}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	issue := func(a *peer.Authority, name peer.Name) *x509.Certificate {
		cert, err := a.Issue(name, key.Public(), nil, start)
		if err != nil {
			t.Fatal(err)
		}
		return cert
	}
	trust := peer.NewTrust()
	trust.Pin("waterford", peer.RoleKGC, a.Certificate)
	if name, err := trust.VerifyIssued(issue(a, kgc), start); err != nil || name != kgc {
		t.Errorf("VerifyIssued: %v, %v", name, err)
	}
	for name, check := range map[string]func() (peer.Name, error){
		"foreign authority": func() (peer.Name, error) { return trust.VerifyIssued(issue(other, kgc), start) },
		"another role":      func() (peer.Name, error) { return trust.VerifyIssued(issue(a, utility), start) },
		"expired":           func() (peer.Name, error) { return trust.VerifyIssued(issue(a, kgc), start.Add(91*24*time.Hour)) },
		"not valid yet":     func() (peer.Name, error) { return trust.VerifyIssued(issue(a, kgc), start.Add(-time.Hour)) },
	} {
		if _, err := check(); err == nil {
			t.Errorf("%s: verified", name)
		}
	}
}

// TestNoRedirect: a client does not follow a server elsewhere.
func TestNoRedirect(t *testing.T) {
	s := newSite(t)
	elsewhere := 0
	c := peer.NewClient(peer.ClientConfig{
		Identity: identity(t, s.waterford, utility, start), Trust: s.clientTrust, Server: ttp, URL: s.url,
		Wrap: func(http.RoundTripper) http.RoundTripper {
			return roundTrip(func(*http.Request) (*http.Response, error) {
				elsewhere++
				return &http.Response{
					StatusCode: http.StatusTemporaryRedirect, Body: http.NoBody,
					Header: http.Header{"Location": {"https://192.0.2.1/"}},
				}, nil
			})
		},
	})
	if _, err := c.Do(context.Background(), "POST", "/v1/messages", nil); err == nil || elsewhere != 1 {
		t.Errorf("%d requests, %v", elsewhere, err)
	}
}

// TestRefusalIsAWord: what is not a class does not get into errors and logs.
func TestRefusalIsAWord(t *testing.T) {
	s := newSite(t)
	for body, want := range map[string]wire.Class{
		"forged\n": wire.Forged, "no-key": wire.NoKey, "": peer.Unavailable, "<html>": peer.Unavailable,
		"two words": peer.Unavailable, "Forged": peer.Unavailable, strings.Repeat("a", 33): peer.Unavailable,
		"\x1b[31m": peer.Unavailable,
	} {
		c := peer.NewClient(peer.ClientConfig{
			Identity: identity(t, s.waterford, utility, start), Trust: s.clientTrust, Server: ttp, URL: s.url,
			Wrap: func(http.RoundTripper) http.RoundTripper {
				return roundTrip(func(*http.Request) (*http.Response, error) {
					return &http.Response{StatusCode: 418, Body: io.NopCloser(strings.NewReader(body))}, nil
				})
			},
		})
		if status, class := refusal(t, c, "POST", "/", ""); status != 418 || class != want {
			t.Errorf("%q: %d %q, want %q", body, status, class, want)
		}
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
