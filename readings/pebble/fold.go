package pebble

import (
	"slices"

	"github.com/wattveil/wattveil/readings"
)

// entry is what folds: a value of a day or a mark of a page. A slot is what
// only one entry may stand for, though rivals may want to: a reading or a
// counter.
type entry[T any] interface {
	*T
	slot(*T) int  // orders by slot
	order(*T) int // orders by slot, then by stamp, then by content
	same(*T) bool // tells whether both say the same of their slot
}

// fold brings entries into their one order, in place, and leaves in each slot
// the distinct ones with their least stamps, the first [readings.MaxRivals] of
// them, and limit in all. The result does not depend on the order in which
// operands brought them, nor on their grouping, nor on how often each came.
func fold[T any, P entry[T]](entries []T, limit int, scratch *[]T) []T {
	arrange[T, P](entries, scratch)
	kept, slot := entries[:0], 0
	for i := range entries {
		e := P(&entries[i])
		if slot < len(kept) && P(&kept[slot]).slot(&entries[i]) == 0 {
			rivals := kept[slot:]
			if len(rivals) == readings.MaxRivals || slices.ContainsFunc(rivals, func(k T) bool { return e.same(&k) }) {
				continue
			}
		} else {
			slot = len(kept)
		}
		if kept = append(kept, entries[i]); len(kept) == limit {
			break
		}
	}
	return kept
}

// arrange sorts. The engine mostly hands over sorted operands, from the newest
// to the oldest, and what they bring is then sorted once the operands stand in
// the opposite order.
func arrange[T any, P entry[T]](entries []T, scratch *[]T) {
	if sorted[T, P](entries) {
		return
	}
	turned := (*scratch)[:0]
	for i, end := len(entries)-1, len(entries); i >= 0; i-- {
		if i == 0 || P(&entries[i-1]).order(&entries[i]) > 0 {
			turned = append(turned, entries[i:end]...)
			end = i
		}
	}
	copy(entries, turned)
	*scratch = turned
	if !sorted[T, P](entries) {
		slices.SortFunc(entries, func(a, b T) int { return P(&a).order(&b) })
	}
}

func sorted[T any, P entry[T]](entries []T) bool {
	for i := 1; i < len(entries); i++ {
		if P(&entries[i-1]).order(&entries[i]) > 0 {
			return false
		}
	}
	return true
}

// folded tells whether entries are what [fold] leaves.
func folded[T any, P entry[T]](entries []T) bool {
	slot := 0
	for i := 1; i < len(entries); i++ {
		e := P(&entries[i])
		if e.slot(&entries[i-1]) > 0 {
			slot = i
			continue
		}
		if e.order(&entries[i-1]) <= 0 || i-slot >= readings.MaxRivals {
			return false
		}
		for j := slot; j < i; j++ {
			if e.same(&entries[j]) {
				return false
			}
		}
	}
	return true
}
