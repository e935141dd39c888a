package ttp

import (
	"context"
	"encoding/json"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/consumer"
	"github.com/wattveil/wattveil/rating"
	"github.com/wattveil/wattveil/tariff"
	"github.com/wattveil/wattveil/vee"
)

// asUsed asks for the use of a meter.
func (p *portalRig) asUsed(m wattveil.Meter, from, to time.Time, step consumer.Step) consumer.Use {
	p.t.Helper()
	u, err := p.Consumers().Use(p.t.Context(), m, consumer.Query{From: from, To: to, Step: step})
	must(p.t, err)
	return u
}

// TestUseAgreesInAllSteps: whatever the step, buckets follow each other, cover
// the period, and add up to the registers' difference and to one cost.
func TestUseAgreesInAllSteps(t *testing.T) {
	p := newPortalRig(t)
	p.clock.add(presently.Sub(start))
	m := p.company.keyed(7).name
	from := time.Date(2026, 3, 1, 0, 0, 0, 0, p.zone) // the clock changes in it
	to := from.AddDate(0, 1, 0)
	rng := rand.New(rand.NewPCG(1, 2))
	missing := make(map[int64]bool)
	for range 120 {
		missing[from.Unix()+900*(1+rng.Int64N(2900))] = true
	}
	p.fill(m, 4, quarter, from, to, func(at int64) bool { return missing[at] })
	f, err := p.store.Read(t.Context(), m, from.Unix(), to.Unix())
	must(t, err)
	r := f.Runs[0].Readings
	imp, exp := r[len(r)-1].Import.Since(r[0].Import), r[len(r)-1].Export.Since(r[0].Export)

	var cost *big.Rat
	for _, step := range []consumer.Step{consumer.Own, consumer.Seconds(3600), consumer.Seconds(1000), consumer.Day, consumer.Month} {
		u := p.asUsed(m, from, to, step)
		at := from.Unix()
		for _, b := range u.Buckets {
			if b.Start != at || b.End <= b.Start || b.Measured+b.Estimated+b.Missing+b.Later != b.End-b.Start {
				t.Fatalf("step %d: bucket from %d to %d follows %d, or its parts do not add up", step, b.Start, b.End, at)
			}
			at = b.End
		}
		if at != to.Unix() || int64(u.Total.Import) != int64(imp) || int64(u.Total.Export) != int64(exp) || u.Total.Missing != 0 {
			t.Errorf("step %d: buckets end at %d, energies differ from the registers, or %d s are missing", step, at, u.Total.Missing)
		}
		if u.Total.Estimated < 120*900 || !u.Total.Costed {
			t.Errorf("step %d: %d s are estimated, costed %v", step, u.Total.Estimated, u.Total.Costed)
		}
		sum := new(big.Rat)
		for _, b := range u.Buckets {
			sum.Add(sum, b.Cost.Rat())
		}
		if cost == nil {
			cost = sum
		}
		if sum.Cmp(cost) != 0 || sum.Cmp(u.Total.Cost.Rat()) != 0 {
			t.Errorf("step %d: costs differ", step)
		}
	}
}

// TestUseIsWhatIsBilled: the bands' energies are those of a bill by the same
// tariff, and the intervals those of package vee.
func TestUseIsWhatIsBilled(t *testing.T) {
	p := newPortalRig(t)
	p.clock.add(presently.Sub(start))
	m := p.company.keyed(7).name
	from := time.Date(2026, 5, 4, 0, 0, 0, 0, p.zone)
	to := from.AddDate(0, 0, 14)
	p.fill(m, 6, quarter, from, to, func(at int64) bool { return at/900%7 == 3 && at > from.Unix()+86400 && at < to.Unix()-86400 })
	u := p.asUsed(m, from, to, consumer.Own)
	f, err := p.store.Read(t.Context(), m, from.Unix(), to.Unix())
	must(t, err)
	edited, err := vee.Edit([]vee.Run{vee.Run(f.Runs[0])}, quarter, from.Unix(), to.Unix(), vee.Options{Zone: p.zone})
	must(t, err)
	list, err := edited.ForBill(nil, quarter)
	must(t, err)
	for i, b := range u.Buckets {
		if b.Start != list[i].Start || b.Import != list[i].Import || b.Export != list[i].Export || (b.Estimated > 0) != edited.Intervals[i].Quality.Estimated() {
			t.Fatalf("interval %d differs from what package vee gives", i)
		}
	}
	terms, err := p.Consumers().tariffOf(t.Context(), m, from, to)
	must(t, err)
	rated, err := rating.Rate(terms, list, from, to)
	must(t, err)
	for i, e := range rated.Energy {
		if s := u.Total.Shares[i]; u.Bands[s.Band].Name != e.Band || s.Import != e.Import || s.Export != e.Export {
			t.Errorf("band %s differs from the bill's", e.Band)
		}
	}
}

