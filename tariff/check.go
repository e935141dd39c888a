package tariff

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Lengths of names, in characters.
const (
	maxID       = 64
	maxBandName = 32
	maxZoneName = 64
)

// Upper ends of the ranges of numbers; all start at 0.
const (
	maxPrice   = 1_000_000 // per kWh or day, in the tariff's currency
	maxPercent = 100
	maxTierKWh = 1_000_000_000
	maxTierKW  = 1_000_000
	maxStepKW  = 1000
	maxMonths  = 24 // that a ratchet looks back
)

// percentDecimals leaves room for the two decimals of the fraction.
const percentDecimals = maxFrac - 2

// dayNames are the day types: the days in the order of [time.Weekday], and
// holidays.
var dayNames = [...]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat", "hol"}

// holiday is the day type of holidays.
const holiday = len(dayNames) - 1

const secondsPerDay = 86400

// isName reports whether s is 1 to limit of the characters A-Z a-z 0-9 . _ -
// and starts with a letter or digit.
func isName(s string, limit int) bool {
	if s == "" || len(s) > limit {
		return false
	}
	for i := range len(s) {
		c := s[i]
		alnum := c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
		if !alnum && (i == 0 || c != '.' && c != '_' && c != '-') {
			return false
		}
	}
	return true
}

func nameFix(limit int) string {
	return fmt.Sprintf("want 1 to %d letters, digits, dots, dashes or underscores, starting with a letter or digit", limit)
}

// A checker turns a document into a tariff and collects what is wrong.
type checker struct {
	problems
	noCalendar bool // seasons or holidays are wrong, so days have no kind
}

func (c *checker) tariff(doc Document) *Tariff {
	t := &Tariff{doc: doc}
	if !isName(doc.ID, maxID) {
		c.add("id", fmt.Sprintf("%.80q is not a tariff's id", doc.ID), nameFix(maxID))
	}
	var err error
	if t.currency, err = ParseCurrency(doc.Currency); err != nil {
		c.add("currency", err.Error(), "")
	}
	t.zone = c.zone(doc.Timezone)
	c.validity(t)
	before := len(c.list)
	c.calendar(t)
	c.noCalendar = len(c.list) > before
	c.bands(t)
	c.demands(t)
	c.windows(t)
	c.charges(t)
	c.sums(t)
	c.notes(doc.Notes)
	return t
}

// validity checks from when to when the tariff holds, and what it replaces.
func (c *checker) validity(t *Tariff) {
	doc := t.doc
	t.validFrom = c.date("valid_from", doc.ValidFrom, t.zone)
	if doc.ValidTo != "" {
		t.validTo = c.date("valid_to", doc.ValidTo, t.zone)
		if !t.validTo.IsZero() && !t.validTo.After(t.validFrom) {
			c.add("valid_to", doc.ValidTo+" is not after valid_from", "it is the first day that the tariff does not price")
		}
	}
	switch {
	case doc.Replaces == "":
	case !isName(doc.Replaces, maxID):
		c.add("replaces", fmt.Sprintf("%.80q is not a tariff's id", doc.Replaces), nameFix(maxID))
	case doc.Replaces == doc.ID:
		c.add("replaces", "is the tariff's own id", "name the tariff before it; a change of prices is another id")
	}
}

// number checks a decimal from 0 to limit.
func (c *checker) number(path, s string, decimals int, limit int64) Decimal {
	d, err := ParseDecimal(s)
	switch {
	case s == "":
		c.add(path, "is missing", "")
	case err != nil:
		c.add(path, err.Error(), "")
	case d.Decimals() > decimals:
		c.add(path, fmt.Sprintf("%q has %d decimals", s, d.Decimals()), fmt.Sprintf("at most %d are allowed", decimals))
	case d.Sign() < 0 || d.Cmp(NewDecimal(limit, 0)) > 0:
		c.add(path, fmt.Sprintf("%q is out of range", s), fmt.Sprintf("want 0 to %d", limit))
	}
	return d
}

