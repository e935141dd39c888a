package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/provision"
	"github.com/wattveil/wattveil/utility"
)

// NewMeters asks for provisioning records.
type NewMeters struct {
	Count      int      `json:"count" minimum:"1" maximum:"10000"`
	TTP        string   `json:"ttp,omitempty" doc:"organisation; may be left out where there is one only"`
	Collectors []string `json:"collectors,omitempty" maxItems:"16" doc:"mqtt:// or mqtts:// addresses, tried in turn; all known ones if left out"`
	Unpinned   bool     `json:"unpinned,omitempty" doc:"leave the TTP's root key out of the records"`
}

// Records are provisioning records. They hold secrets.
type Records struct {
	Lines []string `json:"lines" doc:"each the JSON of one meter"`
}

// Again asks for the record of a meter that has not registered.
type Again struct {
	Collectors []string `json:"collectors,omitempty" maxItems:"16" doc:"mqtt:// or mqtts:// addresses, tried in turn; all known ones if left out"`
	Unpinned   bool     `json:"unpinned,omitempty" doc:"leave the TTP's root key out of the record"`
}

// Meter is a meter of the utility.
type Meter struct {
	ID        string     `json:"meter" doc:"ID_SM"`
	TTP       string     `json:"ttp" doc:"organisation"`
	State     string     `json:"state" enum:"added,registered,enrolled,refused,draining,ended"`
	Pseudonym string     `json:"pseudonym,omitempty" doc:"an-ID, the last one"`
	Heard     *time.Time `json:"heard,omitempty" doc:"when a collector last posted a message of it"`
	Collector string     `json:"collector,omitempty" doc:"which collector that was"`

	Replaces    string     `json:"replaces,omitempty" doc:"ID_SM in whose place it comes"`
	ReplacedBy  string     `json:"replaced_by,omitempty" doc:"ID_SM that comes in its place"`
	AwaitsKey   bool       `json:"awaits_key,omitempty" doc:"the next other key of the device is accepted"`
	MoveAt      *time.Time `json:"move_at,omitempty" doc:"when another pseudonym takes over"`
	MovedAt     *time.Time `json:"moved_at,omitempty" doc:"when its pseudonym took over"`
	RetiredAt   *time.Time `json:"retired_at,omitempty"`
	DrainsUntil *time.Time `json:"drains_until,omitempty" doc:"it takes nothing new, and is unknown from then on"`
}

// Replacement asks for a device in the place of another.
type Replacement struct {
	SameDevice bool     `json:"same_device,omitempty" doc:"no other device: this one has lost its vault, so its next other key is accepted"`
	Collectors []string `json:"collectors,omitempty" maxItems:"16" doc:"mqtt:// addresses, tried in turn; all known ones if left out"`
	Unpinned   bool     `json:"unpinned,omitempty" doc:"leave the TTP's root key out of the record"`
}

// Move asks for another pseudonym of a meter.
type Move struct {
	At *time.Time `json:"at,omitempty" doc:"a full quarter of an hour; the first full hour that is at least one hour away if left out"`
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
	huma.Register(h, operation("record-meter", http.MethodPost, "/v1/meters/{id}/record",
		"Give the provisioning record of a meter again, before it has registered"), a.recordMeter)
	huma.Register(h, operation("replace-meter", http.MethodPost, "/v1/meters/{id}/replace",
		"Make a device that replaces a meter and give its provisioning record, or accept a new key of the same device"), a.replaceMeter)
	huma.Register(h, operation("move-meter", http.MethodPost, "/v1/meters/{id}/move", "Give a meter another pseudonym from a time on"), a.moveMeter)
	huma.Register(h, operation("retire-meter", http.MethodPost, "/v1/meters/{id}/retire", "Take nothing new from a meter"), a.retireMeter)
}

func (a *api) addMeters(ctx context.Context, in *struct{ Body NewMeters }) (*output[Records], error) {
	t, err := a.cfg.Utility.Trustee(ctx, in.Body.TTP)
	if err != nil {
		return nil, refused(err)
	}
	addresses, root, err := a.provisioning(t, in.Body.Collectors, in.Body.Unpinned)
	if err != nil {
		return nil, refused(err)
	}
	records, err := a.cfg.Utility.AddMetersOf(ctx, t.Org, in.Body.Count, addresses, root)
	if err != nil {
		return nil, refused(err)
	}
	return encodeRecords(records)
}

// provisioned makes a record of a meter that is there, and gives it.
func (a *api) provisioned(ctx context.Context, m utility.Meter, collectors []string, unpinned bool,
	record func(context.Context, wattveil.MeterID, []string, *[32]byte) (provision.Record, error)) (*output[Records], error) {
	t, err := a.cfg.Utility.Trustee(ctx, m.TTP)
	if err != nil {
		return nil, refused(err)
	}
	addresses, root, err := a.provisioning(t, collectors, unpinned)
	if err != nil {
		return nil, refused(err)
	}
	made, err := record(ctx, m.ID, addresses, root)
	if err != nil {
		return nil, refused(err)
	}
	return encodeRecords([]provision.Record{made})
}

