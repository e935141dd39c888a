package utility

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/internal/registry"
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
	defer func() {
		if s.answer == nil { // an error or a panic: let the repeat try again
			u.mu.Lock()
			if u.answers[from.Instance] == s {
				delete(u.answers, from.Instance)
			}
			u.mu.Unlock()
		}
		close(s.done)
	}()
	s.err = wire.Unavailable // what a repeat that waits is told after a panic
	// The round has others' messages in it: it goes on if this caller leaves.
	s.answer, s.err = u.forward(context.WithoutCancel(ctx), from.Instance, body)
	return s.answer, s.err
}

// post is a collector's post on its way through the utility.
type post struct {
	collector string
	frames    [][]byte
	verdicts  []wire.Verdict
	meters    []wattveil.MeterID // of each frame, 0 if it has none
	lows      []byte             // epoch's low byte of each data and exchange frame
	messages  []message
	exchanges []exchange
	answers   []wire.ExchangeAnswer               // of exchanges
	position  []int                               // of each exchange's frame
	receipts  []*wire.PassedReceipt               // for each frame's meter, mostly nil
	requests  []int                               // positions of registration requests
	heard     []wattveil.MeterID                  // whose frames are authentic
	epochs    map[wattveil.MeterID]wattveil.Epoch // of M1s, not durable yet
	downlinks []wire.Downlink
}

// newPost makes the room that a post's frames may need.
func newPost(collector string, frames [][]byte) *post {
	n := len(frames)
	return &post{
		collector: collector,
		frames:    frames,
		verdicts:  make([]wire.Verdict, n),
		meters:    make([]wattveil.MeterID, n),
		lows:      make([]byte, n),
		messages:  make([]message, 0, n),
		receipts:  make([]*wire.PassedReceipt, n),
		heard:     make([]wattveil.MeterID, 0, n),
	}
}

func (u *Utility) forward(ctx context.Context, collector string, body []byte) ([]byte, error) {
	in, err := wire.ParseForward(body)
	if err != nil {
		return nil, err
	}
	u.stats.posts.Add(1)
	u.notePost(collector)
	received := u.cfg.Now().Truncate(time.Second)
	p := newPost(collector, in.Frames)
	tagger := u.taggers.Get().(*wire.Tagger)
	for i, frame := range in.Frames {
		p.verdicts[i] = u.verdict(u.take(ctx, p, i, frame, tagger))
	}
	u.taggers.Put(tagger)
	u.keepEpochs(ctx, p)
	p.answers = make([]wire.ExchangeAnswer, len(p.exchanges))
	for i := range p.exchanges {
		p.answers[i].Verdict = wire.Later
		p.exchanges[i].answer = &p.answers[i]
	}
	u.relayAndRegister(ctx, p, in.Interval)
	u.settleExchanges(ctx, p)
	u.settleReceipts(ctx, p)
	u.noticeMoves(ctx, p)
	u.noteRekeys(p)
	u.stats.count(p.verdicts)
	u.heard.add(p.heard, Sighting{Heard: received, Collector: collector})
	return u.answer(ctx, p, in.Roster)
}

// relayAndRegister has what is for the TTP sent on with its interval's round,
// and answers registrations meanwhile.
func (u *Utility) relayAndRegister(ctx context.Context, p *post, interval uint64) {
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		if u.isAhead(interval) {
			u.cfg.Log.Error("collector is ahead of time; is its clock right?", "collector", p.collector)
			return // its round would close those of all others
		}
		if !u.pool.submit(p.collector, interval, p.messages, p.exchanges) {
			u.stats.latePosts.Add(1)
		}
	}()
	u.registerAll(ctx, p)
	<-answered
}

// isAhead tells whether an interval has not begun yet, by more than a round
// waits for collectors.
func (u *Utility) isAhead(interval uint64) bool {
	if u.cfg.Interval <= 0 {
		return false
	}
	latest := u.cfg.Now().Add(u.cfg.PoolWindow).UnixNano() / int64(u.cfg.Interval)
	return latest < 0 || interval > uint64(latest)
}

