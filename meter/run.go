package meter

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	minBackoff = time.Second
	maxBackoff = 5 * time.Minute
	maxWait    = time.Hour
)

// Run steps whenever something is due, a downlink arrives or, after an error,
// a back-off has passed, until ctx ends; it returns the error of ctx. Errors
// of steps are logged. The waits are real time.
func (a *Agent) Run(ctx context.Context) error {
	failures := 0
	downlinks := a.cfg.Link.Receive()
	for {
		err := a.Step(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		wait := a.wait()
		if err == nil {
			failures = 0
		} else {
			wait = min(wait, backoff(failures))
			failures++
			a.cfg.Log.Warn("meter's step is incomplete", "meter", a.cfg.Provision.Meter, "error", err)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case frame, ok := <-downlinks:
			if ok {
				a.inbox = append(a.inbox, frame)
			} else {
				downlinks = nil
			}
		}
		timer.Stop()
	}
}

// backoff is the wait after that many failures in a row and one more: it
// doubles up to maxBackoff and varies by a half either way, so that meters that
// failed together do not come back together.
func backoff(failures int) time.Duration {
	d := maxBackoff
	if failures < 16 {
		d = min(minBackoff<<failures, maxBackoff)
	}
	return d/2 + rand.N(d)
}

// wait is the time until something is due, after a Step that did all that was.
func (a *Agent) wait() time.Duration {
	now := a.cfg.Now()
	wait := maxWait
	until := func(t time.Time) {
		if d := t.Sub(now); d > 0 { // what is past and was not done waits for something else
			wait = min(wait, d)
		}
	}
	if !a.ended {
		wait = min(wait, max(time.Unix(a.next-a.state.offset, 0).Sub(now), 0))
	}
	if n := len(a.requests); n > 0 {
		until(a.requests[n-1].made.Add(a.cfg.Retry))
	}
	if x := a.exchange; x != nil {
		until(x.sent.Add(a.cfg.Retry))
		until(x.begun.Add(exchangeAge))
	} else if s := a.session; s != nil {
		until(s.expires)
		until(a.noticed.Add(noticeInterval))
	}
	return wait
}
