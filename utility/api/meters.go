package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/utility"
)

// NewMeters asks for provisioning records.
type NewMeters struct {
	Count      int      `json:"count" minimum:"1" maximum:"10000"`
	TTP        string   `json:"ttp,omitempty" doc:"organisation; may be left out where there is one only"`
	Collectors []string `json:"collectors,omitempty" maxItems:"16" doc:"mqtt:// addresses, tried in turn; all known ones if left out"`
	Unpinned   bool     `json:"unpinned,omitempty" doc:"leave the TTP's root key out of the records"`
}

// Records are provisioning records. They hold secrets.
type Records struct {
	Lines []string `json:"lines" doc:"each the JSON of one meter"`
}

// Meter is a meter of the utility.
type Meter struct {
	ID        string     `json:"meter" doc:"ID_SM"`
	TTP       string     `json:"ttp" doc:"organisation"`
	State     string     `json:"state" enum:"added,registered,enrolled,refused"`
	Pseudonym string     `json:"pseudonym,omitempty" doc:"an-ID, the last one"`
	Heard     *time.Time `json:"heard,omitempty" doc:"when a collector last posted a message of it"`
	Collector string     `json:"collector,omitempty" doc:"which collector that was"`
}

// MeterList is a part of the list of meters.
type MeterList struct {
	Meters []Meter `json:"meters"`
	Next   int64   `json:"next,omitempty" doc:"mark for the next part; there is none if it is left out"`
}

func (a *api) registerMeters(h huma.API) {
	huma.Register(h, operation("add-meters", http.MethodPost, "/v1/meters", "Add meters and give their provisioning records"), a.addMeters)
	huma.Register(h, operation("list-meters", http.MethodGet, "/v1/meters", "List meters in the order in which they were added"), a.listMeters)
	huma.Register(h, operation("show-meter", http.MethodGet, "/v1/meters/{id}", "Show a meter"), a.showMeter)
}

func (a *api) addMeters(ctx context.Context, in *struct{ Body NewMeters }) (*output[Records], error) {
	addresses := in.Body.Collectors
	if len(addresses) == 0 {
		for _, c := range a.cfg.Utility.Collectors() {
			if c.Address != "" {
				addresses = append(addresses, c.Address)
			}
		}
	}
	if len(addresses) == 0 {
		return nil, refused(errors.New("no collector's address is known: say --collector mqtt://HOST:PORT"))
	}
	for _, address := range addresses {
		if err := validateAddress(address); err != nil {
			return nil, refused(err)
		}
	}
	t, err := a.cfg.Utility.Trustee(ctx, in.Body.TTP)
	if err != nil {
		return nil, refused(err)
	}
	var root *[32]byte
	if !in.Body.Unpinned {
		if !t.Enrolled {
			return nil, refused(errors.New("the TTP's root key is not known yet: run `wattveil utility enrol` first, or leave the meters unpinned with --unpinned"))
		}
		root = &t.Root
	}
	records, err := a.cfg.Utility.AddMetersOf(ctx, t.Org, in.Body.Count, addresses, root)
	if err != nil {
		return nil, refused(err)
	}
	out := Records{Lines: make([]string, len(records))}
	for i, r := range records {
		line, err := r.Encode()
		if err != nil {
			return nil, refused(err)
		}
		out.Lines[i] = string(line)
	}
	return answer(out), nil
}

func describe(m utility.Meter) Meter {
	out := Meter{ID: m.ID.String(), TTP: m.TTP, State: string(m.State)}
	if m.State != utility.MeterAdded {
		out.Pseudonym = m.Pseudonym.String()
	}
	if !m.Sighting.Heard.IsZero() {
		out.Heard, out.Collector = &m.Sighting.Heard, m.Sighting.Collector
	}
	return out
}

func (a *api) listMeters(ctx context.Context, in *struct {
	Mark  int64 `query:"mark" minimum:"0"`
	Limit int   `query:"limit" minimum:"1" maximum:"10000" default:"1000"`
}) (*output[MeterList], error) {
	list, next, err := a.cfg.Utility.ListMeters(ctx, in.Mark, in.Limit)
	if err != nil {
		return nil, refused(err)
	}
	out := MeterList{Meters: make([]Meter, len(list)), Next: next}
	for i, m := range list {
		out.Meters[i] = describe(m)
	}
	return answer(out), nil
}

func (a *api) showMeter(ctx context.Context, in *struct {
	ID string `path:"id" doc:"ID_SM"`
}) (*output[Meter], error) {
	id, err := wattveil.ParseMeterID(in.ID)
	if err != nil {
		return nil, refused(err)
	}
	m, err := a.cfg.Utility.Meter(ctx, id)
	if err != nil {
		return nil, refused(err)
	}
	return answer(describe(m)), nil
}
