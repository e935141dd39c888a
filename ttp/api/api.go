// Package api is the TTP's API for its operator: what the commands
// `wattveil ttp …` call, and anything else that runs as the TTP's user. It is
// served on the socket in the TTP's folder (package internal/operator) and
// describes itself at /openapi.json (OpenAPI 3.1). It gives out no reading and
// no pseudonym.
package api

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/wattveil/wattveil/clpke"
	"github.com/wattveil/wattveil/peer"
	"github.com/wattveil/wattveil/ttp"
	"github.com/wattveil/wattveil/wire"
)

// Config is what the API acts on.
type Config struct {
	TTP     *ttp.TTP
	Contact func() (peer.Contact, error) // of the TTP itself, for its utilities
	Self    *peer.Identity               // of the TTP's server
	Started time.Time                    // of the server; zero if none runs
}

// version is of the API; it rises when an answer loses a member or changes
// what one means.
const version = "1.0.0"

const maxBody = 1 << 20

// Status is how the TTP does.
type Status struct {
	Name               string            `json:"name" doc:"wattveil://ORG/ttp"`
	Running            bool              `json:"running" doc:"false if a command has read the folder, in which no server runs"`
	Started            *time.Time        `json:"started,omitempty" doc:"the server, if it runs"`
	CertificateExpires time.Time         `json:"certificate_expires"`
	AuthorityExpires   time.Time         `json:"authority_expires"`
	Root               string            `json:"root_fingerprint" doc:"SHA-256 of the root key, which meters pin"`
	Batches            uint64            `json:"batches" doc:"of messages, since the start"`
	Readings           uint64            `json:"readings" doc:"made durable since the start"`
	Bills              uint64            `json:"bills" doc:"given since the start"`
	NoBills            uint64            `json:"no_bills" doc:"refused since the start"`
	Verdicts           map[string]uint64 `json:"verdicts" doc:"on messages, since the start"`
	Refused            map[string]int64  `json:"refused" doc:"messages by class, since the start"`
	Utilities          []Utility         `json:"utilities"`
}

// Utility is a utility at the TTP.
type Utility struct {
	Number      uint32   `json:"uc_number"`
	Name        string   `json:"name" doc:"wattveil://ORG/utility"`
	Authorities []string `json:"authority_fingerprints" doc:"SHA-256 of the certificates of its authorities"`
	Removed     bool     `json:"removed,omitempty"`
	Enrolled    int      `json:"meters_enrolled"`
	Keyed       int      `json:"meters_keyed" doc:"share session keys with the TTP"`
	Unconfirmed int      `json:"meters_unconfirmed" doc:"of the keyed: neither claimed nor pinned"`
	Failed      int      `json:"meters_claims_failed" doc:"claims on them, confirmed or not, failed again and again in the last 30 days: somebody may stand between"`
}

// NewUtility lets a utility in.
type NewUtility struct {
	Name      string `json:"name" doc:"wattveil://ORG/utility"`
	Authority string `json:"authority" doc:"certificates of its authority, and of the next one if there is one, PEM"`
}

// Invitation is what the utility is to be given.
type Invitation struct {
	Number   uint32 `json:"uc_number"`
	Document string `json:"document" doc:"for wattveil utility peer add"`
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
	c := huma.DefaultConfig("wattveil TTP operator API", version)
	c.DocsPath = ""      // its page would load scripts from elsewhere
	c.CreateHooks = nil  // no links to schemas in the answers
	c.Transformers = nil // as they are
	c.RejectUnknownQueryParameters = true
	h := humago.New(mux, c)
	a := &api{cfg}
	huma.Register(h, operation("status", http.MethodGet, "/v1/status", "How the TTP does"), a.status)
	huma.Register(h, operation("add-utility", http.MethodPost, "/v1/utilities", "Let a utility in, or give a known one another authority"), a.addUtility)
	huma.Register(h, operation("remove-utility", http.MethodDelete, "/v1/utilities/{org}", "Refuse a utility from now on"), a.removeUtility)
	a.registerGate(h)
	return h
}

type api struct{ cfg Config }

func operation(id, method, path, summary string) huma.Operation {
	return huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary, MaxBodyBytes: maxBody}
}

