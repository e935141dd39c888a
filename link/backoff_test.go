package link

import (
	"testing"
	"time"
)

// drawn is the least and the most of many waits.
func drawn(wait func() time.Duration) (least, most time.Duration) {
	least = time.Hour
	for range 1000 {
		d := wait()
		least, most = min(least, d), max(most, d)
	}
	return least, most
}

// Meters that start together, or lose their collector together, do not call
// together.
func TestBackoffSpreads(t *testing.T) {
	for _, test := range []struct {
		name   string
		spread time.Duration
		wait   func(c *Client) time.Duration
		most   time.Duration
	}{
		{"first connection", time.Minute, func(c *Client) time.Duration { return c.backoff()(0) }, time.Minute},
		{"first connection, longest", time.Hour, func(c *Client) time.Duration { return c.backoff()(0) }, maxSpread},
		{"lost connection", time.Minute, func(c *Client) time.Duration {
			wait := c.backoff()
			wait(0)
			return wait(0)
		}, firstBackoff},
		{"taken over", 0, func(c *Client) time.Duration {
			wait := c.backoff()
			wait(0)
			c.takenOver.Add(1)
			return wait(0)
		}, maxBackoff},
		{"lost later", 0, func(c *Client) time.Duration {
			wait := c.backoff()
			wait(0)
			c.takenOver.Add(1)
			wait(0)
			return wait(0)
		}, firstBackoff},
		{"many failures", 0, func(c *Client) time.Duration { return c.backoff()(20) }, maxBackoff},
	} {
		least, most := drawn(func() time.Duration { return test.wait(&Client{cfg: Config{Spread: test.spread}}) })
		if least < 0 || least > test.most/4 || most > test.most || most < test.most*3/4 {
			t.Errorf("%s: from %v to %v, want up to %v", test.name, least, most, test.most)
		}
	}
	if d := (&Client{}).backoff()(0); d != 0 {
		t.Errorf("a meter alone waits %v before it connects", d)
	}
}
