package ttp

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/analytics"
	"github.com/wattveil/wattveil/consumer"
	"github.com/wattveil/wattveil/internal/registry"
)

// Of spec/portal.md section 9.
const (
	alertsKept   = 90 * 24 * time.Hour
	alertsShown  = 100
	alertEvery   = 15 * time.Minute
	alertDays    = 8  // that are looked at
	baseDays     = 28 // before one that is looked at
	alertsAtOnce = 500
)

// SetAlert sets the alert of a kind for a meter, or removes it if the limit is
// 0. The meter must be in an account.
func (c *Consumers) SetAlert(ctx context.Context, m wattveil.Meter, kind consumer.AlertKind, limit int64) error {
	ranges := consumer.AlertKinds()
	i := slices.IndexFunc(ranges, func(r consumer.AlertRange) bool { return r.Kind == kind })
	if i < 0 || limit != 0 && (limit < ranges[i].Least || limit > ranges[i].Utmost) {
		return fmt.Errorf("%w: alert %.10q of %d", consumer.BadRequest, string(kind), limit)
	}
	query, args := `DELETE FROM alerts WHERE uc = ?1 AND an_id = ?2 AND kind = ?3`, []any{m.UC, int64(m.Pseudonym), string(kind)}
	if limit != 0 {
		query = `INSERT INTO alerts (uc, an_id, kind, threshold, since) VALUES (?1, ?2, ?3, ?4, ?5)
			ON CONFLICT DO UPDATE SET threshold = ?4, since = ?5, looked = 0`
		args = append(args, limit, c.t.cfg.Now().Unix())
	}
	if _, err := c.t.db.ExecContext(ctx, query, args...); err != nil {
		return fmt.Errorf("set alert of %v: %w", m, err)
	}
	return nil
}

// MarkAlerts marks what was raised for a meter as read.
func (c *Consumers) MarkAlerts(ctx context.Context, m wattveil.Meter) error {
	_, err := c.t.db.ExecContext(ctx, `UPDATE raised_alerts SET seen = 1 WHERE uc = ? AND an_id = ?`, m.UC, int64(m.Pseudonym))
	if err != nil {
		return fmt.Errorf("mark alerts of %v: %w", m, err)
	}
	return nil
}

// Alerts are those of a meter, after a look.
func (c *Consumers) Alerts(ctx context.Context, m wattveil.Meter) (consumer.Alerts, error) {
	out, err := c.alerts(ctx, m)
	if err != nil {
		return consumer.Alerts{}, fmt.Errorf("alerts of %v: %w", m, err)
	}
	return out, nil
}

func (c *Consumers) alerts(ctx context.Context, m wattveil.Meter) (out consumer.Alerts, err error) {
	if err := c.look(ctx, m); err != nil {
		return out, err
	}
	if out.Zone, err = c.Zone(ctx, m); err != nil {
		return out, err
	}
	if out.Set, err = c.alertsSet(ctx, m); err != nil {
		return out, err
	}
	rows, err := c.t.db.QueryContext(ctx, `
		SELECT kind, at, threshold, value, seen FROM raised_alerts WHERE uc = ? AND an_id = ? ORDER BY at DESC, kind LIMIT ?`,
		m.UC, int64(m.Pseudonym), alertsShown)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var r consumer.Raised
		var at int64
		if err := rows.Scan(&r.Kind, &at, &r.Limit, &r.Value, &r.Read); err != nil {
			return out, err
		}
		r.At = time.Unix(at, 0).In(out.Zone)
		out.Raised = append(out.Raised, r)
	}
	return out, rows.Err()
}

func (c *Consumers) alertsSet(ctx context.Context, m wattveil.Meter) (list []consumer.Alert, err error) {
	rows, err := c.t.db.QueryContext(ctx, `SELECT kind, threshold, since FROM alerts WHERE uc = ? AND an_id = ?`, m.UC, int64(m.Pseudonym))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var a consumer.Alert
		var since int64
		if err := rows.Scan(&a.Kind, &a.Limit, &since); err != nil {
			return nil, err
		}
		a.Since = time.Unix(since, 0)
		list = append(list, a)
	}
	return list, rows.Err()
}

// maintainAlerts looks at the alerts that nobody has looked at for a while, and
// forgets what is old. A meter that cannot be looked at keeps no other from it.
func (c *Consumers) maintainAlerts(ctx context.Context, now time.Time) error {
	if _, err := c.t.db.ExecContext(ctx, `DELETE FROM raised_alerts WHERE at <= ?`, now.Add(-alertsKept).Unix()); err != nil {
		return fmt.Errorf("forget old alerts: %w", err)
	}
	due, err := metersOf(c.t.db.QueryContext(ctx,
		`SELECT DISTINCT uc, an_id FROM alerts WHERE looked <= ? LIMIT ?`, now.Add(-alertEvery).Unix(), alertsAtOnce))
	if err != nil {
		return fmt.Errorf("alerts that are due: %w", err)
	}
	var failed error
	for _, m := range due {
		if err := c.look(ctx, m); err != nil {
			failed = errors.Join(failed, fmt.Errorf("look at alerts of %v: %w", m, err))
		}
	}
	return failed
}

