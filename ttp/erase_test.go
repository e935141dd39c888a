package ttp

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/consumer"
	"github.com/wattveil/wattveil/tariff"
	"github.com/wattveil/wattveil/wire"
)

// owned puts a meter into an account of its own.
func (p *portalRig) owned(m wattveil.Meter) consumer.Account {
	p.t.Helper()
	a := consumer.NewAccount()
	_, err := p.Consumers().NewAccount(p.t.Context(), consumer.Passkey{Account: a, ID: a[:], PublicKey: []byte{1}}, m, false)
	must(p.t, err)
	return a
}

// disown takes a meter out of its account.
func (p *portalRig) disown(m wattveil.Meter) {
	p.t.Helper()
	a, _, err := p.Consumers().Holder(p.t.Context(), m)
	must(p.t, err)
	must(p.t, p.Consumers().DeleteAccount(p.t.Context(), a))
}

// billed is a rig whose meter has readings from February on, but for four
// hours every other week, and bills of the months up to May, in June.
func billed(t *testing.T) (*portalRig, *smart) {
	t.Helper()
	p := newPortalRig(t)
	p.clock.add(presently.Sub(start))
	m := p.company.keyed(7)
	p.owned(m.name)
	p.fill(m.name, 4, quarter, month(p, 2), presently, someMissing)
	for n := time.February; n < time.June; n++ {
		p.bill(m, n)
	}
	return p, m
}

// someMissing leaves gaps over the start of a band, so that bills have
// estimates and may be corrected.
func someMissing(at int64) bool {
	hour := at % (14 * 24 * 3600) / 3600
	return hour >= 86 && hour < 90
}

func month(p *portalRig, m time.Month) time.Time { return time.Date(2026, m, 1, 0, 0, 0, 0, p.zone) }

// bill makes a meter's bill of a month, and gives it.
func (p *portalRig) bill(m *smart, n time.Month) string {
	p.t.Helper()
	terms, err := tariff.Builtin("Europe/Zurich")
	must(p.t, err)
	got, _, err := p.company.bills(terms.ID(), month(p, n), month(p, n+1), m.name.Pseudonym.String())
	must(p.t, err)
	if got[0].Class != "" {
		p.t.Fatalf("bill of %v: %s", n, got[0].Class)
	}
	return got[0].JWS
}

func (p *portalRig) erasable(m wattveil.Meter) consumer.Erasable {
	p.t.Helper()
	e, err := p.Consumers().Erasable(p.t.Context(), m)
	must(p.t, err)
	return e
}

// first is the time of the first reading that the store has of a meter, and how
// many it has.
func (m *smart) first() (at time.Time, n int) {
	for _, run := range m.stored().Runs {
		if t := time.Unix(run.Readings[0].Time, 0); n == 0 || t.Before(at) {
			at = t
		}
		n += len(run.Readings)
	}
	return at, n
}

