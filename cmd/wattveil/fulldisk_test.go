package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wattveil/wattveil/utility/api"
)

// disk mounts a small disk of its own at a folder, which ends with the test.
func (w *world) disk(dir, size string) {
	w.Helper()
	if os.Geteuid() != 0 {
		w.Skip("only root can mount a small disk to fill")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		w.Fatal(err)
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size="+size, "tmpfs", dir).CombinedOutput(); err != nil {
		w.Skipf("no small disk can be mounted here: %v: %s", err, out)
	}
	w.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			w.Errorf("umount: %v: %s", err, out)
		}
	})
}

func (w *world) remount(dir, options string) {
	w.Helper()
	if out, err := exec.Command("mount", "-o", "remount,"+options, dir).CombinedOutput(); err != nil {
		w.Fatalf("remount: %v: %s", err, out)
	}
}

// TestInitOnAFullDisk has init run out of room, and be read-only. It leaves
// nothing that stops the next one.
func TestInitOnAFullDisk(t *testing.T) {
	w := newWorld(t)
	disk := w.path("disk")
	w.disk(disk, "32k")
	for _, role := range []string{"utility", "ttp"} {
		dir := filepath.Join(disk, role)
		_, err := try(role, "init", "--dir", dir, "--name", role, "--metrics", "")
		if err == nil || !strings.Contains(err.Error(), disk) {
			t.Errorf("%s on a full disk: %v, want what could not be written", role, err)
		}
		if left, err := os.ReadDir(dir); err == nil && len(left) > 0 {
			t.Errorf("%s has left %v", role, left)
		}
	}
	w.remount(disk, "size=64m")
	for _, role := range []string{"utility", "ttp"} {
		w.do(role, "init", "--dir", filepath.Join(disk, role), "--name", role, "--metrics", "")
	}
	w.remount(disk, "ro")
	for _, role := range []string{"utility", "ttp"} {
		_, err := try(role, "serve", "--dir", filepath.Join(disk, role))
		if err == nil || !strings.Contains(err.Error(), "cannot be written") {
			t.Errorf("%s in a read-only folder: %v", role, err)
		}
	}
	w.remount(disk, "rw")
}

// TestRecordsOnAFullDisk has the records of new meters find no room. They are
// written again once there is some, with the same secrets.
func TestRecordsOnAFullDisk(t *testing.T) {
	w := newWorld(t)
	w.disk(w.path("disk"), "4k")
	u := w.newSite("utility", "utility-a")
	u.serving = &serving{world: w, dir: w.path("utility-a")}
	trust := w.newSite("ttp", "ttp-first")
	trust.serving = &serving{world: w, dir: w.path("ttp-first")}
	w.introduce(u, trust)
	out := filepath.Join(w.path("disk"), "meters.jsonl")
	add := []string{"utility", "meter", "add", "--count", "40", "--unpinned", "--collector", "mqtt://127.0.0.1:1", "--dir", u.dir, "--out"}
	_, err := try(append(add, out)...)
	if err == nil || !strings.Contains(err.Error(), "wattveil utility meter record, for the last 40") || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("on a full disk: %v", err)
	}
	if _, err := os.Stat(out); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a part of the file is left: %v", err)
	}
	var ids []string
	for _, m := range decodeLines[api.Meter](w, w.do("utility", "meter", "list", "--json", "--dir", u.dir)) {
		ids = append(ids, m.ID)
	}
	record := func(file string) string {
		w.do(append([]string{"utility", "meter", "record", "--unpinned", "--collector", "mqtt://127.0.0.1:1", "--out", w.path(file), "--dir", u.dir}, ids...)...)
		if info, err := os.Stat(w.path(file)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode of %s: %v, %v", file, info.Mode(), err)
		}
		content, err := os.ReadFile(w.path(file))
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	first, again := record("first.jsonl"), record("again.jsonl")
	if len(ids) != 40 || first != again || strings.Count(first, "\n") != 40 {
		t.Errorf("%d meters, %d records, equal: %v", len(ids), strings.Count(first, "\n"), first == again)
	}
	if got := w.ids("first"); strings.Join(got, " ") != strings.Join(ids, " ") {
		t.Errorf("records of %v, want %v", got, ids)
	}
}

// TestFullDisk fills a TTP's disk while readings come. It says so, takes
// nothing that it could not keep, and goes on when there is room: each reading
// is there once.
func TestFullDisk(t *testing.T) {
	w := newWorld(t)
	dir := w.path("ttp-first")
	w.disk(dir, "48m")
	trust := w.newSite("ttp", "ttp-first")
	trust.serving = &serving{world: w, dir: dir}
	u := w.newSite("utility", "utility-a", "--interval", "1s", "--pool-window", "300ms", "--enrol-every", "1s")
	u.serving = w.serveUtility(u.name, &counted{})
	w.introduce(u, trust)
	served := w.process("wattveil", "ttp", "serve", "--dir", dir) // its store may end the process
	w.wait("the TTP is enrolled", func() bool { _, err := try("utility", "enrol", "--dir", u.dir); return err == nil })
	collector, _ := w.collector(u, "north")
	w.serveCollector(collector)
	meters := w.meters(u, "field", 1, nil, []string{"--source", "sim", "--resolution", "1s"})
	verdicts := func(of string) float64 {
		return u.metric(`wattveil_verdicts_total{role="utility",verdict="` + of + `"}`)
	}
	w.wait("readings flow", func() bool { return verdicts("durable") > 3 })

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
	// The engines have some room of before, so that some readings may still be
	// kept. Without the process, which a full disk may end, all have to wait.
	log, err := os.ReadFile(served.Stdout.(*os.File).Name())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := trust.out.Write(log); err != nil { // says where its monitor is
		t.Fatal(err)
	}
	trust.says(503, "disk")
	later := verdicts("later")
	_ = end(served, syscall.SIGTERM) // with an error if its store has failed
	w.wait("messages wait", func() bool { return verdicts("later") > later+1 })
	if err := errors.Join(filler.Close(), os.Remove(filler.Name())); err != nil {
		t.Fatal(err)
	}
	again := w.process("wattveil", "ttp", "serve", "--dir", dir)
	durable := verdicts("durable")
	w.wait("readings flow again", func() bool { return verdicts("durable") > durable+3 })
	if err := end(meters, syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	w.posts(u, "north")
	kept := w.export("field", w.ids("field")[0], time.Unix(0, 0), time.Now().Add(time.Hour))
	u.stop()
	if err := end(again, syscall.SIGTERM); err != nil {
		t.Errorf("the TTP after it had room again: %v", err)
	}
	w.checkStored(trust, kept)
}
