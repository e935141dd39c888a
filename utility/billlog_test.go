package utility

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/transparency"
	"github.com/wattveil/wattveil/wire"
)

const spot = `{"id":"spot","currency":"CHF","timezone":"Europe/Zurich","valid_from":"2018-01-01","energy":{"bands":{"all":{"import_series":"prices"}},"default":"all"}}`

// billing is a rig with a tariff, meters and a TTP that makes bills.
func billing(t *testing.T, n int) (*rig, []wattveil.Pseudonym) {
	t.Helper()
	r := enrolled(t, "a")
	meters := pseudonyms(r.meters(n))
	if _, err := r.PutTariff(t.Context(), []byte(flat)); err != nil {
		t.Fatal(err)
	}
	biller(r, nil)
	return r, meters
}

// logBills adds bills to the log of the TTP and proves them.
func (f *fakeTTP) logBills(since uint64, a *wire.BillsAnswer) error {
	var list []*wire.LoggedBill
	for i := range a.Bills {
		list = append(list, &a.Bills[i].LoggedBill)
		if c := a.Bills[i].Correction; c != nil {
			list = append(list, &c.LoggedBill)
		}
	}
	ctx := context.Background()
	var entries []transparency.Entry
	of := make(map[*wire.LoggedBill]transparency.Entry)
	for _, b := range list {
		salt, err := bill.ParseSalt(b.Salt)
		if err != nil || b.JWS == "" {
			continue
		}
		of[b] = transparency.Entry(bill.EntryOf(b.JWS, salt))
		if _, known := f.index[of[b]]; !known {
			entries = append(entries, of[b])
		}
	}
	places, err := f.log.Add(ctx, entries)
	if err != nil {
		return err
	}
	for i, e := range entries {
		f.index[e] = places[i]
	}
	if len(f.index) == 0 {
		return nil
	}
	checkpoint, err := f.log.Checkpoint(ctx, since)
	if err != nil {
		return err
	}
	a.Checkpoint, a.Consistency = checkpoint.Text, checkpoint.Consistency
	for b, e := range of {
		b.Index = f.index[e]
		paths, err := f.log.Inclusion(ctx, checkpoint.Size, []uint64{b.Index})
		if err != nil {
			return err
		}
		b.Hashes = paths[0]
	}
	return nil
}

func (f *fakeTTP) answerProofs(body []byte) ([]byte, error) {
	var in wire.ProofsRequest
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	checkpoint, err := f.log.Checkpoint(context.Background(), in.LogSize)
	if err != nil {
		return nil, err
	}
	out := wire.ProofsAnswer{Checkpoint: checkpoint.Text, Consistency: checkpoint.Consistency}
	if out.Overtaken, err = f.log.Consistency(context.Background(), in.Overtaken, checkpoint.Size); err != nil {
		return nil, err
	}
	if out.Hashes, err = f.log.Inclusion(context.Background(), checkpoint.Size, in.Places); err != nil {
		return nil, err
	}
	if f.distort != nil {
		f.distort(&out)
	}
	return json.Marshal(out)
}

func (r *rig) run(meters ...wattveil.Pseudonym) ([]Billed, error) {
	return r.RunBills(r.t.Context(), meters, "flat", billFrom, billTo)
}

// A kept bill has all that anyone needs to check it, and the TTP gets the
// cosigned checkpoint back.
func TestBillsAreProven(t *testing.T) {
	r, meters := billing(t, 3)
	first, err := r.run(meters[0])
	must(t, err)
	_, err = r.run(meters...)
	must(t, err)
	keys, err := r.LogKeys(t.Context(), "")
	must(t, err)
	kept, _, err := r.Bills(t.Context(), BillQuery{Limit: 10})
	must(t, err)
	if len(kept) != 3 {
		t.Fatalf("%d bills are kept", len(kept))
	}
	for _, k := range kept {
		entry, err := k.Document.Entry()
		must(t, err)
		must(t, transparency.Proof(*k.Document.Proof).Verify(transparency.Entry(entry), keys))
		text, err := k.Document.Text()
		must(t, err)
		if _, err := bill.ParseDocument(text); err != nil || k.Document.Meter != "" {
			t.Errorf("document of meter %q: %v", k.Document.Meter, err)
		}
	}
	if first[0].Document.Proof == nil || len(r.ttp.to("/v1/checkpoint")) != 2 {
		t.Errorf("%d checkpoints are handed back, want 2", len(r.ttp.to("/v1/checkpoint")))
	}
	r.reopen()
	if again, err := r.LogKeys(t.Context(), ""); err != nil || again != keys {
		t.Errorf("after a restart: %+v, %v", again, err)
	}
}

