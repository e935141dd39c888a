package portal

import (
	"strings"
	"testing"

	"github.com/wattveil/wattveil/gate"
)

func TestWhoAskedIsTold(t *testing.T) {
	f := newFake()
	s, session := newServer(t, f)
	body := get(s, "/m/"+fakeRef+"/asked", session).Body.String()
	text := textOf(body)
	for _, want := range []string{
		"Bill, 1 June 2026 – 2 June 2026 Asked by your utility, energy.example, on 17 June 2026, 14:20.",
		"Told From the grid day, Highest power peak 2026-06 Withheld From the grid spot: Together with all that was told before",
		"Correction, 1 June 2026", "Refused, 1 June 2026", "and 7 times in all, last on 17 June 2026, 15:20", "Why The time was too short for a bill.",
		"Difference not told, 1 June 2026", "Why new-rule", "bills_per_year 26 14",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q:\n%s", want, text)
		}
	}
	if !strings.Contains(body, `href="/m/`+fakeRef+`/bill/`+fakeBillRef+`"`) {
		t.Error("the page does not lead to the bill")
	}
	f.empty = true
	if text := textOf(get(s, "/m/"+fakeRef+"/asked", session).Body.String()); !strings.Contains(text, "Nobody has asked") || !strings.Contains(text, "are the usual ones") {
		t.Error("the page does not say that nobody has asked")
	}
}

// TestEveryRuleHasWords: whatever the gate refuses by, a consumer reads why.
func TestEveryRuleHasWords(t *testing.T) {
	rules := []gate.Rule{
		gate.TooOld, gate.NotOver, gate.Overlap, gate.CorrectsNothing, gate.CorrectedAlready, gate.CorrectionEarly, gate.CorrectionLate, gate.TenancyEnded,
		gate.TariffEnded, gate.Registered, gate.BillsPerYear, gate.Short, gate.ShortPerYear, gate.DemandAgain, gate.DemandWindow, gate.DemandCount,
		gate.Quantities, gate.Price, gate.Reveal,
	}
	for _, r := range rules {
		if words, ok := ruleTexts[string(r)]; !ok || words.EN == "" || words.DE == "" {
			t.Errorf("rule %s has no words", string(r))
		}
	}
	if len(ruleTexts) != len(rules) {
		t.Errorf("%d rules have words, want %d", len(ruleTexts), len(rules))
	}
}
