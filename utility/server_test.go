package utility

import (
	"bytes"
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/wattveil/wattveil/peer"
	"github.com/wattveil/wattveil/wire"
)

// listen serves the utility on 127.0.0.1 and gives its URL.
func (r *rig) listen() string {
	r.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(r.t, err)
	go func() { _ = r.Server().Serve(l) }() // ends with the server
	r.t.Cleanup(func() { _ = r.Server().Close() })
	return "https://" + l.Addr().String()
}

func (r *rig) client(url string, id *peer.Identity) *peer.Client {
	trust := peer.NewTrust()
	trust.Pin(utilityOrg, peer.RoleUtility, r.authority.Certificate)
	client := peer.NewClient(peer.ClientConfig{
		Identity: id, Trust: trust, Server: peer.Name{Org: utilityOrg, Role: peer.RoleUtility}, URL: url, Now: r.clock.Now,
	})
	r.t.Cleanup(client.Close)
	return client
}

// ask returns the answer, or the class refused with.
func ask(t *testing.T, client *peer.Client, method, path string, body []byte) ([]byte, wire.Class) {
	t.Helper()
	answer, err := client.Do(t.Context(), method, path, body)
	var refusal *peer.Refusal
	if errors.As(err, &refusal) {
		return nil, refusal.Class
	}
	must(t, err)
	return answer, ""
}

func TestCollectorOverTLS(t *testing.T) {
	r := newRig(t, nil)
	must(t, r.EnrolTTP(t.Context()))
	url := r.listen()
	id, err := r.AddCollector(t.Context(), "a")
	must(t, err)
	client := r.client(url, id)
	m := r.meters(1)[0]
	body, class := ask(t, client, "POST", "/v1/forward", forwardBody(10, 0, m.data(1, 0)))
	answer, err := wire.ParseForwardAnswer(body, 1)
	if err != nil || class != "" || answer.Verdicts[0] != wire.Durable || len(answer.Changes) != 1 {
		t.Fatalf("%v, %v, %q", answer.Verdicts, err, class)
	}

	for name, tt := range map[string]struct {
		method, path string
		body         []byte
		want         wire.Class
	}{
		"garbage":          {"POST", "/v1/forward", []byte("garbage"), wire.Malformed},
		"empty":            {"POST", "/v1/forward", nil, wire.Malformed},
		"oversized":        {"POST", "/v1/forward", make([]byte, wire.MaxBody+1), "oversized"},
		"no request":       {"POST", "/v1/certificate", []byte("garbage"), wire.Malformed},
		"an unknown route": {"GET", "/v1/forward", nil, "no-route"},
	} {
		if _, class := ask(t, client, tt.method, tt.path, tt.body); class != tt.want {
			t.Errorf("%s: class %q, want %q", name, class, tt.want)
		}
	}
	must(t, r.db.Close())
	if _, class := ask(t, client, "POST", "/v1/forward", forwardBody(11, 0)); class != wire.Unavailable {
		t.Errorf("without its registry: %q", class)
	}
	r.open()
	if strings.Contains(r.log.String(), "127.0.0.1") {
		t.Error("the log holds a network address")
	}
}

// A certificate is renewed for the collector's own key, under the name of the
// connection.
func TestCertificateRenewal(t *testing.T) {
	r := enrolled(t)
	url := r.listen()
	id, err := r.AddCollector(t.Context(), "a")
	must(t, err)
	other, err := r.AddCollector(t.Context(), "b")
	must(t, err)
	client := r.client(url, id)
	r.clock.add(peer.CertificateLifetime * 3 / 4)
	if !id.Due(r.clock.Now()) {
		t.Fatal("the certificate is not due")
	}
	must(t, r.identity.Renew(r.authority, r.clock.Now()))
	request, err := id.Request()
	must(t, err)
	der, class := ask(t, client, "POST", "/v1/certificate", request)
	if class != "" {
		t.Fatal(class)
	}
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	must(t, id.Replace(cert))
	if name, err := peer.NameOf(cert); err != nil || name != id.Name || id.Due(r.clock.Now()) {
		t.Errorf("certificate of %v, %v", name, err)
	}
	if _, class := ask(t, client, "POST", "/v1/forward", forwardBody(1, 0)[:5]); class != wire.Malformed {
		t.Errorf("with the new certificate: %q", class)
	}

	foreign, err := other.Request()
	must(t, err)
	if _, class := ask(t, client, "POST", "/v1/certificate", foreign); class != wire.Rebound {
		t.Errorf("for another collector's key: %q", class)
	}
	forged := bytes.Clone(request)
	forged[len(forged)-1] ^= 1
	if _, class := ask(t, client, "POST", "/v1/certificate", forged); class != wire.Malformed {
		t.Errorf("with a signature that does not fit: %q", class)
	}
}

// Under another authority a collector gets, behind its certificate, what the
// authority before says of it.
func TestCertificateByTheNextAuthority(t *testing.T) {
	r := enrolled(t)
	url := r.listen()
	id, err := r.AddCollector(t.Context(), "a")
	must(t, err)
	client := r.client(url, id)
	dir := t.TempDir()
	must(t, errors.Join(r.authority.Save(dir), peer.PrepareAuthority(dir, utilityOrg, start), peer.SwitchAuthority(dir)))
	next, err := peer.LoadAuthority(dir)
	must(t, err)
	*r.authority = *next
	request, err := id.Request()
	must(t, err)
	der, class := ask(t, client, "POST", "/v1/certificate", request)
	if class != "" {
		t.Fatal(class)
	}
	list, err := x509.ParseCertificates(der)
	must(t, err)
	if len(list) != 2 || list[0].CheckSignatureFrom(list[1]) != nil || list[1].CheckSignatureFrom(next.Former) != nil {
		t.Errorf("%d certificates, want its own and one of its authority by the one before", len(list))
	}
}

// Only collectors that the utility added may post.
func TestWhoMayPost(t *testing.T) {
	r := enrolled(t, "a")
	url := r.listen()
	stranger, err := peer.NewAuthority("other.example", start)
	must(t, err)
	for _, tt := range []struct {
		name      string
		authority *peer.Authority
		as        peer.Name
	}{
		{"a collector of another organisation", stranger, peer.Name{Org: "other.example", Role: peer.RoleCollector, Instance: "a"}},
		{"a collector by another's authority", stranger, peer.Name{Org: utilityOrg, Role: peer.RoleCollector, Instance: "a"}},
		{"a collector that was not added", r.authority, peer.Name{Org: utilityOrg, Role: peer.RoleCollector, Instance: "b"}},
		{"a collector with another key", r.authority, peer.Name{Org: utilityOrg, Role: peer.RoleCollector, Instance: "a"}},
		{"no collector", r.authority, peer.Name{Org: utilityOrg, Role: peer.RoleUtility}},
	} {
		id, err := peer.NewIdentity(tt.authority, tt.as, nil, start)
		must(t, err)
		if _, err := r.client(url, id).Do(t.Context(), "POST", "/v1/forward", forwardBody(1, 0)); err == nil {
			t.Errorf("%s may post", tt.name)
		}
	}
	r.pool.mu.Lock()
	defer r.pool.mu.Unlock()
	if r.pool.open != nil || r.pool.sent != 0 {
		t.Error("a stranger's post opened a round")
	}
}
