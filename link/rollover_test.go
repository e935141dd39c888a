package link_test

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/link"
	"github.com/wattveil/wattveil/link/broker"
	"github.com/wattveil/wattveil/peer"
)

// successive are authorities of an organisation, each the next of the one
// before, and each as it was while it was in office.
func successive(t *testing.T, n int) (list []*peer.Authority, dir string) {
	t.Helper()
	dir = t.TempDir()
	must(t, authority(t, org).Save(dir))
	for i := range n {
		if i > 0 {
			must(t, peer.PrepareAuthority(dir, org, began()))
			must(t, peer.SwitchAuthority(dir))
		}
		a, err := peer.LoadAuthority(dir)
		must(t, err)
		list = append(list, a)
	}
	return list, dir
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// connects waits until a client is connected.
func connects(t *testing.T, c *link.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	must(t, c.Await(ctx))
}

// After its utility has gone over to other authorities a meter connects that
// knows an older one alone, and one that knows the present one; not one that
// knows another organisation's.
func TestTLSAfterRollover(t *testing.T) {
	list, _ := successive(t, 3)
	var k taker
	id := identity(t, list[2], north())
	address := "mqtts://" + serveTLS(t, listen(t, "127.0.0.1:0"), &k, id)
	for i, known := range list {
		for what, now := range map[string]time.Time{"on time": time.Now(), "without a clock": time.Unix(0, 0)} {
			t.Logf("meter of authority %d, %s", i, what)
			connects(t, dialTLS(t, link.Config{
				Brokers: []string{address}, Authority: known.Certificate, Now: func() time.Time { return now },
			}))
		}
	}
	stranger := dialTLS(t, link.Config{Brokers: []string{address}, Authority: authority(t, org).Certificate})
	if got := refusal(t, stranger); !strings.Contains(got, "not from the authority") {
		t.Errorf("an authority of the same name: %s", got)
	}
}

// cross certifies the key of an authority with that of the folder's first.
func cross(t *testing.T, dir string, by, of *peer.Authority, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	key, err := peer.LoadKey(filepath.Join(dir, "authority.key"))
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: of.Certificate.Subject,
		NotBefore: began().Add(-time.Hour), NotAfter: began().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
		SubjectKeyId: of.Certificate.SubjectKeyId, AuthorityKeyId: by.Certificate.SubjectKeyId,
	}
	change(template)
	der, err := x509.CreateCertificate(rand.Reader, template, by.Certificate, of.Certificate.PublicKey, key)
	must(t, err)
	c, err := x509.ParseCertificate(der)
	must(t, err)
	return c
}

// A meter that knows the authority before refuses what it did not vouch for.
func TestTLSRefusesCross(t *testing.T) {
	_, dir := successive(t, 1)
	own, err := peer.LoadAuthority(dir)
	must(t, err)
	next, foreign, other := authority(t, org), authority(t, org), authority(t, "other.example")
	strangers, strangersDir := successive(t, 1)
	asIs := func(*x509.Certificate) {}
	for name, test := range map[string]struct {
		shown []*x509.Certificate
		good  bool
		by    *peer.Authority // of the collector's certificate; next if nil
	}{
		"good":                     {[]*x509.Certificate{cross(t, dir, own, next, asIs)}, true, nil},
		"behind another one":       {[]*x509.Certificate{foreign.Certificate, cross(t, dir, own, next, asIs)}, true, nil},
		"none":                     {nil, false, nil},
		"the next authority's own": {[]*x509.Certificate{next.Certificate}, false, nil},
		"of another key":           {[]*x509.Certificate{cross(t, dir, own, foreign, asIs)}, false, nil},
		"by another authority":     {[]*x509.Certificate{cross(t, strangersDir, strangers[0], next, asIs)}, false, nil},
		"expired":                  {[]*x509.Certificate{cross(t, dir, own, next, func(c *x509.Certificate) { c.NotAfter = began().Add(-time.Minute) })}, false, nil},
		"not an authority's":       {[]*x509.Certificate{cross(t, dir, own, next, func(c *x509.Certificate) { c.IsCA, c.MaxPathLenZero = false, false })}, false, nil},
		"of another organisation":  {[]*x509.Certificate{cross(t, dir, own, other, asIs)}, false, other},
		"the fifth certificate": {[]*x509.Certificate{foreign.Certificate, foreign.Certificate, foreign.Certificate,
			cross(t, dir, own, next, asIs)}, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if test.by == nil {
				test.by = next
			}
			c := dialTLS(t, link.Config{Brokers: []string{"mqtts://" + serveChain(t, test.by, test.shown)}, Authority: own.Certificate})
			if test.good {
				connects(t, c)
			} else if got := refusal(t, c); !strings.Contains(got, "not from the authority") {
				t.Errorf("refused with %q", got)
			}
		})
	}
}

// serveChain serves a collector's certificate by an authority, with others
// behind it as they are, and gives the address.
func serveChain(t *testing.T, a *peer.Authority, behind []*x509.Certificate) string {
	t.Helper()
	dir := t.TempDir()
	must(t, identity(t, a, north()).Save(dir, "server"))
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "server.crt"), filepath.Join(dir, "server.key"))
	must(t, err)
	for _, c := range behind {
		pair.Certificate = append(pair.Certificate, c.Raw)
	}
	l := listen(t, "127.0.0.1:0")
	b, err := broker.Serve(l, broker.Config{
		Authenticate: func(id wattveil.MeterID, p string) bool { return id == meter && p == password },
		Receive:      new(taker).receive,
		TLS:          &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}},
	})
	must(t, err)
	t.Cleanup(func() { _ = b.Close() })
	return l.Addr().String()
}
