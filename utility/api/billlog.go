package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// BillLogs are the TTPs' bill logs, and what is held against them.
type BillLogs struct {
	Logs  []BillLog `json:"logs"`
	Forks []Fork    `json:"forks" doc:"in the order in which they were seen; of one TTP the first 64"`
}

// BillLog is how far a TTP's bill log was seen.
type BillLog struct {
	TTP        string `json:"ttp"`
	Origin     string `json:"origin" doc:"the log's name in its checkpoints"`
	Entries    uint64 `json:"entries" doc:"in the checkpoint that was cosigned last"`
	Checkpoint string `json:"checkpoint,omitempty" doc:"that one, with its signatures"`
}

// Fork is proof that a TTP has shown two logs.
type Fork struct {
	TTP     string    `json:"ttp"`
	Seen    time.Time `json:"seen"`
	Kept    string    `json:"kept" doc:"a checkpoint that was cosigned"`
	Offered string    `json:"offered" doc:"another that the TTP has signed; neither continues the other"`
}

func (a *api) registerBillLogs(h huma.API) {
	huma.Register(h, operation("list-bill-logs", http.MethodGet, "/v1/bill-logs", "How far the TTPs' bill logs were seen, and where they forked"), a.listBillLogs)
}

func (a *api) listBillLogs(ctx context.Context, _ *struct{}) (*output[BillLogs], error) {
	logs, err := a.cfg.Utility.BillLogs(ctx)
	if err != nil {
		return nil, broken(err)
	}
	forks, err := a.cfg.Utility.Forks(ctx)
	if err != nil {
		return nil, broken(err)
	}
	out := BillLogs{Logs: make([]BillLog, len(logs)), Forks: make([]Fork, len(forks))}
	for i, l := range logs {
		out.Logs[i] = BillLog(l)
	}
	for i, f := range forks {
		out.Forks[i] = Fork{TTP: f.TTP, Seen: f.Seen, Kept: f.Kept, Offered: f.Offered}
	}
	return answer(out), nil
}
