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
	"slices"
	"time"

	"github.com/wattveil/wattveil/wire"
)

// ServerConfig says who serves and whom it trusts.
type ServerConfig struct {
	Identity *Identity
	Trust    *Trust
	Now      func() time.Time // for certificates; time.Now if nil
	MaxBody  int64            // of a request, bytes; wire.MaxBody if zero
	Log      *slog.Logger     // discards if nil
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
	readTimeout  = 30 * time.Second
	writeTimeout = 120 * time.Second
	idleTimeout  = 5 * time.Minute
	maxHeader    = 16 << 10
)

// NewServer makes a server without routes.
func NewServer(cfg ServerConfig) *Server {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.MaxBody == 0 {
		cfg.MaxBody = wire.MaxBody
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{cfg: cfg, mux: http.NewServeMux()}
	s.srv = &http.Server{
		Handler:           s.mux,
		TLSConfig:         cfg.Trust.serverConfig(cfg.Identity, cfg.Now),
		ReadTimeout:       readTimeout,
		ReadHeaderTimeout: readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          log.New(io.Discard, "", 0), // its lines carry addresses
	}
	return s
}

// Handle serves a route ("POST /v1/messages") to the roles named.
func (s *Server) Handle(pattern string, h Handler, roles ...string) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		from, err := s.cfg.Trust.check(*r.TLS)
		if err != nil || !slices.Contains(roles, from.Role) {
			s.refuse(w, r, from, http.StatusForbidden, errForbidden)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.cfg.MaxBody))
		if err != nil {
			status := http.StatusBadRequest
			var tooLarge *http.MaxBytesError
			if errors.As(err, &tooLarge) {
				status = http.StatusRequestEntityTooLarge
			}
			s.refuse(w, r, from, status, fmt.Errorf("%w: read body: %w", wire.Malformed, err))
			return
		}
		answer, err := h(r.Context(), from, r, body)
		if err != nil {
			s.refuse(w, r, from, statusOf(err), err)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		_, _ = w.Write(answer) // the client repeats what it got no answer to
	})
}

var errForbidden = errors.New("forbidden")

// statusOf is 400 for what the request is to blame for, else 503.
func statusOf(err error) int {
	var class wire.Class
	if errors.As(err, &class) && class != wire.Unavailable {
		return http.StatusBadRequest
	}
	return http.StatusServiceUnavailable
}

// refuse answers a class word and nothing else.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, from Name, status int, err error) {
	class := wire.Unavailable
	switch {
	case errors.Is(err, errForbidden):
		class = "forbidden"
	case status == http.StatusRequestEntityTooLarge:
		class = "oversized"
	default:
		_ = errors.As(err, &class)
	}
	s.cfg.Log.Warn("request refused", "from", from.String(), "route", r.Pattern, "class", string(class), "error", err)
	http.Error(w, string(class), status)
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
