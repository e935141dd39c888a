package grid

import (
	"slices"
	"testing"

	"github.com/wattveil/wattveil"
)

// TestPairedRuns holds the table of who may learn what (spec/threats.md): what
// a party may not learn is changed, and all that the party sees stays equal.
func TestPairedRuns(t *testing.T) {
	w := newWorld(t, 2, 56).with(func(w *world) {
		w.trouble, w.late, w.bills = true, true, []int{7, 14, 56}
	})
	runs := play(t, w, w.with(otherLoads), w.with(otherIdentities), w.with(otherPseudonyms))
	first := runs[0]

	t.Run("readings hidden from collectors and utility", func(t *testing.T) {
		second := runs[1]
		mustHaveMoved(t, first, second)
		mustHaveCorrections(t, first)
		mustEqual(t, utilityView(t, first), utilityView(t, second))
		mustEqual(t, first.logsOf(TTPOrg), second.logsOf(TTPOrg))
		mustEqual(t, first.logsOf("meter"), second.logsOf("meter"))
	})
	t.Run("identities, ID_SM and collectors hidden from the TTP", func(t *testing.T) {
		second := runs[2]
		mustEqual(t, ttpView(t, first), ttpView(t, second))
	})
	t.Run("an-ID hidden from collectors", func(t *testing.T) {
		second := runs[3]
		mustEqual(t, collectorsView(t, first), collectorsView(t, second))
	})
}

// otherLoads changes the readings and keeps the bill lines.
func otherLoads(w *world) { w.loads = w.shuffled() }

// otherIdentities gives each household, which keeps its an-ID, another ID_SM,
// another collector and another place in the utility's list of customers.
func otherIdentities(w *world) {
	w.ids = rotated(w.ids, 1)
	w.place = []int{2, 0, 0, 1, 1, 0} // collector-1 has three meters now, collector-3 one
	w.order = []int{4, 2, 5, 0, 3, 1}
}

// otherPseudonyms gives each household, which keeps its ID_SM, another an-ID.
func otherPseudonyms(w *world) {
	w.pseudonyms = slices.Clone(w.pseudonyms)
	slices.Reverse(w.pseudonyms)
	w.pseudonyms[0] = ^w.pseudonyms[0]
}

func rotated[T any](s []T, n int) []T { return append(slices.Clone(s[n:]), s[:n]...) }

// mustHaveMoved demands that most readings of two runs differ, so that equal
// views mean something.
func mustHaveMoved(t *testing.T, a, b *played) {
	t.Helper()
	for i, flows := range a.loads {
		moved := 0
		for k := range flows {
			if flows[k] != b.loads[i][k] {
				moved++
			}
		}
		if moved*3 < len(flows) && i != 5 { // home 5 is hardly used
			t.Errorf("home %d: %d of %d intervals differ", i, moved, len(flows))
		}
	}
	name := "readings " + wattveil.Meter{UC: 1, Pseudonym: a.pseudonyms[0]}.String()
	if len(a.stored[name]) == 0 || len(differences(a.stored, b.stored)) != len(a.stored) {
		t.Error("the TTP's readings do not differ for every meter")
	}
}

func (p *played) logsOf(party string) view {
	v := view{"party": {party}}
	p.logs(v, party)
	return v
}
