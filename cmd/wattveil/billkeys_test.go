package main

import (
	"bytes"
	"strings"
	"testing"
)

// TestBillKeysAreFresh prints a TTP's keys as soon as it has published another
// one, without any bill, and those of before while it is away.
func TestBillKeysAreFresh(t *testing.T) {
	w := newWorld(t)
	trust := w.ttp("ttp-first")
	u := w.utility("utility-a", nil, trust)
	keys := func() (printed, note string) {
		t.Helper()
		var out, logs bytes.Buffer
		root := newRoot()
		root.SetOut(&out)
		root.SetErr(&logs)
		root.SetArgs([]string{"utility", "bill", "keys", "--dir", u.dir})
		if err := root.Execute(); err != nil {
			t.Fatal(err)
		}
		return out.String(), logs.String()
	}
	if printed, note := keys(); strings.Count(printed, `"kid"`) != 1 || note != "" {
		t.Errorf("at first: %s, %q", printed, note)
	}
	w.do("ttp", "bill-key", "rotate", "--dir", trust.dir)
	fresh, note := keys()
	if strings.Count(fresh, `"kid"`) != 2 || note != "" {
		t.Errorf("after another was published: %s, %q", fresh, note)
	}
	trust.stop()
	if printed, note := keys(); printed != fresh || !strings.HasPrefix(note, "note: the TTP does not tell its keys now, and these are those of before: ") || strings.Count(note, "\n") != 1 {
		t.Errorf("while the TTP is away: %s, %q", printed, note)
	}
}
