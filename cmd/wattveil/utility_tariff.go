package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/wattveil/wattveil/internal/operator"
	"github.com/wattveil/wattveil/tariff"
	"github.com/wattveil/wattveil/utility/api"
)

func (p *party) newUtilityTariff() *cobra.Command {
	cmd := group("tariff", "Register tariffs at the TTPs")
	cmd.AddCommand(p.newTariffPut(), p.newTariffList(), p.newTariffShow())
	return cmd
}

func (p *party) newTariffPut() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "put FILE",
		Short: "Register a tariff at all TTPs",
		Long: `Check a tariff (spec/tariff.md) and register it at all TTPs. The same tariff again
is a success; other terms under a known id are refused: a change of prices is a
new tariff, which may say that it replaces the one before.

Warnings say what a TTP may refuse to bill although the tariff is sound.`,
		Example: `  wattveil utility tariff put tou-2018.json --dir utility
  wattveil utility tariff put tou-2018.json --json --dir utility | jq -r .digest`,
		Args: oneName("FILE"),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		document, err := readSmall("tariff", args[0])
		if err != nil {
			return err
		}
		terms, err := tariff.Parse(document)
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		return p.ask(p.utilityClient, func(ctx context.Context, c *operator.Client, w io.Writer) error {
			var t api.Tariff
			if err := c.Do(ctx, http.MethodPut, "/v1/tariffs", json.RawMessage(document), &t); err != nil {
				return err
			}
			for _, advice := range terms.Advise() {
				fmt.Fprintf(cmd.ErrOrStderr(), "warning: %v\n", advice)
			}
			if asJSON {
				return printLine(w, t)
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
		Use:   "list",
		Short: "List the tariffs that were put",
		Long:  "List the tariffs that were put, by id.",
		Example: `  wattveil utility tariff list --dir utility
  wattveil utility tariff list --json --dir utility | jq -r 'select(.currency == "CHF").id'`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, one tariff a line")
	cmd.RunE = p.ask(p.utilityClient, func(ctx context.Context, c *operator.Client, w io.Writer) error {
		list, err := listTariffs(ctx, c)
		if err != nil {
			return err
		}
		rows := [][]string{{"ID", "VALID FROM", "VALID TO", "REPLACES", "ZONE", "CURRENCY", "DIGEST"}}
		for _, t := range list {
			if asJSON {
				if err := printLine(w, t); err != nil {
					return err
				}
				continue
			}
			rows = append(rows, []string{t.ID, t.ValidFrom, orDash(t.ValidTo), orDash(t.Replaces), t.Timezone, t.Currency, t.Digest})
		}
		if asJSON {
			return nil
		}
		return printTable(w, rows...)
	})
	return cmd
}

func listTariffs(ctx context.Context, c *operator.Client) (list []api.Tariff, err error) {
	return list, c.Do(ctx, http.MethodGet, "/v1/tariffs", nil, &list)
}

// fetchTariff is a tariff that was put.
func fetchTariff(ctx context.Context, c *operator.Client, id string) (api.Tariff, *tariff.Tariff, error) {
	var t api.Tariff
	if err := c.Do(ctx, http.MethodGet, "/v1/tariffs/"+url.PathEscape(id), nil, &t); err != nil {
		return t, nil, err
	}
	terms, err := tariff.Parse(t.Document)
	if err != nil {
		return t, nil, fmt.Errorf("tariff %s that was put: %w", id, err)
	}
	return t, terms, nil
}

func (p *party) newTariffShow() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Show a tariff that was put",
		Long: `Show what a tariff says that was put, in the form of "wattveil tariff check".
--json prints the tariff itself, in the form whose digest is on bills.`,
		Example: `  wattveil utility tariff show tou-2018 --dir utility
  wattveil utility tariff show tou-2018 --json --dir utility > tou-2018.json`,
		Args: oneName("ID"),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the tariff as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return p.ask(p.utilityClient, func(ctx context.Context, c *operator.Client, w io.Writer) error {
			t, _, err := fetchTariff(ctx, c, args[0])
			if err != nil {
				return err
			}
			if asJSON {
				_, err := fmt.Fprintf(w, "%s\n", t.Document)
				return err
			}
			return writeTariffOutcome(w, outcomeOf(t.Document))
		})(cmd, args)
	}
	return cmd
}
