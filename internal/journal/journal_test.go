package journal_test

import (
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/internal/journal"
)

func TestClean(t *testing.T) {
	hex := strings.Repeat("0123456789abcdef", 2)
	for text, want := range map[string]string{
		"read tcp 192.0.2.7:99->10.0.0.1:8440: timeout":                   "read tcp [address]->[address]: timeout",
		"dial tcp [2001:db8::1]:8440: refused":                            "dial tcp [address]: refused",
		"from 2001:db8:0:1:2:3:4:5 again":                                 "from [address] again",
		"meter 0123456789abcdef refused":                                  "meter 0123456789abcdef refused",
		"password " + hex + " wrong":                                      "password [key] wrong",
		"bill eyJhbGciOiJFZERTQSIsImtpZCI6.eyJ.abc-_ odd":                 "bill [document] odd",
		"a -----BEGIN PRIVATE KEY-----\nMIG\n-----END PRIVATE KEY----- b": "a [key] b",
		"at 12:30:45 on 2018-11-03, took 1.5s":                            "at 12:30:45 on 2018-11-03, took 1.5s",
		"POST /v1/forward at wattveil://uc/utility: EOF":                  "POST /v1/forward at wattveil://uc/utility: EOF",
		"": "",
	} {
		if got := journal.Clean(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

func TestLog(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		var b strings.Builder
		log, err := journal.New(&b, journal.Options{Format: format, Level: "info"})
		if err != nil {
			t.Fatal(err)
		}
		op := &net.OpError{Op: "read", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 9}, Err: errors.New("timeout")}
		log.With("peer", "192.0.2.8:1").WithGroup("g").Warn("went to 192.0.2.9", "error", op, "raw", []byte("secret"),
			"meter", wattveil.MeterID(0xabc), "reading", wattveil.Wh(123456), "at", op.Addr)
		log.Debug("too fine")
		text := b.String()
		for _, not := range []string{"192.0.2", "secret", "123456", "too fine"} {
			if strings.Contains(text, not) {
				t.Errorf("%s: the log has %q: %s", format, not, text)
			}
		}
		for _, want := range []string{"[address]", "timeout", "[6 bytes]", "0000000000000abc", "WARN"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: the log misses %q: %s", format, want, text)
			}
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for _, o := range []journal.Options{{"xml", "info"}, {"text", "loud"}, {}} {
		if _, err := journal.New(new(strings.Builder), o); err == nil {
			t.Errorf("%+v: no error", o)
		}
	}
}
