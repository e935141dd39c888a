package utility

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/internal/registry"
)

// Sighting is when a meter was last heard of, and through which collector. The
// utility keeps the last one only (spec/protocol.md section 7.1).
type Sighting struct {
	Heard     time.Time // of the collector's post, whole seconds
	Collector string
}

// sightings are those that are not in the registry yet. They are written once
// an hour: a stop in between makes some meters seem silent for that long.
type sightings struct {
	mu      sync.Mutex
	since   map[wattveil.MeterID]Sighting
	written time.Time
}

const sightingsEvery = time.Hour

// add notes the meters whose frames in a post are authentic.
func (s *sightings) add(meters []wattveil.MeterID, at Sighting) {
	if len(meters) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.since == nil {
		s.since = make(map[wattveil.MeterID]Sighting)
	}
	for _, id := range meters {
		s.since[id] = at
	}
}

// Sighting is when a meter was last heard of, if ever.
func (u *Utility) Sighting(ctx context.Context, id wattveil.MeterID) (Sighting, bool, error) {
	u.heard.mu.Lock()
	s, ok := u.heard.since[id]
	u.heard.mu.Unlock()
	if ok {
		return s, true, nil
	}
	var second int64
	found, err := registry.Find(u.db.QueryRowContext(ctx,
		`SELECT heard, collector FROM sightings WHERE id_sm = ?`, int64(id)), &second, &s.Collector)
	if err != nil {
		return Sighting{}, false, fmt.Errorf("when meter %v was heard of: %w", id, err)
	}
	s.Heard = time.Unix(second, 0)
	return s, found, nil
}

// writeSightings brings the registry up to date if that is due.
func (u *Utility) writeSightings(ctx context.Context, now time.Time, anyway bool) error {
	s := &u.heard
	s.mu.Lock()
	if len(s.since) == 0 || !anyway && now.Sub(s.written) < sightingsEvery {
		s.mu.Unlock()
		return nil
	}
	taken := maps.Clone(s.since)
	s.mu.Unlock()
	err := registry.Tx(ctx, u.db, func(tx *sql.Tx) error {
		insert, err := tx.PrepareContext(ctx, `
			INSERT INTO sightings (id_sm, heard, collector) VALUES (?, ?, ?)
			ON CONFLICT (id_sm) DO UPDATE SET heard = excluded.heard, collector = excluded.collector`)
		if err != nil {
			return err
		}
		defer func() { _ = insert.Close() }()
		for id, at := range taken {
			if _, err := insert.ExecContext(ctx, int64(id), at.Heard.Unix(), at.Collector); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("write when %d meters were heard of: %w", len(taken), err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.written = now
	for id, at := range taken {
		if s.since[id] == at {
			delete(s.since, id)
		}
	}
	return nil
}
