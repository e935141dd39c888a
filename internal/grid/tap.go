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
	Body     []byte
}

func (g *Grid) tap(from, to, route string, body []byte) {
	if g.cfg.Tap != nil {
		g.cfg.Tap(Record{Time: g.clock.Now(), From: from, To: to, Route: route, Body: bytes.Clone(body)})
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
	route := req.Method + " " + req.URL.Path
	t.grid.tap(t.from, t.to, route, sent)
	answer, err := t.inner.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	got, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	if err != nil {
		return nil, fmt.Errorf("tap: %w", err)
	}
	t.grid.tap(t.to, t.from, route, got)
	answer.Body = io.NopCloser(bytes.NewReader(got))
	return answer, nil
}

// tappedLink counts what a meter sends and shows it to the tap.
type tappedLink struct {
	meter.Link
	grid *Grid
	id   wattveil.MeterID
}

func (g *Grid) tapLink(id wattveil.MeterID, inner meter.Link) meter.Link {
	return &tappedLink{Link: inner, grid: g, id: id}
}

// Publish implements meter.Link.
func (l *tappedLink) Publish(ctx context.Context, frame []byte) error {
	l.grid.audit.sent(frame)
	l.grid.tap("meter", "collector", l.id.String(), frame)
	return l.Link.Publish(ctx, frame)
}
