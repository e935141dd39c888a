package grid

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/clpke"
	"github.com/wattveil/wattveil/internal/operator"
	"github.com/wattveil/wattveil/tariff"
	"github.com/wattveil/wattveil/utility"
	"github.com/wattveil/wattveil/utility/api"
	"github.com/wattveil/wattveil/wire"
)

// outage keeps a collector's posts from the utility while it is on, so that
// messages wait in its queue.
type outage struct{ on atomic.Bool }

func (o *outage) wrap(from, to string, inner http.RoundTripper) http.RoundTripper {
	return roundTrips(func(req *http.Request) (*http.Response, error) {
		if o.on.Load() && from == "collector-1" && to == UtilityOrg {
			return nil, errLost
		}
		return inner.RoundTrip(req)
	})
}

// lives is a platform whose meters move and are replaced while it runs.
type lives struct {
	*testing.T
	*Grid
	cfg   Config
	path  outage
	terms *tariff.Tariff
}

func newLives(t *testing.T, homes, days int, loss float64) *lives {
	t.Helper()
	l := &lives{T: t, cfg: testConfig(t, homes, days)}
	l.cfg.Loss, l.cfg.BehindTap = loss, l.path.wrap
	l.Grid = open(t, l.cfg)
	l.cfg = l.Grid.cfg
	terms, err := tariff.Builtin("Europe/Zurich")
	l.must(err)
	document, err := terms.MarshalJSON()
	l.must(err)
	l.terms, err = l.PutTariff(t.Context(), document)
	l.must(err)
	l.must(l.Ready(t.Context()))
	return l
}

func (l *lives) must(err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
}

// play ticks from where the clock stands up to a time.
func (l *lives) play(until int64) {
	l.Helper()
	step := int64(l.cfg.Resolution)
	at := l.cfg.Start
	if now := l.Clock().Now().Unix(); now >= at {
		at = now + step - (now-at)%step
	}
	for ; at <= until; at += step {
		l.must(l.Tick(l.Context(), time.Unix(at, 0)))
	}
}

// calm goes on in time until nothing is on its way and something is true.
func (l *lives) calm(done func() bool) {
	l.Helper()
	for range 4 * 24 * 3 {
		if done() {
			l.must(l.Drain(l.Context()))
			return
		}
		l.must(l.Tick(l.Context(), l.next))
	}
	l.Fatal("it does not come to an end in three days")
}

func (l *lives) pseudonym(id wattveil.MeterID) wattveil.Pseudonym {
	l.Helper()
	names, err := l.utilityRole().Meters(l.Context())
	l.must(err)
	return names[id]
}

// wantSeries demands that the TTP has under a pseudonym, for each series, every
// reading of a time once, and that they show what the home has used.
func (l *lives) wantSeries(home int, p wattveil.Pseudonym, spans ...[2]int64) {
	l.Helper()
	f, err := l.store().Read(l.Context(), l.meterAtTTP(p), 0, l.cfg.End+30*24*3600)
	l.must(err)
	if len(f.Runs) != len(spans) || len(f.Conflicts) != 0 {
		l.Fatalf("home %d: %d series and %d conflicts, want %d and none", home, len(f.Runs), len(f.Conflicts), len(spans))
	}
	step := int64(l.cfg.Resolution)
	for i, run := range f.Runs {
		from, to := spans[i][0], spans[i][1]
		if n := (to-from)/step + 1; run.Series != wattveil.Series(i+1) || int64(len(run.Readings)) != n {
			l.Fatalf("home %d: series %d has %d readings from %v on, want %d from %v on", home, run.Series, len(run.Readings),
				time.Unix(run.Readings[0].Time, 0).UTC(), n, time.Unix(from, 0).UTC())
		}
		for k, r := range run.Readings {
			if r.Time != from+int64(k)*step {
				l.Fatalf("home %d: reading %d of series %d is of %v", home, k, run.Series, time.Unix(r.Time, 0).UTC())
			}
			if k == 0 {
				continue
			}
			imp, exp, _ := l.cfg.Households[home].Load.Energy(r.Time - step)
			before := run.Readings[k-1]
			if r.Import.Since(before.Import) != imp || r.Export.Since(before.Export) != exp {
				l.Fatalf("home %d: the interval to %v has another energy", home, time.Unix(r.Time, 0).UTC())
			}
		}
	}
}

// operator is the utility's operator.
func (l *lives) operator() *operator.Client {
	return operator.Local(api.New(api.Config{Utility: l.utilityRole(), Self: l.utility.identity, Now: l.Clock().Now}))
}