// A bill that the TTP's log does not have is no bill.
func TestBillsMissingFromTheLog(t *testing.T) {
	for name, spoil := range map[string]func(*wire.BillsAnswer){
		"no checkpoint":           func(a *wire.BillsAnswer) { a.Checkpoint, a.Consistency = "", nil },
		"another place":           func(a *wire.BillsAnswer) { a.Bills[0].Index++ },
		"another path":            func(a *wire.BillsAnswer) { a.Bills[0].Hashes[0][0] ^= 1 },
		"no path":                 func(a *wire.BillsAnswer) { a.Bills[0].Hashes = nil },
		"the path of another":     func(a *wire.BillsAnswer) { a.Bills[0].Hashes = a.Bills[1].Hashes },
		"a place beyond the tree": func(a *wire.BillsAnswer) { a.Bills[0].Index = 99 },
	} {
		r, meters := billing(t, 3)
		r.ttp.set(func(f *fakeTTP) { f.spoil = spoil })
		got, err := r.run(meters...)
		must(t, err)
		if !errors.Is(got[0].Err, transparency.ErrNotIncluded) || got[0].Bill.Total != "" {
			t.Errorf("%s: %v", name, got[0].Err)
		}
		if n := r.count("bills WHERE an_id = ?", int64(meters[0])); n != 0 {
			t.Errorf("%s: the bill is kept", name)
		}
	}
}

// Two logs stop the run, and so does one that is not proven to continue; both
// checkpoints are kept. Only those of two logs are held against the TTP as such.
func TestTwoLogs(t *testing.T) {
	r, meters := billing(t, 4)
	_, err := r.run(meters[:2]...)
	must(t, err)
	old := r.ttp.log
	key, err := old.PublicKey()
	must(t, err)
	// The TTP shows another log: another key at first, which names itself.
	other := openBillLog(t, t.TempDir())
	r.ttp.set(func(f *fakeTTP) { f.log, f.index = other, map[transparency.Entry]uint64{} })
	if _, err := r.run(meters[2]); !errors.Is(err, wire.Rebound) {
		t.Errorf("a log with another key: %v", err)
	}
	r.ttp.set(func(f *fakeTTP) {
		f.log, f.index = old, map[transparency.Entry]uint64{}
		f.spoil = func(a *wire.BillsAnswer) { a.Consistency = [][]byte{make([]byte, 32)} }
	})
	if _, err := r.run(meters[2:]...); !errors.Is(err, transparency.ErrInconsistent) {
		t.Errorf("a log that does not continue: %v (key %s)", err, key)
	}
	if n, err := r.CountPairs(t.Context()); err != nil || n != (PairCounts{Unproven: 1}) {
		t.Errorf("after a proof of zeros there are %+v, %v", n, err)
	}
	fork := r.forkOf(2)
	r.ttp.set(func(f *fakeTTP) { f.spoil = func(a *wire.BillsAnswer) { a.Checkpoint, a.Consistency = fork, nil } })
	if _, err := r.run(meters[2:]...); !errors.Is(err, transparency.ErrForked) {
		t.Errorf("another log of the same size: %v", err)
	}
	if n, err := r.CountPairs(t.Context()); err != nil || n != (PairCounts{Forks: 1, Unproven: 1}) {
		t.Errorf("after another log there are %+v, %v", n, err)
	}
	r.ttp.set(func(f *fakeTTP) { f.spoil = nil })
	if got, err := r.run(meters[2:]...); err != nil || got[0].Err != nil {
		t.Errorf("when it continues: %v, %v", got, err)
	}
}

// overtaken bills one meter while the answer of a run for all of them is on its
// way, and gives what came of that. between is called before it arrives.
func overtaken(t *testing.T, r *rig, meters []wattveil.Pseudonym, between func()) ([]Billed, error) {
	t.Helper()
	answered, arrive := make(chan struct{}), make(chan struct{})
	var first sync.Once
	r.ttp.set(func(f *fakeTTP) {
		f.after = func(path string) {
			if path == "/v1/bills" {
				first.Do(func() { close(answered); <-arrive })
			}
		}
	})
	type outcome struct {
		billed []Billed
		err    error
	}
	done := make(chan outcome)
	go func() {
		billed, err := r.run(meters[1:]...)
		done <- outcome{billed, err}
	}()
	<-answered
	r.ttp.set(func(f *fakeTTP) { f.after = nil })
	_, err := r.run(meters[0])
	must(t, err)
	if between != nil {
		between()
	}
	close(arrive)
	o := <-done
	return o.billed, o.err
}

