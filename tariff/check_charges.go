package tariff

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// The kinds of charges, in the order of a bill.
const (
	kindGrid   = "grid"
	kindLevy   = "levy"
	kindCredit = "credit"
)

// taxable are the kinds of lines that a tax may be on, in the order of a bill.
func taxable() []string {
	return []string{"import", "export", "standing", kindGrid, kindLevy, "demand", "minimum", kindCredit}
}

// charges checks grid fees, levies and credits, and sorts them.
func (c *checker) charges(t *Tariff) {
	const path = "charges"
	kinds := []string{kindGrid, kindLevy, kindCredit}
	if n := len(t.doc.Charges); n > maxCharges {
		c.add(path, fmt.Sprintf("has %d charges", n), fmt.Sprintf("at most %d are allowed", maxCharges))
		return
	}
	seen := map[[2]string]bool{}
	for i, terms := range t.doc.Charges {
		at := index(path, i)
		if !slices.Contains(kinds, terms.Kind) {
			c.add(join(at, "kind"), fmt.Sprintf("%.20q is not known", terms.Kind), "want one of "+strings.Join(kinds, ", "))
		}
		c.name(join(at, "name"), terms.Name)
		if key := [2]string{terms.Kind, terms.Name}; seen[key] {
			c.add(join(at, "name"), fmt.Sprintf("names a %s charge again", terms.Kind), "give each its own name")
		} else {
			seen[key] = true
		}
		t.charges = append(t.charges, c.charge(t, at, terms))
	}
	slices.SortFunc(t.charges, func(a, b Charge) int {
		if a.Kind != b.Kind {
			return slices.Index(kinds, a.Kind) - slices.Index(kinds, b.Kind)
		}
		return strings.Compare(a.Name, b.Name)
	})
}

func (c *checker) charge(t *Tariff, at string, terms ChargeTerms) Charge {
	ch := Charge{Kind: terms.Kind, Name: terms.Name, Export: terms.Of == "export"}
	switch given(terms.PerKWh != "", terms.PerDay != "", terms.PerMonth != "") {
	case 0:
		c.add(join(at, "per_kwh"), "is missing", "give per_kwh, per_day or per_month")
		return ch
	case 1:
	default:
		c.add(at, "has several of per_kwh, per_day and per_month", "leave one; make two charges of two prices")
		return ch
	}
	if terms.PerKWh == "" {
		ch.Fee = c.fee(at, terms.PerDay, terms.PerMonth)
		if terms.Of != "" || len(terms.Bands) > 0 {
			c.add(at, "has of or bands without per_kwh", "leave them out: only energy has a direction and bands")
		}
		return ch
	}
	ch.Fee = Fee{Price: c.price(join(at, "per_kwh"), terms.PerKWh), Per: PerKWh}
	if terms.Of != "" && terms.Of != "import" && terms.Of != "export" {
		c.add(join(at, "of"), fmt.Sprintf("%.20q is not known", terms.Of), "want import or export")
	}
	for i, name := range terms.Bands {
		band, ok := c.band(t, index(join(at, "bands"), i), name)
		if ok && slices.Contains(ch.Bands, band) {
			c.add(index(join(at, "bands"), i), fmt.Sprintf("names %s again", name), "name each band once")
		}
		ch.Bands = append(ch.Bands, band)
	}
	if len(terms.Bands) == 0 {
		for i := range t.bands {
			ch.Bands = append(ch.Bands, i)
		}
	}
	slices.Sort(ch.Bands)
	return ch
}

// fee checks the one of two prices that is given.
func (c *checker) fee(at, perDay, perMonth string) Fee {
	if perDay != "" {
		return Fee{Price: c.price(join(at, "per_day"), perDay), Per: PerDay}
	}
	return Fee{Price: c.price(join(at, "per_month"), perMonth), Per: PerMonth}
}

// dayOrMonth checks a member that has one of two prices.
func (c *checker) dayOrMonth(at, perDay, perMonth string) *Fee {
	switch given(perDay != "", perMonth != "") {
	case 0:
		c.add(join(at, "per_day"), "is missing", "give per_day or per_month")
		return nil
	case 2:
		c.add(at, "has both per_day and per_month", "leave one")
		return nil
	}
	f := c.fee(at, perDay, perMonth)
	return &f
}