func TestErase(t *testing.T) {
	p, m := billed(t)
	ctx, c := t.Context(), p.Consumers()
	// Until the consumer says so, or 400 days later, bills may be corrected.
	if e := p.erasable(m.name); !e.Billed.IsZero() || !e.Until.IsZero() || !e.Erased.IsZero() {
		t.Errorf("erasable is %+v", e)
	}
	if err := c.Erase(ctx, m.name, month(p, 2)); !errors.Is(err, consumer.NotBilled) {
		t.Errorf("what is not final: %v", err)
	}
	must(t, c.Choose(ctx, m.name, consumer.Choices{Profile: consumer.Full, NoCorrections: true}))
	until := time.Date(2026, 4, 26, 0, 0, 0, 0, time.UTC) // 35 days before 31 May 22:00 UTC, rounded down
	if e := p.erasable(m.name); !e.Billed.Equal(month(p, 6)) || !e.Until.Equal(until) {
		t.Errorf("billed up to %v, erasable up to %v", e.Billed, e.Until)
	}
	if err := c.Erase(ctx, m.name, until.AddDate(0, 0, 1)); !errors.Is(err, consumer.NotBilled) {
		t.Errorf("a day too many: %v", err)
	}
	_, before := m.first()
	bill := p.bill(m, 2)
	must(t, c.Erase(ctx, m.name, until.Add(time.Hour))) // within the day: rounded down
	at, left := m.first()
	if !at.Equal(until) || left == before {
		t.Errorf("the first reading left is of %v", at)
	}
	for range 2 {
		e := p.erasable(m.name)
		if !e.Erased.Equal(until) || len(e.Past) != 1 || e.Past[0].Readings != int64(before-left) || !e.Past[0].Before.Equal(until) || e.Past[0].Chosen || !e.Past[0].At.Equal(presently) {
			t.Errorf("%d readings went, told are %+v", before-left, e)
		}
		must(t, c.Erase(ctx, m.name, until)) // again: nothing is left to do
		p.reopen()
		c = p.Consumers()
	}
	// Bills stay, and what is left is as it was.
	if p.count("bills") != 4 || p.bill(m, 2) != bill {
		t.Error("a bill is another after erasing")
	}
	u := p.asUsed(m.name, month(p, 5), month(p, 6), consumer.Day)
	if u.Total.Missing != 0 || !u.Erased.Equal(until) {
		t.Errorf("%d s of May are missing, erased up to %v", u.Total.Missing, u.Erased)
	}
	if u := p.asUsed(m.name, month(p, 2), month(p, 3), consumer.Day); u.Total.Known() {
		t.Error("energy of erased days is shown")
	}
}

// TestEraseTakesWhatAlertsTold: a day's energy is not in the registry any more,
// nor in its files, once the day is erased.
func TestEraseTakesWhatAlertsTold(t *testing.T) {
	const limit, value = 500_007, 0x7A5B6C // three bytes each in SQLite's rows, one after the other
	row := []byte{limit >> 16, limit >> 8 & 0xFF, limit & 0xFF, value >> 16, value >> 8 & 0xFF, value & 0xFF}
	p, m := billed(t)
	must(t, p.Consumers().Choose(t.Context(), m.name, consumer.Choices{Profile: consumer.Full, NoCorrections: true}))
	before := time.Date(2026, 4, 20, 0, 0, 0, 0, time.UTC)
	for kind, times := range map[consumer.AlertKind][]time.Time{
		consumer.AlertDay:    {before.Add(-2 * time.Hour), before}, // the first is 20 April in Zurich
		consumer.AlertHour:   {before.Add(-time.Hour), before},
		consumer.AlertBase:   {before.Add(-2 * time.Hour), before.AddDate(0, 0, 27), before.AddDate(0, 0, 30)},
		consumer.AlertSilent: {before.Add(-time.Second), before},
	} {
		for i, at := range times {
			v := value
			if i == len(times)-1 { // stays
				v = i
			}
			_, err := p.db.Exec(`INSERT INTO raised_alerts (uc, an_id, kind, at, threshold, value) VALUES (?, ?, ?, ?, ?, ?)`,
				m.name.UC, int64(m.name.Pseudonym), string(kind), at.Unix(), limit, v)
			must(t, err)
		}
	}
	if !bytes.Contains(readFolder(t, p.dir), row) {
		t.Fatal("the value is not in the files before: this looks at nothing")
	}
	must(t, p.Consumers().Erase(t.Context(), m.name, before))
	if n, gone := p.count("raised_alerts"), p.count("raised_alerts WHERE value = ?", value); n != 4 || gone != 0 {
		t.Errorf("%d alerts are left, %d of them of erased days; want 4 and none", n, gone)
	}
	if bytes.Contains(readFolder(t, p.dir), row) {
		t.Error("the value is in the files after its day was erased")
	}
}

