package main

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/wattveil/wattveil/internal/field"
	"github.com/wattveil/wattveil/peer"
)

// portalFiles writes a certificate for a portal, as whoever runs one has it from
// an authority that browsers know.
func (w *world) portalFiles(a *peer.Authority) (certificate, key string) {
	w.Helper()
	id, err := peer.NewIdentity(a, peer.Name{Org: "portal", Role: peer.RoleTTP}, []string{"portal.example"}, time.Now())
	if err != nil {
		w.Fatal(err)
	}
	if err := id.Save(w.dir, "portal"); err != nil {
		w.Fatal(err)
	}
	return w.path("portal.crt"), w.path("portal.key")
}

// A portal by itself speaks TLS for its own name, takes a renewed certificate
// without a restart, and ends with its server.
func TestServePortal(t *testing.T) {
	w := newWorld(t)
	authority, err := peer.NewAuthority("portal", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	certificate, key := w.portalFiles(authority)
	listen := "127.0.0.1:" + field.FreePorts(t, 1)[0]
	site := w.ttp("ttp-first", "--portal-listen", listen, "--portal-url", "https://portal.example",
		"--portal-certificate", certificate, "--portal-key", key)
	if !strings.Contains(site.out.String(), "serving consumers on "+listen) {
		t.Errorf("the server says %q", site.out.String())
	}
	pool := x509.NewCertPool()
	pool.AddCert(authority.Certificate)
	serial := func() string {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "portal.example"}, DisableKeepAlives: true}}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+listen+"/about", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = "portal.example"
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusOK || answer.Header.Get("Strict-Transport-Security") == "" {
			t.Errorf("status %d, transport security %q", answer.StatusCode, answer.Header.Get("Strict-Transport-Security"))
		}
		return answer.TLS.PeerCertificates[0].SerialNumber.String()
	}
	first := serial()
	w.portalFiles(authority)
	later := time.Now().Add(time.Minute) // as files of another time
	if err := os.Chtimes(certificate, later, later); err != nil {
		t.Fatal(err)
	}
	w.wait("the renewed certificate is served", func() bool { return serial() != first })
	if strings.Contains(site.logs.String(), "127.0.0.1") {
		t.Error("the log has an address")
	}
}
