// Package api is the utility's API for its operator: what the commands
// `wattveil utility …` call, and anything else that runs as the utility's user.
// It is served on the socket in the utility's folder (package
// internal/operator) and describes itself at /openapi.json (OpenAPI 3.1).
//
// Refusals are RFC 9457 problems whose detail is for a person. Secrets cross it
// in two answers only: credentials of a new collector and provisioning records
// of new meters.
package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/wattveil/wattveil/peer"
	"github.com/wattveil/wattveil/utility"
	"github.com/wattveil/wattveil/wire"
)

// Config is what the API acts on.
type Config struct {
	Utility *utility.Utility
	Server  func() (peer.Contact, error) // of the utility itself, for its collectors
	Peers   Peers                        // where contacts of TTPs are kept
	Self    *peer.Identity               // of the utility's server
	Started time.Time                    // of the server; zero if none runs
	Now     func() time.Time             // time.Now if nil
}

func (c *Config) now() time.Time {
	if c.Now == nil {
		return time.Now()
	}
	return c.Now()
}

// Peers keeps the contacts of TTPs and connects the utility to them.
type Peers interface {
	Add(peer.Contact) error
	List() ([]peer.Contact, error)
}

// version is of the API; it rises when an answer loses a member or changes
// what one means.
const version = "1.1.0"

// New makes the API's handler.
func New(cfg Config) http.Handler {
	mux := http.NewServeMux()
	register(mux, cfg)
	return mux
}

// Document is the API's description, as /openapi.json serves it, indented.
func Document() ([]byte, error) {
	return json.MarshalIndent(register(http.NewServeMux(), Config{}).OpenAPI(), "", "  ")
}

func register(mux *http.ServeMux, cfg Config) huma.API {
	a := &api{cfg}
	h := humago.New(mux, frame())
	a.registerParties(h)
	a.registerMeters(h)
	a.registerBilling(h)
	a.registerSeries(h)
	a.registerBillLogs(h)
	return h
}

// frame is the API's description without operations.
func frame() huma.Config {
	c := huma.DefaultConfig("wattveil utility operator API", version)
	c.DocsPath = ""      // its page would load scripts from elsewhere
	c.CreateHooks = nil  // no links to schemas in the answers
	c.Transformers = nil // as they are
	c.RejectUnknownQueryParameters = true
	return c
}

type api struct{ cfg Config }

// operation describes one route.
func operation(id, method, path, summary string) huma.Operation {
	return huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary, MaxBodyBytes: maxBody}
}

const maxBody = 8 << 20

// refused is an error as a problem with the status that fits it. The operator
// may read its whole text.
func refused(err error) error {
	status := http.StatusUnprocessableEntity
	var class wire.Class
	switch errors.As(err, &class); {
	case class == wire.Unknown || class == wire.NoTariff:
		status = http.StatusNotFound
	case class == wire.Unavailable:
		status = http.StatusServiceUnavailable
	case class == wire.Rebound || class == wire.Retired || class == wire.Unenrolled:
		status = http.StatusConflict
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		status = http.StatusServiceUnavailable
	}
	return huma.NewError(status, err.Error())
}

// broken is an error of the utility's own, which no other request would mend.
func broken(err error) error {
	var class wire.Class
	if errors.As(err, &class) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return refused(err)
	}
	return huma.Error500InternalServerError(err.Error())
}

// output is an answer with a body.
type output[T any] struct{ Body T }

func answer[T any](body T) *output[T] { return &output[T]{body} }
