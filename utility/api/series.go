package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// Series is a part of a price series that was put.
type Series struct {
	Name     string    `json:"name"`
	Currency string    `json:"currency"`
	From     time.Time `json:"from"`
	To       time.Time `json:"to" doc:"exclusive"`
	Minutes  int       `json:"minutes"`
}

func (a *api) registerSeries(h huma.API) {
	put := operation("put-series", http.MethodPut, "/v1/series", "Register a part of a price series at all TTPs")
	put.SkipValidateBody = true // package tariff says more
	put.MaxBodyBytes = maxSeries
	huma.Register(h, put, a.putSeries)
}

// maxSeries is the longest part (spec/tariff.md section 3).
const maxSeries = 4 << 20

func (a *api) putSeries(ctx context.Context, in *struct {
	RawBody []byte `contentType:"application/json"`
}) (*output[Series], error) {
	s, err := a.cfg.Utility.PutSeries(ctx, in.RawBody)
	if err != nil {
		return nil, refused(err)
	}
	return answer(Series{s.Name(), s.Currency().String(), s.From(), s.To(), int(s.Step() / time.Minute)}), nil
}
