package ttp

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/consumer"
	"github.com/wattveil/wattveil/readings"
)

// claimed puts a meter into a new account.
func (p *portalRig) claimed(m wattveil.Meter) consumer.Account {
	p.t.Helper()
	a := consumer.NewAccount()
	_, err := p.Consumers().NewAccount(p.t.Context(), consumer.Passkey{Account: a, ID: a[:], PublicKey: []byte{1}}, m, false)
	must(p.t, err)
	return a
}

// hourly stores readings of a meter that uses what a function says in each
// hour.
func (p *portalRig) hourly(m wattveil.Meter, from, to time.Time, use func(at time.Time) wattveil.Wh) {
	p.t.Helper()
	p.feeding(m, from, to, func(at time.Time) (imported, exported wattveil.Wh) { return use(at), 0 })
}

// feeding is hourly for a meter that feeds in, too.
func (p *portalRig) feeding(m wattveil.Meter, from, to time.Time, use func(at time.Time) (imported, exported wattveil.Wh)) {
	p.t.Helper()
	var list []wattveil.Reading
	var r wattveil.Reading
	for at := from; !at.After(to); at = at.Add(time.Hour) {
		r.Time = at.Unix()
		list = append(list, r)
		imported, exported := use(at)
		r.Import, r.Export = r.Import.Add(imported), r.Export.Add(exported)
	}
	must(p.t, p.store.Append(context.Background(), []readings.Block{{Meter: m, Epoch: 1, Counter: 1 << 20, Series: 1, Readings: list}}))
}

func (p *portalRig) alertsOf(m wattveil.Meter) consumer.Alerts {
	p.t.Helper()
	a, err := p.Consumers().Alerts(p.t.Context(), m)
	must(p.t, err)
	return a
}

func (p *portalRig) setAlert(m wattveil.Meter, kind consumer.AlertKind, limit int64) {
	p.t.Helper()
	must(p.t, p.Consumers().SetAlert(p.t.Context(), m, kind, limit))
}

func TestAlertsAreRaised(t *testing.T) {
	p := newPortalRig(t)
	p.clock.add(presently.Sub(start))
	m := p.company.keyed(7).name
	p.claimed(m)
	set := time.Date(2026, 6, 12, 15, 30, 0, 0, p.zone)
	busy := time.Date(2026, 6, 14, 18, 0, 0, 0, p.zone)
	p.clock.add(set.Sub(presently))
	p.setAlert(m, consumer.AlertDay, 12_000)
	p.setAlert(m, consumer.AlertHour, 2_000)
	p.setAlert(m, consumer.AlertBase, 50)
	p.setAlert(m, consumer.AlertSilent, 12)
	p.clock.add(presently.Sub(set))
	// 500 Wh an hour are 12 kWh a day: not more than the limit. One hour is
	// busy, and on the 16th all hours are.
	p.hourly(m, time.Date(2026, 5, 1, 0, 0, 0, 0, p.zone), presently.Truncate(time.Hour), func(at time.Time) wattveil.Wh {
		switch {
		case at.Equal(busy):
			return 2_001
		case at.In(p.zone).Format(time.DateOnly) == "2026-06-16":
			return 760
		case at.Equal(set.Add(-150 * time.Minute)): // before the alerts were set
			return 9_000
		default:
			return 500
		}
	})
	want := []consumer.Raised{
		{Kind: consumer.AlertBase, At: time.Date(2026, 6, 16, 0, 0, 0, 0, p.zone), Limit: 50, Value: 52},
		{Kind: consumer.AlertDay, At: time.Date(2026, 6, 16, 0, 0, 0, 0, p.zone), Limit: 12_000, Value: 24 * 760},
		{Kind: consumer.AlertHour, At: busy, Limit: 2_000, Value: 2_001},
		{Kind: consumer.AlertDay, At: time.Date(2026, 6, 14, 0, 0, 0, 0, p.zone), Limit: 12_000, Value: 23*500 + 2_001},
		{Kind: consumer.AlertDay, At: time.Date(2026, 6, 12, 0, 0, 0, 0, p.zone), Limit: 12_000, Value: 23*500 + 9_000},
	}
	holdRaised(t, p.alertsOf(m).Raised, want)
	holdRaised(t, p.alertsOf(m).Raised, want) // nothing is raised twice

	p.clock.add(13 * time.Hour)
	must(t, p.Maintain(t.Context()))
	if n := p.count("raised_alerts WHERE kind = 'silent'"); n != 1 {
		t.Errorf("after 13 silent hours maintenance raised %d", n)
	}
	p.clock.add(time.Hour)
	must(t, p.Maintain(t.Context()))
	if n := p.count("raised_alerts WHERE kind = 'silent'"); n != 1 {
		t.Errorf("one silence was raised %d times", n)
	}
}

