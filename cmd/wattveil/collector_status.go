package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/wattveil/wattveil/collector/api"
	"github.com/wattveil/wattveil/internal/operator"
)

// collectorClient gives the operator's client of the folder.
func (p *party) collectorClient(ctx context.Context) (*operator.Client, func() error, error) {
	var cfg collectorConfig
	if err := p.load(&cfg, nil); err != nil {
		return nil, nil, err
	}
	return p.connect(ctx, func() (*operator.Client, func() error, error) {
		o, err := p.openCollector(cfg, slog.New(slog.DiscardHandler))
		if err != nil {
			return nil, nil, err
		}
		return operator.Local(api.New(o.api())), o.close, nil
	})
}

func (o *openCollector) api() api.Config {
	return api.Config{Collector: o.role, Queue: o.queue, Self: o.identity, Started: o.started}
}

func (p *party) newCollectorStatus() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show how the collector does",
		Long: `Show how the collector does: what waits in its queue and for how long, how many
meters may connect and are connected, when the utility last answered a post, and
until when its certificate is good.` + statusLong,
		Example: "  wattveil collector status --dir north\n  wattveil collector status --json --dir north",
		Args:    cobra.NoArgs,
		RunE: p.ask(p.collectorClient, func(ctx context.Context, c *operator.Client, out io.Writer) error {
			var s api.Status
			if err := c.Do(ctx, http.MethodGet, "/v1/status", nil, &s); err != nil {
				return err
			}
			if asJSON {
				return printLine(out, s)
			}
			return p.printCollector(out, s, time.Now())
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (p *party) printCollector(out io.Writer, s api.Status, now time.Time) error {
	queue := fmt.Sprintf("%d frames, %d bytes", s.Queued, s.QueuedBytes)
	if s.Oldest != nil {
		queue += fmt.Sprintf(", the oldest of %v ago", max(now.Sub(*s.Oldest).Round(time.Second), 0))
	}
	meters := fmt.Sprintf("%d may connect", s.Roster)
	if s.Running {
		meters = fmt.Sprintf("%d connected, %s", s.Connected, meters)
	}
	rows := [][]string{
		{"name", s.Name},
		{"certificate until", moment(&s.CertificateExpires)},
		{"meters", meters},
		{"queue", queue},
		{"quarantine", fmt.Sprintf("%d frames", s.Quarantined)},
	}
	did := [][]string{
		{"held", fmt.Sprintf("%d frames, %d not taken", s.Held, s.NotTaken)},
		{"posts", fmt.Sprintf("%d answered, the last at %s, and %d not,", s.Posts, moment(s.LastPost), s.FailedPosts)},
	}
	return p.printStatus(out, s.Started, rows, append(did, verdictRows(s.Verdicts)...))
}
