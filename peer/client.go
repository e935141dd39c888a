package peer

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/wattveil/wattveil/wire"
)

// ClientConfig says who calls whom.
type ClientConfig struct {
	Identity *Identity
	Trust    *Trust
	Server   Name             // whom to expect
	URL      string           // https://HOST:PORT
	Now      func() time.Time // for certificates; time.Now if nil
	Timeout  time.Duration    // of one request, real time; 60 s if zero
	MaxBody  int64            // of an answer, bytes; wire.MaxBody if zero
	// Wrap, if set, stands between the client and its connections.
	Wrap func(http.RoundTripper) http.RoundTripper
}

// Client calls one server. It is safe for concurrent use.
type Client struct {
	cfg  ClientConfig
	http *http.Client
}

const (
	defaultTimeout  = 60 * time.Second
	maxIdle         = 8
	maxRefusalBytes = 256
	maxClass        = 32
	classLetters    = "abcdefghijklmnopqrstuvwxyz-"
)

// Refusal is a server's answer that is not success.
type Refusal struct {
	Status int
	Class  wire.Class
}

// Error is the class and the HTTP status.
func (r *Refusal) Error() string { return fmt.Sprintf("refused: %s (%d)", r.Class, r.Status) }

// Unwrap is the class, so that errors.Is matches it.
func (r *Refusal) Unwrap() error { return r.Class }

// NewClient makes a client; it connects at the first request.
func NewClient(cfg ClientConfig) *Client {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.MaxBody == 0 {
		cfg.MaxBody = wire.MaxBody
	}
	var rt http.RoundTripper = &http.Transport{
		// Each connection asks Trust anew, which may have changed.
		DialTLSContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			dialer := tls.Dialer{Config: cfg.Trust.clientConfig(cfg.Identity, cfg.Server, cfg.Now)}
			return dialer.DialContext(ctx, network, address)
		},
		MaxIdleConnsPerHost: maxIdle,
		IdleConnTimeout:     time.Minute,
	}
	if cfg.Wrap != nil {
		rt = cfg.Wrap(rt)
	}
	return &Client{cfg: cfg, http: &http.Client{
		Transport: rt,
		Timeout:   cfg.Timeout,
		// A server of the platform sends nobody elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Do sends a body and returns the answer's. An answer other than 200 is a
// *[Refusal].
func (c *Client) Do(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.cfg.URL+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%s %s at %v: %w", method, path, c.cfg.Server, err)
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	req.Header.Set("User-Agent", "wattveil")
	answer, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%s %s at %v: %w", method, path, c.cfg.Server, explain(err))
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		word, _ := io.ReadAll(io.LimitReader(answer.Body, maxRefusalBytes))
		refusal := &Refusal{Status: answer.StatusCode, Class: classOf(string(word))}
		return nil, fmt.Errorf("%s %s at %v: %w", method, path, c.cfg.Server, refusal)
	}
	out, err := io.ReadAll(io.LimitReader(answer.Body, c.cfg.MaxBody+1))
	if err == nil && int64(len(out)) > c.cfg.MaxBody {
		err = errors.New("answer is too large")
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s at %v: %w", method, path, c.cfg.Server, err)
	}
	return out, nil
}

// explain says what a server's TLS alert, and a server's certificate that is
// not in force, mean for the caller.
func explain(err error) error {
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return fmt.Errorf("its certificate is not in force; one of the two clocks may be wrong: %w", err)
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "remote error" {
		return fmt.Errorf("it does not accept our certificate; it may have expired by its clock, or we may have been removed: %w", err)
	}
	return err
}

// classOf is the class word of a refusal. Anything else, as from a proxy, is no
// text to pass on.
func classOf(body string) wire.Class {
	word := strings.TrimSuffix(body, "\n")
	if word == "" || len(word) > maxClass || strings.Trim(word, classLetters) != "" {
		return Unavailable
	}
	return wire.Class(word)
}

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }
