package grid

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wattveil/wattveil/wire"
)

// forgetful is a collector that loses what it held: while on is set, the data
// frames of its posts vanish on their way to the utility, and it is told that
// they are durable.
type forgetful struct {
	on   atomic.Bool
	lost atomic.Int64
}

func (f *forgetful) meddle(c *call) (status int, answer []byte, err error) {
	if !f.on.Load() || !c.is(UtilityOrg, "POST /v1/forward") || c.from != "collector-1" {
		return c.send(c.body)
	}
	in, err := wire.ParseForward(c.body)
	if err != nil {
		return 0, nil, err
	}
	var kept [][]byte
	gone := make([]bool, len(in.Frames))
	for i, frame := range in.Frames {
		if gone[i] = wire.Type(frame[0]) == wire.TypeData; !gone[i] {
			kept = append(kept, frame)
		}
	}
	f.lost.Add(int64(len(in.Frames) - len(kept)))
	in.Frames = kept
	status, answer, err = c.send(in.Append(nil))
	if err != nil || status != http.StatusOK {
		return status, answer, err
	}
	out, err := wire.ParseForwardAnswer(answer, len(kept))
	if err != nil {
		return 0, nil, err
	}
	given := out.Verdicts
	out.Verdicts = make([]wire.Verdict, len(gone))
	for i := range gone {
		if out.Verdicts[i] = wire.Durable; !gone[i] {
			out.Verdicts[i], given = given[0], given[1:]
		}
	}
	return status, out.Append(nil), nil
}

// What a collector has acknowledged and lost all the same comes again, because
// a receipt misses it.
func TestReceiptsBringBackWhatACollectorLost(t *testing.T) {
	cfg := testConfig(t, 3, 5)
	var f forgetful
	cfg.Collectors = 1
	cfg.BehindTap = new(played).meddle(f.meddle)
	g := open(t, cfg)
	ctx := t.Context()
	if err := g.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	from, to := cfg.Start+30*3600, cfg.Start+37*3600 // on the second day
	play := func(until int64, step func(at int64)) {
		t.Helper()
		for at := g.Clock().Now().Unix(); at <= until; at += int64(testResolution) {
			step(at)
			if err := g.Tick(ctx, time.Unix(at, 0)); err != nil {
				t.Fatal(err)
			}
		}
	}
	play(cfg.End, func(at int64) { f.on.Store(at >= from && at < to) })
	if f.lost.Load() == 0 {
		t.Fatal("nothing was lost")
	}
	for i, m := range g.meters {
		s := m.agent.Status()
		if s.Receipts < 3 || s.ReadingsAsked == 0 || s.ReceiptOverdue || s.ClockSuspect {
			t.Errorf("meter %d: %d receipts, asked for %d readings again, overdue %v, clock suspect %v",
				i, s.Receipts, s.ReadingsAsked, s.ReceiptOverdue, s.ClockSuspect)
		}
		g.holdsAll(ctx, t, m, cfg)
	}
}

// holdsAll checks that the TTP has every reading of a meter, each with one
// value.
func (g *Grid) holdsAll(ctx context.Context, t *testing.T, m *meterNode, cfg Config) {
	t.Helper()
	f, err := g.ttp.store.Read(ctx, m.agent.Status().Meter, cfg.Start, cfg.End)
	if err != nil {
		t.Fatal(err)
	}
	have := make(map[int64]bool)
	for _, run := range f.Runs {
		for _, r := range run.Readings {
			have[r.Time] = true
		}
	}
	if len(f.Conflicts) > 0 {
		t.Errorf("meter of %s: %d conflicts", m.column, len(f.Conflicts))
	}
	for at := cfg.Start; at <= cfg.End; at += int64(cfg.Resolution) {
		if !have[at] {
			t.Errorf("meter of %s: the reading of %v is missing", m.column, time.Unix(at, 0).UTC())
		}
	}
}
