package peer

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
	"path"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/wattveil/wattveil/wire"
)

// ServerConfig says who serves and whom it trusts.
type ServerConfig struct {
	Identity *Identity
	Trust    *Trust
	Now      func() time.Time // for certificates; time.Now if nil
	MaxBody  int64            // of a request, bytes; wire.MaxBody if zero
	// Timeout is how long a request may take to arrive, and its answer to go
	// out, real time; 120 s if zero. Handshake and headers have a quarter of it.
	Timeout time.Duration
	Log     *slog.Logger // discards if nil
	// Refused, if set, is told the class of each connection and request that is
	// refused, from many goroutines.
	Refused func(wire.Class)
}

// Server serves routes, each to the roles that it allows.
type Server struct {
	cfg ServerConfig
	mux *http.ServeMux
	srv *http.Server
}

// Handler answers one request of a peer. An error is answered by its class
// ([wire.Class]) alone, logged with its detail.
type Handler func(ctx context.Context, from Name, r *http.Request, body []byte) ([]byte, error)

const (
	requestTimeout = 120 * time.Second // for the largest body over a slow network
	idleTimeout    = 5 * time.Minute
	maxHeader      = 16 << 10
)

// NewServer makes a server without routes.
func NewServer(cfg ServerConfig) *Server {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.MaxBody == 0 {
		cfg.MaxBody = wire.MaxBody
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = requestTimeout
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Refused == nil {
		cfg.Refused = func(wire.Class) {}
	}
	s := &Server{cfg: cfg, mux: http.NewServeMux()}
	s.srv = &http.Server{
		Handler:           http.HandlerFunc(s.route),
		TLSConfig:         cfg.Trust.serverConfig(cfg.Identity, cfg.Now, s.refuseConnection),
		ReadTimeout:       cfg.Timeout,
		ReadHeaderTimeout: cfg.Timeout / 4,
		WriteTimeout:      cfg.Timeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          log.New(io.Discard, "", 0), // its lines carry addresses
	}
	return s
}

// Handle serves a route ("POST /v1/messages") to the roles named. Routes are
// added before Serve.
func (s *Server) Handle(pattern string, h Handler, roles ...string) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		from, err := s.cfg.Trust.client(r.TLS, s.cfg.Now())
		if err != nil {
			w.Header().Set("Connection", "close") // it would not come about any more
			s.refuse(w, r, from, err)
			return
		}
		if !slices.Contains(roles, from.Role) {
			s.refuse(w, r, from, errForbidden)
			return
		}
		answer, err := s.answer(w, r, from, h)
		if err != nil {
			s.refuse(w, r, from, err)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		_, _ = w.Write(answer) // the client repeats what it got no answer to
	})
}

// route refuses what no Handle serves. Left alone, the mux would answer it in
// its own words, and send clients of an unclean path elsewhere.
func (s *Server) route(w http.ResponseWriter, r *http.Request) {
	clean := path.Clean(r.URL.Path)
	_, pattern := s.mux.Handler(r)
	if pattern == "" || (r.URL.Path != clean && r.URL.Path != clean+"/") {
		from, _ := s.cfg.Trust.client(r.TLS, s.cfg.Now()) // for the log
		s.refuse(w, r, from, errNoRoute)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// answer reads the body and runs the handler. A panic of the handler is an
// error of this one request.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, from Name, h Handler) (answer []byte, err error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.cfg.MaxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, errOversized
	case err != nil:
		return nil, fmt.Errorf("%w: read body: %w", wire.Malformed, err)
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: panic: %v\n%s", Unavailable, p, debug.Stack())
		}
	}()
	return h(r.Context(), from, r, body)
}

// Unavailable marks an error that the same request may not meet again later.
const Unavailable = wire.Class("unavailable")

// What a server refuses by itself.
const (
	errForbidden = wire.Class("forbidden") // not for this role
	errNoRoute   = wire.Class("no-route")  // for nobody
	errOversized = wire.Class("oversized") // body over the limit
)

// statusOf is the HTTP status of a class: 400 for what the request is to blame
// for.
func statusOf(class wire.Class) int {
	switch class {
	case Unavailable:
		return http.StatusServiceUnavailable
	case errForbidden, ErrUntrusted, ErrExpired, ErrRevoked:
		return http.StatusForbidden
	case errNoRoute:
		return http.StatusNotFound
	case errOversized:
		return http.StatusRequestEntityTooLarge
	default:
		return http.StatusBadRequest
	}
}

// refuse answers a class word and nothing else.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, from Name, err error) {
	class := Unavailable // for an error without a class, and for one that a third party gave us
	if elsewhere := (*Refusal)(nil); !errors.As(err, &elsewhere) {
		_ = errors.As(err, &class)
	}
	s.cfg.Refused(class)
	s.cfg.Log.Warn("request refused", "from", from.String(), "route", r.Pattern, "class", string(class), "error", withoutAddresses(err))
	http.Error(w, string(class), statusOf(class))
}

// refuseConnection notes a connection whose handshake fails for the client's
// certificate. The client learns no more than that.
func (s *Server) refuseConnection(claimed Name, err error) {
	class := ErrUntrusted
	_ = errors.As(err, &class)
	s.cfg.Refused(class)
	s.cfg.Log.Warn("connection refused", "claims", claimed.String(), "class", string(class), "error", err)
}

// withoutAddresses is an error's text less the addresses that package net puts
// into it: a server may not log where its peers are.
func withoutAddresses(err error) string {
	text := err.Error()
	var op *net.OpError
	if errors.As(err, &op) {
		bare := *op
		bare.Source, bare.Addr = nil, nil
		text = strings.ReplaceAll(text, op.Error(), bare.Error())
	}
	return text
}

// Serve serves on a listener until Shutdown or Close.
func (s *Server) Serve(l net.Listener) error {
	err := s.srv.Serve(tls.NewListener(l, s.srv.TLSConfig))
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve %v on %v: %w", s.cfg.Identity.Name, l.Addr(), err)
}

// Shutdown stops taking requests and waits for those under way.
func (s *Server) Shutdown(ctx context.Context) error { return s.srv.Shutdown(ctx) }

// Close ends all connections at once.
func (s *Server) Close() error { return s.srv.Close() }