// TestErasureIsFinished: a stop between any two steps is made good.
func TestErasureIsFinished(t *testing.T) {
	p, m := billed(t)
	before := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC).Unix()
	_, all := m.first()
	check := func(when string, wantDone int) {
		t.Helper()
		if n := p.count("erasures WHERE done = 1"); n != wantDone {
			t.Errorf("%s: %d erasures are done", when, n)
		}
	}
	p.faults.set(func(s *faultyStore) { s.read = errDisk })
	if err := p.erase(t.Context(), m.name, before, false); err == nil {
		t.Error("readings that cannot be counted are erased")
	}
	check("not counted", 0)
	p.faults.set(func(s *faultyStore) { s.read, s.erase = nil, errDisk })
	if err := p.Maintain(t.Context()); !errors.Is(err, errDisk) {
		t.Errorf("maintenance with a store that cannot erase: %v", err)
	}
	check("counted", 0)
	if _, n := m.first(); n != all {
		t.Fatal("readings are gone")
	}
	// The store erased, and that could not be noted: the count stays.
	must(t, p.store.Erase(t.Context(), m.name, before))
	p.reopen()
	check("opened again", 1)
	at, left := m.first()
	if at.Unix() != before {
		t.Errorf("the first reading left is of %v", at)
	}
	if e := p.erasable(m.name); len(e.Past) != 1 || e.Past[0].Readings != int64(all-left) {
		t.Errorf("%d readings went, told are %+v", all-left, e.Past)
	}
}

// TestErasedDaysStayErased: what comes late for them is acknowledged, and not
// stored.
func TestErasedDaysStayErased(t *testing.T) {
	r := newRig(t, nil)
	c := r.company("north.example")
	m := c.keyed(1)
	r.clock.add(60 * day)
	if got := c.send(m.message(1, 1, steady(1, 90)...), m.message(1, 2, steady(96, 40)...)); join(got) != join([]wire.Verdict{wire.Durable, wire.Durable}) {
		t.Fatal(got)
	}
	before := start.Add(day).Unix() // quarter 96
	must(t, r.erase(t.Context(), m.name, before, false))
	for range 2 {
		got := c.send(m.message(1, 3, steady(40, 20)...), m.message(1, 4, steady(90, 10)...), m.message(1, 5, steady(136, 2)...))
		if join(got) != join([]wire.Verdict{wire.Durable, wire.Durable, wire.Durable}) {
			t.Fatal(got)
		}
		if at, n := m.first(); at.Unix() != before || n != 42 {
			t.Errorf("%d readings from %v on are stored", n, at)
		}
		r.reopen()
	}
}

// TestReceiptsLeaveErasedDaysOut: a meter is not asked for what was erased.
func TestReceiptsLeaveErasedDaysOut(t *testing.T) {
	r := newRig(t, nil)
	m := newReporter(r.company("north.example"), 1)
	var got []wire.Receipt
	got = append(got, m.sends(110, 10, 11, 12, 40)...)
	if len(got) == 0 || len(got[len(got)-1].Missing) != 2 {
		t.Fatalf("before erasing: %+v", got)
	}
	midnight := start.Add(day).Unix()
	must(t, r.erase(t.Context(), m.name, midnight, false))
	got = m.sends(100)
	if len(got) == 0 {
		t.Fatal("no receipt came")
	}
	for _, receipt := range got {
		if receipt.From < midnight || len(receipt.Missing) != 0 {
			t.Errorf("after erasing: from %d, missing %v", receipt.From, receipt.Missing)
		}
	}
}

