package portal

import (
	"fmt"
	"strings"
	"time"

	"github.com/wattveil/wattveil/consumer"
	"github.com/wattveil/wattveil/tariff"
)

// termsView is a tariff in plain words.
type termsView struct {
	ID           string
	Valid        string
	Replaces     string
	Bands        []bandTerms
	Default      string
	DefaultClass string
	Windows      []windowTerms
	Weeks        []weekPicture
	Lines        []termLine // all but energy
	Holidays     bool       // are a day type of their own
}

type bandTerms struct{ Name, Class, Import, Export string }

type windowTerms struct{ Band, Class, Days, Seasons, Times string }

type termLine struct{ What, Price string }

// termsOf says what a tariff charges.
func (v *visit) termsOf(t *tariff.Tariff) termsView {
	doc := t.Document()
	view := termsView{ID: t.ID(), Replaces: t.Replaces(), Default: doc.Energy.Default, Holidays: doc.Holidays != nil}
	view.Valid = v.validity(t)
	var bands []consumer.Band
	for i := range t.Bands() {
		bands = append(bands, consumer.Band{Name: t.Rate(i).Band, Import: t.Rate(i).Import})
	}
	classes := bandClasses(bands)
	class := make(map[string]string)
	for i := range t.Bands() {
		r := t.Rate(i)
		class[r.Band] = classes[i]
		view.Bands = append(view.Bands, bandTerms{r.Band, classes[i], v.importPrice(t, r), v.exportPrice(t, r)})
	}
	for _, w := range doc.Energy.Windows {
		view.Windows = append(view.Windows, windowTerms{w.Band, class[w.Band], v.dayList(w.Days), strings.Join(w.Seasons, ", "), w.From + "–" + w.To})
	}
	view.DefaultClass = class[view.Default]
	view.Weeks = weekPictures(t, classes, v.s.cfg.Now(), v.locale)
	view.Lines = v.otherTerms(t)
	return view
}

// say is a text of the tariffs' page.
func (v *visit) say(key string) string { return tariffPage.texts[key].in(v.locale.lang) }

func (v *visit) sayf(key string, args ...any) string { return fmt.Sprintf(v.say(key), args...) }

func (v *visit) importPrice(t *tariff.Tariff, r tariff.Rate) string {
	currency := t.Currency().String()
	switch {
	case r.ImportSeries != "":
		return v.sayf("by-series", r.ImportSeries)
	case len(r.Tiers) > 1:
		per := v.say("a-month")
		if r.TiersPerDay {
			per = v.say("a-day")
		}
		return v.tiers(r.Tiers, "kWh "+per, currency)
	default:
		return v.locale.unitPrice(r.Import, currency)
	}
}

// tiers lists prices by how much they reach up to.
func (v *visit) tiers(tiers []tariff.Limit, unit, currency string) string {
	var parts []string
	for _, tier := range tiers {
		price := v.locale.unitPrice(tier.Price, currency)
		if tier.UpTo.Sign() == 0 {
			parts = append(parts, v.sayf("tier-rest", price))
			continue
		}
		parts = append(parts, v.sayf("tier-to", v.locale.number(tier.UpTo.String())+" "+unit, price))
	}
	return strings.Join(parts, ", ")
}

func (v *visit) exportPrice(t *tariff.Tariff, r tariff.Rate) string {
	switch {
	case r.ExportSeries != "":
		return v.sayf("by-series", r.ExportSeries)
	case r.Export.Sign() == 0:
		return "–"
	default:
		return v.locale.unitPrice(r.Export, t.Currency().String())
	}
}

// dayList names days; runs of three and more by their ends.
func (v *visit) dayList(days []string) string {
	var on [8]bool
	for _, d := range days {
		for i, name := range [...]string{"mon", "tue", "wed", "thu", "fri", "sat", "sun", "hol"} {
			on[i] = on[i] || d == name
		}
	}
	name := func(i int) string { return dayNames[v.locale.lang][(i+1)%7] }
	var parts []string
	for i := 0; i < 7; i++ {
		k := i
		for k < 7 && on[k] {
			k++
		}
		switch {
		case k-i == 7:
			parts = append(parts, v.say("every-day"))
		case k-i >= 3:
			parts = append(parts, name(i)+"–"+name(k-1))
		default:
			for j := i; j < k; j++ {
				parts = append(parts, name(j))
			}
		}
		i = max(i, k)
	}
	if on[7] {
		parts = append(parts, v.say("holidays"))
	}
	return strings.Join(parts, ", ")
}

// otherTerms are all charges but those for energy, in the order of a bill.
func (v *visit) otherTerms(t *tariff.Tariff) (lines []termLine) {
	fee := func(f tariff.Fee) string {
		unit := map[tariff.Per]string{tariff.PerKWh: "per-kwh", tariff.PerDay: "per-day", tariff.PerMonth: "per-month"}[f.Per]
		return v.sayf(unit, v.locale.unitPrice(f.Price, t.Currency().String()))
	}
	if f, ok := t.Standing(); ok {
		lines = append(lines, termLine{v.lineKind("standing"), fee(f)})
	}
	for _, c := range t.Charges() {
		line := termLine{v.lineKind(c.Kind) + " " + c.Name, fee(c.Fee)}
		if c.Export {
			line.Price += " " + v.say("of-export")
		}
		var bands []string
		for _, b := range c.Bands {
			bands = append(bands, t.Rate(b).Band)
		}
		if len(bands) > 0 && len(bands) < t.Bands() {
			line.Price += " (" + strings.Join(bands, ", ") + ")"
		}
		lines = append(lines, line)
	}
	for _, d := range t.Demands() {
		lines = append(lines, v.demandTerms(t, d))
	}
	if f, ok := t.Minimum(); ok {
		lines = append(lines, termLine{v.lineKind("minimum"), fee(f)})
	}
	for _, tax := range t.Taxes() {
		line := termLine{strings.TrimSpace(v.lineKind("tax") + " " + tax.Name), v.locale.fraction(tax.Fraction)}
		if len(tax.On) > 0 {
			line.Price += " (" + strings.Join(v.kinds(tax.On), ", ") + ")"
		}
		lines = append(lines, line)
	}
	return lines
}

func (v *visit) demandTerms(t *tariff.Tariff, d tariff.Demand) termLine {
	what := v.sayf("k-demand", d.Name, int64(d.Length/time.Minute))
	price := v.tiers(d.Tiers, "kW", t.Currency().String())
	if len(d.Tiers) == 1 {
		price = v.locale.unitPrice(d.Tiers[0].Price, t.Currency().String())
	}
	price = v.sayf("per-kw", price)
	if d.Ratchet != nil {
		price += "; " + v.sayf("ratchet", v.locale.fraction(d.Ratchet.Fraction), int64(d.Ratchet.Months))
	}
	return termLine{what, price}
}
