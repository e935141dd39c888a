package peer_test

import (
	"crypto/tls"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wattveil/wattveil/peer"
)

// dialTLS connects with an identity's certificate, but without HTTP.
func dialTLS(t *testing.T, s *site, id *peer.Identity) *tls.Conn {
	t.Helper()
	dir := t.TempDir()
	if err := id.Save(dir, "client"); err != nil {
		t.Fatal(err)
	}
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "client.crt"), filepath.Join(dir, "client.key"))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := tls.Dial("tcp", strings.TrimPrefix(s.url, "https://"), &tls.Config{
		InsecureSkipVerify: true, // the server is not what is tested
		Certificates:       []tls.Certificate{cert},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}