// bills runs the bills of a meter for the whole run.
func (l *lives) bills(id wattveil.MeterID) []api.MeterBill {
	l.Helper()
	var answer api.BillList
	request := api.RunBills{
		Tariff: l.terms.ID(), From: time.Unix(l.cfg.Start, 0), To: time.Unix(l.cfg.End, 0), Meters: []string{id.String()},
	}
	l.must(l.operator().Do(l.Context(), http.MethodPost, "/v1/bills/run", request, &answer))
	return answer.Bills
}

// wantBills demands that the bills of a meter for the whole run are those of
// these pseudonyms and times, each with what the home has used in its time, and
// the same when they are asked for again.
func (l *lives) wantBills(home int, id wattveil.MeterID, want ...utility.Tenancy) {
	l.Helper()
	first, again := l.bills(id), l.bills(id)
	if len(first) != len(want) || len(again) != len(want) {
		l.Fatalf("home %d: %d bills, then %d, want %d", home, len(first), len(again), len(want))
	}
	for i, b := range first {
		if b.Class != "" {
			l.Fatalf("home %d: no bill: %s", home, b.Reason)
		}
		if b.Meter != id.String() || b.Pseudonym != want[i].Pseudonym.String() || !b.From.Equal(want[i].From) || !b.To.Equal(want[i].To) {
			l.Fatalf("home %d: bill %d is of meter %s, %s from %v to %v, want %v", home, i, b.Meter, b.Pseudonym, b.From, b.To, want[i])
		}
		if again[i].JWS != b.JWS {
			l.Errorf("home %d: bill %d is another one when it is asked for again", home, i)
		}
		var imp, exp int64
		for at := b.From.Unix(); at < b.To.Unix(); at += int64(l.cfg.Resolution) {
			in, out, _ := l.cfg.Households[home].Load.Energy(at)
			imp, exp = imp+int64(in), exp+int64(out)
		}
		if d := b.Document; d.ImportKWh != kWh(imp) || d.ExportKWh != kWh(exp) {
			l.Errorf("home %d from %v: billed %s and %s, want %s and %s", home, b.From, d.ImportKWh, d.ExportKWh, kWh(imp), kWh(exp))
		}
	}
}

// move has a home's tenant change at a time.
func (l *lives) move(home int, at int64) {
	l.Helper()
	t := time.Unix(at, 0)
	var m api.Meter
	l.must(l.operator().Do(l.Context(), http.MethodPost, "/v1/meters/"+l.meters[home].id.String()+"/move", api.Move{At: &t}, &m))
	if m.MoveAt == nil || !m.MoveAt.Equal(t) {
		l.Errorf("home %d moves at %v, want %v", home, m.MoveAt, t)
	}
}

// TestMoveInMidRun has tenants change while messages wait in collectors'
// queues: every reading goes under the pseudonym of its tenant, once, and both
// tenants' bills are right.
func TestMoveInMidRun(t *testing.T) {
	for name, loss := range map[string]float64{"good network": 0, "bad network": 0.25} {
		t.Run(name, func(t *testing.T) {
			l := newLives(t, 3, 3, loss)
			at := l.cfg.Start + 36*3600
			l.play(at - 30*3600)
			first := []wattveil.Pseudonym{l.pseudonym(l.meters[0].id), l.pseudonym(l.meters[1].id), l.pseudonym(l.meters[2].id)}
			l.move(0, at)
			l.move(1, at+6*3600)
			l.play(at - 3*3600)
			l.path.on.Store(true)
			l.play(at + 3*3600)
			l.path.on.Store(false)
			l.must(l.HardStop(t.Context(), UtilityOrg))
			l.play(l.cfg.End)
			l.calm(func() bool {
				return l.pseudonym(l.meters[0].id) != first[0] && l.pseudonym(l.meters[1].id) != first[1] &&
					l.meters[0].agent.Status().MoveAt == 0 && l.meters[1].agent.Status().MoveAt == 0
			})
			start, end := time.Unix(l.cfg.Start, 0), time.Unix(l.cfg.End, 0)
			for home, boundary := range []int64{at, at + 6*3600} {
				id := l.meters[home].id
				l.wantSeries(home, first[home], [2]int64{l.cfg.Start, boundary})
				l.wantSeries(home, l.pseudonym(id), [2]int64{boundary, l.cfg.End})
				moved := time.Unix(boundary, 0)
				l.wantBills(home, id, utility.Tenancy{Pseudonym: first[home], From: start, To: moved},
					utility.Tenancy{Pseudonym: l.pseudonym(id), From: moved, To: end})
				if s := l.meters[home].agent.Status(); s.ReadingsDropped != 0 {
					t.Errorf("home %d: %d readings dropped", home, s.ReadingsDropped)
				}
			}
			l.wantSeries(2, first[2], [2]int64{l.cfg.Start, l.cfg.End})
			l.wantBills(2, l.meters[2].id, utility.Tenancy{Pseudonym: first[2], From: start, To: end})
		})
	}
}

