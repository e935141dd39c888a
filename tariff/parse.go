package tariff

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// Limits on the text and on the lists in it.
const (
	maxSize    = 64 << 10
	maxBands   = 24
	maxWindows = 256
)

// Parse reads a tariff in JSON (spec/tariff.md section 2). It refuses members
// that it does not know or that are given twice, values of another type, null,
// text after the tariff, and more than 64 KiB. A refusal is an [*Error] that
// lists every problem found with its path. What Parse accepts need not be
// canonical: [Tariff.MarshalJSON] writes the canonical form.
func Parse(data []byte) (*Tariff, error) {
	doc, err := decode(data)
	if err != nil {
		return nil, err
	}
	return New(doc)
}

func decode(data []byte) (Document, error) {
	var r reader
	if len(data) > maxSize {
		r.add("", fmt.Sprintf("has %d bytes", len(data)), fmt.Sprintf("a tariff has at most %d", maxSize))
		return Document{}, r.err()
	}
	if !utf8.Valid(data) {
		r.add("", "is not UTF-8", "save the file as UTF-8")
		return Document{}, r.err()
	}
	var raw json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		r.add("", "is not JSON: "+syntax(data, err), "")
		return Document{}, r.err()
	}
	doc := r.document(raw)
	return doc, r.err()
}

// syntax says where JSON is broken.
func syntax(data []byte, err error) string {
	var se *json.SyntaxError
	if !errors.As(err, &se) {
		return err.Error()
	}
	before := data[:min(int(se.Offset), len(data))]
	line := 1 + bytes.Count(before, []byte("\n"))
	return fmt.Sprintf("line %d: %v", line, se)
}

// A reader turns JSON that is known to be well formed into a document and
// collects what does not fit.
type reader struct {
	problems
}

func (r *reader) document(raw json.RawMessage) Document {
	m := r.object("", raw)
	d := Document{
		ID:         m.text("id", required),
		Currency:   m.text("currency", required),
		Timezone:   m.text("timezone", required),
		ValidFrom:  m.text("valid_from", required),
		TaxPercent: m.text("tax_percent", optional),
	}
	if raw, ok := m.take("energy", required); ok {
		d.Energy = r.energy(m.at("energy"), raw)
	}
	if raw, ok := m.take("standing", optional); ok {
		s := r.object(m.at("standing"), raw)
		d.Standing = &Standing{PerDay: s.text("per_day", required)}
		s.end()
	}
	m.end()
	return d
}

func (r *reader) energy(path string, raw json.RawMessage) Energy {
	m := r.object(path, raw)
	e := Energy{Default: m.text("default", required)}
	if raw, ok := m.take("bands", required); ok {
		e.Bands = r.bands(m.at("bands"), raw)
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
		bands[name] = Band{Import: b.text("import", required), Export: b.text("export", optional)}
		b.end()
	}
	return bands
}

func (r *reader) window(path string, raw json.RawMessage) Window {
	m := r.object(path, raw)
	w := Window{
		Band: m.text("band", required),
		From: m.text("from", required),
		To:   m.text("to", required),
	}
	if raw, ok := m.take("days", required); ok {
		for i, raw := range r.array(m.at("days"), raw, len(dayNames)) {
			w.Days = append(w.Days, r.string(index(m.at("days"), i), raw))
		}
	}
	m.end()
	return w
}

// string reads a string that is not empty.
func (r *reader) string(path string, raw json.RawMessage) string {
	var s string
	switch kind := kindOf(raw); {
	case kind == "a number":
		r.add(path, "is a number", fmt.Sprintf("write it as a string: %q", raw))
	case kind != "a string":
		r.add(path, "is "+kind, "want a string")
	case json.Unmarshal(raw, &s) != nil || s == "":
		r.add(path, "is empty", "give a value or leave the member out")
	}
	return s
}

// array reads a list of at most limit elements.
func (r *reader) array(path string, raw json.RawMessage, limit int) []json.RawMessage {
	if kind := kindOf(raw); kind != "a list" {
		r.add(path, "is "+kind, "want a list")
		return nil
	}
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		r.add(path, "is not a list: "+err.Error(), "")
	}
	if len(list) > limit {
		r.add(path, fmt.Sprintf("has %d elements", len(list)), fmt.Sprintf("at most %d are allowed", limit))
		return nil
	}
	return list
}

// object reads the members of an object. Of members with one name the first
// counts and the others are problems.
func (r *reader) object(path string, raw json.RawMessage) *object {
	o := &object{r: r, path: path, members: map[string]json.RawMessage{}}
	if kind := kindOf(raw); kind != "an object" {
		r.add(path, "is "+kind, "want an object")
		o.broken = true
		return o
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	_, _ = dec.Token() // the brace
	for dec.More() {
		key, err := dec.Token()
		name, ok := key.(string)
		var value json.RawMessage
		if err != nil || !ok || dec.Decode(&value) != nil {
			r.add(path, "is not an object", "")
			return o
		}
		if _, twice := o.members[name]; twice {
			r.add(o.at(name), "is given twice", "leave one")
			continue
		}
		o.members[name] = value
	}
	return o
}

// presence tells whether a member may be missing.
type presence bool

const (
	required presence = true
	optional presence = false
)

// An object holds the members of one JSON object until each is taken.
type object struct {
	r       *reader
	path    string
	members map[string]json.RawMessage
	broken  bool // not an object at all, which has been reported
}

func (o *object) at(name string) string { return join(o.path, name) }

// names lists the members not yet taken, sorted.
func (o *object) names() []string {
	names := make([]string, 0, len(o.members))
	for name := range o.members {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// take hands a member over; it reports one that is required and missing.
func (o *object) take(name string, p presence) (json.RawMessage, bool) {
	raw, ok := o.members[name]
	delete(o.members, name)
	if !ok && p == required && !o.broken {
		o.r.add(o.at(name), "is missing", "")
	}
	return raw, ok
}

// text takes a member that is a string.
func (o *object) text(name string, p presence) string {
	raw, ok := o.take(name, p)
	if !ok {
		return ""
	}
	return o.r.string(o.at(name), raw)
}

// end reports the members that nothing has taken.
func (o *object) end() {
	for _, name := range o.names() {
		o.r.add(o.at(name), "is not known", "check the spelling; a newer program may know it")
	}
}

// kindOf names the type of a JSON value.
func kindOf(raw json.RawMessage) string {
	raw = bytes.TrimLeft(raw, " \t\r\n")
	if len(raw) == 0 {
		return "nothing"
	}
	switch raw[0] {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "a string"
	case 't', 'f':
		return "a truth value"
	case 'n':
		return "null"
	default:
		return "a number"
	}
}
