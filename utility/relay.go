package utility

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/wattveil/wattveil/wire"
)

// relay sends a round to the TTPs, to each what is for it. What cannot be sent
// keeps the verdict Later.
func (u *Utility) relay(r *round) {
	ctx, cancel := context.WithTimeout(context.Background(), relayTimeout)
	defer cancel()
	began := time.Now()
	defer func() { u.cfg.RoundTook(time.Since(began)) }()
	parts := r.byTTP()
	var running sync.WaitGroup
	for org, part := range parts {
		t, err := u.trustee(org)
		if err != nil {
			u.cfg.Log.Warn("messages wait", "ttp", org, "count", len(part.messages)+len(part.exchanges), "error", err)
			continue
		}
		running.Go(func() { u.relayPart(ctx, t, part) })
	}
	running.Wait()
}

// part is what of a round is for one TTP.
type part struct {
	messages  []message
	exchanges []exchange
}

// byTTP splits a round by the TTPs of its meters.
func (r *round) byTTP() map[string]*part {
	parts := make(map[string]*part)
	of := func(org string) *part {
		p := parts[org]
		if p == nil {
			p = new(part)
			parts[org] = p
		}
		return p
	}
	for _, x := range r.exchanges {
		p := of(x.ttp)
		p.exchanges = append(p.exchanges, x)
	}
	for _, m := range r.messages {
		p := of(m.ttp)
		p.messages = append(p.messages, m)
	}
	return parts
}

// relayPart sends exchanges first, since messages may need them, then messages
// in batches.
func (u *Utility) relayPart(ctx context.Context, t *trustee, p *part) {
	if err := u.relayExchanges(ctx, t, p.exchanges); err != nil {
		u.cfg.Log.Warn("exchanges wait", "ttp", t.org, "count", len(p.exchanges), "error", err)
	}
	orderMessages(p.messages)
	for batch := range slices.Chunk(p.messages, wire.MaxBatchMessages) {
		if err := u.relayMessages(ctx, t, batch); err != nil {
			u.cfg.Log.Warn("messages wait", "ttp", t.org, "count", len(batch), "error", err)
		}
	}
}

// orderMessages sorts by an-ID, epoch low byte, counter and bytes, which is
// the order of the bytes themselves behind the type.
func orderMessages(m []message) {
	slices.SortFunc(m, func(a, b message) int { return bytes.Compare(a.frame, b.frame) })
}

func (u *Utility) relayMessages(ctx context.Context, t *trustee, batch []message) error {
	frames := make([][]byte, len(batch))
	for i, m := range batch {
		frames[i] = m.frame
	}
	answer, err := u.call(ctx, t, "POST", "/v1/messages", wire.AppendMessages(nil, frames))
	if err != nil {
		return err
	}
	given, err := wire.ParseMessageAnswer(answer, len(batch))
	if err != nil {
		return fmt.Errorf("answer of the TTP: %w", err)
	}
	for i, v := range given.Verdicts {
		*batch[i].verdict = v
	}
	u.noteReceipts(batch, given.Receipts)
	return nil
}

func (u *Utility) relayExchanges(ctx context.Context, t *trustee, exchanges []exchange) error {
	slices.SortStableFunc(exchanges, func(a, b exchange) int {
		return cmp.Or(
			cmp.Compare(a.request.Pseudonym, b.request.Pseudonym),
			cmp.Compare(a.request.Low, b.request.Low),
			bytes.Compare(a.request.Body, b.request.Body),
		)
	})
	for batch := range slices.Chunk(exchanges, maxExchangeBatch) {
		requests := make([]wire.ExchangeRequest, len(batch))
		for i, x := range batch {
			requests[i] = x.request
		}
		answer, err := u.call(ctx, t, "POST", "/v1/exchanges", wire.AppendExchanges(nil, requests))
		if err != nil {
			return err
		}
		answers, err := wire.ParseExchangeAnswers(answer, len(batch))
		if err != nil {
			return fmt.Errorf("answer of the TTP: %w", err)
		}
		for i, a := range answers {
			*batch[i].answer = a
		}
	}
	return nil
}

const (
	maxExchangeBatch = 1024 // their bodies and answers stay far below wire.MaxBody
	callAttempts     = 3
)

// call asks a TTP and repeats what got no answer: every request of the
// protocol may be repeated.
func (u *Utility) call(ctx context.Context, t *trustee, method, path string, body []byte) (answer []byte, err error) {
	for n := range callAttempts {
		if n > 0 && u.cfg.Backoff(ctx, n-1) != nil {
			break
		}
		answer, err = t.conn.Do(ctx, method, path, body)
		if err == nil || isRefusal(err) || ctx.Err() != nil {
			return answer, err
		}
	}
	return nil, err
}