func TestChosenErasure(t *testing.T) {
	for _, c := range []struct {
		name   string
		choice consumer.Choices
		later  time.Duration
		want   time.Time // of the first reading; zero for February's
	}{
		{"full", consumer.Choices{Profile: consumer.Full, NoCorrections: true}, 0, time.Time{}},
		{"totals", consumer.Choices{Profile: consumer.Totals}, 0, time.Date(2026, 4, 26, 0, 0, 0, 0, time.UTC)},
		{"3 months, final", consumer.Choices{Profile: consumer.Full, KeepMonths: 3, NoCorrections: true}, 45 * day, time.Date(2026, 3, 26, 0, 0, 0, 0, time.UTC)},
		{"3 months, not final", consumer.Choices{Profile: consumer.Full, KeepMonths: 3}, 0, time.Time{}},
		{"3 months, 401 days later", consumer.Choices{Profile: consumer.Full, KeepMonths: 3}, 401 * day, time.Date(2026, 4, 26, 0, 0, 0, 0, time.UTC)},
		{"13 months", consumer.Choices{Profile: consumer.Full, KeepMonths: 13, NoCorrections: true}, 322 * day, time.Date(2026, 2, 24, 0, 0, 0, 0, time.UTC)},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, m := billed(t)
			must(t, p.Consumers().Choose(t.Context(), m.name, c.choice))
			p.clock.add(c.later)
			for range 2 {
				must(t, p.Maintain(t.Context()))
			}
			want := c.want
			if want.IsZero() {
				want = month(p, 2)
			}
			if at, _ := m.first(); !at.Equal(want) {
				t.Errorf("the first reading left is of %v, want %v", at.UTC(), want.UTC())
			}
			e := p.erasable(m.name)
			if len(e.Past) != map[bool]int{true: 0, false: 1}[c.want.IsZero()] || len(e.Past) == 1 && !e.Past[0].Chosen {
				t.Errorf("told are %+v", e.Past)
			}
		})
	}
}