// refused is what is wrong with a request, as a problem. The operator may read
// its whole text.
func refused(err error) error { return huma.Error422UnprocessableEntity(err.Error()) }

// failed is an error of the TTP's, as a problem with the status that fits it.
func failed(err error) error {
	switch {
	case errors.Is(err, wire.Unknown):
		return huma.Error404NotFound(err.Error())
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return huma.Error503ServiceUnavailable(err.Error())
	default:
		return huma.Error500InternalServerError(err.Error())
	}
}

// output is an answer with a body.
type output[T any] struct{ Body T }

func (a *api) status(ctx context.Context, _ *struct{}) (*output[Status], error) {
	utilities, err := a.cfg.TTP.Utilities(ctx)
	if err != nil {
		return nil, failed(err)
	}
	contact, err := a.cfg.Contact()
	if err != nil {
		return nil, failed(err)
	}
	stats := a.cfg.TTP.Stats()
	root := clpke.RootFingerprint(a.cfg.TTP.RootKey())
	s := Status{
		Name: a.cfg.Self.Name.String(), Running: !a.cfg.Started.IsZero(), CertificateExpires: a.cfg.Self.Certificate().NotAfter,
		AuthorityExpires: contact.Authorities[0].NotAfter,
		Root:             hex.EncodeToString(root[:]), Batches: stats.Batches, Readings: stats.Readings, Bills: stats.Bills, NoBills: stats.NoBills,
		Verdicts: make(map[string]uint64), Refused: make(map[string]int64), Utilities: make([]Utility, len(utilities)),
	}
	if s.Running {
		s.Started = &a.cfg.Started
	}
	for v, n := range stats.Verdicts {
		s.Verdicts[v.String()] = n
	}
	for class, n := range a.cfg.TTP.Refused() {
		s.Refused[string(class)] = n
	}
	for i, u := range utilities {
		s.Utilities[i] = Utility{
			Number: uint32(u.Number), Name: peer.Name{Org: u.Org, Role: peer.RoleUtility}.String(),
			Authorities: fingerprints(u.Authorities), Removed: u.Removed,
			Enrolled: u.Meters.Enrolled, Keyed: u.Meters.Keyed, Unconfirmed: u.Meters.Unconfirmed, Failed: u.Meters.Failed,
		}
	}
	return &output[Status]{s}, nil
}

func fingerprints(list []*x509.Certificate) []string {
	out := make([]string, len(list))
	for i, c := range list {
		sum := sha256.Sum256(c.Raw)
		out[i] = hex.EncodeToString(sum[:])
	}
	return out
}

func (a *api) addUtility(ctx context.Context, in *struct{ Body NewUtility }) (*output[Invitation], error) {
	name, err := peer.ParseName(in.Body.Name)
	if err != nil {
		return nil, refused(err)
	}
	if name.Role != peer.RoleUtility || name.Instance != "" {
		return nil, refused(fmt.Errorf("%v is no utility: want wattveil://ORG/utility", name))
	}
	if name.Org == a.cfg.Self.Name.Org {
		return nil, refused(errors.New("a TTP cannot be its own utility"))
	}
	authorities, err := peer.ParseAuthorities([]byte(in.Body.Authority))
	if err != nil {
		return nil, refused(fmt.Errorf("authority of %v: %w", name, err))
	}
	contact, err := a.cfg.Contact()
	if err != nil {
		return nil, failed(err)
	}
	number, err := a.cfg.TTP.AddUtility(ctx, name.Org, authorities...)
	if err != nil {
		return nil, failed(err)
	}
	root := clpke.RootFingerprint(a.cfg.TTP.RootKey())
	contact.Root, contact.For = &root, name
	document, err := contact.Encode()
	if err != nil {
		return nil, refused(err)
	}
	return &output[Invitation]{Invitation{uint32(number), string(document)}}, nil
}

func (a *api) removeUtility(ctx context.Context, in *struct {
	Org string `path:"org"`
}) (*struct{}, error) {
	if err := a.cfg.TTP.RemoveUtility(ctx, in.Org); err != nil {
		return nil, failed(err)
	}
	return nil, nil
}