// A run whose checkpoint is older than the one cosigned since asks for newer
// proofs of the bills that there are.
func TestRunsOverlap(t *testing.T) {
	r, meters := billing(t, 4)
	biller(r, func(i int, _ *bill.Bill, a *wire.BillAnswer, _ **bill.SigningKey) {
		if i == 1 {
			a.Class = wire.Incomplete
		}
	})
	got, err := overtaken(t, r, meters, nil)
	must(t, err)
	keys, err := r.LogKeys(t.Context(), "")
	must(t, err)
	for i, b := range got {
		if i == 1 {
			if !errors.Is(b.Err, wire.Incomplete) {
				t.Errorf("a meter without a bill: %v", b.Err)
			}
			continue
		}
		must(t, b.Err)
		entry, err := b.Document.Entry()
		must(t, err)
		must(t, transparency.Proof(*b.Document.Proof).Verify(transparency.Entry(entry), keys))
	}
	requests := r.ttp.to("/v1/proofs")
	var again wire.ProofsRequest
	must(t, json.Unmarshal(requests[0], &again))
	if len(requests) != 1 || again.Overtaken != 2 || again.LogSize != 3 || len(again.Places) != 2 {
		t.Errorf("%d requests, for %d places since %d entries", len(requests), len(again.Places), again.LogSize)
	}
	if n := r.count("bills"); n != 3 {
		t.Errorf("%d bills are kept", n)
	}
	// All of them are in the log: the checkpoint is the same, and proves both.
	if got, err = overtaken(t, r, []wattveil.Pseudonym{meters[0], meters[1], meters[3]}, nil); err != nil || got[0].Err != nil || len(r.ttp.to("/v1/proofs")) != 1 {
		t.Errorf("the same runs again: %v, %v, %d requests for proofs", got, err, len(r.ttp.to("/v1/proofs")))
	}
}

// A TTP that uses the overlap to show another log is caught.
func TestTwoLogsWhileRunsOverlap(t *testing.T) {
	for name, c := range map[string]struct {
		distort  func(*wire.ProofsAnswer)
		want     error
		evidence int
	}{
		"another log":      {func(a *wire.ProofsAnswer) { a.Consistency = [][]byte{make([]byte, 32)} }, transparency.ErrInconsistent, 1},
		"no checkpoint":    {func(a *wire.ProofsAnswer) { a.Checkpoint = "" }, transparency.ErrCheckpoint, 0},
		"another path":     {func(a *wire.ProofsAnswer) { a.Hashes[0][0][0] ^= 1 }, transparency.ErrNotIncluded, 0},
		"a proof too many": {func(a *wire.ProofsAnswer) { a.Hashes = append(a.Hashes, a.Hashes[0]) }, nil, 0},
		"a proof too few":  {func(a *wire.ProofsAnswer) { a.Hashes = nil }, nil, 0},
	} {
		r, meters := billing(t, 3)
		_, err := r.run(meters[0]) // a proof is needed from here on
		must(t, err)
		got, err := overtaken(t, r, []wattveil.Pseudonym{meters[1], meters[2]}, func() {
			_, err := r.ttp.log.Add(t.Context(), []transparency.Entry{{1}}) // another utility's
			must(t, err)
			r.ttp.set(func(f *fakeTTP) { f.distort = c.distort })
		})
		for _, b := range got {
			err = errors.Join(err, b.Err)
		}
		if err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if n := r.count("log_evidence"); n != c.evidence {
			t.Errorf("%s: %d pairs of checkpoints are kept, want %d", name, n, c.evidence)
		}
		if n := r.count("bills"); n != 2 {
			t.Errorf("%s: %d bills are kept, want those of the runs before", name, n)
		}
	}
}

// Any number of runs at once end with all bills, each proven under a checkpoint
// that was cosigned.
func TestManyRunsAtOnce(t *testing.T) {
	r, meters := billing(t, 12)
	var all errgroup.Group
	for _, part := range slices.Collect(slices.Chunk(meters, 2)) {
		all.Go(func() error {
			got, err := r.run(part...)
			for _, b := range got {
				err = errors.Join(err, b.Err)
			}
			return err
		})
	}
	must(t, all.Wait())
	if n := r.count("bills"); n != len(meters) {
		t.Errorf("%d bills are kept", n)
	}
	if n := r.count("log_evidence"); n != 0 {
		t.Errorf("%d pairs of checkpoints are held against an honest TTP", n)
	}
}

