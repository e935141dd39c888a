package deptest

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

func load(t *testing.T, dir string) *Graph {
	t.Helper()
	g, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// watch opens the folders and looks at the sources of the module. The go
// command keeps the result of a test until a file changes that the test itself
// has looked at, and the files that "go list" reads in a process of its own do
// not count.
func watch(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && path != root && (strings.HasPrefix(name, ".") || name == "testdata") {
			return filepath.SkipDir
		}
		if filepath.Ext(path) == ".go" || d.Name() == "go.mod" {
			_, err = os.Stat(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestImportRules(t *testing.T) {
	watch(t)
	for _, breach := range load(t, root).Check(rules(), planned()) {
		t.Error(breach)
	}
}

// TestCheck holds the checker to a module that breaks every kind of rule, and
// to rules that no module could keep.
func TestCheck(t *testing.T) {
	g := load(t, "testdata/fixture")
	tests := []struct {
		name    string
		rule    Rule
		planned []string
		want    []string
	}{
		{
			name: "reached through another package",
			rule: Rule{Of: []string{"desk"}, Never: []string{"vault"}, Why: "why"},
			want: []string{"desk reaches vault: why (desk > desk/drawer > vault)"},
		},
		{
			name: "reached by a package below",
			rule: Rule{Of: []string{"desk/..."}, Never: []string{"vault"}, Why: "why"},
			want: []string{
				"desk reaches vault: why (desk > desk/drawer > vault)",
				"desk/drawer reaches vault: why (desk/drawer > vault)",
			},
		},
		{
			name: "reached by a test only",
			rule: Rule{Of: []string{"clean"}, Never: []string{"vault", Outside}, Why: "why"},
		},
		{
			name: "a dependency and what is below it",
			rule: Rule{Of: []string{"store", "shop"}, Never: []string{"example.com/engine/..."}, Why: "why"},
			want: []string{
				"shop reaches example.com/engine/part: why (shop > example.com/engine/part)",
				"store reaches example.com/engine: why (store > example.com/engine)",
				"store reaches example.com/engine/part: why (store > example.com/engine > example.com/engine/part)",
			},
		},
		{
			name: "a dependency without what is below it",
			rule: Rule{Of: []string{"store", "shop"}, Never: []string{"example.com/engine"}, Why: "why"},
			want: []string{"store reaches example.com/engine: why (store > example.com/engine)"},
		},
		{
			name: "anything from outside",
			rule: Rule{Of: []string{".", "clean", "desk", "shop"}, Never: []string{Outside}, Why: "why"},
			want: []string{"shop reaches example.com/engine/part: why (shop > example.com/engine/part)"},
		},
		{
			name: "an importer that is not named",
			rule: Rule{Of: []string{"example.com/engine/..."}, OnlyFrom: []string{"store"}, Why: "why"},
			want: []string{"shop imports example.com/engine/part, which only store may: why"},
		},
		{
			name: "importers that are named",
			rule: Rule{Of: []string{"vault"}, OnlyFrom: []string{"desk/..."}, Why: "why"},
		},
		{
			name: "names that are no package",
			rule: Rule{Of: []string{"dsek"}, Never: []string{"vualt"}, OnlyFrom: []string{"example.com/engin"}, Why: "why"},
			want: []string{
				"rule for dsek: dsek is no package",
				"rule for dsek: vualt is no package",
				"rule for dsek: example.com/engin is no package",
			},
		},
		{
			name:    "names that are planned",
			rule:    Rule{Of: []string{"attic"}, Never: []string{"vault"}, Why: "why"},
			planned: []string{"attic"},
		},
		{
			name:    "planned, and there already",
			rule:    Rule{Of: []string{"clean"}, Never: []string{"vault"}, Why: "why"},
			planned: []string{"clean"},
			want:    []string{"clean exists: strike it from the planned packages"},
		},
		{
			name: "no reason",
			rule: Rule{Of: []string{"clean"}, Never: []string{"vault"}},
			want: []string{"rule for clean: it forbids nothing or gives no reason"},
		},
		{
			name: "nothing forbidden",
			rule: Rule{Of: []string{"clean"}, Why: "why"},
			want: []string{"rule for clean: it forbids nothing or gives no reason"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := g.Check([]Rule{test.rule}, test.planned); !slices.Equal(got, test.want) {
				t.Errorf("found:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}

func TestLoadRefuses(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("a folder without a module: %v; want an error that names it", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/broken\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "broken.go"), []byte("package broken\n\nimport _ \"example.com/broken/missing\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("a package that is missing: %v; want an error that names it", err)
	}
}
