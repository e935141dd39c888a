package monitor_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/wattveil/wattveil/internal/monitor"
	"github.com/wattveil/wattveil/peer"
)

func get(t *testing.T, m *monitor.Monitor, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w.Code, w.Body.String()
}

func TestHandler(t *testing.T) {
	notReady := errors.New("no TTP is enrolled")
	m := monitor.New("utility", func(context.Context) error { return notReady })
	m.Refused(peer.ErrRevoked)
	m.Refused(peer.ErrRevoked)
	m.BatchTook(20 * time.Millisecond)
	queued := 3.0
	m.Add("utility", func() []monitor.Sample {
		return []monitor.Sample{
			{Name: "queue_frames", Help: "Frames.", Value: queued},
			{Name: "verdicts_total", Help: "Verdicts.", Counter: true, Label: "verdict", Of: "durable", Value: 7},
			{Name: "verdicts_total", Help: "Verdicts.", Counter: true, Label: "verdict", Of: "later", Value: 1},
		}
	})
	queued = 4
	code, text := get(t, m, "/metrics")
	for _, want := range []string{
		`wattveil_peer_refusals_total{class="revoked",role="utility"} 2`,
		`wattveil_batch_seconds_count{role="utility"} 1`,
		`wattveil_queue_frames{role="utility"} 4`,
		`wattveil_verdicts_total{role="utility",verdict="durable"} 7`,
		"# TYPE wattveil_verdicts_total counter", "go_goroutines",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("/metrics misses %q", want)
		}
	}
	if code != 200 {
		t.Errorf("/metrics: %d", code)
	}
	if code, text := get(t, m, "/healthz"); code != 200 || text != "ok\n" {
		t.Errorf("/healthz: %d %q", code, text)
	}
	if code, text := get(t, m, "/readyz"); code != 503 || text != "no TTP is enrolled\n" {
		t.Errorf("/readyz: %d %q", code, text)
	}
	notReady = nil
	if code, text := get(t, m, "/readyz"); code != 200 || text != "ready\n" {
		t.Errorf("/readyz: %d %q", code, text)
	}
	if code, _ := get(t, m, "/else"); code != 404 {
		t.Errorf("/else: %d", code)
	}
}

func TestCheckAddress(t *testing.T) {
	for address, ok := range map[string]bool{
		"127.0.0.1:9440": true, "localhost:0": true, "[::1]:9440": true, "127.1.2.3:1": true,
		":9440": false, "0.0.0.0:9440": false, "192.0.2.1:9440": false, "example.com:9440": false, "9440": false, "": false,
	} {
		if err := monitor.CheckAddress(address); (err == nil) != ok {
			t.Errorf("%q: %v", address, err)
		}
	}
}
