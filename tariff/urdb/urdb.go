// Package urdb turns a rate of the OpenEI Utility Rate Database into a tariff.
//
// It takes energy prices by period and tier, time-of-use and flat demand
// charges, fixed charges and minimum charges, with their schedules of twelve
// months by 24 hours for weekdays and weekends. What a rate has beyond that is
// never dropped: each such field becomes a note of the tariff. A rate that
// cannot be expressed without being wrong, such as tiers by hours of use, is
// refused.
package urdb

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/wattveil/wattveil/tariff"
)

// Options say what a rate does not.
type Options struct {
	Zone     string // IANA name of the utility's time zone; UTC, and a note, if it is empty
	ID       string // of the tariff; from the rate's label if it is empty
	Currency string // USD if it is empty
}

// maxSize bounds a rate's text.
const maxSize = 1 << 20

// Limits of a tariff's notes.
const (
	maxNotes = 64
	maxText  = 200
)

// Import reads a rate in the JSON form of the database's API, alone or as the
// only one in "items", and gives the tariff. Errors name the field at fault.
func Import(data []byte, o Options) (*tariff.Tariff, error) {
	fields, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("urdb: %w", err)
	}
	if err := isRate(fields); err != nil {
		return nil, fmt.Errorf("urdb: %w", err)
	}
	im := importer{fields: fields, taken: map[string]bool{}}
	if err := im.run(o); err != nil {
		return nil, fmt.Errorf("urdb: %w", err)
	}
	t, err := tariff.New(im.doc)
	if err != nil {
		return nil, fmt.Errorf("urdb: the rate makes no tariff: %w", err)
	}
	return t, nil
}

// parse reads the fields of a rate.
func parse(data []byte) (map[string]json.RawMessage, error) {
	if len(data) > maxSize {
		return nil, fmt.Errorf("the rate has %d bytes, at most %d are allowed", len(data), maxSize)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, fmt.Errorf("the rate is not a JSON object: %w", err)
	}
	raw, wrapped := fields["items"]
	if !wrapped {
		return fields, nil
	}
	var items []map[string]json.RawMessage
	if err := json.Unmarshal(raw, &items); err != nil || len(items) != 1 {
		return nil, fmt.Errorf("items: holds %d rates: give a file with one", len(items))
	}
	return items[0], nil
}

// isRate refuses an object that has none of the fields that make a rate: it is
// something else, which would become a tariff that charges nothing.
func isRate(fields map[string]json.RawMessage) error {
	priced := []string{"energyratestructure", "demandratestructure", "flatdemandstructure", "fixedchargefirstmeter", "fixedmonthlycharge", "mincharge", "minmonthlycharge", "annualmincharge"}
	if slices.ContainsFunc(priced, func(name string) bool { return len(fields[name]) > 0 }) {
		return nil
	}
	return fmt.Errorf("this is no rate of the database: it has none of %s; give one in the JSON form of its API", strings.Join(priced, ", "))
}

// An importer builds a document and remembers which fields it has used.
type importer struct {
	fields map[string]json.RawMessage
	taken  map[string]bool
	doc    tariff.Document
	months [12]string // season of each month, empty if there is one only
	plans  plans
}

func (im *importer) run(o Options) error {
	im.doc.Currency = o.Currency
	if o.Currency == "" {
		im.doc.Currency = "USD"
	}
	steps := []func() error{
		func() error { return im.identity(o) }, im.seasons, im.energy, im.demand, im.fixed, im.minimum,
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	im.rest()
	im.unused()
	return nil
}

// unused drops the seasons if nothing differs between them.
func (im *importer) unused() {
	for _, w := range im.doc.Energy.Windows {
		if w.Seasons != nil {
			return
		}
	}
	for _, d := range im.doc.Demand {
		if d.Seasons != nil || slices.ContainsFunc(d.Windows, func(w tariff.Times) bool { return w.Seasons != nil }) {
			return
		}
	}
	im.doc.Seasons = nil
}

// note adds a note about a field. Only the first of a field counts.
func (im *importer) note(field, format string, args ...any) {
	field = memberName(field)
	if slices.ContainsFunc(im.doc.Notes, func(n tariff.Note) bool { return n.Member == field }) {
		return
	}
	if len(im.doc.Notes) >= maxNotes-1 {
		field, format, args = "notes", "there are more fields that are not priced than a tariff has notes", nil
		if len(im.doc.Notes) >= maxNotes {
			return
		}
	}
	text := plain(fmt.Sprintf(format, args...))
	im.doc.Notes = append(im.doc.Notes, tariff.Note{Member: field, Text: text})
}

// memberName is a field as a note names it: structure[0][1] is structure.0.1.
func memberName(field string) string {
	name := strings.TrimLeft(identifier(strings.NewReplacer("][", ".", "[", ".", "]", "").Replace(field)), "._-")
	if name == "" {
		return "unnamed"
	}
	return name
}

// plain is a text as a note may have it.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '"' || r == '\\' || r == '<' || r == '>' || r == '&':
			return '\''
		case r < ' ' || r > '~':
			return ' '
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > maxText {
		s = s[:maxText]
	}
	return s
}