// TestAlertOfANightsBaseLoad: panels carry the base load by day, so that it is
// looked for at night, as the page of insights does.
func TestAlertOfANightsBaseLoad(t *testing.T) {
	p := newPortalRig(t)
	p.clock.add(presently.Sub(start))
	m := p.company.keyed(7).name
	p.claimed(m)
	set := time.Date(2026, 6, 12, 12, 0, 0, 0, p.zone)
	p.clock.add(set.Sub(presently))
	p.setAlert(m, consumer.AlertBase, 50)
	p.clock.add(presently.Sub(set))
	p.feeding(m, time.Date(2026, 5, 1, 0, 0, 0, 0, p.zone), presently.Truncate(time.Hour), func(at time.Time) (imported, exported wattveil.Wh) {
		switch local := at.In(p.zone); {
		case local.Hour() >= 6 && local.Hour() < 22:
			return 0, 900
		case local.Format(time.DateOnly) == "2026-06-16":
			return 200, 0
		default:
			return 120, 0
		}
	})
	holdRaised(t, p.alertsOf(m).Raised, []consumer.Raised{{Kind: consumer.AlertBase, At: time.Date(2026, 6, 16, 0, 0, 0, 0, p.zone), Limit: 50, Value: 66}})
}

func holdRaised(t *testing.T, got, want []consumer.Raised) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d raised, want %d", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		g, w := got[i], want[i]
		if g.Kind != w.Kind || !g.At.Equal(w.At) || g.Limit != w.Limit || g.Value != w.Value {
			t.Errorf("raised %d: %v, want %v", i, g, w)
		}
	}
}

func TestAlertsWaitForReadings(t *testing.T) {
	p := newPortalRig(t)
	p.clock.add(presently.Sub(start))
	m := p.company.keyed(7).name
	p.claimed(m)
	p.setAlert(m, consumer.AlertSilent, 5)
	p.setAlert(m, consumer.AlertHour, 100)
	if list := p.alertsOf(m).Raised; len(list) != 0 {
		t.Errorf("a meter without readings has raised %v at once", list)
	}
	p.clock.add(6 * time.Hour)
	if list := p.alertsOf(m).Raised; len(list) != 1 || list[0].Kind != consumer.AlertSilent || !list[0].At.Equal(presently) {
		t.Errorf("after 6 hours without readings: %v", list)
	}
	// A gap is measured in sum: which of its hours was over the limit is not known.
	must(t, p.store.Append(context.Background(), []readings.Block{{Meter: m, Epoch: 1, Counter: 1 << 20, Series: 1, Readings: []wattveil.Reading{
		{Time: presently.Truncate(time.Hour).Unix()}, {Time: presently.Truncate(time.Hour).Unix() + 3600, Import: wattveil.Register(50)},
		{Time: presently.Truncate(time.Hour).Unix() + 4*3600, Import: wattveil.Register(5_000)},
	}}}))
	for _, r := range p.alertsOf(m).Raised {
		if r.Kind == consumer.AlertHour {
			t.Errorf("an estimated hour was raised: %v", r)
		}
	}
}

func TestAlertsGoWithTheMeter(t *testing.T) {
	p := newPortalRig(t)
	p.clock.add(presently.Sub(start))
	m := p.company.keyed(7).name
	a := p.claimed(m)
	p.setAlert(m, consumer.AlertSilent, 1)
	p.clock.add(2 * time.Hour)
	if unread := p.meterOf(a).Unread; len(p.alertsOf(m).Raised) != 1 || unread != 0 || p.meterOf(a).Unread != 1 {
		t.Error("what was raised is not unread")
	}
	must(t, p.Consumers().MarkAlerts(t.Context(), m))
	if p.meterOf(a).Unread != 0 || !p.alertsOf(m).Raised[0].Read {
		t.Error("what was marked as read is unread")
	}
	p.clock.add(91 * 24 * time.Hour)
	p.setAlert(m, consumer.AlertSilent, 0)
	p.setAlert(m, consumer.AlertDay, 5000)
	must(t, p.Maintain(t.Context()))
	if n := p.count("raised_alerts"); n != 0 {
		t.Errorf("%d are kept after 90 days", n)
	}
	must(t, p.Consumers().GiveUp(t.Context(), a, p.meterOf(a).Ref))
	if n := p.count("alerts"); n != 0 {
		t.Errorf("%d alerts are kept of a meter that was given up", n)
	}
	for _, c := range []struct {
		kind  consumer.AlertKind
		limit int64
	}{{"year", 1}, {consumer.AlertDay, 99}, {consumer.AlertSilent, 721}, {consumer.AlertBase, -1}} {
		if err := p.Consumers().SetAlert(t.Context(), m, c.kind, c.limit); !errors.Is(err, consumer.BadRequest) {
			t.Errorf("alert %s of %d: %v", c.kind, c.limit, err)
		}
	}
	if err := p.Consumers().SetAlert(t.Context(), m, consumer.AlertDay, 5000); err == nil {
		t.Error("an alert was set for a meter in no account")
	}
}

// meterOf is the only meter of an account.
func (p *portalRig) meterOf(a consumer.Account) consumer.Meter {
	p.t.Helper()
	list, err := p.Consumers().Meters(p.t.Context(), a)
	must(p.t, err)
	if len(list) != 1 {
		p.t.Fatalf("the account has %d meters", len(list))
	}
	return list[0]
}