func TestChoices(t *testing.T) {
	p := newPortalRig(t)
	m := p.company.keyed(7).name
	ctx, c := t.Context(), p.Consumers()
	a := p.owned(m)
	got, err := c.Choices(ctx, m)
	if want := (consumer.Choices{Profile: consumer.Full}); err != nil || got != want {
		t.Errorf("before choosing: %+v, %v", got, err)
	}
	for _, want := range []consumer.Choices{
		{Profile: consumer.Totals, Groups: true},
		{Profile: consumer.Full, KeepMonths: 37, NoCorrections: true, Research: true},
	} {
		must(t, c.Choose(ctx, m, want))
		if got, err := c.Choices(ctx, m); err != nil || got != want {
			t.Errorf("chosen %+v, kept %+v, %v", want, got, err)
		}
	}
	for _, bad := range []consumer.Choices{{}, {Profile: "all"}, {Profile: consumer.Full, KeepMonths: 1}} {
		if err := c.Choose(ctx, m, bad); !errors.Is(err, consumer.BadRequest) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	meters, err := c.Meters(ctx, a)
	must(t, err)
	must(t, c.GiveUp(ctx, a, meters[0].Ref))
	if p.count("choices") != 0 {
		t.Error("choices outlive the claim")
	}
	if err := c.Choose(ctx, m, consumer.Choices{Profile: consumer.Totals}); err == nil {
		t.Error("choices of a meter in no account are kept")
	}
}

func TestFinallyBilled(t *testing.T) {
	all := func(billRow) bool { return true }
	row := func(from, to int64) billRow { return billRow{from: from, to: to} }
	for _, c := range []struct {
		bills  []billRow
		passed func(billRow) bool
		want   int64
	}{
		{nil, all, 0},
		{[]billRow{row(10, 20)}, all, 20},
		{[]billRow{row(10, 20), row(20, 30)}, all, 30},
		{[]billRow{row(10, 20), row(21, 30)}, all, 20},              // a gap
		{[]billRow{row(10, 30), row(15, 20), row(30, 40)}, all, 40}, // one within another
		{[]billRow{row(10, 20), row(20, 30), row(30, 40)}, func(b billRow) bool { return b.to <= 30 }, 30},
		{[]billRow{row(10, 20), row(20, 30), row(30, 40)}, func(b billRow) bool { return b.to != 20 }, 0},
		{[]billRow{row(10, 20), row(12, 15), row(20, 30)}, func(b billRow) bool { return b.to != 15 }, 20},
	} {
		if got := finallyBilled(c.bills, c.passed); got != c.want {
			t.Errorf("%v: got %d, want %d", c.bills, got, c.want)
		}
	}
	if got := erasableBefore(40 * 86400); got != 5*86400 || erasableBefore(35*86400-1) != 0 || erasableBefore(36*86400+86399) != 86400 {
		t.Errorf("erasable before %d", got)
	}
}

// TestFinalByItself: a bill without estimates is final, and so is any after 400
// days; what a bill may still be made of is not.
func TestFinalByItself(t *testing.T) {
	p := newPortalRig(t)
	p.clock.add(presently.Sub(start))
	complete, early := p.company.keyed(7), p.company.keyed(8)
	p.fill(complete.name, 4, quarter, month(p, 3), presently, nil)
	p.fill(early.name, 4, quarter, month(p, 2), presently, nil)
	p.bill(complete, 3)
	p.bill(early, 3)
	if e := p.erasable(complete.name); !e.Billed.Equal(month(p, 4)) {
		t.Errorf("a bill without estimates is final up to %v", e.Billed)
	}
	if e := p.erasable(early.name); !e.Billed.IsZero() {
		t.Errorf("with a month before that may be billed yet, final up to %v", e.Billed)
	}
	p.bill(early, 2)
	if e := p.erasable(early.name); !e.Billed.Equal(month(p, 4)) {
		t.Errorf("with that month billed, final up to %v", e.Billed)
	}
	p, m := billed(t)
	p.clock.add(400 * day)
	if e := p.erasable(m.name); !e.Billed.IsZero() {
		t.Errorf("on the 400th day after they were made, bills are final up to %v", e.Billed)
	}
	p.clock.add(time.Second)
	if e := p.erasable(m.name); !e.Billed.Equal(month(p, 6)) {
		t.Errorf("after 400 days, bills are final up to %v", e.Billed)
	}
}

// TestNoCorrections: who wants none gets neither a correction nor a difference
// carried into the next bill, where others do.
func TestNoCorrections(t *testing.T) {
	for _, wanted := range []bool{true, false} {
		p, m := billed(t)
		if n := p.count("bills WHERE open = 1"); n != 4 {
			t.Fatalf("%d bills may be corrected: this looks at nothing", n)
		}
		must(t, p.Consumers().Choose(t.Context(), m.name, consumer.Choices{Profile: consumer.Full, NoCorrections: !wanted}))
		p.clock.add(50 * day)
		p.fill(m.name, 4, quarter, month(p, 2), p.clock.Now(), func(at int64) bool { // what was missing comes late
			return at <= presently.Unix() && !someMissing(at)
		})
		keys, err := p.BillKeys()
		must(t, err)
		june, err := bill.Verify(p.bill(m, 6), keys)
		must(t, err)
		if n := p.count("bills WHERE correction = 1"); (n > 0 || june.Bill.Carries != "") != wanted {
			t.Errorf("corrections wanted %v: %d were made, carried is %q", wanted, n, june.Bill.Carries)
		}
	}
}

// TestErasedBillsAreClosed: bills whose readings are erased are not computed
// again, whatever is chosen later.
func TestErasedBillsAreClosed(t *testing.T) {
	p, m := billed(t)
	c := p.Consumers()
	must(t, c.Choose(t.Context(), m.name, consumer.Choices{Profile: consumer.Full, NoCorrections: true}))
	must(t, c.Erase(t.Context(), m.name, time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)))
	must(t, c.Choose(t.Context(), m.name, consumer.Choices{Profile: consumer.Full}))
	// April's bill looks at most 35 days back from its start, 24 February.
	if n, left := p.count("bills WHERE open = 1 AND from_second < ?", month(p, 5).Unix()), p.count("bills WHERE open = 1"); n != 0 || left != 1 {
		t.Errorf("%d bills that need erased readings may be corrected, and %d in all", n, left)
	}
}

