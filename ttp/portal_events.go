package ttp

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/consumer"
	"github.com/wattveil/wattveil/readings"
)

const (
	maxEvents     = 50 // shown of a meter, the newest
	eventsBack    = 40 * 24 * time.Hour
	eventsAmong   = 500_000 // readings looked at, so that a meter by the second takes no longer
	eventConflict = "conflict"
	eventClock    = "clock"
	eventRestart  = "restart"
	eventTamper   = "tamper"
)

// Events are what happened to a meter's keys and readings, the newest first
// (spec/portal.md section 16).
func (c *Consumers) Events(ctx context.Context, m wattveil.Meter) ([]consumer.Event, error) {
	list, err := c.keptEvents(ctx, m)
	if err == nil {
		var found []consumer.Event
		if found, err = c.readingEvents(ctx, m); err == nil {
			list = append(list, found...)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("events of %v: %w", m, err)
	}
	slices.SortStableFunc(list, func(a, b consumer.Event) int { return b.At.Compare(a.At) })
	return list[:min(len(list), maxEvents)], nil
}

// keptEvents are those that the registry has.
func (c *Consumers) keptEvents(ctx context.Context, m wattveil.Meter) (list []consumer.Event, err error) {
	err = each(ctx, c.t.db, func(rows *sql.Rows) error {
		var e consumer.Event
		var at int64
		err := rows.Scan(&e.Kind, &at)
		e.At = time.Unix(at, 0)
		list = append(list, e)
		return err
	}, `SELECT kind, at FROM events WHERE uc = ?1 AND an_id = ?2
		UNION ALL SELECT 'keys', created FROM sessions WHERE uc = ?1 AND an_id = ?2 AND state <> ?3
		UNION ALL SELECT 'claim-failed', raised FROM claim_flags WHERE uc = ?1 AND an_id = ?2
		ORDER BY 2 DESC LIMIT ?4`, m.UC, int64(m.Pseudonym), statePending, maxEvents)
	return list, err
}

// readingEvents are those that readings tell, looked for from the newest day
// back.
func (c *Consumers) readingEvents(ctx context.Context, m wattveil.Meter) ([]consumer.Event, error) {
	now := c.t.cfg.Now()
	end := now.Add(time.Hour).Unix()
	var found flagged
	for at := today(now.Add(time.Hour)); at > now.Add(-eventsBack).Unix() && found.looked < eventsAmong; at -= readAtOnce {
		f, err := c.t.cfg.Readings.Read(ctx, m, max(0, at), min(at+readAtOnce-1, end))
		if err != nil {
			return nil, err
		}
		found.day(f)
	}
	return found.list, nil
}

// flagged collects what readings tell, a day at a time, from the newest back.
type flagged struct {
	looked int
	list   []consumer.Event
	clock  int // place of the clock event at which the later day begins, plus 1
}

func (x *flagged) day(f readings.Folded) {
	restarts, tampers := consumer.Event{Kind: eventRestart}, consumer.Event{Kind: eventTamper}
	later := x.clock
	x.clock = 0
	for _, run := range f.Runs {
		x.looked += len(run.Readings)
		for i, r := range run.Readings {
			count(&restarts, r, wattveil.StatusRestart)
			count(&tampers, r, wattveil.StatusTamper)
			if r.Status&wattveil.StatusClock != 0 {
				x.wrongClock(r.Time, i == 0, i > 0 && run.Readings[i-1].Status&wattveil.StatusClock != 0)
			}
		}
		if last := run.Readings[len(run.Readings)-1]; later > 0 && last.Status&wattveil.StatusClock != 0 {
			x.joinClock(later - 1)
			later = 0
		}
	}
	conflicts := consumer.Event{Kind: eventConflict}
	for _, k := range f.Conflicts {
		tell(&conflicts, k.Kept.Time)
	}
	for _, e := range []consumer.Event{restarts, tampers, conflicts} {
		if e.Count > 0 {
			x.list = append(x.list, e)
		}
	}
}

func count(e *consumer.Event, r wattveil.Reading, flag wattveil.Status) {
	if r.Status&flag != 0 {
		tell(e, r.Time)
	}
}

func tell(e *consumer.Event, at int64) {
	if t := time.Unix(at, 0); e.Count == 0 || t.Before(e.At) {
		e.At = t
	}
	e.Count++
}

// wrongClock begins an event or goes on with it.
func (x *flagged) wrongClock(at int64, first, goesOn bool) {
	if goesOn {
		x.list[len(x.list)-1].Until = time.Unix(at, 0)
		return
	}
	x.list = append(x.list, consumer.Event{Kind: eventClock, At: time.Unix(at, 0), Until: time.Unix(at, 0)})
	if first {
		x.clock = len(x.list)
	}
}

// joinClock makes one of the day's last event and that at which the later day
// begins.
func (x *flagged) joinClock(later int) {
	last := len(x.list) - 1
	x.list[last].Until = x.list[later].Until
	x.list = slices.Delete(x.list, later, later+1)
	if x.clock > later {
		x.clock--
	}
}
