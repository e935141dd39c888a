package utility

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/wattveil/wattveil/wire"
)

// relay sends a round to the TTP: exchanges first, since messages may need
// them, then messages in batches. What cannot be sent keeps the verdict Later.
func (u *Utility) relay(r *round) {
	ctx, cancel := context.WithTimeout(context.Background(), relayTimeout)
	defer cancel()
	if err := u.relayExchanges(ctx, r.exchanges); err != nil {
		u.cfg.Log.Warn("exchanges wait", "count", len(r.exchanges), "error", err)
	}
	orderMessages(r.messages)
	for batch := range slices.Chunk(r.messages, wire.MaxBatchMessages) {
		if err := u.relayMessages(ctx, batch); err != nil {
			u.cfg.Log.Warn("messages wait", "count", len(batch), "error", err)
		}
	}
}

// orderMessages sorts by an-ID, epoch low byte, counter and bytes, which is
// the order of the bytes themselves behind the type.
func orderMessages(m []message) {
	slices.SortFunc(m, func(a, b message) int { return bytes.Compare(a.frame, b.frame) })
}

func (u *Utility) relayMessages(ctx context.Context, batch []message) error {
	frames := make([][]byte, len(batch))
	for i, m := range batch {
		frames[i] = m.frame
	}
	answer, err := u.call(ctx, "POST", "/v1/messages", wire.AppendMessages(nil, frames))
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
	return nil
}

func (u *Utility) relayExchanges(ctx context.Context, exchanges []exchange) error {
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
		answer, err := u.call(ctx, "POST", "/v1/exchanges", wire.AppendExchanges(nil, requests))
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

// call asks the TTP and repeats what got no answer: every request of the
// protocol may be repeated.
func (u *Utility) call(ctx context.Context, method, path string, body []byte) (answer []byte, err error) {
	for range callAttempts {
		answer, err = u.cfg.TTP.Do(ctx, method, path, body)
		if err == nil || isRefusal(err) || ctx.Err() != nil {
			return answer, err
		}
	}
	return nil, err
}
