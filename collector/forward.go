package collector

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/wattveil/wattveil/peer"
	"github.com/wattveil/wattveil/wire"
)

// Limits of one post. The utility pools those of several collectors.
const (
	maxPostFrames = 32_768
	maxPostBytes  = 7 << 19 // 3.5 MiB, of the whole body
	postOverhead  = 1 + 8 + 8 + 4
	lengthBytes   = 2 // before each frame
	postAttempts  = 3

	maxPostFrameBytes = maxPostBytes - postOverhead - maxPostFrames*lengthBytes

	forwardPath     = "/v1/forward"
	certificatePath = "/v1/certificate"
)

// Forwarded is what one post did.
type Forwarded struct {
	Frames                       int // posted
	Durable, Later, Rekey, Never int // of these
	Downlinks                    int // sent to meters that are connected
}

// Forward posts one interval's batch, also an empty one, and does what the
// answer says (spec/protocol.md section 7.1). A post without an answer is
// repeated, byte for byte, up to 3 times in all. Without a valid answer
// everything stays as it is. Calls take turns.
func (c *Collector) Forward(ctx context.Context) (Forwarded, error) {
	c.forwarding.Lock()
	defer c.forwarding.Unlock()
	items, err := c.take()
	if err != nil {
		return Forwarded{}, &queueError{err}
	}
	answer, err := c.post(ctx, items)
	if err != nil {
		c.counts.failedPosts.Add(1)
		return Forwarded{}, fmt.Errorf("forward %d frames: %w", len(items), err)
	}
	c.counts.posts.Add(1)
	now := c.cfg.Now()
	c.counts.lastPost.Store(&now)
	f := Forwarded{Frames: len(items)}
	settled := c.settle(items, answer.Verdicts, &f)
	listed := c.applyRoster(answer)
	f.Downlinks = c.send(answer.Downlinks)
	c.renew(ctx)
	if err := errors.Join(settled, listed); err != nil {
		return f, fmt.Errorf("apply the utility's answer: %w", err)
	}
	return f, nil
}

// queueError is why a collector cannot go on, unlike a utility that is away.
type queueError struct{ err error }

func (e *queueError) Error() string { return e.err.Error() }
func (e *queueError) Unwrap() error { return e.err }

// take chooses what fits a post: the oldest frames. When these are too many to
// fit, the next post begins behind them, so that frames which the utility goes
// on to put off do not keep the others waiting.
func (c *Collector) take() ([]Item, error) {
	start := c.cursor
	items, err := c.cfg.Queue.Items(start, maxPostFrames, maxPostFrameBytes)
	if err != nil {
		return nil, err
	}
	if room := roomAfter(items); start > 0 && room > 0 {
		older, err := c.cfg.Queue.Items(0, maxPostFrames-len(items), room)
		if err != nil {
			return nil, err
		}
		for _, item := range older {
			if item.Seq > start {
				break // in the post already
			}
			items = append(items, item)
		}
	}
	c.cursor = 0
	if len(items) > 0 && roomAfter(items) == 0 {
		c.cursor = items[len(items)-1].Seq
	}
	return items, nil
}

// roomAfter is how many bytes of frames fit a post after items: none if a
// frame might not fit any more.
func roomAfter(items []Item) int {
	room := maxPostFrameBytes
	for _, item := range items {
		room -= len(item.Frame)
	}
	if len(items) >= maxPostFrames || room < wire.MaxFrame {
		return 0
	}
	return room
}

// post sends a body until it is answered. An answer that does not parse is
// final: the same bytes would get it again.
func (c *Collector) post(ctx context.Context, items []Item) (wire.ForwardAnswer, error) {
	batch := wire.Forward{
		Interval: uint64(c.interval(c.cfg.Now())),
		Roster:   c.roster.Load().serial,
		Frames:   make([][]byte, len(items)),
	}
	size := postOverhead
	for i, item := range items {
		batch.Frames[i] = item.Frame
		size += lengthBytes + len(item.Frame)
	}
	body := batch.Append(make([]byte, 0, size))
	var failures []error
	for n := range postAttempts {
		if n > 0 && c.cfg.Backoff(ctx, n-1) != nil {
			break
		}
		answer, err := c.cfg.Utility.Do(ctx, http.MethodPost, forwardPath, body)
		if err == nil {
			return wire.ParseForwardAnswer(answer, len(items))
		}
		failures = append(failures, err)
		if ctx.Err() != nil || final(err) {
			break
		}
	}
	return wire.ForwardAnswer{}, failures[len(failures)-1]
}

