package main

import (
	"context"
	"fmt"
	"io"
	"net/http"

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
pairs of checkpoints that a TTP has signed and of which neither continues the
other. One pair proves that the TTP has shown two logs, to anyone who has the
key of its log. Of a TTP the first 64 pairs are kept.

The exit code is 3 if there is such a pair.`,
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
	if n := len(logs.Forks); err == nil && n > 0 {
		err = found{fmt.Errorf("%d pairs of checkpoints prove that a TTP has shown two logs", n)}
	}
	return err
}

func printBillLogs(w io.Writer, logs api.BillLogs) error {
	forks := make(map[string]int)
	for _, f := range logs.Forks {
		forks[f.TTP]++
	}
	rows := [][]string{{"TTP", "LOG", "COSIGNED", "FORKS"}}
	for _, l := range logs.Logs {
		rows = append(rows, []string{l.TTP, l.Origin, fmt.Sprint(l.Entries), fmt.Sprint(forks[l.TTP])})
	}
	if err := printTable(w, rows...); err != nil {
		return err
	}
	for _, f := range logs.Forks {
		_, err := fmt.Fprintf(w, "\n%s: TTP %s has shown two logs. Keep both checkpoints, they prove it:\n\n%s\n%s", moment(&f.Seen), f.TTP, f.Kept, f.Offered)
		if err != nil {
			return err
		}
	}
	return nil
}