func TestBillKeysOnlyGrow(t *testing.T) {
	r, meters := billing(t, 1)
	other, err := bill.GenerateSigningKey()
	must(t, err)
	r.ttp.set(func(f *fakeTTP) { f.billKey = other })
	if _, err := r.run(meters...); !errors.Is(err, wire.Rebound) || !strings.Contains(err.Error(), "does not publish") {
		t.Errorf("a key that is gone: %v", err)
	}
}

// The keys are fresh if the TTP tells them, and else those of before.
func TestFreshBillKeys(t *testing.T) {
	r, _ := billing(t, 1)
	next, err := bill.GenerateSigningKey()
	must(t, err)
	r.ttp.set(func(f *fakeTTP) { f.nextBillKey = next })
	fresh := func(want int) (stale error) {
		t.Helper()
		keys, stale, err := r.FreshBillKeys(t.Context(), "")
		if must(t, err); len(keys.IDs()) != want {
			t.Errorf("%d keys, want %d", len(keys.IDs()), want)
		}
		return stale
	}
	if stale := fresh(2); stale != nil {
		t.Errorf("a TTP that answers: %v", stale)
	}
	r.ttp.set(func(f *fakeTTP) { f.fail = wire.Unavailable })
	if stale := fresh(2); !errors.Is(stale, wire.Unavailable) {
		t.Errorf("a TTP that is away: %v", stale)
	}
	r.ttp.set(func(f *fakeTTP) { f.fail, f.nextBillKey = nil, nil })
	if _, _, err := r.FreshBillKeys(t.Context(), ""); !errors.Is(err, wire.Rebound) {
		t.Errorf("a key that is gone: %v", err)
	}
}

// Refusals of the gate come with their rule, and what ends is told to the TTP.
func TestGateRefusals(t *testing.T) {
	r, meters := billing(t, 1)
	r.ttp.set(func(f *fakeTTP) {
		f.bills = func(in wire.BillsRequest) (out wire.BillsAnswer) {
			if in.Ends != wire.EndsTenancy {
				t.Errorf("ends %q", in.Ends)
			}
			return wire.BillsAnswer{Bills: []wire.BillAnswer{{Meter: in.Meters[0], Class: wire.Gated, Rule: "overlap"}}}
		}
	})
	got, err := r.RunLastBills(t.Context(), meters, "flat", billFrom, billTo, EndsTenancy)
	must(t, err)
	if !errors.Is(got[0].Err, wire.Gated) || got[0].Rule != "overlap" || !strings.Contains(got[0].Err.Error(), "another bill tells of part of the period") {
		t.Errorf("%v, rule %q", got[0].Err, got[0].Rule)
	}
}

// A bill that another one stands in the way of is told of that one, if it is kept.
func TestOverlapNamesTheBill(t *testing.T) {
	r, meters := billing(t, 1)
	_, err := r.run(meters...)
	must(t, err)
	r.ttp.set(func(f *fakeTTP) {
		f.bills = func(in wire.BillsRequest) wire.BillsAnswer {
			return wire.BillsAnswer{Bills: []wire.BillAnswer{{Meter: in.Meters[0], Class: wire.Gated, Rule: "overlap"}}}
		}
	})
	got, err := r.RunBills(t.Context(), meters, "flat", billFrom, billTo.AddDate(0, 0, 1))
	must(t, err)
	zone, err := time.LoadLocation("Europe/Zurich")
	must(t, err)
	want := "may: the kept bill by tariff flat from " + billFrom.In(zone).Format(time.RFC3339) + " to " + billTo.In(zone).Format(time.RFC3339)
	if !errors.Is(got[0].Err, wire.Gated) || !strings.HasSuffix(got[0].Err.Error(), want) {
		t.Errorf("%v, want ... %s", got[0].Err, want)
	}
}

