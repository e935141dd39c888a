package ttp

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/consumer"
	"github.com/wattveil/wattveil/rating"
	"github.com/wattveil/wattveil/tariff"
)

// register registers a tariff like the builtin one, with what a caller changes.
func (p *portalRig) register(change func(*tariff.Document)) *tariff.Tariff {
	p.t.Helper()
	builtin, err := tariff.Builtin(p.zone.String())
	must(p.t, err)
	doc := builtin.Document()
	change(&doc)
	terms, err := tariff.New(doc)
	must(p.t, err)
	document, err := terms.MarshalJSON()
	must(p.t, err)
	_, err = p.handleTariff(p.t.Context(), p.company.number, document)
	must(p.t, err)
	return terms
}

// registerSeasons registers a tariff that has most of what a tariff can have.
func (p *portalRig) registerSeasons() {
	p.t.Helper()
	weekdays := []string{"mon", "tue", "wed", "thu", "fri"}
	p.register(func(d *tariff.Document) {
		d.ID = "seasons"
		d.Seasons = map[string][]tariff.Dates{"winter": {{From: "10-01", To: "03-31"}}}
		d.Holidays = &tariff.Holidays{Calendar: "CH"}
		d.Energy = tariff.Energy{
			Bands: map[string]tariff.Band{
				"high": {Tiers: []tariff.Tier{{Import: "0.2950", UpToKWh: "150"}, {Import: "0.3350"}}, Export: "0.0800"},
				"low":  {Import: "0.2010", Export: "0.0600"},
			},
			Default: "low",
			Windows: []tariff.Window{
				{Band: "high", Days: weekdays, Seasons: []string{"winter"}, From: "06:00", To: "22:00"},
				{Band: "high", Days: weekdays, From: "17:00", To: "20:00"},
			},
		}
		d.Charges = []tariff.ChargeTerms{{Kind: "grid", Name: "network", PerKWh: "0.0850"}, {Kind: "levy", Name: "renewables", PerKWh: "0.0230"}}
		d.Demand = []tariff.DemandTerms{{Name: "power", Minutes: 15, PerKW: "1.20"}}
	})
}

// billed asks for a bill and gives its total.
func (p *portalRig) billed(m *smart, terms string, from, to time.Time) string {
	p.t.Helper()
	answers, _, err := p.company.bills(terms, from, to, m.name.Pseudonym.String())
	must(p.t, err)
	if answers[0].Class != "" {
		p.t.Fatalf("no bill by %s from %v: %s", terms, from, answers[0].Class)
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(answers[0].JWS, ".")[1])
	must(p.t, err)
	var content bill.Bill
	must(p.t, json.Unmarshal(payload, &content))
	return content.Total
}

// measured are the intervals between the readings of a meter without gaps.
func (p *portalRig) measured(m *smart, from, to time.Time) (list []wattveil.Interval) {
	p.t.Helper()
	f, err := p.store.Read(p.t.Context(), m.name, from.Unix(), to.Unix())
	must(p.t, err)
	r := f.Runs[0].Readings
	for i := 1; i < len(r); i++ {
		list = append(list, wattveil.Interval{
			Start: r[i-1].Time, End: r[i].Time, Import: r[i].Import.Since(r[i-1].Import), Export: r[i].Export.Since(r[i-1].Export),
		})
	}
	return list
}

