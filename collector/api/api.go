// Package api is the collector's API for its operator: what `wattveil collector
// status` calls, and anything else that runs as the collector's user. It is
// served on the socket in the collector's folder (package internal/operator)
// and describes itself at /openapi.json (OpenAPI 3.1). It names no meter.
package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/wattveil/wattveil/collector"
	"github.com/wattveil/wattveil/peer"
	"github.com/wattveil/wattveil/wire"
)

// Config is what the API acts on.
type Config struct {
	Collector *collector.Collector
	Queue     Queue
	Self      *peer.Identity // of the collector
	Started   time.Time      // of the server; zero if none runs
}

// Queue says more of the collector's queue than the collector asks it.
type Queue interface {
	Bytes() int64
	Oldest() (time.Time, error) // zero if it is empty
	Quarantined() (kept int, discarded uint64)
}

// version is of the API; it rises when an answer loses a member or changes
// what one means.
const version = "1.0.0"

// Status is how the collector does.
type Status struct {
	Name               string            `json:"name" doc:"wattveil://ORG/collector/NAME"`
	Running            bool              `json:"running" doc:"false if a command has read the folder, in which no server runs"`
	Started            *time.Time        `json:"started,omitempty" doc:"the server, if it runs"`
	CertificateExpires time.Time         `json:"certificate_expires"`
	FailedRenewals     uint64            `json:"failed_renewals" doc:"of the certificate, since the start"`
	Queued             int               `json:"queued" doc:"frames that wait for the utility"`
	QueuedBytes        int64             `json:"queued_bytes"`
	Oldest             *time.Time        `json:"oldest,omitempty" doc:"when the frame came that waits for the longest"`
	Quarantined        int               `json:"quarantined" doc:"frames that the utility refused and that are kept"`
	Roster             int               `json:"roster" doc:"meters that may connect"`
	Connected          int               `json:"connected" doc:"meters that are"`
	Held               uint64            `json:"held" doc:"frames made durable and acknowledged, since the start"`
	NotTaken           uint64            `json:"not_taken" doc:"frames that were not, since the start"`
	LastPost           *time.Time        `json:"last_post,omitempty" doc:"that the utility answered, since the start"`
	Posts              uint64            `json:"posts" doc:"answered, since the start"`
	FailedPosts        uint64            `json:"failed_posts" doc:"not answered, since the start"`
	Verdicts           map[string]uint64 `json:"verdicts" doc:"of the utility on frames, since the start"`
}

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
	c := huma.DefaultConfig("wattveil collector operator API", version)
	c.DocsPath = ""      // its page would load scripts from elsewhere
	c.CreateHooks = nil  // no links to schemas in the answers
	c.Transformers = nil // as they are
	c.RejectUnknownQueryParameters = true
	h := humago.New(mux, c)
	huma.Register(h, huma.Operation{
		OperationID: "status", Method: http.MethodGet, Path: "/v1/status", Summary: "How the collector does",
	}, (&api{cfg}).status)
	return h
}

type api struct{ cfg Config }

// output is an answer with a body.
type output[T any] struct{ Body T }

func (a *api) status(context.Context, *struct{}) (*output[Status], error) {
	oldest, err := a.cfg.Queue.Oldest()
	if err != nil {
		return nil, huma.Error500InternalServerError(err.Error())
	}
	stats := a.cfg.Collector.Stats()
	s := Status{
		Name: a.cfg.Self.Name.String(), Running: !a.cfg.Started.IsZero(), Started: optional(a.cfg.Started),
		CertificateExpires: a.cfg.Self.Certificate().NotAfter, FailedRenewals: stats.FailedRenewals,
		Queued: stats.Queued, QueuedBytes: a.cfg.Queue.Bytes(), Oldest: optional(oldest),
		Roster: stats.Meters, Connected: stats.Connected,
		Held: stats.Held, NotTaken: stats.Malformed + stats.Full + stats.Failed,
		LastPost: optional(stats.LastPost), Posts: stats.Posts, FailedPosts: stats.FailedPosts,
		Verdicts: map[string]uint64{
			wire.Durable.String(): stats.Durable, wire.Later.String(): stats.Later,
			wire.Rekey.String(): stats.Rekey, wire.Never.String(): stats.Never,
		},
	}
	s.Quarantined, _ = a.cfg.Queue.Quarantined()
	return &output[Status]{s}, nil
}

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
