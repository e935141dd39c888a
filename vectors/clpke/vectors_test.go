package clpke

import (
	"bytes"
	"testing"
)

// What Load reads, Files writes again byte for byte, so that no field of a
// file goes unread.
func TestLoadReadsEverything(t *testing.T) {
	v, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	again, err := v.Files()
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range again {
		want, err := files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is written otherwise than it was read", name)
		}
	}
}

func TestNamesAreUnique(t *testing.T) {
	v, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	see := func(file, name string) {
		if seen[file+name] {
			t.Errorf("%s has two entries %q", file, name)
		}
		seen[file+name] = true
	}
	for _, e := range v.Points {
		see("points.json", e.Name)
	}
	for _, e := range v.Keys {
		see("keys.json", e.Name)
	}
	for _, e := range v.Partials {
		see("partials.json", e.Name)
	}
	for _, e := range v.Messages {
		see("messages.json", e.Name)
	}
	for _, e := range v.Refusals {
		see("refusals.json", e.Name)
	}
	for _, e := range v.Statements {
		see("statements.json", e.Name)
	}
	for _, e := range v.Roots {
		see("roots.json", e.Name)
	}
}
