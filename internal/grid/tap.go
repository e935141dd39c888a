package grid

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/meter"
)

// Record is one message as somebody on the connection sees it.
type Record struct {
	Time     time.Time // the platform's
	From, To string    // parties; a meter is "meter"
	Route    string    // method and path between servers, ID_SM between meter and collector
	Status   int       // of an answer between servers
	Header   http.Header
	Body     []byte
}

func (g *Grid) tap(r Record) {
	if g.cfg.Tap != nil {
		r.Time, r.Header, r.Body = g.clock.Now(), r.Header.Clone(), bytes.Clone(r.Body)
		g.cfg.Tap(r)
	}
}

// tappedTransport shows requests and answers to the tap.
type tappedTransport struct {
	grid     *Grid
	from, to string
	inner    http.RoundTripper
}

func (g *Grid) tapTransport(from, to string, inner http.RoundTripper) http.RoundTripper {
	if g.cfg.Tap == nil {
		return inner
	}
	return &tappedTransport{grid: g, from: from, to: to, inner: inner}
}

// RoundTrip implements http.RoundTripper.
func (t *tappedTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := req.GetBody()
	if err != nil {
		return nil, fmt.Errorf("tap: %w", err)
	}
	sent, err := io.ReadAll(body)
	if err != nil {
		return nil, fmt.Errorf("tap: %w", err)
	}
	route := req.Method + " " + req.URL.RequestURI()
	t.grid.tap(Record{From: t.from, To: t.to, Route: route, Header: req.Header, Body: sent})
	answer, err := t.inner.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	got, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	if err != nil {
		return nil, fmt.Errorf("tap: %w", err)
	}
	t.grid.tap(Record{From: t.to, To: t.from, Route: route, Status: answer.StatusCode, Header: answer.Header, Body: got})
	answer.Body = io.NopCloser(bytes.NewReader(got))
	return answer, nil
}

// tappedLink counts what a meter sends and shows both directions to the tap.
type tappedLink struct {
	meter.Link
	grid *Grid
	id   wattveil.MeterID
	down chan []byte
}

func (g *Grid) tapLink(id wattveil.MeterID, inner meter.Link) meter.Link {
	l := &tappedLink{Link: inner, grid: g, id: id, down: make(chan []byte)}
	go l.deliver()
	return l
}

// Publish implements meter.Link.
func (l *tappedLink) Publish(ctx context.Context, frame []byte) error {
	l.grid.audit.sent(frame)
	l.grid.tap(Record{From: "meter", To: "collector", Route: l.id.String(), Body: frame})
	return l.Link.Publish(ctx, frame)
}

// Receive implements meter.Link.
func (l *tappedLink) Receive() <-chan []byte { return l.down }

func (l *tappedLink) deliver() {
	for {
		select {
		case <-l.grid.ctx.Done():
			return
		case frame := <-l.Link.Receive():
			l.grid.tap(Record{From: "collector", To: "meter", Route: l.id.String(), Body: frame})
			select {
			case <-l.grid.ctx.Done():
				return
			case l.down <- frame:
			}
		}
	}
}