// sums checks what is charged once: standing charge, minimum and taxes.
func (c *checker) sums(t *Tariff) {
	doc := t.doc
	if s := doc.Standing; s != nil {
		t.standing = c.dayOrMonth("standing", s.PerDay, s.PerMonth)
	}
	if m := doc.Minimum; m != nil {
		t.minimum = c.dayOrMonth("minimum", m.PerDay, m.PerMonth)
	}
	if doc.TaxPercent != "" {
		t.taxes = append(t.taxes, Tax{Fraction: c.percent("tax_percent", doc.TaxPercent)})
		if len(doc.Taxes) > 0 {
			c.add("taxes", "stands beside tax_percent", "make tax_percent one of the taxes")
		}
	}
	if n := len(doc.Taxes); n > maxTaxes {
		c.add("taxes", fmt.Sprintf("has %d taxes", n), fmt.Sprintf("at most %d are allowed", maxTaxes))
		return
	}
	for i, terms := range doc.Taxes {
		at := index("taxes", i)
		c.name(join(at, "name"), terms.Name)
		if slices.ContainsFunc(doc.Taxes[:i], func(o TaxTerms) bool { return o.Name == terms.Name }) {
			c.add(join(at, "name"), "names a tax again", "give each its own name")
		}
		tax := Tax{Name: terms.Name, Fraction: c.percent(join(at, "percent"), terms.Percent)}
		for k, kind := range terms.On {
			switch {
			case !slices.Contains(taxable(), kind):
				c.add(index(join(at, "on"), k), fmt.Sprintf("%.20q is not known", kind), "want some of "+strings.Join(taxable(), ", "))
			case slices.Contains(terms.On[:k], kind):
				c.add(index(join(at, "on"), k), "names "+kind+" again", "name each kind once")
			}
		}
		for _, kind := range taxable() {
			if slices.Contains(terms.On, kind) {
				tax.On = append(tax.On, kind)
			}
		}
		t.taxes = append(t.taxes, tax)
	}
	slices.SortFunc(t.taxes, func(a, b Tax) int { return strings.Compare(a.Name, b.Name) })
}

// percent checks a percentage and gives the fraction.
func (c *checker) percent(path, s string) Decimal {
	return c.number(path, s, percentDecimals, maxPercent).Percent()
}

// name checks the name of a charge, a demand or a tax.
func (c *checker) name(path, name string) {
	switch {
	case name == "":
		c.add(path, "is missing", nameFix(maxBandName))
	case !isName(name, maxBandName):
		c.add(path, fmt.Sprintf("%.40q is not a name", name), nameFix(maxBandName))
	}
}

// demands checks the demand charges but for their windows, and sorts them.
func (c *checker) demands(t *Tariff) {
	const path = "demand"
	if len(t.doc.Demand) > maxDemands {
		c.add(path, fmt.Sprintf("has %d charges", len(t.doc.Demand)), fmt.Sprintf("at most %d are allowed", maxDemands))
		return
	}
	for i, terms := range t.doc.Demand {
		at := index(path, i)
		c.name(join(at, "name"), terms.Name)
		if slices.ContainsFunc(t.doc.Demand[:i], func(o DemandTerms) bool { return o.Name == terms.Name }) {
			c.add(join(at, "name"), "names a demand charge again", "give each its own name")
		}
		t.demands = append(t.demands, c.demand(t, at, terms))
	}
	slices.SortFunc(t.demands, func(a, b Demand) int { return strings.Compare(a.Name, b.Name) })
}

func (c *checker) demand(t *Tariff, at string, terms DemandTerms) Demand {
	d := Demand{Name: terms.Name, Length: time.Duration(terms.Minutes) * time.Minute}
	if !slices.Contains([]int{15, 30, 60}, terms.Minutes) {
		c.add(join(at, "minutes"), fmt.Sprintf("is %d", terms.Minutes), "want 15, 30 or 60")
	}
	switch {
	case terms.PerKW != "" && len(terms.Tiers) > 0:
		c.add(at, "has both per_kw and tiers", "leave one")
	case len(terms.Tiers) > 0:
		texts := make([]tierText, len(terms.Tiers))
		for i, tier := range terms.Tiers {
			texts[i] = tierText{price: tier.PerKW, upTo: tier.UpToKW}
		}
		d.Tiers = c.tiers(join(at, "tiers"), "per_kw", "up_to_kw", maxTierKW, texts)
	default:
		d.Tiers = []Limit{{Price: c.price(join(at, "per_kw"), terms.PerKW)}}
	}
	if terms.StepKW != "" {
		d.Step = c.quantity(join(at, "step_kw"), terms.StepKW, maxStepKW)
	}
	if r := terms.Ratchet; r != nil {
		path := join(at, "ratchet")
		d.Ratchet = &Ratchet{Fraction: c.percent(join(path, "percent"), r.Percent), Months: r.Months}
		if d.Ratchet.Fraction.Sign() == 0 && r.Percent != "" {
			c.add(join(path, "percent"), "is 0", "leave the ratchet out")
		}
		if r.Months < 1 || r.Months > maxMonths {
			c.add(join(path, "months"), fmt.Sprintf("is %d", r.Months), fmt.Sprintf("want 1 to %d", maxMonths))
		}
	}
	d.seasons = c.seasonNames(t, join(at, "seasons"), terms.Seasons)
	return d
}

// notes checks what a converter has to say.
func (c *checker) notes(notes []Note) {
	if len(notes) > maxNotes {
		c.add("notes", fmt.Sprintf("has %d notes", len(notes)), fmt.Sprintf("at most %d are allowed", maxNotes))
		return
	}
	for i, n := range notes {
		at := index("notes", i)
		if !isName(n.Member, maxID) {
			c.add(join(at, "member"), fmt.Sprintf("%.40q is not a name", n.Member), nameFix(maxID))
		}
		if !isNoteText(n.Text) {
			c.add(join(at, "text"), "is not plain text", fmt.Sprintf(`write 1 to %d printable ASCII characters without " \ < > &`, maxNoteText))
		}
	}
}

// maxNoteText is the length of a note's text in characters.
const maxNoteText = 200

func isNoteText(s string) bool {
	if s == "" || len(s) > maxNoteText {
		return false
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' || strings.IndexByte(`"\<>&`, s[i]) >= 0 {
			return false
		}
	}
	return true
}
