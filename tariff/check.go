package tariff

import (
	"fmt"
	"slices"
	"strings"
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
)

// percentDecimals leaves room for the two decimals of the fraction.
const percentDecimals = maxFrac - 2

// dayNames are the days in the order of [time.Weekday].
var dayNames = [...]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

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
	t.validFrom = c.date("valid_from", doc.ValidFrom, t.zone)
	c.bands(t)
	c.windows(t)
	if doc.Standing != nil {
		price := c.price("standing.per_day", doc.Standing.PerDay)
		t.standing = &price
	}
	if doc.TaxPercent != "" {
		fraction := c.number("tax_percent", doc.TaxPercent, percentDecimals, maxPercent).Percent()
		t.tax = &fraction
	}
	return t
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
// linked it. Each call reads the zone anew.
func LoadZone(name string) (*time.Location, error) {
	if !isZoneName(name) {
		return nil, fmt.Errorf("%.80q is not a time zone", name)
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("%q is not a time zone known here", name)
	}
	return loc, nil
}

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
		b := bands[r.Band]
		at := join(path, r.Band)
		if !isName(r.Band, maxBandName) {
			c.add(at, "is not a band's name", nameFix(maxBandName))
		}
		r.Import = c.price(join(at, "import"), b.Import)
		if b.Export != "" {
			r.Export = c.price(join(at, "export"), b.Export)
		}
	}
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
