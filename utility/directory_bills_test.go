package utility

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/wire"
)

// What is kept while somebody lists moves no bill to another part: none is
// missing, none comes twice.
func TestBillsInParts(t *testing.T) {
	r, meters := billing(t, 9)
	slices.SortFunc(meters, func(a, b wattveil.Pseudonym) int { return cmp.Compare(int64(a), int64(b)) })
	var before []wattveil.Pseudonym // every other one
	for i := 1; i < len(meters); i += 2 {
		before = append(before, meters[i])
	}
	_, err := r.run(before...)
	must(t, err)
	var seen []wattveil.Pseudonym
	q := BillQuery{Tariff: "flat", From: billFrom, To: billTo, Limit: 1}
	for i := 0; i == 0 || q.Mark != 0; i++ {
		list, next, err := r.Bills(t.Context(), q)
		must(t, err)
		for _, k := range list {
			seen = append(seen, k.Pseudonym)
		}
		q.Mark = next
		if i < 2 { // one before the mark, one behind it
			_, err := r.run(meters[0], meters[8])
			must(t, err)
		}
	}
	if want := append(slices.Clone(before), meters[8]); !slices.Equal(seen, want) {
		t.Errorf("%v are listed, want %v", seen, want)
	}
	if list, next, err := r.Bills(t.Context(), BillQuery{Limit: 100}); err != nil || len(list) != 6 || next != 0 {
		t.Errorf("%d bills at once, next %d, %v", len(list), next, err)
	}
	if _, _, err := r.Bills(t.Context(), BillQuery{Mark: 99, Limit: 1}); !errors.Is(err, wire.Malformed) || !strings.Contains(err.Error(), "mark 99") {
		t.Errorf("a mark that nobody gave: %v", err)
	}
}

// A part is read from the index, without sorting all that is kept.
func TestBillsAreInTheOrderOfAnIndex(t *testing.T) {
	r := enrolled(t, "a")
	rows, err := r.db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+billColumns+"WHERE "+afterMark+" AND b.from_second < 9 ORDER BY "+billOrder+" LIMIT 5", 1, 2, "flat", 3, 0)
	must(t, err)
	defer func() { must(t, rows.Close()) }()
	plan := ""
	for rows.Next() {
		var id, parent, unused int
		var detail string
		must(t, rows.Scan(&id, &parent, &unused, &detail))
		plan += detail + "\n"
	}
	must(t, rows.Err())
	const want = "SEARCH b USING INDEX bills_by_start ((from_second,an_id,tariff,to_second,correction)>(?,?,?,?,?) AND from_second<?)"
	if !strings.HasPrefix(plan, want) || strings.Count(plan, "ORDER BY") != 1 { // that of the devices of a pseudonym
		t.Error(plan)
	}
}
