package tariff

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"
)

// Limits on texts.
const (
	maxSize       = 64 << 10
	maxSeriesSize = 4 << 20
)

// Parse reads a tariff in JSON (spec/tariff.md section 2). It refuses members
// that it does not know or that are given twice, values of another type, null,
// text after the tariff, and more than 64 KiB. A refusal is an [*Error] that
// lists every problem found with its path. What Parse accepts need not be
// canonical: [Tariff.MarshalJSON] writes the canonical form.
func Parse(data []byte) (*Tariff, error) {
	r := reader{problems: problems{what: "tariff"}}
	raw, ok := r.text(data, maxSize)
	if !ok {
		return nil, r.err()
	}
	doc := r.document(raw)
	if len(r.list) == 0 {
		return New(doc)
	}
	if !r.unread {
		r.check(doc)
	}
	return nil, r.err()
}

// check adds what is wrong with what has been read, but for what follows from
// the problems before.
func (r *reader) check(doc Document) {
	var found *Error
	if _, err := New(doc); !errors.As(err, &found) {
		return
	}
	before := r.list
	for _, p := range found.Problems {
		if !slices.ContainsFunc(before, func(b Problem) bool { return within(p.Path, b.Path) || within(b.Path, p.Path) }) {
			r.add(p.Path, p.Reason, p.Fix)
		}
	}
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
	unread bool // a list or an object is not there, so that names in others may mean nothing
}

// text checks that a whole text is JSON of at most limit bytes.
func (r *reader) text(data []byte, limit int) (json.RawMessage, bool) {
	if len(data) > limit {
		r.add("", fmt.Sprintf("has %d bytes", len(data)), fmt.Sprintf("a %s has at most %d", r.what, limit))
		return nil, false
	}
	if !utf8.Valid(data) {
		r.add("", "is not UTF-8", "save the file as UTF-8")
		return nil, false
	}
	var raw json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		r.add("", "is not JSON: "+syntax(data, err), "")
		return nil, false
	}
	return raw, true
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

// whole reads a number without sign, fraction and exponent, of at most 9
// digits. 0 stands for one that is refused.
func (r *reader) whole(path string, raw json.RawMessage) int {
	const fix = "write a whole number like 30"
	raw = bytes.TrimLeft(raw, " \t\r\n")
	if kind := kindOf(raw); kind != "a number" {
		r.add(path, "is "+kind, fix)
		return 0
	}
	n, err := strconv.ParseUint(string(raw), 10, 30)
	if err != nil {
		r.add(path, fmt.Sprintf("%.20q is not a whole number", raw), fix)
		return 0
	}
	return int(n)
}

// array reads a list of at most limit elements.
func (r *reader) array(path string, raw json.RawMessage, limit int) []json.RawMessage {
	if kind := kindOf(raw); kind != "a list" {
		r.unread = true
		r.add(path, "is "+kind, "want a list")
		return nil
	}
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		r.add(path, "is not a list: "+err.Error(), "")
	}
	if len(list) > limit {
		r.unread = true
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
		o.broken, r.unread = true, true
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

// whole takes a member that is a whole number.
func (o *object) whole(name string) int {
	raw, ok := o.take(name, required)
	if !ok {
		return 0
	}
	return o.r.whole(o.at(name), raw)
}

// texts takes a member that is a list of strings, which may be missing.
func (o *object) texts(name string, limit int, p presence) []string {
	var list []string
	for i, raw := range o.list(name, limit, p) {
		list = append(list, o.r.string(index(o.at(name), i), raw))
	}
	return list
}

// list takes a member that is a list with at least one element.
func (o *object) list(name string, limit int, p presence) []json.RawMessage {
	raw, ok := o.take(name, p)
	if !ok {
		return nil
	}
	before := len(o.r.list)
	list := o.r.array(o.at(name), raw, limit)
	if len(list) == 0 && len(o.r.list) == before && p == optional {
		o.r.add(o.at(name), "is empty", "give an element or leave the member out")
	}
	return list
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
