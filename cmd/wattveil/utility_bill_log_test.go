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

// A fork is shown with both checkpoints, and is something to see to.
func TestBillLogShowsForks(t *testing.T) {
	var logs api.BillLogs
	logs.Logs = []api.BillLog{{TTP: "ttp.example", Origin: "ttp.example/bills", Entries: 12}, {TTP: "other.example", Origin: "other.example/bills"}}
	seen := time.Date(2026, 3, 1, 8, 30, 0, 0, time.UTC)
	for range 2 {
		logs.Forks = append(logs.Forks, api.Fork{TTP: "ttp.example", Seen: seen, Kept: "kept\n12\n", Offered: "offered\n9\n"})
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/bill-logs", func(w http.ResponseWriter, _ *http.Request) { _ = encodeJSON(w, logs) })
	for _, c := range []struct {
		asJSON bool
		want   []string
	}{
		{false, []string{"ttp.example    ttp.example/bills    12        2\n", "other.example  other.example/bills  0         0\n",
			"TTP ttp.example has shown two logs. Keep both checkpoints, they prove it:\n\nkept\n12\n\noffered\n9\n"}},
		{true, []string{`"kept":"kept\n12\n"`, `"seen":"2026-03-01T08:30:00Z"`}},
	} {
		var out strings.Builder
		err := showBillLogs(t.Context(), operator.Local(mux), &out, c.asJSON)
		if !errors.As(err, new(found)) || !strings.Contains(err.Error(), "2 pairs of checkpoints") {
			t.Errorf("ends with %v", err)
		}
		for _, want := range c.want {
			if got := strings.ReplaceAll(out.String(), `": `, `":`); !strings.Contains(got, want) {
				t.Errorf("prints\n%s\nwant in it %s", got, want)
			}
		}
	}
	logs.Forks = []api.Fork{}
	if err := showBillLogs(t.Context(), operator.Local(mux), new(strings.Builder), false); err != nil {
		t.Errorf("without a fork: %v", err)
	}
}
