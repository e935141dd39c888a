package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/wattveil/wattveil/internal/operator"
	"github.com/wattveil/wattveil/tariff"
	"github.com/wattveil/wattveil/utility/api"
)

func (p *party) newUtilityTariff() *cobra.Command {
	cmd := group("tariff", "Register tariffs at the TTPs")
	cmd.AddCommand(p.newTariffPut(), p.newTariffList())
	return cmd
}

func (p *party) newTariffPut() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "put FILE",
		Short: "Register a tariff at all TTPs",
		Long: `Check a tariff (spec/tariff.md) and register it at all TTPs. The same tariff again
is a success; other terms under a known id are refused: a change of prices is a
new tariff.`,
		Example: "  wattveil utility tariff put tou-2018.json --dir utility",
		Args:    oneName("FILE"),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		document, err := readSmall("tariff", args[0])
		if err != nil {
			return err
		}
		if _, err := tariff.Parse(document); err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		return p.ask(p.utilityClient, func(ctx context.Context, c *operator.Client, w io.Writer) error {
			var t api.Tariff
			if err := c.Do(ctx, http.MethodPut, "/v1/tariffs", json.RawMessage(document), &t); err != nil {
				return err
			}
			fmt.Fprintf(w, "tariff %s is registered\n", t.ID)
			return nil
		})(cmd, args)
	}
	return cmd
}

func (p *party) newTariffList() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the tariffs that were put",
		Long:    "List the tariffs that were put, by id.",
		Example: "  wattveil utility tariff list --dir utility",
		Args:    cobra.NoArgs,
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, one tariff a line")
	cmd.RunE = p.ask(p.utilityClient, func(ctx context.Context, c *operator.Client, w io.Writer) error {
		var list []api.Tariff
		if err := c.Do(ctx, http.MethodGet, "/v1/tariffs", nil, &list); err != nil {
			return err
		}
		rows := [][]string{{"ID", "VALID FROM", "ZONE", "CURRENCY", "DIGEST"}}
		for _, t := range list {
			if asJSON {
				if err := printLine(w, t); err != nil {
					return err
				}
				continue
			}
			rows = append(rows, []string{t.ID, t.ValidFrom, t.Timezone, t.Currency, t.Digest})
		}
		if asJSON {
			return nil
		}
		return printTable(w, rows...)
	})
	return cmd
}
