package urdb

import (
	"fmt"
	"math/big"
	"slices"

	"github.com/wattveil/wattveil/tariff"
)

// demand makes a demand charge of each time-of-use period and each flat period
// that costs anything.
func (im *importer) demand() error {
	for _, name := range [...]string{"demandrateunit", "demandunits", "flatdemandunit"} {
		if unit := im.text(name); unit != "" && unit != "kW" {
			return fmt.Errorf("%s: demand in %q cannot be expressed, only kW can", name, unit)
		}
	}
	minutes, err := im.window()
	if err != nil {
		return err
	}
	before := im.doc.Demand
	if err := im.timeOfUse(); err != nil {
		return err
	}
	if err := im.flat(); err != nil {
		return err
	}
	ratchet, err := im.ratchet()
	if err != nil {
		return err
	}
	for i := len(before); i < len(im.doc.Demand); i++ {
		im.doc.Demand[i].Minutes, im.doc.Demand[i].Ratchet = minutes, ratchet
	}
	if len(im.doc.Demand) > 0 && im.fields["demandwindow"] == nil {
		im.note("demandwindow", "is missing: demand is the highest mean of 15 minutes")
	}
	return nil
}

// window is the length of the means in minutes.
func (im *importer) window() (int, error) {
	const usual = 15
	n, ok, err := im.number("demandwindow")
	if err != nil || !ok {
		return usual, err
	}
	for _, minutes := range [...]int64{15, 30, 60} {
		if n.Cmp(big.NewRat(minutes, 1)) == 0 {
			return int(minutes), nil
		}
	}
	im.note("demandwindow", "means of %s minutes cannot be expressed: 15 are taken", trim(n.FloatString(2)))
	return usual, nil
}

// timeOfUse makes a charge of each scheduled period.
func (im *importer) timeOfUse() error {
	const field = "demandratestructure"
	periods, err := im.structure(field)
	if err != nil || len(periods) == 0 {
		return err
	}
	if !im.plans.hasDemand {
		im.note(field, "not priced: the rate has no schedule for it")
		return nil
	}
	if _, err := im.hours(field, im.plans.demand, len(periods)); err != nil {
		return err
	}
	order, seasons := im.stretches(im.plans.demand, -1)
	for p, tiers := range periods {
		at := fmt.Sprintf("%s[%d]", field, p)
		terms := tariff.DemandTerms{Name: fmt.Sprintf("tou-%d", p)}
		for _, s := range order {
			if s.period == p {
				terms.Windows = append(terms.Windows, im.times(s, seasons[s]))
			}
		}
		if len(terms.Windows) == 0 {
			im.note(at, "period %d applies at no hour and is left out", p)
			continue
		}
		if err := im.addDemand(at, terms, tiers); err != nil {
			return err
		}
	}
	return nil
}

// flat makes a charge of each period that some month has.
func (im *importer) flat() error {
	const field = "flatdemandstructure"
	periods, err := im.structure(field)
	if err != nil || len(periods) == 0 {
		return err
	}
	for p, tiers := range periods {
		at := fmt.Sprintf("%s[%d]", field, p)
		terms := tariff.DemandTerms{Name: fmt.Sprintf("flat-%d", p)}
		months := 0
		for m, period := range im.plans.flat {
			if period < 0 || period >= len(periods) {
				return fmt.Errorf("flatdemandmonths[%d]: names period %d, the structure has %d", m, period, len(periods))
			}
			if period != p {
				continue
			}
			months++
			if !slices.Contains(terms.Seasons, im.months[m]) {
				terms.Seasons = append(terms.Seasons, im.months[m])
			}
		}
		switch {
		case months == 0:
			im.note(at, "period %d applies in no month and is left out", p)
			continue
		case months == 12:
			terms.Seasons = nil
		}
		if err := im.addDemand(at, terms, tiers); err != nil {
			return err
		}
	}
	return nil
}

// addDemand prices a charge and adds it, unless it costs nothing.
func (im *importer) addDemand(field string, terms tariff.DemandTerms, tiers []tier) error {
	tiers, perDay, err := im.limits(field, tiers, "kW", maxTierKW)
	if err != nil {
		return err
	}
	if perDay {
		return fmt.Errorf("%s: demand by the day cannot be expressed", field)
	}
	at := memberName(field)
	costs := false
	for _, t := range tiers {
		price, err := im.price(at, t.rate)
		if err != nil {
			return err
		}
		costs = costs || t.rate.Sign() != 0
		limit := tariff.DemandTier{PerKW: price}
		if t.max != nil {
			limit.UpToKW = trim(tariff.RoundRat(t.max, 3).String())
		}
		terms.Tiers = append(terms.Tiers, limit)
	}
	if !costs {
		im.note(at, "costs nothing and is left out, so that no bill tells this demand")
		return nil
	}
	if len(terms.Tiers) == 1 {
		terms.PerKW, terms.Tiers = terms.Tiers[0].PerKW, nil
	}
	im.doc.Demand = append(im.doc.Demand, terms)
	return nil
}

// ratchet is how far earlier months hold demand up; nil if they do not.
func (im *importer) ratchet() (*tariff.RatchetTerms, error) {
	share, ok, err := im.number("lookbackpercent")
	if err != nil || !ok {
		return nil, err
	}
	months, hasRange, err := im.number("lookbackrange")
	if err != nil {
		return nil, err
	}
	if share.Sign() == 0 || hasRange && months.Sign() == 0 {
		return nil, nil
	}
	if !hasRange {
		months = big.NewRat(11, 1)
		im.note("lookbackrange", "is missing: the 11 months before count")
	}
	if !months.IsInt() || !months.Num().IsInt64() {
		return nil, fmt.Errorf("lookbackrange: is not a number of months")
	}
	percent := share
	if share.Cmp(big.NewRat(1, 1)) <= 0 {
		percent = new(big.Rat).Mul(share, big.NewRat(100, 1))
	}
	return &tariff.RatchetTerms{Percent: trim(tariff.RoundRat(percent, 6).String()), Months: int(months.Num().Int64())}, nil
}
