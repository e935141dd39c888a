package grid

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/wattveil/wattveil/meter"
	"github.com/wattveil/wattveil/provision"
	"github.com/wattveil/wattveil/wire"
)

// meddler handles a request between two servers in the place of its
// connection. It may send the request on, changed or not.
type meddler func(c *call) (status int, answer []byte, err error)

// call is one request in a meddler's hands.
type call struct {
	played   *played
	from, to string
	req      *http.Request // its header and URL may be changed
	body     []byte

	inner  http.RoundTripper
	header http.Header // of the last answer
}

// is tells whether the call is one of a route to a server.
func (c *call) is(to, route string) bool {
	return c.to == to && c.req.Method+" "+c.req.URL.Path == route
}

// send sends a body on.
func (c *call) send(body []byte) (status int, answer []byte, err error) {
	next := c.req.Clone(c.req.Context())
	next.ContentLength = int64(len(body))
	next.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	next.Body, _ = next.GetBody()
	got, err := c.inner.RoundTrip(next)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = got.Body.Close() }()
	c.header = got.Header
	answer, err = io.ReadAll(got.Body)
	return got.StatusCode, answer, err
}

// roundTrips is a function as a transport.
type roundTrips func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTrips) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// meddle puts a meddler on a connection; nil puts nothing there.
func (p *played) meddle(m meddler) func(from, to string, inner http.RoundTripper) http.RoundTripper {
	if m == nil {
		return nil
	}
	return func(from, to string, inner http.RoundTripper) http.RoundTripper {
		return roundTrips(func(req *http.Request) (*http.Response, error) {
			content, err := req.GetBody()
			if err != nil {
				return nil, err
			}
			body, err := io.ReadAll(content)
			if err != nil {
				return nil, err
			}
			c := &call{played: p, from: from, to: to, req: req.Clone(req.Context()), body: body, inner: inner}
			status, answer, err := m(c)
			if err != nil {
				return nil, err
			}
			return &http.Response{
				StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
				Header: c.header, Body: io.NopCloser(bytes.NewReader(answer)), ContentLength: int64(len(answer)), Request: req,
			}, nil
		})
	}
}

// noon tells whether it is noon of the first day: the moment of leaks that
// happen once.
func (p *played) noon() bool { return p.now().Sub(p.start()).Hours() == 12 }

// wideMeter pads its messages by the load, as an encoding of deltas in as many
// bytes as they need would do.
type wideMeter struct {
	meter.Link
	played *played
	home   int
	record provision.Record
}

func newWideMeter(p *played, i int, r provision.Record, inner meter.Link) meter.Link {
	return &wideMeter{inner, p, i, r}
}

// padding is how many bytes more a message has that is sent now.
func (p *played) padding(home int) int {
	return wire.BlockUnit * int(p.flowAt(home, p.now()).imp/500%4)
}

// Publish implements meter.Link.
func (m *wideMeter) Publish(ctx context.Context, frame []byte) error {
	if wire.Type(frame[0]) != wire.TypeData {
		return m.Link.Publish(ctx, frame)
	}
	sealed, tag := frame[:len(frame)-2*wire.TagSize], frame[len(frame)-2*wire.TagSize:len(frame)-wire.TagSize]
	wide := append(append(bytes.Clone(sealed), make([]byte, m.played.padding(m.home))...), tag...)
	return m.Link.Publish(ctx, wire.NewTagger().Append(m.record.Secret.DataTagKey(), wide))
}

// narrow takes the padding off on the way to the TTP, so that the platform
// works on and nothing but the lengths is other.
func narrow(c *call) (int, []byte, error) {
	if !c.is(TTPOrg, "POST /v1/messages") {
		return c.send(c.body)
	}
	messages, err := wire.ParseMessages(c.body)
	if err != nil {
		return 0, nil, err
	}
	for i, msg := range messages {
		end := len(msg) - wire.TagSize
		cut := end - c.played.padding(c.played.homeOf(msg))
		messages[i] = append(bytes.Clone(msg[:cut]), msg[end:]...)
	}
	return c.send(wire.AppendMessages(nil, messages))
}

// quietMeter says nothing while its load does not change, and catches up when
// it does.
type quietMeter struct {
	meter.Link
	played *played
	home   int
	held   [][]byte
}

func newQuietMeter(p *played, i int, _ provision.Record, inner meter.Link) meter.Link {
	return &quietMeter{Link: inner, played: p, home: i}
}

// Publish implements meter.Link.
func (m *quietMeter) Publish(ctx context.Context, frame []byte) error {
	if wire.Type(frame[0]) != wire.TypeData {
		return m.Link.Publish(ctx, frame)
	}
	now := m.played.now()
	before := now.Add(-testResolution.Duration())
	m.held = append(m.held, bytes.Clone(frame))
	if now.Before(m.played.end()) && m.played.flowAt(m.home, now) == m.played.flowAt(m.home, before) {
		return nil
	}
	for _, frame := range m.held {
		if err := m.Link.Publish(ctx, frame); err != nil {
			return fmt.Errorf("catch up: %w", err)
		}
	}
	m.held = nil
	return nil
}
