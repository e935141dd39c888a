package api

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/wattveil/wattveil/peer"
	"github.com/wattveil/wattveil/provision"
	"github.com/wattveil/wattveil/utility"
)

// Status is how the utility does.
type Status struct {
	Name               string            `json:"name" doc:"wattveil://ORG/utility"`
	Running            bool              `json:"running" doc:"false if a command has read the folder, in which no server runs"`
	Started            *time.Time        `json:"started,omitempty" doc:"the server, if it runs"`
	CertificateExpires time.Time         `json:"certificate_expires"`
	AuthorityExpires   time.Time         `json:"authority_expires"`
	Meters             Meters            `json:"meters"`
	Posts              uint64            `json:"posts" doc:"of collectors, since the start"`
	Verdicts           map[string]uint64 `json:"verdicts" doc:"on frames, since the start"`
	Refused            map[string]int64  `json:"refused" doc:"frames by class, since the start"`
	Collectors         []Collector       `json:"collectors"`
	TTPs               []TTP             `json:"ttps"`
}

// Meters counts meters by how far they have come.
type Meters struct {
	Added      int `json:"added" doc:"known; includes all others"`
	Registered int `json:"registered" doc:"have a pseudonym and a key"`
	Enrolled   int `json:"enrolled" doc:"at their TTP"`
	Refused    int `json:"refused" doc:"by their TTP"`
	Draining   int `json:"draining" doc:"take nothing new; replaced or retired"`
	Ended      int `json:"ended" doc:"have drained"`
}

// Collector is a collector of the utility.
type Collector struct {
	Name     string     `json:"name"`
	Address  string     `json:"address,omitempty" doc:"mqtt:// or mqtts://HOST:PORT for meters"`
	LastPost *time.Time `json:"last_post,omitempty" doc:"since the start"`
}

// TTP is a TTP of the utility.
type TTP struct {
	Name     string `json:"name" doc:"wattveil://ORG/ttp"`
	URL      string `json:"url"`
	Enrolled bool   `json:"enrolled"`
	Number   uint32 `json:"uc_number,omitempty" doc:"of this utility at the TTP"`
	Serial   uint32 `json:"serial,omitempty" doc:"of the TTP's key statement"`
	Root     string `json:"root_fingerprint,omitempty" doc:"SHA-256 of the TTP's root key"`
}

// NewCollector asks for a collector's credentials.
type NewCollector struct {
	Name    string `json:"name" minLength:"1" maxLength:"63"`
	Address string `json:"address,omitempty" doc:"mqtt:// or, over TLS, mqtts://HOST:PORT at which meters reach it"`
	Replace bool   `json:"replace,omitempty" doc:"give a known collector new credentials and refuse the old ones"`
}

// Credentials is the file for a new collector. It holds its key.
type Credentials struct {
	Document string `json:"document"`
}

// NewTTP pins a TTP.
type NewTTP struct {
	Contact string `json:"contact" doc:"the document that describes it, such as an invitation"`
}

func (a *api) registerParties(h huma.API) {
	huma.Register(h, operation("status", http.MethodGet, "/v1/status", "How the utility does"), a.status)
	huma.Register(h, operation("add-collector", http.MethodPost, "/v1/collectors", "Add a collector"), a.addCollector)
	huma.Register(h, operation("remove-collector", http.MethodDelete, "/v1/collectors/{name}", "Refuse a collector from now on"), a.removeCollector)
	huma.Register(h, operation("add-ttp", http.MethodPost, "/v1/ttps", "Pin a TTP"), a.addTTP)
	huma.Register(h, operation("enrol", http.MethodPost, "/v1/enrol", "Enrol TTPs, and the meters that wait for it"), a.enrol)
}

func (a *api) status(ctx context.Context, _ *struct{}) (*output[Status], error) {
	counts, err := a.cfg.Utility.MeterCounts(ctx)
	if err != nil {
		return nil, broken(err)
	}
	server, err := a.cfg.Server()
	if err != nil {
		return nil, broken(err)
	}
	stats := a.cfg.Utility.Stats()
	s := Status{
		Name: a.cfg.Self.Name.String(), Running: !a.cfg.Started.IsZero(),
		CertificateExpires: a.cfg.Self.Certificate().NotAfter,
		AuthorityExpires:   server.Authorities[0].NotAfter,
		Meters:             Meters(counts), Posts: stats.Posts,
		Verdicts: make(map[string]uint64), Refused: make(map[string]int64),
		Collectors: a.collectors(),
	}
	if s.Running {
		s.Started = &a.cfg.Started
	}
	for v, n := range stats.Verdicts {
		s.Verdicts[v.String()] = n
	}
	for class, n := range a.cfg.Utility.Refused() {
		s.Refused[string(class)] = n
	}
	if s.TTPs, err = a.ttps(ctx); err != nil {
		return nil, broken(err)
	}
	return answer(s), nil
}