func TestLinks(t *testing.T) {
	p := newPortalRig(t)
	m, other := p.company.keyed(7).name, p.company.keyed(8).name
	ctx, c := t.Context(), p.Consumers()
	a := p.owned(m)
	p.owned(other)
	now := p.clock.Now()
	link := func(m wattveil.Meter, ends time.Duration) consumer.Token {
		token := consumer.NewToken()
		must(t, c.AddLink(ctx, m, token.Hash(), consumer.Link{From: now.AddDate(0, 0, -7), To: now, Ends: now.Add(ends)}))
		return token
	}
	gone := func(name string, token consumer.Token) {
		t.Helper()
		if _, _, err := c.Linked(ctx, token.Hash()); !errors.Is(err, consumer.LinkOver) {
			t.Errorf("%s: %v", name, err)
		}
	}
	week, short, others := link(m, 7*day), link(m, day), link(other, day)
	got, l, err := c.Linked(ctx, week.Hash())
	if err != nil || got != m || !l.From.Equal(now.AddDate(0, 0, -7)) || !l.To.Equal(now) || !l.Ends.Equal(now.Add(7*day)) {
		t.Errorf("linked are %v %+v, %v", got, l, err)
	}
	gone("no link", consumer.NewToken())
	list, err := c.Links(ctx, m)
	if err != nil || len(list) != 2 || !list[0].Ends.Equal(now.Add(day)) {
		t.Fatalf("%d links, %v", len(list), err)
	}
	must(t, c.Revoke(ctx, other, list[1].Ref)) // another meter's: nothing happens
	must(t, c.Revoke(ctx, m, list[1].Ref))
	gone("revoked", week)
	if _, _, err := c.Linked(ctx, short.Hash()); err != nil {
		t.Errorf("the other link: %v", err)
	}
	p.clock.add(day)
	gone("over", short)
	gone("over", others)
	must(t, p.Maintain(ctx))
	if p.count("links") != 0 {
		t.Error("links that are over are kept")
	}
	now = p.clock.Now()
	for range consumer.MaxLinks {
		week = link(m, day)
	}
	err = c.AddLink(ctx, m, consumer.NewToken().Hash(), consumer.Link{From: now, To: now.Add(day), Ends: now.Add(day)})
	if !errors.Is(err, consumer.TooMany) {
		t.Errorf("one link too many: %v", err)
	}
	meters, err := c.Meters(ctx, a)
	must(t, err)
	must(t, c.GiveUp(ctx, a, meters[0].Ref))
	gone("given up", week)
}

