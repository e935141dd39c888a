package main

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/wattveil/wattveil/internal/operator"
	"github.com/wattveil/wattveil/utility/api"
)

// A fork is shown with both checkpoints, as proof; a pair that is not proven is
// shown, too, and accuses nobody. Both are something to see to.
func TestBillLogShowsForks(t *testing.T) {
	var logs api.BillLogs
	logs.Logs = []api.BillLog{{TTP: "ttp.example", Origin: "ttp.example/bills", Entries: 12}, {TTP: "other.example", Origin: "other.example/bills"}}
	seen := time.Date(2026, 3, 1, 8, 30, 0, 0, time.UTC)
	for range 2 {
		logs.Forks = append(logs.Forks, api.CheckpointPair{TTP: "ttp.example", Seen: seen, Kept: "kept\n12\n", Offered: "offered\n12\n"})
	}
	logs.Unproven = []api.CheckpointPair{{TTP: "other.example", Seen: seen, Kept: "kept\n8\n", Offered: "offered\n9\n"}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/bill-logs", func(w http.ResponseWriter, _ *http.Request) { _ = encodeJSON(w, logs) })
	for _, c := range []struct {
		asJSON bool
		want   []string
	}{
		{false, []string{"ttp.example    ttp.example/bills    12        2      0\n", "other.example  other.example/bills  0         0      1\n",
			"TTP ttp.example has shown two logs. Keep both checkpoints, they prove it:\n\nkept\n12\n\noffered\n12\n",
			"TTP other.example has not proven that one of these checkpoints continues the other. Ask it why, they prove nothing by themselves:\n\nkept\n8\n\noffered\n9\n"}},
		{true, []string{`"kept":"kept\n12\n"`, `"seen":"2026-03-01T08:30:00Z"`}},
	} {
		var out strings.Builder
		err := showBillLogs(t.Context(), operator.Local(mux), &out, c.asJSON)
		if !errors.As(err, new(found)) || err.Error() != "forks that prove that a TTP has shown two logs: 2; pairs of checkpoints of which a TTP has not proven that one continues the other: 1" {
			t.Errorf("ends with %v", err)
		}
		for _, want := range c.want {
			if got := strings.ReplaceAll(out.String(), `": `, `":`); !strings.Contains(got, want) {
				t.Errorf("prints\n%s\nwant in it %s", got, want)
			}
		}
	}
	logs.Forks = nil
	if err := showBillLogs(t.Context(), operator.Local(mux), new(strings.Builder), false); !errors.As(err, new(found)) || strings.Contains(err.Error(), "two logs") {
		t.Errorf("without a fork: %v", err)
	}
	logs.Unproven = nil
	if err := showBillLogs(t.Context(), operator.Local(mux), new(strings.Builder), false); err != nil {
		t.Errorf("with nothing to see to: %v", err)
	}
}
