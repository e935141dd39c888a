package bill

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"unicode/utf8"
)

// member is the name and the type of a JSON member. The type is the byte that
// its values begin with; 0 stands for a number.
type member struct {
	name     string
	begins   byte
	optional bool
}

func billMembers() []member {
	return []member{
		{name: "carries", begins: '"', optional: true}, {name: "corrects", begins: '"', optional: true},
		{name: "currency", begins: '"'}, {name: "estimated"}, {name: "export_kwh", begins: '"', optional: true},
		{name: "from", begins: '"'}, {name: "import_kwh", begins: '"', optional: true}, {name: "intervals"},
		{name: "issuer", begins: '"'}, {name: "lines", begins: '['}, {name: "readings_root", begins: '"'},
		{name: "subject", begins: '"'}, {name: "tariff", begins: '"'}, {name: "tariff_digest", begins: '"'},
		{name: "timezone", begins: '"'}, {name: "to", begins: '"'}, {name: "total", begins: '"'},
		{name: "unbilled_seconds", optional: true}, {name: "v"},
	}
}

func lineMembers() []member {
	return []member{
		{name: "amount", begins: '"'}, {name: "band", begins: '"', optional: true}, {name: "kind", begins: '"'},
		{name: "minutes", optional: true}, {name: "month", begins: '"', optional: true},
		{name: "name", begins: '"', optional: true}, {name: "note", begins: '"', optional: true},
		{name: "on", begins: '"', optional: true}, {name: "price", begins: '"', optional: true},
		{name: "quantity", begins: '"', optional: true}, {name: "series", begins: '"', optional: true},
		{name: "share", begins: '"', optional: true}, {name: "tier", optional: true}, {name: "unit", begins: '"'},
		{name: "withheld", begins: '"', optional: true},
	}
}

// parsePayload reads a payload and refuses every text but the canonical one of
// what it says (spec/bill.md section 4). It does not check the values.
//
// A text that is equal to the canonical form of what was read from it has no
// white space, no member twice, and all members and no others. Only to name
// what is wrong is the text looked at step by step.
func parsePayload(data []byte) (Bill, error) {
	var b Bill
	if err := json.Unmarshal(data, &b); err == nil && b.V == Version {
		canonical, err := b.canonical()
		if err == nil && bytes.Equal(canonical, data) {
			return b, nil
		}
	}
	return Bill{}, diagnose(data)
}

// diagnose says why a text is not the canonical form of a bill.
func diagnose(data []byte) error {
	if err := checkText(data); err != nil {
		return err
	}
	if err := checkMembers(data); err != nil {
		return err
	}
	return refuse(ErrCanonical, "the payload is not canonical JSON (RFC 8785)")
}

// checkText checks the payload as JSON, whatever it says.
func checkText(data []byte) error {
	begins := bytes.TrimLeft(data, " \t\r\n")
	if !utf8.Valid(data) || !json.Valid(data) || begins[0] != '{' {
		return refuse(ErrJSON, "the payload is not a JSON object")
	}
	if i := whitespace(data); i >= 0 {
		return refuse(ErrWhitespace, "the payload has white space at byte %d", i)
	}
	if name, ok := duplicate(data); ok {
		return refuse(ErrDuplicate, "the payload gives %.40q twice", name)
	}
	return nil
}

// checkMembers checks the version, and that each object has its members and no
// others, each of its type.
func checkMembers(data []byte) error {
	var top map[string]json.RawMessage
	if err := json.Unmarshal(data, &top); err != nil {
		return refuse(ErrJSON, "the payload is not a JSON object: %v", err)
	}
	if v, ok := top["v"]; ok && string(v) != strconv.Itoa(Version) {
		return refuse(ErrVersion, "the bill is of version %.20s, this program knows version %d", v, Version)
	}
	if err := checkObject("the payload", top, billMembers()); err != nil {
		return err
	}
	var lines []json.RawMessage
	if err := json.Unmarshal(top["lines"], &lines); err != nil {
		return refuse(ErrMember, "lines is not a list: %v", err)
	}
	for i, raw := range lines {
		where := "line " + strconv.Itoa(i+1)
		var line map[string]json.RawMessage
		if raw[0] != '{' || json.Unmarshal(raw, &line) != nil {
			return refuse(ErrMember, "%s is not an object", where)
		}
		if err := checkObject(where, line, lineMembers()); err != nil {
			return err
		}
	}
	return nil
}

func checkObject(where string, object map[string]json.RawMessage, want []member) error {
	for _, m := range want {
		raw, ok := object[m.name]
		switch {
		case !ok && m.optional:
		case !ok:
			return refuse(ErrMember, "%s lacks %q", where, m.name)
		case m.begins != 0 && raw[0] != m.begins, m.begins == 0 && raw[0] != '-' && (raw[0] < '0' || raw[0] > '9'):
			return refuse(ErrMember, "%s has %q of another type", where, m.name)
		}
	}
	for name := range object {
		if !slices.ContainsFunc(want, func(m member) bool { return m.name == name }) {
			return refuse(ErrMember, "%s has the unknown member %.40q: a newer program may know it", where, name)
		}
	}
	return nil
}

// whitespace finds the first white space outside of strings in valid JSON; -1
// if there is none.
func whitespace(data []byte) int {
	inString := false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case !inString && (c == ' ' || c == '\t' || c == '\r' || c == '\n'):
			return i
		}
	}
	return -1
}

// duplicate finds a member that one object of valid JSON gives twice.
func duplicate(data []byte) (string, bool) {
	type level struct {
		names map[string]bool // nil in a list
		isKey bool            // whether the next token of an object is a name
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var stack []level
	for {
		token, err := dec.Token()
		if err != nil {
			return "", false
		}
		top := len(stack) - 1
		if top >= 0 && stack[top].names != nil {
			if name, ok := token.(string); ok && stack[top].isKey {
				if stack[top].names[name] {
					return name, true
				}
				stack[top].names[name], stack[top].isKey = true, false
				continue
			}
			stack[top].isKey = true
		}
		switch token {
		case json.Delim('{'):
			stack = append(stack, level{names: map[string]bool{}, isKey: true})
		case json.Delim('['):
			stack = append(stack, level{})
		case json.Delim('}'), json.Delim(']'):
			stack = stack[:top]
		}
	}
}