// take looks at one frame and puts it on its way. The verdict of what is for
// the TTP is Later until the TTP says more.
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
		p.requests = append(p.requests, i)
		return wire.Later, nil
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
	if u.unknown(m) {
		return wire.Never, fmt.Errorf("%w: meter %v has drained", wire.Unknown, id)
	}
	p.heard = append(p.heard, id)
	h, err := wire.ParseHeader(frame)
	if err != nil {
		return wire.Never, err
	}
	pseudonym, err := m.pseudonym(h.Low)
	if err != nil {
		return wire.Later, err
	}
	p.lows[i] = h.Low
	p.messages = append(p.messages, message{
		frame: wire.Rewrite(frame, pseudonym), ttp: m.ttp, verdict: &p.verdicts[i], receipt: &p.receipts[i],
	})
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
	if u.unknown(m) {
		return wire.Never, fmt.Errorf("%w: meter %v has drained", wire.Unknown, id)
	}
	p.heard = append(p.heard, id)
	switch {
	case m.drained != 0 && x.Type == wire.TypeM1:
		return wire.Never, fmt.Errorf("%w: exchange of meter %v", wire.Retired, id)
	case len(m.ranges) == 0:
		return wire.Later, fmt.Errorf("%w: meter %v has not registered", wire.Unenrolled, id)
	}
	if x.Type == wire.TypeM1 {
		m = u.noteEpoch(p, id, m, x.Low)
	}
	pseudonym, err := m.pseudonym(x.Low)
	if err != nil {
		return wire.Later, err
	}
	if x.Type == wire.TypeM1 && m.reissued {
		if waits, err := u.statementWaits(ctx, pseudonym); err != nil || waits {
			return wire.Later, cmp.Or(err, fmt.Errorf("%w: the newest statement of %v", wire.Unenrolled, pseudonym))
		}
	}
	p.lows[i] = x.Low
	p.exchanges = append(p.exchanges, exchange{
		request: wire.ExchangeRequest{Pseudonym: pseudonym, Exchange: x}, meter: id, ttp: m.ttp,
	})
	p.position = append(p.position, i)
	return wire.Later, nil
}

// noteEpoch notes the epoch of an M1, by which low bytes are extended, and ends
// the rekey notices that asked for it.
func (u *Utility) noteEpoch(p *post, id wattveil.MeterID, m *member, low byte) *member {
	u.mu.Lock()
	delete(u.rekey, id)
	u.mu.Unlock()
	epoch := extend(m.last, low, m.ranges[0].base)
	if epoch <= m.last {
		return m
	}
	later := *m
	later.last = epoch
	noted := &later
	if present, ok := u.members.Peek(id); ok && present == m { // else its standing has changed
		u.members.Add(id, noted)
	}
	if p.epochs == nil {
		p.epochs = make(map[wattveil.MeterID]wattveil.Epoch)
	}
	p.epochs[id] = epoch
	return noted
}

// keepEpochs makes the epochs of a post's M1s durable, with one commit. Where
// it fails, low bytes are extended from an epoch before, which is as near.
func (u *Utility) keepEpochs(ctx context.Context, p *post) {
	if len(p.epochs) == 0 {
		return
	}
	err := registry.Tx(ctx, u.db, func(tx *sql.Tx) error {
		update, err := tx.PrepareContext(ctx, `UPDATE meters SET last_epoch = max(last_epoch, ?) WHERE id_sm = ?`)
		if err != nil {
			return err
		}
		for id, epoch := range p.epochs {
			if _, err := update.ExecContext(ctx, epoch, int64(id)); err != nil {
				return err
			}
		}
		return update.Close()
	})
	if err != nil {
		u.cfg.Log.Error("epochs of meters not kept", "count", len(p.epochs), "error", err)
	}
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
	u.counts.Add(class)
	u.cfg.Log.Warn("frame refused", "class", string(class), "error", err)
	switch class {
	case wire.Unenrolled, wire.Unavailable:
		return wire.Later
	default:
		return wire.Never
	}
}

// relayTimeout bounds one round's way to the TTP and back, real time.
const relayTimeout = 2 * time.Minute