// replace takes a home's device away and puts another in its place, which
// begins to read at a time.
func (l *lives) replace(home int, at int64) {
	l.Helper()
	ctx := l.Context()
	root := clpke.RootFingerprint(l.ttpRole().RootKey())
	broker := "mqtt://" + l.collectors[1].address
	was := l.meters[home]
	record, err := l.utilityRole().ReplaceMeter(ctx, was.id, []string{broker}, &root)
	l.must(err)
	l.must(was.close())
	for !l.mayConnect(1) { // a bad network may lose the roster
		l.Clock().Set(l.Clock().Now().Add(time.Second))
		l.must(l.post(ctx))
	}
	h := l.cfg.Households[home]
	l.meters[home], err = l.newMeter(home, h, record, at)
	l.must(err)
}

// TestReplaceInMidRun exchanges devices while messages of the old ones wait in
// collectors' queues: they still arrive, in the series of the old device.
func TestReplaceInMidRun(t *testing.T) {
	for name, loss := range map[string]float64{"good network": 0, "bad network": 0.25} {
		t.Run(name, func(t *testing.T) {
			l := newLives(t, 3, 3, loss)
			at := l.cfg.Start + 36*3600
			l.play(at - 3*3600)
			l.path.on.Store(true)
			l.play(at)
			waiting := l.collectors[0].queue.Len()
			if waiting < 6 {
				t.Fatalf("%d messages wait, want those of three hours", waiting)
			}
			p := l.pseudonym(l.meters[0].id)
			gap := l.pseudonym(l.meters[1].id)
			step := int64(l.cfg.Resolution)
			olds := []wattveil.MeterID{l.meters[0].id, l.meters[1].id}
			l.replace(0, at)
			l.replace(1, at+2*step) // reads nothing at the end of the old device's last interval
			keyed := func() bool { return l.meters[0].keyed() && l.meters[1].keyed() }
			for n := at; !keyed(); n += step {
				if n == l.cfg.End {
					t.Fatal("the new devices share no keys with the TTP")
				}
				l.play(n)
			}
			if n := l.collectors[0].queue.Len(); n < waiting {
				t.Fatalf("%d messages wait when the new devices are there, %d did before", n, waiting)
			}
			l.path.on.Store(false)
			l.play(l.cfg.End)
			l.calm(keyed)
			l.wantSeries(0, p, [2]int64{l.cfg.Start, at}, [2]int64{at, l.cfg.End})
			l.wantSeries(1, gap, [2]int64{l.cfg.Start, at}, [2]int64{at + 2*step, l.cfg.End})
			start, end := time.Unix(l.cfg.Start, 0), time.Unix(l.cfg.End, 0)
			l.wantBills(0, l.meters[0].id, utility.Tenancy{Pseudonym: p, From: start, To: end})
			l.wantSeries(2, l.pseudonym(l.meters[2].id), [2]int64{l.cfg.Start, l.cfg.End})
			if b := l.bills(olds[0]); len(b) != 1 || b[0].Class != string(wire.Retired) {
				t.Errorf("bills of the old device: %+v", b)
			}
			l.wantDrained(olds)
		})
	}
}

// mayConnect tells whether a collector's roster has all meters.
func (l *lives) mayConnect(collector int) bool {
	l.Helper()
	n, err := l.utilityRole().MeterCounts(l.Context())
	l.must(err)
	return l.collectors[collector].role.Stats().Meters == n.Added
}

// wantDrained demands that replaced devices are let in no more once they have
// drained.
func (l *lives) wantDrained(olds []wattveil.MeterID) {
	l.Helper()
	ctx := context.WithoutCancel(l.Context())
	now := l.Clock().Now()
	for _, id := range olds {
		m, err := l.utilityRole().Meter(ctx, id)
		l.must(err)
		if m.State != utility.MeterDraining {
			l.Errorf("old device is %s", m.State)
		}
		if m.DrainsUntil.After(now) {
			now = m.DrainsUntil
		}
	}
	l.Clock().Set(now)
	l.must(l.utilityRole().Maintain(ctx))
	for range 200 { // a bad network may lose some posts
		if l.must(l.post(ctx)); l.mayConnectBut(olds) {
			return
		}
		l.Clock().Set(l.Clock().Now().Add(l.cfg.collectorInterval()))
	}
	l.Error("old devices may connect still")
}

// mayConnectBut tells whether both collectors let in all meters but these.
func (l *lives) mayConnectBut(olds []wattveil.MeterID) bool {
	n, err := l.utilityRole().MeterCounts(l.Context())
	l.must(err)
	for _, c := range l.collectors {
		if c.role.Stats().Meters != n.Added-len(olds) {
			return false
		}
	}
	return n.Ended == len(olds)
}
