package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/wattveil/wattveil/gate"
)

// Gate is the limits of a utility's disclosure gate.
type Gate struct {
	Settings json.RawMessage `json:"settings" doc:"spec/gate.md section 2"`
	Looser   []string        `json:"looser" doc:"settings that let more be told than the defaults"`
}

// BillKey is a key that signs bills.
type BillKey struct {
	ID        string    `json:"kid"`
	Made      time.Time `json:"made" doc:"and published"`
	SignsFrom time.Time `json:"signs_from"`
	Signs     bool      `json:"signs" doc:"now"`
}

// Keys are the public keys of bills, to be published.
type Keys struct {
	JWKS json.RawMessage `json:"jwks"`
}

func (a *api) registerGate(h huma.API) {
	put := operation("set-gate", http.MethodPut, "/v1/utilities/{org}/gate", "Set the limits of a utility's disclosure gate")
	put.SkipValidateBody = true // package gate says more
	huma.Register(h, put, a.setGate)
	huma.Register(h, operation("gate", http.MethodGet, "/v1/utilities/{org}/gate", "The limits of a utility's disclosure gate"), a.gate)
	huma.Register(h, operation("rotate-bill-key", http.MethodPost, "/v1/bill-keys", "Publish a new bill key, which signs later"), a.rotateBillKey)
	huma.Register(h, operation("list-bill-keys", http.MethodGet, "/v1/bill-keys", "List the bill keys by when they begin to sign"), a.listBillKeys)
	huma.Register(h, operation("bill-key-set", http.MethodGet, "/v1/jwks", "The bill keys as a JWKS, to be published"), a.billKeySet)
}

func (a *api) gate(ctx context.Context, in *struct {
	Org string `path:"org"`
}) (*output[Gate], error) {
	s, err := a.cfg.TTP.Gate(ctx, in.Org)
	if err != nil {
		return nil, failed(err)
	}
	return describeGate(s)
}

func (a *api) setGate(ctx context.Context, in *struct {
	Org     string `path:"org"`
	RawBody []byte `contentType:"application/json"`
}) (*output[Gate], error) {
	s, err := gate.ParseSettings(in.RawBody)
	if err != nil {
		return nil, refused(err)
	}
	if err := a.cfg.TTP.SetGate(ctx, in.Org, s); err != nil {
		return nil, failed(err)
	}
	return describeGate(s)
}

func describeGate(s gate.Settings) (*output[Gate], error) {
	text, err := json.Marshal(s)
	if err != nil {
		return nil, failed(err)
	}
	looser := s.Looser()
	if looser == nil {
		looser = []string{}
	}
	return &output[Gate]{Gate{text, looser}}, nil
}

func (a *api) rotateBillKey(ctx context.Context, _ *struct{}) (*output[BillKey], error) {
	k, err := a.cfg.TTP.RotateBillKey(ctx)
	if err != nil {
		return nil, refused(err)
	}
	return &output[BillKey]{BillKey(k)}, nil
}

func (a *api) listBillKeys(context.Context, *struct{}) (*output[[]BillKey], error) {
	list := a.cfg.TTP.BillKeyList()
	out := make([]BillKey, len(list))
	for i, k := range list {
		out[i] = BillKey(k)
	}
	return &output[[]BillKey]{out}, nil
}

func (a *api) billKeySet(context.Context, *struct{}) (*output[Keys], error) {
	keys, err := a.cfg.TTP.BillKeys()
	if err != nil {
		return nil, failed(err)
	}
	set, err := keys.MarshalJSON()
	if err != nil {
		return nil, failed(err)
	}
	return &output[Keys]{Keys{set}}, nil
}
