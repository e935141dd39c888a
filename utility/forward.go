package utility

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/peer"
	"github.com/wattveil/wattveil/wire"
)

// storedAnswer is the answer to a collector's last post, so that a repeat of
// the post gets it again.
type storedAnswer struct {
	post   [32]byte
	done   chan struct{}
	answer []byte
	err    error
}

// rekeyDue is a rekey notice that is repeated until the meter's M1 comes.
type rekeyDue struct {
	low       byte
	collector string
}

const maxRosterChanges = 10_000

// handleForward takes a collector's post of one interval (spec/protocol.md
// section 7.1).
func (u *Utility) handleForward(ctx context.Context, from peer.Name, _ *http.Request, body []byte) ([]byte, error) {
	post := sha256.Sum256(body)
	u.mu.Lock()
	s := u.answers[from.Instance]
	if s != nil && s.post == post {
		u.mu.Unlock()
		select {
		case <-s.done:
			return s.answer, s.err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	s = &storedAnswer{post: post, done: make(chan struct{})}
	u.answers[from.Instance] = s
	u.mu.Unlock()
	// The round has others' messages in it: it goes on if this caller leaves.
	s.answer, s.err = u.forward(context.WithoutCancel(ctx), from.Instance, body)
	if s.err != nil {
		u.mu.Lock()
		if u.answers[from.Instance] == s {
			delete(u.answers, from.Instance)
		}
		u.mu.Unlock()
	}
	close(s.done)
	return s.answer, s.err
}

// post is a collector's post on its way through the utility.
type post struct {
	collector string
	verdicts  []wire.Verdict
	meters    []wattveil.MeterID // of each frame, 0 if it has none
	lows      []byte             // epoch's low byte of each data frame
	messages  []message
	exchanges []exchange
	answers   []wire.ExchangeAnswer // of exchanges
	position  []int                 // of each exchange's frame
	downlinks []wire.Downlink
}

func (u *Utility) forward(ctx context.Context, collector string, body []byte) ([]byte, error) {
	in, err := wire.ParseForward(body)
	if err != nil {
		return nil, err
	}
	p := &post{
		collector: collector,
		verdicts:  make([]wire.Verdict, len(in.Frames)),
		meters:    make([]wattveil.MeterID, len(in.Frames)),
		lows:      make([]byte, len(in.Frames)),
		messages:  make([]message, 0, len(in.Frames)),
	}
	tagger := u.taggers.Get().(*wire.Tagger)
	for i, frame := range in.Frames {
		p.verdicts[i] = u.verdict(u.take(ctx, p, i, frame, tagger))
	}
	u.taggers.Put(tagger)
	p.answers = make([]wire.ExchangeAnswer, len(p.exchanges))
	for i := range p.exchanges {
		p.answers[i].Verdict = wire.Later
		p.exchanges[i].answer = &p.answers[i]
	}
	if err := u.pool.submit(collector, in.Interval, p.messages, p.exchanges); err != nil && !errors.Is(err, errLate) {
		return nil, err
	}
	u.finish(ctx, p)
	answer := wire.ForwardAnswer{Verdicts: p.verdicts, Downlinks: p.downlinks}
	if answer.Roster, answer.Changes, err = u.rosterSince(ctx, in.Roster); err != nil {
		return nil, err
	}
	return answer.Append(nil), nil
}

// take looks at one frame: it answers registrations at once and puts what is
// for the TTP on its way, where the verdict is Later until the TTP says more.
func (u *Utility) take(ctx context.Context, p *post, i int, frame []byte, tagger *wire.Tagger) (wire.Verdict, error) {
	t, id, err := wire.ParsePrefix(frame)
	if err != nil {
		return wire.Never, err
	}
	p.meters[i] = id
	switch t {
	case wire.TypeData:
		return u.takeData(ctx, p, i, id, frame, tagger)
	case wire.TypeM1, wire.TypeM3:
		return u.takeExchange(ctx, p, i, id, frame)
	case wire.TypeRegister:
		down, err := u.register(ctx, id, frame)
		if down != nil {
			p.downlinks = append(p.downlinks, wire.Downlink{ID: id, Frame: down})
		}
		if down != nil && errors.Is(err, wire.Stale) {
			u.counts.add(wire.Stale)
			return wire.Durable, nil // answered
		}
		return wire.Durable, err
	default:
		return wire.Never, fmt.Errorf("%w: %v does not go up", wire.Malformed, t)
	}
}

func (u *Utility) takeData(ctx context.Context, p *post, i int, id wattveil.MeterID, frame []byte, tagger *wire.Tagger) (wire.Verdict, error) {
	m, err := u.member(ctx, id)
	if err != nil {
		return wire.Later, err
	}
	if !tagger.Check(m.tag, frame) {
		return wire.Never, fmt.Errorf("%w: UC tag of meter %v", wire.Forged, id)
	}
	h, err := wire.ParseHeader(frame)
	if err != nil {
		return wire.Never, err
	}
	pseudonym, err := m.pseudonym(h.Low)
	if err != nil {
		return wire.Later, err
	}
	p.lows[i] = h.Low
	p.messages = append(p.messages, message{frame: wire.Rewrite(frame, pseudonym), verdict: &p.verdicts[i]})
	return wire.Later, nil
}

func (u *Utility) takeExchange(ctx context.Context, p *post, i int, id wattveil.MeterID, frame []byte) (wire.Verdict, error) {
	secret, err := u.secret(ctx, id)
	if err != nil {
		return wire.Later, err
	}
	x, err := secret.OpenTagged(id, frame)
	if err != nil {
		return wire.Never, err
	}
	m, err := u.member(ctx, id)
	if err != nil {
		return wire.Later, err
	}
	if len(m.ranges) == 0 {
		return wire.Never, fmt.Errorf("%w: meter %v has not registered", wire.Unenrolled, id)
	}
	if x.Type == wire.TypeM1 {
		if m, err = u.noteEpoch(ctx, id, m, x.Low); err != nil {
			return wire.Later, err
		}
	}
	pseudonym, err := m.pseudonym(x.Low)
	if err != nil {
		return wire.Later, err
	}
	p.exchanges = append(p.exchanges, exchange{
		request: wire.ExchangeRequest{Pseudonym: pseudonym, Exchange: x}, meter: id,
	})
	p.position = append(p.position, i)
	return wire.Later, nil
}

// noteEpoch keeps the epoch of an M1, by which low bytes are extended, and
// ends the rekey notices that asked for it.
func (u *Utility) noteEpoch(ctx context.Context, id wattveil.MeterID, m *member, low byte) (*member, error) {
	u.mu.Lock()
	delete(u.rekey, id)
	u.mu.Unlock()
	epoch := extend(m.last, low, m.ranges[0].base)
	if epoch <= m.last {
		return m, nil
	}
	_, err := u.db.ExecContext(ctx, `UPDATE meters SET last_epoch = max(last_epoch, ?) WHERE id_sm = ?`, epoch, int64(id))
	if err != nil {
		return nil, fmt.Errorf("epoch of meter %v: %w", id, err)
	}
	noted := &member{tag: m.tag, ranges: m.ranges, last: epoch}
	u.members.Add(id, noted)
	return noted, nil
}

// verdict turns the outcome of one frame into the byte that goes down.
func (u *Utility) verdict(v wire.Verdict, err error) wire.Verdict {
	if err == nil {
		return v
	}
	var class wire.Class
	if !errors.As(err, &class) {
		u.cfg.Log.Error("frame not handled", "error", err)
		return wire.Later
	}
	u.counts.add(class)
	u.cfg.Log.Warn("frame refused", "class", string(class), "error", err)
	switch class {
	case wire.Unenrolled, wire.Unavailable:
		return wire.Later
	default:
		return wire.Never
	}
}

// finish turns the TTP's answers into verdicts and downlinks.
func (u *Utility) finish(ctx context.Context, p *post) {
	for i, x := range p.exchanges {
		a := p.answers[i]
		p.verdicts[p.position[i]] = a.Verdict
		if a.Verdict != wire.Durable || len(a.M2) == 0 {
			continue
		}
		secret, err := u.secret(ctx, x.meter)
		if err != nil {
			u.cfg.Log.Error("M2 not sent", "meter", x.meter, "error", err)
			continue
		}
		down := secret.Tagged(x.meter, wire.Exchange{Type: wire.TypeM2, Low: x.request.Low, Body: a.M2})
		p.downlinks = append(p.downlinks, wire.Downlink{ID: x.meter, Frame: down})
	}
	u.mu.Lock()
	for i, v := range p.verdicts {
		if v == wire.Rekey {
			u.rekey[p.meters[i]] = rekeyDue{low: p.lows[i], collector: p.collector}
		}
	}
	notices := make(map[wattveil.MeterID]byte)
	for id, due := range u.rekey {
		if due.collector == p.collector {
			notices[id] = due.low
		}
	}
	u.mu.Unlock()
	for id, low := range notices {
		secret, err := u.secret(ctx, id)
		if err != nil {
			u.cfg.Log.Error("rekey notice not sent", "meter", id, "error", err)
			continue
		}
		p.downlinks = append(p.downlinks, wire.Downlink{ID: id, Frame: secret.RekeyNotice(id, low)})
	}
}

// rosterSince is what a collector has to learn of link passwords after the
// roster that it has, at most maxRosterChanges at once.
func (u *Utility) rosterSince(ctx context.Context, have uint64) (uint64, []wire.RosterEntry, error) {
	rows, err := u.db.QueryContext(ctx, `
		SELECT id_sm, password_hash, roster FROM meters WHERE roster > ? ORDER BY roster`, int64(have))
	if err != nil {
		return 0, nil, fmt.Errorf("roster: %w", err)
	}
	defer func() { _ = rows.Close() }()
	serial := have
	var changes []wire.RosterEntry
	for rows.Next() {
		var id int64
		var hash []byte
		var at uint64
		if err := rows.Scan(&id, &hash, &at); err != nil {
			return 0, nil, fmt.Errorf("roster: %w", err)
		}
		if len(changes) >= maxRosterChanges && at != serial {
			break // the rest comes with the next answer
		}
		e := wire.RosterEntry{ID: wattveil.MeterID(id)}
		copy(e.Hash[:], hash)
		changes, serial = append(changes, e), at
	}
	return serial, changes, rows.Err()
}

// handleCertificate renews a collector's certificate.
func (u *Utility) handleCertificate(_ context.Context, from peer.Name, _ *http.Request, body []byte) ([]byte, error) {
	cert, err := u.cfg.Authority.IssueRequest(from, body, u.cfg.Now())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", wire.Malformed, err)
	}
	return cert.Raw, nil
}

// relayTimeout bounds one round's way to the TTP and back, real time.
const relayTimeout = 2 * time.Minute