// A correction is kept beside the bill that it replaces, and only then.
func TestCorrections(t *testing.T) {
	r, meters := billing(t, 1)
	first, err := r.run(meters...)
	must(t, err)
	correct := func(corrects string) *wire.CorrectionAnswer {
		salt := bill.NewSalt()
		b := document(t, salt, meters[0])
		b.Corrects = corrects
		jws, err := r.ttp.billKey.Sign(b)
		must(t, err)
		return &wire.CorrectionAnswer{Tariff: "flat", From: billFrom, To: billTo, LoggedBill: wire.LoggedBill{JWS: jws, Salt: salt.String()}}
	}
	next := func(c *wire.CorrectionAnswer) Billed {
		r.ttp.set(func(f *fakeTTP) {
			f.bills = func(in wire.BillsRequest) wire.BillsAnswer {
				salt := bill.NewSalt()
				b := document(t, salt, meters[0])
				zone, err := time.LoadLocation("Europe/Zurich")
				must(t, err)
				b.From, b.To = bill.Time(in.From, zone), bill.Time(in.To, zone)
				jws, err := f.billKey.Sign(b)
				must(t, err)
				return wire.BillsAnswer{Bills: []wire.BillAnswer{{Meter: in.Meters[0], LoggedBill: wire.LoggedBill{JWS: jws, Salt: salt.String()}, Correction: c}}}
			}
		})
		got, err := r.RunBills(t.Context(), meters, "flat", billTo, billTo.AddDate(0, 0, 1))
		must(t, err)
		return got[0]
	}
	if got := next(correct(bill.HashOf("another").String())); !errors.Is(got.Err, wire.Rebound) || got.Correction != nil {
		t.Errorf("a correction of nothing: %v", got.Err)
	}
	_, err = r.db.Exec(`DELETE FROM bills WHERE from_second = ?`, billTo.Unix())
	must(t, err)
	got := next(correct(bill.HashOf(first[0].JWS).String()))
	must(t, got.Err)
	if got.Correction == nil || !got.Correction.Correction || !got.Correction.From.Equal(billFrom) {
		t.Fatalf("correction %+v", got.Correction)
	}
	kept, _, err := r.Bills(t.Context(), BillQuery{Limit: 10})
	must(t, err)
	if len(kept) != 3 || kept[0].Correction || !kept[1].Correction || kept[1].JWS != got.Correction.JWS {
		t.Errorf("%d bills are kept, the correction not behind its bill", len(kept))
	}
	keptOf := func(from, to time.Time) ([]KeptBill, error) {
		of, err := r.KeptBills(t.Context(), meters, "flat", from, to)
		return of[meters[0]], err
	}
	if list, err := keptOf(billFrom, billTo); err != nil || len(list) != 1 || list[0].JWS != first[0].JWS {
		t.Errorf("the first bill is gone, or has company: %+v, %v", list, err)
	}
	list, err := keptOf(billTo, billTo.AddDate(0, 0, 1))
	if err != nil || len(list) != 2 || list[0].JWS != got.JWS || list[1].JWS != got.Correction.JWS || !list[1].Correction {
		t.Errorf("the bill and the correction that came with it: %+v, %v", list, err)
	}
	if list, err := keptOf(billTo, billTo.AddDate(0, 0, 2)); err != nil || len(list) != 0 {
		t.Errorf("a bill that nobody asked for: %+v, %v", list, err)
	}
}

func TestPutSeries(t *testing.T) {
	r := enrolled(t, "a")
	const part = `{"currency":"CHF","from":"2026-02-01T00:00:00Z","minutes":60,"name":"prices","prices":["0.1","0.2"]}`
	if _, err := r.PutTariff(t.Context(), []byte(spot)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.PutSeries(t.Context(), []byte(strings.Replace(part, "CHF", "EUR", 1))); !errors.Is(err, wire.Malformed) {
		t.Errorf("in another currency: %v", err)
	}
	if _, err := r.PutSeries(t.Context(), []byte("{}")); err == nil {
		t.Error("no series is taken")
	}
	s, err := r.PutSeries(t.Context(), []byte(part))
	if err != nil || s.Name() != "prices" || len(r.ttp.to("/v1/series")) != 1 {
		t.Errorf("%v, %d requests", err, len(r.ttp.to("/v1/series")))
	}
	longer := strings.Replace(part, `"0.2"`, `"0.2","0.3"`, 1)
	for _, again := range []string{longer, part} {
		if _, err := r.PutSeries(t.Context(), []byte(again)); err != nil {
			t.Fatal(err)
		}
	}
	list, err := r.SeriesParts(t.Context())
	if err != nil || len(list) != 1 || list[0].To().Sub(list[0].From()) != 3*time.Hour {
		t.Errorf("%d parts, %v", len(list), err)
	}
	if _, err := r.PutTariff(t.Context(), []byte(strings.NewReplacer("CHF", "EUR", `"id":"spot"`, `"id":"euro"`).Replace(spot))); !errors.Is(err, wire.Malformed) {
		t.Errorf("a tariff in another currency: %v", err)
	}
	r.ttp.set(func(f *fakeTTP) { f.fail = errAway })
	if _, err := r.PutSeries(t.Context(), []byte(strings.Replace(part, "02-01", "03-01", 1))); !errors.Is(err, errAway) {
		t.Errorf("while the TTP is away: %v", err)
	}
}