func (c *checker) price(path, s string) Decimal { return c.number(path, s, maxFrac, maxPrice) }

// isZoneName leaves out the parts of a zoneinfo directory that are not zones
// ("posix/", "right/", "localtime"), everything that could be a path, and the
// names that mean another zone on another machine.
func isZoneName(s string) bool {
	if s == "" || len(s) > maxZoneName || s[0] < 'A' || s[0] > 'Z' || s == "Local" || s == "Factory" {
		return false
	}
	for i := range len(s) {
		c := s[i]
		alnum := c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
		if !alnum && c != '_' && c != '+' && c != '-' && c != '/' {
			return false
		}
	}
	return s[len(s)-1] != '/' && !strings.Contains(s, "//")
}

func (c *checker) zone(name string) *time.Location {
	const fix = "write an IANA name like Europe/Zurich"
	loc, err := LoadZone(name)
	switch {
	case name == "":
		c.add("timezone", "is missing", fix)
	case err != nil:
		c.add("timezone", err.Error(), fix)
	}
	return loc
}

// LoadZone loads a time zone by its IANA name, such as "Europe/Zurich" or
// "UTC". Names that depend on the machine ("Local") are refused. The zones
// come from the system, or from package time/tzdata where a program has
// linked it. A zone is read once.
func LoadZone(name string) (*time.Location, error) {
	if loc, ok := zones.Load(name); ok {
		return loc.(*time.Location), nil
	}
	if !isZoneName(name) {
		return nil, fmt.Errorf("%.80q is not a time zone", name)
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("%q is not a time zone known here", name)
	}
	zones.Store(name, loc)
	return loc, nil
}

// zones are those that were loaded, by name: each bill is checked in its own.
// There are no more than the system has.
var zones sync.Map

// date checks a local date and returns its first instant.
func (c *checker) date(path, s string, zone *time.Location) time.Time {
	const fix = "write it like 2018-01-31"
	if s == "" {
		c.add(path, "is missing", fix)
		return time.Time{}
	}
	d, err := time.Parse(time.DateOnly, s)
	if err != nil || d.Format(time.DateOnly) != s || d.Year() < 1900 {
		c.add(path, fmt.Sprintf("%.40q is not a date from 1900 on", s), fix)
		return time.Time{}
	}
	if zone == nil {
		return d
	}
	return time.Date(d.Year(), d.Month(), d.Day(), 0, 0, 0, 0, zone)
}

// bands checks the bands' names and prices and sorts them by name.
func (c *checker) bands(t *Tariff) {
	const path = "energy.bands"
	bands := t.doc.Energy.Bands
	if len(bands) == 0 {
		c.add(path, "has no band", `give at least one, like "all":{"import":"0.25"}`)
	}
	if len(bands) > maxBands {
		c.add(path, fmt.Sprintf("has %d bands", len(bands)), fmt.Sprintf("at most %d are allowed", maxBands))
		return
	}
	for name := range bands {
		t.bands = append(t.bands, Rate{Band: name})
	}
	slices.SortFunc(t.bands, func(a, b Rate) int { return strings.Compare(a.Band, b.Band) })
	for i := range t.bands {
		r := &t.bands[i]
		at := join(path, r.Band)
		if !isName(r.Band, maxBandName) {
			c.add(at, "is not a band's name", nameFix(maxBandName))
		}
		c.imports(at, bands[r.Band], r)
		c.exports(at, bands[r.Band], r)
	}
}