// final tells whether the utility refused the request for what it is.
func final(err error) bool {
	var refusal *peer.Refusal
	return errors.As(err, &refusal) && refusal.Status < http.StatusInternalServerError
}

// interval is the number of a moment's interval since the Unix epoch.
func (c *Collector) interval(now time.Time) int64 {
	return now.UnixNano() / int64(c.cfg.Interval)
}

// settle lets go of what the verdicts allow.
func (c *Collector) settle(items []Item, verdicts []wire.Verdict, f *Forwarded) error {
	var deleted, quarantined []uint64
	for i, item := range items {
		switch verdicts[i] {
		case wire.Durable:
			f.Durable++
			deleted = append(deleted, item.Seq)
		case wire.Rekey:
			f.Rekey++
			deleted = append(deleted, item.Seq)
		case wire.Never:
			f.Never++
			quarantined = append(quarantined, item.Seq)
		default:
			f.Later++
		}
	}
	c.counts.durable.Add(uint64(f.Durable))
	c.counts.later.Add(uint64(f.Later))
	c.counts.rekey.Add(uint64(f.Rekey))
	c.counts.never.Add(uint64(f.Never))
	if err := c.cfg.Queue.Settle(deleted, quarantined); err != nil {
		return &queueError{err}
	}
	return nil
}

// applyRoster keeps the changes and puts them in force. A meter whose password
// is no longer valid loses its connection. On an error the old roster stays,
// and with it the serial that makes the utility send the changes again.
func (c *Collector) applyRoster(answer wire.ForwardAnswer) error {
	now := c.roster.Load()
	if len(answer.Changes) == 0 && answer.Roster == now.serial {
		return nil
	}
	next, changed := now.apply(answer.Roster, answer.Changes)
	if err := next.save(c.cfg.RosterFile); err != nil {
		return err
	}
	c.roster.Store(next)
	if b := c.serving(); b != nil {
		for _, id := range changed {
			b.Disconnect(id)
		}
	}
	return nil
}

// send passes frames on to meters that are connected. Others ask again.
func (c *Collector) send(downlinks []wire.Downlink) (sent int) {
	b := c.serving()
	for _, d := range downlinks {
		t, id, err := wire.ParsePrefix(d.Frame)
		if err != nil || t.Uplink() || id != d.ID {
			c.cfg.Log.Warn("malformed downlink from the utility", "meter", d.ID)
			c.counts.lostDownlinks.Add(1)
			continue
		}
		if b == nil || !b.Send(d.ID, d.Frame) {
			c.counts.lostDownlinks.Add(1)
			continue
		}
		sent++
	}
	c.counts.downlinks.Add(uint64(sent))
	return sent
}

// renew fetches a new certificate when a third of the present one's life is
// left, or the utility has gone over to another authority. A failure is logged and tried again after the next post.
func (c *Collector) renew(ctx context.Context) {
	now := c.cfg.Now()
	if c.cfg.Identity == nil || !c.cfg.Identity.Due(now) {
		return
	}
	if err := c.fetchCertificate(ctx, now); err != nil {
		c.counts.failedRenewals.Add(1)
		c.cfg.Log.Error("the collector's certificate is due and was not renewed", "error", err)
	}
}

func (c *Collector) fetchCertificate(ctx context.Context, now time.Time) error {
	request, err := c.cfg.Identity.Request()
	if err != nil {
		return err
	}
	der, err := c.cfg.Utility.Do(ctx, http.MethodPost, certificatePath, request)
	if err != nil {
		return err
	}
	list, err := x509.ParseCertificates(der)
	if err == nil && len(list) == 0 {
		err = errors.New("there is none")
	}
	if err != nil {
		return fmt.Errorf("certificate from the utility: %w", err)
	}
	cert := list[0]
	if now.Before(cert.NotBefore) || now.After(cert.NotAfter) {
		return fmt.Errorf("certificate from the utility is valid from %v to %v, not now", cert.NotBefore, cert.NotAfter)
	}
	if err := c.cfg.Identity.Replace(cert, list[1:]...); err != nil {
		return err
	}
	if c.cfg.Save == nil {
		return nil
	}
	return c.cfg.Save(c.cfg.Identity)
}
