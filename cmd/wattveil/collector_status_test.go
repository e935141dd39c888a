package main

import (
	"strings"
	"testing"
	"time"

	"github.com/wattveil/wattveil/collector/api"
)

// collectorStatus is what the command says in JSON.
func (w *world) collectorStatus(dir string) api.Status {
	w.Helper()
	return decodeLines[api.Status](w, w.do("collector", "status", "--json", "--dir", dir))[0]
}

// TestCollectorStatus asks a collector that has not run, one that works, one
// whose utility is away, and one that was ended with frames in its queue.
func TestCollectorStatus(t *testing.T) {
	w := newWorld(t)
	u := w.utility("utility-a", nil, w.ttp("ttp-first"))
	dir, _ := w.collector(u, "north")
	if s := w.collectorStatus(dir); s.Name != "wattveil://utility-a/collector/north" || s.Running || s.Started != nil || s.Queued != 0 || s.Oldest != nil || s.LastPost != nil ||
		time.Until(s.CertificateExpires) < 80*day {
		t.Errorf("before it has run: %+v", s)
	}
	c := w.serveCollector(dir)
	w.meters(u, "field", 1, nil, []string{"--source", "sim", "--resolution", "1s"})
	w.wait("it works", func() bool {
		s := w.collectorStatus(dir)
		return s.Running && s.Started != nil && s.Connected == 1 && s.Roster == 1 && s.Verdicts["durable"] > 3 && s.LastPost != nil && s.FailedPosts == 0
	})
	if text := w.do("collector", "status", "--dir", dir); !strings.Contains(text, "1 connected, 1 may connect") || strings.Contains(text, "no server runs") || !strings.Contains(text, " since the start\n") {
		t.Errorf("for a person:\n%s", text)
	}
	s := w.socket(dir)
	calls := []asked{
		{"GET", "/v1/status", "", 200, `"roster":1`},
		{"GET", "/v1/status?colour=red", "", 422, "unknown query parameter"},
		{"GET", "/v1/nothing", "", 404, noBody},
	}
	s.check(calls)
	s.covered("collector.json", calls)

	u.stop()
	w.wait("frames wait", func() bool {
		s := w.collectorStatus(dir)
		return s.Queued > 2 && s.QueuedBytes > 0 && s.Oldest != nil && s.FailedPosts > 0
	})
	if _, err := try("collector", "serve", "--dir", dir); err == nil || !strings.Contains(err.Error(), "runs in folder") {
		t.Errorf("a second server: %v", err)
	}
	c.stop()
	if s := w.collectorStatus(dir); s.Queued < 3 || s.Oldest == nil || s.Connected != 0 || s.Roster != 1 {
		t.Errorf("after it was ended: %+v", s)
	}
	if text := w.do("collector", "status", "--dir", dir); !strings.Contains(text, "the oldest of ") {
		t.Errorf("for a person:\n%s", text)
	}
}
