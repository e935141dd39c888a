package utility

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/internal/registry"
	"github.com/wattveil/wattveil/wire"
)

// Tenancy is the time of a period in which a pseudonym held.
type Tenancy struct {
	Pseudonym wattveil.Pseudonym
	From, To  time.Time // To is exclusive
}

// Tenancies are the pseudonyms that a meter had in a period, each with its part
// of it, in their order. A pseudonym that a replaced device handed over is its
// successor's, from the start. It fails with wire.Retired if the meter had none
// in the period, and with wire.Unenrolled if it has never registered.
func (u *Utility) Tenancies(ctx context.Context, id wattveil.MeterID, from, to time.Time) ([]Tenancy, error) {
	s, err := u.standing(ctx, u.db, id)
	if err != nil {
		return nil, err
	}
	if !s.registered {
		return nil, fmt.Errorf("%w: meter %v has not registered yet", wire.Unenrolled, id)
	}
	all, err := u.pseudonymsOf(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("pseudonyms of meter %v: %w", id, err)
	}
	end, err := u.lastEnd(ctx, id, &s, to)
	if err != nil {
		return nil, err
	}
	var list []Tenancy
	for i, p := range all {
		t := Tenancy{Pseudonym: p.pseudonym, From: later(from, time.Unix(p.since, 0)), To: earlier(to, end)}
		if i+1 < len(all) {
			t.To = earlier(to, time.Unix(all[i+1].since, 0))
		}
		if !p.handedOver && t.From.Before(t.To) {
			list = append(list, t)
		}
	}
	if len(list) > 0 {
		return list, nil
	}
	next, found, err := successor(ctx, u.db, id)
	if err != nil {
		return nil, fmt.Errorf("successor of meter %v: %w", id, err)
	}
	if found {
		return nil, fmt.Errorf("%w: meter %v was replaced; its bills are those of meter %v", wire.Retired, id, next)
	}
	return nil, fmt.Errorf("%w: meter %v had no pseudonym in the period", wire.Retired, id)
}

// lastEnd is when the last pseudonym of a meter ends, at most at 'to': when it
// was retired, or replaced by a device that began with another one.
func (u *Utility) lastEnd(ctx context.Context, id wattveil.MeterID, s *standing, to time.Time) (time.Time, error) {
	if s.retired.Valid {
		return earlier(to, time.Unix(s.retired.Int64, 0).Truncate(time.Hour)), nil
	}
	var since int64
	found, err := registry.Find(u.db.QueryRowContext(ctx, `
		SELECT p.since FROM meters n JOIN pseudonyms p ON p.id_sm = n.id_sm
		WHERE n.predecessor = ? ORDER BY n.added DESC, p.base LIMIT 1`, int64(id)), &since)
	if err != nil {
		return to, fmt.Errorf("successor of meter %v: %w", id, err)
	}
	if found && since != 0 {
		return earlier(to, time.Unix(since, 0)), nil
	}
	return to, nil
}

// pseudonymSince is a pseudonym of a meter.
type pseudonymSince struct {
	pseudonym  wattveil.Pseudonym
	since      int64
	handedOver bool // to a device that was added later
}

// pseudonymsOf are the pseudonyms of a meter in their order, each once.
func (u *Utility) pseudonymsOf(ctx context.Context, id wattveil.MeterID) (list []pseudonymSince, err error) {
	rows, err := u.db.QueryContext(ctx, `
		SELECT p.an_id, p.since, EXISTS (
			SELECT 1 FROM pseudonyms q JOIN meters n ON n.id_sm = q.id_sm WHERE q.an_id = p.an_id AND n.added > m.added)
		FROM pseudonyms p JOIN meters m ON m.id_sm = p.id_sm WHERE p.id_sm = ? ORDER BY p.base`, int64(id))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var p pseudonymSince
		var anID int64
		if err := rows.Scan(&anID, &p.since, &p.handedOver); err != nil {
			return nil, err
		}
		p.pseudonym = wattveil.Pseudonym(anID)
		if n := len(list); n > 0 && list[n-1].pseudonym == p.pseudonym {
			continue // another base for another key
		}
		list = append(list, p)
	}
	return list, rows.Err()
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