// imports checks what energy taken costs.
func (c *checker) imports(at string, b Band, r *Rate) {
	switch given(b.Import != "", b.ImportSeries != "", len(b.Tiers) > 0) {
	case 0:
		c.add(join(at, "import"), "is missing", "give a price, import_series or tiers")
		return
	case 1:
	default:
		c.add(at, "has several of import, import_series and tiers", "leave one")
		return
	}
	switch {
	case b.Import != "":
		r.Import = c.price(join(at, "import"), b.Import)
	case b.ImportSeries != "":
		r.ImportSeries = c.seriesName(join(at, "import_series"), b.ImportSeries)
	default:
		limits := make([]tierText, len(b.Tiers))
		for i, tier := range b.Tiers {
			limits[i] = tierText{price: tier.Import, upTo: tier.UpToKWh}
		}
		r.Tiers = c.tiers(join(at, "tiers"), "import", "up_to_kwh", maxTierKWh, limits)
		r.Import = r.Tiers[0].Price
	}
	r.TiersPerDay = b.TiersPer == "day"
	switch {
	case b.TiersPer == "":
	case len(b.Tiers) == 0:
		c.add(join(at, "tiers_per"), "stands without tiers", "leave it out")
	case b.TiersPer != "day" && b.TiersPer != "month":
		c.add(join(at, "tiers_per"), fmt.Sprintf("%.20q is not known", b.TiersPer), "want day or month")
	}
}

// exports checks what energy given earns.
func (c *checker) exports(at string, b Band, r *Rate) {
	switch {
	case b.Export != "" && b.ExportSeries != "":
		c.add(at, "has both export and export_series", "leave one")
	case b.Export != "":
		r.Export = c.price(join(at, "export"), b.Export)
	case b.ExportSeries != "":
		r.ExportSeries = c.seriesName(join(at, "export_series"), b.ExportSeries)
	}
}

func (c *checker) seriesName(path, name string) string {
	if !isName(name, maxID) {
		c.add(path, fmt.Sprintf("%.80q is not a series' name", name), nameFix(maxID))
	}
	return name
}

// given counts what is there.
func given(list ...bool) int {
	n := 0
	for _, there := range list {
		if there {
			n++
		}
	}
	return n
}

// tierText is a tier as written, of energy or of demand.
type tierText struct{ price, upTo string }

// tiers checks prices and rising ends; price and upTo are the members' names.
func (c *checker) tiers(path, price, upTo string, limit int64, texts []tierText) []Limit {
	if n := len(texts); n < 2 || n > maxTiers {
		c.add(path, fmt.Sprintf("has %d tiers", n), fmt.Sprintf("want 2 to %d; one price needs no tiers", maxTiers))
	}
	list := make([]Limit, len(texts))
	for i, text := range texts {
		at := index(path, i)
		list[i].Price = c.price(join(at, price), text.price)
		last := i == len(texts)-1
		switch {
		case last && text.upTo != "":
			c.add(join(at, upTo), "ends the last tier", "leave it out: the last tier has no end")
		case last:
		default:
			list[i].UpTo = c.quantity(join(at, upTo), text.upTo, limit)
			if i > 0 && list[i].UpTo.Cmp(list[i-1].UpTo) <= 0 {
				c.add(join(at, upTo), fmt.Sprintf("%q is not above the tier before", text.upTo), "sort the tiers")
			}
		}
	}
	return list
}

// quantity checks a decimal above 0 with at most 3 decimals.
func (c *checker) quantity(path, s string, limit int64) Decimal {
	d := c.number(path, s, 3, limit)
	if s != "" && d.Sign() == 0 {
		c.add(path, "is 0", "want more than 0")
	}
	return d
}

// band finds a band's place by name, and reports an unknown one.
func (c *checker) band(t *Tariff, path, name string) (int, bool) {
	i := slices.IndexFunc(t.bands, func(r Rate) bool { return r.Band == name })
	switch {
	case name == "":
		c.add(path, "is missing", "want one of "+t.bandList())
	case i < 0:
		c.add(path, fmt.Sprintf("no band is named %.40q", name), "want one of "+t.bandList())
	}
	return i, i >= 0
}

func (t *Tariff) bandList() string {
	names := make([]string, len(t.bands))
	for i, r := range t.bands {
		names[i] = r.Band
	}
	if len(names) == 0 {
		return "the bands in energy.bands"
	}
	return strings.Join(names, ", ")
}
