// Package portal serves the consumer's pages: sign-in with a passkey and a
// meter's claim code, use, meter and settings (spec/portal.md).
//
// It holds no reading and no code that opens or prices one: what it shows comes
// through the interfaces below, which the TTP satisfies. It asks for nothing
// that tells who a consumer is, and keeps neither addresses nor user agents.
//
// # Adding a page
//
// A page is a handler file with a [page] and its texts in all languages, a
// template of the same name in html/, and a line in the table in route.go. A
// handler gets a visit, which knows session, meter and language, and returns an
// error: a refusal is shown as a page of its own. What the page asks of the TTP
// is a small interface here that joins [TTP], methods of the TTP's Consumers,
// and nouns in package consumer. An act that cannot be undone calls
// needConfirmed first. Tests find the page by the table: they hold its texts to
// all languages, ask it whatever comes to mind, and picture it once it has a
// line in ttp/portal_screenshot_test.go, as they check then that it is
// accessible.
package portal

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/consumer"
)

// Claims lets consumers prove that a meter is theirs.
type Claims interface {
	CheckClaim(ctx context.Context, code string) (wattveil.Meter, error)
	Holder(ctx context.Context, m wattveil.Meter) (consumer.Account, bool, error)
	NewAccount(ctx context.Context, first consumer.Passkey, m wattveil.Meter, later bool) (due time.Time, err error)
	Take(ctx context.Context, a consumer.Account, m wattveil.Meter, later bool) (due time.Time, err error)
	RefuseTakeover(ctx context.Context, a consumer.Account, ref string) error
}

// Accounts keeps which meter is whose.
type Accounts interface {
	Meters(ctx context.Context, a consumer.Account) ([]consumer.Meter, error)
	Takeovers(ctx context.Context, a consumer.Account) ([]time.Time, error)
	GiveUp(ctx context.Context, a consumer.Account, ref string) error
	DeleteAccount(ctx context.Context, a consumer.Account) error
}

// Passkeys keeps the accounts' passkeys.
type Passkeys interface {
	Passkey(ctx context.Context, id []byte) (consumer.Passkey, bool, error)
	Passkeys(ctx context.Context, a consumer.Account) ([]consumer.Passkey, error)
	AddPasskey(ctx context.Context, p consumer.Passkey) error
	UsePasskey(ctx context.Context, id []byte, count uint32, flags byte) error
	RemovePasskey(ctx context.Context, a consumer.Account, number int) error
}

// Sessions keeps who is signed in.
type Sessions interface {
	BeginSession(ctx context.Context, t consumer.TokenHash, s consumer.Session) error
	Session(ctx context.Context, t consumer.TokenHash) (consumer.Session, bool, error)
	ConfirmSession(ctx context.Context, t consumer.TokenHash, at time.Time) error
	EndSession(ctx context.Context, t consumer.TokenHash) error
	EndSessions(ctx context.Context, a consumer.Account) error
}

// Meters tells what meters measured, and how they stand.
type Meters interface {
	Zone(ctx context.Context, m wattveil.Meter) (*time.Location, error)
	Use(ctx context.Context, m wattveil.Meter, q consumer.Query) (consumer.Use, error)
	Standing(ctx context.Context, m wattveil.Meter) (consumer.Standing, error)
}

// Events tells what happened to meters' keys and readings.
type Events interface {
	Events(ctx context.Context, m wattveil.Meter) ([]consumer.Event, error)
}

// TTP is all that the portal asks of the TTP. A page that needs more declares
// a small interface of its own and adds it here.
type TTP interface {
	Claims
	Accounts
	Passkeys
	Sessions
	Meters
	Offers
	Outlooks
	Bills
	Disclosures
	Alerts
	Events
	Exports
	Insights
	Links
	Privacy
}

// Config is what a portal needs.
type Config struct {
	URL string // where consumers reach it: https, or http://localhost
	TTP TTP
	Now func() time.Time
	Log *slog.Logger // discards if nil
	TLS *tls.Config  // plain HTTP if nil: for localhost, or behind a proxy
}

// Server is the portal. It is safe for concurrent use.
type Server struct {
	cfg      Config
	url      *url.URL
	pages    pages
	assets   assets
	passkeys *ceremonies
	proofs   *pending[wattveil.Meter]
	exports  exporting
	table    []route
	handler  http.Handler
	srv      *http.Server
}

const (
	headerTimeout = 10 * time.Second
	readTimeout   = 30 * time.Second
	writeTimeout  = 60 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 16 << 10
	maxForm       = 64 << 10
)

// CheckURL tells whether a portal can be at a URL.
func CheckURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return fmt.Errorf("portal's URL %q: %w", text, err)
	case u.Hostname() == "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return fmt.Errorf("portal's URL %q: want https://HOST or http://localhost:PORT and nothing after it", text)
	case u.Scheme == "http" && u.Hostname() == "localhost":
		return nil
	case u.Scheme != "https":
		return fmt.Errorf("portal's URL %q: passkeys work with https, and with http on localhost alone", text)
	case net.ParseIP(u.Hostname()) != nil:
		return fmt.Errorf("portal's URL %q: passkeys need a host name, not an address", text)
	}
	return nil
}

// New makes a portal.
func New(cfg Config) (*Server, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if err := CheckURL(cfg.URL); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg}
	var err error
	if s.proofs, err = newPending[wattveil.Meter](proofLasts, openProofs); err != nil {
		return nil, err
	}
	if s.url, err = url.Parse(cfg.URL); err != nil {
		return nil, fmt.Errorf("portal: %w", err)
	}
	s.url.Path = ""
	if s.assets, err = loadAssets(); err != nil {
		return nil, err
	}
	if s.passkeys, err = newCeremonies(s.url); err != nil {
		return nil, err
	}
	s.table = s.routes()
	if s.pages, err = parsePages(s.table, s.assets); err != nil {
		return nil, err
	}
	if s.handler, err = s.handle(s.table); err != nil {
		return nil, err
	}
	s.srv = &http.Server{
		Handler:           s.handler,
		TLSConfig:         cfg.TLS,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          log.New(io.Discard, "", 0), // its lines carry addresses
	}
	return s, nil
}

// Handler serves the portal's requests.
func (s *Server) Handler() http.Handler { return s.handler }

// URL is where consumers reach the portal.
func (s *Server) URL() string { return s.url.String() }

// Serve serves on a listener until Shutdown or Close.
func (s *Server) Serve(l net.Listener) error {
	if s.cfg.TLS != nil {
		l = tls.NewListener(l, s.cfg.TLS)
	}
	if err := s.srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the portal: %w", err)
	}
	return nil
}

// Shutdown stops taking requests and waits for those under way.
func (s *Server) Shutdown(ctx context.Context) error { return s.srv.Shutdown(ctx) }

// Close ends all connections at once.
func (s *Server) Close() error { return s.srv.Close() }
