package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// says waits until a server says why it is not ready, or that it is.
func (s *serving) says(code int, text string) {
	s.world.Helper()
	var last string
	defer func() {
		if s.world.Failed() {
			s.world.Logf("/readyz of %s: %s", s.dir, last)
		}
	}()
	s.world.wait(text, func() bool {
		have, body := s.get("/readyz")
		last = body
		return have == code && strings.Contains(body, text)
	})
	if code, body := s.get("/healthz"); code != 200 || body != "ok\n" {
		s.world.Errorf("/healthz of %s: %d %q", s.dir, code, body)
	}
}

// TestReadiness takes away what each party needs, and gives it.
func TestReadiness(t *testing.T) {
	w := newWorld(t)
	trust := w.ttp("ttp-first")
	trust.says(200, "ready")
	u := w.utility("utility-a", nil)
	u.says(503, "no TTP is known: run wattveil utility peer add")
	w.introduce(u, trust)
	u.says(503, "a TTP is not enrolled: run wattveil utility enrol")
	w.do("utility", "enrol", "--dir", u.dir)
	u.says(200, "ready")
	dir, _ := w.collector(u, "north")
	u.stop()
	c := w.serveCollector(dir)
	c.says(503, "the utility has not answered yet")
	u.serving = w.serveUtility(u.name, nil)
	c.says(200, "ready")
	u.says(200, "ready")
}

// TestReadinessOfADisk fills the disk of a server that has nothing to do.
func TestReadinessOfADisk(t *testing.T) {
	w := newWorld(t)
	dir := w.path("utility-a")
	w.disk(dir, "4m")
	trust := w.ttp("ttp-first")
	u := w.utility("utility-a", nil, trust)
	u.says(200, "ready")
	filler, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = filler.Close() }) // or its disk stays
	for block := make([]byte, 4096); err == nil; {
		_, err = filler.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	u.says(503, "make room on its disk")
	if err := errors.Join(filler.Close(), os.Remove(filler.Name())); err != nil {
		t.Fatal(err)
	}
	u.says(200, "ready")
	u.stop() // before its disk goes
}

// TestServeTwice serves a folder that is served, and an address that is taken.
func TestServeTwice(t *testing.T) {
	w := newWorld(t)
	trust := w.ttp("ttp-first")
	u := w.utility("utility-a", nil, trust)
	collector, address := w.collector(u, "north")
	w.serveCollector(collector)
	w.do("ttp", "init", "--dir", w.path("ttp-second"), "--name", "ttp-second", "--listen", trust.listen, "--metrics", "")
	w.do("utility", "init", "--dir", w.path("utility-b"), "--name", "utility-b", "--listen", u.listen, "--metrics", "")
	w.do("utility", "collector", "add", "south", "--out", w.path("south.json"), "--dir", u.dir)
	w.do("collector", "init", "--dir", w.path("south"), "--from", w.path("south.json"), "--listen", address, "--metrics", "")
	for dir, want := range map[string]string{
		trust.dir:            "a server runs in folder " + trust.dir + " already",
		u.dir:                "a server runs in folder " + u.dir + " already",
		collector:            "a server runs in folder " + collector + " already",
		w.path("ttp-second"): "listen for utilities: listen tcp " + trust.listen + ": bind: address already in use; is another process using the address?",
		w.path("utility-b"):  "listen for collectors: listen tcp " + u.listen + ": bind: address already in use; is another process using the address?",
		w.path("south"):      "listen for meters: listen tcp " + address + ": bind: address already in use; is another process using the address?",
	} {
		role, _, _ := strings.Cut(filepath.Base(dir), "-")
		if role != "ttp" && role != "utility" {
			role = "collector"
		}
		if _, err := try(role, "serve", "--dir", dir); err == nil || err.Error() != want {
			t.Errorf("serve %s: %v, want %s", dir, err, want)
		}
	}
	w.do("utility", "status", "--dir", w.path("utility-b")) // which is as it was
	trust.says(200, "ready")
	u.says(200, "ready")
}
