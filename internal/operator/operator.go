// Package operator carries an operator's requests to a party: HTTP with JSON
// bodies over a unix socket in the party's own folder, which nobody else may
// enter, or straight to the handler when no server runs.
package operator

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const (
	socketFile = "operator.sock"
	socketMode = 0o600
	// maxSocketPath is what a unix address holds, less its end.
	maxSocketPath = 100

	// MaxBody bounds a request and an answer, bytes: a request for provisioning
	// records is the largest.
	MaxBody = 64 << 20

	headerTimeout = 10 * time.Second
	readTimeout   = time.Minute // of a whole request; answers take the time that the work takes
	idleTimeout   = time.Minute
)

// ErrNotServing is why a party cannot be reached: no server of it runs.
var ErrNotServing = errors.New("no server answers on its socket")

// Listen makes the socket in a party's folder, mode 0600. The caller holds the
// folder's lock, so that a socket that is there already is nobody's.
func Listen(dir string) (net.Listener, error) {
	path := filepath.Join(dir, socketFile)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("operator's socket: %w", err)
	}
	var l net.Listener
	err := shorten(path, func(address string) (err error) {
		l, err = net.Listen("unix", address)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("operator's socket: %w", err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // its address may be a short one that is gone
	if err := os.Chmod(path, socketMode); err != nil {
		return nil, errors.Join(fmt.Errorf("operator's socket: %w", err), l.Close())
	}
	return l, nil
}

// shorten gives a path that fits a unix address: one that is too long goes by
// way of its open folder.
func shorten(path string, use func(string) error) error {
	if len(path) <= maxSocketPath {
		return use(path)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	return use(fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path)))
}

// Server serves the handler until Shutdown or Close.
func Server(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           http.MaxBytesHandler(h, MaxBody),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		IdleTimeout:       idleTimeout,
	}
}

// Client calls a party's operator API.
type Client struct{ http http.Client }

// Dial calls the server that runs in a folder.
func Dial(dir string) *Client {
	path := filepath.Join(dir, socketFile)
	return &Client{http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (conn net.Conn, err error) {
			err = shorten(path, func(address string) (err error) {
				conn, err = new(net.Dialer).DialContext(ctx, "unix", address)
				return err
			})
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
				err = fmt.Errorf("%w: %w", ErrNotServing, err)
			}
			return conn, err
		},
	}}}
}

// Local calls a handler of this process.
func Local(h http.Handler) *Client { return &Client{http.Client{Transport: local{h}}} }

// local answers requests without a connection.
type local struct{ handler http.Handler }

// RoundTrip implements http.RoundTripper.
func (l local) RoundTrip(r *http.Request) (*http.Response, error) {
	in := r.Clone(r.Context())
	in.RequestURI = r.URL.RequestURI()
	if in.Body == nil {
		in.Body = http.NoBody
	}
	out := &recorder{header: make(http.Header), status: http.StatusOK}
	l.handler.ServeHTTP(out, in)
	return &http.Response{
		Status: http.StatusText(out.status), StatusCode: out.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: out.header, Body: io.NopCloser(&out.body), ContentLength: int64(out.body.Len()), Request: r,
	}, nil
}

// recorder keeps an answer.
type recorder struct {
	header  http.Header
	status  int
	written bool
	body    bytes.Buffer
}

// Header implements http.ResponseWriter.
func (r *recorder) Header() http.Header { return r.header }

// WriteHeader implements http.ResponseWriter: the first status counts.
func (r *recorder) WriteHeader(status int) {
	if !r.written {
		r.status, r.written = status, true
	}
}

// Write implements http.ResponseWriter.
func (r *recorder) Write(b []byte) (int, error) {
	r.written = true
	return r.body.Write(b)
}

// Error is an answer that is not success. Its text is for the operator.
type Error struct {
	Status int
	Detail string
}

// Error is the detail.
func (e *Error) Error() string { return e.Detail }

// problem is the part of an RFC 9457 document that operators are shown.
type problem struct {
	Title  string `json:"title"`
	Detail string `json:"detail"`
	Errors []struct {
		Message  string `json:"message"`
		Location string `json:"location"`
	} `json:"errors"`
}

// Do sends a request with a body in JSON, or none if it is nil, and decodes the
// answer, unless that is not wanted. An answer other than success is an *[Error].
func (c *Client) Do(ctx context.Context, method, path string, body, answer any) error {
	var content []byte
	switch b := body.(type) {
	case nil:
	case json.RawMessage: // as it is: what reads it says what is wrong with it
		content = b
	default:
		var err error
		if content, err = json.Marshal(body); err != nil {
			return fmt.Errorf("%s %s: %w", method, path, err)
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://operator"+path, bytes.NewReader(content))
	if err != nil {
		return err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	got, err := c.http.Do(r)
	if err != nil {
		return fmt.Errorf("ask the server: %w", err)
	}
	defer func() { _ = got.Body.Close() }()
	out, err := io.ReadAll(io.LimitReader(got.Body, MaxBody+1))
	if err == nil && len(out) > MaxBody {
		err = errors.New("its answer is too large")
	}
	if err != nil {
		return fmt.Errorf("ask the server: %w", err)
	}
	if got.StatusCode >= http.StatusMultipleChoices {
		return refusal(got.StatusCode, out)
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(out, answer); err != nil {
		return fmt.Errorf("answer of the server to %s %s: %w", method, path, err)
	}
	return nil
}

func refusal(status int, body []byte) error {
	var p problem
	if err := json.Unmarshal(body, &p); err != nil || p.Detail == "" && p.Title == "" {
		return &Error{status, fmt.Sprintf("the server answers %d", status)}
	}
	if p.Detail == "" {
		p.Detail = p.Title
	}
	for _, e := range p.Errors {
		p.Detail += "; " + e.Message
		if e.Location != "" {
			p.Detail += " (" + e.Location + ")"
		}
	}
	return &Error{status, p.Detail}
}

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }
