package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/spf13/cobra"

	"github.com/wattveil/wattveil/internal/operator"
	"github.com/wattveil/wattveil/tariff"
	"github.com/wattveil/wattveil/utility/api"
)

func (p *party) newUtilitySeries() *cobra.Command {
	cmd := group("series", "Register price series at the TTPs")
	cmd.AddCommand(p.newSeriesPut())
	return cmd
}

func (p *party) newSeriesPut() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "put FILE",
		Short: "Register a part of a price series at all TTPs",
		Long: `Check a part of a price series (spec/tariff.md section 3) and register it at all
TTPs, for the tariffs that name it. It joins the parts before it. What is registered
may be in it again, with the same prices: a price is given once. By default a TTP
takes no price of a time that has begun.

"wattveil tariff import-series" makes such files from CSV.`,
		Example: "  wattveil utility series put dayahead-2026-03-01.json --dir utility",
		Args:    oneName("FILE"),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		document, err := os.ReadFile(args[0])
		if err != nil {
			return fmt.Errorf("price series: %w", err)
		}
		if _, err := tariff.ParseSeries(document); err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		return p.ask(p.utilityClient, func(ctx context.Context, c *operator.Client, w io.Writer) error {
			var s api.Series
			if err := c.Do(ctx, http.MethodPut, "/v1/series", json.RawMessage(document), &s); err != nil {
				return err
			}
			_, err := fmt.Fprintf(w, "price series %s is registered from %s to %s\n", s.Name, moment(&s.From), moment(&s.To))
			return err
		})(cmd, args)
	}
	return cmd
}
