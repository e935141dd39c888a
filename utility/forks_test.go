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
	for _, size := range []int{1, 2, 4, 5, 9} {
		same := size == 5 // as what was cosigned meanwhile
		r, meters := billing(t, 5)
		_, err := r.run(meters[4])
		must(t, err)
		fork := r.forkOf(size)
		var first sync.Once
		r.ttp.set(func(f *fakeTTP) {
			f.spoil = func(a *wire.BillsAnswer) { first.Do(func() { a.Checkpoint = fork }) }
		})
		_, err = overtaken(t, r, meters[:4], nil)
		if !errors.Is(err, transparency.ErrInconsistent) || errors.Is(err, transparency.ErrForked) != same {
			t.Errorf("a fork of %d entries: %v", size, err)
		}
		pairs, err := r.CheckpointPairs(t.Context())
		must(t, err)
		if len(pairs) != 1 || pairs[0].TTP != ttpOrg || pairs[0].Offered != fork || pairs[0].Kept == "" || pairs[0].Fork != same || !pairs[0].Seen.Equal(r.clock.Now()) {
			t.Fatalf("a fork of %d entries: kept are %+v", size, pairs)
		}
		keys, err := r.LogKeys(t.Context(), "")
		must(t, err)
		if _, err := keys.Open(pairs[0].Kept); err != nil {
			t.Errorf("the checkpoint that was cosigned: %v", err)
		}
		said := map[bool]string{true: "TTP has shown two logs", false: "TTP has not proven that its log continues"}[same]
		if !strings.Contains(r.log.String(), fmt.Sprintf("level=ERROR msg=%q", said)) {
			t.Error("no error is logged")
		}
		if n := r.count("bills"); n != 2 {
			t.Errorf("%d bills are kept, want those of the other runs", n)
		}
		r.reopen()
		want := map[bool]PairCounts{true: {Forks: 1}, false: {Unproven: 1}}[same]
		if n, err := r.CountPairs(t.Context()); err != nil || n != want {
			t.Errorf("after a restart there are %+v, %v", n, err)
		}
		logs, err := r.BillLogs(t.Context())
		must(t, err)
		if len(logs) != 1 || logs[0].TTP != ttpOrg || logs[0].Entries < 2 || !strings.HasPrefix(logs[0].Checkpoint, logs[0].Origin+"\n") {
			t.Errorf("logs %+v", logs)
		}
	}
}

// A TTP that forks with each answer fills no disk, and the first pairs stay.
// However often it proves nothing, its forks are kept.
func TestPairsAreBounded(t *testing.T) {
	r := enrolled(t, "a")
	unproven, fork := fmt.Errorf("no proof: %w", transparency.ErrInconsistent), fmt.Errorf("roots differ: %w", transparency.ErrForked)
	keep := func(ttp, offered string, cause error) {
		t.Helper()
		if err := r.keepPair(t.Context(), ttp, "kept", offered, cause); !errors.Is(err, cause) {
			t.Fatal(err)
		}
	}
	for kind, cause := range []error{unproven, fork} {
		for i := range maxPairs + 5 {
			for range 2 { // again is no other pair
				keep(ttpOrg, fmt.Sprint(kind, i), cause)
			}
		}
	}
	keep("another.example", "offered", unproven)
	keep("another.example", "", transparency.ErrCheckpoint)
	pairs, err := r.CheckpointPairs(t.Context())
	must(t, err)
	if len(pairs) != 2*maxPairs+1 {
		t.Fatalf("%d pairs are kept", len(pairs))
	}
	if p := pairs[0]; p.Fork || p.Offered != "0 0" || p.TTP != ttpOrg {
		t.Errorf("first of all %+v", p)
	}
	if p := pairs[maxPairs]; !p.Fork || p.Offered != "1 0" || p.TTP != ttpOrg {
		t.Errorf("first of the forks %+v", p)
	}
	if p := pairs[2*maxPairs]; p.Fork || p.TTP != "another.example" {
		t.Errorf("of another TTP %+v", p)
	}
	if n, err := r.CountPairs(t.Context()); err != nil || n != (PairCounts{Forks: maxPairs, Unproven: maxPairs + 1}) {
		t.Errorf("counted %+v, %v", n, err)
	}
}

// Pairs that were kept before kinds were told apart have the right one.
func TestRegistryOfBeforeKinds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "utility.db")
	db := openRegistryAt(t, path, 5)
	checkpoint := func(size, root string) string {
		return "ttp.example/bills\n" + size + "\n" + root + strings.Repeat("A", 42) + "=\n\n— ttp.example/bills signature\n"
	}
	for i, pair := range [][2]string{
		{checkpoint("12", "a"), checkpoint("12", "b")},
		{checkpoint("12", "a"), checkpoint("9", "b")},
		{checkpoint("1", "a"), checkpoint("12", "b")},
		{checkpoint("12", "a"), checkpoint("12", "a") + "— another signature\n"},
	} {
		_, err := db.ExecContext(t.Context(), `INSERT INTO log_evidence (ttp, kept, offered, seen) VALUES (?, ?, ?, ?)`, ttpOrg, pair[0], pair[1], i)
		must(t, err)
	}
	must(t, db.Close())
	r := newRig(t, func(cfg *Config) { cfg.Dir = filepath.Dir(path) })
	pairs, err := r.CheckpointPairs(t.Context())
	must(t, err)
	if len(pairs) != 4 {
		t.Fatalf("%d pairs are kept", len(pairs))
	}
	for i, p := range pairs {
		if p.Fork != (i == 0) {
			t.Errorf("pair %d: %+v", i, p)
		}
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
