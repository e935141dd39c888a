package deptest

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestDependencies holds DEPENDENCIES.md to go.mod, both ways.
func TestDependencies(t *testing.T) {
	watch(t)
	written := dependencyTable(t)
	required := directRequirements(t)
	for path, version := range required {
		switch line, ok := written[path]; {
		case !ok:
			t.Errorf("go.mod requires %s: give it a line in DEPENDENCIES.md that says why", path)
		case line.version != version:
			t.Errorf("DEPENDENCIES.md has %s %s, go.mod %s", path, line.version, version)
		case slices.Contains(line.rest, ""):
			t.Errorf("the line of %s in DEPENDENCIES.md has an empty cell", path)
		}
	}
	for path := range written {
		if _, ok := required[path]; !ok {
			t.Errorf("DEPENDENCIES.md has a line for %s, which nothing imports", path)
		}
	}
	if paths := slices.Collect(maps.Keys(required)); len(paths) == 0 {
		t.Error("go.mod requires nothing: this test looks at the wrong file")
	}
}

// directRequirements are the modules that packages of this module import, in
// tests too, and those of its tools, each with the version in go.mod. It goes
// by the imports, since "// indirect" in go.mod is a remark.
func directRequirements(t *testing.T) map[string]string {
	t.Helper()
	out, err := run(root, "list", "-test", "-deps", "-json=ImportPath,Imports,Module", "./...", "tool")
	if err != nil {
		t.Fatal(err)
	}
	type found struct {
		ImportPath string
		Imports    []string
		Module     *struct {
			Path, Version string
			Main          bool
		}
	}
	packages := make(map[string]found)
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var p found
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		packages[p.ImportPath] = p
	}
	direct := make(map[string]string)
	add := func(path string) {
		if m := packages[path].Module; m != nil && !m.Main {
			direct[m.Path] = m.Version
		}
	}
	for _, p := range packages {
		if p.Module == nil || !p.Module.Main {
			continue
		}
		for _, imported := range p.Imports {
			add(imported)
		}
	}
	for _, tool := range tools(t) {
		add(tool)
	}
	return direct
}

// tools are the packages of the tool directives in go.mod.
func tools(t *testing.T) []string {
	t.Helper()
	out, err := run(root, "mod", "edit", "-json")
	if err != nil {
		t.Fatal(err)
	}
	var mod struct{ Tool []struct{ Path string } }
	if err := json.Unmarshal(out, &mod); err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, tool := range mod.Tool {
		paths = append(paths, tool.Path)
	}
	return paths
}

// dependencyLine is a line of the table: version, and the cells behind it.
type dependencyLine struct {
	version string
	rest    []string
}

var tableLine = regexp.MustCompile(`(?m)^\| ([a-z0-9.]+\.[a-z]+/\S+) \| (v\S+) \|(.*)\|$`)

func dependencyTable(t *testing.T) map[string]dependencyLine {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "DEPENDENCIES.md"))
	if err != nil {
		t.Fatal(err)
	}
	lines := make(map[string]dependencyLine)
	for _, m := range tableLine.FindAllStringSubmatch(string(text), -1) {
		if _, twice := lines[m[1]]; twice {
			t.Errorf("DEPENDENCIES.md has %s twice", m[1])
		}
		cells := strings.Split(m[3], "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if len(cells) != 4 {
			t.Errorf("the line of %s in DEPENDENCIES.md has %d cells, want 6", m[1], 2+len(cells))
		}
		lines[m[1]] = dependencyLine{version: m[2], rest: cells}
	}
	return lines
}

// TestReadme holds README.md's table of folders to the folders with packages.
func TestReadme(t *testing.T) {
	watch(t)
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	out, err := run(root, "list", "-f", "{{.ImportPath}}", "./...")
	if err != nil {
		t.Fatal(err)
	}
	module := load(t, root).module
	for path := range strings.FieldsSeq(string(out)) {
		folder, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(path, module), "/"), "/")
		if folder != "" && folder != "internal" && !strings.Contains(string(text), "`"+folder+"/") {
			t.Errorf("%s: give %s/ a line in README.md's table of folders", path, folder)
		}
	}
}