func TestUseOfTheUnknown(t *testing.T) {
	p := newPortalRig(t)
	p.clock.add(presently.Sub(start))
	m := p.company.keyed(7).name
	day := time.Date(2026, 6, 16, 0, 0, 0, 0, p.zone)
	u := p.asUsed(m, day, day.AddDate(0, 0, 1), consumer.Own)
	if u.Total.Known() || u.Total.Missing != 24*3600 || u.Total.Costed || u.Resolution != 0 {
		t.Error("a meter without readings has a use")
	}
	// What is still to come, and what may be on its way, is not missing.
	p.fill(m, 4, quarter, day.AddDate(0, 0, -3), presently.Add(-40*time.Minute), nil)
	u = p.asUsed(m, day.AddDate(0, 0, 1), day.AddDate(0, 0, 2), consumer.Own)
	if u.Total.Missing != 0 || u.Total.Later != day.AddDate(0, 0, 2).Unix()-presently.Add(-50*time.Minute).Unix() {
		t.Errorf("today %d s are missing and %d s still to come", u.Total.Missing, u.Total.Later)
	}
	p.clock.add(6 * time.Hour)
	u = p.asUsed(m, day.AddDate(0, 0, 1), day.AddDate(0, 0, 2), consumer.Own)
	if u.Total.Missing < 5*3600 {
		t.Errorf("after 6 silent hours %d s are missing", u.Total.Missing)
	}
	// A meter that never was, and a period that makes no sense.
	if _, err := p.Consumers().Use(context.Background(), m, consumer.Query{From: day, To: day}); err == nil {
		t.Error("an empty period has a use")
	}
	if _, err := p.Consumers().Use(context.Background(), m, consumer.Query{From: day.AddDate(-20, 0, 0), To: day, Step: consumer.Own}); err == nil {
		t.Error("20 years have a use by the interval")
	}
}

// TestUseOfTenYears: a long period is read in parts.
func TestUseOfTenYears(t *testing.T) {
	p := newPortalRig(t)
	p.clock.add(presently.Sub(start))
	m := p.company.keyed(7).name
	from := time.Date(2016, 1, 1, 0, 0, 0, 0, p.zone)
	p.fill(m, 4, 3600, from, presently, nil)
	u := p.asUsed(m, from, from.AddDate(11, 0, 0), consumer.Month)
	if len(u.Buckets) != 132 || u.Total.Missing != 0 || u.Total.Measured < 10*365*24*3600 {
		t.Errorf("%d months, %d s missing, %d s measured", len(u.Buckets), u.Total.Missing, u.Total.Measured)
	}
}

func TestStanding(t *testing.T) {
	p := newPortalRig(t)
	c := p.company
	m := c.keyed(7)
	s, err := p.Consumers().Standing(t.Context(), m.name)
	must(t, err)
	if !s.LastReading.IsZero() || s.Confirmed || s.Epoch != 1 || len(s.Fingerprint) != 64 || s.Zone.String() != "Europe/Zurich" {
		t.Errorf("a new meter stands as %+v", s)
	}
	p.clock.add(26 * time.Hour)
	c.send(m.message(1, 1, steady(1, 60)...))
	c.send(m.message(1, 2, steady(64, 36)...)) // the first receipt names a gap
	s, err = p.Consumers().Standing(t.Context(), m.name)
	must(t, err)
	if !s.LastReading.Equal(start.Add(99*quarter*time.Second)) || s.Resolution != quarter || s.Receipt.IsZero() {
		t.Errorf("last reading %v every %v, receipt %v", s.LastReading, s.Resolution, s.Receipt)
	}
	p.wantProved(m.code(1), m)
	if s, err = p.Consumers().Standing(t.Context(), m.name); err != nil || !s.Confirmed {
		t.Errorf("a claimed meter is not confirmed: %v", err)
	}
}

// TestUseWhereDaysBeginOffTheGrid: an hourly meter whose days begin at half
// past counts no hour twice where what is read at once ends.
func TestUseWhereDaysBeginOffTheGrid(t *testing.T) {
	p := newPortalRig(t)
	p.clock.add(presently.Sub(start))
	other := p.rig.company("monsoon.example")
	terms, err := tariff.Builtin("Asia/Kolkata")
	must(t, err)
	document, err := json.Marshal(terms)
	must(t, err)
	_, err = p.handleTariff(t.Context(), other.number, document)
	must(t, err)
	m := other.keyed(7).name
	first := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
	p.fill(m, 4, 3600, first, presently, nil)
	from := time.Date(2026, 2, 1, 6, 0, 0, 0, time.UTC)
	to := time.Date(2026, 5, 20, 6, 0, 0, 0, time.UTC)
	u := p.asUsed(m, from, to, consumer.Own)
	f, err := p.store.Read(t.Context(), m, from.Unix(), to.Unix())
	must(t, err)
	r := f.Runs[0].Readings
	if got, want := int64(u.Total.Import), int64(r[len(r)-1].Import.Since(r[0].Import)); got != want {
		t.Errorf("%d Wh in all, the registers say %d", got, want)
	}
}
