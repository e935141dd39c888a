package tariff

import (
	"fmt"
	"strings"
)

// maxProblems bounds how many problems one error lists.
const maxProblems = 20

// Problem is one thing wrong with a tariff.
type Problem struct {
	Path   string // where, such as "energy.windows[0].band"; empty for the whole text
	Reason string // what is wrong
	Fix    string // what to write instead; may be empty
}

// String is "path: reason (fix)".
func (p Problem) String() string {
	s := p.Reason
	if p.Path != "" {
		s = p.Path + ": " + s
	}
	if p.Fix != "" {
		s += " (" + p.Fix + ")"
	}
	return s
}

// Error says why a tariff or a price series is refused: every problem found, at most 20, first
// those of the text and then those of what it says. It holds no secret and is meant for the tariff's author.
type Error struct {
	Problems []Problem
	what     string
}

// Error joins the problems on one line.
func (e *Error) Error() string {
	parts := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		parts[i] = p.String()
	}
	what := e.what
	if what == "" {
		what = "tariff"
	}
	return what + ": " + strings.Join(parts, "; ")
}

// problems collects what is wrong while a document is read and checked.
type problems struct {
	what string // "tariff" or "price series"
	list []Problem
}

func (ps *problems) add(path, reason, fix string) {
	if len(ps.list) < maxProblems {
		ps.list = append(ps.list, Problem{Path: path, Reason: reason, Fix: fix})
	}
}

// err is nil if there are no problems.
func (ps *problems) err() error {
	if len(ps.list) == 0 {
		return nil
	}
	return &Error{Problems: ps.list, what: ps.what}
}

// join appends a member's name to a path. A name that no tariff has is quoted
// and cut, so that an error stays one line of text.
func join(path, name string) string {
	if !isName(name, maxID) {
		return fmt.Sprintf("%s[%.40q]", path, name)
	}
	if path == "" {
		return name
	}
	return path + "." + name
}

// within tells whether a path is another one or leads further from there.
func within(path, top string) bool {
	rest, ok := strings.CutPrefix(path, top)
	return ok && (rest == "" || top == "" || rest[0] == '.' || rest[0] == '[')
}

// index appends an element's place to a path.
func index(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }
