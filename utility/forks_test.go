package utility

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/wattveil/wattveil/transparency"
	"github.com/wattveil/wattveil/wire"
)

// forkOf is another log under the key of the TTP's: its checkpoint of so many
// other entries.
func (r *rig) forkOf(size int) string {
	r.t.Helper()
	dir := r.t.TempDir()
	key, err := os.ReadFile(filepath.Join(r.ttp.logDir, "log.key"))
	must(r.t, err)
	must(r.t, os.WriteFile(filepath.Join(dir, "log.key"), key, 0o600))
	log := openBillLog(r.t, dir)
	entries := make([]transparency.Entry, size)
	for i := range entries {
		entries[i] = transparency.Entry{0xff, byte(i)}
	}
	_, err = log.Add(r.t.Context(), entries)
	must(r.t, err)
	checkpoint, err := log.Checkpoint(r.t.Context(), 0)
	must(r.t, err)
	return checkpoint.Text
}

// A TTP that shows one of two runs another log, while they overlap, is caught
// with both checkpoints, whatever it proves, and of whatever size that log is.
func TestOvertakenFork(t *testing.T) {
	for _, size := range []int{1, 2, 4, 9} {
		r, meters := billing(t, 5)
		_, err := r.run(meters[4])
		must(t, err)
		fork := r.forkOf(size)
		var first sync.Once
		r.ttp.set(func(f *fakeTTP) {
			f.spoil = func(a *wire.BillsAnswer) { first.Do(func() { a.Checkpoint = fork }) }
		})
		_, err = overtaken(t, r, meters[:4], nil)
		if !errors.Is(err, transparency.ErrInconsistent) {
			t.Errorf("a fork of %d entries: %v", size, err)
		}
		forks, err := r.Forks(t.Context())
		must(t, err)
		if len(forks) != 1 || forks[0].TTP != ttpOrg || forks[0].Offered != fork || forks[0].Kept == "" || !forks[0].Seen.Equal(r.clock.Now()) {
			t.Fatalf("a fork of %d entries: kept are %+v", size, forks)
		}
		keys, err := r.LogKeys(t.Context(), "")
		must(t, err)
		if _, err := keys.Open(forks[0].Kept); err != nil {
			t.Errorf("the checkpoint that was cosigned: %v", err)
		}
		if !strings.Contains(r.log.String(), "level=ERROR msg=\"TTP shows two logs\"") {
			t.Error("no error is logged")
		}
		if n := r.count("bills"); n != 2 {
			t.Errorf("%d bills are kept, want those of the other runs", n)
		}
		r.reopen()
		if n, err := r.CountForks(t.Context()); err != nil || n != 1 {
			t.Errorf("after a restart %d forks are kept: %v", n, err)
		}
		logs, err := r.BillLogs(t.Context())
		must(t, err)
		if len(logs) != 1 || logs[0].TTP != ttpOrg || logs[0].Entries < 2 || !strings.HasPrefix(logs[0].Checkpoint, logs[0].Origin+"\n") {
			t.Errorf("logs %+v", logs)
		}
	}
}

// A TTP that forks with each answer fills no disk, and the first pair stays.
func TestForksAreBounded(t *testing.T) {
	r := enrolled(t, "a")
	cause := fmt.Errorf("roots differ: %w", transparency.ErrInconsistent)
	for i := range maxForks + 5 {
		for range 2 { // again is no other pair
			if err := r.keepFork(t.Context(), ttpOrg, "kept", fmt.Sprint(i), cause); !errors.Is(err, transparency.ErrInconsistent) {
				t.Fatal(err)
			}
		}
	}
	if err := r.keepFork(t.Context(), "another.example", "kept", "offered", cause); !errors.Is(err, cause) {
		t.Fatal(err)
	}
	if err := r.keepFork(t.Context(), ttpOrg, "", "", transparency.ErrCheckpoint); !errors.Is(err, transparency.ErrCheckpoint) {
		t.Error(err)
	}
	forks, err := r.Forks(t.Context())
	must(t, err)
	if len(forks) != maxForks+1 || forks[0].Offered != "0" || forks[maxForks].TTP != "another.example" {
		t.Errorf("%d forks are kept", len(forks))
	}
}

// While a TTP keeps a run waiting, what was seen of its log is there to look
// at, and who waits for the run need not wait longer than they want.
func TestHangingTTP(t *testing.T) {
	r, meters := billing(t, 3)
	_, err := r.run(meters[0])
	must(t, err)
	hung := make(map[string]bool)
	hang := func(path string) {
		if path != "/v1/bill-keys" && path != "/v1/proofs" || hung[path] {
			return
		}
		hung[path] = true
		if logs, err := r.BillLogs(t.Context()); err != nil || len(logs) != 1 || logs[0].Entries == 0 {
			t.Errorf("while %s hangs: logs %+v, %v", path, logs, err)
		}
		if _, err := r.LogKeys(t.Context(), ""); err != nil {
			t.Errorf("while %s hangs: %v", path, err)
		}
		at, err := r.trustee("")
		if err != nil {
			t.Error(err)
			return
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := r.openRun(ctx, &billRun{ttp: at}); !errors.Is(err, context.Canceled) {
			t.Errorf("another run while %s hangs: %v", path, err)
		}
		if _, err := r.cosignInTurn(ctx, &billRun{ttp: at}, &billsAnswer{}); !errors.Is(err, context.Canceled) {
			t.Errorf("the answer to another run while %s hangs: %v", path, err)
		}
	}
	r.ttp.set(func(f *fakeTTP) { f.after = hang })
	_, err = r.run(meters[0])
	must(t, err)
	_, err = overtaken(t, r, meters[1:], func() {
		_, err := r.ttp.log.Add(t.Context(), []transparency.Entry{{1}})
		must(t, err)
		r.ttp.set(func(f *fakeTTP) { f.after = hang })
	})
	must(t, err)
	if len(hung) != 2 {
		t.Errorf("the TTP hung in %v only", hung)
	}
}