func (a *api) collectors() []Collector {
	list := []Collector{}
	for _, c := range a.cfg.Utility.Collectors() {
		out := Collector{Name: c.Instance, Address: c.Address}
		if !c.LastPost.IsZero() {
			out.LastPost = &c.LastPost
		}
		list = append(list, out)
	}
	return list
}

func (a *api) ttps(ctx context.Context) ([]TTP, error) {
	contacts, err := a.cfg.Peers.List()
	if err != nil {
		return nil, err
	}
	list := []TTP{}
	for _, c := range contacts {
		t, err := a.cfg.Utility.Trustee(ctx, c.Name.Org)
		if err != nil {
			return nil, err
		}
		out := TTP{Name: c.Name.String(), URL: c.URL, Enrolled: t.Enrolled, Number: uint32(t.Number), Serial: t.Serial}
		if t.Enrolled {
			out.Root = hex.EncodeToString(t.Root[:])
		}
		list = append(list, out)
	}
	return list, nil
}

func (a *api) addCollector(ctx context.Context, in *struct{ Body NewCollector }) (*output[Credentials], error) {
	name := peer.Name{Org: a.cfg.Self.Name.Org, Role: peer.RoleCollector, Instance: in.Body.Name}
	if err := name.Validate(); err != nil {
		return nil, refused(err)
	}
	if in.Body.Address != "" {
		if _, err := provision.OverTLS(in.Body.Address); err != nil {
			return nil, refused(err)
		}
	}
	known := slices.ContainsFunc(a.cfg.Utility.Collectors(), func(c utility.Collector) bool { return c.Instance == in.Body.Name })
	if known && !in.Body.Replace {
		return nil, huma.Error409Conflict(fmt.Sprintf(
			"there is a collector %q already; to give it new credentials and refuse its old ones, say --replace", in.Body.Name))
	}
	server, err := a.cfg.Server()
	if err != nil {
		return nil, broken(err)
	}
	id, err := a.cfg.Utility.AddCollectorAt(ctx, in.Body.Name, in.Body.Address)
	if err != nil {
		return nil, broken(err)
	}
	document, err := peer.Credentials{Server: server, Identity: id}.Encode()
	if err != nil {
		return nil, refused(err)
	}
	return answer(Credentials{string(document)}), nil
}

func (a *api) removeCollector(ctx context.Context, in *struct {
	Name string `path:"name"`
}) (*struct{}, error) {
	if err := a.cfg.Utility.RemoveCollector(ctx, in.Name); err != nil {
		return nil, broken(err)
	}
	return nil, nil
}

func (a *api) addTTP(_ context.Context, in *struct{ Body NewTTP }) (*struct{}, error) {
	c, err := peer.ParseContact([]byte(in.Body.Contact))
	if err != nil {
		return nil, refused(err)
	}
	switch self := a.cfg.Self.Name; {
	case c.Name.Role != peer.RoleTTP:
		return nil, refused(fmt.Errorf("%v is no TTP: want wattveil://ORG/ttp", c.Name))
	case c.For != (peer.Name{}) && c.For != self:
		return nil, refused(fmt.Errorf("the invitation is for %v, and this is %v", c.For, self))
	case c.Name.Org == self.Org:
		return nil, refused(errors.New("a utility cannot be its own TTP"))
	}
	if err := a.cfg.Peers.Add(c); err != nil {
		return nil, broken(err)
	}
	return nil, nil
}

func (a *api) enrol(ctx context.Context, _ *struct{}) (*output[[]TTP], error) {
	if err := a.cfg.Utility.EnrolTTP(ctx); err != nil {
		return nil, refused(err)
	}
	if err := a.cfg.Utility.EnrolMeters(ctx); err != nil {
		return nil, refused(err)
	}
	list, err := a.ttps(ctx)
	if err != nil {
		return nil, broken(err)
	}
	return answer(list), nil
}
