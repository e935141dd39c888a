package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// BillLogs are the TTPs' bill logs, and what is held against them.
type BillLogs struct {
	Logs     []BillLog        `json:"logs"`
	Forks    []CheckpointPair `json:"forks" doc:"of one size with different roots, each proof that a TTP has shown two logs, in the order in which they were seen; of one TTP the first 64"`
	Unproven []CheckpointPair `json:"unproven" doc:"of which a TTP has not proven that one continues the other, which proves nothing to others; ordered and kept like forks"`
}

// BillLog is how far a TTP's bill log was seen.
type BillLog struct {
	TTP        string `json:"ttp"`
	Origin     string `json:"origin" doc:"the log's name in its checkpoints"`
	Entries    uint64 `json:"entries" doc:"in the checkpoint that was cosigned last"`
	Checkpoint string `json:"checkpoint,omitempty" doc:"that one, with its signatures"`
}

// CheckpointPair is two checkpoints that are not shown to be of one log.
type CheckpointPair struct {
	TTP     string    `json:"ttp"`
	Seen    time.Time `json:"seen"`
	Kept    string    `json:"kept" doc:"a checkpoint that was cosigned"`
	Offered string    `json:"offered" doc:"another that the TTP has signed"`
}

func (a *api) registerBillLogs(h huma.API) {
	huma.Register(h, operation("list-bill-logs", http.MethodGet, "/v1/bill-logs", "How far the TTPs' bill logs were seen, and where they forked"), a.listBillLogs)
}

func (a *api) listBillLogs(ctx context.Context, _ *struct{}) (*output[BillLogs], error) {
	logs, err := a.cfg.Utility.BillLogs(ctx)
	if err != nil {
		return nil, broken(err)
	}
	pairs, err := a.cfg.Utility.CheckpointPairs(ctx)
	if err != nil {
		return nil, broken(err)
	}
	out := BillLogs{Logs: make([]BillLog, len(logs)), Forks: []CheckpointPair{}, Unproven: []CheckpointPair{}}
	for i, l := range logs {
		out.Logs[i] = BillLog(l)
	}
	for _, p := range pairs {
		kind := &out.Unproven
		if p.Fork {
			kind = &out.Forks
		}
		*kind = append(*kind, CheckpointPair{TTP: p.TTP, Seen: p.Seen, Kept: p.Kept, Offered: p.Offered})
	}
	return answer(out), nil
}
