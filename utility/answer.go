package utility

import (
	"context"
	"fmt"
	"slices"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/wire"
)

// Limits of one answer to a collector. What does not fit comes with the
// answers after (spec/protocol.md section 7.1).
const (
	maxRosterChanges = 10_000
	maxNotices       = 10_000
	maxWaiting       = 1 << 16 // downlinks of a collector; then the oldest go, and their meters ask again

	answerFixed  = 1 + 4 + 4 + 8 + 4 // version, counts and roster serial
	rosterEntry  = 8 + 32
	downlinkHead = 8 + 2
	taggedSize   = 42 // of M2 besides its body
)

// rekeyDue are the rekey notices of a meter that are repeated until its M1
// comes.
type rekeyDue struct {
	collector string // that has carried the meter's frames last
	lows      []byte // of the epochs that the TTP does not open
}

// settleExchanges turns the TTP's answers to M1 and M3 into verdicts and
// downlinks. An M1 is done when there is an M2.
func (u *Utility) settleExchanges(ctx context.Context, p *post) {
	for i, x := range p.exchanges {
		a, verdict := p.answers[i], &p.verdicts[p.position[i]]
		if x.request.Type != wire.TypeM1 || a.Verdict != wire.Durable {
			*verdict = a.Verdict
			continue
		}
		if len(a.M2) == 0 || len(a.M2) > wire.MaxFrame-taggedSize {
			u.cfg.Log.Error("answer of the TTP has no M2 that fits a frame", "meter", x.meter, "bytes", len(a.M2))
			continue
		}
		secret, err := u.secret(ctx, x.meter)
		if err != nil {
			u.cfg.Log.Error("M2 not sent", "meter", x.meter, "error", err)
			continue
		}
		down := secret.Tagged(x.meter, wire.Exchange{Type: wire.TypeM2, Low: x.request.Low, Body: a.M2})
		p.downlinks = append(p.downlinks, wire.Downlink{ID: x.meter, Frame: down})
		*verdict = wire.Durable
	}
}

// noteRekeys keeps which epochs the TTP does not open.
func (u *Utility) noteRekeys(p *post) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for i, v := range p.verdicts {
		if v != wire.Rekey {
			continue
		}
		due := u.rekey[p.meters[i]]
		if due == nil {
			due = new(rekeyDue)
			u.rekey[p.meters[i]] = due
		}
		due.collector = p.collector
		if !slices.Contains(due.lows, p.lows[i]) {
			due.lows = append(due.lows, p.lows[i])
		}
	}
}

// answer is the body that a post is answered with.
func (u *Utility) answer(ctx context.Context, p *post, roster uint64) (body []byte, err error) {
	a := wire.ForwardAnswer{Verdicts: p.verdicts}
	room := wire.MaxBody - answerFixed - len(p.verdicts) - maxRosterChanges*rosterEntry
	a.Downlinks, room = u.fitDownlinks(p, room)
	a.Downlinks = u.appendNotices(ctx, p.collector, a.Downlinks, room)
	if a.Roster, a.Changes, err = u.rosterSince(ctx, roster); err != nil {
		return nil, err
	}
	return a.Append(nil), nil
}

// fitDownlinks gives the downlinks that fit, oldest first, and the room that
// is left. The others wait for the collector's next post.
func (u *Utility) fitDownlinks(p *post, room int) ([]wire.Downlink, int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	all := replaceDownlinks(u.waiting[p.collector], p.downlinks)
	n := 0
	for n < len(all) && room >= downlinkHead+len(all[n].Frame) {
		room -= downlinkHead + len(all[n].Frame)
		n++
	}
	rest := all[n:]
	if len(rest) == 0 {
		delete(u.waiting, p.collector)
		return all, room
	}
	if drop := len(rest) - maxWaiting; drop > 0 {
		u.cfg.Log.Warn("downlinks dropped", "collector", p.collector, "count", drop)
		rest = rest[drop:]
	}
	u.waiting[p.collector] = withoutReceipts(slices.Clone(rest))
	return all[:n:n], 0
}

// replaceDownlinks appends newer downlinks to those that wait, where they take
// the place of the same type of frame for the same meter.
func replaceDownlinks(waiting, newer []wire.Downlink) []wire.Downlink {
	if len(waiting) == 0 {
		return newer
	}
	type name struct {
		meter wattveil.MeterID
		frame byte
	}
	replaced := make(map[name]bool, len(newer))
	for _, d := range newer {
		replaced[name{d.ID, d.Frame[0]}] = true
	}
	waiting = slices.DeleteFunc(waiting, func(d wire.Downlink) bool { return replaced[name{d.ID, d.Frame[0]}] })
	return append(waiting, newer...)
}

// appendNotices appends the rekey notices that are due at a collector, any of
// them if not all fit: they are repeated.
func (u *Utility) appendNotices(ctx context.Context, collector string, down []wire.Downlink, room int) []wire.Downlink {
	type notice struct {
		meter wattveil.MeterID
		low   byte
	}
	var notices []notice
	most := min(maxNotices, room/(downlinkHead+taggedSize))
	u.mu.Lock()
	for id, due := range u.rekey {
		if due.collector != collector {
			continue
		}
		for _, low := range due.lows {
			notices = append(notices, notice{id, low})
		}
		if len(notices) >= most {
			notices = notices[:most]
			break
		}
	}
	u.mu.Unlock()
	for _, n := range notices {
		secret, err := u.secret(ctx, n.meter)
		if err != nil {
			u.cfg.Log.Error("rekey notice not sent", "meter", n.meter, "error", err)
			continue
		}
		down = append(down, wire.Downlink{ID: n.meter, Frame: secret.RekeyNotice(n.meter, n.low)})
	}
	return down
}

// rosterSince is what a collector has to learn of link passwords after the
// roster that it has, at most maxRosterChanges at once.
func (u *Utility) rosterSince(ctx context.Context, have uint64) (uint64, []wire.RosterEntry, error) {
	rows, err := u.db.QueryContext(ctx, `
		SELECT id_sm, password_hash, roster FROM meters WHERE roster > ? ORDER BY roster LIMIT ?`, int64(have), maxRosterChanges)
	if err != nil {
		return 0, nil, fmt.Errorf("roster: %w", err)
	}
	defer func() { _ = rows.Close() }()
	serial := have
	var changes []wire.RosterEntry
	for rows.Next() {
		var id int64
		var hash []byte
		if err := rows.Scan(&id, &hash, &serial); err != nil {
			return 0, nil, fmt.Errorf("roster: %w", err)
		}
		e := wire.RosterEntry{ID: wattveil.MeterID(id)}
		copy(e.Hash[:], hash)
		changes = append(changes, e)
	}
	return serial, changes, rows.Err()
}
