package tariff

import "encoding/json"

// Limits on the lists in a tariff.
const (
	maxBands         = 24
	maxWindows       = 256
	maxTiers         = 10
	maxSeasons       = 12
	maxRanges        = 12 // of one season
	maxDates         = 366
	maxCharges       = 32
	maxDemands       = 16
	maxDemandWindows = 64
	maxTaxes         = 8
	maxNotes         = 64
)

func (r *reader) document(raw json.RawMessage) Document {
	m := r.object("", raw)
	d := Document{
		ID:         m.text("id", required),
		Currency:   m.text("currency", required),
		Timezone:   m.text("timezone", required),
		ValidFrom:  m.text("valid_from", required),
		ValidTo:    m.text("valid_to", optional),
		Replaces:   m.text("replaces", optional),
		TaxPercent: m.text("tax_percent", optional),
	}
	if raw, ok := m.take("seasons", optional); ok {
		d.Seasons = r.seasons(m.at("seasons"), raw)
	}
	if raw, ok := m.take("holidays", optional); ok {
		d.Holidays = r.holidays(m.at("holidays"), raw)
	}
	if raw, ok := m.take("energy", required); ok {
		d.Energy = r.energy(m.at("energy"), raw)
	} else {
		r.unread = true
	}
	if raw, ok := m.take("standing", optional); ok {
		day, month := r.dayOrMonth(m.at("standing"), raw)
		d.Standing = &Standing{PerDay: day, PerMonth: month}
	}
	if raw, ok := m.take("minimum", optional); ok {
		day, month := r.dayOrMonth(m.at("minimum"), raw)
		d.Minimum = &Minimum{PerDay: day, PerMonth: month}
	}
	for i, raw := range m.list("charges", maxCharges, optional) {
		d.Charges = append(d.Charges, r.charge(index(m.at("charges"), i), raw))
	}
	for i, raw := range m.list("demand", maxDemands, optional) {
		d.Demand = append(d.Demand, r.demand(index(m.at("demand"), i), raw))
	}
	for i, raw := range m.list("taxes", maxTaxes, optional) {
		t := r.object(index(m.at("taxes"), i), raw)
		d.Taxes = append(d.Taxes, TaxTerms{
			Name: t.text("name", required), Percent: t.text("percent", required), On: t.texts("on", len(taxable()), optional),
		})
		t.end()
	}
	for i, raw := range m.list("notes", maxNotes, optional) {
		n := r.object(index(m.at("notes"), i), raw)
		d.Notes = append(d.Notes, Note{Member: n.text("member", required), Text: n.text("text", required)})
		n.end()
	}
	m.end()
	return d
}

func (r *reader) seasons(path string, raw json.RawMessage) map[string][]Dates {
	m := r.object(path, raw)
	seasons := make(map[string][]Dates, len(m.members))
	for _, name := range m.names() {
		ranges := []Dates{}
		for i, raw := range m.list(name, maxRanges, optional) {
			d := r.object(index(m.at(name), i), raw)
			ranges = append(ranges, Dates{From: d.text("from", required), To: d.text("to", required)})
			d.end()
		}
		seasons[name] = ranges
	}
	return seasons
}

func (r *reader) holidays(path string, raw json.RawMessage) *Holidays {
	m := r.object(path, raw)
	defer m.end()
	return &Holidays{
		Calendar: m.text("calendar", optional),
		When:     m.text("when", optional),
		Dates:    m.texts("dates", maxDates, optional),
		Except:   m.texts("except", maxDates, optional),
	}
}

func (r *reader) energy(path string, raw json.RawMessage) Energy {
	m := r.object(path, raw)
	e := Energy{Default: m.text("default", required)}
	if raw, ok := m.take("bands", required); ok {
		e.Bands = r.bands(m.at("bands"), raw)
	} else {
		r.unread = true
	}
	if raw, ok := m.take("windows", optional); ok {
		for i, raw := range r.array(m.at("windows"), raw, maxWindows) {
			e.Windows = append(e.Windows, r.window(index(m.at("windows"), i), raw))
		}
	}
	m.end()
	return e
}

func (r *reader) bands(path string, raw json.RawMessage) map[string]Band {
	m := r.object(path, raw)
	bands := make(map[string]Band, len(m.members))
	for _, name := range m.names() {
		raw, _ := m.take(name, required)
		b := r.object(m.at(name), raw)
		band := Band{
			Import: b.text("import", optional), ImportSeries: b.text("import_series", optional),
			Export: b.text("export", optional), ExportSeries: b.text("export_series", optional),
			TiersPer: b.text("tiers_per", optional),
		}
		for i, raw := range b.list("tiers", maxTiers, optional) {
			t := r.object(index(b.at("tiers"), i), raw)
			band.Tiers = append(band.Tiers, Tier{Import: t.text("import", required), UpToKWh: t.text("up_to_kwh", optional)})
			t.end()
		}
		bands[name] = band
		b.end()
	}
	return bands
}

func (r *reader) window(path string, raw json.RawMessage) Window {
	m := r.object(path, raw)
	w := Window{Band: m.text("band", required)}
	t := m.times()
	w.Days, w.From, w.Seasons, w.To = t.Days, t.From, t.Seasons, t.To
	m.end()
	return w
}

// times takes what all windows have.
func (o *object) times() Times {
	return Times{
		From:    o.text("from", required),
		To:      o.text("to", required),
		Days:    o.texts("days", len(dayNames), required),
		Seasons: o.texts("seasons", maxSeasons, optional),
	}
}

func (r *reader) dayOrMonth(path string, raw json.RawMessage) (perDay, perMonth string) {
	m := r.object(path, raw)
	defer m.end()
	return m.text("per_day", optional), m.text("per_month", optional)
}

func (r *reader) charge(path string, raw json.RawMessage) ChargeTerms {
	m := r.object(path, raw)
	defer m.end()
	return ChargeTerms{
		Kind: m.text("kind", required), Name: m.text("name", required), Of: m.text("of", optional),
		PerDay: m.text("per_day", optional), PerKWh: m.text("per_kwh", optional), PerMonth: m.text("per_month", optional),
		Bands: m.texts("bands", maxBands, optional),
	}
}

func (r *reader) demand(path string, raw json.RawMessage) DemandTerms {
	m := r.object(path, raw)
	d := DemandTerms{
		Name: m.text("name", required), Minutes: m.whole("minutes"), PerKW: m.text("per_kw", optional),
		StepKW: m.text("step_kw", optional), Seasons: m.texts("seasons", maxSeasons, optional),
	}
	for i, raw := range m.list("tiers", maxTiers, optional) {
		t := r.object(index(m.at("tiers"), i), raw)
		d.Tiers = append(d.Tiers, DemandTier{PerKW: t.text("per_kw", required), UpToKW: t.text("up_to_kw", optional)})
		t.end()
	}
	for i, raw := range m.list("windows", maxDemandWindows, optional) {
		w := r.object(index(m.at("windows"), i), raw)
		d.Windows = append(d.Windows, w.times())
		w.end()
	}
	if raw, ok := m.take("ratchet", optional); ok {
		t := r.object(m.at("ratchet"), raw)
		d.Ratchet = &RatchetTerms{Percent: t.text("percent", required), Months: t.whole("months")}
		t.end()
	}
	m.end()
	return d
}
