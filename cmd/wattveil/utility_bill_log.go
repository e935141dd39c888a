package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wattveil/wattveil/internal/operator"
	"github.com/wattveil/wattveil/utility/api"
)

func (p *party) newBillLog() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "log",
		Short: "Show how far the TTPs' bill logs were seen, and where they forked",
		Long: `Show how many entries of each TTP's bill log this utility has cosigned, and the
pairs of checkpoints that a TTP has signed and not shown to be of one log:

  FORKS     of one size with different roots. One pair proves that the TTP has
            shown two logs, to anyone who has the key of its log.
  UNPROVEN  where the TTP has not proven that one continues the other: a reason
            to ask it why, and no proof to others.

Of a TTP the first 64 of each are kept. The exit code is 3 if there is any.`,
		Example: `  wattveil utility bill log --dir utility
  wattveil utility bill log --json --dir utility`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, with the checkpoints")
	cmd.RunE = p.ask(p.utilityClient, func(ctx context.Context, c *operator.Client, w io.Writer) error {
		return showBillLogs(ctx, c, w, asJSON)
	})
	return cmd
}

func showBillLogs(ctx context.Context, c *operator.Client, w io.Writer, asJSON bool) error {
	var logs api.BillLogs
	err := c.Do(ctx, http.MethodGet, "/v1/bill-logs", nil, &logs)
	switch {
	case err != nil:
	case asJSON:
		err = encodeJSON(w, logs)
	default:
		err = printBillLogs(w, logs)
	}
	if err != nil {
		return err
	}
	var seen []string
	if n := len(logs.Forks); n > 0 {
		seen = append(seen, fmt.Sprintf("forks that prove that a TTP has shown two logs: %d", n))
	}
	if n := len(logs.Unproven); n > 0 {
		seen = append(seen, fmt.Sprintf("pairs of checkpoints of which a TTP has not proven that one continues the other: %d", n))
	}
	if len(seen) > 0 {
		return found{errors.New(strings.Join(seen, "; "))}
	}
	return nil
}

func printBillLogs(w io.Writer, logs api.BillLogs) error {
	rows := [][]string{{"TTP", "LOG", "COSIGNED", "FORKS", "UNPROVEN"}}
	for _, l := range logs.Logs {
		rows = append(rows, []string{l.TTP, l.Origin, fmt.Sprint(l.Entries), countOf(logs.Forks, l.TTP), countOf(logs.Unproven, l.TTP)})
	}
	if err := printTable(w, rows...); err != nil {
		return err
	}
	if err := printPairs(w, logs.Forks, "has shown two logs. Keep both checkpoints, they prove it"); err != nil {
		return err
	}
	return printPairs(w, logs.Unproven, "has not proven that one of these checkpoints continues the other. Ask it why, they prove nothing by themselves")
}

func countOf(pairs []api.CheckpointPair, ttp string) string {
	n := 0
	for _, p := range pairs {
		if p.TTP == ttp {
			n++
		}
	}
	return fmt.Sprint(n)
}

func printPairs(w io.Writer, pairs []api.CheckpointPair, what string) error {
	for _, p := range pairs {
		if _, err := fmt.Fprintf(w, "\n%s: TTP %s %s:\n\n%s\n%s", moment(&p.Seen), p.TTP, what, p.Kept, p.Offered); err != nil {
			return err
		}
	}
	return nil
}