// provisioning is what records name: collectors, and the TTP's root key unless
// they are to be unpinned.
func (a *api) provisioning(t utility.Trustee, addresses []string, unpinned bool) ([]string, *[32]byte, error) {
	if len(addresses) == 0 {
		for _, c := range a.cfg.Utility.Collectors() {
			if c.Address != "" {
				addresses = append(addresses, c.Address)
			}
		}
	}
	if len(addresses) == 0 {
		return nil, nil, errors.New("no collector's address is known: say --collector mqtt://HOST:PORT")
	}
	for _, address := range addresses {
		if _, err := provision.OverTLS(address); err != nil {
			return nil, nil, err
		}
	}
	if unpinned {
		return addresses, nil, nil
	}
	if !t.Enrolled {
		return nil, nil, errors.New("the TTP's root key is not known yet: run `wattveil utility enrol` first, or leave the meters unpinned with --unpinned")
	}
	return addresses, &t.Root, nil
}

func encodeRecords(records []provision.Record) (*output[Records], error) {
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
	if m.Pseudonym != 0 {
		out.Pseudonym = m.Pseudonym.String()
	}
	if m.Replaces != 0 {
		out.Replaces = m.Replaces.String()
	}
	if m.ReplacedBy != 0 {
		out.ReplacedBy = m.ReplacedBy.String()
	}
	out.AwaitsKey = m.AwaitsKey
	out.MoveAt, out.MovedAt = optional(m.MoveAt), optional(m.MovedAt)
	out.RetiredAt, out.DrainsUntil = optional(m.RetiredAt), optional(m.DrainsUntil)
	if !m.Sighting.Heard.IsZero() {
		out.Heard, out.Collector = &m.Sighting.Heard, m.Sighting.Collector
	}
	return out
}

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func (a *api) listMeters(ctx context.Context, in *struct {
	Mark  int64 `query:"mark" minimum:"0"`
	Limit int   `query:"limit" minimum:"1" maximum:"10000" default:"1000"`
}) (*output[MeterList], error) {
	list, next, err := a.cfg.Utility.ListMeters(ctx, in.Mark, in.Limit)
	if err != nil {
		return nil, broken(err)
	}
	out := MeterList{Meters: make([]Meter, len(list)), Next: next}
	for i, m := range list {
		out.Meters[i] = describe(m)
	}
	return answer(out), nil
}

func (a *api) showMeter(ctx context.Context, in *struct{ MeterName }) (*output[Meter], error) {
	m, err := in.find(ctx, a.cfg.Utility)
	if err != nil {
		return nil, refused(err)
	}
	return answer(describe(m)), nil
}

// MeterName is the path of a request about one meter.
type MeterName struct {
	ID string `path:"id" doc:"ID_SM"`
}

func (n MeterName) find(ctx context.Context, u *utility.Utility) (utility.Meter, error) {
	id, err := wattveil.ParseMeterID(n.ID)
	if err != nil {
		return utility.Meter{}, err
	}
	return u.Meter(ctx, id)
}

func (a *api) recordMeter(ctx context.Context, in *struct {
	MeterName
	Body Again
}) (*output[Records], error) {
	m, err := in.find(ctx, a.cfg.Utility)
	if err != nil {
		return nil, refused(err)
	}
	return a.provisioned(ctx, m, in.Body.Collectors, in.Body.Unpinned, a.cfg.Utility.RecordAgain)
}

func (a *api) replaceMeter(ctx context.Context, in *struct {
	MeterName
	Body Replacement
}) (*output[Records], error) {
	m, err := in.find(ctx, a.cfg.Utility)
	if err != nil {
		return nil, refused(err)
	}
	if in.Body.SameDevice {
		if err := a.cfg.Utility.ReplaceKey(ctx, m.ID); err != nil {
			return nil, refused(err)
		}
		return answer(Records{Lines: []string{}}), nil
	}
	return a.provisioned(ctx, m, in.Body.Collectors, in.Body.Unpinned, a.cfg.Utility.ReplaceMeter)
}

func (a *api) moveMeter(ctx context.Context, in *struct {
	MeterName
	Body Move
}) (*output[Meter], error) {
	m, err := in.find(ctx, a.cfg.Utility)
	if err != nil {
		return nil, refused(err)
	}
	at := a.cfg.now().Add(2*time.Hour - time.Second).Truncate(time.Hour)
	if in.Body.At != nil {
		at = *in.Body.At
	}
	if err := a.cfg.Utility.MoveMeter(ctx, m.ID, at); err != nil {
		return nil, refused(err)
	}
	return a.showMeter(ctx, &struct{ MeterName }{in.MeterName})
}

func (a *api) retireMeter(ctx context.Context, in *struct{ MeterName }) (*output[Meter], error) {
	m, err := in.find(ctx, a.cfg.Utility)
	if err != nil {
		return nil, refused(err)
	}
	if err := a.cfg.Utility.RetireMeter(ctx, m.ID); err != nil {
		return nil, refused(err)
	}
	return a.showMeter(ctx, &struct{ MeterName }{in.MeterName})
}
