package main

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wattveil/wattveil/peer"
	"github.com/wattveil/wattveil/utility/api"
)

// age replaces the certificate in a folder by one of the same key that is in
// force for so long already, and tells when it ends.
func (w *world) age(dir string, a *peer.Authority, by time.Duration) time.Time {
	w.Helper()
	id, err := peer.LoadIdentity(dir, serverIdentity)
	if err != nil {
		w.Fatal(err)
	}
	if err := id.Recertify(a, time.Now().Add(-by)); err != nil {
		w.Fatal(err)
	}
	if err := id.Save(dir, serverIdentity); err != nil {
		w.Fatal(err)
	}
	return id.Certificate().NotAfter
}

// expires is when the server's certificate ends, by its metrics.
func (s *serving) expires() int64 {
	role := filepath.Base(s.dir)
	if role, _, _ = strings.Cut(role, "-"); role != "ttp" && role != "utility" {
		role = "collector"
	}
	return int64(s.metric(`wattveil_certificate_expires_seconds{role="` + role + `"}`))
}

// shown is the end of the certificate that a site shows to who calls.
func (w *world) shown(s *site) int64 {
	w.Helper()
	conn, err := tls.Dial("tcp", s.listen, &tls.Config{InsecureSkipVerify: true}) // what it shows is what is asked
	if err != nil {
		w.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	return conn.ConnectionState().PeerCertificates[0].NotAfter.Unix()
}

const day = 24 * time.Hour

// metered is a platform with a meter whose readings go on.
type metered struct {
	*world
	ttp, utility *site
	collector    *serving
}

func meter(t *testing.T, scheme string, prepare func(m *metered, collectorDir string)) *metered {
	t.Helper()
	w := newWorld(t)
	m := &metered{world: w, ttp: w.ttp("ttp-first")}
	m.utility = w.utility("utility-a", nil, m.ttp)
	dir, _ := w.collectorOver(m.utility, "north", scheme)
	prepare(m, dir)
	m.collector = w.serveCollector(dir)
	w.meters(m.utility, "field", 1, nil, []string{"--source", "sim", "--resolution", "1s"})
	m.flows("at first")
	return m
}

// flows waits until more readings have become durable.
func (m *metered) flows(when string) {
	m.Helper()
	const series = `wattveil_readings_total{role="ttp"}`
	before := m.ttp.metric(series)
	m.wait("readings flow "+when, func() bool { return m.ttp.metric(series) > before+1 })
}

// TestCertificatesAreRenewed has certificates of all servers be due: each is
// renewed while readings flow, the collector's by its utility, and kept. New
// files are taken without a restart.
func TestCertificatesAreRenewed(t *testing.T) {
	m := meter(t, "mqtt", func(m *metered, collector string) {
		m.ttp.stop()
		m.utility.stop()
		m.age(m.ttp.dir, m.authority(m.ttp), 80*day)
		m.age(m.utility.dir, m.authority(m.utility), 80*day)
		m.age(collector, m.authority(m.utility), 80*day)
		m.ttp.serving, m.utility.serving = m.serveTTP(m.ttp.name), m.serveUtility(m.utility.name, nil)
	})
	fresh := time.Now().Add(80 * day).Unix()
	for _, s := range []*serving{m.ttp.serving, m.utility.serving, m.collector} {
		m.wait("renewed: "+s.dir, func() bool { return s.expires() > fresh })
		m.wait("kept: "+s.dir, func() bool {
			id, err := peer.LoadIdentity(s.dir, serverIdentity)
			return err == nil && id.Certificate().NotAfter.Unix() == s.expires()
		})
	}
	m.flows("after the renewal")
	ends := make(map[*serving]int64)
	for s, a := range map[*serving]*site{m.ttp.serving: m.ttp, m.utility.serving: m.utility, m.collector: m.utility} {
		ends[s] = m.age(s.dir, m.authority(a), day).Unix() // files of an operator's
	}
	for s, end := range ends {
		m.wait("reloaded: "+s.dir, func() bool { return s.expires() == end })
	}
	for _, s := range []*site{m.ttp, m.utility} {
		if at := m.shown(s); at != ends[s.serving] {
			t.Errorf("%s shows a certificate until %d, want %d", s.name, at, ends[s.serving])
		}
	}
	m.flows("after the reload")

	// The TTP's key is issued anew, and the meter's session goes on.
	serial := func() uint32 {
		return decodeLines[api.Status](m.world, m.do("utility", "status", "--json", "--dir", m.utility.dir))[0].TTPs[0].Serial
	}
	before := serial()
	said := decodeLines[api.TTP](m.world, m.do("utility", "enrol", "--json", "--dir", m.utility.dir))
	if len(said) != 1 || !said[0].Enrolled || said[0].Name != "wattveil://ttp-first/ttp" {
		t.Errorf("enrol says %+v", said)
	}
	if after := serial(); after <= before {
		t.Errorf("serial %d of the TTP's key after %d", after, before)
	}
	m.flows("after the TTP's key was renewed")
	for _, s := range []*site{m.ttp, m.utility} {
		if n := s.refusals("untrusted") - 1; n != 0 || s.refusals("expired") != 0 { // the one is of shown, which has no certificate
			t.Errorf("%s has refused %d and %d connections on the way", s.name, n, s.refusals("expired"))
		}
	}
}

// TestAuthoritiesChange has utility and TTP go over to their next authorities
// as --help says, while the readings of a meter over TLS flow, which is not told.
func TestAuthoritiesChange(t *testing.T) {
	m := meter(t, "mqtts", func(*metered, string) {})
	print := func(s *site, role string) string {
		file := m.path(s.name + ".crt")
		if err := os.WriteFile(file, []byte(m.do(role, "authority", "--dir", s.dir)), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	pin := func() { // as the three operators do
		of := map[string]string{"utility": print(m.utility, "utility"), "ttp": print(m.ttp, "ttp")}
		m.do("ttp", "peer", "add", "--ca", of["utility"], "--name", "wattveil://utility-a/utility", "--dir", m.ttp.dir)
		m.do("utility", "peer", "add", "--ca", of["ttp"], "--name", "wattveil://ttp-first/ttp", "--url", m.ttp.url, "--dir", m.utility.dir)
		loaded := strings.Count(m.collector.logs.String(), "authorities of the utility loaded")
		m.do("collector", "peer", "add", "--ca", of["utility"], "--dir", m.collector.dir)
		m.wait("the collector pins", func() bool {
			return strings.Count(m.collector.logs.String(), "authorities of the utility loaded") > loaded
		})
	}
	before := m.authority(m.utility)
	m.do("utility", "authority", "next", "--dir", m.utility.dir)
	m.do("ttp", "authority", "next", "--dir", m.ttp.dir)
	if _, err := try("ttp", "authority", "next", "--dir", m.ttp.dir); err == nil {
		t.Error("a second next authority was prepared")
	}
	pin()
	m.flows("while both are pinned")
	if _, err := try("utility", "authority", "switch", "--dir", m.utility.dir); err == nil {
		t.Error("the authority was switched under a running server")
	}
	m.utility.stop()
	m.ttp.stop()
	m.do("utility", "authority", "switch", "--dir", m.utility.dir)
	m.do("ttp", "authority", "switch", "--dir", m.ttp.dir)
	m.ttp.serving, m.utility.serving = m.serveTTP(m.ttp.name), m.serveUtility(m.utility.name, nil)
	m.flows("after the switch")
	m.wait("the collector has a certificate of the next authority", func() bool {
		id, err := peer.LoadIdentity(m.collector.dir, serverIdentity)
		return err == nil && id.Certificate().CheckSignatureFrom(m.authority(m.utility).Certificate) == nil
	})
	m.collector.stop()
	m.collector = m.serveCollector(m.collector.dir)
	m.flows("from a meter that connects again and knows the former authority alone")
	m.meters(m.utility, "later", 1, nil, []string{"--source", "sim", "--resolution", "1s"})
	later := m.ids("later")[0]
	m.wait("a meter that is provisioned after the switch is heard of", func() bool {
		_, err := try("utility", "meter", "ping", later, "--dir", m.utility.dir)
		return err == nil
	})
	pin() // the former ones are forgotten
	m.flows("with the next ones alone")
	m.do("utility", "enrol", "--dir", m.utility.dir)
	m.flows("after an enrolment under them")
	if m.authority(m.utility).Certificate.Equal(before.Certificate) {
		t.Error("the utility's authority is the one before")
	}
	id, err := peer.LoadIdentity(m.utility.dir, serverIdentity)
	if err != nil {
		t.Fatal(err)
	}
	b := &besieged{world: m.world}
	stolen := b.issue(before, id.Name, time.Now())
	if _, err := b.client(m.ttp, stolen).Do(t.Context(), "GET", "/v1/bill-keys", nil); err == nil {
		t.Error("the TTP takes a certificate of the forgotten authority")
	}
}
