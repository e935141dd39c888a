package field

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/readings"
)

func TestMain(m *testing.M) { os.Exit(Tidy{m}.Run()) }

// full tells whether tests are to run at their full length.
func full() bool { return os.Getenv("WATTVEIL_FULL") != "" }

// fleets are two processes of meters that take a reading every second and have
// some of before, which they hand in first.
func fleets(meters int, history string) []Fleet {
	flags := []string{"--resolution", "1s", "--history", history}
	return []Fleet{{Name: "east", Meters: meters, Flags: flags}, {Name: "west", Meters: meters, Flags: flags}}
}

// The audit finds what it is there to find: a queue that lost its messages, a
// reading with two values, and two messages under one counter.
func TestAuditFinds(t *testing.T) {
	f := New(t, Config{Fleets: fleets(2, "1m")})
	f.Start(f.Fleets...)
	f.Drain(time.Now(), patience)
	if err := f.Utility.Kill(); err != nil {
		t.Fatal(err)
	}
	for _, p := range f.Collectors {
		f.Until(p.Name+" holds messages", patience, func() error {
			n, err := p.Metric("queue_frames", "")
			if err == nil && n == 0 {
				err = errors.New("none")
			}
			return err
		})
		if err := p.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(f.folder(p.Name, "queue")); err != nil {
			t.Fatal(err)
		}
	}
	f.Start(f.Utility)
	f.Start(f.Collectors...)
	through := time.Now()
	f.Drain(through, patience)
	a := f.auditor(through)
	expect(t, a.run(), "readings are not at the TTP")
	if err := a.store.Append(t.Context(), a.contradiction()); err != nil {
		t.Fatal(err)
	}
	expect(t, a.run(), "readings are not at the TTP", "have two values", "messages with different bytes")
}

// contradiction is a message under a used counter, with another value for a
// stored reading.
func (a *auditor) contradiction() []readings.Block {
	id, err := wattveil.ParseMeterID(a.meters[a.f.Fleets[0]][0].Meter)
	if err != nil {
		a.f.t.Fatal(err)
	}
	m := wattveil.Meter{UC: a.number, Pseudonym: a.names[id]}
	folded, err := a.store.Read(context.Background(), m, 0, readings.MaxTime)
	if err != nil || len(folded.Runs) == 0 {
		a.f.t.Fatalf("readings of %v: %d runs, %v", m, len(folded.Runs), err)
	}
	run := folded.Runs[0]
	other := run.Readings[0]
	other.Import = other.Import.Add(1)
	return []readings.Block{{Meter: m, Epoch: 1, Counter: 1, Series: run.Series, Readings: []wattveil.Reading{other}}}
}

// expect holds what an audit found to the texts that it must hold, and no
// others.
func expect(t *testing.T, found []string, want ...string) {
	t.Helper()
	hits := make([]int, len(want))
	for _, text := range found {
		i := slices.IndexFunc(want, func(w string) bool { return strings.Contains(text, w) })
		if i < 0 {
			t.Errorf("the audit finds %q", text)
			continue
		}
		hits[i]++
	}
	if slices.Contains(hits, 0) {
		t.Errorf("the audit finds %q, want all of %q", found, want)
	}
}
