package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/wattveil/wattveil/internal/operator"
	"github.com/wattveil/wattveil/meter"
)

// meterStatus is how a meter stands, as the commands of this machine see it. It
// holds no reading, no key and no pseudonym.
type meterStatus struct {
	Meter           string            `json:"meter"`
	State           meter.State       `json:"state"`
	Epoch           uint32            `json:"epoch"`
	NextReading     time.Time         `json:"next_reading"`
	Ended           bool              `json:"ended"`
	ClockSuspect    bool              `json:"clock_suspect"`
	Taken           uint64            `json:"readings_taken"`
	Missing         uint64            `json:"readings_missing"`
	Sent            uint64            `json:"readings_sent"`
	Dropped         uint64            `json:"readings_dropped"`
	Asked           uint64            `json:"readings_asked_again"`
	Pending         int               `json:"readings_pending"`
	Messages        uint64            `json:"messages"`
	Bytes           uint64            `json:"bytes"`
	Exchanges       uint64            `json:"exchanges"`
	Receipts        uint64            `json:"receipts"`
	LastReceipt     *time.Time        `json:"last_receipt"`
	DurableThrough  *time.Time        `json:"durable_through"`
	ReceiptOverdue  bool              `json:"receipt_overdue"`
	Takeover        *time.Time        `json:"takeover"`               // when somebody else's claim takes effect
	Evidence        bool              `json:"evidence"`               // that the utility's key center cheated
	TakenOver       uint64            `json:"connections_taken_over"` // by another device under the meter's name
	RefusedByReason map[string]uint64 `json:"refused"`
}

// claimCode is the answer to a claim.
type claimCode struct {
	Code string `json:"code"`
}

// localAPI answers the commands of this machine.
func localAPI(devices []*device) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) {
		list := make([]meterStatus, len(devices))
		for i, d := range devices {
			list[i] = statusOf(d)
		}
		answer(w, list)
	})
	mux.HandleFunc("GET /v1/claim/{meter}", func(w http.ResponseWriter, r *http.Request) {
		for _, d := range devices {
			if d.record.Meter.String() != r.PathValue("meter") {
				continue
			}
			code, ok := d.agent.ClaimCode()
			if !ok {
				refuse(w, http.StatusConflict, "the meter shares no keys with the TTP yet, so it has no claim code; try again when its status is keyed")
				return
			}
			answer(w, claimCode{code})
			return
		}
		refuse(w, http.StatusNotFound, fmt.Sprintf("there is no meter %s here", r.PathValue("meter")))
	})
	return mux
}

func answer(w http.ResponseWriter, content any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(content) // who asked is gone
}

func refuse(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"detail": detail})
}

func statusOf(d *device) meterStatus {
	s := d.agent.Status()
	out := meterStatus{
		Meter: d.record.Meter.String(), State: s.State, Epoch: uint32(s.Epoch), NextReading: time.Unix(s.NextReading, 0).UTC(),
		Ended: s.Ended, ClockSuspect: s.ClockSuspect,
		Taken: s.ReadingsTaken, Missing: s.ReadingsMissing, Sent: s.ReadingsSent, Dropped: s.ReadingsDropped,
		Asked: s.ReadingsAsked, Pending: s.Pending, Messages: s.MessagesSent, Bytes: s.BytesSent, Exchanges: s.Exchanges,
		Receipts: s.Receipts, LastReceipt: moment(s.LastReceipt), DurableThrough: moment(s.DurableThrough),
		ReceiptOverdue: s.ReceiptOverdue, Takeover: moment(s.Takeover), Evidence: d.agent.Evidence() != nil, TakenOver: d.link.TakenOver(), RefusedByReason: make(map[string]uint64),
	}
	for class, n := range s.Refused {
		out.RefusedByReason[string(class)] = n
	}
	return out
}

// moment is a time, nil for none.
func moment(unix int64) *time.Time {
	if unix == 0 {
		return nil
	}
	t := time.Unix(unix, 0).UTC()
	return &t
}

// ask asks the process that runs in a data folder.
func ask(ctx context.Context, dir, path string, into any) error {
	if err := needData(dir); err != nil {
		return err
	}
	client := operator.Dial(dir)
	defer client.Close()
	err := client.Do(ctx, http.MethodGet, path, nil, into)
	if errors.Is(err, operator.ErrNotServing) {
		return fmt.Errorf("no meter runs in %s; start it with: wattveil-meter run --data %s --provision FILE", dir, dir)
	}
	return err
}

// askStatus asks how the meters of a data folder stand.
func askStatus(ctx context.Context, dir string) (list []meterStatus, err error) {
	return list, ask(ctx, dir, "/v1/status", &list)
}

// askClaim asks for a meter's claim code.
func askClaim(ctx context.Context, dir, id string) (string, error) {
	var c claimCode
	err := ask(ctx, dir, "/v1/claim/"+url.PathEscape(id), &c)
	return c.Code, err
}
