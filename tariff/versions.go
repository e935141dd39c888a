package tariff

import (
	"fmt"
	"slices"
	"time"
)

// Versions are tariffs that replace one another (spec/tariff.md section 2.1),
// by rising [Tariff.ValidFrom].
type Versions []*Tariff

// Group sorts tariffs into those that replace one another. A tariff that
// replaces none of the others, and is replaced by none, is alone. The groups
// come in the order in which the first of each is given. Tariffs that replace
// one another in a way that section 2.1 does not allow are an error.
func Group(tariffs []*Tariff) ([]Versions, error) {
	byID := make(map[string]*Tariff, len(tariffs))
	next := make(map[string]*Tariff, len(tariffs))
	for _, t := range tariffs {
		if byID[t.ID()] != nil {
			return nil, fmt.Errorf("tariff %s is given twice: another version has another id", t.ID())
		}
		byID[t.ID()] = t
	}
	for _, t := range tariffs {
		before := byID[t.Replaces()]
		if before == nil {
			continue
		}
		if other := next[before.ID()]; other != nil {
			return nil, fmt.Errorf("tariffs %s and %s both replace %s: a tariff has one successor", other.ID(), t.ID(), before.ID())
		}
		if err := t.succeeds(before); err != nil {
			return nil, err
		}
		next[before.ID()] = t
	}
	var groups []Versions
	done := map[*Tariff]bool{}
	for _, t := range tariffs {
		if done[t] {
			continue
		}
		for byID[t.Replaces()] != nil { // ends: valid_from falls at each step
			t = byID[t.Replaces()]
		}
		var group Versions
		for ; t != nil; t = next[t.ID()] {
			done[t] = true
			group = append(group, t)
		}
		groups = append(groups, group)
	}
	return groups, nil
}

// succeeds checks that t can replace another tariff.
func (t *Tariff) succeeds(before *Tariff) error {
	switch {
	case t.currency != before.currency:
		return fmt.Errorf("tariff %s is in %s and replaces %s, which is in %s", t.ID(), t.currency, before.ID(), before.currency)
	case t.doc.Timezone != before.doc.Timezone:
		return fmt.Errorf("tariff %s is in %s and replaces %s, which is in %s", t.ID(), t.doc.Timezone, before.ID(), before.doc.Timezone)
	case !t.validFrom.After(before.validFrom):
		return fmt.Errorf("tariff %s is valid from %s and replaces %s, which is valid from %s: a version starts after the one before",
			t.ID(), t.doc.ValidFrom, before.ID(), before.doc.ValidFrom)
	}
	return nil
}

// At is the version that prices an instant; nil if none does.
func (v Versions) At(at time.Time) *Tariff {
	i := slices.IndexFunc(v, func(t *Tariff) bool { return t.validFrom.After(at) })
	if i < 0 {
		i = len(v)
	}
	if i == 0 {
		return nil
	}
	t := v[i-1]
	if end, ok := t.ValidTo(); ok && !at.Before(end) {
		return nil
	}
	return t
}

// Piece is a part of a period and the version that prices it; nil if none
// does.
type Piece struct {
	Tariff   *Tariff
	From, To time.Time
}

// Split divides a period where one version gives way to the next.
func (v Versions) Split(from, to time.Time) []Piece {
	cuts := []time.Time{from, to}
	for _, t := range v {
		cuts = append(cuts, t.validFrom)
		if end, ok := t.ValidTo(); ok {
			cuts = append(cuts, end)
		}
	}
	slices.SortFunc(cuts, time.Time.Compare)
	var pieces []Piece
	for i := 1; i < len(cuts); i++ {
		p := Piece{From: cuts[i-1], To: cuts[i]}
		if p.From.Before(from) || p.To.After(to) || !p.From.Before(p.To) {
			continue
		}
		p.Tariff = v.At(p.From)
		if last := len(pieces) - 1; last >= 0 && pieces[last].Tariff == p.Tariff {
			pieces[last].To = p.To
			continue
		}
		pieces = append(pieces, p)
	}
	return pieces
}