// take gives a field and marks it as used; null counts as missing.
func (im *importer) take(name string) (json.RawMessage, bool) {
	raw, ok := im.fields[name]
	im.taken[name] = true
	return raw, ok && !bytes.Equal(bytes.TrimSpace(raw), []byte("null"))
}

// text gives a string field, empty if it is missing or of another type.
func (im *importer) text(name string) string {
	raw, ok := im.take(name)
	var s string
	if !ok || json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// identity fills in the tariff's name, zone and validity.
func (im *importer) identity(o Options) error {
	im.doc.Timezone = o.Zone
	if o.Zone == "" {
		im.doc.Timezone = "UTC"
		im.note("timezone", "the database names no time zone: UTC stands here until an import with a zone")
	}
	if _, err := tariff.LoadZone(im.doc.Timezone); err != nil {
		return fmt.Errorf("timezone: %w", err)
	}
	im.doc.ID = identifier("urdb-" + im.text("label"))
	if o.ID != "" {
		im.doc.ID = o.ID
	}
	start, ok, err := im.date("startdate")
	switch {
	case err != nil:
		return err
	case ok:
		im.doc.ValidFrom = start.Format(time.DateOnly)
	default:
		im.doc.ValidFrom = "1970-01-01"
		im.note("startdate", "the rate names no start: valid_from is the first day that there is")
	}
	end, ok, err := im.date("enddate")
	if err != nil {
		return err
	}
	if ok {
		im.doc.ValidTo = end.AddDate(0, 0, 1).Format(time.DateOnly)
		im.note("enddate", "is taken as the last day of the rate: valid_to is the day after")
	}
	return nil
}

// identifier keeps what an id may have.
func identifier(s string) string {
	const longest = 64
	s = strings.Map(func(r rune) rune {
		if r < 128 && (r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune("._-", r)) {
			return r
		}
		return '-'
	}, s)
	return s[:min(len(s), longest)]
}

// date reads a field in Unix seconds as a day. The database has midnights of
// UTC or of America, all of which are on the day that is meant in UTC.
func (im *importer) date(name string) (time.Time, bool, error) {
	n, ok, err := im.number(name)
	if !ok || err != nil {
		return time.Time{}, false, err
	}
	if !n.IsInt() || !n.Num().IsInt64() {
		return time.Time{}, false, fmt.Errorf("%s: is not a number of seconds", name)
	}
	return time.Unix(n.Num().Int64(), 0).UTC(), true, nil
}

// about are fields that describe a rate and charge nothing.
func about() []string {
	return []string{
		"approved", "basicinformationcomments", "country", "demandcomments", "demandunits", "description", "eiaid",
		"energycomments", "is_default", "name", "peakkwcapacityhistory", "peakkwcapacitymax", "peakkwcapacitymin",
		"peakkwhusagehistory", "peakkwhusagemax", "peakkwhusagemin", "phasewiring", "revisions", "sector", "servicetype",
		"source", "sourceparent", "supercedes", "supersedes", "uri", "utility", "voltagecategory", "voltagemaximum", "voltageminimum",
	}
}

// unpriced are fields that cannot be priced from a meter's readings, or are
// not in a form that can be computed, and why.
func unpriced() map[string]string {
	const coincident = "not priced: it takes the power at the time of the system's peak, which no meter knows"
	return map[string]string{
		"coincidentratestructure":   coincident,
		"coincidentschedule":        coincident,
		"coincidentrateunit":        coincident,
		"demandreactivepowercharge": "not priced: readings hold no reactive energy",
		"energyattrs":               "not priced: free text beside the energy prices",
		"demandattrs":               "not priced: free text beside the demand prices",
		"fixedattrs":                "not priced: free text beside the fixed charges",
		"fixedchargeeaaddl":         "not priced: it is for each further meter of a customer",
		"dgrules":                   "not applied: exported energy earns what sell says, or nothing, and is not set off against imported energy",
		"usenetmetering":            "not applied: exported energy earns what sell says, or nothing, and is not set off against imported energy",
		"demandratchetpercentage":   "not priced: shares by month of the year; see lookbackpercent",
		"lookbackmonths":            "not priced: all months before count alike",
		"fueladjustmentsmonthly":    "not priced: its prices change by month beside the periods",
	}
}

// rest notes the fields that nothing has used.
func (im *importer) rest() {
	reasons := unpriced()
	names := make([]string, 0, len(im.fields))
	for name := range im.fields {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		raw, there := im.fields[name]
		switch {
		case im.taken[name] || slices.Contains(about(), name), !there || isEmpty(raw):
		case reasons[name] != "":
			im.note(name, "%s", reasons[name])
		default:
			im.note(name, "not priced: the field is not known")
		}
	}
}

// isEmpty tells whether a field says nothing.
func isEmpty(raw json.RawMessage) bool {
	return slices.Contains([]string{"null", "false", `""`, "[]", "0", "0.0"}, string(bytes.TrimSpace(raw)))
}
