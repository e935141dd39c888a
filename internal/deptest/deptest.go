// Package deptest checks which package imports which. Its own test holds the
// table of the platform's rules, rules_test.go: that table is the architecture,
// and the reason beside each rule is why it is so.
//
// A rule names packages as they are named in the folder tree: "wire/open" is a
// package of the module itself, "." its root. Packages elsewhere have their
// whole import path. A name that ends in "/..." also means all packages below.
package deptest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
)

// Outside stands, in Never, for every package that is neither of the module
// nor of the standard library.
const Outside = "(outside)"

// Rule says what packages must never link, or who alone may import them. Tests
// are free: a rule is about what ends up in a program.
type Rule struct {
	Of []string
	// Never lists what the packages must not reach, however many imports away.
	Never []string
	// OnlyFrom lists who alone, beside the packages themselves, may import
	// them. It applies to direct imports by packages of the module.
	OnlyFrom []string
	Why      string
}

// pack is what the go command tells of a package.
type pack struct {
	ImportPath string
	Standard   bool
	Imports    []string
	Deps       []string // all that it reaches
	Module     *struct{ Main bool }
}

func (p pack) own() bool { return p.Module != nil && p.Module.Main }

// Graph holds the packages of a module and all that they reach.
type Graph struct {
	module   string
	packages map[string]pack
}

// Load reads the module in a folder with the go command.
func Load(dir string) (*Graph, error) {
	module, err := run(dir, "list", "-m", "-f", "{{.Path}}")
	if err != nil {
		return nil, err
	}
	out, err := run(dir, "list", "-deps", "-json=ImportPath,Standard,Imports,Deps,Module", "./...")
	if err != nil {
		return nil, err
	}
	g := &Graph{module: strings.TrimSpace(string(module)), packages: make(map[string]pack)}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pack
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return g, nil
		} else if err != nil {
			return nil, fmt.Errorf("read what go list says of %s: %w", dir, err)
		}
		g.packages[p.ImportPath] = p
	}
}

func run(dir string, args ...string) ([]byte, error) {
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s in %s: %w: %s", strings.Join(args, " "), dir, err, stderr.String())
	}
	return out, nil
}

// Check gives one line for each breach of the rules and for each name in them
// that stands for no package, in the order of the rules. Names in planned may
// be missing; one that is there is reported, so that the list shrinks.
func (g *Graph) Check(rules []Rule, planned []string) []string {
	var found []string
	for _, name := range planned {
		if len(g.match(name)) > 0 {
			found = append(found, fmt.Sprintf("%s exists: strike it from the planned packages", name))
		}
	}
	for _, r := range rules {
		of := strings.Join(r.Of, ", ")
		for _, name := range slices.Concat(r.Of, r.Never, r.OnlyFrom) {
			if name != Outside && len(g.match(name)) == 0 && !slices.Contains(planned, name) {
				found = append(found, fmt.Sprintf("rule for %s: %s is no package", of, name))
			}
		}
		if r.Why == "" || len(r.Of) == 0 || len(r.Never)+len(r.OnlyFrom) == 0 {
			found = append(found, fmt.Sprintf("rule for %s: it forbids nothing or gives no reason", of))
		}
		found = append(found, g.reaches(r)...)
		found = append(found, g.importers(r)...)
	}
	return found
}

// reaches reports what packages link although their rule says never.
func (g *Graph) reaches(r Rule) []string {
	var found []string
	for _, path := range g.sorted() {
		if !g.isAny(path, r.Of) {
			continue
		}
		for _, dep := range g.packages[path].Deps {
			if g.isAny(dep, r.Never) {
				found = append(found, fmt.Sprintf("%s reaches %s: %s (%s)",
					g.short(path), g.short(dep), r.Why, strings.Join(g.way(path, dep), " > ")))
			}
		}
	}
	return found
}

// importers reports who imports packages although their rule names others.
func (g *Graph) importers(r Rule) []string {
	if len(r.OnlyFrom) == 0 {
		return nil
	}
	var found []string
	for _, path := range g.sorted() {
		p := g.packages[path]
		if !p.own() || g.isAny(path, r.Of) || g.isAny(path, r.OnlyFrom) {
			continue
		}
		for _, imported := range p.Imports {
			if g.isAny(imported, r.Of) {
				found = append(found, fmt.Sprintf("%s imports %s, which only %s may: %s",
					g.short(path), g.short(imported), strings.Join(r.OnlyFrom, ", "), r.Why))
			}
		}
	}
	return found
}

// way is a shortest chain of imports from one package to another.
func (g *Graph) way(from, to string) []string {
	before := map[string]string{from: ""}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		if queue[0] == to {
			break
		}
		for _, next := range g.packages[queue[0]].Imports {
			if _, seen := before[next]; !seen {
				before[next] = queue[0]
				queue = append(queue, next)
			}
		}
	}
	var chain []string
	for path := to; path != ""; path = before[path] {
		chain = append(chain, g.short(path))
	}
	slices.Reverse(chain)
	return chain
}

// match lists the packages that a name of a rule stands for.
func (g *Graph) match(name string) []string {
	return slices.DeleteFunc(g.sorted(), func(path string) bool { return !g.is(path, name) })
}

// is tells whether a name of a rule stands for a package.
func (g *Graph) is(path, name string) bool {
	if name == Outside {
		p := g.packages[path]
		return !p.Standard && !p.own()
	}
	name, below := strings.CutSuffix(name, "/...")
	full := g.module + "/" + name
	if name == "." {
		full = g.module
	}
	for _, want := range []string{full, name} {
		if path == want || below && strings.HasPrefix(path, want+"/") {
			return true
		}
	}
	return false
}

func (g *Graph) isAny(path string, names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return g.is(path, name) })
}

// short is a package's name as the rules write it.
func (g *Graph) short(path string) string {
	if path == g.module {
		return "."
	}
	return strings.TrimPrefix(path, g.module+"/")
}

func (g *Graph) sorted() []string {
	paths := make([]string, 0, len(g.packages))
	for path := range g.packages {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return paths
}