func TestOffersAreWhatIsBilled(t *testing.T) {
	p := newPortalRig(t)
	m, twin := p.company.keyed(7), p.company.keyed(8)
	from := time.Date(2026, 4, 1, 0, 0, 0, 0, p.zone)
	to := time.Date(2026, 5, 1, 0, 0, 0, 0, p.zone)
	for _, same := range []*smart{m, twin} {
		p.fill(same.name, 5, quarter, from.AddDate(0, -1, 10), presently, nil)
	}
	p.register(func(d *tariff.Document) {
		d.ID, d.Energy.Windows, d.Energy.Bands = "flat", nil, map[string]tariff.Band{"night": {Import: "0.25"}}
	})
	p.register(func(d *tariff.Document) { d.ID, d.ValidFrom = "later", "2026-04-16" })
	p.register(func(d *tariff.Document) { d.ID, d.ValidFrom, d.Replaces = "next", "2026-04-16", "flat" })
	p.clock.add(presently.Sub(start))
	offers, err := p.Consumers().Offers(t.Context(), m.name, from, to)
	must(t, err)
	if !offers.From.Equal(from) || !offers.To.Equal(to) || offers.Missing != 0 || offers.Estimated != 0 || len(offers.List) != 4 {
		t.Fatalf("%d offers for %v to %v, %d s missing", len(offers.List), offers.From, offers.To, offers.Missing)
	}
	due := make(map[string]consumer.Due)
	for _, o := range offers.List {
		due[o.Terms.ID()] = o.Due
		if o.Yours {
			t.Errorf("tariff %s is the meter's before any bill", o.Terms.ID())
		}
	}
	for id, one := range map[string]*smart{"wattveil-three-band": twin, "flat": m} {
		if got, want := due[id].Total.String(), p.billed(one, id, from, to); got != want {
			t.Errorf("by %s the offer is %s, the bill %s", id, got, want)
		}
	}
	if due["later"].Fault != consumer.NotValid {
		t.Errorf("a tariff that begins in the middle of the span: %q", due["later"].Fault)
	}
	if change := time.Date(2026, 4, 16, 0, 0, 0, 0, p.zone); due["next"].Total.String() != p.sumOfParts(m, from, change, to) {
		t.Error("a tariff and the one that it replaces do not each price their part")
	}
	offers, err = p.Consumers().Offers(t.Context(), m.name, from, to)
	must(t, err)
	for _, o := range offers.List {
		if o.Yours != (o.Terms.ID() == "flat") { // of the newest bill
			t.Errorf("tariff %s is the meter's: %v", o.Terms.ID(), o.Yours)
		}
	}
}

// sumOfParts rates by "flat" to a time and by "next" from it on.
func (p *portalRig) sumOfParts(m *smart, from, change, to time.Time) string {
	p.t.Helper()
	var sum tariff.Decimal
	for _, part := range []struct {
		id       string
		from, to time.Time
	}{{"flat", from, change}, {"next", change, to}} {
		terms, err := p.tariff(p.t.Context(), p.company.number, part.id)
		must(p.t, err)
		rated, err := rating.Rate(terms.Tariff, p.measured(m, part.from, part.to), part.from, part.to)
		must(p.t, err)
		total, err := tariff.ParseDecimal(rated.Total)
		must(p.t, err)
		sum = sum.Add(total)
	}
	return sum.String()
}

func TestOffersWithGapsAndWithout(t *testing.T) {
	p := newPortalRig(t)
	p.clock.add(presently.Sub(start))
	m := p.company.keyed(7)
	first := time.Date(2026, 5, 10, 9, 0, 0, 0, p.zone)
	gap := time.Date(2026, 5, 20, 6, 0, 0, 0, p.zone)
	p.fill(m.name, 5, quarter, first, presently, func(at int64) bool { return at > gap.Unix() && at < gap.Add(2*time.Hour).Unix() })
	offers, err := p.Consumers().Offers(t.Context(), m.name, first.AddDate(-1, 0, 0), time.Date(2026, 6, 1, 0, 0, 0, 0, p.zone))
	must(t, err)
	if !offers.From.Equal(first) || offers.Estimated != 7200 || offers.Missing != 0 || offers.List[0].Due.Fault != "" {
		t.Errorf("from %v, %d s estimated, %d s missing, fault %q", offers.From, offers.Estimated, offers.Missing, offers.List[0].Due.Fault)
	}
	offers, err = p.Consumers().Offers(t.Context(), p.company.keyed(8).name, first, presently)
	must(t, err)
	if offers.List[0].Due.Fault != consumer.NoEnergy || offers.From.Before(offers.To) {
		t.Errorf("a meter without readings: %q", offers.List[0].Due.Fault)
	}
}

func TestOutlook(t *testing.T) {
	p := newPortalRig(t)
	p.clock.add(presently.Sub(start))
	m := p.company.keyed(7)
	p.fill(m.name, 5, quarter, time.Date(2026, 3, 1, 0, 0, 0, 0, p.zone), presently, nil)
	out := p.outlookOf(m)
	june, july := time.Date(2026, 6, 1, 0, 0, 0, 0, p.zone), time.Date(2026, 7, 1, 0, 0, 0, 0, p.zone)
	until := presently.Truncate(15 * time.Minute)
	if out.Billed || !out.From.Equal(june) || !out.To.Equal(july) || !out.Until.Equal(until) {
		t.Errorf("without bills: %v to %v, known until %v", out.From, out.To, out.Until)
	}
	p.billed(m, "wattveil-three-band", time.Date(2026, 4, 1, 0, 0, 0, 0, p.zone), june.AddDate(0, -1, 0))
	out = p.outlookOf(m)
	if may := june.AddDate(0, -1, 0); !out.Billed || !out.From.Equal(may) || !out.To.Equal(july) { // May should be over: it goes on to the end of June
		t.Errorf("after April's bill: %v to %v", out.From, out.To)
	}
	p.billed(m, "wattveil-three-band", june.AddDate(0, -1, 0), june)
	out = p.outlookOf(m)
	if !out.From.Equal(june) || !out.To.Equal(july) {
		t.Errorf("after May's bill: %v to %v", out.From, out.To)
	}
	terms, err := p.tariff(t.Context(), p.company.number, "wattveil-three-band")
	must(t, err)
	rated, err := rating.Rate(terms.Tariff, p.measured(m, june, until), june, until)
	must(t, err)
	if out.SoFar.Total.String() != rated.Total || out.Import != rated.ImportWh || len(out.SoFar.Lines) != len(rated.Lines) {
		t.Errorf("so far %v, rated %v", out.SoFar.Total, rated.Total)
	}
	if !out.Forecast || out.Low.Total.Cmp(out.Mean.Total) >= 0 || out.Mean.Total.Cmp(out.Top.Total) >= 0 || out.SoFar.Total.Cmp(out.Low.Total) >= 0 {
		t.Errorf("forecast %v: %v, %v, %v", out.Forecast, out.Low.Total, out.Mean.Total, out.Top.Total)
	}
	holdDays(t, out)
}

func (p *portalRig) outlookOf(m *smart) consumer.Outlook {
	p.t.Helper()
	out, err := p.Consumers().Outlook(p.t.Context(), m.name)
	must(p.t, err)
	return out
}

// holdDays holds the days to the sums.
func holdDays(t *testing.T, out consumer.Outlook) {
	t.Helper()
	if len(out.Days) != 30 {
		t.Fatalf("June has %d days", len(out.Days))
	}
	var measured, mean int64
	for i, d := range out.Days {
		measured += int64(d.Measured)
		mean += int64(d.Mean)
		if past, today := i < 16, i == 16; d.Known != (past || today) || d.Missing || (d.Mean > 0) != !past || d.Low > d.Mean || d.Mean > d.Top {
			t.Errorf("day %d: known %v, missing %v, forecast %v", i+1, d.Known, d.Missing, d.Mean > 0)
		}
	}
	if measured != int64(out.Import) || measured+mean != int64(out.ImportMean) {
		t.Error("the days do not add up")
	}
}

func TestOutlookOfTheUnknown(t *testing.T) {
	p := newPortalRig(t)
	p.clock.add(presently.Sub(start))
	m := p.company.keyed(7)
	if out := p.outlookOf(m); out.SoFar.Fault != consumer.NoEnergy || out.Forecast {
		t.Errorf("without readings: %q", out.SoFar.Fault)
	}
	first := presently.Add(-30 * time.Hour).Truncate(time.Hour)
	p.fill(m.name, 5, quarter, first, presently, nil)
	out := p.outlookOf(m)
	if !out.From.Equal(first) || out.SoFar.Fault != "" || out.Forecast || out.Missing != 0 {
		t.Errorf("a new meter: from %v, %q, forecast %v, %d s missing", out.From, out.SoFar.Fault, out.Forecast, out.Missing)
	}
	p.register(func(d *tariff.Document) { d.ID = "second" })
	if out := p.outlookOf(m); out.SoFar.Fault != consumer.NoTariff || out.Import == 0 {
		t.Errorf("with two tariffs and no bill: %q", out.SoFar.Fault)
	}
}

func TestNextEnd(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Zurich")
	must(t, err)
	for _, c := range []struct{ name, from, to, now, want string }{
		{"a month", "2026-04-01", "2026-05-01", "2026-05-20", "2026-06-01"},
		{"a quarter", "2026-01-01", "2026-04-01", "2026-05-20", "2026-07-01"},
		{"a year", "2025-01-01", "2026-01-01", "2026-05-20", "2027-01-01"},
		{"30 days", "2026-03-10", "2026-04-09", "2026-04-20", "2026-05-09"},
		{"overdue", "2026-01-01", "2026-02-01", "2026-05-20", "2026-06-01"},
		{"part of a month", "2026-04-10", "2026-05-01", "2026-05-02", "2026-05-22"},
	} {
		at := func(s string) time.Time {
			day, err := time.ParseInLocation(time.DateOnly, s, zone)
			must(t, err)
			return day
		}
		if got := nextEnd(at(c.from), at(c.to), at(c.now)).Format(time.DateOnly); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}
