package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wattveil/wattveil/gate"
	"github.com/wattveil/wattveil/internal/operator"
	"github.com/wattveil/wattveil/ttp/api"
)

func (p *party) newTTPUtilityGate() *cobra.Command {
	var file string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "gate ORG",
		Short: "Show or set the limits of a utility's disclosure gate",
		Long: `Show the limits of a utility's disclosure gate, or set them from --file: a JSON
object with those that are not to be the defaults. They are public, and those that
let more be told than the defaults are named. What was told before counts.

  bills_per_year    14   bills of a meter in any 365 days
  short_per_year    4    of them shorter than min_days
  min_days          7
  quantities        8    independent quantities of a bill
  reveal_num        1    of any window up to window_seconds at most the share
  reveal_den        4    reveal_num / reveal_den may follow from all bills together
  window_seconds    3600
  correction_after  40   days
  correctable_for   400  days
  demand_per_month  4    figures
  price_limit_minor 1    minor units a Wh, where prices are told as a sum alone
  retroactive       false  tariffs and price series may price what began before
                         they were registered: for trials with recorded readings`,
		Example: `  wattveil ttp utility gate example-energy --dir ttp
  wattveil ttp utility gate example-energy --file gate.json --dir ttp`,
		Args: oneName("ORG"),
	}
	cmd.Flags().StringVar(&file, "file", "", "`file` with the limits")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		limits, err := readGate(cmd, "file", file)
		if err != nil {
			return err
		}
		return p.ask(p.ttpClient, func(ctx context.Context, c *operator.Client, w io.Writer) error {
			if limits != nil {
				return setGate(ctx, c, w, args[0], limits, asJSON)
			}
			var g api.Gate
			if err := c.Do(ctx, http.MethodGet, gatePath(args[0]), nil, &g); err != nil {
				return err
			}
			return printGate(w, args[0], g, asJSON)
		})(cmd, args)
	}
	return cmd
}

// readGate reads the limits in the file that a flag names; nil if it names
// none.
func readGate(cmd *cobra.Command, flag, file string) (json.RawMessage, error) {
	if !cmd.Flags().Changed(flag) {
		return nil, nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", flag, err)
	}
	s, err := gate.ParseSettings(data)
	if err != nil {
		return nil, fmt.Errorf("--%s %s: %w", flag, file, err)
	}
	return json.Marshal(s)
}

func gatePath(org string) string { return "/v1/utilities/" + url.PathEscape(org) + "/gate" }

func setGate(ctx context.Context, c *operator.Client, w io.Writer, org string, limits json.RawMessage, asJSON bool) error {
	var g api.Gate
	if err := c.Do(ctx, http.MethodPut, gatePath(org), limits, &g); err != nil {
		return err
	}
	return printGate(w, org, g, asJSON)
}

func printGate(w io.Writer, org string, g api.Gate, asJSON bool) error {
	if asJSON {
		return printLine(w, g)
	}
	text := "as the specification has it"
	if len(g.Looser) > 0 {
		text = "looser than the specification in " + strings.Join(g.Looser, ", ") + ", which is public"
	}
	var shown bytes.Buffer
	if err := json.Indent(&shown, g.Settings, "", "  "); err != nil {
		return fmt.Errorf("limits of the disclosure gate: %w", err)
	}
	_, err := fmt.Fprintf(w, "disclosure gate of %s: %s\n%s\n", org, text, shown.String())
	return err
}

func (p *party) newTTPBillKey() *cobra.Command {
	cmd := group("bill-key", "Change the key that signs bills")
	cmd.AddCommand(p.newBillKeyRotate(), p.newBillKeyList(), p.newBillKeyPublish())
	return cmd
}

func (p *party) newBillKeyRotate() *cobra.Command {
	return &cobra.Command{
		Use:   "rotate",
		Short: "Publish a new bill key, which signs from a later time on",
		Long: `Draw a key for bills and publish it. It signs seven days later (bill_key_overlap in
ttp.toml), so that whoever verifies bills has it by then. Keys before it stay
published for the bills that they signed.`,
		Example: "  wattveil ttp bill-key rotate --dir ttp",
		Args:    cobra.NoArgs,
		RunE: p.ask(p.ttpClient, func(ctx context.Context, c *operator.Client, w io.Writer) error {
			var k api.BillKey
			if err := c.Do(ctx, http.MethodPost, "/v1/bill-keys", nil, &k); err != nil {
				return err
			}
			_, err := fmt.Fprintf(w, "key %s is published and signs from %s on\n", k.ID, moment(&k.SignsFrom))
			return err
		}),
	}
}

func (p *party) newBillKeyList() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the keys of bills",
		Long: `List the keys that bills verify under, and which one signs now. "bill-key publish" prints the
keys themselves.`,
		Example: "  wattveil ttp bill-key list --dir ttp",
		Args:    cobra.NoArgs,
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, one key a line")
	cmd.RunE = p.ask(p.ttpClient, func(ctx context.Context, c *operator.Client, w io.Writer) error {
		var list []api.BillKey
		if err := c.Do(ctx, http.MethodGet, "/v1/bill-keys", nil, &list); err != nil {
			return err
		}
		rows := [][]string{{"KEY", "PUBLISHED", "SIGNS FROM", ""}}
		for _, k := range list {
			if asJSON {
				if err := printLine(w, k); err != nil {
					return err
				}
				continue
			}
			signs := ""
			if k.Signs {
				signs = "signs now"
			}
			rows = append(rows, []string{k.ID, moment(&k.Made), moment(&k.SignsFrom), signs})
		}
		if asJSON {
			return nil
		}
		return printTable(w, rows...)
	})
	return cmd
}

func (p *party) newBillKeyPublish() *cobra.Command {
	return &cobra.Command{
		Use:   "publish",
		Short: "Print the public keys of bills, for everybody",
		Long: `Print the public keys that bills verify under as a JWKS: the file that "wattveil bill pin" and
"wattveil bill verify" take with --key. Put it where consumers and regulators find it, and the
ids of the keys on paper.`,
		Example: "  wattveil ttp bill-key publish --dir ttp > ttp-keys.json",
		Args:    cobra.NoArgs,
		RunE: p.ask(p.ttpClient, func(ctx context.Context, c *operator.Client, w io.Writer) error {
			var keys api.Keys
			if err := c.Do(ctx, http.MethodGet, "/v1/jwks", nil, &keys); err != nil {
				return err
			}
			return encodeJSON(w, keys.JWKS)
		}),
	}
}