// forgetRaised deletes what alerts raised that tells of readings before a
// second. Base loads are compared with those of the days before; a day more,
// since local days are not UTC's.
func forgetRaised(ctx context.Context, tx *sql.Tx, m wattveil.Meter, before int64) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM raised_alerts WHERE uc = ?1 AND an_id = ?2 AND (at < ?3 OR kind = ?4 AND at < ?5)`,
		m.UC, int64(m.Pseudonym), before, string(consumer.AlertBase), before+(baseDays+1)*secondsPerDay)
	return err
}

// look finds what a meter's alerts have to raise.
func (c *Consumers) look(ctx context.Context, m wattveil.Meter) error {
	set, err := c.alertsSet(ctx, m)
	if err != nil || len(set) == 0 {
		return err
	}
	now := c.t.cfg.Now()
	var raised []consumer.Raised
	for _, a := range set {
		find := map[consumer.AlertKind]func(context.Context, wattveil.Meter, consumer.Alert, time.Time) ([]consumer.Raised, error){
			consumer.AlertDay: c.overDay, consumer.AlertHour: c.overHour, consumer.AlertBase: c.unusualBase, consumer.AlertSilent: c.silent,
		}[a.Kind]
		found, err := find(ctx, m, a, now)
		if err != nil {
			return err
		}
		raised = append(raised, found...)
	}
	return registry.Tx(ctx, c.t.db, func(tx *sql.Tx) error {
		for _, r := range raised {
			_, err := tx.ExecContext(ctx, `
				INSERT INTO raised_alerts (uc, an_id, kind, at, threshold, value) SELECT ?1, ?2, ?3, ?4, ?5, ?6
				WHERE EXISTS (SELECT 1 FROM alerts WHERE uc = ?1 AND an_id = ?2 AND kind = ?3)
				ON CONFLICT DO UPDATE SET value = max(value, ?6)`,
				m.UC, int64(m.Pseudonym), string(r.Kind), r.At.Unix(), r.Limit, r.Value)
			if err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, `UPDATE alerts SET looked = ? WHERE uc = ? AND an_id = ?`, now.Unix(), m.UC, int64(m.Pseudonym))
		return err
	})
}

// lately is a meter's use of the days that are looked at, but not from before a
// time.
func (c *Consumers) lately(ctx context.Context, m wattveil.Meter, since, now time.Time, step consumer.Step) (consumer.Use, error) {
	zone, err := c.Zone(ctx, m)
	if err != nil {
		return consumer.Use{}, err
	}
	y, month, d := now.In(zone).Date()
	from := consumer.DayStart(y, month, d-alertDays, zone)
	if from.Before(since) {
		y, month, d = since.In(zone).Date()
		from = consumer.DayStart(y, month, d, zone)
	}
	return c.Use(ctx, m, consumer.Query{From: from, To: now.Add(time.Second), Step: step})
}

// overDay finds the days of which more was imported than the limit.
func (c *Consumers) overDay(ctx context.Context, m wattveil.Meter, a consumer.Alert, now time.Time) (list []consumer.Raised, err error) {
	u, err := c.lately(ctx, m, a.Since, now, consumer.Day)
	for _, b := range u.Buckets {
		if int64(b.Import) > a.Limit {
			list = append(list, consumer.Raised{Kind: a.Kind, At: time.Unix(b.Start, 0), Limit: a.Limit, Value: int64(b.Import)})
		}
	}
	return list, err
}

// overHour finds such hours. What was estimated of an hour may have passed in
// another.
func (c *Consumers) overHour(ctx context.Context, m wattveil.Meter, a consumer.Alert, now time.Time) (list []consumer.Raised, err error) {
	u, err := c.lately(ctx, m, a.Since, now, consumer.Seconds(3600))
	for _, b := range u.Buckets {
		if int64(b.Import) > a.Limit && b.Estimated+b.Missing == 0 && b.End > a.Since.Unix() {
			list = append(list, consumer.Raised{Kind: a.Kind, At: time.Unix(b.Start, 0), Limit: a.Limit, Value: int64(b.Import)})
		}
	}
	return list, err
}

// unusualBase finds days with a base load above that of the days before.
func (c *Consumers) unusualBase(ctx context.Context, m wattveil.Meter, a consumer.Alert, now time.Time) (list []consumer.Raised, err error) {
	zone, err := c.Zone(ctx, m)
	if err != nil {
		return nil, err
	}
	dayOf := func(at time.Time, on int) time.Time {
		y, month, d := at.In(zone).Date()
		return consumer.DayStart(y, month, d+on, zone)
	}
	measured, err := c.measured(ctx, m, dayOf(now, -alertDays-baseDays), dayOf(now, 0))
	if err != nil {
		return nil, err
	}
	days := analytics.BaseLoads(analytics.Hours(measured), zone)
	for i, d := range days {
		start := dayOf(time.Unix(d.Start, 0), 0)
		if !dayOf(start, 1).After(a.Since) || start.Before(dayOf(now, -alertDays)) {
			continue
		}
		earliest := dayOf(start, -baseDays).Unix()
		before := days[slices.IndexFunc(days, func(e analytics.BaseDay) bool { return e.Start >= earliest }):i]
		if percent, ok := d.Above(analytics.BaseLoad(before)); ok && percent > a.Limit {
			list = append(list, consumer.Raised{Kind: a.Kind, At: start, Limit: a.Limit, Value: percent})
		}
	}
	return list, nil
}

// silent tells whether the last reading is too long ago.
func (c *Consumers) silent(ctx context.Context, m wattveil.Meter, a consumer.Alert, now time.Time) ([]consumer.Raised, error) {
	var s consumer.Standing
	if err := c.standingReadings(ctx, m, &s); err != nil {
		return nil, err
	}
	last := s.LastReading
	if last.Before(a.Since) {
		last = a.Since
	}
	if now.Sub(last) <= time.Duration(a.Limit)*time.Hour {
		return nil, nil
	}
	return []consumer.Raised{{Kind: a.Kind, At: last, Limit: a.Limit}}, nil
}
