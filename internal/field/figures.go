package field

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/wattveil/wattveil/internal/operator"
)

// answerTime is how long a process that is well may take to answer a question
// about itself.
const answerTime = 5 * time.Second

// MeterStatus is what the tests need of a meter's status.
type MeterStatus struct {
	Meter    string            `json:"meter"`
	State    string            `json:"state"`
	Epoch    uint32            `json:"epoch"`
	Next     time.Time         `json:"next_reading"`
	Taken    uint64            `json:"readings_taken"`
	Missing  uint64            `json:"readings_missing"`
	Sent     uint64            `json:"readings_sent"`
	Dropped  uint64            `json:"readings_dropped"`
	Pending  int               `json:"readings_pending"`
	Messages uint64            `json:"messages"`
	Refused  map[string]uint64 `json:"refused"`
}

// Meters is the status of the meters of a process.
func (p *Process) Meters() (list []MeterStatus, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	client := operator.Dial(p.dir)
	defer client.Close()
	if err := client.Do(ctx, http.MethodGet, "/v1/status", nil, &list); err != nil {
		return nil, fmt.Errorf("status of %s: %w", p.Name, err)
	}
	return list, nil
}

// get asks the process's monitor.
func (p *Process) get(path string, read func(*http.Response) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			return p.host.Dial(ctx, address)
		},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.metrics+path, nil)
	if err != nil {
		return err
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("ask %s: %w", p.Name, err)
	}
	defer func() { _ = resp.Body.Close() }()
	return read(resp)
}

// Ready tells whether the process says that it can do its work.
func (p *Process) Ready() error {
	return p.get("/readyz", func(resp *http.Response) error {
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s is not ready: %s", p.Name, resp.Status)
		}
		return nil
	})
}

// Metric is a figure of the process's monitor: its name after "wattveil_", and
// the value of its label, if it has one.
func (p *Process) Metric(name, of string) (value float64, err error) {
	found := false
	err = p.get("/metrics", func(resp *http.Response) error {
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			labels, ok := strings.CutPrefix(lines.Text(), "wattveil_"+name+"{")
			if !ok || of != "" && !strings.Contains(labels, `="`+of+`"`) {
				continue
			}
			_, text, _ := strings.Cut(labels, "} ")
			found = true
			value, err = strconv.ParseFloat(text, 64)
			return err
		}
		return nil
	})
	if err == nil && !found {
		err = fmt.Errorf("%s shows no figure %s %s", p.Name, name, of)
	}
	return value, err
}

// Drain waits until everything that meters have taken up to a moment has left
// them and the collectors. Meters that find a message refused send it anew, so
// it looks again until it has looked twice without a message on its way.
func (f *Field) Drain(through time.Time, within time.Duration) {
	f.t.Helper()
	var before float64
	quiet := 0
	deadline := time.Now().Add(within)
	f.Until("nothing is on its way", within, func() error {
		if err := f.handedOver(through, deadline); err != nil {
			quiet = 0
			return err
		}
		rekey, err := f.TTP.Metric("verdicts_total", "rekey")
		if err != nil {
			quiet = 0
			return err
		}
		if quiet++; rekey != before {
			before, quiet = rekey, 0
		}
		if quiet < 2 {
			return errors.New("it has just become quiet")
		}
		return nil
	})
}

// handedOver waits for each meter and each collector to have nothing of before a
// moment.
func (f *Field) handedOver(through, deadline time.Time) error {
	for _, p := range f.Fleets {
		if !p.Running() {
			continue // not started yet, or ended by the test
		}
		if err := p.sent(through, deadline); err != nil {
			return err
		}
	}
	since := time.Now()
	for _, p := range f.Collectors {
		if !p.Running() {
			continue // the test has ended it
		}
		if err := eventually(deadline, func() error { return p.forwarded(since) }); err != nil {
			return err
		}
	}
	return nil
}

// forwarded tells whether a collector holds nothing that came before a moment.
func (p *Process) forwarded(since time.Time) error {
	frames, err := p.Metric("queue_frames", "")
	if err != nil || frames == 0 {
		return err
	}
	age, err := p.Metric("queue_age_seconds", "")
	if err != nil {
		return err
	}
	if age >= time.Since(since).Seconds() {
		return fmt.Errorf("%s holds a frame for %.1f s", p.Name, age)
	}
	return nil
}

// keyed is the state of a meter that shares keys with the TTP.
const keyed = "keyed"

// sent waits until each meter has had keys and nothing to send at some time
// after a moment.
func (p *Process) sent(through, deadline time.Time) error {
	done := make(map[string]bool)
	return eventually(deadline, func() error {
		list, err := p.Meters()
		if err != nil {
			return err
		}
		for _, m := range list {
			if m.State == keyed && m.Pending == 0 && m.Next.After(through) {
				done[m.Meter] = true
			}
		}
		if len(done) < len(list) || len(list) == 0 {
			return fmt.Errorf("%d of %d meters of %s have handed everything over", len(done), len(list), p.Name)
		}
		return nil
	})
}

// eventually repeats a check until a moment.
func eventually(deadline time.Time, check func() error) (err error) {
	for {
		if err = check(); err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(poll)
	}
}