// TestIntervalsAreTheStores: what is exported is what the registers say, to the
// Wh, with costs that add up to those that are shown.
func TestIntervalsAreTheStores(t *testing.T) {
	p := newPortalRig(t)
	p.clock.add(presently.Sub(start))
	m := p.company.keyed(7).name
	from, to := month(p, 3), month(p, 4) // the clock changes in it
	hole := from.AddDate(0, 0, 3)
	p.fill(m, 4, quarter, hole, to, func(at int64) bool { return at/900%50 < 3 && at > hole.Unix() && at < to.Unix() })
	var list []consumer.Interval
	must(t, p.Consumers().Intervals(t.Context(), m, from, to, func(i *consumer.Interval) error {
		list = append(list, *i)
		return nil
	}))
	u := p.asUsed(m, from, to, consumer.Own)
	known := slices.DeleteFunc(slices.Clone(u.Buckets), func(b consumer.Bucket) bool { return !b.Known() })
	if len(list) != len(known) || len(list) != int(to.Sub(hole)/(quarter*time.Second)) {
		t.Fatalf("%d intervals, %d are shown", len(list), len(known))
	}
	for n, i := range list {
		b := known[n]
		if i.Start != b.Start || i.End != b.End || i.Import != b.Import || i.Export != b.Export || i.Estimated() != (b.Estimated > 0) || !i.Costed || i.ImportCost.Add(i.ExportCost).Cmp(b.Cost) != 0 {
			t.Fatalf("interval %d differs from what is shown", n)
		}
	}
	stop := errors.New("stop")
	n := 0
	err := p.Consumers().Intervals(t.Context(), m, from, to, func(*consumer.Interval) error { n++; return stop })
	if !errors.Is(err, stop) || n != 1 {
		t.Errorf("after a refusal: %d intervals, %v", n, err)
	}
	var times []int64
	must(t, p.Consumers().Readings(t.Context(), m, from, to, func(_ wattveil.Series, r wattveil.Reading) error {
		times = append(times, r.Time)
		return nil
	}))
	f, err := p.store.Read(t.Context(), m, from.Unix(), to.Unix())
	must(t, err)
	if len(times) != len(f.Runs[0].Readings) || times[len(times)-1] != to.Unix() || !slices.IsSorted(times) {
		t.Errorf("%d registers of %d", len(times), len(f.Runs[0].Readings))
	}
}

func TestEvents(t *testing.T) {
	p := newPortalRig(t)
	p.clock.add(presently.Sub(start))
	c := p.company
	m := c.keyed(7)
	noon := time.Date(2026, 6, 16, 12, 0, 0, 0, time.UTC)
	at := func(minutes int, status wattveil.Status) wattveil.Reading {
		return wattveil.Reading{Time: noon.Add(time.Duration(minutes) * time.Minute).Unix(), Import: wattveil.Register(10_000 + minutes), Status: status}
	}
	var night []wattveil.Reading // the clock is wrong over midnight
	for n := 0; n <= 16*60; n += 15 {
		status := wattveil.Status(0)
		if n >= 11*60 && n <= 13*60 {
			status = wattveil.StatusClock
		}
		night = append(night, at(n, status))
	}
	night[3].Status, night[9].Status, night[5].Status = wattveil.StatusRestart, wattveil.StatusRestart, wattveil.StatusTamper
	for n, r := range night {
		c.send(m.message(1, wattveil.Counter(n+1), r))
	}
	again := at(30, 0)
	again.Import++
	c.send(m.message(1, 100, again))
	got, err := p.Consumers().Events(t.Context(), m.name)
	must(t, err)
	var told []string
	for _, e := range got {
		told = append(told, fmt.Sprintf("%s %s %d %t", e.Kind, e.At.Sub(noon), e.Count, e.Until.Equal(noon.Add(13*time.Hour))))
	}
	want := []string{"keys 24h20m0s 0 false", "clock 11h0m0s 0 true", "tamper 1h15m0s 1 false", "restart 45m0s 2 false", "conflict 30m0s 1 false"}
	if !slices.Equal(told, want) {
		t.Errorf("told are %q, want %q", told, want)
	}
}

func TestInsightsOfTheStore(t *testing.T) {
	p := newPortalRig(t)
	p.clock.add(presently.Sub(start))
	m := p.company.keyed(7).name
	from, to := presently.AddDate(0, 0, -91).Truncate(24*time.Hour), presently.Truncate(24*time.Hour)
	skipped := from.AddDate(0, 0, 20)
	p.fill(m, 4, quarter, from, presently, func(at int64) bool { return at > skipped.Unix() && at < skipped.AddDate(0, 0, 2).Unix() })
	got, err := p.Consumers().Insights(t.Context(), m, from, to)
	must(t, err)
	if got.Of != 91*day || got.Measured != 89*day || !got.Base.Known || got.Base.Power <= 0 || !got.Peak.Known || got.Compared < 60 {
		t.Errorf("measured %v of %v, %+v, %d days compared", got.Measured, got.Of, got.Base, got.Compared)
	}
}
